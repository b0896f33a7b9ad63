"""The scans of a unit in one model: rest and task apart, or more scans of one voxel.

Phases, frequency, width (both parts), baseline and gain belong to a scan; amplitudes to the unit:
those of scan s under condition c are g_s (a + d_c), d_c of the metabolites that may respond;
macromolecules and lipids have one more factor a scan. The mean of each scan is fitted like any
spectrum, and all means together once more with amplitudes tied (`tied`), and with the small shifts
of the lines, which are the chemistry of one voxel; twice, the second time under one width of all
scans.

At the end every scan is a quadratic form in its amplitudes and parameters (`scan_form`), so that
each way of scaling the scans to each other (`Scaling`) costs a small linear problem
(docs/science.md#two-scans).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError

from fmrsflow.errors import DataError
from fmrsflow.fit.broad import CREATINE_CH2
from fmrsflow.fit.change import Coefficients, percent_changes
from fmrsflow.fit.coloured import cut_alike
from fmrsflow.fit.design import CONSTANT, Design, check_free, combined
from fmrsflow.fit.model import Kind, Model, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import inverted
from fmrsflow.fit.scan_form import (
    WIDTHS,
    GainScatter,
    Part,
    ScanOfUnit,
    form_at,
    fwhm,
    gain_scatter,
    matched,
    parts_of,
)
from fmrsflow.fit.series import make_series
from fmrsflow.fit.tied import Tied, minimise
from fmrsflow.metabolites import members, mixing

STABLE = ("tCr", "tNAA", "tCho")
"""What is taken not to respond where no setting says what does (`Scaling.to_stable`)."""

LOOSE = 0.1
"""SD of the logarithm of a gain round that of the scans without a response, while they are searched
together: where all metabolites may respond, nothing tells it."""

ROUNDS = 12
"""Most rounds of the small problem of a scaling, which is linear but for gain times response: it
settles in two or three."""


@dataclass(frozen=True)
class Scaling:
    """How the gains of scans are known.

    Attributes
    ----------
    name : str
    ratio : array (n_scans,)
        Gain of each scan over that of the first, as far as it is known.
    sd : array (n_scans,)
        SD of its logarithm; inf where nothing is known. The first has none.
    to_stable : bool
        Metabolites that are taken not to respond do not.
    """

    name: str
    ratio: np.ndarray
    sd: np.ndarray
    to_stable: bool = False


@dataclass(frozen=True)
class UnitChange:
    """Percent changes of a unit under one scaling.

    Attributes
    ----------
    scaling : str
    names, contrasts : tuples of str
    percent : array (n_contrasts, n_names)
        NaN where the metabolite may not respond or is absent.
    covariance : array (n_contrasts, n_names, n_names)
        Of the noise and of the gains.
    gain, gain_se : arrays (n_scans,)
        Of each scan over the first, and the standard error of its logarithm.
    amplitudes, amplitude_covariance : arrays (n_tasks, n_names, 2), (n_tasks, n_names, 2, 2)
        At rest and in each task, in one unit.
    """

    scaling: str
    names: tuple[str, ...]
    contrasts: tuple[str, ...]
    percent: np.ndarray
    covariance: np.ndarray
    gain: np.ndarray
    gain_se: np.ndarray
    amplitudes: np.ndarray
    amplitude_covariance: np.ndarray


def fit_unit(
    scans: Sequence[ScanOfUnit],
    tasks: Sequence[str],
    options: FitOptions | None = None,
    responding: tuple[str, ...] = (),
) -> UnitFit:
    """Fit the scans of a unit together.

    Parameters
    ----------
    scans : sequence of ScanOfUnit
        At least two.
    tasks : sequence of str
        Columns of their courses.
    responding : tuple of str
        Metabolites that may respond; empty for all. Macromolecules and lipids do where
        `options.joint_macromolecules` is "free".

    Raises
    ------
    DataError
        A mean cannot be fitted, the bases of scans hold other metabolites, or the scans do not tell
        the tasks apart.
    """
    options = options or FitOptions()
    _check(scans, tasks)
    design = Design((CONSTANT, *tasks), np.zeros((0, 1 + len(tasks))), drifts=())
    design = combined(design, options.joint_contrasts)
    models: dict[tuple, Model] = {}
    found, cut = [], []
    for scan in scans:
        fids, basis = cut_alike(scan.fids, scan.basis)
        key = (fids.n_points, fids.dwell_s, fids.frequency_mhz, basis.names)
        if key not in models:
            models[key] = make_model(fids, Kind(basis), options)
        cut.append(fids)
        found.append(make_series(models[key], fids, scan.known, options, scan.places))
    names = {model.names for model in models.values()}
    if len(names) > 1:
        raise DataError("the scans of the unit have bases of different metabolites")
    model = found[0].directions.model
    unknown = sorted(set(responding) - set(model.names))
    if unknown:
        raise DataError(f"joint_respond names {', '.join(unknown)}, which the basis lacks")
    may = [name in responding or (not responding and name != CREATINE_CH2) for name in model.names]
    may = np.where(model.broad, options.joint_macromolecules == "free", may)
    parts = parts_of(found, cut, scans, may, options)
    return UnitFit(parts, design, may, bool(responding))


def _check(scans: Sequence[ScanOfUnit], tasks: Sequence[str]) -> None:
    """Refuse designs that cannot be told apart."""
    if len(scans) < 2:
        raise ValueError(f"{len(scans)} scan: a model of scans takes two")
    check_free(tasks)
    rows = np.concatenate([scan.courses for scan in scans])
    whole = np.column_stack([np.ones(len(rows)), rows])
    if np.linalg.matrix_rank(whole) < whole.shape[1]:
        raise DataError(
            f"the scans do not tell {', '.join(tasks)} from rest: one condition is in all of them"
        )


class UnitFit:
    """Scans of a unit fitted together; `changes` gives the answer under a scaling.

    Parameters
    ----------
    parts : list of Part
    design : Design
        Without rows: the constant and the unit's contrasts, with their sums and means.
    may : boolean array (n_names,)
        Signals that may respond.
    told : bool
        A setting says which these are: all others are taken not to respond.
    """

    def __init__(self, parts: list[Part], design: Design, may: np.ndarray, told: bool):
        self.parts, self.design, self.tasks = parts, design, design.names[1:]
        self.names = parts[0].model.names
        self.broad = parts[0].model.broad
        self._may = may
        stable = {name for one in STABLE for name in members(one, self.names)} | {CREATINE_CH2}
        rest = np.array([name not in stable for name in self.names])
        self._may_beside_stable = may if told else may & rest
        self.stop = ""
        self._search()

    def _layout(self, respond: np.ndarray) -> Tied:
        return Tied(self.parts, np.flatnonzero(respond))

    def _search(self) -> None:
        """Means of all scans with amplitudes tied: first as if nothing responded, which tells the
        signals that are there; then with responses."""
        still = self._layout(np.zeros(len(self.names), bool))
        # One that ends early is a start all the same: the last search has the word.
        first, _ = minimise(self.parts, still, still.start(), None)
        self._active = first[still.levels] > 0
        self.start_gain = np.exp(np.append(0.0, first[still.gains]))
        layout = self._layout(self._may & self._active)
        start = layout.start_from(still, first)
        gain = first[still.gains]
        known = (gain, np.full(len(gain), LOOSE))
        point, _ = minimise(self.parts, layout, start, known)
        self.widths_hz = [fwhm(point[lines]) for lines in layout.lines]
        # Under one width the fit errs alike in all scans: what it lacks is in no difference.
        self.parts = matched(self.parts, point, layout.lines)
        point[layout.lines[:, WIDTHS]] = point[layout.lines[:, WIDTHS]].max(axis=0)
        point, self.stop = minimise(self.parts, layout, point, known)
        self.layout, self.point = layout, point
        self._forms = [
            form_at(part, *layout.of_scan(point, s), scatter=True)
            for s, part in enumerate(self.parts)
        ]
        self.free = layout.free(point, self._active)

    @cached_property
    def gain_scatter(self) -> list[GainScatter]:
        """Of the transients of each scan."""
        return [gain_scatter(part.series) for part in self.parts]

    @property
    def gain_sd(self) -> np.ndarray:
        """SD of the mean gain of each scan that the scatter of its transients makes, relative."""
        return np.array([one.of_mean for one in self.gain_scatter])

    def changes(self, scaling: Scaling) -> UnitChange:
        """Percent changes under a scaling.

        Raises
        ------
        DataError
            The scaling leaves a gain open, or does not settle.
        """
        may = self._may_beside_stable if scaling.to_stable else self._may
        layout = self._layout(may & self._active)
        point = layout.start_from(self.layout, self.point)
        known = np.isfinite(scaling.sd[1:])
        if not known.all() and not (~may & ~self.broad & self._active).any():
            raise DataError(
                "all signals may respond: nothing is left that tells the gain of a scan"
            )
        center = np.log(scaling.ratio[1:])
        prior = (np.where(known, center, 0.0), np.where(known, scaling.sd[1:], np.inf))
        point[layout.gains] = np.where(known, center, point[layout.gains])
        free = layout.free(point, self._active, held=self._held_at(layout))
        settled = False
        for _ in range(ROUNDS):
            with np.errstate(over="ignore", invalid="ignore"):
                information, score, scatter = layout.normal(point, self._forms, prior, free)
            if not np.isfinite(information).all():
                break
            try:
                inverse = inverted(information)
            except LinAlgError:
                raise DataError("the scans do not tell the change from a gain") from None
            step = inverse @ score
            point[free] += step
            errors = np.sqrt(np.maximum(np.diag(inverse), 0.0))
            settled = bool(np.all(np.abs(step) <= 1e-4 * errors))
            if settled:
                break
        if not settled:
            raise DataError(f"gains and changes did not settle in {ROUNDS} rounds")
        covariance = inverse @ scatter @ inverse
        return self._answer(scaling, layout, point, free, covariance)

    def _held_at(self, layout: Tied) -> np.ndarray:
        """Parameters of lines that the search left at a limit or that do not move."""
        held = ~self.layout.free(self.point, self._active)
        found = np.zeros(layout.size, bool)
        found[layout.thetas] = held[self.layout.thetas]
        return found

    def _answer(self, scaling, layout: Tied, point, free, covariance) -> UnitChange:
        k, respond, c = len(self.names), layout.respond, len(self.tasks)
        # Rows: amplitudes at rest, then the responses of each task.
        turn = np.zeros((k + c * len(respond), layout.size))
        turn[:k, layout.levels] = np.eye(k)
        for task in range(c):
            places = layout.response(task)
            turn[respond, places] = -layout.middle[task]
            rows = k + task * len(respond) + np.arange(len(respond))
            turn[rows, places] = 1.0
        there = np.flatnonzero(self._active)
        rows = np.concatenate([there, np.arange(k, len(turn))])
        turn = turn[rows]
        inner = turn[:, free]
        coefficients = Coefficients(
            columns=np.concatenate(
                [np.zeros(len(there), int), np.repeat(1 + np.arange(c), len(respond))]
            ),
            signals=np.concatenate([there, np.tile(respond, c)]).astype(int),
            values=turn @ point,
            covariance=inner @ covariance @ inner.T,
        )
        names, _, _, percent, spread = percent_changes(self.names, self.design, coefficients)
        pairs = _pairs(self.names, coefficients, c)
        errors = np.zeros(layout.size)
        errors[free] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        return UnitChange(
            scaling=scaling.name,
            names=names,
            contrasts=tuple(self.design.reported),
            percent=percent,
            covariance=spread,
            gain=np.exp(np.append(0.0, point[layout.gains])),
            gain_se=np.append(0.0, errors[layout.gains]),
            amplitudes=pairs @ coefficients.values,
            amplitude_covariance=pairs @ coefficients.covariance @ pairs.swapaxes(-1, -2),
        )


def _pairs(singles: tuple[str, ...], coefficients: Coefficients, n_tasks: int) -> np.ndarray:
    """Matrices (n_tasks, n_names, 2, n_coefficients) that make the amplitudes at rest and in each
    task of metabolites and sums."""
    own = mixing(singles)[1][:, coefficients.signals]
    rest = own * (coefficients.columns == 0)
    tasks = [rest + own * (coefficients.columns == 1 + task) for task in range(n_tasks)]
    return np.array([np.stack([rest, task], axis=1) for task in tasks])

"""The scans of a unit in one model: rest and task apart, or more scans of one voxel.

Phases, frequency, width (both parts), baseline and gain belong to a scan; amplitudes to the unit:
those of scan s under condition c are g_s (a + d_c), d_c of the metabolites that may respond;
macromolecules and lipids have one more factor a scan. The mean of each scan is fitted like any
spectrum (`series`), and all means together once more with amplitudes tied, and with the small
shifts of the lines, which are the chemistry of one voxel; twice, the second time under one width
of all scans. A scan with several conditions brings beside its mean how they differ in it
(`joint.solved`).

At the end every scan is a quadratic form in its amplitudes and parameters, so that each way of
scaling the scans to each other (`Scaling`) costs a small linear problem
(docs/science.md#two-scans).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit import gain as gains
from fmrsflow.fit.broad import CREATINE_CH2
from fmrsflow.fit.change import Coefficients, percent_changes
from fmrsflow.fit.coloured import cut_alike
from fmrsflow.fit.design import CONSTANT, Design
from fmrsflow.fit.directions import GAIN, SHAPES
from fmrsflow.fit.joint import solved
from fmrsflow.fit.linear import FAINTEST, Columns
from fmrsflow.fit.model import COMMON, Kind, Model, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.series import Series, make_series
from fmrsflow.fit.solve import (
    NO_CONVERGENCE,
    Spectrum,
    State,
    Target,
    degrees_of_freedom,
    evaluate,
    make_target,
    slope,
    solution,
    tangents,
)
from fmrsflow.fit.step import bounded_step
from fmrsflow.metabolites import members
from fmrsflow.noise import NoiseShape, noise_shape
from fmrsflow.quality import voigt_fwhm

STABLE = ("tCr", "tNAA", "tCho")
"""What is taken not to respond where no setting says what does (`Scaling.to_stable`)."""

CHEMISTRY = ("shift_hz:", "lorentz_hz:", "broad_", "kernel:")
"""Starts of the names of parameters that the scans of a voxel share: lines of one chemistry under
one field."""

LOOSE = 0.1
"""SD of the logarithm of a gain round that of the scans without a response, while they are searched
together: where all metabolites may respond, nothing tells it."""

BROAD_SD = 0.3
"""SD of the prior of the logarithm of a factor that macromolecules and lipids of a scan have beside
its gain: their lines are those of the model, and what these miss differs with the width."""

WIDTHS = [COMMON.index("lorentz_hz"), COMMON.index("gauss_hz2")]
"""Places of both widths among the parameters."""

MAX_STEPS = 40
TOLERANCE = 1e-3
"""Predicted gain of a step, in units of the residual's variance, below which the search ends: no
parameter would move by more than a thirtieth of its standard error."""

ROUNDS = 6
"""Of the small problem of a scaling, which is linear but for gain times response."""


@dataclass(frozen=True)
class ScanOfUnit:
    """A scan that takes part.

    Attributes
    ----------
    fids : Fids
        Its corrected transients, those to be used only.
    basis : Basis
        On their axes.
    courses : array (n_transients, n_tasks)
        Response in each task of the unit, 0 at rest.
    widths : array (n_transients, n_widths)
        Courses of the width within the scan.
    drifts : array (n_transients, n_drifts)
        Courses of every amplitude that are no response.
    places : int array (n_transients,) or None
        In the order of acquisition; None without gaps.
    """

    fids: Fids
    basis: Basis
    courses: np.ndarray
    widths: np.ndarray
    drifts: np.ndarray
    places: np.ndarray | None = None


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
    """

    scaling: str
    names: tuple[str, ...]
    contrasts: tuple[str, ...]
    percent: np.ndarray
    covariance: np.ndarray
    gain: np.ndarray
    gain_se: np.ndarray


@dataclass(frozen=True)
class _Part:
    """A scan in the search: its spectrum in units of its own scale, variances in their square."""

    series: Series
    mean: Fids
    model: Model
    data: Spectrum
    target: Target
    noise: float
    size: float
    mean_courses: np.ndarray
    within: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None

    @property
    def variance(self) -> float:
        """By which squares of the residual are weighed."""
        return self.target.variance


@dataclass(frozen=True)
class _Form:
    """A scan near a point: `at` (amplitudes, parameters), information and score there, the
    covariance of the score under noise, and the cost."""

    at: np.ndarray
    information: np.ndarray
    score: np.ndarray
    scatter: np.ndarray | None
    cost: float


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
        Metabolites that may respond; empty for all. Macromolecules and lipids never do.

    Raises
    ------
    DataError
        A mean cannot be fitted, the bases of scans hold other metabolites, or the scans do not tell
        the tasks apart.
    """
    options = options or FitOptions()
    _check(scans, tasks)
    models: dict[tuple, Model] = {}
    found, cut = [], []
    for scan in scans:
        fids, basis = cut_alike(scan.fids, scan.basis)
        key = (fids.n_points, fids.dwell_s, fids.frequency_mhz, basis.names)
        if key not in models:
            models[key] = make_model(fids, Kind(basis), options)
        courses = np.column_stack([scan.courses, scan.widths, scan.drifts])
        cut.append(fids)
        found.append(make_series(models[key], fids, courses, options, scan.places))
    names = {model.names for model in models.values()}
    if len(names) > 1:
        raise DataError("the scans of the unit have bases of different metabolites")
    model = found[0].directions.model
    unknown = sorted(set(responding) - set(model.names))
    if unknown:
        raise DataError(f"joint_respond names {', '.join(unknown)}, which the basis lacks")
    may = np.array([name in responding or not responding for name in model.names]) & ~model.broad
    parts = _parts(found, cut, scans, may)
    return UnitFit(parts, tuple(tasks), may, bool(responding))


def _check(scans: Sequence[ScanOfUnit], tasks: Sequence[str]) -> None:
    """Refuse designs that cannot be told apart."""
    if len(scans) < 2:
        raise ValueError(f"{len(scans)} scan: a model of scans takes two")
    rows = np.concatenate([scan.courses for scan in scans])
    whole = np.column_stack([np.ones(len(rows)), rows])
    if np.linalg.matrix_rank(whole) < whole.shape[1]:
        raise DataError(
            f"the scans do not tell {', '.join(tasks)} from rest: one condition is in all of them"
        )


def _parts(
    found: Sequence[Series], cut: Sequence[Fids], scans: Sequence[ScanOfUnit], may: np.ndarray
) -> list[_Part]:
    """Scans for the search: one smoothness of the baseline for all, and one kind of line, so that
    what these get wrong is common to them."""
    dimensions = [one.mean.directions.model.baseline for one in found]
    smoothness = min(one.mean.smoothness for one in found)
    size = dimensions[0].effective_dimension(smoothness)
    free = any(not one.directions.model.is_voigt(one.directions.state.theta) for one in found)
    parts = []
    for series, fids, scan in zip(found, cut, scans):
        whole, state = series.directions.model, series.directions.state
        model = whole if free else whole.voigt
        kept, scale = series.kept, series.mean.scale
        fids = fids.select(kept)
        shape = noise_shape(whole.band.used(fids))
        mean = fids.shifted(-series.shift_hz[kept]).rotated(-series.phase_deg[kept]).mean()
        spectrum = whole.band.spectra(mean)[0] / scale
        total = float(series.directions.gram[GAIN, GAIN])
        faintest = FAINTEST * total
        noise = float(np.sqrt(max(series.variance / kept.sum(), faintest)))
        data = Spectrum(scale * spectrum, scale, scale * noise, shape)
        own = whole.baseline.smoothness_for(size)
        dof = degrees_of_freedom(model, float(own), state)
        variance = max(state.cost / dof, faintest)
        target = make_target(model, spectrum, variance, float(own), state)
        courses = scan.courses[kept]
        parts.append(
            _Part(
                series=series,
                mean=mean,
                model=model,
                data=data,
                target=target,
                noise=noise,
                size=total / noise**2,
                mean_courses=courses.mean(axis=0),
                within=_within(series, scan, may),
            )
        )
    return parts


def _within(series: Series, scan: ScanOfUnit, may: np.ndarray):
    """How conditions differ inside a scan: the signals that it tells of, the combinations of
    courses (n_courses, n_tasks) that it holds, their coefficients and these coefficients'
    covariance, (n_courses n_signals,); None where it holds one condition."""
    kept = series.kept
    courses = scan.courses[kept] - scan.courses[kept].mean(axis=0)
    drifts, widths = (one[kept] - one[kept].mean(axis=0) for one in (scan.drifts, scan.widths))
    turn, sizes, _ = np.linalg.svd(courses, full_matrices=False)
    turn = turn[:, sizes > 1e-6 * np.sqrt(len(courses))]
    m = turn.shape[1]
    if m == 0:
        return None
    active = series.directions.active
    told = np.flatnonzero(may[active])
    k = len(active)
    course = np.concatenate(
        [
            np.repeat(np.arange(m), len(told)),
            m + np.repeat(np.arange(drifts.shape[1]), k),
            m + drifts.shape[1] + np.repeat(np.arange(widths.shape[1]), len(SHAPES)),
        ]
    )
    last = len(series.directions.rows)
    direction = np.concatenate(
        [
            np.tile(told, m),
            np.tile(np.arange(k), drifts.shape[1]),
            np.tile([last + one for one in SHAPES], widths.shape[1]),
        ]
    ).astype(int)
    columns = Columns(np.column_stack([turn, drifts, widths]), course.astype(int), direction)
    estimate = solved(series, columns)[0]
    own = slice(0, m * len(told))
    return active[told], turn.T @ courses, estimate.values[own], estimate.covariance[own, own]


class UnitFit:
    """Scans of a unit fitted together; `changes` gives the answer under a scaling.

    Parameters
    ----------
    parts : list of _Part
    tasks : tuple of str
    may : boolean array (n_names,)
        Signals that may respond.
    told : bool
        A setting says which these are: all others are taken not to respond.
    """

    def __init__(self, parts: list[_Part], tasks: tuple[str, ...], may: np.ndarray, told: bool):
        self.parts, self.tasks = parts, tasks
        self.names = parts[0].model.names
        self.broad = parts[0].model.broad
        self._may = may
        stable = {name for one in STABLE for name in members(one, self.names)} | {CREATINE_CH2}
        rest = np.array([name not in stable for name in self.names])
        self._may_beside_stable = may if told else may & rest
        sizes = np.array([part.size for part in parts])
        self.share = sizes / sizes.sum()
        self._courses = np.array([part.mean_courses for part in parts])
        self._middle = self.share @ self._courses
        self.stop = ""
        self._search()

    def _layout(self, respond: np.ndarray) -> _Layout:
        return _Layout(self, np.flatnonzero(respond))

    def _search(self) -> None:
        """Means of all scans with amplitudes tied: first as if nothing responded, which tells the
        signals that are there; then with responses."""
        still = self._layout(np.zeros(len(self.names), bool))
        first, stop = _minimise(self, still, still.start(), None)
        self._active = first[still.levels] > 0
        self.start_gain = np.exp(np.append(0.0, first[still.gains]))
        layout = self._layout(self._may & self._active)
        start = layout.start_from(still, first)
        gain = first[still.gains]
        known = (gain, np.full(len(gain), LOOSE))
        point, _ = _minimise(self, layout, start, known)
        self.widths_hz = [_fwhm(point[lines]) for lines in layout.lines]
        # Under one width the fit errs alike in all scans: what it lacks is in no difference.
        self.parts = _matched(self.parts, point, layout.lines)
        point[layout.lines[:, WIDTHS]] = point[layout.lines[:, WIDTHS]].max(axis=0)
        point, self.stop = _minimise(self, layout, point, known)
        self.layout, self.point = layout, point
        self._forms = [
            _form(part, *layout.of_scan(point, s), scatter=True)
            for s, part in enumerate(self.parts)
        ]
        self.free = layout.free(point, self._active)

    @cached_property
    def gain_sd(self) -> np.ndarray:
        """SD of the mean gain of each scan that the scatter of its transients makes, relative."""
        return np.array([_sd_of_mean_gain(part.series) for part in self.parts])

    @property
    def ratio_of_scales(self) -> np.ndarray:
        """Unit of the first scan's amplitudes over that of each."""
        scales = np.array([part.series.mean.scale for part in self.parts])
        return scales[0] / scales

    def changes(self, scaling: Scaling) -> UnitChange:
        """Percent changes under a scaling.

        Raises
        ------
        DataError
            The scaling leaves a gain open.
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
        for _ in range(ROUNDS):
            information, score, scatter = layout.normal(point, self._forms, prior, free)
            try:
                inverse = _inverse(information)
            except LinAlgError:
                raise DataError("the scans do not tell the change from a gain") from None
            step = inverse @ score
            point[free] += step
            if np.all(np.abs(step) <= 1e-4 * np.sqrt(np.diag(inverse))):
                break
        covariance = inverse @ scatter @ inverse
        return self._answer(scaling, layout, point, free, covariance)

    def _held_at(self, layout: _Layout) -> np.ndarray:
        """Parameters of lines that the search left at a limit or that do not move."""
        held = ~self.layout.free(self.point, self._active)
        found = np.zeros(layout.size, bool)
        found[layout.thetas] = held[self.layout.thetas]
        return found

    def _answer(self, scaling, layout: _Layout, point, free, covariance) -> UnitChange:
        k, respond, c = len(self.names), layout.respond, len(self.tasks)
        # Rows: amplitudes at rest, then the responses of each task.
        turn = np.zeros((k + c * len(respond), layout.size))
        turn[:k, layout.levels] = np.eye(k)
        for task in range(c):
            places = layout.response(task)
            turn[respond, places] = -self._middle[task]
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
        design = Design((CONSTANT, *self.tasks), np.zeros((0, 1 + c)))
        names, _, _, percent, spread = percent_changes(self.names, design, coefficients)
        errors = np.zeros(layout.size)
        errors[free] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        return UnitChange(
            scaling=scaling.name,
            names=names,
            contrasts=self.tasks,
            percent=percent,
            covariance=spread,
            gain=np.exp(np.append(0.0, point[layout.gains])),
            gain_se=np.append(0.0, errors[layout.gains]),
        )


class _Layout:
    """Places of the unknowns: levels (mean over the scans, so that priors on them pull all scans
    alike and no difference), responses of some signals to each task, logarithms of gains,
    parameters of lines (those of the chemistry once, the others a scan each)."""

    def __init__(self, unit: UnitFit, respond: np.ndarray):
        self.unit, self.respond = unit, respond
        k, c, s = len(unit.names), len(unit.tasks), len(unit.parts)
        names = unit.parts[0].model.parameters
        shared = np.array([name.startswith(CHEMISTRY) for name in names])
        p, own = len(names), int((~shared).sum())
        self.levels = slice(0, k)
        self.gains = slice(k + c * len(respond), k + c * len(respond) + s - 1)
        self.broads = slice(self.gains.stop, self.gains.stop + s - 1)
        self.thetas = slice(self.broads.stop, self.broads.stop + int(shared.sum()) + s * own)
        self.size = self.thetas.stop
        self.lines = np.empty((s, p), int)
        self.lines[:, shared] = self.broads.stop + np.arange(int(shared.sum()))
        first = self.broads.stop + int(shared.sum())
        self.lines[:, ~shared] = first + np.arange(s * own).reshape(s, own)
        self.low, self.high = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        self.low[self.levels] = 0.0
        self.precision = np.zeros(self.size)
        self.precision[self.broads] = BROAD_SD**-2.0
        for s, part in enumerate(unit.parts):
            # Parameters in common have the limits and the prior of one scan.
            self.low[self.lines[s]] = part.model.lower
            self.high[self.lines[s]] = part.model.upper
            moves = part.model.upper > part.model.lower
            self.precision[self.lines[s]] = np.where(moves, part.model.prior_sd, np.inf) ** -2.0
        self.ratios = unit.parts[0].target.ratios / unit.parts[0].variance

    def response(self, task: int) -> np.ndarray:
        """Places of the responses to a task."""
        return self.levels.stop + task * len(self.respond) + np.arange(len(self.respond))

    def start(self) -> np.ndarray:
        """From the fits of the scans by themselves, nothing responding."""
        parts, share = self.unit.parts, self.unit.share
        states = [part.series.directions.state for part in parts]
        own = np.array([state.amplitudes for state in states])
        # Gains from what the fits have in common.
        size = own[0] @ own.T / (own[0] @ own[0])
        point = np.zeros(self.size)
        point[self.gains] = np.log(np.maximum(size[1:] / self.unit.ratio_of_scales[1:], 1e-6))
        point[self.levels] = np.exp(share[1:] @ point[self.gains]) * (share @ (own / size[:, None]))
        lines = np.zeros(self.size)
        weights = np.zeros(self.size)
        for s, (part, state) in enumerate(zip(parts, states)):
            theta = state.theta
            if len(part.model.kernel) and part.model.upper[-1] > 0 and part.model.is_voigt(theta):
                theta = part.model.with_kernel(theta)
            np.add.at(lines, self.lines[s], share[s] * theta)
            np.add.at(weights, self.lines[s], share[s])
        point[self.thetas] = lines[self.thetas] / weights[self.thetas]
        return np.clip(point, self.low, self.high)

    def start_from(self, other: _Layout, point: np.ndarray) -> np.ndarray:
        """The same point under another choice of responses."""
        found = np.zeros(self.size)
        for name in ("levels", "gains", "broads", "thetas"):
            found[getattr(self, name)] = point[getattr(other, name)]
        both = np.intersect1d(self.respond, other.respond, return_indices=True)
        for task in range(len(self.unit.tasks)):
            found[self.response(task)[both[1]]] = point[other.response(task)[both[2]]]
        return found

    def free(self, point: np.ndarray, active: np.ndarray, held: np.ndarray | None = None):
        """Which unknowns have an error: signals that are there, lines that may move and are no
        weights at their limit of zero."""
        free = self.high > self.low
        free[self.levels] &= active
        names = np.array([one.startswith("kernel:") for one in self.unit.parts[0].model.parameters])
        for lines in self.lines:
            weights = lines[names]
            free[weights] &= point[weights] > self.low[weights] + 1e-6
        return free if held is None else free & ~held

    def of_scan(self, point: np.ndarray, s: int) -> tuple[np.ndarray, np.ndarray]:
        """Amplitudes of a scan in its own unit, and its parameters."""
        return self._gain(point, s) * self._level(point, s), point[self.lines[s]]

    def _weights(self, s: int) -> np.ndarray:
        """Of the logarithms of gains in that of a scan, which counts from the mean over scans:
        priors on levels would pull at gains that count from one of them."""
        own = np.arange(1, len(self.unit.parts)) == s
        return own - self.unit.share[1:]

    def _gain(self, point: np.ndarray, s: int) -> float:
        log = self._weights(s) @ point[self.gains]
        return float(self.unit.ratio_of_scales[s] * np.exp(log))

    def _factors(self, point: np.ndarray, s: int) -> np.ndarray:
        """Of each signal beside the gain."""
        return np.where(self.unit.broad, np.exp(self._weights(s) @ point[self.broads]), 1.0)

    def _level(self, point: np.ndarray, s: int) -> np.ndarray:
        level = point[self.levels].copy()
        for task in range(len(self.unit.tasks)):
            off = self.unit._courses[s, task] - self.unit._middle[task]
            level[self.respond] += off * point[self.response(task)]
        return level * self._factors(point, s)

    def slopes(self, point: np.ndarray, s: int) -> np.ndarray:
        """Derivatives of amplitudes and parameters of a scan by the unknowns."""
        k, p = len(self.unit.names), self.lines.shape[1]
        gain, turn = self._gain(point, s), np.zeros((k + p, self.size))
        turn[:k, self.levels] = gain * np.diag(self._factors(point, s))
        for task in range(len(self.unit.tasks)):
            off = self.unit._courses[s, task] - self.unit._middle[task]
            turn[self.respond, self.response(task)] = gain * off
        amplitudes = gain * self._level(point, s)
        turn[:k, self.gains] = np.outer(amplitudes, self._weights(s))
        turn[:k, self.broads] = np.outer(self.unit.broad * amplitudes, self._weights(s))
        turn[k + np.arange(p), self.lines[s]] = 1.0
        return turn

    def normal(self, point, forms: Sequence[_Form], gains, free):
        """Information, score, and covariance of the score under noise, of the free unknowns."""
        n = self.size
        information, score, scatter = np.zeros((n, n)), np.zeros(n), np.zeros((n, n))
        for s, form in enumerate(forms):
            turn = self.slopes(point, s)
            here = np.concatenate(self.of_scan(point, s))
            information += turn.T @ form.information @ turn
            score += turn.T @ (form.score - form.information @ (here - form.at))
            if form.scatter is not None:
                scatter += turn.T @ form.scatter @ turn
            for one in self._differences(point, s):
                information += one[0]
                score += one[1]
                scatter += one[0]
        pull = self.ratios @ point[self.levels]
        information[self.levels, self.levels] += self.ratios
        score[self.levels] -= pull
        information += np.diag(self.precision)
        score -= self.precision * point
        if gains is not None:
            center, sd = gains
            weight = np.diag(1.0 / sd**2)
            information[self.gains, self.gains] += weight
            # The water that told it was measured: its errors scatter as noise does.
            scatter[self.gains, self.gains] += weight
            score[self.gains] += (center - point[self.gains]) / sd**2
        inside = np.ix_(free, free)
        return information[inside], score[free], scatter[inside]

    def _differences(self, point: np.ndarray, s: int):
        """What a scan of several conditions tells of the responses."""
        within = self.unit.parts[s].within
        if within is None:
            return
        signals, courses, values, covariance = within
        gain = self._gain(point, s)
        both = np.intersect1d(signals, self.respond, return_indices=True)
        m, n = len(courses), len(signals)
        turn = np.zeros((m * n, self.size))
        for row in range(m):
            for task in range(len(self.unit.tasks)):
                columns = self.response(task)[both[2]]
                turn[row * n + both[1], columns] = gain * courses[row, task]
        expected = turn @ point
        turn[:, self.gains] = np.outer(expected, self._weights(s))
        weight = _inverse(covariance)
        yield turn.T @ weight @ turn, turn.T @ weight @ (values - expected)

    def cost(self, point: np.ndarray, forms: Sequence[_Form], gains) -> float:
        """Squares of the residuals, priors included."""
        level = point[self.levels]
        total = sum(form.cost for form in forms)
        total += float(level @ self.ratios @ level + self.precision @ point**2)
        for s, part in enumerate(self.unit.parts):
            if part.within is not None and len(self.respond):
                total += self._misfit_within(point, s)
        if gains is not None:
            total += float(np.sum(((point[self.gains] - gains[0]) / gains[1]) ** 2))
        return total

    def _misfit_within(self, point: np.ndarray, s: int) -> float:
        signals, courses, values, covariance = self.unit.parts[s].within
        responses = np.zeros((len(self.unit.tasks), len(self.unit.names)))
        for task in range(len(responses)):
            responses[task, self.respond] = point[self.response(task)]
        expected = self._gain(point, s) * (courses @ responses[:, signals]).ravel()
        rest = values - expected
        return float(rest @ _inverse(covariance) @ rest)


def _fwhm(theta: np.ndarray) -> float:
    """Width at half height of a line, Hz."""
    lorentz, gauss2 = theta[WIDTHS]
    return float(voigt_fwhm(lorentz, np.sqrt(gauss2)))


def _matched(parts: Sequence[_Part], point: np.ndarray, lines: np.ndarray) -> list[_Part]:
    """Scans broadened to one Lorentzian and one Gaussian width, with the noise that is left."""
    widths = point[lines[:, WIDTHS]]
    return [_broadened(part, *more) for part, more in zip(parts, widths.max(axis=0) - widths)]


def _broadened(part: _Part, lorentz_hz: float, gauss_hz2: float) -> _Part:
    """A scan with wider lines."""
    if lorentz_hz == gauss_hz2 == 0.0:
        return part
    more, band, data = (lorentz_hz, np.sqrt(gauss_hz2)), part.model.band, part.data
    mean = part.mean.broadened(*more)
    ones = part.mean.with_data(np.ones_like(part.mean.data)).broadened(*more)
    power = data.shape.power * np.abs(band.used(ones).transients[0]) ** 2
    left = float(power.mean() / data.shape.power.mean())
    whole = band.spectra(mean)[0]
    shape = NoiseShape(power / power.mean(), white=False)
    return replace(
        part,
        mean=mean,
        data=Spectrum(whole, data.scale, data.noise * np.sqrt(left), shape),
        target=replace(part.target, spectrum=whole / data.scale),
        noise=part.noise * np.sqrt(left),
    )


def _minimise(unit: UnitFit, layout: _Layout, point: np.ndarray, gains) -> tuple[np.ndarray, str]:
    """Levenberg-Marquardt on the means of all scans together."""

    def forms(at: np.ndarray) -> list[_Form]:
        return [
            _form(part, *layout.of_scan(at, s), scatter=False) for s, part in enumerate(unit.parts)
        ]

    every, damping = np.ones(layout.size, bool), 1e-3
    here = forms(point)
    cost = layout.cost(point, here, gains)
    for _ in range(MAX_STEPS):
        information, score, _ = layout.normal(point, here, gains, every)
        step, predicted = bounded_step(score, information, point, layout.low, layout.high, damping)
        if predicted <= TOLERANCE:
            return point, "converged"
        trial = np.clip(point + step, layout.low, layout.high)
        found = forms(trial)
        reached = layout.cost(trial, found, gains)
        if reached < cost:
            good = cost - reached > 0.25 * predicted
            damping = max(damping * (0.2 if good else 2.0), 1e-9)
            point, here, cost = trial, found, reached
        else:
            damping *= 8.0
            if damping > 1e12:
                return point, "no step lowers the residual further"
    return point, f"{NO_CONVERGENCE} in {MAX_STEPS} steps"


def _state(part: _Part, amplitudes: np.ndarray, theta: np.ndarray) -> State:
    """A scan with these amplitudes and parameters."""
    state = evaluate(part.model, part.target, theta, part.series.directions.state.passive)
    rest = np.append(-amplitudes, 1.0)
    misfit = max(float(rest @ state.gram @ rest), 0.0)
    return replace(state, amplitudes=amplitudes, misfit=misfit)


def _form(part: _Part, amplitudes, theta, scatter: bool) -> _Form:
    """The quadratic form of a scan at a point."""
    state = _state(part, amplitudes, theta)
    k, variance, model = len(amplitudes), part.variance, part.model
    own, cross = tangents(model, part.target, state)
    gram = state.gram
    information = np.block([[gram[:k, :k], cross[:, :k].T], [cross[:, :k], own]]) / variance
    score = np.concatenate(
        [
            gram[:k, k] - gram[:k, :k] @ amplitudes,
            slope(model, part.target, state) + variance / model.prior_sd**2 * theta,
        ]
    )
    spread = None
    if scatter:
        end = solution(model, part.data, state, part.target, "")
        # Noise, and what the baselines of scans differ by where they are draws of what their
        # smoother takes for likely: J'(I - H)^2 J and J'(I - H) H J.
        baselines = model.band.oversampling * (variance * information - end.told)
        spread = (part.noise / variance) ** 2 * (end.scatter + baselines)
    at = np.concatenate([amplitudes, theta])
    return _Form(at, information, score / variance, spread, state.misfit / variance)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    return np.linalg.inv(matrix * np.outer(scale, scale)) * np.outer(scale, scale)


def _sd_of_mean_gain(series: Series) -> float:
    """SD that the gains of a scan's transients give their mean, from how they scatter."""
    # A drift of the width is no gain.
    directions = series.directions.without(SHAPES)
    size = float(directions.gram[GAIN, GAIN])
    noise = max(series.variance * directions.model.band.oversampling, FAINTEST * size)
    course = (series.rows @ directions.flat[GAIN])[:, None]
    weights, sizes = [], []
    apart = np.abs(np.subtract.outer(series.places, series.places))
    for point in gains.grid():
        weighting = gains.weighting(course, point, size / noise, series.places)
        left = float(weighting.products[0, 0]) / size / noise
        weights.append(np.log(point.prior) - 0.5 * (weighting.logdet + left))
        correlated = float(np.mean(point.correlation**apart)) if point.size else 0.0
        sizes.append(point.size * np.sqrt(correlated))
    weights = np.exp(np.array(weights) - max(weights))
    return float(weights @ np.array(sizes) / weights.sum())

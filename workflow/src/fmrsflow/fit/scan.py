"""The fits of one scan: averages of conditions, all transients together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.events import reference_of
from fmrsflow.fids import Fids
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.change import JointResult
from fmrsflow.fit.design import (
    BOXCAR,
    Design,
    Timing,
    combined,
    condition_design,
    linewidth_design,
)
from fmrsflow.fit.joint import fit_joint_models
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import PAIRS, FitResult
from fmrsflow.fit.series import Series
from fmrsflow.fit.shapes import Shape
from fmrsflow.fit.solve import fit_spectra
from fmrsflow.metabolites import sums_of
from fmrsflow.noise import noise_shape
from fmrsflow.scan_figures import MATCHED, WHOLE

REST = "rest"
"""Condition that changes refer to; where a scan has none of that name, its first condition."""


@dataclass(frozen=True)
class Transients:
    """Corrected transients of a scan and what the table of preprocess says of them.

    Attributes
    ----------
    fids : Fids
    labels : tuple of str or None
        Condition of each; None where it belongs to none.
    kept : bool array (n_transients,)
    weight, time_s : arrays (n_transients,)
        Weight in the average of its condition, time of excitation.
    """

    fids: Fids
    labels: tuple[str | None, ...]
    kept: np.ndarray
    weight: np.ndarray
    time_s: np.ndarray

    @classmethod
    def from_rows(cls, fids: Fids, rows: Sequence[Mapping]) -> Transients:
        """From the rows of transients.tsv."""
        labels = tuple(row["condition"] or None for row in rows)
        kept, weight, time_s = (
            np.array([row[key] for row in rows]) for key in ("kept", "weight", "time_s")
        )
        return cls(fids, labels, kept, weight, time_s)

    @cached_property
    def overall_weight(self) -> np.ndarray:
        """Weights of the average of all: a condition counts by its number of transients."""
        weights = self.weight * self.kept
        for label in set(self.labels) - {None}:
            mask = np.array([one == label for one in self.labels])
            total = weights[mask].sum()
            if total > 0:
                weights[mask] *= self.kept[mask].sum() / total
        return weights

    @property
    def used(self) -> np.ndarray:
        """Which of them a design has a row for: those between conditions belong to no regressor."""
        return self.kept & np.array([label is not None for label in self.labels])

    def blocks(self, size: int) -> list[np.ndarray]:
        """Kept transients of each uninterrupted run of a condition, in pieces of at most `size`
        (0: whole runs)."""
        labels = self.labels
        edges = [j for j in range(1, len(labels)) if labels[j] != labels[j - 1]]
        found = []
        for run in np.split(np.arange(len(labels)), edges):
            if labels[run[0]] is None:
                continue
            pieces = np.array_split(run, -(-len(run) // size)) if size else [run]
            found += [piece[self.kept[piece]] for piece in pieces if self.kept[piece].any()]
        return found

    def mean(self, rows=slice(None)) -> Fids:
        """Weighted average of some of them."""
        return self.fids.select(rows).mean(self.overall_weight[rows])


@dataclass(frozen=True)
class ScanFit:
    """Fits of the averages of a scan: condition, `<condition>:matched` or `all` -> FitResult.

    `levels`: `<condition>:matched` where that is no fit of its own (`ScanMeans.levels`).
    """

    spectra: dict[str, FitResult]
    levels: Mapping[str, FitResult] = field(default_factory=dict)

    @property
    def whole(self) -> FitResult:
        """Fit of the average of all transients."""
        return self.spectra[WHOLE]

    def amplitudes(self) -> list[dict]:
        """Rows of amplitudes.tsv."""
        every = {**self.spectra, **self.levels}
        return [row for name, one in every.items() for row in one.to_table(name)]

    def arrays(self) -> dict[str, np.ndarray]:
        """Curves and parameters of every spectrum; amplitudes of each of these, then of levels."""
        results = list(self.spectra.values())
        every = {**self.spectra, **self.levels}
        curves = ("data", "fit", "baseline", "residual")
        stacked = {name: np.stack([getattr(one, name) for one in results]) for name in curves}
        return {
            "ppm": results[0].ppm,
            "spectra": np.array(list(self.spectra)),
            "names": np.array(results[0].names),
            **{name: values.astype(np.complex64) for name, values in stacked.items()},
            # Their imaginary part says nothing that the other curves do not, at half of the space.
            "metabolites": np.stack([one.metabolites.real for one in results]).astype(np.float32),
            "levels": np.array(list(every)),
            **{
                name: np.stack([getattr(one, name) for one in every.values()])
                for name in ("amplitudes", "covariance", "model_covariance")
            },
            "parameter_names": np.array(list(results[0].parameters)),
            "parameters": np.array([list(one.parameters.values()) for one in results]),
            "parameters_se": np.array([list(one.parameters_se.values()) for one in results]),
        }

    def quality(self) -> dict:
        """Figures of each spectrum, and the members of sums, for the record."""
        # `status` and `reason` of the record are those of the scan.
        keys = {"status": "spectrum_status", "reason": "spectrum_reason"}
        keys |= {
            name: name
            for name in (
                "fqn",
                "mrar_percent",
                "fitted_fwhm_tcr_hz",
                "fitted_snr_tcr",
                "baseline_dimension_per_ppm",
                "n_models",
                "stop_reason",
            )
        }
        body = {
            key: {name: getattr(one, attribute) for name, one in self.spectra.items()}
            for attribute, key in keys.items()
        }
        body["correlations"] = {
            name: {f"{a}-{b}": one.correlation(a, b) for a, b in PAIRS}
            for name, one in self.spectra.items()
        }
        return body | {"sums": sums_of(self.whole.names)}


def fit_scan(
    transients: Transients,
    conditions: Sequence[str],
    average: Fids,
    matched: Fids | None,
    basis: Basis,
    options: FitOptions,
    others: Sequence[Basis] = (),
) -> ScanFit:
    """Fit the averages of a scan.

    Parameters
    ----------
    conditions : sequence of str
        Of the transients of `average` and `matched`.
    average, matched : Fids
        A transient a condition; `matched` with linewidths matched, None where these need no fit:
        with one condition, or levels from one model of all transients.
    basis : Basis
        On the axes of the scan.
    others : sequence of Basis
        Others that the scanner may have had.
    """
    names, data = list(conditions), [average.data]
    if matched is not None:
        names += [f"{name}{MATCHED}" for name in conditions]
        data.append(matched.data)
    if WHOLE not in names:
        names.append(WHOLE)
        data.append(transients.mean().data)
    averages = average.with_data(np.concatenate(data))
    results = _fit_averages(averages, names.index(WHOLE), basis, options, others)
    own = options.engine == "fmrsflow" and matched is not None
    coloured = _coloured(matched, conditions) if own else ()
    return ScanFit(_with_whole_noise(dict(zip(names, results)), coloured))


def _fit_averages(
    fids: Fids, whole: int, basis: Basis, options: FitOptions, others: Sequence[Basis]
) -> list[FitResult]:
    if options.engine != "fmrsflow":
        from fmrsflow.fit.engines import fit_with_engine

        return fit_with_engine(fids, basis, options)
    if options.models == "average":
        return fit_average(fids, basis, options, others, like=whole)
    return fit_spectra(fids, basis, options)


def _coloured(matched: Fids, conditions: Sequence[str]) -> set[str]:
    """Names of matched spectra whose noise the fit itself sees to be coloured."""
    shapes = (noise_shape(matched.select([j])) for j in range(matched.n_transients))
    return {f"{name}{MATCHED}" for name, shape in zip(conditions, shapes) if not shape.white}


def _with_whole_noise(
    fitted: dict[str, FitResult], coloured: Collection[str] = ()
) -> dict[str, FitResult]:
    """Results of matched spectra with the errors of their noise before matching.

    Broadening takes noise off the late FID, where there is no signal: the residual shrinks, the
    error of the amplitudes does not. Where it is enough for the fit to count with it (`coloured`),
    nothing is left to do.
    """
    found = dict(fitted)
    for name, one in fitted.items():
        plain = fitted.get(name.removesuffix(MATCHED))
        if name in coloured:
            continue
        if plain is not one and one.status == plain.status == "ok":
            ratio = max(1.0, plain.noise_sd / one.noise_sd)
            found[name] = replace(one, covariance=ratio**2 * one.covariance)
    return found


def designs(
    labels: Sequence[str | None], timing: Timing | float, options: FitOptions
) -> tuple[Design, Design]:
    """Amplitude and linewidth design over all transients, from their conditions and events.

    Raises
    ------
    DataError
        One condition, no condition `joint_rest`, or contrasts that the design lacks.
    """
    rest = joint_rest(labels, options)
    shape, order = options.joint_shape, options.joint_drift_order
    design = condition_design(labels, rest, timing, shape, order, options.joint_fir_s)
    nested, regressor = options.joint_linewidth_events, options.joint_linewidth_regressor
    width = linewidth_design(labels, rest, timing, regressor, nested)
    return combined(design, options.joint_contrasts), width


def joint_rest(labels: Sequence[str | None], options: FitOptions) -> str:
    """The condition that changes of the joint fit refer to."""
    present = [label for label in dict.fromkeys(labels) if label is not None]
    if options.joint_rest and options.joint_rest not in present:
        raise DataError(
            f"no condition {options.joint_rest} (setting joint_rest) among {', '.join(present)}"
        )
    return reference_of(present, options.joint_rest or REST)


def shape_designs(
    labels: Sequence[str | None], timing: Timing, options: FitOptions
) -> dict[str, Design]:
    """A design for each shape of the response, boxcar and haemodynamic first, then those of
    `joint_shapes`; empty where there is only one condition."""
    if len(set(labels) - {None}) < 2:
        return {}
    rest, order = joint_rest(labels, options), options.joint_drift_order
    box = condition_design(labels, rest, timing, BOXCAR, order)
    order = len(box.names) - len(box.contrasts) - 1
    names = [Shape.named(one).name for one in ("hrf", *options.joint_shapes)]
    found = {name: condition_design(labels, rest, timing, name, order) for name in names}
    return {BOXCAR: box} | found


def fit_together(
    transients: Transients,
    design: Design,
    width: Design | None,
    basis: Basis,
    options: FitOptions,
    series: Series | None = None,
    shapes: Mapping[str, Design] | None = None,
    nuisance: Design | None = None,
) -> list[JointResult]:
    """Joint fit with the linewidth model of the setting, and without as a control; the first also
    under other shapes of the response."""
    used = transients.used
    widths: list[Design | None] = [None]
    if options.joint_linewidth != "none" and width is not None:
        widths.insert(0, width.select(used))
    fids, design, places = transients.fids.select(used), design.select(used), np.flatnonzero(used)
    others = {name: one.select(used) for name, one in (shapes or {}).items()}
    nuisance = nuisance and nuisance.select(used)
    responding = options.joint_respond
    return fit_joint_models(
        fids, basis, design, widths, options, responding, places, series, others, nuisance
    )


def engine_timecourse(
    transients: Transients, axes: Fids, basis: Basis, options: FitOptions
) -> list[dict]:
    """Rows of timecourse.tsv from an engine's fits of the averages of blocks; `axes` has theirs."""
    from fmrsflow.fit.engines import fit_with_engine

    blocks = transients.blocks(options.timecourse_transients)
    if not blocks:
        return []
    data = np.concatenate([transients.mean(block).data for block in blocks])
    rows = []
    for number, (block, one) in enumerate(
        zip(blocks, fit_with_engine(axes.with_data(data), basis, options))
    ):
        names, amplitudes, covariance = one.with_sums()
        rows += [
            {
                "block": number,
                "condition": transients.labels[block[0]],
                "time_s": float(transients.time_s[block].mean()),
                "metabolite": name,
                "amplitude": float(amplitude),
                "se": float(np.sqrt(variance)),
            }
            for name, amplitude, variance in zip(names, amplitudes, np.diag(covariance))
        ]
    return rows

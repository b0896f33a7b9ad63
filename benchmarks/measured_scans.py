"""Figures of single measured scans: baselines, split halves, phantom series without any change."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import chi2, t

from figure import Figure, skipped
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.joint import fit_joint_models
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult
from fmrsflow.fit.scan import designs
from fmrsflow.fit.solve import fit_spectra
from measured_data import (
    SCAN_FOLDERS,
    Series,
    absent,
    drift_series,
    phantoms,
    ratios,
    scans,
    steam_7t,
)

STIFFNESS = (0.5, 1.5)
"""Parameters per ppm of the baseline, relative to those of the default."""

LARGEST_RANGE = 7.0
"""Mean range of Glu/tCr over baselines, %; 18 with the first default."""

BAND = (0.7, 1.4)
"""Told error over scatter, or root mean square of z, that counts as right."""

HALVED = ("tNAA", "tCr", "Glu")
NULL = ("tCr", "Lac")
SEED = 1402


def baseline_figures() -> Iterator[Figure]:
    """Glu/tCr of five scans over baselines: the default, half and one and a half times as many
    parameters per ppm."""
    if reason := next(filter(None, map(absent, SCAN_FOLDERS)), ""):
        yield skipped("Glu/tCr over baselines", "see docs/measured.md", reason)
        return
    spreads = []
    for scan in scans():
        title = f"{scan.name}: range of Glu/tCr over baselines, %"
        default = scan.fitted()
        if default.status != "ok":
            yield Figure(title, "failed", "fitted", False, default.reason or "")
            continue
        (value,), (error,) = ratios(default, ("Glu",), "model")
        others = _over_baselines(scan, default)
        spread = 100 * np.ptp([value, *others]) / value
        spreads.append(spread)
        inside = all(abs(other - value) <= 1.96 * error for other in others)
        words = ", ".join(f"{other:.3f}" for other in others)
        yield Figure(
            title, float(spread), "inside the model error", inside,
            f"{value:.3f} +- {1.96 * error:.3f}; {words} at -50, +50 % of "
            f"{default.baseline_dimension_per_ppm:.1f} a ppm",
        )  # fmt: skip
    mean = float(np.mean(spreads)) if spreads else np.nan
    yield Figure(
        "mean range of Glu/tCr over baselines, %", mean, f"<= {LARGEST_RANGE:g}",
        len(spreads) == 5 and mean <= LARGEST_RANGE, f"{len(spreads)} scans",
    )  # fmt: skip


def _over_baselines(scan: Series, default: FitResult) -> list[float]:
    found = []
    for factor in STIFFNESS:
        options = FitOptions(
            baseline_smoothness="fixed",
            baseline_dimension_per_ppm=factor * default.baseline_dimension_per_ppm,
        )
        (result,) = fit_spectra(scan.fids, scan.basis, options)
        found.append(ratios(result, ("Glu",))[0][0] if result.status == "ok" else np.nan)
    return found


def split_figures(quick: bool) -> Iterator[Figure]:
    """Told noise error against the scatter between random halves of a scan."""
    n_splits = 8 if quick else 200
    for folder, series in (("real-nulls/steam-7t", steam_7t), ("drift-series", drift_series)):
        if reason := absent(folder):
            yield skipped(f"split halves of {folder}", "see docs/measured.md", reason)
            continue
        yield from _split(series(), n_splits)


def _split(scan: Series, n_splits: int) -> Iterator[Figure]:
    differences, told, failed = halves(scan, n_splits)
    n = scan.fids.n_transients
    for k, name in enumerate(HALVED):
        ratio, low, high = told_over_scatter(differences[:, k], told[:, k], n)
        squares = differences[:, k] ** 2
        # Of the draw of splits, by the delta method.
        draw = ratio * squares.std(ddof=1) / squares.mean() / 2 / len(squares) ** 0.5
        yield Figure(
            f"{scan.name}, split halves, {name}: noise SE / scatter",
            ratio,
            "0.7-1.4, interval holds 1",
            holds(ratio, low, high) and not failed,
            f"{low:.2f} to {high:.2f} ({n} transients); {len(squares)} splits +- {draw:.2f}"
            + (f"; {failed} failed" if failed else ""),
        )


def told_over_scatter(
    differences: np.ndarray, told: np.ndarray, n_transients: int
) -> tuple[float, float, float]:
    """Told error over the scatter of differences between halves, with its 95 % interval.

    All splits of a scan share its transients: in first order the mean squared difference over
    splits is a multiple of the variance among transients, which has n - 1 degrees of freedom.

    Parameters
    ----------
    differences, told : arrays (n_splits,)
        Differences between halves, and their told variances.
    """
    ratio = float(np.sqrt(told.mean() / np.mean(differences**2)))
    freedom = n_transients - 1
    low, high = np.sqrt(chi2.ppf([0.025, 0.975], freedom) / freedom)
    return ratio, float(ratio * low), float(ratio * high)


def halves(scan: Series, n_splits: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Differences between random halves in `HALVED`, and their told variances of noise.

    Returns
    -------
    differences, told : arrays (n_splits that worked, n_names)
    failed : int
    """
    rng = np.random.default_rng(SEED)
    n = scan.fids.n_transients
    differences, told, failed = [], [], 0
    for _ in range(n_splits):
        order = rng.permutation(n)
        parts = (order[: n // 2], order[n // 2 : 2 * (n // 2)])
        both = np.concatenate([scan.fids.select(part).mean().data for part in parts])
        one, other = fit_average(scan.fids.with_data(both), scan.basis, None, scan.others)
        if "failed" in (one.status, other.status):
            failed += 1
            continue
        (labels, a, spread), (_, b, spread_b) = one.with_sums(), other.with_sums()
        rows = [labels.index(name) for name in HALVED]
        differences.append((a - b)[rows])
        told.append(np.diag(spread + spread_b)[rows])
    return np.array(differences), np.array(told), failed


def holds(value: float, low: float, high: float) -> bool:
    """Whether an interval holds 1 and its point value stands in `BAND`."""
    return bool(low <= 1 <= high and BAND[0] <= value <= BAND[1])


def null_figures(quick: bool) -> Iterator[Figure]:
    """Change over standard error where nothing changes: phantom scans, their frames relabelled at
    random, half rest and half task."""
    if reason := absent("real-nulls/ge-phantom"):
        yield skipped("nulls, phantom scans", "see docs/measured.md", reason)
        return
    n_labels = 6 if quick else 200
    squares, without, open_changes = {}, [], np.zeros(len(NULL), int)
    for number, scan in enumerate(phantoms()):
        try:
            z = null_z(scan, n_labels, SEED + number)
        except DataError as error:
            without.append(f"{scan.name}: {error}")
            continue
        squares[scan.name] = np.nanmean(z**2, axis=0)
        open_changes += np.isnan(z).sum(axis=0)
    table = np.array(list(squares.values()))
    for k, name in enumerate(NULL):
        each = table[:, k]
        value, low, high = pooled_rms(each)
        words = ", ".join(f"{one:.2f}" for one in np.sqrt(each))
        yield Figure(
            f"nulls, {len(each)} phantom scans, {name}: rms z",
            value,
            "0.7-1.4, interval holds 1",
            holds(value, low, high),
            f"{low:.2f} to {high:.2f} over scans; {n_labels} relabellings each, "
            f"{open_changes[k]} in all without a change; by scan {words}"
            + "".join(f"; without {one}" for one in without),
        )


def pooled_rms(squares: np.ndarray) -> tuple[float, float, float]:
    """Root mean square of z over scans with its 95 % interval, from the mean square of each: the
    t interval of their mean, since relabellings of one scan are no independent draws."""
    mean = squares.mean()
    reach = t.ppf(0.975, len(squares) - 1) * squares.std(ddof=1) / len(squares) ** 0.5
    low, high = np.sqrt(np.maximum([mean - reach, mean + reach], 0.0))
    return float(np.sqrt(mean)), float(low), float(high)


def null_z(scan: Series, n_labels: int, seed: int) -> np.ndarray:
    """z of the change of `NULL` in the joint fit under random balanced labels, (n_labels, n_names).

    Raises
    ------
    DataError
        The average of the scan cannot be fitted.
    """
    rng = np.random.default_rng(seed)
    half = scan.fids.n_transients // 2
    fids = scan.fids.select(slice(0, 2 * half))
    return np.array([_z(fids, scan, rng.permutation(2 * half) < half) for _ in range(n_labels)])


def _z(fids: Fids, scan: Series, task: np.ndarray) -> list[float]:
    options = FitOptions()
    labels = ["task" if one else "rest" for one in task]
    design, width = designs(labels, fids.tr_s or 2.0, options)
    (joint,) = fit_joint_models(fids, scan.basis, design, (width,), options)
    rows = [joint.names.index(name) for name in NULL]
    return [joint.change_percent[0, k] / joint.change_se_percent[0, k] for k in rows]

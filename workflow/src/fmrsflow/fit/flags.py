"""What a spectroscopist would want to know before believing a fit (docs/science.md#fit-flags)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fmrsflow.fit.change import JointResult
from fmrsflow.fit.gain import SIZES
from fmrsflow.fit.model import MAX_DIMENSION_PER_PPM
from fmrsflow.fit.result import FitResult
from fmrsflow.fit.solve import NO_CONVERGENCE

PLAUSIBLE = {
    "tNAA": (0.6, 2.5),
    "tCho": (0.08, 0.5),
    "mI": (0.3, 1.8),
    "Glu": (0.5, 2.2),
    "Gln": (0.05, 0.9),
}
"""Ratio to tCr (short echo times) between which a healthy adult's grey and white matter lies, with
room for each engine's bias (docs/science.md#fit-flags)."""

LONGEST_TE_S = 0.08
"""Echo time beyond which T2 moves the ratios out of these ranges."""

BANDS_PPM = {
    "macromolecules and lipids, 0.6-1.8 ppm": (0.6, 1.8),
    "NAA, 1.9-2.2 ppm": (1.9, 2.2),
    "glutamate and glutamine, 2.2-2.7 ppm": (2.2, 2.7),
    "creatine and choline, 2.9-3.3 ppm": (2.9, 3.3),
    "myo-inositol, 3.4-3.7 ppm": (3.4, 3.7),
}

MAX_BAND = 3.0
"""Root mean square of the residual in a band, in units of the noise."""

PHASE1_DEG_PER_PPM = (-14.0, 12.0)
"""First-order phase beyond which FIDs begin early or late. 29 measured averages of whole FIDs need
-9 to 1; of one point of 0.5 ms that was cut off, 23, the fit takes its limit, 15 (five SDs of the
prior)."""

AT_LIMIT = 0.98
"""Share of the most flexible baseline that counts as its limit."""


LEAST_KEPT = 0.8
"""Share of the transients that must be left for what a joint fit tells to be of the scan."""


def joint_flags(result: JointResult) -> list[str]:
    """Reasons to use a joint fit with care, as sentences."""
    found, n = [], len(result.kept)
    if result.kept.mean() < LEAST_KEPT:
        found.append(
            f"the joint fit leaves out {n - int(result.kept.sum())} of {n} transients, which stand "
            "out in gain, phase, frequency or width: the scan moved, or its transients are of "
            "several kinds"
        )
    if result.gain_percent > 90 * max(SIZES):
        found.append(
            f"the gain of transients scatters by {result.gain_percent:.0f} %, as far as the joint "
            "fit allows: its errors may be too small"
        )
    if result.stop_reason.startswith(NO_CONVERGENCE):
        found.append(f"the search of the joint fit ended early: {result.stop_reason}")
    return found


def flags(result: FitResult, te_s: float | None = None) -> list[str]:
    """Reasons to use a fit with care, as sentences; none where it can be believed.

    Parameters
    ----------
    result : FitResult
        Of the average of a scan.
    te_s : float, optional
        Echo time; ratios are judged up to `LONGEST_TE_S`.
    """
    if result.status != "ok":
        return []
    # Engines give no curves: their ratios are judged all the same.
    found = [*_search(result), *_phase(result), *_baseline(result), *_bands(result)]
    if te_s is None or te_s <= LONGEST_TE_S:
        found += _ratios(result)
    return found


def _search(result: FitResult) -> Iterator[str]:
    if result.stop_reason.startswith(NO_CONVERGENCE):
        yield f"the search of the fit ended early: {result.stop_reason}"


def _phase(result: FitResult) -> Iterator[str]:
    phase1 = float(np.rad2deg(result.parameters.get("phase1_rad_per_ppm", 0.0)))
    early, late = PHASE1_DEG_PER_PPM
    if not early <= phase1 <= late:
        what = "begin late: first points were cut off" if phase1 > 0 else "begin before the echo"
        yield (
            f"the first-order phase is {phase1:.0f} degrees per ppm, as if the FIDs {what}; export "
            "whole FIDs"
        )


def _baseline(result: FitResult) -> Iterator[str]:
    size = result.baseline_dimension_per_ppm
    if size >= AT_LIMIT * MAX_DIMENSION_PER_PPM:
        yield (
            f"the baseline bends as far as it may ({size:.1f} parameters per ppm): it takes up "
            "what the model lacks, and broad multiplets (Gln, mI) with it"
        )


def _bands(result: FitResult) -> Iterator[str]:
    parts = np.stack([result.residual.real, result.residual.imag])
    for words, (low, high) in BANDS_PPM.items():
        inside = (result.ppm >= low) & (result.ppm <= high)
        if not inside.any() or not result.noise_sd > 0:
            continue
        size = float(np.sqrt(np.mean(parts[:, inside] ** 2)) / result.noise_sd)
        if size > MAX_BAND:
            yield f"the fit misses {words}: residual {size:.1f} times the noise"


def _ratios(result: FitResult) -> Iterator[str]:
    names, values, _ = result.with_sums()
    tcr = values[names.index("tCr")]
    for name, (low, high) in PLAUSIBLE.items():
        if name not in names:
            continue
        k = names.index(name)
        ratio = values[k] / tcr
        if ratio < low:
            what = "is lost" if ratio < low / 2 else "is low"
            yield f"{name} {what}: {ratio:.2f} of tCr (a healthy brain has {low:g} to {high:g})"
        elif ratio > high:
            yield f"{name} is high: {ratio:.2f} of tCr (a healthy brain has {low:g} to {high:g})"

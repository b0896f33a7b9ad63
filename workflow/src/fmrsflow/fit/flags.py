"""What a spectroscopist would want to know before believing a fit (docs/science.md#fit-flags)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fmrsflow.fit.average import BEYOND, at_limit
from fmrsflow.fit.change import JointResult
from fmrsflow.fit.gain import SIZES
from fmrsflow.fit.result import FitResult
from fmrsflow.fit.solve import NO_CONVERGENCE
from fmrsflow.metabolites import mixing
from fmrsflow.plausibility import LONGEST_TE_S, RATIOS, phase_reports, ratio_reports

BANDS_PPM = {
    "macromolecules and lipids, 0.6-1.8 ppm": (0.6, 1.8),
    "NAA, 1.9-2.2 ppm": (1.9, 2.2),
    "glutamate and glutamine, 2.2-2.7 ppm": (2.2, 2.7),
    "creatine and choline, 2.9-3.3 ppm": (2.9, 3.3),
    "myo-inositol, 3.4-3.7 ppm": (3.4, 3.7),
}

MAX_BAND = 3.0
"""Root mean square of the residual in a band, in units of the noise."""

DECIDES = 1.0
"""Model errors by which a ratio to tCr moves, with a limit half as high again, where the limit of
the baseline decides the answer (docs/fit.md#limit)."""

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
    return [*_search(result), *_baseline(result), *_bands(result), *implausible(result, te_s)]


def implausible(result: FitResult, te_s: float | None = None) -> list[str]:
    """Those flags that say what no brain gives: ratios to tCr, first-order phase."""
    if result.status != "ok":
        return []
    names, values, _ = result.with_sums()
    tcr = values[names.index("tCr")]
    ratios = {name: float(value / tcr) for name, value in zip(names, values)}
    phase = float(np.rad2deg(result.parameters.get("phase1_rad_per_ppm", 0.0)))
    judged = te_s is None or te_s <= LONGEST_TE_S
    return [*phase_reports(phase), *(ratio_reports(ratios) if judged else ())]


def _search(result: FitResult) -> Iterator[str]:
    if result.stop_reason.startswith(NO_CONVERGENCE):
        yield f"the search of the fit ended early: {result.stop_reason}"


def _baseline(result: FitResult) -> Iterator[str]:
    """A limit is told where it decides: the baseline of most spectra ends there, and their errors
    hold as those of the others do (docs/fit.md#limit)."""
    if not at_limit(result):
        return
    size = result.baseline_dimension_per_ppm
    told = f"the baseline bends as far as it may ({size:.1f} parameters per ppm)"
    if result.limit_shift is None:
        yield (
            f"{told}: it takes up what the model lacks, and broad multiplets (Gln, mI) with it; "
            "one model alone does not say by how much (models: average does)"
        )
        return
    moved = [
        f"{name} would be {beyond:.2f} of tCr in place of {value:.2f} (model error {sd:.2f})"
        for name, value, beyond, sd in _beyond(result)
        if abs(beyond - value) > DECIDES * sd
    ]
    if moved:
        yield f"{told}, and that limit decides: at {BEYOND * size:.1f}, {'; '.join(moved)}"


def _beyond(result: FitResult) -> Iterator[tuple[str, float, float, float]]:
    """Each ratio to tCr that is judged, what it is beyond the limit, and its model error."""
    names, sums = mixing(result.names)
    values, moves = sums @ result.amplitudes, sums @ result.limit_shift
    tcr = names.index("tCr")
    for name in RATIOS:
        if name not in names:
            continue
        k = names.index(name)
        ratio = values[k] / values[tcr]
        slope = (sums[k] - ratio * sums[tcr]) / values[tcr]
        sd = float(np.sqrt(max(slope @ result.model_covariance @ slope, 0.0)))
        beyond = (values[k] + moves[k]) / (values[tcr] + moves[tcr])
        yield name, float(ratio), float(beyond), sd


def _bands(result: FitResult) -> Iterator[str]:
    parts = np.stack([result.residual.real, result.residual.imag])
    for words, (low, high) in BANDS_PPM.items():
        inside = (result.ppm >= low) & (result.ppm <= high)
        if not inside.any() or not result.noise_sd > 0:
            continue
        size = float(np.sqrt(np.mean(parts[:, inside] ** 2)) / result.noise_sd)
        if size > MAX_BAND:
            yield f"the fit misses {words}: residual {size:.1f} times the noise"

"""Several runs of one voxel as one result: fixed effects over runs.

Each run keeps a model of its own (baseline, drift, motion, noise), and what is combined is a
contrast in percent of the run's own baseline. A model stacked over the runs would need one noise
for all; where their noise is one, it gives the same (tests/unit/bold/test_combine.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.bold import fir, glm
from fmrsflow.bold.connectivity import RoiMatrix


@dataclass(frozen=True)
class Agreement:
    """Whether runs differ by more than their errors: Cochran's Q and its p value."""

    q: float
    p_value: float


def run_weights(variances: Sequence[np.ndarray]) -> np.ndarray:
    """Share of each run in the combined value: the precision of the median series.

    One share a run for every voxel, condition and lag. The variance of a single series is known
    roughly only (the noise's autocorrelation is estimated with it), and runs weighed by it give a
    mean of greater variance than it states: SD/SE 1.06 for two runs of one noise.

    Parameters
    ----------
    variances : sequence of arrays
        Of one contrast in every series of a run; NaN is left out.

    Returns
    -------
    array (n_runs,) of sum 1

    >>> run_weights([np.array([1.0, 1.0, 9.0]), np.array([4.0, 3.0, 5.0])]).tolist()
    [0.8, 0.2]
    """
    precision = 1 / np.maximum([np.nanmedian(one) for one in variances], 1e-300)
    return precision / precision.sum()


def weighted(
    effects: Sequence[np.ndarray], variances: Sequence[np.ndarray], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean over the runs (first axis), and its variance for independent runs."""
    return (
        np.tensordot(weights, np.array(effects), 1),
        np.tensordot(weights**2, np.array(variances), 1),
    )


def agreement(effects: Sequence[float], variances: Sequence[float]) -> Agreement | None:
    """Cochran's Q of one estimate a run; None for a single run."""
    from scipy.stats import chi2

    if len(effects) < 2:
        return None
    effects, variances = np.asarray(effects, float), np.asarray(variances, float)
    precision = 1 / np.maximum(variances, 1e-300)
    mean = (precision * effects).sum() / precision.sum()
    q = float(((effects - mean) ** 2 / variances).sum())
    return Agreement(q, float(chi2.sf(q, len(effects) - 1)))


def area_weights(runs: Sequence[fir.Area]) -> np.ndarray:
    """Share of each run by its last row, the sum over conditions."""
    return run_weights([one.variance[-1] for one in runs])


def combined_areas(runs: Sequence[fir.Area]) -> fir.Area:
    """Areas of several runs, voxel by voxel, by `area_weights`."""
    if len(runs) == 1:
        return runs[0]
    area, variance = weighted(
        [one.area for one in runs], [one.variance for one in runs], area_weights(runs)
    )
    dof = float(sum(one.dof for one in runs))
    baseline = np.mean([one.baseline for one in runs], axis=0)
    return fir.Area(
        runs[0].conditions, area, variance, glm.z_of(area, variance, dof), baseline, dof
    )


def combined_responses(runs: Sequence[fir.MeanResponse], weights: np.ndarray) -> fir.MeanResponse:
    """Mean response of several runs on common lags, by the shares of their areas."""
    if len(runs) == 1:
        return runs[0]
    percent, variance = weighted(
        [one.percent for one in runs], [one.se**2 for one in runs], weights
    )
    area, area_variance = weighted(
        [one.area for one in runs], [one.area_se**2 for one in runs], weights
    )
    return fir.MeanResponse(
        lags_s=runs[0].lags_s,
        percent=percent,
        se=np.sqrt(variance),
        area=area,
        area_se=np.sqrt(area_variance),
        conditions=runs[0].conditions,
        dof=float(sum(one.dof for one in runs)),
    )


def combined_contrasts(runs: Sequence[glm.Contrast]) -> glm.Contrast:
    """A contrast of several runs, series by series."""
    if len(runs) == 1:
        return runs[0]
    variances = [one.variance for one in runs]
    effect, variance = weighted([one.effect for one in runs], variances, run_weights(variances))
    dof = float(sum(one.dof for one in runs))
    return glm.Contrast(effect, variance, glm.z_of(effect, variance, dof), dof)


def combined_matrices(runs: Sequence[RoiMatrix]) -> RoiMatrix:
    """Connectivity between regions of several runs, pair by pair."""
    if len(runs) == 1:
        return runs[0]
    found = combined_contrasts(
        [glm.Contrast(one.effect, one.variance, one.z, one.dof) for one in runs]
    )
    return RoiMatrix(runs[0].names, found.effect, found.variance, found.z, found.dof)


def common_lags(designs: Sequence[fir.FirDesign]) -> np.ndarray:
    """Lags of the run that samples the response most coarsely, which every run can give."""
    return max(designs, key=lambda one: one.lags_s[1] - one.lags_s[0]).lags_s

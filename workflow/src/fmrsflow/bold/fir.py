"""Response of the MRS voxel without assuming its shape: finite impulse response, area under it.

Korotkov 2026; docs/science.md#bold. The columns are our own: nilearn's FIR model scales an event
of no duration by 1/50 and knows lags of whole repetition times only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.bold import glm
from fmrsflow.errors import DataError

SUM = "sum"
"""Name of the sum over conditions in results."""

MAX_CONDITION = 100.0
"""Largest condition number of the FIR columns beside the nuisance; 1 where blocks stand alone."""


@dataclass(frozen=True)
class FirDesign:
    """FIR columns of all conditions, then the nuisance columns.

    Attributes
    ----------
    matrix : array (n_scans, n_conditions * n_lags + n_nuisance)
    conditions : tuple of str
    lags_s : array (n_lags,)
        From the onset of a block.
    error_growth : float
        Standard error of the area, worst condition, over that of as many blocks standing alone.
    """

    matrix: np.ndarray
    conditions: tuple[str, ...]
    lags_s: np.ndarray
    error_growth: float

    @property
    def n_columns(self) -> int:
        """Number of FIR columns."""
        return len(self.conditions) * len(self.lags_s)

    @property
    def fir(self) -> np.ndarray:
        """The FIR columns."""
        return self.matrix[:, : self.n_columns]

    @property
    def nuisance(self) -> np.ndarray:
        """The orthonormal nuisance columns."""
        return self.matrix[:, self.n_columns :]

    def weights(self, condition: str, of_lag: np.ndarray) -> np.ndarray:
        """Contrast (n_columns,) that weighs the lags of one condition, or of each for `SUM`."""
        chosen = [1.0 if condition in (one, SUM) else 0.0 for one in self.conditions]
        return np.kron(chosen, of_lag)


@dataclass(frozen=True)
class Area:
    """Area under the response in each fMRI voxel, percent s.

    Attributes
    ----------
    conditions : tuple of str
        The conditions, then `SUM` where there are several.
    area, variance, z : arrays (n_conditions, n_voxels)
        Percent signal change of the baseline, times s.
    baseline : array (n_voxels,)
        Signal without the response, in the unit of the data.
    dof : float
        Degrees of freedom of the variances.
    """

    conditions: tuple[str, ...]
    area: np.ndarray
    variance: np.ndarray
    z: np.ndarray
    baseline: np.ndarray
    dof: float

    def select(self, voxels: np.ndarray) -> Area:
        """The same of some voxels (mask or indices)."""
        rows = (one[:, voxels] for one in (self.area, self.variance, self.z))
        return Area(self.conditions, *rows, self.baseline[voxels], self.dof)


@dataclass(frozen=True)
class MeanResponse:
    """Mean response of the voxels of the mask.

    Attributes
    ----------
    lags_s : array (n_lags,)
    percent, se : arrays (n_conditions, n_lags)
        Percent signal change at each lag, and its standard error.
    area, area_se : arrays (n_conditions or n_conditions + 1,)
        Area under the mean response, percent s, each condition, then their sum; the error comes
        from the series of the mean and so knows that neighbouring voxels share noise.
    conditions : tuple of str
        As of `Area`.
    dof : float
    """

    lags_s: np.ndarray
    percent: np.ndarray
    se: np.ndarray
    area: np.ndarray
    area_se: np.ndarray
    conditions: tuple[str, ...]
    dof: float


def trapezoid(lags_s: np.ndarray) -> np.ndarray:
    """Weights of the trapezoid rule on a rising grid, s.

    >>> trapezoid(np.array([0.0, 1.0, 2.0])).tolist()
    [0.5, 1.0, 0.5]
    """
    steps = np.diff(lags_s)
    return np.append(steps, 0) / 2 + np.insert(steps, 0, 0) / 2


def fir_columns(
    frame_times_s: np.ndarray, onsets_s, lags_s: np.ndarray, slack_s: float = 0.0
) -> np.ndarray:
    """One column a lag: the response at a scan is interpolated between the lags beside it.

    Where a scan falls on a lag this is the usual FIR indicator; where it falls between (onsets
    that are no multiple of the repetition time) it counts for both neighbours.

    Parameters
    ----------
    frame_times_s : array (n_scans,)
    onsets_s : array (n_blocks,)
    lags_s : array (n_lags,), equally spaced
    slack_s : float
        Scans that lie outside the lags by this much still count for the first or last.

    Returns
    -------
    array (n_scans, n_lags)
    """
    after = np.round(frame_times_s[:, None] - np.asarray(onsets_s, float)[None], 6)
    reach = slack_s + 1e-6
    inside = (after >= lags_s[0] - reach) & (after <= lags_s[-1] + reach)
    spacing = lags_s[1] - lags_s[0]
    distance = np.abs(after[..., None] - lags_s) / spacing
    return (np.clip(1 - distance, 0, None) * inside[..., None]).sum(axis=1)


def fir_design(
    frame_times_s: np.ndarray,
    blocks: dict[str, np.ndarray],
    nuisance: np.ndarray,
    window_s: float = 30.0,
    spacing_s: float = 1.0,
) -> FirDesign:
    """FIR columns of each condition beside the nuisance.

    Lags finer than the repetition time need onsets at several phases of it. Where the run does not
    sample the lags asked for, they are the repetition time apart and begin at the mean time from
    an onset to the scan after it; `lags_s` of the design says so.

    Parameters
    ----------
    frame_times_s : array (n_scans,)
        Time of each volume, s, equally spaced.
    blocks : dict
        Condition to (n_blocks, 2) of onset and duration, s.
    nuisance : array (n_scans, n_nuisance)
        Orthonormal (`glm.nuisance`).
    window_s, spacing_s : float
        31 lags of 1 s by default (Korotkov 2026).

    Raises
    ------
    DataError
        The responses cannot be separated, or is too short for them.
    """
    tr_s = float(frame_times_s[1] - frame_times_s[0])
    lags = np.arange(int(round(window_s / spacing_s)) + 1) * spacing_s
    onsets = np.concatenate([one[:, 0] for one in blocks.values()])
    phase = _phase(frame_times_s[0] - onsets, tr_s)
    wide = max(spacing_s, tr_s)
    sampled = phase + np.arange(int(np.floor((window_s - phase) / wide + 1e-6)) + 1) * wide
    tried = []
    for grid, slack_s in ((lags, 0.0), (sampled, tr_s / 2)):
        columns = np.hstack(
            [fir_columns(frame_times_s, one[:, 0], grid, slack_s) for one in blocks.values()]
        )
        room = len(frame_times_s) - columns.shape[1] - nuisance.shape[1]
        condition_number = _condition_number(columns, nuisance) if room >= 10 else np.inf
        if condition_number <= MAX_CONDITION:
            growth = _error_growth(frame_times_s, blocks, grid, slack_s, columns, nuisance)
            return FirDesign(np.hstack([columns, nuisance]), tuple(blocks), grid, growth)
        tried.append((columns.shape[1], room, condition_number))
    n_columns, room, condition_number = tried[-1]
    if room < 10:
        raise DataError(
            f"{len(frame_times_s)} volumes cannot hold {n_columns} FIR columns and "
            f"{nuisance.shape[1]} nuisance columns; make window_s shorter, spacing_s wider, "
            "or name fewer confounds"
        )
    raise DataError(
        f"the responses of {len(blocks)} conditions over {window_s:g} s cannot be told apart "
        f"from each other and the baseline (condition number {condition_number:.3g}, limit "
        f"{MAX_CONDITION:g}); make window_s shorter than the time between blocks"
    )


def on_lags(own_s: np.ndarray, lags_s: np.ndarray) -> np.ndarray:
    """Response at other lags from that at a design's own, (n_lags, n_own): linear between them, the
    first and last beyond, as the columns of the design take it.

    >>> on_lags(np.array([0.0, 2.0, 4.0]), np.array([1.0, 4.5])).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    return np.array([np.interp(lags_s, own_s, one) for one in np.eye(len(own_s))]).T


def areas(
    data: np.ndarray, design: FirDesign, noise_model: str = "ar1", lags_s: np.ndarray | None = None
) -> Area:
    """Area under the FIR curve of each condition in each series, and of their sum.

    The area is one contrast (trapezoid weights), so its variance comes with it.

    Parameters
    ----------
    data : array (n_scans, n_voxels)
        Positive mean.
    lags_s : array, optional
        Lags under whose curve the area is taken, where they are not those of the design.
    """
    model = glm.fit(data, design.matrix, noise_model)
    lags_s = design.lags_s if lags_s is None else lags_s
    weights = trapezoid(lags_s) @ on_lags(design.lags_s, lags_s)
    names = (*design.conditions, SUM) if len(design.conditions) > 1 else design.conditions
    found = [model.contrast(design.weights(name, weights)) for name in names]
    betas = model.parameters(slice(0, design.n_columns))
    baseline = data.mean(axis=0) - design.fir.mean(axis=0) @ betas
    percent = 100 / baseline
    return Area(
        names,
        np.array([one.effect for one in found]) * percent,
        np.array([one.variance for one in found]) * percent**2,
        np.array([one.z for one in found]),
        baseline,
        found[0].dof,
    )


def mean_response(
    data: np.ndarray,
    baseline: np.ndarray,
    design: FirDesign,
    noise_model: str = "ar1",
    lags_s: np.ndarray | None = None,
) -> MeanResponse:
    """Response of the mean over voxels, each in percent of its own baseline.

    Parameters
    ----------
    data : array (n_scans, n_voxels)
    baseline : array (n_voxels,)
        As `areas` gives it.
    lags_s : array, optional
        As of `areas`.
    """
    lags_s = design.lags_s if lags_s is None else lags_s
    series = (100 * data / baseline).mean(axis=1, keepdims=True)
    model = glm.fit(series, design.matrix, noise_model)
    at = on_lags(design.lags_s, lags_s)
    lags = [[model.contrast(design.weights(name, one)) for one in at] for name in design.conditions]
    names = (*design.conditions, SUM) if len(design.conditions) > 1 else design.conditions
    area = [model.contrast(design.weights(name, trapezoid(lags_s) @ at)) for name in names]
    return MeanResponse(
        lags_s=lags_s,
        percent=np.array([[one.effect[0] for one in row] for row in lags]),
        se=np.sqrt([[one.variance[0] for one in row] for row in lags]),
        area=np.array([one.effect[0] for one in area]),
        area_se=np.sqrt([one.variance[0] for one in area]),
        conditions=names,
        dof=float(len(data) - design.matrix.shape[1]),
    )


def density(values: Sequence[np.ndarray], bins: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Histogram of each condition on common edges, normalised to unit area.

    Returns
    -------
    edges (n + 1,), heights (n_conditions, n)
    """
    both = np.concatenate([np.ravel(one) for one in values])
    edges = np.histogram_bin_edges(both, bins=min(bins, max(5, int(np.sqrt(both.size)))))
    return edges, np.array([np.histogram(one, edges, density=True)[0] for one in values])


def _condition_number(columns: np.ndarray, nuisance: np.ndarray) -> float:
    strength = np.linalg.svd(glm.residualised(columns, nuisance), compute_uv=False)
    return float(strength[0] / strength[-1]) if strength[-1] > 0 else float("inf")


def _area_variances(columns: np.ndarray, nuisance: np.ndarray, n: int, weights) -> np.ndarray:
    """Variance of each condition's area for unit white noise."""
    left = glm.residualised(columns, nuisance)
    covariance = np.linalg.inv(left.T @ left)
    k = len(weights)
    return np.array(
        [weights @ covariance[i * k : (i + 1) * k, i * k : (i + 1) * k] @ weights for i in range(n)]
    )


def _phase(offsets_s: np.ndarray, tr_s: float) -> float:
    """Circular mean of times modulo the repetition time, from -TR/10 up."""
    angle = np.angle(np.exp(2j * np.pi * offsets_s / tr_s).mean())
    return float(np.round((angle / (2 * np.pi) + 0.1) % 1 - 0.1, 6) * tr_s)


def _error_growth(frame_times_s, blocks, lags, slack_s, columns, nuisance) -> float:
    """SE of the areas against the same blocks spread out until each stands alone."""
    tr_s = frame_times_s[1] - frame_times_s[0]
    weights = trapezoid(lags)
    here = _area_variances(columns, nuisance, len(blocks), weights)
    order = np.unique(np.concatenate([one[:, 0] for one in blocks.values()]))
    apart = lags[-1] + 20
    shift = {order[0]: 0.0}
    for before, onset in zip(order, order[1:]):
        # Whole repetition times, so that the phase of each onset stays.
        missing = np.ceil((apart - (onset - before)) / tr_s) * tr_s
        shift[onset] = shift[before] + max(0.0, missing)
    n_scans = int(np.ceil((order[-1] + shift[order[-1]] + apart - frame_times_s[0]) / tr_s)) + 1
    times = frame_times_s[0] + tr_s * np.arange(n_scans)
    alone = [
        fir_columns(times, [onset + shift[onset] for onset in one[:, 0]], lags, slack_s)
        for one in blocks.values()
    ]
    constant = glm.nuisance(n_scans, tr_s, None, 0.0)
    ideal = _area_variances(np.hstack(alone), constant, len(blocks), weights)
    return float(np.sqrt(np.max(here / ideal)))

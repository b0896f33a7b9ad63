"""Connectivity of the MRS voxel that changes with the task: generalised PPI without co-activation.

McLaren 2012 (gPPI), Gitelman 2003 (interaction at the neural level), Masharipov 2024 (task response
taken out by FIR regression first). Written from the papers; docs/science.md#connectivity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.bold import glm
from fmrsflow.bold.blocks import SETTLE_S, boxcar
from fmrsflow.bold.fir import fir_columns
from fmrsflow.errors import DataError
from fmrsflow.haemodynamics import LENGTH_S, response

STEPS_PER_TR = 8
"""Neural time steps in a repetition time."""

SHORTEST_PERIOD_S = 8.0
"""Shortest period of the neural cosines. The haemodynamic response passes less than 2 % of faster
activity, which therefore neither shows in the data nor returns in the interaction term."""


@dataclass(frozen=True)
class Timing:
    """Time grid of a run.

    Attributes
    ----------
    n_scans : int
    tr_s, start_s : float
        Volume i stands for the time start_s + i tr_s.
    """

    n_scans: int
    tr_s: float
    start_s: float

    @property
    def frame_times_s(self) -> np.ndarray:
        """Time of each volume, s."""
        return self.start_s + self.tr_s * np.arange(self.n_scans)

    @property
    def step_s(self) -> float:
        """Neural time step, s."""
        return self.tr_s / STEPS_PER_TR

    @property
    def neural_times_s(self) -> np.ndarray:
        """Neural time grid, from one response length before the first volume to the last volume."""
        lead = int(np.ceil(LENGTH_S / self.step_s))
        return self.start_s + self.step_s * np.arange(-lead, (self.n_scans - 1) * STEPS_PER_TR + 1)

    def convolve(self, neural: np.ndarray) -> np.ndarray:
        """BOLD at each volume, (n_scans, ...), of activity on the neural grid (n_times, ...)."""
        from scipy.signal import fftconvolve

        kernel = response(np.arange(0, LENGTH_S + self.step_s, self.step_s)) * self.step_s
        kernel = kernel.reshape(-1, *[1] * (neural.ndim - 1))
        full = fftconvolve(neural, kernel, axes=0)[: len(neural)]
        lead = int(np.ceil(LENGTH_S / self.step_s))
        return full[lead::STEPS_PER_TR]


@dataclass(frozen=True)
class Ppi:
    """Design of a generalised PPI of one seed.

    Attributes
    ----------
    matrix : array (n_scans, n_conditions + 1 + n_other)
        Interaction terms, the seed, then (orthonormal) task response and nuisance.
    conditions : tuple of str
    neural : array (n_times,)
        Deconvolved activity of the seed.
    """

    matrix: np.ndarray
    conditions: tuple[str, ...]
    neural: np.ndarray

    def weights(self, contrast: dict[str, float]) -> np.ndarray:
        """Contrast of the interaction terms from {condition: weight}."""
        return np.array([contrast.get(name, 0.0) for name in self.conditions])


def eigenvariate(data: np.ndarray) -> np.ndarray:
    """First eigenvariate of a region, in the unit of the data and the sign of its mean.

    Parameters
    ----------
    data : array (n_scans, n_voxels)
        Adjusted for confounds.

    Returns
    -------
    array (n_scans,)
        Divided by the root of the number of voxels, so that for voxels that all carry the same
        series it is this series.
    """
    left, strength, right = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    sign = np.sign(right[0].sum()) or 1.0
    return sign * left[:, 0] * strength[0] / np.sqrt(data.shape[1])


def task_space(
    timing: Timing, blocks: dict[str, np.ndarray], settle_s: float = SETTLE_S + 10.0
) -> np.ndarray:
    """FIR columns of every condition that hold its response up to `settle_s` after a block.

    Conditions whose blocks differ in length get the lags of the longest. Where every volume lies
    at one phase of the repetition time after its onset, any response is held exactly; else lags
    are half a repetition time apart (or a whole one, where a third of the volumes would not do)
    and the response is interpolated between them.

    Returns
    -------
    array (n_scans, n_columns); columns that no volume falls into are left out
    """
    tr_s, times = timing.tr_s, timing.frame_times_s
    onsets = np.concatenate([one[:, 0] for one in blocks.values()])
    turns = np.exp(2j * np.pi * (timing.start_s - onsets) / tr_s).mean()
    lengths = [one[:, 1].max() + settle_s for one in blocks.values()]
    slack_s = 0.0
    if abs(turns) > 0.98:
        first = (np.angle(turns) / (2 * np.pi) + 0.1) % 1 - 0.1
        first, spacing, slack_s = first * tr_s, tr_s, tr_s / 4
    else:
        first, spacing = 0.0, tr_s / 2
        if sum(lengths) / spacing > timing.n_scans / 3:
            spacing = tr_s
    columns = [
        fir_columns(
            times, one[:, 0], first + spacing * np.arange(int(np.ceil(length / spacing)) + 1),
            slack_s,
        )
        for one, length in zip(blocks.values(), lengths)
    ]  # fmt: skip
    both = np.hstack(columns)
    return both[:, np.abs(both).sum(axis=0) > 0]


def orthonormal(*parts: np.ndarray) -> np.ndarray:
    """Orthonormal columns of the space that all parts span together."""
    columns = np.hstack(parts)
    norms = np.linalg.norm(columns, axis=0)
    left, strength, _ = np.linalg.svd(columns[:, norms > 0] / norms[norms > 0], full_matrices=False)
    return left[:, strength > 1e-6 * strength[0]]


class Deconvolution:
    """Neural activity from BOLD (Gitelman 2003): cosines, a Gaussian prior, its size by REML.

    The model of a series is y = H C b + X0 g + e with H the haemodynamic convolution, C a discrete
    cosine set on the neural grid, b ~ N(0, s^2), e ~ N(0, v). With the singular values of H C
    beside X0, which are the same for every series, the restricted likelihood is a function of
    s^2/v alone; its maximum sets how much is smoothed.

    Parameters
    ----------
    timing : Timing
    nuisance : array (n_scans, n_columns)
        X0, orthonormal: what was taken out of the series.
    """

    def __init__(self, timing: Timing, nuisance: np.ndarray):
        times = timing.neural_times_s
        n = len(times)
        n_cosines = min(int(np.ceil(2 * n * timing.step_s / SHORTEST_PERIOD_S)), timing.n_scans - 1)
        phase = np.pi * (np.arange(n) + 0.5) / n
        self.cosines = np.cos(phase[:, None] * np.arange(n_cosines)) * np.sqrt(2 / n)
        forward = glm.residualised(timing.convolve(self.cosines), nuisance)
        self.left, self.strength, self.right = np.linalg.svd(forward, full_matrices=False)
        self.dof = timing.n_scans - nuisance.shape[1]

    def neural(self, series: np.ndarray) -> tuple[np.ndarray, float]:
        """Activity on the neural grid, and s^2/v, of one series (n_scans,) free of X0."""
        from scipy.optimize import minimize_scalar

        if not np.any(series):
            raise DataError("the seed of the connectivity is constant")
        parts = self.left.T @ series
        rest = max(float(series @ series - parts @ parts), 0.0)

        def deviance(log_ratio: float) -> float:
            """Twice the negative log likelihood at a ratio of variances."""
            spread = 1 + np.exp(log_ratio) * self.strength**2
            return float(np.log(spread).sum() + self.dof * np.log((parts**2 / spread).sum() + rest))

        scale = -2 * np.log(self.strength[0])
        grid = scale + np.linspace(-8, 16, 49)
        best = grid[int(np.argmin([deviance(one) for one in grid]))]
        found = minimize_scalar(deviance, bounds=(best - 1, best + 1), method="bounded")
        ratio = float(np.exp(found.x))
        shrunk = self.strength / (self.strength**2 + 1 / ratio)
        return self.cosines @ (self.right.T @ (shrunk * parts)), ratio


def ppi_design(
    seed: np.ndarray,
    timing: Timing,
    blocks: dict[str, np.ndarray],
    other: np.ndarray,
    deconvolution: Deconvolution,
) -> Ppi:
    """Interaction of a seed with each condition.

    Parameters
    ----------
    seed : array (n_scans,)
        Free of `other`.
    blocks : dict
        Condition to (n_blocks, 2) of onset and duration, s.
    other : array (n_scans, n_other)
        Orthonormal: task response and nuisance.

    Notes
    -----
    The psychological variable is the boxcar of the condition with its mean taken off, so that an
    interaction term shares as little as possible with the seed (Di 2017); this does not move a
    contrast between conditions, because the seed is in the model.
    """
    neural, _ = deconvolution.neural(seed)
    times = timing.neural_times_s
    within = times >= timing.start_s
    task = [boxcar(times, timing.step_s, one) for one in blocks.values()]
    task = np.column_stack([one - one[within].mean() for one in task])
    interaction = timing.convolve(task * neural[:, None])
    return Ppi(np.column_stack([interaction, seed, other]), tuple(blocks), neural)


def canonical_design(
    seed: np.ndarray, timing: Timing, blocks: dict[str, np.ndarray], nuisance: np.ndarray
) -> Ppi:
    """The usual gPPI (McLaren 2012), for comparison: task regressors of canonical shape, the task
    response left in the seed. Biased where regions respond to the task together."""
    times = timing.neural_times_s
    task = np.column_stack([boxcar(times, timing.step_s, one) for one in blocks.values()])
    neural, _ = Deconvolution(timing, nuisance).neural(glm.residualised(seed, nuisance))
    interaction = timing.convolve(task * neural[:, None])
    return Ppi(
        np.column_stack([interaction, seed, timing.convolve(task), nuisance]),
        tuple(blocks),
        neural,
    )


def parse_contrasts(texts: Sequence[str], conditions: Sequence[str]) -> dict[str, dict]:
    """Contrasts by name from texts like ``A-B`` or ``A``; without any, the natural ones.

    One condition: it against rest. Two: the first less the second. More: each less the mean of the
    others.

    Raises
    ------
    DataError
        A text that names no condition of the run.
    """
    conditions = list(conditions)
    if texts:
        return {text.replace(" ", ""): _contrast(text, conditions) for text in texts}
    if len(conditions) == 1:
        return {conditions[0]: {conditions[0]: 1.0}}
    if len(conditions) == 2:
        return {f"{conditions[0]}-{conditions[1]}": dict(zip(conditions, (1.0, -1.0)))}
    share = -1 / (len(conditions) - 1)
    return {
        f"{one}-others": {other: 1.0 if other == one else share for other in conditions}
        for one in conditions
    }


def _contrast(text: str, conditions: list[str]) -> dict[str, float]:
    name = text.strip()
    if name in conditions:
        return {name: 1.0}
    for first in conditions:
        for second in conditions:
            if first != second and name.replace(" ", "") == f"{first}-{second}":
                return {first: 1.0, second: -1.0}
    raise DataError(
        f"contrast {text!r} is neither a condition nor A-B of two; the BOLD run has "
        f"{', '.join(conditions)}"
    )


@dataclass(frozen=True)
class RoiMatrix:
    """Interaction of every region (row: seed) with every other (column: target).

    Attributes
    ----------
    names : tuple of str
    effect, variance, z : arrays (n_regions, n_regions)
        NaN on the diagonal.
    dof : float
        Degrees of freedom of the variances.
    """

    names: tuple[str, ...]
    effect: np.ndarray
    variance: np.ndarray
    z: np.ndarray
    dof: float

    @property
    def symmetric(self) -> np.ndarray:
        """Mean of both directions of the effect (a PPI has no direction; Masharipov 2024)."""
        return (self.effect + self.effect.T) / 2


def roi_to_roi(
    series: np.ndarray,
    names: Sequence[str],
    timing: Timing,
    blocks: dict[str, np.ndarray],
    other: np.ndarray,
    contrast: dict[str, float],
    noise_model: str = "ar1",
) -> RoiMatrix:
    """gPPI between regions.

    Parameters
    ----------
    series : array (n_scans, n_regions)
    other : array (n_scans, n_other)
        Orthonormal task response and nuisance, taken out of every series first.
    """
    clean = glm.residualised(series, other)
    deconvolution = Deconvolution(timing, other)
    n = clean.shape[1]
    effect, variance, z = np.full((3, n, n), np.nan)
    for i in range(n):
        design = ppi_design(clean[:, i], timing, blocks, other, deconvolution)
        targets = np.delete(np.arange(n), i)
        found = glm.fit(clean[:, targets], design.matrix, noise_model).contrast(
            design.weights(contrast)
        )
        effect[i, targets], variance[i, targets] = found.effect, found.variance
        z[i, targets] = found.z
    return RoiMatrix(tuple(names), effect, variance, z, found.dof)

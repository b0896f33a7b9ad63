"""Linear models of amplitudes over time, and the errors that their scatter gives.

Conditions and drift are columns of the model; errors of neighbours are correlated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.constants import Z95
from fmrsflow.response.change import Change, cannot, percent_change

BLOCK_MIN = 4
"""Fewest transients in a resampled block."""

FEWEST_DF = 3
"""Degrees of freedom below which the scatter of a time course says nothing of its errors."""


@dataclass(frozen=True)
class Ar1Fit:
    """Linear model of a time course with AR(1) errors.

    Attributes
    ----------
    coefficients : array (p,)
    covariance : array (p, p)
    rho : float
        Correlation of neighbouring errors.
    df : int
        Degrees of freedom; 0 where the errors given were taken as they are.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    rho: float
    df: int

    @property
    def quantile(self) -> float:
        """Of the t distribution, or the normal where errors are known, for 95 %."""
        if not self.df:
            return Z95
        # What scipy.stats.t.ppf calls; importing scipy.stats takes longer than all else here.
        from scipy.special import stdtrit

        return float(stdtrit(self.df, 0.975))


def glm_ar1(values: np.ndarray, errors: np.ndarray, design: np.ndarray) -> Ar1Fit:
    """Generalised least squares with AR(1) errors of relative size `errors`, rho by REML.

    Below three degrees of freedom the errors are taken as known and independent.

    Parameters
    ----------
    values, errors : arrays (n,)
    design : array (n, p)

    Raises
    ------
    ValueError
        Columns of the design depend on each other.
    """
    n, p = design.shape
    if np.linalg.matrix_rank(design) < p:
        raise ValueError(f"the {p} columns of the design depend on each other ({n} rows)")
    y, x = values / errors, design / errors[:, None]
    if n - p < FEWEST_DF:
        inverse = np.linalg.inv(x.T @ x)
        return Ar1Fit(inverse @ x.T @ y, inverse, 0.0, 0)
    from scipy.optimize import minimize_scalar

    def fitted(rho):
        whiter = np.column_stack([x, y])
        whiter = np.vstack([math.sqrt(1 - rho**2) * whiter[:1], whiter[1:] - rho * whiter[:-1]])
        wx, wy = whiter[:, :-1], whiter[:, -1]
        gram = wx.T @ wx
        beta = np.linalg.solve(gram, wx.T @ wy)
        return beta, gram, float(np.sum((wy - wx @ beta) ** 2)) / (n - p)

    def deviance(rho):
        _, gram, scale = fitted(rho)
        return (n - p) * math.log(scale) + np.linalg.slogdet(gram)[1] - math.log(1 - rho**2)

    if fitted(0.0)[2] <= 0:
        inverse = np.linalg.inv(x.T @ x)
        return Ar1Fit(inverse @ x.T @ y, inverse, 0.0, 0)
    # Breathing, drift and smoothing make neighbours alike; a negative rho would shrink the error.
    rho = float(minimize_scalar(deviance, bounds=(0.0, 0.95), method="bounded").x)
    rho = 0.0 if deviance(0.0) <= deviance(rho) else rho
    beta, gram, scale = fitted(rho)
    return Ar1Fit(beta, scale * np.linalg.inv(gram), rho, n - p)


def condition_columns(
    labels: Sequence[str], rest: str, tasks: Sequence[str], time_s: np.ndarray, drift_order: int
) -> np.ndarray:
    """Design (n, 1 + tasks + drifts): constant, a column a task, Legendre drifts of mean zero."""
    columns = [np.ones(len(labels))]
    columns += [np.array([label == task for label in labels], float) for task in tasks]
    span = np.ptp(time_s) or 1.0
    x = 2 * (np.asarray(time_s) - np.min(time_s)) / span - 1
    for order in range(1, drift_order + 1):
        column = np.polynomial.legendre.Legendre.basis(order)(x)
        columns.append(column - column.mean())
    return np.stack(columns, axis=1)


def separable(
    labels: Sequence[str], rest: str, tasks: Sequence[str], time_s: np.ndarray, drift_order: int
) -> np.ndarray:
    """`condition_columns` with as much of the drift as the blocks can separate from the tasks."""
    for order in range(drift_order, -1, -1):
        design = condition_columns(labels, rest, tasks, time_s, order)
        if len(design) >= design.shape[1] and np.linalg.matrix_rank(design) == design.shape[1]:
            break
    return design


def timecourse_changes(
    values: np.ndarray,
    errors: np.ndarray,
    labels: Sequence[str],
    time_s: np.ndarray,
    rest: str,
    tasks: Sequence[str],
    drift_order: int = 1,
    interval: str = "fieller",
) -> list[Change]:
    """Percent change of each task from amplitudes that were fitted apart (GLM with AR(1) errors).

    A drift that the blocks cannot separate from the tasks (three blocks, say) is left out.
    """
    there = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    y, e, when = values[there], errors[there], np.asarray(time_s)[there]
    names = [label for label, use in zip(labels, there) if use]
    absent = [name for name in (rest, *tasks) if name not in names]
    if absent:
        return [cannot(f"no block of {', '.join(absent)} was fitted")] * len(tasks)
    glm = glm_ar1(y, e, separable(names, rest, tasks, when, drift_order))
    changes = []
    for k in range(1, len(tasks) + 1):
        pick = np.zeros((2, len(glm.coefficients)))
        pick[:, 0], pick[1, k] = 1, 1
        rest_value, task_value = pick @ glm.coefficients
        changes.append(
            percent_change(
                rest_value, task_value, pick @ glm.covariance @ pick.T, glm.quantile, interval
            )
        )
    return changes


def block_length(residuals: np.ndarray) -> int:
    """Transients in a block of the bootstrap, from the lag-1 correlation.

    AR(1) plug-in of Politis & White 2004 for the circular block bootstrap:
    (3/2 (2 rho / (1 - rho^2))^2 n)^(1/3), not below four.
    """
    n = len(residuals)
    rho = float(np.clip(lag_one(residuals), 0.0, 0.95))
    wanted = (1.5 * (2 * rho / (1 - rho**2)) ** 2 * n) ** (1 / 3)
    return int(min(max(BLOCK_MIN, math.ceil(wanted)), max(n // 3, 1)))


def lag_one(residuals: np.ndarray) -> float:
    """Correlation of neighbours in residuals (n,) about a mean; 0 where there are none."""
    total = float(residuals @ residuals)
    return float(residuals[1:] @ residuals[:-1]) / total if total > 0 else 0.0


def block_bootstrap(
    course: np.ndarray,
    design: np.ndarray,
    task: int,
    count: int,
    rng: np.random.Generator,
    block: int = 0,
) -> tuple[float, float, float]:
    """SE of a percent change by resampling blocks of residuals, and how far the ends of its 95 %
    percentile interval lie from the change of the course itself.

    Conditions and drift stay in place, since what is resampled is the residual of the model of
    both; blocks keep the correlation of neighbouring transients.

    Parameters
    ----------
    course : array (n,)
        Amplitude in each transient.
    design : array (n, p)
        Constant first.
    task : int
        Column of the task.
    count : int
        Resamplings.
    block : int
        Transients in a block; 0 chooses by `block_length`.
    """
    n, p = design.shape
    inverse = np.linalg.pinv(design)
    fitted = design @ (inverse @ course)
    # Residuals of a model with p columns are too small by this.
    residuals = (course - fitted) * math.sqrt(n / max(n - p, 1))
    length = block or block_length(residuals)
    starts = rng.integers(0, n, size=(count, -(-n // length)))
    index = (starts[:, :, None] + np.arange(length)).reshape(count, -1)[:, :n] % n
    coefficients = (fitted + residuals[index]) @ inverse.T
    changes = 100 * coefficients[:, task] / coefficients[:, 0]
    own = inverse @ course
    low, high = np.quantile(changes, (0.025, 0.975)) - 100 * own[task] / own[0]
    return float(changes.std(ddof=1)), float(low), float(high)

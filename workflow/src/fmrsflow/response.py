"""Percent change of a metabolite with its error (docs/science.md#percent-change).

`blocks` compares averages of conditions, `timecourse` is a GLM with autocorrelated errors on
amplitudes over time, `joint` comes from the fit of all transients. Arrays and small rows in, small
results out; what is read and written stands in stages/response.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.constants import Z95

BLOCK_MIN = 4
"""Fewest transients in a resampled block."""

FEWEST_DF = 3
"""Degrees of freedom below which the scatter of a time course tells nothing of its errors."""


@dataclass(frozen=True)
class Change:
    """A percent change with standard error and 95 % interval, all in percent.

    NaN where it cannot be estimated (`reason` says why); an infinite end where the interval is
    open because the resting value is not different from zero.
    """

    percent: float
    se: float
    low: float
    high: float
    reason: str = ""


def cannot(reason: str) -> Change:
    """No change, and why."""
    return Change(math.nan, math.nan, math.nan, math.nan, f"cannot be estimated because {reason}")


def percent_change(
    rest: float,
    task: float,
    covariance: np.ndarray,
    quantile: float = Z95,
    interval: str = "fieller",
) -> Change:
    """100 (task - rest) / rest with an interval that holds where rest is uncertain too.

    Parameters
    ----------
    rest, task : float
        Estimates in one unit.
    covariance : array (2, 2)
        Of (rest, task).
    quantile : float
        Of the normal or t distribution, 1.96 for 95 % and known errors.
    interval : "fieller" or "log_ratio"
        Fieller 1954: all ratios r for which (task - r rest)^2 <= q^2 var(task - r rest); or
        log(task / rest) +- q se.
    """
    if not (np.isfinite([rest, task]).all() and np.isfinite(covariance).all()):
        return cannot("the fit gave no value with an error")
    if not rest > 0:
        return cannot("the fit found nothing at rest")
    (v_rest, shared), (_, v_task) = np.asarray(covariance, float)
    ratio = task / rest
    variance = max(v_task - 2 * ratio * shared + ratio**2 * v_rest, 0.0) / rest**2
    se = math.sqrt(variance)
    if interval == "fieller":
        low, high = _fieller(rest, task, v_rest, v_task, shared, quantile)
    elif interval == "log_ratio":
        if not task > 0:
            return cannot("the fit found nothing during the task, and its logarithm is taken")
        width = math.exp(quantile * se / ratio)
        low, high = ratio / width, ratio * width
    else:
        raise ValueError(f"interval is {interval!r}; allowed: fieller, log_ratio")
    return Change(100 * (ratio - 1), 100 * se, 100 * (low - 1), 100 * (high - 1))


def _fieller(rest, task, v_rest, v_task, shared, quantile) -> tuple[float, float]:
    """Ends of the ratio's interval; infinite where rest is not different from zero."""
    q2 = quantile**2
    a = rest**2 - q2 * v_rest
    b = rest * task - q2 * shared
    c = task**2 - q2 * v_task
    if a <= 0:
        return -math.inf, math.inf
    root = math.sqrt(max(b**2 - a * c, 0.0))
    return (b - root) / a, (b + root) / a


def pooled(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Mean weighted by 1 / se^2 and its standard error."""
    weights = 1 / np.square(np.asarray(errors, float))
    return float(weights @ np.asarray(values, float) / weights.sum()), float(weights.sum() ** -0.5)


def ratio_of_changes(change: float, other: float, covariance: np.ndarray) -> Change:
    """Change of a ratio of two metabolites from the changes of both, all in percent.

    (1 + a) / (1 + b) - 1 with first-order error; `covariance` (2, 2) of (change, other).
    """
    above, below = 1 + change / 100, 1 + other / 100
    if not below > 0:
        return cannot("nothing of the reference is left during the task")
    value = 100 * (above / below - 1)
    slope = np.array([1 / below, -above / below**2])
    se = math.sqrt(max(float(slope @ covariance @ slope), 0.0))
    return Change(value, se, value - Z95 * se, value + Z95 * se)


def linear_change(percent: float, se: float) -> Change:
    """A change whose error is known already, with the symmetric interval."""
    if not (math.isfinite(percent) and math.isfinite(se)):
        return cannot("the joint fit gave no value with an error")
    return Change(percent, se, percent - Z95 * se, percent + Z95 * se)


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
    """Percent change of each task from amplitudes over time (GLM with AR(1) errors).

    A drift that the blocks cannot tell from the tasks (three blocks, say) is left out.
    """
    there = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    y, e, when = values[there], errors[there], np.asarray(time_s)[there]
    names = [label for label, use in zip(labels, there) if use]
    absent = [name for name in (rest, *tasks) if name not in names]
    if absent:
        return [cannot(f"no block of {', '.join(absent)} was fitted")] * len(tasks)
    for order in range(drift_order, -1, -1):
        design = condition_columns(names, rest, tasks, when, order)
        if len(design) >= design.shape[1] and np.linalg.matrix_rank(design) == design.shape[1]:
            break
    glm = glm_ar1(y, e, design)
    changes = []
    for k in range(1, len(tasks) + 1):
        pick = np.zeros((2, design.shape[1]))
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
    rho = float(np.clip(_lag_one(residuals), 0.0, 0.95))
    wanted = (1.5 * (2 * rho / (1 - rho**2)) ** 2 * n) ** (1 / 3)
    return int(min(max(BLOCK_MIN, math.ceil(wanted)), max(n // 3, 1)))


def _lag_one(residuals: np.ndarray) -> float:
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


def halves_of_rest(course: np.ndarray, errors: np.ndarray, labels: Sequence[str], rest: str):
    """Percent change from the first to the second half of rest: a negative control.

    Parameters
    ----------
    course, errors : arrays (n,)
        Amplitudes in the order of time (transients or blocks) with their SE.
    labels : sequence of str
    """
    chosen = np.array([label == rest for label in labels]) & np.isfinite(course)
    chosen &= np.isfinite(errors) & (errors > 0)
    index = np.flatnonzero(chosen)
    if len(index) < 2:
        return cannot("rest has one block")
    first, second = np.array_split(index, 2)
    (a, a_se), (b, b_se) = (pooled(course[half], errors[half]) for half in (first, second))
    return percent_change(a, b, np.diag([a_se**2, b_se**2]))


@dataclass(frozen=True)
class Block:
    """Change of one block against the mean of all rest."""

    block: int
    condition: str
    time_s: float
    change: Change


def change_per_block(
    values: np.ndarray,
    errors: np.ndarray,
    labels: Sequence[str],
    time_s: np.ndarray,
    rest: str,
) -> list[Block]:
    """Percent change of every block that is not rest (habituation)."""
    there = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    resting = there & np.array([label == rest for label in labels])
    if not resting.any():
        return []
    mean, se = pooled(values[resting], errors[resting])
    return [
        Block(
            int(j),
            labels[j],
            float(time_s[j]),
            percent_change(mean, float(values[j]), np.diag([se**2, errors[j] ** 2])),
        )
        for j in np.flatnonzero(there & ~resting)
    ]


def habituation(blocks: Sequence[Block]) -> Change:
    """Slope of the change over the blocks of a task, percent per block.

    The common resting value moves all blocks alike and does not enter the slope's error.
    """
    used = [one for one in blocks if math.isfinite(one.change.se) and one.change.se > 0]
    if len(used) < 2:
        return cannot("the task has one block")
    y = np.array([one.change.percent for one in used])
    weights = np.array([one.change.se for one in used]) ** -2.0
    x = np.arange(len(used), dtype=float)
    x -= weights @ x / weights.sum()
    slope = float((weights * x) @ y / ((weights * x) @ x))
    se = float(((weights * x) @ x) ** -0.5)
    return Change(slope, se, slope - Z95 * se, slope + Z95 * se)


@dataclass(frozen=True)
class Control:
    """A negative control (docs/science.md#controls): what should not change, and what it says where
    it does.

    `limit` is the largest value that is not flagged: 1.96 se or the tolerance, whichever is larger.
    """

    control: str
    value: float
    se: float
    unit: str
    limit: float
    flag: str


def control(name: str, value: float, se: float, unit: str, tolerance: float, meaning: str):
    """A control with its flag in plain words; `meaning` says what a large value would mean."""
    known = se if math.isfinite(se) else 0.0
    limit = max(Z95 * known, tolerance)
    flag = ""
    if not math.isfinite(value):
        flag = "cannot be estimated"
    elif abs(value) > limit:
        flag = f"{name} is {value:+.2g} {unit}, above {limit:.2g}: {meaning}"
    return Control(name, value, se, unit, limit, flag)


def mean_difference(
    values: np.ndarray, labels: Sequence[str | None], rest: str, task: str
) -> tuple[float, float]:
    """Mean of task minus mean of rest of something measured per transient, with its SE.

    Neighbours are correlated (drift), so the number of transients counts reduced by
    (1 - rho) / (1 + rho), rho the lag-1 correlation about the means of the conditions.
    """
    groups = [np.array([label == one for label in labels]) for one in (rest, task)]
    means = [float(values[group].mean()) for group in groups]
    residuals = np.concatenate([values[g] - m for g, m in zip(groups, means)])
    rho = float(np.clip(_lag_one(residuals), 0.0, 0.99))
    shrink = (1 - rho) / (1 + rho)
    spread = float(residuals @ residuals) / max(len(residuals) - 2, 1)
    se = math.sqrt(spread * sum(1 / max(g.sum() * shrink, 1) for g in groups))
    return means[1] - means[0], se

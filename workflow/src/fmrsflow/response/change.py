"""Percent change of a metabolite with its error (docs/science.md#percent-change)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.constants import Z95


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

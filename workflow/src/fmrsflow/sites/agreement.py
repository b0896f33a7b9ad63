"""Agreement of repeated measurements: ICC, SEM, minimal detectable change, Bland-Altman, TOST."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import f, t

from fmrsflow.constants import Z95

ROUNDING = 1e-9
"""Error over the largest value below which measurements are one and the same: the same file twice,
fitted to the accuracy of the solver."""


@dataclass(frozen=True)
class Reliability:
    """Two-way analysis of variance of n participants measured k times (McGraw & Wong 1996).

    Attributes
    ----------
    icc21, icc31 : float
        Absolute agreement with raters (sites, sessions) at random, and consistency with raters
        fixed; `_low`, `_high`: 95 % intervals.
    sem : float
        Standard error of measurement, sqrt of the residual mean square, in the unit of the data.
    mdc : float
        Minimal detectable change of one participant, 1.96 sqrt(2) SEM.
    n, k : int
    """

    icc21: float
    icc21_low: float
    icc21_high: float
    icc31: float
    icc31_low: float
    icc31_high: float
    sem: float
    mdc: float
    n: int
    k: int


def reliability(values: np.ndarray) -> Reliability:
    """ICC(2,1), ICC(3,1), SEM and minimal detectable change.

    Parameters
    ----------
    values : array (n, k)
        Participants by sites or sessions, without gaps.

    Raises
    ------
    ValueError
        Fewer than two participants or repetitions, no variation of the participants, or none of
        the measurements beyond `ROUNDING`.
    """
    n, k = values.shape
    if n < 2 or k < 2:
        raise ValueError(f"{n} participants with {k} measurements each: two of both are needed")
    grand = values.mean()
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    msr = k * float(((rows - grand) ** 2).sum()) / (n - 1)
    msc = n * float(((columns - grand) ** 2).sum()) / (k - 1)
    residual = values - rows[:, None] - columns + grand
    df = (n - 1) * (k - 1)
    mse = float((residual**2).sum()) / df
    if msr <= 0 or math.sqrt(mse) <= ROUNDING * float(np.abs(values).max()):
        raise ValueError("all measurements agree to rounding: no error to compare with")
    icc31 = (msr - mse) / (msr + (k - 1) * mse)
    ratio = msr / mse
    low31, high31 = ratio / f.ppf(0.975, n - 1, df), ratio * f.ppf(0.975, df, n - 1)
    icc21 = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    # McGraw & Wong 1996, table 7: degrees of freedom by Satterthwaite.
    # Both terms times n (1 - ICC), which cancels and may be 0.
    a = k * icc21
    b = n * (1 - icc21) + k * icc21 * (n - 1)
    freedom = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / df)
    above, below = f.ppf(0.975, n - 1, freedom), f.ppf(0.975, freedom, n - 1)
    common = k * msc + (k * n - k - n) * mse
    low21 = n * (msr - above * mse) / (above * common + n * msr)
    high21 = n * (below * msr - mse) / (common + n * below * msr)
    sem = math.sqrt(mse)
    return Reliability(
        icc21,
        float(low21),
        float(high21),
        icc31,
        float((low31 - 1) / (low31 + k - 1)),
        float((high31 - 1) / (high31 + k - 1)),
        sem,
        Z95 * math.sqrt(2) * sem,
        n,
        k,
    )


@dataclass(frozen=True)
class BlandAltman:
    """Differences of two measurements of the same participants (Bland & Altman 1999).

    `bias` with 95 % interval; limits of agreement bias +- 1.96 SD, each with its own 95 % interval.
    """

    bias: float
    bias_low: float
    bias_high: float
    lower: float
    lower_low: float
    lower_high: float
    upper: float
    upper_low: float
    upper_high: float
    n: int


def bland_altman(first: np.ndarray, second: np.ndarray) -> BlandAltman:
    """Bias and limits of agreement of first minus second; needs three pairs."""
    difference = np.asarray(first, float) - np.asarray(second, float)
    n = len(difference)
    if n < 3:
        raise ValueError(f"{n} pairs: three are needed for limits of agreement")
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    q = float(t.ppf(0.975, n - 1))
    half = q * sd / math.sqrt(n)
    # Variance of a limit: SD^2 (1/n + 1.96^2 / (2 (n - 1))).
    edge = q * sd * math.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    lower, upper = bias - 1.96 * sd, bias + 1.96 * sd
    return BlandAltman(
        bias, bias - half, bias + half, lower, lower - edge, lower + edge,
        upper, upper - edge, upper + edge, n,
    )  # fmt: skip


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of |difference| < margin (Schuirmann 1987).

    `low`, `high`: 90 % interval, which lies within the margins where p < 0.05.
    """

    difference: float
    se: float
    low: float
    high: float
    margin: float
    p: float
    p_difference: float
    verdict: str


def equivalence(difference: float, se: float, df: float, margin: float) -> Equivalence:
    """Whether a difference is smaller than a margin: equivalent, different, or undecided."""
    if not se > 0:
        raise ValueError(f"the standard error {se:g} is not positive")
    p = float(max(t.sf((difference + margin) / se, df), t.cdf((difference - margin) / se, df)))
    p_difference = float(2 * t.sf(abs(difference) / se, df))
    half = float(t.ppf(0.95, df)) * se
    verdict = "equivalent" if p < 0.05 else "different" if p_difference < 0.05 else "undecided"
    return Equivalence(
        difference, se, difference - half, difference + half, margin, p, p_difference, verdict
    )

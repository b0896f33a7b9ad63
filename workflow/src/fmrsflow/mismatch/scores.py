"""Bias, spread, coverage and rank of analyses on scans with known truth. Numbers in, numbers out.

Scans come in pairs of mirrored noise: the mean error of a pair has no part that is linear in the
noise, so bias is known far better than from as many independent scans, and pairs are what the
bootstrap draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

BOOTSTRAPS = 2000

MANY_PAIRS = 10
"""Pairs from which on a bootstrap interval is given: of four it holds the truth 7 times in 10."""

SILENT = 0.25
"""Share of scans without an answer above which an analysis is ranked behind all others."""


@dataclass(frozen=True)
class Outcome:
    """What an analysis said of one scan; nan where it said nothing.

    Attributes
    ----------
    pair : int
        Scans of one number mirror each other's noise.
    truth, value, low, high : float
        True value, estimate, its 95 % interval.
    flagged : bool
        The workflow asks the reader to take care, excludes the scan, or fails.
    cpu_s : float
    """

    pair: int
    truth: float
    value: float
    low: float
    high: float
    flagged: bool
    cpu_s: float

    @property
    def error(self) -> float:
        """Estimate minus truth; no answer counts as no change."""
        return (self.value if math.isfinite(self.value) else 0.0) - self.truth


@dataclass(frozen=True)
class Score:
    """Of one analysis on the scans of one variant.

    Attributes
    ----------
    n, failures : int
        Scans, and those without an answer; these stand out of bias, SD and coverage, and count as
        "no change" in `rmse`.
    bias, bias_se, bias_low, bias_high, sd : float
        Mean error, its standard error and 95 % interval (t) from pairs, SD of the error.
    rmse, rmse_low, rmse_high : float
        Root mean square error with its 95 % bootstrap interval over pairs; nan for fewer than
        `MANY_PAIRS`.
    coverage : float
        Share of the intervals that hold the truth.
    flagged : float
        Share of the scans that the workflow flags.
    cpu_s : float
        Median CPU time of a scan.
    """

    n: int
    failures: int
    bias: float
    bias_se: float
    bias_low: float
    bias_high: float
    sd: float
    rmse: float
    rmse_low: float
    rmse_high: float
    coverage: float
    flagged: float
    cpu_s: float


def score(outcomes: Sequence[Outcome], seed: int = 0) -> Score:
    """Score of the scans of one variant under one analysis.

    Raises
    ------
    ValueError
        No scan.
    """
    if not outcomes:
        raise ValueError("no scan to score")
    answered = [one for one in outcomes if math.isfinite(one.value)]
    errors = np.array([one.error for one in answered])
    squares = np.array([one.error**2 for one in outcomes])
    pairs = [one.pair for one in outcomes]
    low = high = math.nan
    if len(set(pairs)) >= MANY_PAIRS:
        low, high = _interval(np.sqrt(_means(squares, pairs, seed)))
    bias = float(errors.mean()) if len(errors) else math.nan
    se, half = _paired_se(errors, [one.pair for one in answered])
    held = [one.low <= one.truth <= one.high for one in answered if math.isfinite(one.low)]
    cpu = [one.cpu_s for one in outcomes if math.isfinite(one.cpu_s)]
    return Score(
        n=len(outcomes),
        failures=len(outcomes) - len(answered),
        bias=bias,
        bias_se=se,
        bias_low=bias - half,
        bias_high=bias + half,
        sd=float(errors.std(ddof=1)) if len(errors) > 1 else math.nan,
        rmse=float(np.sqrt(squares.mean())),
        rmse_low=low,
        rmse_high=high,
        coverage=float(np.mean(held)) if held else math.nan,
        flagged=float(np.mean([one.flagged for one in outcomes])),
        cpu_s=float(np.median(cpu)) if cpu else math.nan,
    )


def better(outcomes: Mapping[str, Sequence[Outcome]], seed: int = 0) -> dict[str, tuple[str, ...]]:
    """For each analysis, those that are better by their RMSE on the same scans.

    One is better than another where both the 95 % bootstrap interval of the difference of their
    RMSE (over pairs, the same resamples for both) and the 95 % interval (t) of the mean difference
    of a pair's squared errors lie on its side of zero: the first is too short for few pairs. One
    that leaves more than `SILENT` of the scans without an answer is behind all that do not: "no
    change" is close to the truth where noise is large.
    """
    means, squares, silent = {}, {}, set()
    for name, own in outcomes.items():
        errors = np.array([one.error**2 for one in own])
        pairs = [one.pair for one in own]
        means[name] = np.sqrt(_means(errors, pairs, seed))
        squares[name] = _by_pair(errors, pairs)
        if sum(not math.isfinite(one.value) for one in own) > SILENT * len(own):
            silent.add(name)

    def beats(one: str, other: str) -> bool:
        """Whether the first is better than the second."""
        if (one in silent) != (other in silent):
            return other in silent
        difference = squares[other] - squares[one]
        se, half = _of_mean(difference)
        clear = se == se and difference.mean() - half > 0
        return clear and _interval(means[other] - means[one])[0] > 0

    return {name: tuple(one for one in means if one != name and beats(one, name)) for name in means}


@dataclass(frozen=True)
class Share:
    """Share of an analysis's mean square error that is gone once a step is given the truth.

    `low` and `high` are its 95 % bootstrap interval over pairs. Shares of several steps need not
    sum to 1; below 0 the truth made it worse.
    """

    share: float
    low: float
    high: float
    rmse: float


def attribution(before: Sequence[Outcome], after: Sequence[Outcome], seed: int = 0) -> Share:
    """Share of the error that a step leaves: 1 - MSE with its truth / MSE without."""
    samples, mse = [], []
    for own in (before, after):
        squares = np.array([one.error**2 for one in own])
        samples.append(_means(squares, [one.pair for one in own], seed))
        mse.append(squares.mean())
    low, high = _interval(1 - samples[1] / samples[0])
    return Share(1 - mse[1] / mse[0], low, high, math.sqrt(mse[1]))


def _means(values: np.ndarray, pairs: Sequence[int], seed: int) -> np.ndarray:
    """Mean of the values in each bootstrap sample of pairs, (BOOTSTRAPS,)."""
    keys = sorted(set(pairs))
    pairs = np.asarray(pairs)
    sums = np.array([values[pairs == key].sum() for key in keys])
    counts = np.array([(pairs == key).sum() for key in keys])
    # Seeded alike for every analysis: differences are between the same scans.
    drawn = np.random.default_rng(seed).integers(0, len(keys), (BOOTSTRAPS, len(keys)))
    return sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)


def _interval(samples: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def _paired_se(errors: np.ndarray, pairs: Sequence[int]) -> tuple[float, float]:
    """Standard error of the mean error, and half its 95 % interval, from the means of pairs."""
    return _of_mean(_by_pair(errors, pairs))


def _by_pair(values: np.ndarray, pairs: Sequence[int]) -> np.ndarray:
    """Mean of the values of each pair."""
    pairs = np.asarray(pairs)
    return np.array([values[pairs == key].mean() for key in sorted(set(pairs.tolist()))])


def _of_mean(values: np.ndarray) -> tuple[float, float]:
    """Standard error of a mean and half its 95 % interval; nan for a single value."""
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    se = float(values.std(ddof=1) / math.sqrt(n))
    return se, float(stdtrit(n - 1, 0.975)) * se

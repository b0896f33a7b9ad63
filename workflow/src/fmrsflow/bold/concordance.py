"""Does activity go the way of glutamate? Signs and sizes of both, with the errors of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EXACT_FLIPS = 14
"""Up to so many units every pattern of signs is counted, beyond it a sample."""


@dataclass(frozen=True)
class Pair:
    """BOLD measure and percent change of one person and region, with standard errors."""

    label: str
    person: str
    bold: float
    bold_se: float
    change_percent: float
    change_se: float

    @property
    def agreement(self) -> float:
        """Expected product of the two signs, -1 to 1, given the errors: near 0 where either sign
        is uncertain."""
        return _expected_sign(self.bold, self.bold_se) * _expected_sign(
            self.change_percent, self.change_se
        )

    @property
    def p_same_sign(self) -> float:
        """Probability that both true values have one sign, for normal errors and a flat prior."""
        return (1 + self.agreement) / 2


@dataclass(frozen=True)
class Concordance:
    """Accord over persons and regions.

    Attributes
    ----------
    n, n_persons : int
    same_sign : int
        Pairs whose estimates have one sign.
    expected_share : float
        Mean probability of one sign given the errors.
    p_value : float
        One-sided p of the summed agreement when the sign of each pair's change is random.
    p_value_persons : float
        The same with one random sign a person, for regions of a person that go together.
    slope, slope_se : float
        Percent change per unit of BOLD, errors on both axes (York 2004); NaN for fewer than 3.
    """

    n: int
    n_persons: int
    same_sign: int
    expected_share: float
    p_value: float
    p_value_persons: float
    slope: float
    slope_se: float


def concordance(pairs: Sequence[Pair], seed: int = 0) -> Concordance:
    """Test whether the signs of BOLD and of the change agree more than by chance.

    Each pair counts by how certain both of its signs are, so one of 0.6 +- 3 % neither helps nor
    harms. Under the null hypothesis the sign of the change is as often with BOLD as against it.

    Raises
    ------
    ValueError
        No pair.
    """
    if not pairs:
        raise ValueError("no pair of BOLD and change")
    agreement = np.array([one.agreement for one in pairs])
    persons = sorted({one.person for one in pairs})
    of_person = np.array([persons.index(one.person) for one in pairs])
    by_person = np.bincount(of_person, weights=agreement)
    slope, slope_se = _york(pairs) if len(pairs) >= 3 else (np.nan, np.nan)
    return Concordance(
        n=len(pairs),
        n_persons=len(persons),
        same_sign=sum((one.bold > 0) == (one.change_percent > 0) for one in pairs),
        expected_share=float(np.mean([one.p_same_sign for one in pairs])),
        p_value=_flip_p(agreement, seed),
        p_value_persons=_flip_p(by_person, seed),
        slope=slope,
        slope_se=slope_se,
    )


def linewidth_narrowing(
    linewidth_hz: np.ndarray, task: np.ndarray, tr_s: float
) -> tuple[float, float]:
    """BOLD from spectra alone: how much the line narrows in the task, and its standard error, Hz.

    Parameters
    ----------
    linewidth_hz : array (n_transients,)
        FWHM of a line in each transient.
    task : array (n_transients,)
        1 in the task, 0 at rest.
    tr_s : float
        From one transient to the next. For the slow drift of the shim, which is modelled (cosines
        below 1/128 Hz), as is the autocorrelation of the rest.

    Raises
    ------
    ValueError
        Fewer than 8 transients of either kind.
    """
    from fmrsflow.bold import glm

    task = np.asarray(task, float)
    if min(task.sum(), (1 - task).sum()) < 8:
        raise ValueError("8 transients of task and of rest are needed for the linewidth's change")
    design = np.hstack([task[:, None], glm.nuisance(len(task), tr_s)])
    found = glm.fit(np.asarray(linewidth_hz, float)[:, None], design).contrast([1.0])
    return -float(found.effect[0]), float(np.sqrt(found.variance[0]))


def _expected_sign(value: float, se: float) -> float:
    from scipy.stats import norm

    if se == 0:
        return float(np.sign(value))
    return float(2 * norm.cdf(value / se) - 1)


def _flip_p(agreement: np.ndarray, seed: int) -> float:
    n, observed = len(agreement), agreement.sum()
    if n <= EXACT_FLIPS:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(signs @ agreement >= observed - 1e-12))
    signs = np.random.default_rng(seed).choice([-1, 1], size=(20_000, n))
    # The pattern observed is one of those possible.
    return float((1 + np.sum(signs @ agreement >= observed - 1e-12)) / 20_001)


def _york(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Straight line with independent errors on both axes: York 2004, table 1."""
    x, y = (np.array([getattr(p, name) for p in pairs]) for name in ("bold", "change_percent"))
    sx, sy = (np.array([getattr(p, name) for p in pairs]) for name in ("bold_se", "change_se"))
    tiny = 1e-9
    wx = 1 / np.maximum(sx, tiny * (np.ptp(x) or 1)) ** 2
    wy = 1 / np.maximum(sy, tiny * (np.ptp(y) or 1)) ** 2
    if np.ptp(x) == 0:
        return float("nan"), float("nan")
    slope = float(np.polyfit(x, y, 1)[0])
    for _ in range(200):
        w = wx * wy / (wx + slope**2 * wy)
        u, v = x - np.average(x, weights=w), y - np.average(y, weights=w)
        beta = w * (u / wy + slope * v / wx)
        new = float((w * beta * v).sum() / (w * beta * u).sum())
        done = abs(new - slope) < 1e-12 * max(1.0, abs(new))
        slope = new
        if done:
            break
    adjusted = np.average(x, weights=w) + beta
    spread = adjusted - np.average(adjusted, weights=w)
    return slope, float(1 / np.sqrt((w * spread**2).sum()))

"""Random-effects meta-analysis of site means.

REML heterogeneity (Viechtbauer 2005), Hartung-Knapp interval (Hartung & Knapp 2001), Q-profile
interval of tau^2 (Viechtbauer 2007), approximate prediction interval (Higgins 2009), leave one out,
moderators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, f, t


@dataclass(frozen=True)
class Meta:
    """Random-effects (meta-)regression of k effects on p columns.

    Attributes
    ----------
    coefficients, covariance : arrays (p,), (p, p)
        Covariance by Hartung & Knapp; t with k - p degrees of freedom.
    low, high : arrays (p,)
        95 % interval of each coefficient.
    tau2, tau2_low, tau2_high : float
        Variance between sites (REML) and its 95 % Q-profile interval.
    i2_percent : float
        Share of tau^2 in the total variance at a typical sampling variance (Higgins & Thompson).
    q, q_df, q_p : float
        Cochran's Q of the residuals, its degrees of freedom, p of "sites do not differ".
    k, df : int
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    tau2: float
    tau2_low: float
    tau2_high: float
    i2_percent: float
    q: float
    q_df: int
    q_p: float
    k: int
    df: int

    @property
    def mean(self) -> float:
        """The first coefficient: the mean effect where there are no moderators."""
        return float(self.coefficients[0])

    @property
    def se(self) -> float:
        """Its standard error (Hartung & Knapp)."""
        return float(self.covariance[0, 0] ** 0.5)

    def p_value(self, columns: Sequence[int]) -> float:
        """p of "these coefficients are all zero" (F with df degrees of freedom)."""
        columns = list(columns)
        b = self.coefficients[columns]
        if not np.diag(self.covariance)[columns].all():  # equal effects: no scatter at all
            return 0.0 if b.any() else 1.0
        wald = b @ np.linalg.solve(self.covariance[np.ix_(columns, columns)], b) / len(columns)
        return float(f.sf(wald, len(columns), self.df))

    def prediction(self) -> tuple[float, float]:
        """Approximate 95 % interval of the effect at a further site: t with k - 2 df.

        (nan, nan) below three sites.
        """
        if self.k < 3:
            return math.nan, math.nan
        half = t.ppf(0.975, self.k - 2) * math.sqrt(self.tau2 + self.se**2)
        return self.mean - half, self.mean + half


def random_effects(
    effects: np.ndarray,
    variances: np.ndarray,
    design: np.ndarray | None = None,
    within_df: float = math.inf,
) -> Meta:
    """Random-effects model of effects with known sampling variances.

    Parameters
    ----------
    effects, variances : arrays (k,)
    design : array (k, p), optional
        Moderators, the constant first; a constant alone where not given.
    within_df : float
        Degrees of freedom that the sampling variances rest on; infinite where known. Q is then
        compared with F instead of chi-square.

    Raises
    ------
    ValueError
        Not more effects than columns, a variance that is not positive, or columns that depend on
        each other.
    """
    y, v = np.asarray(effects, float), np.asarray(variances, float)
    x = np.ones((len(y), 1)) if design is None else np.asarray(design, float)
    k, p = x.shape
    if k <= p:
        raise ValueError(f"{k} effects for {p} coefficients: at least {p + 1} are needed")
    if not (v > 0).all():
        raise ValueError(f"sampling variances must be positive; the least is {v.min():g}")
    if np.linalg.matrix_rank(x) < p:
        raise ValueError("columns of the design depend on each other")
    tau2 = _reml(y, v, x)
    w = 1 / (v + tau2)
    inverse = np.linalg.inv((x.T * w) @ x)
    beta = inverse @ (x.T @ (w * y))
    df = k - p
    # Hartung & Knapp: scaled by the weighted scatter about the mean.
    covariance = inverse * float(w @ (y - x @ beta) ** 2) / df
    half = t.ppf(0.975, df) * np.sqrt(np.diag(covariance))
    q = _q(0.0, y, v, x)
    low, high = _q_profile(y, v, x)
    typical = df / _trace_p(1 / v, x)
    return Meta(
        beta,
        covariance,
        beta - half,
        beta + half,
        tau2,
        low,
        high,
        100 * tau2 / (tau2 + typical),
        q,
        df,
        float(chi2.sf(q, df) if math.isinf(within_df) else f.sf(q / df, df, within_df)),
        k,
        df,
    )


def _trace_p(w: np.ndarray, x: np.ndarray) -> float:
    """Trace of P = W - W X (X'WX)^-1 X'W."""
    return float(w.sum() - np.trace(np.linalg.solve((x.T * w) @ x, (x.T * w**2) @ x)))


def _score(tau2, y, v, x) -> np.ndarray:
    """Derivative of -2 log restricted likelihood at each tau2: tr P - y'PPy, P as above."""
    w = 1 / (v + np.asarray(tau2)[..., None])
    weighted = x.T * w[..., None, :]
    gram = weighted @ x
    beta = np.linalg.solve(gram, (weighted @ y)[..., None])[..., 0]
    twice = np.linalg.solve(gram, (x.T * w[..., None, :] ** 2) @ x)
    trace = w.sum(axis=-1) - np.trace(twice, axis1=-2, axis2=-1)
    return trace - ((w * (y - beta @ x.T)) ** 2).sum(axis=-1)


def _deviance(tau2: float, y, v, x) -> float:
    w = 1 / (v + tau2)
    gram = (x.T * w) @ x
    r = y - x @ np.linalg.solve(gram, x.T @ (w * y))
    return float(-np.log(w).sum() + np.linalg.slogdet(gram)[1] + w @ r**2)


def _reml(y, v, x) -> float:
    """tau^2 of greatest restricted likelihood, 0 where its derivative is positive everywhere."""
    most = 10 * (float(np.var(y)) + float(v.max())) + 1e-300
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 40) * most])
    score = _score(grid, y, v, x)
    rising = np.flatnonzero((score[:-1] < 0) & (score[1:] >= 0))
    found = [0.0] + [
        brentq(_score, grid[j], grid[j + 1], args=(y, v, x), xtol=1e-14 * most, rtol=1e-12)
        for j in rising
    ]
    return min(found, key=lambda tau2: _deviance(tau2, y, v, x))


def _q(tau2: float, y, v, x) -> float:
    w = 1 / (v + tau2)
    beta = np.linalg.solve((x.T * w) @ x, x.T @ (w * y))
    return float(w @ (y - x @ beta) ** 2)


def _q_profile(y, v, x) -> tuple[float, float]:
    """tau^2 whose Q is at the 97.5 % and the 2.5 % point of chi-square."""
    df = len(y) - x.shape[1]
    ends = []
    for point in (chi2.ppf(0.975, df), chi2.ppf(0.025, df)):
        if _q(0.0, y, v, x) <= point:
            ends.append(0.0)
            continue
        high = float(np.var(y)) + 1e-12
        while _q(high, y, v, x) > point:
            high *= 2
        ends.append(brentq(lambda tau2, p=point: _q(tau2, y, v, x) - p, 0.0, high, rtol=1e-12))
    return ends[0], ends[1]


@dataclass(frozen=True)
class LeftOut:
    """The answer without one site.

    `shift` : change of the mean over its standard error without the site (DFFITS-like); `weight`:
    share of the site in the full answer; `outlier_z`: its effect against the others, in SDs of the
    difference.
    """

    index: int
    meta: Meta
    shift: float
    weight: float
    outlier_z: float


def leave_one_out(effects: np.ndarray, variances: np.ndarray) -> list[LeftOut]:
    """The mean without each site in turn; needs three sites."""
    y, v = np.asarray(effects, float), np.asarray(variances, float)
    whole = random_effects(y, v)
    weights = 1 / (v + whole.tau2)
    found = []
    for j in range(len(y)):
        rest = np.delete(np.arange(len(y)), j)
        meta = random_effects(y[rest], v[rest])
        spread = math.sqrt(v[j] + meta.tau2 + 1 / np.sum(1 / (v[rest] + meta.tau2)))
        found.append(
            LeftOut(
                j,
                meta,
                (whole.mean - meta.mean) / meta.se if meta.se > 0 else math.nan,
                float(weights[j] / weights.sum()),
                (y[j] - meta.mean) / spread,
            )
        )
    return found


def outlier_limit(k: int) -> float:
    """Size of `LeftOut.outlier_z` that the furthest of k alike sites passes in at most 5 % of
    studies: t with k - 2 degrees of freedom, by Bonferroni over the sites. Where sampling variances
    are equal this is Grubbs' test (1950, Ann Math Stat 21:27)."""
    return float(t.ppf(1 - 0.05 / (2 * k), k - 2)) if k > 2 else math.inf


def shrunken(effects: np.ndarray, variances: np.ndarray, meta: Meta) -> tuple[np.ndarray, ...]:
    """Site effects shrunk towards the mean (best linear prediction): values, low, high.

    The interval holds the error of the mean (Kackar & Harville), not that of tau^2.
    """
    y, v = np.asarray(effects, float), np.asarray(variances, float)
    pull = meta.tau2 / (meta.tau2 + v)
    value = meta.mean + pull * (y - meta.mean)
    spread = np.sqrt(pull * v + (1 - pull) ** 2 * meta.se**2)
    half = t.ppf(0.975, meta.df) * spread
    return value, value - half, value + half

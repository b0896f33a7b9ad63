"""Restricted maximum likelihood for variance components, nested or crossed.

y = X b + sum_k Z_k u_k + e + m with u_k ~ N(0, theta_k I), e ~ N(0, theta_residual I) and m of
known variance (the sampling variance of each observation). The factor of most levels is inverted
level by level, the others by Woodbury's identity, so that a study of a thousand scans costs a
millisecond an evaluation; the gradient is exact. Patterson & Thompson 1971; Searle, Casella &
McCulloch 1992.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.linalg.lapack import dtrtrs
from scipy.optimize import brentq, minimize

RESIDUAL = "residual"

CUT95 = 3.841458820694124
"""95 % point of chi-square with one degree of freedom."""

SMALLEST = 1e-6
"""Least variance of an observation, as a share of the variance of all, where none is known."""


@dataclass(frozen=True)
class Data:
    """What a mixed model is fitted to.

    Attributes
    ----------
    y : array (n,)
    x : array (n, p)
        Fixed effects.
    known : array (n,)
        Sampling variance of each observation; 0 where not known.
    factors : tuple of (name, array (n,) of level numbers)
    residual : bool
        Estimate a residual variance beyond the known one.
    """

    y: np.ndarray
    x: np.ndarray
    known: np.ndarray
    factors: tuple[tuple[str, np.ndarray], ...]
    residual: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components, the residual last."""
        return tuple(name for name, _ in self.factors) + ((RESIDUAL,) if self.residual else ())


@dataclass(frozen=True)
class Components:
    """A fitted model.

    Attributes
    ----------
    names : tuple of str
    variances : array (k,)
    coefficients, covariance : arrays (p,), (p, p)
        Fixed effects (generalised least squares).
    deviance : float
        -2 log restricted likelihood, without its constant.
    """

    names: tuple[str, ...]
    variances: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    deviance: float


class Likelihood:
    """Deviance and gradient of one design, for any data on it."""

    def __init__(self, data: Data):
        factors = [(name, np.unique(index, return_inverse=True)[1]) for name, index in data.factors]
        sizes = [index.max() + 1 for _, index in factors]
        self.inner = int(np.argmax(sizes)) if factors else None
        order = (
            np.argsort(factors[self.inner][1], kind="stable") if factors else np.arange(len(data.y))
        )
        self.order = order
        self.x, self.known = data.x[order], data.known[order]
        self.residual = data.residual
        self.n, self.p = data.x.shape
        self.k = len(factors) + data.residual
        self.outer = [k for k in range(len(factors)) if k != self.inner]
        blocks = [np.eye(sizes[k])[factors[k][1][order]] for k in self.outer]
        self.z = np.concatenate(blocks, axis=1) if blocks else np.zeros((self.n, 0))
        self.owner = np.repeat(self.outer, [sizes[k] for k in self.outer]).astype(int)
        if factors:
            self.level = factors[self.inner][1][order]
            self.starts = np.flatnonzero(np.diff(self.level, prepend=-1))
        self.floor = SMALLEST * max(float(np.var(data.y)), float(np.mean(data.known)), 1e-300)

    def solve(self, theta: np.ndarray, y: np.ndarray):
        """Everything that deviance, gradient and fixed effects need (see `deviance`)."""
        n_fixed = self.p + 1
        d = self.known + (theta[-1] if self.residual else 0.0)
        w = 1 / np.maximum(d, self.floor)
        right = np.column_stack([self.x, y[self.order], self.z])
        wr = w[:, None] * right
        logdet = -np.log(w).sum()
        shrink = None
        if self.inner is not None:
            mass = np.add.reduceat(w, self.starts)
            shrink = theta[self.inner] / (1 + theta[self.inner] * mass)
            logdet += np.log1p(theta[self.inner] * mass).sum()
            sums = np.add.reduceat(wr, self.starts, axis=0)
            wr -= w[:, None] * (shrink[:, None] * sums)[self.level]
        gram = right.T @ wr
        g = np.sqrt(theta[self.owner]) if len(self.owner) else np.zeros(0)
        szz = gram[n_fixed:, n_fixed:]
        lower = np.linalg.cholesky(np.eye(len(g)) + g[:, None] * szz * g)
        logdet += 2 * np.log(np.diag(lower)).sum()
        half = _forward(lower, g[:, None] * gram[n_fixed:, :])
        reduced = gram - half.T @ half
        return w, wr, shrink, g, lower, half, reduced, logdet

    def deviance(self, theta: np.ndarray, y: np.ndarray, gradient: bool = True):
        """-2 log restricted likelihood and its gradient by theta."""
        p = self.p
        w, wr, shrink, g, lower, half, reduced, logdet = self.solve(theta, y)
        xvx, xvy = reduced[:p, :p], reduced[:p, p]
        inverse = np.linalg.inv(xvx)
        beta = inverse @ xvy
        value = logdet + np.linalg.slogdet(xvx)[1] + reduced[p, p] - xvy @ beta
        if not gradient:
            return float(value)
        # Columns of V^-1 [X, r], r = y - X b.
        mix = np.eye(p + 1)
        mix[:p, p] = -beta
        u = (wr[:, : p + 1] - wr[:, p + 1 :] @ (g[:, None] * self._back(lower, half, p))) @ mix
        metric = np.zeros((p + 1, p + 1))
        metric[:p, :p], metric[p, p] = inverse, 1.0
        found = np.empty(self.k)
        if len(g):
            zu = reduced[p + 1 :, : p + 1] @ mix
            part = np.diag(reduced)[p + 1 :] - np.einsum("ij,jk,ik->i", zu, metric, zu)
            for k in self.outer:
                found[k] = part[self.owner == k].sum()
        if self.inner is not None:
            mass = np.add.reduceat(w, self.starts)
            trace = (mass * (1 - shrink * mass)).sum()
            if len(g):
                sums = np.add.reduceat(wr[:, p + 1 :], self.starts, axis=0)
                trace -= (_forward(lower, (sums * g).T) ** 2).sum()
            iu = np.add.reduceat(u, self.starts, axis=0)
            found[self.inner] = trace - np.einsum("ij,jk,ik->", iu, metric, iu)
        if self.residual:
            trace = w.sum()
            if self.inner is not None:
                trace -= (shrink * np.add.reduceat(w**2, self.starts)).sum()
            if len(g):
                trace -= (_forward(lower, (wr[:, p + 1 :] * g).T) ** 2).sum()
            found[-1] = trace - np.einsum("ij,jk,ik->", u, metric, u)
        return float(value), found

    @staticmethod
    def _back(lower, half, p):
        return _forward(lower, half[:, : p + 1], transposed=True)

    def fixed(self, theta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fixed effects and their covariance."""
        reduced = self.solve(theta, y)[6]
        inverse = np.linalg.inv(reduced[: self.p, : self.p])
        return inverse @ reduced[: self.p, self.p], inverse


def _forward(lower: np.ndarray, right: np.ndarray, transposed: bool = False) -> np.ndarray:
    """L^-1 B, or L^-T B. LAPACK itself: a study calls it 100,000 times on a few rows each, and the
    checks of scipy's `solve_triangular` take longer than the sums."""
    return dtrtrs(lower, right, lower=1, trans=int(transposed))[0] if len(lower) else right


@dataclass(frozen=True)
class Tie:
    """Component k follows the others: theta_k = constant + slope * sum of the others."""

    k: int
    constant: float
    slope: float

    def full(self, free: np.ndarray) -> np.ndarray:
        """All components from the free ones."""
        return np.insert(free, self.k, self.constant + self.slope * free.sum())


def search(
    likelihood: Likelihood,
    y: np.ndarray,
    scale: float,
    start=None,
    tie: Tie | None = None,
    precise: bool = True,
) -> tuple[np.ndarray, float]:
    """Components of least deviance within theta >= 0, and that deviance.

    Parameters
    ----------
    scale : float
        Variance that makes the components of order one.
    start : array (k,), optional
    tie : Tie, optional
        For profiles.
    precise : bool
        Components to six digits; otherwise the deviance to a thousandth, enough for an interval.
    """
    k = likelihood.k

    def target(free):
        theta = free * scale
        if tie is None:
            value, slope = likelihood.deviance(theta, y)
            return value, slope * scale
        value, slope = likelihood.deviance(tie.full(theta), y)
        return value, (np.delete(slope, tie.k) + tie.slope * slope[tie.k]) * scale

    first = np.full(k, 1.0 / max(k, 1)) if start is None else np.maximum(start / scale, 1e-3)
    if tie is not None:
        first = np.delete(first, tie.k)
        if not len(first):
            theta = tie.full(first)
            return theta, likelihood.deviance(theta, y, gradient=False)
    done = minimize(
        target,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * len(first),
        options={
            "ftol": 1e-13 if precise else 1e-8,
            "gtol": 1e-7 if precise else 1e-3,
            "maxiter": 200,
        },
    )
    theta = done.x * scale if tie is None else tie.full(done.x * scale)
    return theta, float(done.fun)


def fit(data: Data) -> Components:
    """REML estimates of all components, from two starts where the first ends on a boundary."""
    likelihood = Likelihood(data)
    scale = _scale(data)
    theta, value = search(likelihood, data.y, scale)
    if (theta <= 1e-6 * scale).any():
        again, other = search(likelihood, data.y, scale, np.maximum(theta, 0.05 * scale))
        if other < value:
            theta, value = again, other
    theta = np.where(theta < 1e-9 * scale, 0.0, theta)
    beta, covariance = likelihood.fixed(theta, data.y)
    return Components(data.names, theta, beta, covariance, value)


def _scale(data: Data) -> float:
    """Variance about the fixed effects."""
    beta = np.linalg.lstsq(data.x, data.y, rcond=None)[0]
    spread = float(np.mean((data.y - data.x @ beta) ** 2))
    return max(spread, 1e-12 * max(float(np.mean(data.y**2)), 1e-300))


def profile_variance(data: Data, fitted: Components, name: str) -> tuple[float, float]:
    """95 % profile-likelihood interval of one variance component."""
    k = fitted.names.index(name)
    best = float(fitted.variances[k])
    scale = _scale(data)
    return _profile(data, fitted, lambda value: Tie(k, value, 0.0), best, scale, np.inf)


def profile_share(
    data: Data, fitted: Components, name: str, measurement: float = 0.0
) -> tuple[float, float]:
    """95 % profile-likelihood interval of a component's share of the total variance.

    Parameters
    ----------
    measurement : float
        Known variance that counts in the total.
    """
    k = fitted.names.index(name)
    total = float(fitted.variances.sum()) + measurement
    best = float(fitted.variances[k]) / total

    def tie(share):
        odds = share / (1 - share)
        return Tie(k, odds * measurement, odds)

    return _profile(data, fitted, tie, best, 0.1, 1 - 1e-6)


def _profile(data, fitted, tie, best, step, most) -> tuple[float, float]:
    likelihood, scale = Likelihood(data), _scale(data)

    near = {best: fitted.variances}

    @cache  # the ends of a bracket were looked at before
    def excess(value):
        if value == best:  # by definition; a search from there need not come back exactly
            return -CUT95
        start = near[min(near, key=lambda known: abs(known - value))]
        near[value], deviance = search(likelihood, data.y, scale, start, tie(value), False)
        return deviance - (fitted.deviance + CUT95)

    tolerance = 1e-3 * (scale if most == np.inf else 1.0)
    low = 0.0
    if best > 0 and excess(0.0) > 0:
        low = brentq(excess, 0.0, best, xtol=tolerance, rtol=1e-3)
    high = best
    while True:
        before, high = high, min(high + step, most)
        if excess(high) > 0:
            return low, brentq(excess, before, high, xtol=tolerance, rtol=1e-3)
        if high >= most or high > 1e4 * scale + best:
            return low, 1.0 if most < np.inf else np.inf
        step *= 2


def simulate(data: Data, fitted: Components, rng: np.random.Generator, count: int) -> np.ndarray:
    """Data sets (count, n) from the fitted model."""
    n = len(data.y)
    sd = np.sqrt(fitted.variances)
    residual = sd[-1] ** 2 if data.residual else 0.0
    y = rng.normal(size=(count, n)) * np.sqrt(data.known + residual)
    for (_, index), spread in zip(data.factors, sd):
        levels = np.unique(index, return_inverse=True)[1]
        y += (rng.normal(size=(count, levels.max() + 1)) * spread)[:, levels]
    return y + data.x @ fitted.coefficients


def bootstrap(
    data: Data, fitted: Components, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Components (count, k) and fixed effects (count, p) refitted to simulated data."""
    likelihood, scale = Likelihood(data), _scale(data)
    variances, effects = [], []
    for y in simulate(data, fitted, rng, count):
        theta, _ = search(likelihood, y, scale, fitted.variances)
        variances.append(theta)
        effects.append(likelihood.fixed(theta, y)[0])
    return np.array(variances), np.array(effects)


def without(data: Data, name: str) -> Data:
    """The model without one factor."""
    return replace(data, factors=tuple(one for one in data.factors if one[0] != name))


def levels(labels: Sequence) -> np.ndarray:
    """Level number of each label."""
    return np.unique(np.asarray([str(one) for one in labels]), return_inverse=True)[1]

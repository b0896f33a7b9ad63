"""Fixed effects of a mixed model in small samples: Kenward & Roger 1997 (Biometrics 53:983).

The covariance of generalised least squares takes the components of variance for known. Here it is
enlarged by what their uncertainty adds, and t has the degrees of freedom that match its second
moment (for one effect those of Satterthwaite). A component that is estimated as zero keeps its
uncertainty: zero is not read as knowledge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from fmrsflow.sites import reml

MOST = 3000
"""Observations above which matrices of them would not fit."""


@dataclass(frozen=True)
class Effects:
    """Fixed effects with their adjusted errors.

    Attributes
    ----------
    coefficients, se, df : arrays (p,)
        Of more than `MOST` observations those of `_contained`, and errors that take the components
        for known.
    covariance : array (p, p)
        Adjusted.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    df: np.ndarray

    @property
    def se(self) -> np.ndarray:
        """Adjusted standard errors."""
        return np.sqrt(np.diag(self.covariance))

    def interval(self, j: int = 0) -> tuple[float, float]:
        """95 % interval of an effect."""
        half = float(t.ppf(0.975, self.df[j]) * self.se[j])
        return float(self.coefficients[j]) - half, float(self.coefficients[j]) + half

    def p_value(self, j: int = 0) -> float:
        """Two-sided p of no such effect."""
        return float(2 * t.sf(abs(self.coefficients[j]) / self.se[j], self.df[j]))


def effects(data: reml.Data, fitted: reml.Components) -> Effects:
    """Fixed effects of a fitted model.

    Parameters
    ----------
    data : reml.Data
    fitted : reml.Components
        What `reml.fit` found of it.
    """
    n, p = data.x.shape
    if n > MOST:
        return Effects(fitted.coefficients, fitted.covariance, np.full(p, _contained(data)))
    blocks = [np.eye(index.max() + 1)[index] for _, index in _numbered(data)]
    v = np.diag(data.known + (fitted.variances[-1] if data.residual else 0.0))
    for block, variance in zip(blocks, fitted.variances):
        v += variance * block @ block.T
    # As in reml.Likelihood: no observation is free of error.
    floor = reml.SMALLEST * max(float(np.var(data.y)), float(np.mean(data.known)), 1e-300)
    v[np.diag_indices(n)] = np.maximum(np.diag(v), floor)
    inverse = np.linalg.inv(v)
    half = inverse @ data.x
    phi = np.linalg.inv(data.x.T @ half)
    projector = inverse - half @ phi @ half.T
    if data.residual:
        blocks.append(None)  # the identity
    k = len(blocks)
    information = np.empty((k, k))
    # G_i = Z_i Z_i': traces and products go over levels, not observations.
    right = [half if block is None else block.T @ half for block in blocks]
    first = [-one.T @ one for one in right]
    for i in range(k):
        for j in range(i, k):
            cross = _between(blocks[i], projector, blocks[j])
            information[i, j] = information[j, i] = 0.5 * float((cross**2).sum())
    uncertainty = np.linalg.pinv(information, hermitian=True)
    added = np.zeros((p, p))
    for i in range(k):
        for j in range(k):
            second = right[i].T @ _between(blocks[i], inverse, blocks[j]) @ right[j]
            added += uncertainty[i, j] * (second - first[i] @ phi @ first[j])
    covariance = phi + 2 * phi @ added @ phi
    # Never below that of known components, where rounding or a singular design would have it so.
    covariance[np.diag_indices(p)] = np.maximum(np.diag(covariance), np.diag(phi))
    slopes = np.array([np.diag(phi @ one @ phi) / np.diag(phi) for one in first])
    spread = np.einsum("ip,ij,jp->p", slopes, uncertainty, slopes)
    with np.errstate(divide="ignore"):
        df = np.where(spread > 0, 2 / np.maximum(spread, 1e-300), np.inf)
    return Effects(fitted.coefficients, covariance, np.maximum(df, 1.0))


def _contained(data: reml.Data) -> float:
    """Degrees of freedom that no effect has fewer of: the levels of the factor with the fewest,
    less the effects. Many scans of few sites do not make the variance between sites known."""
    fewest = min((len(np.unique(index)) for _, index in data.factors), default=len(data.y))
    return float(max(fewest - data.x.shape[1], 1))


def _numbered(data: reml.Data):
    return [(name, np.unique(index, return_inverse=True)[1]) for name, index in data.factors]


def _between(left, matrix: np.ndarray, right) -> np.ndarray:
    """Z_i' M Z_j, None standing for the identity."""
    found = matrix if left is None else left.T @ matrix
    return found if right is None else found @ right

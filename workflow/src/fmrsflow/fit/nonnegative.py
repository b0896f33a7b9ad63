"""Non-negative least squares on normal equations, fast from a good guess of the active set."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, lapack


def solve_nonnegative(
    gram: np.ndarray, product: np.ndarray, passive: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise a' gram a - 2 product' a over a >= 0.

    Parameters
    ----------
    gram : array (n, n), positive definite
    product : array (n,)
    passive : boolean array (n,)
        First guess of the positive ones; the result does not depend on it.

    Returns
    -------
    amplitudes : array (n,)
    passive : boolean array (n,)
        The positive ones.

    Raises
    ------
    scipy.linalg.LinAlgError
        `gram` is singular: two signals are the same.
    """
    scale = 1.0 / np.sqrt(gram.diagonal())
    gram, product = gram * (scale[:, None] * scale), product * scale
    enough = 1e-12 * np.abs(product).max()
    for _ in range(3):
        chosen = np.flatnonzero(passive)
        a = np.zeros(len(product))
        a[chosen] = _solve(gram[chosen[:, None], chosen], product[chosen])
        # Wrong side: a negative amplitude, or one held at zero that would lower the residual.
        wrong = np.where(passive, a < 0, product - gram @ a > enough)
        if not wrong.any():
            return a * scale, passive
        passive = passive ^ wrong
    factor, info = lapack.dpotrf(gram, lower=0)
    if info:
        raise LinAlgError("signals of the model are linearly dependent")
    from scipy.optimize import nnls  # rarely reached, and slow to import

    target, _ = lapack.dtrtrs(factor, product, lower=0, trans=1)
    a, _ = nnls(np.triu(factor), target, maxiter=50 * len(product))
    return a * scale, a > 0


def _solve(gram: np.ndarray, product: np.ndarray) -> np.ndarray:
    if not len(product):
        return product
    factor, info = lapack.dpotrf(gram, lower=1)
    if info:
        raise LinAlgError("signals of the model are linearly dependent")
    return lapack.dpotrs(factor, product, lower=1)[0]

"""Errors of a fit under noise that is not white (docs/science.md#noise-shape).

A filter before the export makes neighbouring points of the spectrum depend on each other. Least
squares stays unbiased, but its errors are no longer those of the Fisher information: they are
A^-1 J'CJ A^-1 with A the information of the fit, J its derivatives and C the covariance of the
noise (the sandwich of White 1982, doi:10.2307/1912526).
"""

from __future__ import annotations

import numpy as np

from fmrsflow.noise import NoiseShape


def coloured_covariance(
    shape: NoiseShape,
    index: np.ndarray,
    derivatives: np.ndarray,
    inverse: np.ndarray,
    columns: np.ndarray,
    shares: np.ndarray,
    cost: float,
) -> np.ndarray:
    """Covariance of amplitudes and nonlinear parameters.

    Parameters
    ----------
    shape : NoiseShape
    index : int array (n_points,)
        Places of the range of the fit in the transform of the whole FID.
    derivatives : array (n, 2, n_points)
        Of the model by amplitudes and nonlinear parameters, real and imaginary part.
    inverse : array (n, n)
        Inverse of the information, priors and baseline counted; A^-1 above.
    columns : array (n_points, n_columns)
        Orthonormal columns of the baseline of one part.
    shares : array (n_columns,)
        Share of each that the baseline takes up.
    cost : float
        Penalised sum of squares of the residual.

    Returns
    -------
    array (n, n)
    """
    projected = derivatives - ((derivatives @ columns) * shares) @ columns.T
    middle = shape.products(projected[:, 0] + 1j * projected[:, 1], index)
    # What the baseline and the parameters take off the residual: the filter leaves more of the
    # noise in smooth curves than in others.
    baseline = 2 * shares @ np.diag(shape.products(columns.T.astype(complex), index))
    taken = baseline + np.sum(inverse * middle)
    variance = cost / max(2 * len(index) - taken, 1.0)
    return variance * inverse @ middle @ inverse

"""Errors of a fit under noise that is not white (docs/science.md#noise-shape).

A filter before the export makes neighbouring points of the spectrum depend on each other. Least
squares stays unbiased, but its errors are no longer those of the Fisher information: they are
A^-1 J'CJ A^-1 with A the information of the fit, J its derivatives and C the covariance of the
noise (the sandwich of White 1982, doi:10.2307/1912526).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.fids import Fids
from fmrsflow.fit.baseline import Baseline
from fmrsflow.noise import NoiseShape, used_points


def cut_alike(fids: Fids, basis: Basis) -> tuple[Fids, Basis]:
    """FIDs without appended zeros, and a basis on their axes cut to the same length."""
    n = used_points(fids)
    if n == fids.n_points or basis.fids.shape[1] != fids.n_points:
        return fids, basis
    return fids.with_data(fids.data[:, :, :n]), replace(basis, fids=basis.fids[:, :n])


def coloured_covariance(
    shape: NoiseShape,
    index: np.ndarray,
    projected: np.ndarray,
    inverse: np.ndarray,
    baseline: tuple[Baseline, float],
    squares: float,
    n_spectra: int = 1,
) -> np.ndarray:
    """Covariance of amplitudes and nonlinear parameters.

    Parameters
    ----------
    shape : NoiseShape
    index : int array (n_points,)
        Places of the range of the fit in the transform of the whole FID.
    projected : array (n, n_spectra, 2, n_points)
        Derivatives of the model by amplitudes and nonlinear parameters in independent spectra of
        the same noise, real and imaginary part, the baseline projected out.
    inverse : array (n, n)
        Inverse of the information, priors and baseline counted; A^-1 above.
    baseline : Baseline and float
        The baseline of the first of the spectra, and its smoothness.
    squares : float
        Penalised sum of squares of the residuals.
    n_spectra : int
        How many spectra had these residuals.

    Returns
    -------
    array (n, n)
    """
    spectra = (projected[:, :, 0] + 1j * projected[:, :, 1]).swapaxes(0, 1)
    middle = sum(shape.products(rows, index) for rows in spectra)
    model, smoothness = baseline
    own = np.diag(shape.products(model.columns.T.astype(complex), index))
    # What baseline and parameters take off the residual: a filter leaves more of the noise in
    # smooth curves than in others.
    taken = 2 * model.shares(smoothness) @ own + np.sum(inverse * middle)
    variance = squares / max(2 * len(index) * n_spectra - taken, 1.0)
    return variance * inverse @ middle @ inverse

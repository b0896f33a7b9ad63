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
from fmrsflow.fit.band import Band
from fmrsflow.noise import NoiseShape, used_points


def cut_alike(fids: Fids, basis: Basis) -> tuple[Fids, Basis]:
    """FIDs without appended zeros, and a basis on their axes cut to the same length."""
    n = used_points(fids)
    if n == fids.n_points or basis.fids.shape[1] != fids.n_points:
        return fids, basis
    return fids.with_data(fids.data[:, :, :n]), replace(basis, fids=basis.fids[:, :n])


def coloured_products(shape: NoiseShape, band: Band, rows: np.ndarray) -> np.ndarray:
    """Covariance that noise of this shape and variance one gives the products of rows (n, 2,
    n_points) with a spectrum, (n, n); J'CJ above."""
    power = band.padded(shape.power) * (band.n_fft / band.n_used)
    padded = NoiseShape(power, shape.white)
    return padded.products(rows[:, 0] + 1j * rows[:, 1], band.bins[band.inside])

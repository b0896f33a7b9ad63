"""Coil combination with noise-whitened SVD weights (Rodgers & Robson 2010, WSVD).

A voxel's signal reaches coil c as s_c x(t) plus noise of covariance Psi. The weights
w = s^H Psi^-1 / (s^H Psi^-1 s), |s| = 1, give x(t) with the least noise. s is the leading
eigenvector of the whitened coil-by-coil signal matrix summed over transients and points, which
does not care how frequency and phase move from one transient to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.quality import quiet_points

CHUNK_BYTES = 32e6
"""Working memory of one step; 32 coils x 320 transients are never copied as a whole."""

SIGNAL_S = 0.15
"""Length of the FID (s) that gives the sensitivities: later points hold mostly noise."""


@dataclass(frozen=True)
class CoilWeights:
    """Weights of one scan.

    Attributes
    ----------
    weights : complex array (n_coils,)
        Combined FID = sum over coils of weight times FID.
    sensitivity : complex array (n_coils,)
        Relative coil sensitivities, root sum of squares 1.
    noise_covariance : complex array (n_coils, n_coils)
    gain : float
        SNR of the combination over that of the best single coil.
    """

    weights: np.ndarray
    sensitivity: np.ndarray
    noise_covariance: np.ndarray
    gain: float


def noise_covariance(fids: Fids) -> np.ndarray:
    """Covariance of the noise between coils, complex (n_coils, n_coils).

    From the quiet part of the FID. What is common to all transients (signal that has not
    decayed) is taken out by the mean over transients; with fewer than eight transients by second
    differences in time, which the slow signal near the carrier does not survive.

    Raises
    ------
    DataError
        A coil without noise (disconnected, or set to zero).
    """
    quiet = quiet_points(fids.n_points)
    length = quiet.stop - quiet.start
    many = fids.n_transients >= 8
    total = np.zeros((fids.n_coils, fids.n_coils), complex)
    if many:
        mean = fids.data[:, :, quiet].mean(axis=0)
        samples = (fids.n_transients - 1) * length
    else:
        samples = fids.n_transients * (length - 2)
    for chunk in _chunks(fids):
        tail = fids.data[chunk, :, quiet]
        tail = tail - mean if many else np.diff(tail, n=2, axis=-1) / np.sqrt(6)
        tail = np.moveaxis(tail, 1, 0).reshape(fids.n_coils, -1)
        total += tail @ tail.conj().T
    covariance = total / samples
    variance = covariance.diagonal().real
    if not np.all(variance > 0):
        dead = np.flatnonzero(~(variance > 0)).tolist()
        raise DataError(
            f"coil(s) {dead} (counted from 0) hold no noise, that is no data: "
            "remove the coil from the file"
        )
    # Shrink toward independent coils where there are few samples for so many coils.
    shrink = min(1.0, fids.n_coils / samples)
    return (1 - shrink) * covariance + shrink * np.diag(variance)


def coil_weights(fids: Fids, noise: np.ndarray | None = None) -> CoilWeights:
    """Weights from a water reference, or from the metabolite scan itself.

    Parameters
    ----------
    fids : Fids
        All coils of the scan that gives the sensitivities.
    noise : complex array (n_coils, n_coils), optional
        Noise covariance; that of `fids` by default.

    Raises
    ------
    DataError
        No signal above the noise.
    """
    noise = noise_covariance(fids) if noise is None else noise
    last = min(fids.n_points, max(16, round(SIGNAL_S / fids.dwell_s)))
    power = np.zeros_like(noise)
    for chunk in _chunks(fids):
        block = np.moveaxis(fids.data[chunk, :, :last], 1, 0).reshape(fids.n_coils, -1)
        power += block @ block.conj().T
    lower = np.linalg.cholesky(noise)
    whitened = np.linalg.solve(lower, np.linalg.solve(lower, power).conj().T)
    values, vectors = np.linalg.eigh(whitened)
    if not np.isfinite(values[-1]) or values[-1] <= 0:
        raise DataError("the coils hold no signal: check the file")
    sensitivity = lower @ vectors[:, -1]
    sensitivity = sensitivity / np.linalg.norm(sensitivity)
    first = fids.data[:, :, 0].mean(axis=0)
    solved = np.linalg.solve(noise, sensitivity)
    weights = solved.conj() / (sensitivity.conj() @ solved).real
    # The first point of the scan that gave the weights becomes real and positive.
    phase = np.exp(-1j * np.angle(weights @ first))
    best = np.max(np.abs(sensitivity) ** 2 / noise.diagonal().real)
    gain = np.sqrt((sensitivity.conj() @ solved).real / best)
    return CoilWeights(weights * phase, sensitivity * phase.conj(), noise, float(gain))


def combine(fids: Fids, weights: CoilWeights) -> Fids:
    """Combine the coils; (n_transients, 1, n_points), complex128.

    Raises
    ------
    DataError
        Other number of coils than weights.
    """
    if fids.n_coils != len(weights.weights):
        raise DataError(
            f"{fids.n_coils} coils, but the scan that gives the weights has "
            f"{len(weights.weights)}: metabolite scan and water reference must come from the same "
            "coils; export both combined or both not"
        )
    row = weights.weights.astype(np.result_type(fids.data.dtype, np.complex64))
    combined = np.empty((fids.n_transients, 1, fids.n_points), complex)
    for chunk in _chunks(fids):
        combined[chunk, 0] = row @ fids.data[chunk]
    return fids.with_data(combined)


def _chunks(fids: Fids):
    size = max(1, int(CHUNK_BYTES / (fids.data[0].nbytes or 1)))
    for start in range(0, fids.n_transients, size):
        yield slice(start, start + size)

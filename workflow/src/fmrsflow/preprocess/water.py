"""Residual water by HLSVD (Barkhuijsen 1987; Laudadio 2002; library hlsvdpropy).

HLSVD decomposes a FID into damped exponentials; those inside the water window are subtracted.
A decomposition of 320 transients of 4096 points, one by one, would take minutes and lose water
that stands below the noise of one transient but not of their average. So:

1. Each FID is turned so that the window's centre stands at zero, and passed through a low-pass FIR
   filter that looks ahead, y[n] = sum_l h[l] x[n D + l], keeping each D-th point. An exponential z^n
   becomes H(z) (z^D)^n exactly: no ringing at the start of the FID, and its amplitude is known.
2. The short, narrow-band FIDs are written as combinations of their mean and of the leading
   principal components that rise above the noise.
3. HLSVD of each of these few; the water part of a transient is the same combination of theirs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import Fids

ORDER = 16
"""Damped exponentials of the narrow band: water and the lines beside it."""

MARGIN_PPM = 0.5
"""Lines this far outside the window are decomposed with it, so that they are not taken for water."""

MAX_COMPONENTS = 8
"""Most principal components that are decomposed beside the mean."""


@dataclass(frozen=True)
class WaterRemoval:
    """Result of `remove_water`.

    Attributes
    ----------
    water : complex array (n_transients, n_points)
        What was subtracted.
    amplitude : float array (n_transients,)
        Its magnitude at t = 0.
    n_components : int
        Decompositions that were needed (the mean and principal components).
    """

    water: np.ndarray
    amplitude: np.ndarray
    n_components: int


def residual_water(
    fids: Fids, window_ppm: tuple[float, float] = (4.2, 4.9), order: int = ORDER
) -> WaterRemoval:
    """Residual water of each transient.

    Parameters
    ----------
    fids : Fids
        Coils combined.
    window_ppm : pair of float
        Components inside are water.
    order : int
        Singular values kept in each decomposition.
    """
    low, high = sorted(window_ppm)
    centre_hz = fids.hz_at((low + high) / 2)
    half_hz = (high - low) / 2 * fids.frequency_mhz
    turn = np.exp(-2j * np.pi * centre_hz * fids.time_s)
    band_hz = half_hz + MARGIN_PPM * fids.frequency_mhz
    taps, step = _low_pass(fids.dwell_s, band_hz, fids.n_points)
    narrow = _decimate(fids.transients * turn, taps, step)
    coefficients, profiles = _profiles(narrow)
    water = np.zeros((len(profiles), fids.n_points), complex)
    for row, profile in zip(water, profiles):
        poles, amplitudes = _decompose(profile, order)
        frequency = np.angle(poles) / (2 * np.pi * fids.dwell_s * step)
        inside = np.abs(frequency) <= half_hz
        if not inside.any():
            continue
        # z of the original raster; |angle| < pi after the filter, so the root is unique.
        root = np.exp(np.log(poles[inside]) / step)
        gain = np.polynomial.polynomial.polyval(root, taps)
        row += (amplitudes[inside] / gain) @ np.vander(root, fids.n_points, increasing=True)
    removed = coefficients @ water * turn.conj()
    return WaterRemoval(removed, np.abs(removed[:, 0]), len(profiles))


def remove_water(
    fids: Fids, window_ppm: tuple[float, float] = (4.2, 4.9), order: int = ORDER
) -> tuple[Fids, WaterRemoval]:
    """FIDs without residual water; see `residual_water`."""
    found = residual_water(fids, window_ppm, order)
    return fids.with_data(fids.transients - found.water), found


def _low_pass(dwell_s: float, band_hz: float, n_points: int) -> tuple[np.ndarray, int]:
    """FIR taps that pass +-band_hz, and the decimation that folds nothing back into it."""
    from scipy.signal import firwin

    step = max(1, int(1 / (dwell_s * 3 * band_hz)))
    if step == 1:
        return np.ones(1), 1
    # Stop band from the new sampling rate less the pass band; Kaiser window of 70 dB.
    transition = (1 / (dwell_s * step) - 2 * band_hz) * dwell_s
    length = min(int(np.ceil((70 - 7.95) / (14.36 * transition))) | 1, n_points // 8 | 1)
    cutoff = 0.5 / (dwell_s * step)
    return firwin(length, cutoff, window=("kaiser", 6.76), fs=1 / dwell_s), step


def _decimate(data: np.ndarray, taps: np.ndarray, step: int) -> np.ndarray:
    from numpy.lib.stride_tricks import sliding_window_view

    windows = sliding_window_view(data, len(taps), axis=-1)[:, ::step]
    return np.stack([row @ taps for row in windows])


def _profiles(narrow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Narrow FIDs as coefficients (n, k) times profiles (k, points): mean first, then components
    that stand out of the noise."""
    mean = narrow.mean(axis=0)
    n = len(narrow)
    if n == 1:
        return np.ones((1, 1)), mean[None]
    rest = narrow - mean
    left, values, right = np.linalg.svd(rest, full_matrices=False)
    # Largest singular value of white noise of that size: sigma (sqrt(n) + sqrt(points)).
    tail = rest[:, narrow.shape[1] * 3 // 4 :]
    sigma = np.sqrt(np.mean(np.abs(tail) ** 2))
    edge = 1.1 * sigma * (np.sqrt(n) + np.sqrt(narrow.shape[1]))
    count = min(MAX_COMPONENTS, int(np.sum(values > edge)))
    coefficients = np.hstack([np.ones((n, 1)), left[:, :count] * values[:count]])
    return coefficients, np.vstack([mean[None], right[:count]])


def _decompose(fid: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Poles and amplitudes of a FID as a sum of damped exponentials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # its use of pkg_resources
        from hlsvdpropy import hlsvdpro

    order = min(order, len(fid) // 3)
    scale = np.abs(fid).max()
    if scale == 0:
        return np.zeros(0, complex), np.zeros(0, complex)
    _, _, frequency, damping, *_ = hlsvdpro(fid / scale, order)
    # A growing exponential is noise at the end of the FID.
    poles = np.exp(np.minimum(damping, 0.0) + 2j * np.pi * np.asarray(frequency))
    table = np.vander(poles, len(fid), increasing=True).T
    return poles, np.linalg.lstsq(table, fid, rcond=1e-10)[0]

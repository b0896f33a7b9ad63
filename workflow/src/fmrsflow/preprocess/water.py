"""Residual water by HLSVD (Barkhuijsen 1987; Laudadio 2002, doi:10.1006/jmre.2002.2593).

HLSVD decomposes a FID into damped exponentials; those inside the water window are subtracted.
Done one by one, 320 transients of 4096 points would take an hour and lose the water that stands
below the noise of one transient but not of their average. So:

1. In a narrow band round the water window the transients are written as combinations of their mean
   and of the few principal components that rise above the noise: their courses over the scan.
2. The combinations of whole FIDs that have these courses are decomposed, instead of the transients.
   Blocks of points are averaged first, as far as the proton range allows: the block average of a
   damped exponential is one with the same damping and frequency, so nothing is approximated.
3. The water of a transient is the same combination of the components' water.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, eigvals, hankel, lstsq, svd
from scipy.sparse.linalg import LinearOperator, svds

from fmrsflow.fids import Fids, to_spectrum
from fmrsflow.quality import quiet_points

ORDER = 25
"""Damped exponentials of a decomposition."""

BAND_PPM = 12.0
"""Bandwidth that the block averages keep: no proton line of the body folds."""

DECOMPOSED_POINTS = 640
"""Block averages of which the poles are found; their amplitudes come from the whole FID."""

WATER_LINE_PPM, METABOLITES_PPM = (4.2, 5.1), (1.8, 3.4)
MATCHED_HZ = 4.0
"""Windows and Lorentzian broadening of `times_metabolites`."""

UNSUPPRESSED = 70.0
"""Water so many times as high as the metabolites was not suppressed: measured suppressed scans have
31 at most, measured references 142 and more."""

MARGIN_PPM = 0.3
"""The band of the principal components reaches this far beyond the water window."""

MAX_COMPONENTS = 8
"""Most principal components that are decomposed beside the mean."""


@dataclass(frozen=True)
class ResidualWater:
    """Result of `residual_water`.

    Attributes
    ----------
    fids : complex array (n_transients, n_points)
        The water of each transient.
    n_components : int
        Decompositions that were needed (the mean and principal components).
    """

    fids: np.ndarray
    n_components: int


def residual_water(
    fids: Fids, window_ppm: tuple[float, float] = (4.2, 4.9), order: int = ORDER
) -> ResidualWater:
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
    courses = _courses(fids, window_ppm)
    profiles = np.linalg.pinv(courses) @ fids.transients
    water = np.stack([_water_of(profile, fids, window_ppm, order) for profile in profiles])
    return ResidualWater(courses @ water, len(profiles))


def times_metabolites(water: Fids, clean: Fids) -> float:
    """Height of the water line over that of the highest metabolite, of averages; magnitudes.

    Parameters
    ----------
    water, clean : Fids
        The scan's water and what is left without it, transients aligned.
    """
    heights = []
    for part, (low, high) in ((water, WATER_LINE_PPM), (clean, METABOLITES_PPM)):
        fid = part.transients.mean(axis=0) * np.exp(-np.pi * MATCHED_HZ * part.time_s)
        inside = (part.ppm >= low) & (part.ppm <= high)
        heights.append(np.abs(to_spectrum(fid))[inside].max())
    return float(heights[0] / heights[1]) if heights[1] > 0 else float("inf")


def remove_water(
    fids: Fids, window_ppm: tuple[float, float] = (4.2, 4.9), order: int = ORDER
) -> tuple[Fids, ResidualWater]:
    """FIDs without residual water; see `residual_water`."""
    found = residual_water(fids, window_ppm, order)
    return fids.with_data(fids.transients - found.fids), found


def _courses(fids: Fids, window_ppm: tuple[float, float]) -> np.ndarray:
    """Courses over the scan, (n_transients, k): constant, and principal components in the band."""
    n = fids.n_transients
    constant = np.ones((n, 1), complex)
    if n < 3:
        return np.eye(n, dtype=complex)
    low, high = min(window_ppm) - MARGIN_PPM, max(window_ppm) + MARGIN_PPM
    band = fids.spectra[:, 0, (fids.ppm >= low) & (fids.ppm <= high)]
    rest = band - band.mean(axis=0)
    left, values, _ = np.linalg.svd(rest, full_matrices=False)
    tail = np.diff(fids.transients[:, quiet_points(fids.n_points)], axis=-1)
    sigma = np.sqrt(np.mean(np.abs(tail) ** 2) / 2 * fids.n_points)
    # Largest singular value of white noise of that size, and a tenth for safety.
    edge = 1.1 * sigma * (np.sqrt(n) + np.sqrt(band.shape[1]))
    count = min(MAX_COMPONENTS, int(np.sum(values > edge)))
    return np.hstack([constant, left[:, :count]])


def _water_of(profile: np.ndarray, fids: Fids, window_ppm, order: int) -> np.ndarray:
    step = max(1, int(1 / (BAND_PPM * fids.frequency_mhz * fids.dwell_s)))
    length = fids.n_points // step
    blocks = profile[: length * step].reshape(length, step).mean(axis=1)
    poles = _poles(blocks[:DECOMPOSED_POINTS], order)
    table = np.vander(poles, length, increasing=True).T
    amplitudes = np.linalg.lstsq(table, blocks, rcond=1e-10)[0]
    ppm = fids.carrier_ppm + np.angle(poles) / (2 * np.pi * fids.dwell_s * step) / (
        fids.frequency_mhz
    )
    inside = (ppm >= min(window_ppm)) & (ppm <= max(window_ppm))
    # The pole of the original raster, and what averaging a block made of its amplitude.
    root = np.exp(np.log(poles[inside]) / step)
    gain = np.mean(root[:, None] ** np.arange(step), axis=1)
    return (amplitudes[inside] / gain) @ np.vander(root, fids.n_points, increasing=True)


def _poles(fid: np.ndarray, order: int) -> np.ndarray:
    """Poles of a FID as a sum of damped exponentials.

    The leading singular vectors of the Hankel matrix span the signal; a shift by a point turns them
    into each other by a small matrix, whose eigenvalues are the poles.
    """
    scale = np.abs(fid).max()
    if scale == 0:
        return np.zeros(0, complex)
    left = _leading(fid / scale, min(order, len(fid) // 3))
    poles = eigvals(lstsq(left[:-1], left[1:])[0])
    # A growing exponential is noise at the end of the FID.
    return poles / np.maximum(np.abs(poles), 1.0)


def _leading(fid: np.ndarray, count: int) -> np.ndarray:
    """The first `count` left singular vectors, as columns, of the FID's Hankel matrix."""
    columns = len(fid) // 2 + 1
    rows = len(fid) + 1 - columns
    transform, adjoint = np.fft.fft(fid), np.fft.fft(fid.conj())

    # A product with a Hankel matrix is a correlation.
    def times(vector):
        product = transform * np.fft.fft(vector.ravel()[::-1], len(fid))
        return np.fft.ifft(product)[columns - 1 :]

    def adjoint_times(vector):
        product = adjoint * np.fft.fft(vector.ravel()[::-1], len(fid))
        return np.fft.ifft(product)[rows - 1 :]

    matrix = LinearOperator((rows, columns), times, adjoint_times, dtype=complex)
    try:
        # Lanczos, as Laudadio has it: a tenth of the time of all vectors.
        start = np.ones(rows, complex)
        return svds(matrix, count, v0=start, solver="propack", return_singular_vectors="u")[0]
    except LinAlgError:
        # Fewer exponentials than vectors, without noise.
        return svd(hankel(fid[:rows], fid[rows - 1 :]), full_matrices=False)[0][:, :count]

"""N4 bias correction (Tustison 2010, doi:10.1109/TMI.2010.2046908) of a masked image.

The histogram of the logarithms is deconvolved, which sharpens it; what the sharpening takes off
each voxel is smoothed by cubic B-splines on a grid of control points, and the two steps are
repeated until the field stands, on ever finer grids. Step by step the algorithm and constants of
ITK (N4BiasFieldCorrectionImageFilter), whose single steps come out to 1e-8. On an image's regular
grid the splines are products of one small matrix an axis, which takes a thirtieth of the time.
"""

from __future__ import annotations

import numpy as np

SHRINK_MM = 4.0
"""Grid on which the smooth field is found; the field itself is evaluated on the full grid."""

LEVELS = 4
ITERATIONS = 50
"""Levels of ever finer control points, and most iterations of each."""

CONVERGENCE = 0.001
"""Coefficient of variation of the change of the field below which a level ends."""

_POINTS = 4
_DEGREE = 3
_BINS = 200
_PADDED = 512
_OFFSET = (_PADDED - _BINS) // 2
_FWHM = 0.15
"""Width of the field's distribution, in logarithms of intensity."""

_NOISE = 0.01
"""Of the Wiener filter that deconvolves."""

_EDGE = 1e-3
"""The last voxel stands this share of its size inside the last span."""


def log_bias(image: np.ndarray, mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Logarithm of the bias field on the grid of the image.

    Parameters
    ----------
    image : array (x, y, z)
    mask : bool array (x, y, z)
    spacing : array (3,)
        Size of a voxel, mm.

    Returns
    -------
    float32 array (x, y, z)
    """
    factors = [max(1, int(round(SHRINK_MM / step))) for step in spacing]
    small = tuple(_every(length, factor) for length, factor in zip(image.shape, factors))
    lattice = _lattice(image[small], mask[small])
    return _surface(lattice, [_splines(n, m) for n, m in zip(image.shape, lattice.shape)])


def _every(length: int, factor: int) -> slice:
    """Every `factor`-th voxel, as many as fit, round the middle of the axis."""
    count = max(1, length // factor)
    start = int(np.floor((length - 1) / 2 - (count - 1) / 2 * factor + 0.5))
    return slice(start, start + (count - 1) * factor + 1, factor)


def _lattice(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Control points of the logarithm of the field."""
    # Only the box round the mask: beyond it no voxel counts. The splines span the whole image.
    box = tuple(slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(mask))
    inside = mask[box]
    values = image[box][inside].astype(float)
    values[values > 0] = np.log(values[values > 0])
    lattice = np.zeros((_POINTS,) * 3)
    field = np.zeros(len(values))
    for level in range(LEVELS):
        if level:
            lattice = _refined(lattice)
        axes = [
            _splines(length, count)[part]
            for length, count, part in zip(image.shape, lattice.shape, box)
        ]
        fit = _Approximation(axes, inside)
        for _ in range(ITERATIONS):
            corrected = values - field
            lattice = lattice + fit.control_points(corrected - _sharpened(corrected))
            before, field = field, _surface(lattice, axes)[inside]
            change = np.exp(before - field)
            if change.std(ddof=1) / change.mean() <= CONVERGENCE:
                break
    return lattice


def _sharpened(values: np.ndarray) -> np.ndarray:
    """Expected true value of each, the histogram deconvolved by the field's distribution."""
    low = values.min()
    slope = (values.max() - low) / (_BINS - 1)
    if slope == 0:
        return values
    place = (values - low) / slope
    lower = np.minimum(place.astype(int), _BINS - 2)
    offset = place - lower
    counts = np.bincount(lower, 1 - offset, _BINS) + np.bincount(lower + 1, offset, _BINS)
    padded = np.zeros(_PADDED)
    padded[_OFFSET : _OFFSET + _BINS] = counts
    away = np.minimum(np.arange(_PADDED), _PADDED - np.arange(_PADDED))
    width = _FWHM / slope
    blur = 2 * np.sqrt(np.log(2) / np.pi) / width * np.exp(-4 * np.log(2) * (away / width) ** 2)
    blur = np.fft.fft(blur)
    wiener = (blur.conj() / (blur.conj() * blur + _NOISE)).real
    sharp = np.maximum(np.fft.ifft(np.fft.fft(padded) * wiener).real, 0)
    centres = low + (np.arange(_PADDED) - _OFFSET) * slope
    above = np.fft.ifft(np.fft.fft(centres * sharp) * blur).real
    below = np.fft.ifft(np.fft.fft(sharp) * blur).real
    expected = np.divide(above, below, out=np.zeros(_PADDED), where=below != 0)
    expected = expected[_OFFSET : _OFFSET + _BINS]
    return expected[lower] + (expected[lower + 1] - expected[lower]) * offset


class _Approximation:
    """B-spline approximation of scattered values (Lee 1997, doi:10.1109/2945.620490), which here
    lie on the voxels of a mask: the sums over voxels are products of a matrix an axis."""

    def __init__(self, axes: list[np.ndarray], inside: np.ndarray):
        self.inside = inside
        self.cubes = [axis**3 for axis in axes]
        squares = [axis**2 for axis in axes]
        one, two, three = (axis.sum(axis=1) for axis in squares)
        self.size = (one[:, None, None] * two[:, None] * three)[inside]
        weights = _surface(inside.astype(float), [axis.T for axis in squares])
        self.weights = np.where(weights > 1e-30, weights, np.inf)
        self.grid = np.zeros(inside.shape)

    def control_points(self, values: np.ndarray) -> np.ndarray:
        """Control points for the values of the voxels inside."""
        self.grid[self.inside] = values / self.size
        return _surface(self.grid, [axis.T for axis in self.cubes]) / self.weights


def _surface(lattice: np.ndarray, axes: list[np.ndarray]) -> np.ndarray:
    """Array of control points along each axis by its matrix; smallest axis sums first."""
    for axis in axes:
        lattice = np.tensordot(lattice, axis, axes=([0], [1]))
    return lattice


def _splines(n_points: int, n_controls: int) -> np.ndarray:
    """Cubic B-splines of `n_controls` points at `n_points` places from end to end."""
    spans = n_controls - _DEGREE
    place = np.arange(n_points) * (spans / max(n_points - 1, 1))
    place[-1] = spans - _EDGE * spans / max(n_points - 1, 1)
    first = np.minimum(place.astype(int), spans - 1)
    u = place - first
    parts = np.stack(
        [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1
    )
    matrix = np.zeros((n_points, n_controls))
    np.put_along_axis(matrix, first[:, None] + np.arange(_DEGREE + 1), parts / 6, axis=1)
    return matrix


def _refined(lattice: np.ndarray) -> np.ndarray:
    """The same surface by splines of half the span."""
    for _ in range(3):
        middle = (lattice[:-1] + lattice[1:]) / 2
        kept = (lattice[:-2] + 6 * lattice[1:-1] + lattice[2:]) / 8
        fine = np.empty((len(middle) + len(kept), *lattice.shape[1:]))
        fine[0::2], fine[1::2] = middle, kept
        lattice = np.moveaxis(fine, 0, -1)
    return lattice

"""What is wrong with the samples of FIDs whatever their header says: no numbers, spikes, half of
each complex number missing, receivers that ran into their limit."""

from __future__ import annotations

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids

LEAST_POINTS = 64
LARGEST = 1e25
_SPIKE = 30.0
"""A point that many times as large as both neighbours, and the largest of its FID, is damage."""

CLIPPED_POINTS = 3
"""Samples of one FID at its own extreme from which it was clipped: no two floats are alike by
chance."""

LIKE = 1e-6
"""Relative difference up to which two samples are alike: rounding of single precision."""

COARSE = 1e-3
"""Step of whole numbers over the extreme from which several samples may reach it by chance."""


def check_samples(fids: Fids, name: str) -> None:
    """Refuse FIDs that cannot be what a receiver measured.

    Raises
    ------
    DataError
        With the name of the file, the cause and what to do.
    """
    if not fids.n_transients:
        raise DataError(f"{name}: holds no transient; export it again")
    if fids.n_points < LEAST_POINTS:
        raise DataError(
            f"{name}: {fids.n_points} points are no FID ({LEAST_POINTS} at least): truncated, or "
            "points and transients are swapped; export it again"
        )
    if not np.isfinite(fids.data.view(fids.data.real.dtype)).all():
        raise DataError(f"{name}: holds values that are no numbers; damaged, export it again")
    size = np.abs(fids.data)
    if not size.any():
        raise DataError(f"{name}: holds zeros only; export it again")
    if (fids.data == fids.data[..., :1]).all():
        raise DataError(
            f"{name}: every FID holds one and the same value at all points: no measurement, but "
            "a placeholder or a damaged export; export it again"
        )
    if size.max() > LARGEST:
        raise DataError(
            f"{name}: holds values up to {size.max():.1g}: damaged, or numbers of another kind or "
            "order of bytes than its format has; export it again"
        )
    spike = size[..., 1:-1] > _SPIKE * np.maximum(size[..., :-2], size[..., 2:])
    spike &= size[..., 1:-1] >= size.max(axis=-1, keepdims=True)
    # The last one may be a number that was cut.
    end = size[..., -1] > _SPIKE * size[..., -2]
    end &= size[..., -1] >= size.max(axis=-1)
    if spike[..., 2:].any() or end.any():
        raise DataError(f"{name}: single points far above all others; damaged, export it again")
    if _mirrored(fids.data):
        raise DataError(
            f"{name}: every point has a real or an imaginary part only, so that each line has a "
            "mirror image; export complex FIDs"
        )
    if clipped := clipped_fids(fids):
        raise DataError(
            f"{name}: {clipped} of {fids.n_transients * fids.n_coils} FIDs stand at their largest "
            "value for several points: the receiver or the export ran into its limit, and lines "
            "and water are too small; name a scan that was not clipped (as a water reference: or "
            "none)"
        )


def _mirrored(data: np.ndarray) -> bool:
    """Whether one part of each point is missing; a line on resonance, which never changes its sign,
    has none."""
    real, imaginary = (part.any() for part in (data.real, data.imag))
    if real and imaginary:
        return False
    part = data.real if real else data.imag
    return bool(part.min() < 0 < part.max())


def clipped_fids(fids: Fids) -> int:
    """Number of FIDs, of all coils, of which `CLIPPED_POINTS` real or imaginary parts stand at the
    largest of them."""
    clipped = 0
    for fid in fids.data.reshape(-1, fids.n_points):
        parts = np.abs(np.concatenate([fid.real, fid.imag]))
        top = parts.max()
        if top > 0 and (parts >= (1 - LIKE) * top).sum() >= CLIPPED_POINTS:
            steps = np.diff(np.unique(parts))
            steps = steps[steps > LIKE * top]
            clipped += bool(steps.size and steps.min() < COARSE * top)
    return clipped

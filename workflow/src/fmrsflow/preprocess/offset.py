"""A constant under the FIDs, as a receiver or a converter leaves it: a spike at the carrier, and a
phase of the water reference that bends towards it."""

from __future__ import annotations

import numpy as np

from fmrsflow.fids import Fids

LEAST_SE = 20.0
"""Offset in its standard error, that of the mean of a quarter of the FID, from which it is one.
With N points 20 of these are 40 / sqrt(N) of the noise of one point, 0.6 to 0.9 at 4096 to 2048:
where the reference has sunk to five times its noise (`eddy.TRUSTED_SNR`) so much bends its phase by
less than the 0.2 rad of noise there. In the spectrum a constant is one point, at the carrier."""

LEAST_SHARE = 1e-3
"""Offset over the largest point of the mean FID from which it matters: it hides a hundredth of
metabolites that are a tenth as high."""

CONSTANT = 0.1
"""Relative difference of the third and the last quarter of the FID up to which what stands there is
constant: a line of 1 Hz at the carrier loses a third in a quarter of a second."""


def without_offset(fids: Fids) -> tuple[Fids, float]:
    """The FIDs without a constant, and its size over the largest point of the mean FID (0: none).

    Parameters
    ----------
    fids : Fids
        As measured, without appended zeros; each coil has an offset of its own.
    """
    mean = fids.data.mean(axis=0, dtype=complex)  # (coil, point)
    quarter = fids.n_points // 4
    before, last = mean[:, -2 * quarter : -quarter], mean[:, -quarter:]
    offset = last.mean(axis=1)  # where least is left of lines
    # Differences of neighbours are free of what is slow.
    error = np.sqrt(np.mean(np.abs(np.diff(last, axis=1)) ** 2, axis=1) / 2 / quarter)
    moved = np.abs(before.mean(axis=1) - last.mean(axis=1))
    largest = np.abs(mean).max(axis=1)
    found = np.abs(offset) > np.maximum(LEAST_SE * error, LEAST_SHARE * largest)
    found &= moved < np.maximum(CONSTANT * np.abs(offset), 3 * error)
    if not found.any():
        return fids, 0.0
    share = float((np.abs(offset[found]) / largest[found]).max())
    return fids.with_data(fids.data - np.where(found, offset, 0)[None, :, None]), share

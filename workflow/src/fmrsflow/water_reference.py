"""Whether a water reference belongs to a scan: one check for conversion and preprocessing."""

from __future__ import annotations

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids

DWELL_TOLERANCE = 1e-4
"""Relative difference of dwell times: headers round them, protocols differ by more."""

FREQUENCY_TOLERANCE = 1e-3
"""Relative difference of frequencies: 0.1 MHz at 3T, a hundred times what a prescan changes."""

UNLIKE = 2.0
"""Strength of a water transient over the median of all, or under it, from which it is none: no
movement halves the water of a head; before the steady state of a repetition time of 1 s it is 1.9
times as strong (T1 of grey matter at 3T, 1.3 s: 1 / (1 - exp(-1 / 1.3)))."""

_REMEDY = "name the reference of this scan in column ref of scans.tsv, or none"


def check_acquisition(reference: Fids, fids: Fids) -> None:
    """Refuse a reference of another acquisition than the scan.

    Raises
    ------
    DataError
        Another dwell time, number of coils or field.
    """
    if abs(reference.dwell_s / fids.dwell_s - 1) > DWELL_TOLERANCE:
        raise DataError(
            f"the water reference has a dwell time of {1e6 * reference.dwell_s:g} us, the scan "
            f"{1e6 * fids.dwell_s:g} us: it is of another protocol; {_REMEDY}"
        )
    if reference.n_coils != fids.n_coils:
        raise DataError(
            f"the water reference has {reference.n_coils} coils, the scan {fids.n_coils}: export "
            f"both combined or both uncombined, and {_REMEDY}"
        )
    if abs(reference.frequency_mhz / fids.frequency_mhz - 1) > FREQUENCY_TOLERANCE:
        raise DataError(
            f"the water reference was measured at {reference.frequency_mhz:g} MHz, the scan at "
            f"{fids.frequency_mhz:g} MHz; {_REMEDY}"
        )


def like_the_others(reference: Fids) -> np.ndarray:
    """Which transients of a water reference hold as much water as the others, (n_transients,).

    Lost ones (empty, noise alone) and sums among means move the amplitude of the mean.
    """
    first = reference.data[:, :, : max(8, reference.n_points // 8)]
    level = np.abs(first).mean(axis=(1, 2))  # squares of single precision may run out of it
    usual = np.median(level[level > 0]) if level.any() else 0.0
    return (level > usual / UNLIKE) & (level < usual * UNLIKE)

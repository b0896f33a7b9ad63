"""Whether a water reference belongs to a scan: one check for conversion and preprocessing."""

from __future__ import annotations

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids

DWELL_TOLERANCE = 1e-4
"""Relative difference of dwell times: headers round them, protocols differ by more."""

FREQUENCY_TOLERANCE = 1e-3
"""Relative difference of frequencies: 0.1 MHz at 3T, a hundred times what a prescan changes."""

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

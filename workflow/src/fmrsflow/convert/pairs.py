"""Whether a scan and the water reference named for it are two measurements, and which is which."""

from __future__ import annotations

import numpy as np

from fmrsflow.convert.checks import power_spectrum
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids

LEAST_WATER = 5.0
"""Water of the reference over residual water of the scan, amplitudes. Suppression leaves less than
a fiftieth of the water; pairs measured in vivo, in phantoms and at 7T stand at 37 and more, a pair
that is swapped at 0.1 and less, a scan as its own reference at 1."""

SWAPPED = 1 / LEAST_WATER

WATER_PPM = 0.3
"""Half width of the window that holds the water, from its highest point in the reference."""

LATEST_TOP = 8
RISEN = 0.1
"""A water FID that is largest at that point or later, and that starts with less than that share of
its power there, was not sampled from its echo. Measured ones are largest at point 0 or 1."""

SAME_RESIDUAL = 1e-4
"""Norm of the difference of two FIDs over theirs up to which they are one, whatever the scale. The
metabolites alone are more of an unsuppressed FID, so that two measurements never come so near."""


def check_pair(reference: Fids, fids: Fids, suppressed: bool = True) -> None:
    """Refuse a reference that is the scan itself, or that is no water beside it.

    Parameters
    ----------
    reference, fids : Fids
        Of one dwell time and number of coils (`check_acquisition`).
    suppressed : bool
        Whether the scan was measured with its water suppressed. Without, both hold the same water,
        and only equal data are refused.

    Raises
    ------
    DataError
        Equal data; too little water; scan and reference swapped.
    """
    if same_data(reference, fids):
        raise DataError(
            "the water reference holds the same data as the scan: a scan is no reference of its "
            "own; name the unsuppressed water in column ref of scans.tsv, or none"
        )
    if not suppressed:
        return
    ratio = water_ratio(reference, fids)
    if ratio >= LEAST_WATER:
        return
    told = f"the reference's water is {ratio:.2g} times the residual water of the scan"
    mend = "" if ratio > SWAPPED else ": columns mrs and ref seem to be swapped"
    raise DataError(
        f"{told}, and unsuppressed water is more than {LEAST_WATER:g} times{mend}; mend mrs and "
        "ref in scans.tsv (or leave ref empty). Where a site measures without water suppression, "
        "put no into column water_suppressed of sites.tsv"
    )


def check_onset(reference: Fids) -> None:
    """Refuse FIDs that hold the rise of a digital filter before the signal (Bruker's group delay):
    unsuppressed water is largest at the start.

    Raises
    ------
    DataError
        The water rises over many points.
    """
    size = (np.abs(reference.data) ** 2).sum(axis=(0, 1))
    top = int(np.argmax(size))
    if top >= LATEST_TOP and size[0] < RISEN * size[top]:
        raise DataError(
            f"the FID of the water reference rises for {top} points before it decays: the group "
            "delay of a digital filter was left in, or spectra stand in the place of FIDs; convert "
            "the scan with that delay removed, or export FIDs"
        )


def same_data(one: Fids, other: Fids) -> bool:
    """Whether the mean FIDs are one and the same, up to a common factor."""
    n = min(one.n_points, other.n_points)
    a, b = (fids.data[..., :n].mean(axis=0, dtype=complex).ravel() for fids in (one, other))
    size = np.linalg.norm(a) * np.linalg.norm(b)
    if size == 0:
        return False
    away = 1 - (abs(np.vdot(a, b)) / size) ** 2  # squared norm of what b has beside a
    return bool(away < SAME_RESIDUAL**2)


def water_ratio(reference: Fids, fids: Fids) -> float:
    """Amplitude of the reference's strongest line over what the scan has there; of averages, so
    that numbers of transients do not count. Infinite where the scan has nothing."""
    water = power_spectrum(reference)
    place = reference.ppm[np.argmax(water)]
    amounts = [
        np.sqrt(power[np.abs(one.ppm - place) <= WATER_PPM].sum() / one.n_points)
        for one, power in ((reference, water), (fids, power_spectrum(fids)))
    ]
    return float(amounts[0] / amounts[1]) if amounts[1] > 0 else float("inf")

"""Whether a scan and the water reference named for it are two measurements, and which is which."""

from __future__ import annotations

from math import comb, sqrt

import numpy as np

from fmrsflow.convert.checks import power_spectrum
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.noise import without_zeros

LEAST_WATER = 5.0
"""Water of the reference over residual water of the scan, amplitudes. Suppression leaves less than
a fiftieth of the water; pairs measured in vivo, in phantoms and at 7T stand at 37 and more, a pair
that is swapped at 0.1 and less, a scan as its own reference at 1."""

SWAPPED = 1 / LEAST_WATER

WATER_PPM = 0.3
"""Half width of the window that holds the water, from its highest point in the reference."""

LATEST_TOP = 2
RISEN = 0.1
"""A water FID that is largest at that point or later, and that starts with less than that share of
its power there, was not sampled from its echo. Measured ones are largest at point 0 or 1, and begin
with 0.25 of it (Philips at 1.5T; 0.3 at 3T) to all; a rise over eight points costs a sixth of the
water."""

MOST_JUMP = 1.2
"""Step from a point of the reference to the next over its largest point, its strongest line at
frequency zero, from which it jumps: a decay has less than 1, the first point of a rise 1; whole
numbers of 16 bits that ran over jump from one end of their range to the other."""

SAME_RESIDUAL = 1e-4
"""Norm of the difference of two FIDs over theirs up to which they are one, whatever the scale. The
metabolites alone are more of an unsuppressed FID, so that two measurements never come so near."""


DIFFERENCES = 6
"""Neighbours are subtracted so many times before noise is read off the end of FIDs: at a dwell time
of 0.5 ms what lies within 100 Hz of the strongest line keeps a thousandth of its size at most, and
white noise all."""

NOISIER = 1.5
"""Noise of a reference over the most that one excitation has from which it is on another scale: raw
pairs (GE 1.5T, 7T STEAM of four coils) stand at 0.96 to 1.04, and its standard error is 0.1 and
less with the 64 points that are asked for."""

LEAST_TAIL = 64


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
        "ref in scans.tsv (or leave ref empty); files that were each scaled to their own maximum "
        "have to be exported again on one scale. Where a site measures without water suppression, "
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
            f"the FID of the water reference rises for {top} points before it decays: the rise or "
            "group delay of a digital filter was left in, or spectra stand in the place of FIDs; "
            "convert the scan with those points removed, or export FIDs"
        )
    jump = _largest_jump(reference)
    if jump > MOST_JUMP:
        raise DataError(
            f"the FID of the water reference jumps by {jump:.2g} times its largest point from one "
            "point to the next, and water decays smoothly: whole numbers of the export ran over "
            "their range, or single points are damaged; export it again, scaled or as floating "
            "point numbers, or name none"
        )


def _largest_jump(reference: Fids) -> float:
    """Largest step from a point to the next over the largest point, with the strongest line at
    frequency zero; of all FIDs together, as a coil or transient may hold noise alone."""
    line = reference.ppm[np.argmax(power_spectrum(reference))]
    still = reference.shifted(-reference.hz_at(line)).data.astype(complex)
    steps, size = (
        np.sqrt((np.abs(one) ** 2).sum(axis=(0, 1)).max()) for one in (np.diff(still), still)
    )
    return float(steps / size) if size > 0 else 0.0


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


def noise_ratio(reference: Fids, fids: Fids) -> float | None:
    """Noise of a FID of the reference over that of a FID of the scan, median over coils; None where
    it cannot be read off: few points, or whole numbers whose steps are its noise.

    A receiver multiplies its noise as it does the signal. With n excitations to a FID of the scan,
    n of 1 and more to one of the reference, and means in both, it is sqrt(n) at most; a higher one
    is that of another gain, or of a sum.
    """
    n = min(without_zeros(one).n_points for one in (reference, fids))
    tail = slice(3 * n // 4, n)
    if tail.stop - tail.start < LEAST_TAIL:
        return None
    sizes = []
    for one in (reference, fids):
        # Many protocols have the carrier at NAA, 700 Hz from the water at 7T.
        line = one.ppm[np.argmax(power_spectrum(one))]
        end = one.shifted(-one.hz_at(line)).data[..., tail].astype(complex)
        power = np.abs(np.diff(end, DIFFERENCES, axis=-1)) ** 2
        noise = np.sqrt(power.mean(axis=(0, 2)) / comb(2 * DIFFERENCES, DIFFERENCES))
        # Rounding to steps of a noise's SD adds a twelfth of its variance.
        first = one.data[0, :, tail]
        steps = np.diff(np.unique([first.real, first.imag]))
        if not steps.size or steps.min() > noise.max():
            return None
        sizes.append(noise)
    return float(np.median(sizes[0] / sizes[1])) if sizes[1].all() else None


def noisier(reference: Fids, fids: Fids, excitations: float | None) -> list[str]:
    """What the noise of a reference says of its scale; `excitations` are those of a scan's FID."""
    ratio = noise_ratio(reference, fids) if excitations else None
    if ratio is None or ratio <= NOISIER * sqrt(excitations):
        return []
    return [
        f"the noise of the water reference is {ratio:.2g} times that of the scan's FIDs, and one "
        f"excitation has {sqrt(excitations):.2g} times at most: the reference is a sum where the "
        "scan is a mean, or of another receiver gain, and its water on another scale; molal and "
        "molar values are not to be used (if a transient is the mean of several excitations, say "
        "so in column excitations_per_transient of scans.tsv)"
    ]


def quieter(reference: Fids, fids: Fids, excitations: float | None) -> list[str]:
    """What too little noise says of the scale of a reference, where its header tells that each of
    its FIDs is of one excitation, as those of the scan are: then both have the same."""
    told = reference.told
    single = told.averages == 1 or told.excitations == reference.n_transients
    if not single or excitations != 1:
        return []
    ratio = noise_ratio(reference, fids)
    if ratio is None or ratio >= 1 / NOISIER:
        return []
    return [
        f"the noise of the water reference is {ratio:.2g} times that of the scan's FIDs, and by "
        "its header each FID is of one excitation, as those of the scan: it is of another receiver "
        "gain, or a mean, and its water may be on another scale; molal and molar values are not to "
        "be used (if it is a mean of several excitations, name none in column ref, or one whose "
        "header says so)"
    ]

"""A converted scan against its site's row: what is plausible, what is mended, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fmrsflow.constants import SINGLETS_PPM, field_of, same_field
from fmrsflow.convert.boxes import box_distance_mm
from fmrsflow.errors import DataError
from fmrsflow.fids import CARRIER_PPM, Fids, to_spectrum
from fmrsflow.study import Site
from fmrsflow.water_reference import check_acquisition

TE_TOLERANCE_S = 0.0003
"""Difference of echo times up to which a scan is of its site's protocol: sheets are written in ms
with one decimal. One of 1.5 ms moves Asp by a quarter. sites.tsv may have another."""

MOST_TOLERATED_S = 0.01
"""Most that sites.tsv may allow (its schema): of a larger difference it is no remedy."""

TR_TOLERANCE = 0.02
PLAUSIBLE_TE_S = (0.0005, 0.5)
PLAUSIBLE_TR_S = (0.2, 30.0)
PLAUSIBLE_VOXEL_MM = (2.0, 120.0)
PLAUSIBLE_WIDTH_HZ = (500.0, 200_000.0)
GAIN_TOLERANCE = 1e-3
"""Relative difference of receiver gains that is one: headers round them."""

SINGLET_SEARCH_PPM = 0.3
"""Phantoms at room temperature have NAA near 1.8 ppm."""

SURROUNDINGS_PPM = (1.75, 3.5)
"""What lies around the singlets."""

DIFFERENCE_PPM = 0.09
"""Half the distance of creatine from choline: the valley between them."""

REVERSED_RATIO = 2.0
"""Strength of the pattern on one side over that on the other by which the direction is known."""

CONTRADICTED_RATIO = 4.0
"""The same by which a format is not believed that fixes the direction."""


def check_axes(fids: Fids, site: Site) -> None:
    """Refuse an axis of frequency on which nothing would be found at its place.

    Raises
    ------
    DataError
        Another nucleus or field than the site's, or a dwell time that no scanner has.
    """
    if fids.nucleus != "1H":
        raise DataError(
            f"the nucleus is {fids.nucleus or 'blank'}, and this workflow is for 1H; name a proton "
            "scan, or mend the header"
        )
    field_t = field_of(fids.frequency_mhz)
    if not same_field(field_t, site.field_t):
        raise DataError(
            f"spectrometer frequency {fids.frequency_mhz:.3f} MHz is {field_t:.2f} T; sites.tsv "
            f"says {site.field_t:g} T for {site.name}: mend the sheet, the path or the header"
        )
    width_hz = 1.0 / fids.dwell_s
    low, high = PLAUSIBLE_WIDTH_HZ
    if not low <= width_hz <= high:
        raise DataError(
            f"spectral width {width_hz:g} Hz is outside {low:g}-{high:g} Hz: the header's dwell "
            "time or width is damaged or in another unit; mend the header or export the scan again"
        )


def against_site(fids: Fids, site: Site, warn: Callable[[str], None]) -> Fids:
    """The scan with times that can be trusted; what differs from sites.tsv is reported.

    Parameters
    ----------
    fids : Fids
        After `check_axes`.
    warn
        Takes each one-line warning.

    Raises
    ------
    DataError
        Another vendor, sequence, echo or repetition time than the site's.
    """
    _check_protocol(fids, site, warn)
    width_hz = 1.0 / fids.dwell_s
    if site.spectral_width_hz and abs(width_hz / site.spectral_width_hz - 1) > 0.01:
        warn(f"spectral width {width_hz:.1f} Hz; sites.tsv promises {site.spectral_width_hz:g} Hz")
    if site.transients and fids.n_transients != site.transients:
        warn(f"{fids.n_transients} transients; sites.tsv promises {site.transients}")
    te_tolerance_s = site.te_tolerance_s or TE_TOLERANCE_S
    return replace(
        with_plausible_voxel(fids, warn),
        te_s=_time("echo", fids.te_s, site.te_s, PLAUSIBLE_TE_S, te_tolerance_s, site, warn),
        tr_s=_time(
            "repetition", fids.tr_s, site.tr_s, PLAUSIBLE_TR_S, TR_TOLERANCE * site.tr_s, site, warn
        ),
    )


def _check_protocol(fids: Fids, site: Site, warn: Callable[[str], None]) -> None:
    """Vendor and sequence of the header against the sheet."""
    told = fids.told
    if told.vendor and told.vendor != site.vendor:
        raise DataError(
            f"a scanner of {told.vendor} wrote it; sites.tsv says {site.vendor} for {site.name}: "
            "mend the sheet or the path"
        )
    if told.family and told.family != site.sequence:
        raise DataError(
            f"the header's sequence is {told.family}; sites.tsv says {site.sequence} for "
            f"{site.name}: mend the sheet or the path"
        )
    if not told.family and told.named_family not in ("", site.sequence):
        warn(
            f"the protocol is named after {told.named_family}; sites.tsv says {site.sequence} for "
            f"{site.name}: the basis would be wrong if the name is right"
        )


def reference_against_scan(reference: Fids, fids: Fids, warn: Callable[[str], None]) -> Fids:
    """The water reference with plausible times.

    Raises
    ------
    DataError
        It is of another acquisition (`check_acquisition`), sign of frequency or voxel.
    """
    check_acquisition(reference, fids)
    here, mirrored = pattern(reference)  # metabolites are in unsuppressed FIDs too
    if mirrored > REVERSED_RATIO * here:
        raise DataError(
            "NAA, creatine and choline stand at the mirror images of their places in the water "
            "reference, and not in the scan: the two are of different sign of frequency; export "
            "both with the same program, or name no reference"
        )
    reference = with_plausible_voxel(reference, lambda text: None)
    if reference.affine is not None and fids.affine is not None:
        apart = box_distance_mm(reference.affine, fids.affine)
        if apart > 1.0:
            raise DataError(
                f"the water reference's voxel differs from the scan's by {apart:.1f} mm; the two "
                "are measured in the same place: name the right file or none"
            )
    times = {}
    for name, limits in (("te_s", PLAUSIBLE_TE_S), ("tr_s", PLAUSIBLE_TR_S)):
        value = getattr(reference, name)
        if value is None or not limits[0] <= value <= limits[1]:
            warn(f"the water reference states no plausible {name}; the scan's is used")
            value = getattr(fids, name)
        times[name] = value
    return replace(reference, affine=fids.affine, **times)


def distrusted(reference: Fids, fids: Fids) -> list[str]:
    """Why the water of a reference is on another scale than the scan, by their headers: another
    preparation or receiver gain. Averages are told later, where the scale itself is seen."""
    found = []
    one, other = (each.header.get("InversionTime") or 0.0 for each in (reference, fids))
    if one != other:
        found.append(
            f"the water reference's header has an inversion time of {one:g} s, the scan's of "
            f"{other:g} s: of another preparation, its water is no measure of concentrations; "
            "molal and molar values are not to be used"
        )
    one, other = reference.told.gain, fids.told.gain
    if len(one) == len(other) and not np.allclose(one, other, rtol=GAIN_TOLERANCE, atol=0):
        found.append(
            f"the water reference's header has a receiver gain of {_several(one)}, the scan's of "
            f"{_several(other)}: its water is on another scale; molal and molar values are not to "
            "be used, unless the export has divided by the gain"
        )
    one, other = reference.told.slope, fids.told.slope
    if one != other:
        found.append(
            f"the header of the water reference multiplies its samples by {one:g} (scl_slope), "
            f"that of the scan by {other:g}, and complex FIDs need none: one of the two may be on "
            "another scale; molal and molar values are not to be used"
        )
    return found


def _several(gain: tuple[float, ...]) -> str:
    return ", ".join(f"{one:g}" for one in gain)


def right_way_round(
    fids: Fids, warn: Callable[[str], None], sign_known: bool = False, asked: str | None = None
) -> tuple[Fids, bool]:
    """The scan with NAA, creatine and choline where they belong, and whether it was reversed.

    Parameters
    ----------
    sign_known : bool
        Whether the format fixes the sign of frequency. Then nothing is turned.
    asked : str, optional
        `stored` or `reversed`: what sites.tsv says of formats that do not. The pattern is then
        looked at for a warning only.

    Raises
    ------
    DataError
        The pattern clearly contradicts the format's sign.
    """
    here, mirrored = pattern(fids)
    if asked and not sign_known:
        turned = asked == "reversed"
        if turned:
            here, mirrored = mirrored, here
        if mirrored > REVERSED_RATIO * here:
            warn(
                f"column frequency_axis of sites.tsv says {asked}, and NAA, creatine and choline "
                "then stand at the mirror images of their places: look at the spectrum"
            )
        return (fids.with_data(np.conj(fids.data)) if turned else fids), turned
    if not sign_known and mirrored > REVERSED_RATIO * here:
        warn(
            "the frequency axis is reversed in the file (NAA would stand at 7.3 ppm); turned round"
        )
        return fids.with_data(np.conj(fids.data)), True
    if sign_known and mirrored > CONTRADICTED_RATIO * here:
        raise DataError(
            "the pattern of NAA, creatine and choline is nearer to the mirror images of their "
            "places (7.3, 6.3 and 6.1 ppm) than to these: its FIDs have the other sign of "
            "frequency than its format asks for, or the centre of its spectrum is not water; "
            "export or convert it again, with the conjugate of its FIDs or the centre at 4.65 ppm"
        )
    if not sign_known and here < REVERSED_RATIO * mirrored:
        warn(
            "no clear NAA, creatine or choline: the direction of the frequency axis is not checked;"
            " column frequency_axis of sites.tsv sets it"
        )
    return fids, False


def pattern(fids: Fids) -> tuple[float, float]:
    """Strength of the singlets' pattern at its place, and at its mirror image about the carrier.

    At the best common shift the geometric mean of the three heights above the median between 1.75
    and 3.5 ppm, and at least the level of noise each. The FID is windowed so that the spectrum is
    its own second difference over `DIFFERENCE_PPM`, with a Hann window over 0.2 s: a tail of water,
    whatever its height, phase and side, has none; lines that are narrower do.
    """
    n = min(fids.n_points, int(round(0.2 / fids.dwell_s)))
    window = np.pad(np.hanning(n), (0, fids.n_points - n))
    window *= 1 - np.cos(2 * np.pi * DIFFERENCE_PPM * fids.frequency_mhz * fids.time_s)
    magnitude = np.sqrt(power_spectrum(fids, window))
    away, noise = fids.ppm - fids.carrier_ppm, np.median(magnitude)

    def strength(sense: int) -> float:
        """Of the pattern (1) or of its mirror image (-1), in the unit of the spectrum."""
        found = 0.0
        for shift in np.linspace(-SINGLET_SEARCH_PPM, SINGLET_SEARCH_PPM, 61) - CARRIER_PPM:
            low, high = sorted(sense * (np.array(SURROUNDINGS_PPM) + shift))
            around = magnitude[(away >= low) & (away <= high)]
            if not around.size:
                continue
            lines = sense * (np.array(SINGLETS_PPM) + shift)
            heights = np.interp(lines, away, magnitude, left=0.0, right=0.0) - np.median(around)
            found = max(found, float(np.cbrt(np.maximum(heights, noise).prod())))
        return found

    return strength(1), strength(-1)


def check_water_position(reference: Fids, warn: Callable[[str], None]) -> None:
    """Warn where the strongest line of the water reference is not near the carrier."""
    ppm = reference.ppm[np.argmax(power_spectrum(reference))]
    if abs(ppm - CARRIER_PPM) > 0.7:
        warn(f"the strongest line of the water reference stands at {ppm:.2f} ppm; is it water?")


def with_plausible_voxel(fids: Fids, warn: Callable[[str], None]) -> Fids:
    """The scan without its affine where that can be no voxel."""
    if fids.affine is None:
        warn("no voxel geometry in the file: no tissue correction")
        return fids
    low, high = PLAUSIBLE_VOXEL_MM
    sizes = voxel_mm(fids)
    if not (np.isfinite(fids.affine).all() and all(low <= size <= high for size in sizes)):
        warn(
            f"voxel of {', '.join(f'{size:g}' for size in sizes)} mm is none: no tissue correction"
        )
        return replace(fids, affine=None)
    return fids


def voxel_mm(fids: Fids) -> list[float] | None:
    """Sizes of the voxel along its axes, mm."""
    if fids.affine is None:
        return None
    return [float(size) for size in np.sqrt((fids.affine[:3, :3] ** 2).sum(axis=0))]


def voxel_centre_mm(fids: Fids) -> list[float] | None:
    """Centre of the voxel in scanner space, mm, to a tenth; None where the file has no position."""
    if fids.affine is None:
        return None
    return [round(float(one), 1) for one in fids.affine[:3, 3]]


def _time(kind, value, promised, limits, tolerance_s, site, warn) -> float:
    if value is None or not limits[0] <= value <= limits[1]:
        stated = "no" if value is None else f"{value:g} s is no plausible"
        warn(f"{stated} {kind} time in the file; that of sites.tsv, {promised:g} s, is used")
        return promised
    if abs(value - promised) > tolerance_s + 1e-9:  # 30.3 from 30 ms is within 0.3
        raise DataError(
            f"{kind} time {1e3 * value:g} ms; sites.tsv says {1e3 * promised:g} ms for "
            f"{site.name}: mend the sheet or the path{_tolerated(kind, abs(value - promised))}"
        )
    return value


def _tolerated(kind: str, away_s: float) -> str:
    """The column that allows a small difference of echo times."""
    small = kind == "echo" and away_s <= MOST_TOLERATED_S
    return ", or allow it in column te_tolerance_s" if small else ""


def power_spectrum(fids: Fids, window: np.ndarray | None = None) -> np.ndarray:
    """Power spectrum (n_points,), summed over coils, mean over averages of eight transients: these
    keep the signal-to-noise ratio and bear a drift between them."""
    weight = np.ones(fids.n_points) if window is None else window
    total = np.zeros(fids.n_points)
    starts = range(0, fids.n_transients, 8)
    for start in starts:
        part = fids.data[start : start + 8].mean(axis=0) * weight
        total += (np.abs(to_spectrum(part)) ** 2).sum(axis=0)
    return total / len(starts)

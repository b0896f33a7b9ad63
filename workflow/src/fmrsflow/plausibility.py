"""What a brain can give: ranges whose violation says that something else was measured, or on
another scale, each with its source (docs/science.md#plausibility).

A violation is a sentence of the stage that sees it, in the list `implausible` of its record: a
reason to use the scan with care, or to exclude it (`implausible` of section `quality`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fmrsflow.concentration import FIELD_RANGES


@dataclass(frozen=True)
class Range:
    """What a brain has between two values."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies in it; not where it is no number."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


RATIOS = {
    "tNAA": Range(0.6, 2.5),
    "tCho": Range(0.08, 0.5),
    "mI": Range(0.3, 1.8),
    "Glu": Range(0.5, 2.2),
    "Gln": Range(0.05, 0.9),
}
"""Ratio of amplitudes to tCr at short echo times, 1.5 to 9.4 T: what three engines give for healthy
adults, with room for each engine's bias. Fields differ by less than people and engines do."""

LONGEST_TE_S = 0.08
"""Echo time beyond which T2 moves the ratios out of these ranges."""

HEALTHY = {
    "tNAA": (7.9, 16.6),
    "tCr": (5.1, 10.6),
    "tCho": (0.9, 2.5),
    "mI": (3.8, 8.1),
    "Glu": (6.0, 12.5),
    "Gln": (3.0, 5.8),
    "GABA": (1.3, 1.9),
    "NAAG": (0.6, 2.7),
    "Asp": (1.0, 1.4),
}
"""Healthy adult brain, mmol per kg wet weight: Govindaraju, Young and Maudsley 2000, NMR Biomed
13:129, as collected there over regions and methods. A molal value (per kg tissue water) of the same
tissue is about a quarter higher, since water is four fifths of its weight."""

WATER_SHARE = 0.78
"""Water in grey matter, g per g (the density of docs/science.md#concentration)."""

WIDENED = (0.6, 1.4)
"""What the ends of healthy ranges are multiplied by before a value is no brain's: for assumed
relaxation and tissue, regions, biases of engines."""

JUDGED = ("tNAA", "tCho", "mI", "Glu")
"""Substances whose molal values are judged beside tCr."""

MOLAL_TCR = Range(4.0, 16.0)
"""tCr, mmol/kg of tissue water at any field: 5 to 10.5 in grey and white matter of healthy adults
(de Graaf 2019, table 2.1), up to 13 in the cerebellum, and a fifth for assumed relaxation and
tissue."""

USUAL_TCR = Range(6.5, 14.0)
"""What tissues have, without the fifth: beyond it a scan is told to be unusual and keeps its
values. From 5.1 mmol per kg wet weight of `HEALTHY` (de Graaf 2019 from 5), over the water of grey
matter, 0.78; white matter, which has the least creatine (grey over white 1.4, Noworolski 1999, Magn
Reson Med 41:21), has less water still. Brains measured on five scanners stand at 10.4 to 12.4: half
and twice of that is outside."""

LONGEST_T2_TCR_S = {"1.5T": 0.215, "3T": 0.166, "4T": 0.166, "7T": 0.107, "9.4T": 0.107}
"""Longest T2 of tCr in tissue by field, of the constants (docs/science.md#relaxation), of 4 and 9.4
T that of the next lower field, which is longer: no line of a brain is narrower than 1 / (pi T2)."""

MAX_WIDTH_PPM = 0.07
"""tCr line width above which glutamate and glutamine run together: 9 Hz at 3 T, 21 Hz at 7 T."""

MAX_DRIFT_HZ = 10.0
"""Drift of frequency over the scan above which the voxel or the subject has moved (Near 2021)."""

PHASE1_DEG_PER_PPM = Range(-14.0, 12.0)
"""First-order phase beyond which FIDs begin early or late. 29 measured averages of whole FIDs need
-9 to 1; of one point of 0.5 ms that was cut off, 23, the fit takes its limit, 15 (five SDs of the
prior)."""

MAX_CSF = 0.6
"""Share of CSF above which a voxel lies where no study plans one (a ventricle, or another person's
head): a molal value goes with 1 / (1 - f), so that an error of 0.05 in f, the spread of
segmentations, is 0.05 / 0.4 of it there, an eighth, as much as people differ by."""

MIN_TISSUE_SUM = 0.9
"""Sum of GM, WM and CSF in a voxel that lies within the brain; what lacks is skull or air. A tenth
of a voxel of 20 to 30 mm is a slice of 2 to 3 mm, more than people move between T1w and MRS; maps
of probabilities sum to 1 within the brain."""

SITE_FACTOR = 1.5
"""Times its site's median up to which a scan's molal tCr lies: people differ by a tenth (SD)."""

WATER_FACTOR = 4.0
"""Times its site's median up to which a scan's water per volume lies. A head coil receives from the
cortex two to three times what it does from the middle of the head; a sum of 16 is beyond that."""

LEAST_SCANS = 5
"""Scans of a site from which its median tells one of another scale."""

FEW_FACTOR = 1.7
"""Times the median of the others up to which tCr lies at a site of fewer scans: the ratio of two
people has an SD of a sixth (an eighth each), and 1.7 is three of them."""

SUM_TOLERANCE = 1.6
"""A scale counts as that of a sum of n averages where it is n times the usual up to this factor."""

USUAL_MOLAL_TCR = 8.0
"""Middle of the range of tCr, mmol/kg, from which a scale is told."""


def molal_ranges() -> dict[str, tuple[float, float]]:
    """`HEALTHY` per kg tissue water."""
    return {name: (low / WATER_SHARE, high / WATER_SHARE) for name, (low, high) in HEALTHY.items()}


MOLAL = {"tCr": MOLAL_TCR} | {
    name: Range(*(round(end * by, 1) for end, by in zip(molal_ranges()[name], WIDENED)))
    for name in JUDGED
}
"""mmol/kg of tissue water, relaxation corrected, that no brain leaves, at any field."""


def ratio_reports(ratios: Mapping[str, float]) -> list[str]:
    """What ratios to tCr at a short echo time say of a scan."""
    found = []
    for name, known in RATIOS.items():
        value = ratios.get(name)
        if value is None or known.holds(value):
            continue
        what = "is high"
        if value < known.low:
            what = "is lost" if value < known.low / 2 else "is low"
        found.append(f"{name} {what}: {value:.2f} of tCr (a healthy brain has {known})")
    return found


def phase_reports(deg_per_ppm: float) -> list[str]:
    """What the first-order phase of a fit says of a scan."""
    if PHASE1_DEG_PER_PPM.holds(deg_per_ppm):
        return []
    late = deg_per_ppm > PHASE1_DEG_PER_PPM.high
    what = "begin late: first points were cut off" if late else "begin before the echo"
    return [
        f"the first-order phase is {deg_per_ppm:.0f} degrees per ppm, as if the FIDs {what}; "
        "export whole FIDs"
    ]


def line_reports(fwhm_hz: float, field_t: float) -> list[str]:
    """What the width of tCr says of a scan: no line is narrower than T2 makes it."""
    fields = (name for name, (low, high) in FIELD_RANGES.items() if low <= field_t <= high)
    if (field := next(fields, None)) is None:
        return []
    narrowest = 1 / (math.pi * LONGEST_T2_TCR_S[field])
    if not fwhm_hz < narrowest:
        return []
    return [
        f"tCr is {fwhm_hz:.2g} Hz wide, and T2 alone makes it {narrowest:.2g} Hz in a brain at "
        f"{field}: a phantom, or the FIDs were sharpened before the export"
    ]


def scale_reports(
    molal: Mapping[str, Sequence[float]], averages: Sequence[float | None] = ()
) -> list[str]:
    """What the molal values of a scan's conditions say of its water reference.

    A reference that is a sum of 16, of another receiver gain or of another preparation scales all
    values alike, and leaves no other trace.

    Parameters
    ----------
    molal : mapping
        Name of a key of `MOLAL` -> value in each condition, mmol/kg.
    averages : sequence of (float or None), optional
        Numbers of averages that the headers of reference and scan tell.
    """
    values = {name: median(molal[name]) for name in MOLAL if molal.get(name)}
    tcr = values.pop("tCr", None)
    if tcr is None:
        return []
    if not MOLAL["tCr"].holds(tcr):
        return [
            f"tCr is {tcr:.3g} mmol/kg, a brain has {MOLAL['tCr']}: {_cause(tcr, averages)}; molal "
            "and molar values are not to be used, ratios to tCr are (a phantom has its own values)"
        ]
    return [
        f"{name} is {value:.3g} mmol/kg, a brain has {MOLAL[name]}, while tCr is {tcr:.3g}"
        for name, value in values.items()
        if not MOLAL[name].holds(value)
    ]


def unusual_scale(molal: Mapping[str, Sequence[float]]) -> list[str]:
    """What a molal tCr says that a brain may have and few do; arguments as of `scale_reports`."""
    tcr = median(molal["tCr"]) if molal.get("tCr") else None
    if tcr is None or USUAL_TCR.holds(tcr) or not MOLAL_TCR.holds(tcr):
        return []
    return [
        f"tCr is {tcr:.3g} mmol/kg, and most brains have {USUAL_TCR}: is the water reference of "
        "the same receiver gain, number of averages and preparation as the scan? Molal values "
        "stand or fall with it, ratios and changes within the scan do not"
    ]


def _cause(tcr: float, averages: Sequence[float | None]) -> str:
    factor = tcr / USUAL_MOLAL_TCR
    for whose, number, scale in zip(
        ("water reference", "scan"), averages, (1 / factor if factor > 0 else 0, factor)
    ):
        if number and number > 1 and 1 / SUM_TOLERANCE <= scale / number <= SUM_TOLERANCE:
            return (
                f"the header of the {whose} tells {number:g} averages, and it is about "
                f"{scale:.2g} times as strong as it should be: a sum where the other is a mean"
            )
    return (
        "the water reference may be a sum where the scan is a mean, or of another receiver gain or "
        "preparation"
    )


def tissue_reports(total: float, csf: float) -> list[str]:
    """What the tissue in a voxel says of the T1w or maps that it was laid on."""
    found = []
    if total < MIN_TISSUE_SUM:
        found.append(
            f"GM, WM and CSF fill {100 * total:.0f} % of the voxel: the rest is no brain in this "
            "T1w or these maps; they may be of another session, or moved: look at the picture"
        )
    if csf > MAX_CSF:
        found.append(
            f"{100 * csf:.0f} % of the voxel are CSF, where nobody plans one: the T1w or maps may "
            "be of another person or session, or moved; look at the picture"
        )
    return found


def scale_outliers(rows: Iterable[Mapping]) -> list[tuple[str, str, str]]:
    """Scans whose water is of another scale than that of their site: (site, scan, sentence).

    Parameters
    ----------
    rows : iterable of mapping
        Concentrations of one condition a scan: `site`, `scan`, `metabolite`, `quantity`, `value`.
    """
    return [
        (
            site,
            scan,
            f"tCr is {value:.3g} mmol/kg, {value / usual:.2g} times the median of its site "
            f"({usual:.3g}, {n} scans): its water reference may be of another receiver gain, "
            "number of averages or preparation than the others'",
        )
        for site, scan, value, usual, n in _apart(_molal_tcr(rows), SITE_FACTOR)
    ]


def scale_doubts(rows: Iterable[Mapping]) -> list[tuple[str, str, str]]:
    """The same at sites of fewer than `LEAST_SCANS` scans, where it is told alone: of two that
    differ nobody knows which is right."""
    return [
        (
            site,
            scan,
            f"tCr is {value:.3g} mmol/kg, {value / usual:.2g} times that of the site's other scans "
            f"({usual:.3g}, {n - 1}): one of their water references may be of another receiver "
            "gain, number of averages or preparation",
        )
        for site, scan, value, usual, n in _apart_of_few(_molal_tcr(rows), FEW_FACTOR)
    ]


def water_outliers(waters: Mapping[tuple[str, str], float]) -> list[tuple[str, str, str]]:
    """Scans whose water per volume differs from that of their site: (site, scan, sentence).

    Parameters
    ----------
    waters : mapping
        Site and scan -> amplitude of the water reference over the volume of the voxel.
    """
    return [
        (
            site,
            scan,
            f"the water reference has {value / usual:.2g} times the signal per volume of the "
            f"median of its site ({n} scans): a sum where the others are means, another receiver "
            "gain, or the voxel lies outside the head",
        )
        for site, scan, value, usual, n in _apart(waters, WATER_FACTOR)
    ] + [
        (
            site,
            scan,
            f"the water reference has {value / usual:.2g} times the signal per volume of the "
            f"site's other scans ({n - 1}): one is a sum where others are means, of another "
            "receiver gain, or its voxel lies outside the head",
        )
        for site, scan, value, usual, n in _apart_of_few(waters, WATER_FACTOR)
    ]


def _molal_tcr(rows: Iterable[Mapping]) -> dict[tuple[str, str], float]:
    return {
        (row["site"], row["scan"]): row["value"]
        for row in rows
        if (row["metabolite"], row["quantity"]) == ("tCr", "molal") and row["value"] > 0
    }


def _apart_of_few(values: Mapping[tuple[str, str], float], factor: float):
    """What lies more than a factor from the median of the others, at sites of few scans: site,
    scan, value, that median, number of scans."""
    by_site: dict[str, dict[str, float]] = {}
    for (site, scan), value in values.items():
        by_site.setdefault(site, {})[scan] = value
    for site, own in by_site.items():
        for scan, value in own.items() if 2 <= len(own) < LEAST_SCANS else ():
            usual = median(other for name, other in own.items() if name != scan)
            if usual > 0 and not 1 / factor <= value / usual <= factor:
                yield site, scan, value, usual, len(own)


def _apart(values: Mapping[tuple[str, str], float], factor: float):
    """What lies more than a factor from the median of its site: site, scan, value, median, n."""
    by_site: dict[str, dict[str, float]] = {}
    for (site, scan), value in values.items():
        by_site.setdefault(site, {})[scan] = value
    for site, own in by_site.items():
        usual = median(own.values())
        for scan, value in own.items() if len(own) >= LEAST_SCANS and usual > 0 else ():
            if not 1 / factor <= value / usual <= factor:
                yield site, scan, value, usual, len(own)

"""What a header says of how a scan was measured, in words that the sheet of the sites knows too.

Names of sequences and protocols are free text, in which a person's name may stand: they are read at
the door, and only what is derived here goes on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

TECHNICAL = ("SequenceName", "PulseSequenceFile", "PulseSequenceName", "ScanningSequence")
"""Fields that a scanner fills with its own name of the sequence."""

FREE = ("ProtocolName", "SeriesDescription", "AcquisitionName")
"""Fields that a user names."""

AVERAGES = ("NumberOfAverages", "Averages")
GAINS = ("ReceiveGain", "ReceiverGain", "RxGain", "RG")
"""Fields of numbers that scale FIDs, by the names that converters give them."""

VENDORS = {
    "Siemens": r"siemens",
    "Philips": r"philips",
    "GE": r"^ge\b|general electric|gems",
}

FAMILIES = {
    "sLASER": r"s(emi)?laser|presslaser",
    "STEAM": r"steam|svsst|probes\b",
    "SPECIAL": r"special",
    "PRESS": r"(?<!sup)(?<!com)(?<!ex)press|svsse|probep\b",
}
"""Localisations by the names that vendors and their guests give them, without what parts words:
Siemens svs_se and svs_st, GE probe-p and probe-s, CMRR and Juelich packages."""

EDITED = (
    r"(?<!o)mega(?!n(?!aa)|hertz)|mpress|(?<!se)mslaser|hermes|hercules|(svs|gaba|gsh|lac|j)edit|"
    r"jdiff"
)
"""Names of J-difference editing, without what parts words; mpress and mslaser are CMRR's MEGA-PRESS
and MEGA-sLASER. Megan is a name."""

EDITED_WORD = r"(?<![a-z])edit(ed|ing|s|on|off)?(?![a-z])"
"""The same as a word of its own, as in `edit_off`; not in `meditation`."""

EDITED_TE_S = {"GABA": 0.06, "GSH": 0.1}
"""A protocol named after one of these at this echo time and more is edited: J of GABA, 7.3 Hz, asks
for 1/(2J), 68 ms (Mescher 1998), GSH for about 130 ms (Sanaei Nezhad 2017); whoever looks for them
without editing takes a short one."""


FREQUENCY = "frequency of excitation"
REPETITION = "repetition time"

SERIES = {
    "echo time": r"te|echotime",
    REPETITION: r"tr|repetitiontime",
    "inversion time": r"ti|inversion(time|delay)",
    "mixing time": r"tm|mixingtime",
    "flip angle": r"(excitation)?flipangle",
    FREQUENCY: r"txoffset",
    "diffusion weighting": r"b|bvals?|bvalues?|(diffusion|gradient).*",
}
"""What makes other spectra of the transients of a series, by the names of fields (small letters,
nothing between) that list a value for each (NIfTI-MRS, dynamic header fields)."""

SERIES_TOLERANCE = 0.01
"""Relative difference of such values that is one: 0.3 ms of an echo time of 30 ms."""

SAME_OFFSET_PPM = 0.5
"""The same of the frequency of excitation (TxOffset, ppm): scanners that follow a drift move it by
tenths, some hundredths of a pulse's bandwidth; what excites other lines lies a ppm away or more."""

LONG_SERIES = 100
"""Transients over which a start with an increment is followed: the list has no end of its own."""


@dataclass(frozen=True)
class Told:
    """What a header says; None or "" where it says nothing.

    Attributes
    ----------
    vendor : str
        As in sites.tsv.
    family, named_family : str
        Localisation by the scanner's own name of the sequence, and by the name that a user gave
        the protocol.
    edited : str
        Why this is a series of edited spectra.
    water_suppressed : bool or None
        False too where water was kept by metabolite cycling.
    averages : float or None
        Excitations that one FID of the file is made of.
    gain : tuple of float
        Settings of the receiver in the scanner's own units; empty where nothing tells them.
    water : tuple of bool
        Which transients were measured without water suppression; empty where they are of one kind.
    excitations : int or None
        Number of excitations of the whole scan.
    series : str
        What changes from transient to transient, so that they have no common mean.
    slope : float
        What the samples of the file are multiplied by (scl_slope of NIfTI).
    eddies_corrected : bool
        Whether eddy currents were corrected before the file was written.
    notes : tuple of str
        What the file does not say and a reader had to assume, for the record.
    """

    vendor: str = ""
    family: str = ""
    named_family: str = ""
    edited: str = ""
    water_suppressed: bool | None = None
    averages: float | None = None
    gain: tuple[float, ...] = ()
    water: tuple[bool, ...] = ()
    excitations: int | None = None
    series: str = ""
    slope: float = 1.0
    eddies_corrected: bool = False
    notes: tuple[str, ...] = ()


def told(header: Mapping) -> Told:
    """What a NIfTI-MRS header says; values of an unknown kind say nothing."""
    technical = [_text(header.get(key)) for key in TECHNICAL]
    free = [_text(header.get(key)) for key in FREE]
    suppressed = header.get("WaterSuppressed")
    cycled = "cycl" in _text(header.get("WaterSuppressionType")).lower()
    return Told(
        vendor=vendor_of(_text(header.get("Manufacturer"))),
        family=family_of(technical),
        named_family=family_of(free),
        edited=edited(header, [*technical, *free]),
        water_suppressed=False if cycled else suppressed if isinstance(suppressed, bool) else None,
        averages=_first_number(header, AVERAGES),
        gain=() if (gain := _first_number(header, GAINS)) is None else (gain,),
        water=_water(header),
        excitations=_count(header.get("NumberOfTransients")),
        series=_series(header),
        eddies_corrected=_eddies_corrected(header.get("ProcessingApplied")),
        notes=_tag_notes(header),
    )


def _eddies_corrected(steps) -> bool:
    """Whether a correction of eddy currents is among the steps of ProcessingApplied."""
    steps = steps if isinstance(steps, list) else [steps]
    methods = [_text(one.get("Method")) for one in steps if isinstance(one, Mapping)]
    return any(re.search(r"eddy|\becc\b", one, re.IGNORECASE) for one in methods)


def dimension_tags(header: Mapping) -> list:
    """Tags of dimensions 5 to 7 of a NIfTI-MRS header, text in capitals as the standard has it;
    None where there is none."""
    tags = [header.get(f"dim_{n}") for n in (5, 6, 7)]
    return [tag.strip().upper() if isinstance(tag, str) else tag for tag in tags]


def _tag_notes(header: Mapping) -> tuple[str, ...]:
    written = [header.get(f"dim_{n}") for n in (5, 6, 7)]
    meant = [
        tag
        for tag, own in zip(dimension_tags(header), written)
        if tag in ("DIM_DYN", "DIM_COIL") and tag != own
    ]
    return tuple(f"a dimension is tagged {tag}, in other letters: taken as such" for tag in meant)


def _series(header: Mapping) -> str:
    """What changes along a dimension by its header; "" where nothing does that makes other spectra.

    A value for all that differs from the one of the whole header is such a change too.
    """
    for n in (5, 6, 7):
        fields = header.get(f"dim_{n}_header")
        if not isinstance(fields, Mapping) or dimension_tags(header)[n - 5] == "DIM_COIL":
            continue
        for key, value in fields.items():
            what = next(
                (name for name, known in SERIES.items() if re.fullmatch(known, _joined(str(key)))),
                "",
            )
            if not what:
                continue
            listed = [*_listed(value), *_listed(header.get(key))]
            values = [one for one in listed if _is_number(one)]
            texts = {one for one in listed if isinstance(one, str)}
            spread = max(values, default=0) - min(values, default=0)
            same = SERIES_TOLERANCE * max(map(abs, values), default=0)
            if what == FREQUENCY:
                same = SAME_OFFSET_PPM
            if len(texts) > 1 or spread > same:
                return f"its header lists another {what} along a dimension (dim_{n}_header)"
    return ""


def _listed(value) -> list:
    """What a dynamic header field lists: values, a start with an increment, or one value; text that
    is a number as such."""
    if isinstance(value, Mapping) and "Value" in value:
        value = value["Value"]
    if isinstance(value, Mapping):
        start, step = value.get("start"), value.get("increment")
        known = _is_number(start) and _is_number(step)
        value = [start, start + LONG_SERIES * step] if known else []
    found = []
    for one in value if isinstance(value, list) else [value]:
        try:
            found.append(float(one) if isinstance(one, str) else one)
        except ValueError:
            found.append(one)
    return found


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _water(header: Mapping) -> tuple[bool, ...]:
    """Transients without water suppression by the header of the dimension DIM_DYN, which may list a
    value for each (NIfTI-MRS, dynamic header fields)."""
    for n in (5, 6, 7):
        fields = header.get(f"dim_{n}_header")
        if dimension_tags(header)[n - 5] != "DIM_DYN" or not isinstance(fields, Mapping):
            continue
        values = fields.get("WaterSuppressed")
        if isinstance(values, Mapping):
            values = values.get("Value")
        if isinstance(values, list) and all(isinstance(one, bool) for one in values):
            return tuple(not one for one in values) if len(set(values)) == 2 else ()
    return ()


def _count(value) -> int | None:
    """A whole number of 1 and more; None for anything else."""
    if isinstance(value, Mapping):
        value = value.get("Value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if math.isfinite(value) and value >= 1 and value == int(value) else None


def vendor_of(manufacturer: str) -> str:
    """Vendor as in sites.tsv; "" where it is none of those."""
    found = [name for name, known in VENDORS.items() if re.search(known, manufacturer.lower())]
    return found[0] if len(found) == 1 else ""


def family_of(names: list[str]) -> str:
    """The one localisation that these names stand for; "" where they name none, or several."""
    found = {
        next((family for family, known in FAMILIES.items() if re.search(known, _joined(name))), "")
        for name in names
    } - {""}
    return found.pop() if len(found) == 1 else ""


def edited(header: Mapping, names: list[str]) -> str:
    """What in a header tells of edited spectra; "" where nothing does."""
    if header.get("EditPulse") or header.get("EditTarget"):
        return "its header describes editing pulses (EditPulse)"
    for n in (5, 6, 7):
        parts = (header.get(f"dim_{n}{what}") or "" for what in ("", "_header", "_info"))
        if re.search(r"DIM_EDIT|(?<![a-z])edit", " ".join(map(str, parts)), re.IGNORECASE):
            return "its header has a dimension of editing conditions (DIM_EDIT, EditCondition)"
    if any(
        re.search(EDITED, _joined(name)) or re.search(EDITED_WORD, name.lower()) for name in names
    ):
        return "its header names an edited sequence (MEGA, HERMES or HERCULES)"
    te_s = header.get("EchoTime")
    for substance, least_s in EDITED_TE_S.items():
        late = isinstance(te_s, float | int) and te_s >= least_s
        if late and any(substance.lower() in name.lower() for name in names):
            return (
                f"its header names {substance} and an echo time of {1e3 * te_s:g} ms, that of "
                "editing"
            )
    return ""


def _first_number(header: Mapping, keys: tuple[str, ...]) -> float | None:
    """The first of these fields that holds a positive number, also as text or in an object."""
    for key in keys:
        value = header.get(key)
        if isinstance(value, Mapping):
            value = value.get("Value")
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if 0 < number < math.inf and not isinstance(value, bool):
            return number
    return None


def _text(value) -> str:
    """Text of a header field, which may be a user's, a mapping with Value and Description."""
    if isinstance(value, Mapping):
        value = value.get("Value")
    return value if isinstance(value, str) else ""


def _joined(name: str) -> str:
    """A name in small letters without what stands between the parts of a word."""
    return re.sub(r"[_\-*%\\/.\"]", "", name.lower())

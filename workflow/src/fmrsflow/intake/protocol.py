"""What headers and sidecars say of a protocol, and the row of sites.tsv that it makes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fmrsflow.constants import field_of, same_field
from fmrsflow.errors import DataError
from fmrsflow.fids import EDITED_UNSUPPORTED, header_extension
from fmrsflow.headers import FREE, TECHNICAL, dimension_tags, edited, family_of, vendor_of
from fmrsflow.intake.found import LEFT, FoundScan, Note, Unusable

FIELDS_T = (1.5, 3.0, 4.0, 4.7, 7.0, 9.4, 10.5, 11.7)
"""Nominal fields of magnets for people."""

NEEDED = ("vendor", "field_t", "sequence", "te_s", "tr_s")
"""Columns of sites.tsv that a header may fill."""

SAME_TE_S, SAME_TR = 3e-4, 0.02
"""Differences up to which scans are of one protocol, the second relative (convert/checks.py)."""


def sidecar_problem(meta: dict) -> str:
    """Why no row can be made of a scan with this metadata; "" where it can."""
    nucleus = meta.get("ResonantNucleus")
    nucleus = nucleus[0] if isinstance(nucleus, list) and nucleus else nucleus
    if isinstance(nucleus, str) and nucleus != "1H":
        return f"its nucleus is {nucleus[:8]}; this workflow is for 1H"
    if "EditCondition" in meta or "EditPulse" in meta:
        return f"edited spectra (EditCondition, EditPulse): {EDITED_UNSUPPORTED}"
    names = [one for key in _SEQUENCES if isinstance(one := meta.get(key), str)]
    if said := edited(meta, names):
        return f"{said}: {EDITED_UNSUPPORTED}"
    return ""


_SEQUENCES = ("PulseSequenceType", *TECHNICAL, *FREE)


def protocol_of(path: Path, meta: dict) -> tuple[dict, int | None]:
    """Columns of sites.tsv from a NIfTI-MRS header and its sidecar, and the number of transients.

    Where both speak the header counts: it came with the data.

    Raises
    ------
    Unusable
        Several voxels, another nucleus or edited spectra, by the header.
    """
    header, shape = _header(path)
    if problem := sidecar_problem(header):
        raise Unusable(problem)
    if math.prod(shape[:3]) > 1:
        raise Unusable("several voxels; only single-voxel scans are processed")
    both = {**meta, **{key: value for key, value in header.items() if value not in (None, "", [])}}
    found = from_metadata(both)
    lengths = [n for tag, n in zip(dimension_tags(header), shape[4:]) if tag == "DIM_DYN"]
    return found, (math.prod(lengths) if lengths else 1) if shape else None


def from_metadata(meta: dict) -> dict:
    """Columns of sites.tsv that metadata fill."""
    found: dict = {}
    texts = {key: value for key, value in meta.items() if isinstance(value, str)}
    if vendor := vendor_of(texts.get("Manufacturer", "")):
        found["vendor"] = vendor
    for keys in (("PulseSequenceType",), TECHNICAL, FREE):
        if family := family_of([texts[key] for key in keys if key in texts]):
            found["sequence"] = family
            break
    for key, column in (("EchoTime", "te_s"), ("RepetitionTime", "tr_s")):
        if (value := _positive(meta.get(key))) is not None:
            found[column] = value
    frequency = _positive(meta.get("SpectrometerFrequency"))
    field_t = field_of(frequency) if frequency else _positive(meta.get("MagneticFieldStrength"))
    nominal = [one for one in FIELDS_T if field_t and same_field(field_t, one)]
    if nominal:
        found["field_t"] = nominal[0]
    if (mixing := _positive(meta.get("MixingTime"))) is not None and found.get(
        "sequence"
    ) == "STEAM":
        found["tm_s"] = mixing
    return found


def site_row(
    name: str, scans: Sequence[FoundScan], given: dict
) -> tuple[dict, list[FoundScan], list[Note]]:
    """The row of a site by what most of its scans say, the scans of that protocol, and notes on the
    others.

    Parameters
    ----------
    given : dict
        Columns that a person gave; they stand above headers.

    Raises
    ------
    DataError
        A column that neither the headers nor the person fill.
    """
    for scan in scans:
        scan.protocol.update(given)
    votes = Counter(tuple(scan.protocol.get(column) for column in NEEDED) for scan in scans)
    usual = dict(zip(NEEDED, max(votes, key=lambda one: (votes[one], _filled(one)))))
    if lacking := [column for column in NEEDED if usual[column] is None]:
        raise DataError(
            f"site {name}: the headers do not say {', '.join(lacking)}: give it, for example "
            + " ".join(f"--protocol {column}={_EXAMPLES[column]}" for column in lacking)
        )
    taken, notes = [], []
    for scan in scans:
        if differs := _difference(scan.protocol, usual):
            notes.append(
                Note(
                    LEFT,
                    str(scan.path),
                    f"{differs}: of another protocol than most scans of {name}; it needs a row of "
                    "its own in sites.tsv, and its name in the column site of scans.tsv",
                )
            )
        else:
            taken.append(scan)
    row = {"site": name, **usual, "protocol": "own"}
    for column in ("tm_s", *given):
        values = [scan.protocol[column] for scan in taken if column in scan.protocol]
        if values:
            row[column] = values[0]
    return row, taken, notes


_EXAMPLES = {"vendor": "Siemens", "field_t": "3", "sequence": "PRESS", "te_s": "0.035", "tr_s": "2"}


def _filled(values: tuple) -> int:
    return sum(one is not None for one in values)


def _difference(own: dict, usual: dict) -> str:
    """In what a scan is of another protocol; "" where in nothing that it states."""
    for column, unit, scale, tolerance in (
        ("te_s", "ms", 1e3, SAME_TE_S),
        ("tr_s", "ms", 1e3, SAME_TR * usual["tr_s"]),
    ):
        if column in own and abs(own[column] - usual[column]) > tolerance:
            name = {"te_s": "echo", "tr_s": "repetition"}[column]
            return (
                f"{name} time {scale * own[column]:g} {unit}, not {scale * usual[column]:g} {unit}"
            )
    for column in ("vendor", "field_t", "sequence"):
        if column in own and own[column] != usual[column]:
            return f"{column} {own[column]}, not {usual[column]}"
    return ""


def _header(path: Path) -> tuple[dict, tuple[int, ...]]:
    """Header extension and shape of a NIfTI-MRS; empty where it cannot be read: the convert stage
    says why."""
    import nibabel as nib

    try:
        image = nib.load(path)
        return header_extension(image), image.shape
    except (OSError, ValueError, EOFError, DataError, nib.filebasedimages.ImageFileError):
        return {}, ()


def _positive(value) -> float | None:
    if isinstance(value, dict):
        value = value.get("Value")
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None

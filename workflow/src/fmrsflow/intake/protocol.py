"""What headers and sidecars say of a protocol, and the row of sites.tsv that it makes."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from fmrsflow.constants import field_of, same_field
from fmrsflow.errors import DataError
from fmrsflow.fids import EDITED_UNSUPPORTED, header_extension, voxel_affine
from fmrsflow.headers import FREE, TECHNICAL, dimension_tags, edited, family_of, vendor_of
from fmrsflow.intake.found import GUESS, LEFT, OPEN, FoundScan, Note, Unusable

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
    if (inversion := _positive(meta.get("InversionTime"))) is not None:
        return f"measured after an inversion (TI {inversion:g} s): no scan of metabolites"
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
    header, shape, _ = _header(path)
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
    name: str, scans: Sequence[FoundScan], given: dict, standing: dict
) -> tuple[dict, list[FoundScan], list[Note]]:
    """The row of a site by what most of its scans say, the scans of that protocol, and notes on the
    others and on cells that nothing fills.

    Parameters
    ----------
    given : dict
        Columns that a person gave: they choose the scans whose headers say nothing else. A vendor
        or sequence that no header has stands above the one that all have.
    standing : dict
        Cells of the site's row where the sheet has one already.

    Raises
    ------
    DataError
        No scan is of the protocol that was given or stands in the sheet.
    """
    fixed = {**given, **standing}
    for column in ("vendor", "sequence"):
        told = {scan.protocol[column] for scan in scans if column in scan.protocol}
        if column in given and given[column] not in told and len(told) < 2:
            for scan in scans:
                scan.protocol[column] = given[column]
    asked = {column: fixed.get(column) for column in COMPARED}
    fitting = [scan for scan in scans if not _difference(scan.protocol, asked)]
    if not fitting:
        raise DataError(
            f"site {name}: no scan is of the protocol that "
            f"{'sites.tsv has' if standing else '--protocol asks for'}; the first has "
            + _difference(scans[0].protocol, asked)
        )
    votes = Counter(tuple(scan.protocol.get(column) for column in NEEDED) for scan in fitting)
    usual = dict(zip(NEEDED, max(votes, key=lambda one: (votes[one], _filled(one)))))
    usual.update({column: fixed[column] for column in NEEDED if column in fixed})
    notes = []
    for column in NEEDED:
        # What the headers of some scans leave out those of others may say.
        told = {
            scan.protocol[column]
            for scan in fitting
            if column in scan.protocol and not _difference(scan.protocol, usual)
        }
        if usual[column] is None and len(told) == 1:
            (usual[column],) = told
        if usual[column] is None:
            said = (
                f"site {name}: no header says {column}, and its cell in sites.tsv is empty: write "
                f"it there, or call again with --protocol {column}=VALUE, for example "
                f"{_EXAMPLES[column]}"
            )
            notes.append(Note(OPEN, "", said))
    # The mixing time is of STEAM alone, and no cell that every site has to fill.
    mixing = Counter(
        scan.protocol["tm_s"]
        for scan in fitting
        if "tm_s" in scan.protocol and not _difference(scan.protocol, usual)
    )
    if "tm_s" in fixed:
        usual["tm_s"] = fixed["tm_s"]
    elif mixing and usual["sequence"] == "STEAM":
        usual["tm_s"] = max(mixing, key=mixing.get)
    taken = []
    for scan in scans:
        if differs := _difference(scan.protocol, usual):
            said = (
                f"{differs}: of another protocol than the scans of {name}; for a site of its own "
                f"call again with --site and --protocol"
            )
            notes.append(Note(LEFT, str(scan.path), said))
            continue
        taken.append(scan)
        silent = [
            column
            for column, value in usual.items()
            if value is not None and column not in scan.protocol | given
        ]
        if silent:
            said = f"its header does not say {', '.join(silent)}: taken to be as the site's"
            notes.append(Note(GUESS, str(scan.path), said))
    row = {"site": name, **usual, "protocol": "own"}
    return row | given, taken, notes


def shown(protocol: dict) -> str:
    """A protocol in words: `Siemens 3 T PRESS TE 30 ms TR 2000 ms`."""
    return " ".join(
        form(protocol[column])
        for column, form in _FORMS.items()
        if protocol.get(column) is not None
    )


def others(scans: Sequence[FoundScan], row: dict) -> list[tuple[str, int, list[str]]]:
    """Protocols of scans that are not of the site's: in words, the number of scans, and the cells
    that ask `fmrsflow init` for them. The most scans first."""
    times = Counter(shown(scan.protocol) for scan in scans)
    first = {shown(scan.protocol): scan.protocol for scan in reversed(scans)}
    return [
        (
            words,
            n,
            [
                f"{column}={first[words][column]:g}"
                if isinstance(first[words][column], float)
                else f"{column}={first[words][column]}"
                for column in COMPARED
                if column in first[words] and first[words][column] != row.get(column)
            ],
        )
        for words, n in times.most_common()
    ]


_FORMS = {
    "vendor": str,
    "field_t": lambda value: f"{value:g} T",
    "sequence": str,
    "te_s": lambda value: f"TE {1e3 * value:g} ms",
    "tr_s": lambda value: f"TR {1e3 * value:g} ms",
    "tm_s": lambda value: f"TM {1e3 * value:g} ms",
}

COMPARED = tuple(_FORMS)
"""Columns in which scans of one protocol may not differ."""

_EXAMPLES = {"vendor": "Siemens", "field_t": "3", "sequence": "PRESS", "te_s": "0.035", "tr_s": "2"}


def _filled(values: tuple) -> int:
    return sum(one is not None for one in values)


def _difference(own: dict, usual: dict) -> str:
    """In what a scan is of another protocol; "" where in nothing that it and the protocol state."""
    for column, what, tolerance in (
        ("te_s", "echo", SAME_TE_S),
        ("tr_s", "repetition", SAME_TR * (usual.get("tr_s") or 0.0)),
        ("tm_s", "mixing", SAME_TE_S),
    ):
        wanted = usual.get(column)
        if wanted is not None and column in own and abs(own[column] - wanted) > tolerance:
            return f"{what} time {1e3 * own[column]:g} ms, not {1e3 * wanted:g} ms"
    for column in ("vendor", "field_t", "sequence"):
        wanted = usual.get(column)
        if wanted is not None and column in own and own[column] != wanted:
            return f"{column} {own[column]}, not {wanted}"
    return ""


def place_of(path: Path) -> np.ndarray | None:
    """Affine of the voxel in a NIfTI-MRS; None where the file cannot be read or has none."""
    return _header(path)[2]


def _header(path: Path) -> tuple[dict, tuple[int, ...], np.ndarray | None]:
    """Header extension, shape and place of a NIfTI-MRS; empty where it cannot be read: the convert
    stage says why."""
    try:
        status = path.stat()
    except OSError:
        return {}, (), None
    return (
        _header_of(path, status.st_mtime_ns, status.st_size) if status.st_size else ({}, (), None)
    )


@lru_cache(maxsize=64)
def _header_of(path: Path, time_ns: int, size: int):
    import nibabel as nib

    try:
        image = nib.load(path)
        return header_extension(image), image.shape, voxel_affine(image)
    except (
        *(OSError, ValueError, EOFError, zlib.error, DataError),
        nib.filebasedimages.ImageFileError,
    ):
        return {}, (), None


def _positive(value) -> float | None:
    if isinstance(value, dict):
        value = value.get("Value")
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None

"""Averages that the headers of SPAR, RDA and DICOM tell: the converters leave them out."""

from __future__ import annotations

import math
import re
from pathlib import Path

from fmrsflow.convert.formats import companion

HEADER_BYTES = 1 << 16
"""Of an RDA, before its points."""


def averages_of(path: Path, kind: str) -> float | None:
    """Excitations that one FID of a file is made of; None where its header does not tell.

    Parameters
    ----------
    path : Path
        The scan's file; of a folder of DICOM any file tells it.
    kind : str
        As `formats.recognise` has it.
    """
    if kind == "sdat":
        return _stated(companion(path, ".spar").read_bytes(), rb"averages")
    if kind == "rda":
        with path.open("rb") as file:
            return _stated(file.read(HEADER_BYTES), rb"NumberOfAverages")
    return None


def dicom_averages(header) -> float | None:
    """That of a DICOM header (0018,0083), also in the sequences of the enhanced kinds."""
    try:
        found = {float(one.value) for one in header.iterall() if one.tag == 0x00180083}
    except Exception:  # whatever a damaged header makes of it
        return None
    value = found.pop() if len(found) == 1 else 0.0
    return value if 0 < value < math.inf else None


def _stated(header: bytes, key: bytes) -> float | None:
    """A positive number behind a key and a colon; decimal commas are points."""
    found = re.search(rb"^\s*" + key + rb"\s*:\s*([\d.,]+)", header, re.MULTILINE)
    try:
        value = float(found[1].replace(b",", b".")) if found else 0.0
    except ValueError:
        return None
    return value if 0 < value < math.inf else None

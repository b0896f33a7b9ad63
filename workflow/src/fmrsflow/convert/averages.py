"""Averages that the headers of SPAR, RDA and DICOM tell: the converters leave them out."""

from __future__ import annotations

import math
import re
from pathlib import Path

from fmrsflow.convert.mend import spar_entries

HEADER_BYTES = 1 << 16
"""Of an RDA, before its points."""

_OF_RDA = re.compile(rb"^NumberOfAverages\s*:\s*([\d.,]+)", re.MULTILINE)


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
        return _positive(spar_entries(path)[1].get("averages"))
    if kind == "rda":
        with path.open("rb") as file:
            found = _OF_RDA.search(file.read(HEADER_BYTES))
        return _positive(found[1].replace(b",", b".").decode()) if found else None
    return None


def dicom_averages(header) -> float | None:
    """That of a DICOM header (0018,0083), also in the sequences of the enhanced kinds."""
    try:
        found = {float(one.value) for one in header.iterall() if one.tag == 0x00180083}
    except Exception:  # whatever a damaged header makes of it
        return None
    return _positive(found.pop()) if len(found) == 1 else None


def _positive(value) -> float | None:
    """A positive number, also as text; None where it is none."""
    try:
        number = float(value or 0.0)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None

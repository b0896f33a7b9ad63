"""Receiver gains that headers of vendors' files tell: the converters leave them out.

Two scans of one scanner are on one scale where they are alike; what a step means is the scanner's
own. SPAR and RDA tell none.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from fmrsflow.convert.p_file import p_file_header
from fmrsflow.convert.twix import check_twix

TWIX_BYTES = 1 << 22
"""Of a measurement of a twix file, in which its protocols stand; they have some 100 kB each."""

DICOM_BYTES = 1 << 26
"""Of a DICOM file, whose protocol may stand behind its samples."""

_OF_SIEMENS = re.compile(rb"sRXSPEC\.lGain\s*=\s*(\d+)")
_PROTOCOL = b"sRXSPEC."


def gain_of(path: Path, kind: str) -> tuple[float, ...]:
    """Settings of the receiver by the header of a file; empty where it does not tell.

    Parameters
    ----------
    path : Path
    kind : str
        As `formats.recognise` has it; of DICOM each file by itself.

    Notes
    -----
    Twix and DICOM of Siemens: high (1) or low (0) gain of the scan's protocol, which is text in
    private elements of DICOM, and in twix may stand behind adjustments with their own. P-files: R1
    and R2 of the manual prescan, which stand before the transmitter's gain and the frequency
    (rdbm.h; four integers in a row).
    """
    if kind == "twix":
        with path.open("rb") as file:
            file.seek(check_twix(path).place)
            return _of_protocol(file.read(TWIX_BYTES))
    if kind == "dicom":
        with path.open("rb") as file:
            return _of_protocol(file.read(DICOM_BYTES))
    if kind == "pfile" and (header := p_file_header(path)) is not None:
        place = type(header).rhr_rh_ps_mps_freq.offset
        order = "<" if header.rhr_rh_ps_mps_freq == _at(header, place, "<") else ">"
        gains = tuple(float(_at(header, place - back, order)) for back in (12, 8))
        return gains if all(gains) else ()
    return ()


def _of_protocol(content: bytes) -> tuple[float, ...]:
    """Of the protocol as text, which leaves out what is 0."""
    if _PROTOCOL not in content:
        return ()
    found = _OF_SIEMENS.search(content)
    return (float(found[1]) if found else 0.0,)


def _at(header, place: int, order: str) -> int:
    return struct.unpack_from(f"{order}i", bytes(header), place)[0]

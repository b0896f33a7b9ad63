"""Which format a file is, by its ending and its first bytes."""

from __future__ import annotations

import re
from pathlib import Path

from fmrsflow.errors import DataError

ENDINGS = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".sdat": "sdat",
    ".rda": "rda",
    ".ima": "dicom",
    ".dcm": "dicom",
    ".dat": "twix",
    ".7": "pfile",
    ".raw": "lcmodel",
    ".h2o": "lcmodel",
    ".txt": "jmrui",
    ".mrui": "jmrui",
}
"""Ending (small letters) to format; a folder is DICOM."""

_CONVERT = "convert it with `spec2nii {}` and name the NIfTI-MRS in scans.tsv"

SUPPORTED = (
    "Philips SDAT/SPAR, Siemens RDA, DICOM/IMA, twix (.dat), GE P-file (.7), jMRUI (.txt, .mrui), "
    "LCModel RAW/H2O, NIfTI-MRS (.nii.gz)"
)


def recognise(path: Path) -> str:
    """Format of a file, a value of `ENDINGS`.

    Raises
    ------
    DataError
        Empty file, or one of no known format; names what is read.
    """
    if path.is_dir():
        names = {one.name for one in path.iterdir()}
        if "method" in names and names & {"fid", "rawdata.job0", "pdata"}:
            raise DataError(f"{path.name} is a folder of Bruker: {_CONVERT.format('bruker')}")
        return "dicom"
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty; export or copy it again")
    name = path.name.lower()
    ending = ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()
    if ending == ".spar":
        raise DataError(f"{path.name} is the header alone; name the .SDAT file in scans.tsv")
    with path.open("rb") as file:
        start = file.read(132)
    if start.startswith(b"version https://git-lfs"):
        raise DataError(
            f"{path.name} is a pointer of Git LFS in the place of the file; fetch the file itself "
            "(git lfs pull) and copy it here"
        )
    if re.match(rb"\s*<(!doctype|html)", start, re.IGNORECASE):
        raise DataError(
            f"{path.name} is a web page, as a download without a login leaves it; copy the file "
            "itself here"
        )
    if start[128:132] == b"DICM":
        return "dicom"
    start = start.removeprefix(b"\xef\xbb\xbf")
    if start.startswith(b"jMRUI Data Textfile"):
        return "jmrui"
    if start.startswith(b">>> Begin of header"):
        return "rda"
    if ending in (".data", ".list"):
        raise DataError(
            f"{path.name} is Philips DATA/LIST, of single coils: {_CONVERT.format('philips_dl')}, "
            "or name the SDAT of the same scan"
        )
    if ending not in ENDINGS:
        raise DataError(
            f"{path.name} has no format that is read here: name or export one of {SUPPORTED}"
        )
    return ENDINGS[ending]


def in_utf8(content: bytes) -> bytes:
    """Content whose mark says UTF-16, as some editors save a text, in UTF-8; other as it is."""
    if content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return content
    return content.decode("utf-16", errors="replace").encode()


def companion(path: Path, ending: str) -> Path:
    """File of the same name with another ending, in whatever letters (SDAT and SPAR).

    Raises
    ------
    DataError
        Where there is none.
    """
    for other in sorted(path.parent.iterdir()):
        if other.stem == path.stem and other.suffix.lower() == ending:
            return other
    raise DataError(f"{path.name} has no {ending.upper()} beside it; copy both files of the export")

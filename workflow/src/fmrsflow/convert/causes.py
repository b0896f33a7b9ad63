"""Why a converter refused a file, in words without anything of the file's header.

A converter's own words may quote the header, where a name stands: they go to the job's log alone,
and from them a cause is taken that a record and a page may show.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from fmrsflow.convert.p_file import p_file_header
from fmrsflow.errors import DataError
from fmrsflow.fids import EDITED_UNSUPPORTED

_CAUSES = (
    (r"^KeyError: \"?'(image)'", "it holds no measured signal (scan 'image' of the raw data)"),
    (r"^KeyError: \"?'([A-Za-z_]\w*(?:\[\d\])?)'", "its header lacks {}"),
    (r"^AttributeError: '\w*Dataset' object has no attribute '([A-Z]\w+)'", "its header lacks {}"),
    (r"\b(\w+) \([\da-f]{4},[\da-f]{4}\) not set", "its header lacks {}"),
    (r"^UnicodeDecodeError", "its header is in an encoding that {program} does not know"),
    (
        r"Unrecognised sequence|No Pfile mapper for pulse sequence",
        "it is of a pulse sequence that {program} does not know",
    ),
    (r"Not a known GE Pfile", "it is no GE P-file"),
    (r"malloc failed|MemoryError", "its header asks for more memory than a scan can need: damaged"),
    (
        r"has FID size|cannot reshape array|buffer size must be|short read"
        r"|is smaller than requested",
        "it holds another number of samples than its header says: truncated or damaged",
    ),
    (
        r"requires a buffer|^EOFError|^IndexError|^struct\.error",
        "it ends before what its header says: truncated, damaged or of another format",
    ),
    (r"No valid DICOM|not a DICOM|InvalidDicomError", "it is no readable DICOM file"),
    (r"MRSI|CSINotHandled|multi-voxel", "it is of several voxels, or said to be"),
)
"""Pattern in what a converter prints, and the cause; {} stands for what the pattern names, a key of
a header and no value."""

_UNKNOWN = "truncated, damaged, or of a release that {program} does not know"

P_FILE_REVISIONS = (14, 31)
"""First and last revision of GE's headers that spec2nii reads."""


_NAMES = {
    "dicom": "DICOM",
    "pfile": "GE P-file",
    "rda": "Siemens RDA",
    "sdat": "Philips SDAT",
    "twix": "Siemens twix",
}
"""Kinds of files (`formats.ENDINGS`) as people call them."""


def last_line(said: str) -> str:
    """The last line that tells of an error, else the last that says something."""
    lines = [line.strip() for line in said.splitlines() if line.strip(" ^~\t")]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["nothing"])[-1]


def cause(said: str, program: str) -> str:
    """Why a converter refused a file, from what it printed."""
    for line in (last_line(said), *reversed(said.splitlines())):
        for pattern, words in _CAUSES:
            if found := re.search(pattern, line.strip()):
                key = found[1] if found.groups() else ""
                return words.format(key, program=program)
    return _UNKNOWN.format(program=program)


def refusal(shown: str, kind: str, said: str, program: str) -> str:
    """What a record says of a refused file: its name, the cause, what to do."""
    return (
        f"{shown}: {program} cannot read it as {_NAMES.get(kind, kind)}: {cause(said, program)}; "
        "export or copy it again, or convert it with another tool and name the NIfTI-MRS"
    )


EDITED_P_FILES = r"(^|/)(jpress(_ac)?|gaba|hbcd\d?|repress7)$|mega|hermes|hercules|isthmus"
"""Names of GE's edited sequences, as spec2nii has them."""


def edited_p_file(path: Path) -> bool:
    """Whether the sequence of a P-file edits spectra, by its name or by several echoes a frame of a
    research sequence that has both kinds."""
    header = p_file_header(path)
    if header is None:
        return False
    name = header.rhi_psdname.decode("latin-1").strip("\0 ").lower()
    return bool(re.search(EDITED_P_FILES, name)) or (name == "oslaser" and header.rhi_numecho > 1)


def check_p_file(path: Path) -> None:
    """Refuse a GE P-file of a revision that spec2nii does not read, or of an edited sequence.

    Raises
    ------
    DataError
        With the revision.
    """
    first, last = P_FILE_REVISIONS
    with path.open("rb") as file:
        start = file.read(4)
    values = [struct.unpack(f"{order}f", start)[0] for order in "<>"] if len(start) == 4 else []
    revisions = [value for value in values if 4 < value < 99]
    if revisions and first <= revisions[0] < last + 1:
        if edited_p_file(path):
            raise DataError(
                f"{path.name}: its header names an edited sequence (MEGA, HERMES, HERCULES or "
                f"ISTHMUS): {EDITED_UNSUPPORTED}"
            )
        return
    why = (
        f"the header of this GE P-file is of revision {revisions[0]:.4g}, and spec2nii reads "
        f"{first} to {last}"
        if revisions
        else "it does not begin with the revision of a header: no GE P-file, or damaged"
    )
    raise DataError(
        f"{path.name}: {why}. Export the scan as NIfTI-MRS or from the scanner's DICOM, or convert "
        "it with another tool and name the NIfTI-MRS in scans.tsv"
    )

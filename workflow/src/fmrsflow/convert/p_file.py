"""Header of a GE P-file, by the layout that spec2nii has for its revision."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path


def p_file_header(path: Path):
    """The header with its fields as attributes; None where there is none, or it is cut."""
    # The places of the header's fields by revision; importing them takes half a second.
    from spec2nii.GE.ge_hdr_fields import get_pfile_hdr_fields

    with path.open("rb") as file:
        start = file.read(4)
        if len(start) < 4:
            return None
        order = next((one for one in "<>" if 4 < struct.unpack(f"{one}f", start)[0] < 99), None)
        if order is None:
            return None
        base = ctypes.LittleEndianStructure if order == "<" else ctypes.BigEndianStructure
        revision = int(struct.unpack(f"{order}f", start)[0])
        fields = {"_pack_": 1, "_fields_": get_pfile_hdr_fields(revision)}
        header = type("Header", (base,), fields)()
        file.seek(0)
        return header if file.readinto(header) == ctypes.sizeof(header) else None

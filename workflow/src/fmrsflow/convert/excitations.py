"""How many excitations a transient of a file is the mean or sum of.

Frames, phase cycles and the rows of an export hold several: they are that many repetition times
apart, while relaxation goes on by the repetition time itself.
"""

from __future__ import annotations

import ctypes
import math
import struct
from pathlib import Path

from fmrsflow.convert.mend import spar_entries
from fmrsflow.fids import Fids

LONGEST_S = 7200.0
"""Nobody lies still for longer: a header that asks for more counts otherwise."""


def excitations(path: Path, kind: str, fids: Fids) -> tuple[int | None, str]:
    """Excitations of each transient by the header, and where it says so.

    Parameters
    ----------
    path : Path
    kind : str
        Format of the file (`formats.ENDINGS`).
    fids : Fids
        All that it holds but its water references.

    Returns
    -------
    int or None
        1 where the header says nothing; None where it can be read in two ways.
    str
        The header's entry, "" where it says nothing.

    Notes
    -----
    SPAR: `averages` counts the excitations of one row (Gannet multiplies the two; PhilipsRead.m,
    Edden 2014, doi:10.1002/jmri.24478). GE P-files: rhuser4 counts those of the scan (Gannet,
    GELoad.m; spec2nii). NIfTI-MRS: NumberOfTransients, those of the scan (BIDS, MRS).
    """
    n = fids.n_transients
    if n == 1:
        return 1, ""
    if kind == "sdat":
        each, told = _whole(spar_entries(path)[1].get("averages")), "averages in its SPAR"
    else:
        whole = _of_p_file(path) if kind == "pfile" else fids.told.excitations
        told = "rhuser4 in its header" if kind == "pfile" else "NumberOfTransients in its header"
        each = whole // n if whole and whole % n == 0 else None
    if each is None or each == 1:
        return 1, ""
    if kind == "sdat" and (each == n or each * n * (fids.tr_s or 1.0) > LONGEST_S):
        return None, told
    return each, told


def _whole(text: str | None) -> int | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if math.isfinite(value) and value >= 1 and value == int(value) else None


def _of_p_file(path: Path) -> int | None:
    """Excitations of a GE scan, its water references not counted."""
    # The places of the header's fields by revision; importing them takes half a second.
    from spec2nii.GE.ge_hdr_fields import get_pfile_hdr_fields

    with path.open("rb") as file:
        start = file.read(4)
        order = next((one for one in "<>" if 4 < struct.unpack(f"{one}f", start)[0] < 99), None)
        if order is None:
            return None
        base = ctypes.LittleEndianStructure if order == "<" else ctypes.BigEndianStructure
        revision = int(struct.unpack(f"{order}f", start)[0])
        fields = {"_pack_": 1, "_fields_": get_pfile_hdr_fields(revision)}
        header = type("Header", (base,), fields)()
        file.seek(0)
        if file.readinto(header) < ctypes.sizeof(header):
            return None
    return _whole(str(header.rhr_rh_user4))

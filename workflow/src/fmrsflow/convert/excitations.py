"""How many excitations a transient of a file is the mean or sum of.

Frames, phase cycles and the rows of an export hold several: they are that many repetition times
apart, while relaxation goes on by the repetition time itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from fmrsflow.convert.mend import spar_entries
from fmrsflow.convert.p_file import p_file_header
from fmrsflow.fids import Fids

LONGEST_S = 7200.0
"""Nobody lies still for longer: a header that asks for more counts otherwise."""


@dataclass(frozen=True)
class Excitations:
    """What a header says of the excitations of a scan.

    Attributes
    ----------
    each : int or None
        Of each transient; 1 where the header says nothing, None where it can be read in two ways.
    entry : str
        Where it says so, and what it counts; "" where it says nothing.
    whole : int or None
        Of the scan, where the entry counts these.
    """

    each: int | None = 1
    entry: str = ""
    whole: int | None = None

    def agrees(self, each: int, n: int) -> bool:
        """Whether `n` transients of `each` excitations may be what the header counts."""
        if not self.entry:
            return True
        if self.whole is not None:
            return each * n == self.whole
        return self.each in (None, each)


def excitations(path: Path, kind: str, fids: Fids) -> Excitations:
    """Excitations of each transient by the header.

    Parameters
    ----------
    path : Path
    kind : str
        Format of the file (`formats.ENDINGS`).
    fids : Fids
        All that it holds but its water references.

    Notes
    -----
    SPAR: `averages` counts the excitations of one row (Gannet multiplies the two; PhilipsRead.m,
    Edden 2014, doi:10.1002/jmri.24478). GE P-files: rhuser4 counts those of the scan (Gannet,
    GELoad.m; spec2nii). NIfTI-MRS: NumberOfTransients, those of the scan (BIDS, MRS). A scan that
    was stopped has fewer transients than its protocol says, so that a count of less than two for
    each means one. DICOM: (0018,0083) counts those of a file by the standard, and Siemens' releases
    write those of the protocol where each is a file of its own: as many as files says nothing.
    """
    n = fids.n_transients
    if n == 1:
        return Excitations()
    if kind == "sdat":
        each, entry = _whole(spar_entries(path)[1].get("averages")), "averages in its SPAR"
        if each in (None, 1):
            return Excitations()
        two = each == n or each * n * (fids.tr_s or 1.0) > LONGEST_S
        return Excitations(None if two else each, entry)
    if kind == "dicom" and not fids.told.excitations:
        each, entry = fids.told.averages or 1.0, "NumberOfAverages in its DICOM header"
        if each in (1.0, n) or each != int(each):
            return Excitations()
        return Excitations(int(each) if each < n else None, entry)
    whole = _of_p_file(path) if kind == "pfile" else fids.told.excitations
    entry = "rhuser4 in its header" if kind == "pfile" else "NumberOfTransients in its header"
    if whole in (None, 1, n):
        return Excitations()
    entry += f" ({whole} for {n} transients)"
    if whole % n == 0:
        return Excitations(whole // n, entry, whole)
    return Excitations(1 if n < whole < 2 * n else None, entry, whole)


def _whole(text: str | None) -> int | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if math.isfinite(value) and value >= 1 and value == int(value) else None


def _of_p_file(path: Path) -> int | None:
    """Excitations of a GE scan, its water references not counted."""
    header = p_file_header(path)
    return None if header is None else _whole(str(header.rhr_rh_user4))

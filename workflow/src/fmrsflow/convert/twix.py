"""The scan in a Siemens twix file, and whether that is whole: the converter takes cut ones too."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from fmrsflow.errors import DataError

MOST_READOUTS = 1 << 20
"""Of one file; a damaged length would have readers walk for ever."""

MARK_BYTES = 128
"""Of the header of a readout of VB."""

WHOLE, STOPPED, CUT = "whole", "stopped", "cut"

_CUT = (
    "the file ends before its measurement does: truncated while it was written or copied; copy it "
    "again, or convert what there is with spec2nii and name the NIfTI-MRS"
)


STOPPED_SCAN = (
    "the file ends with a whole transient and without the mark of an end: the scan was stopped, or "
    "the file cut just there; check that its transients are all that were measured"
)


@dataclass(frozen=True)
class Measurement:
    """One of a twix file; the last is the scan, and those before are its adjustments.

    Attributes
    ----------
    number : int
        From 1.
    place : int
        Where its protocols begin, in bytes.
    stopped : bool
        Whether the file ends with a whole readout and nothing that says that it was the last, as
        VB leaves a scan that was stopped.
    """

    number: int
    place: int
    stopped: bool = False


def check_twix(path: Path) -> Measurement:
    """The scan of a twix file, which is refused where it is cut.

    A file of the VD line and later says how long each measurement is; one of VB ends with a readout
    that says so.

    Raises
    ------
    DataError
        It ends before one of them does.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise DataError(f"{path.name}: {_CUT}")
        first, second = struct.unpack("<II", start)
        if not (first < 10_000 and second <= 64):
            last = _last(file, first, size)
            if last == CUT:
                raise DataError(f"{path.name}: {_CUT}")
            return Measurement(1, 0, last == STOPPED)
        place = 0
        file.seek(16)
        for _ in range(second):
            entry = file.read(152)
            place, length = struct.unpack("<QQ", entry[:16]) if len(entry) >= 16 else (size, 1)
            if place + length > size:
                raise DataError(f"{path.name}: {_CUT}")
        return Measurement(max(second, 1), place)


def _last(file, place: int, size: int) -> str:
    """How readouts of VB end: with one that ends the measurement, with a whole one at the end of
    the file, or within one."""
    first = place
    for _ in range(MOST_READOUTS):
        file.seek(place)
        head = file.read(MARK_BYTES)
        if not head and place > first:
            return STOPPED
        if len(head) < MARK_BYTES:
            return CUT
        length = struct.unpack_from("<I", head)[0] & 0x1FFFFFF
        points, channels = struct.unpack_from("<HH", head, 28)
        mask = head[20]
        if mask & 1 or not length:
            return WHOLE
        # Packed readouts have no length of their own; others are data to be synchronised.
        place += length if mask & 32 else (MARK_BYTES + 8 * points) * max(channels, 1)
        if place > size:
            return CUT
    return CUT


def with_end(path: Path, folder: Path) -> Path:
    """A copy of a scan that was stopped, with the readout that ends it: the converter takes the
    last one for cut without."""
    copy = folder / f"{path.stem}.dat"
    shutil.copyfile(path, copy)
    with copy.open("ab") as file:
        # Zeros, which no readout has for its length.
        file.write(bytes(MARK_BYTES))
    return copy

"""The scan in a Siemens twix file, and whether that is whole: the converter takes cut ones too."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from fmrsflow.errors import DataError

MOST_READOUTS = 1 << 20
"""Of one file; a damaged length would have readers walk for ever."""

_CUT = (
    "the file ends before its measurement does: truncated while it was written or copied; copy it "
    "again, or convert what there is with spec2nii and name the NIfTI-MRS"
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
    """

    number: int
    place: int


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
            if not _ends(file, first, size):
                raise DataError(f"{path.name}: {_CUT}")
            return Measurement(1, 0)
        place = 0
        file.seek(16)
        for _ in range(second):
            entry = file.read(152)
            place, length = struct.unpack("<QQ", entry[:16]) if len(entry) >= 16 else (size, 1)
            if place + length > size:
                raise DataError(f"{path.name}: {_CUT}")
        return Measurement(max(second, 1), place)


def _ends(file, place: int, size: int) -> bool:
    """Whether readouts of VB lead to one that ends the measurement."""
    for _ in range(MOST_READOUTS):
        file.seek(place)
        head = file.read(128)
        if len(head) < 128:
            return False
        length = struct.unpack_from("<I", head)[0] & 0x1FFFFFF
        points, channels = struct.unpack_from("<HH", head, 28)
        mask = head[20]
        if mask & 1 or not length:
            return True
        # Packed readouts have no length of their own; others are data to be synchronised.
        place += length if mask & 32 else (128 + 8 * points) * max(channels, 1)
        if place > size:
            return False
    return False

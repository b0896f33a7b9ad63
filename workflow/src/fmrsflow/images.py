"""NIfTI images that somebody else made: read whole, or refused with what is wrong."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np

from fmrsflow.errors import DataError, reading_failed

MOST_BYTES = 8 << 30
"""Size of an array (bytes) above which a header is taken for damaged."""

MOST_POINTS = 1 << 28
"""Points of one volume above which it is not read: 0.4 mm over a whole head are 2e8."""

MOST_EXPANSION = 200
"""Bytes of an image for each of its gzip file above which a large one holds nothing measured;
masked tissue maps come to 50."""

LARGE_BYTES = 1 << 28
"""Unpacked size (bytes) from which `MOST_EXPANSION` holds."""

_GZIP = b"\x1f\x8b"

_CHUNK = 1 << 20


def load(path: str | Path):
    """An image whose file is whole; its values are read by `values`.

    A gzip file has its checksum at its end, behind the last point, where nibabel stops: a damaged
    map still gives numbers, and other ones. Nothing is unpacked into memory here.

    Raises
    ------
    DataError
        No NIfTI, a damaged header or file, or more values than a scan or its file can have.
    """
    import nibabel as nib

    name = Path(path).name
    try:
        held = check_file(path)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = f"{name} ends before its last volume or is damaged ({error}); copy it again"
        raise reading_failed(path, error, reason) from None
    try:
        image = nib.load(path)
        check_size(image.shape, 4)
        _check_length(image, str(path), held)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except (
        OSError,
        EOFError,
        ValueError,
        RecursionError,
        zlib.error,  # of a pair of files, the other one
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
    ) as error:
        reason = f"{name}: not readable as NIfTI image ({error}); copy or export it again"
        raise reading_failed(path, error, reason) from None
    return image


def check_file(path: str | Path) -> int:
    """Bytes that a file holds, unpacked; a gzip file is read to its end, a chunk at a time.

    Raises
    ------
    OSError, EOFError, zlib.error
        Damaged or cut off, as `gzip` has it.
    DataError
        It unpacks to more than a measured image can.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        if file.read(2) != _GZIP:
            return size
    most = min(MOST_BYTES, max(LARGE_BYTES, MOST_EXPANSION * size))
    held = 0
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK):
            held += len(chunk)
            if held > most:
                raise DataError(
                    f"{size / 1e6:.3g} MB that unpack to more than {most / 1e9:.2g} GB hold no "
                    "measured image; export it again"
                )
    return held


def check_size(shape: tuple[int, ...], item_bytes: int) -> None:
    """DataError where a header claims an array of more than `MOST_BYTES`, or a volume of more than
    `MOST_POINTS`.

    What is left may still be more than the memory of a machine, which is no fault of the file.
    """
    lengths = [float(length) for length in shape]
    if np.prod(lengths) * item_bytes > MOST_BYTES or np.prod(lengths[:3]) > MOST_POINTS:
        raise DataError(
            f"its header claims {shape} points, more than a scan can have: damaged; copy or "
            "convert it again"
        )


def values(image, path: str | Path) -> np.ndarray:
    """Values of an image as float32, which it keeps.

    Raises
    ------
    DataError
        The file ends early or is damaged.
    """
    try:
        return image.get_fdata(dtype=np.float32)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = f"{Path(path).name} ends before its last volume or is damaged ({error})"
        raise reading_failed(path, error, reason) from None


def _check_length(image, path: str, held: int) -> None:
    """DataError where a file holds less than its header claims, before memory is taken for it."""
    own = image.file_map.get("image")
    if own is None or own.filename != path or not hasattr(image.dataobj, "offset"):
        return  # the values lie in another file, or this format has no offset
    points = float(np.prod([float(length) for length in image.dataobj.shape]))
    needed = image.dataobj.offset + points * image.dataobj.dtype.itemsize
    if needed > held:
        raise DataError(
            f"its header claims {needed:.0f} bytes, the file holds {held}: it ends before its last "
            "volume or is damaged; copy it again"
        )

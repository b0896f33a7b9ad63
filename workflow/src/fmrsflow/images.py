"""NIfTI images that somebody else made: read whole, or refused with what is wrong."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from fmrsflow.errors import DataError, reading_failed

MOST_BYTES = 8 << 30
"""Size of an array (bytes) above which a header is taken for damaged."""


def load(path: str | Path):
    """An image (its values are read by `values`).

    Raises
    ------
    DataError
        No NIfTI, a damaged header, or one of more values than a scan can have.
    """
    import nibabel as nib

    name = Path(path).name
    try:
        image = nib.load(path)
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
    ) as error:
        reason = f"{name}: not readable as NIfTI image ({error})"
        raise reading_failed(path, error, reason) from None
    try:
        check_size(image.shape, 4)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    return image


def check_size(shape: tuple[int, ...], item_bytes: int) -> None:
    """DataError where a header claims an array of more than `MOST_BYTES`.

    What is left may still be more than the memory of a machine, which is no fault of the file.
    """
    if np.prod([float(length) for length in shape]) * item_bytes > MOST_BYTES:
        raise DataError(
            f"its header claims {shape} points, more than a scan can have; it is damaged"
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

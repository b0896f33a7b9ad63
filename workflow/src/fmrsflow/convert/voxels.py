"""Spectroscopic imaging in formats of single voxels: told from transients by their headers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from fmrsflow.errors import DataError
from fmrsflow.fids import multi_voxel


def refuse_spar_grid(name: str, entries: Mapping[str, str]) -> None:
    """Refuse an SDAT whose rows are voxels; of a single voxel they are transients.

    Parameters
    ----------
    entries : mapping
        Key to value of the SPAR. Of its dimensions the first is time, the second the rows of a
        series or x, the others y and z (old releases write SUN_ before the names).

    Raises
    ------
    DataError
        More than one voxel.
    """
    sizes = [_size(entries.get(f"dim{n}_pnts", entries.get(f"SUN_dim{n}_pnts"))) for n in (2, 3, 4)]
    encoded = entries.get("phase_encoding_enable", "").strip('" ').lower() == "yes"
    # Old releases leave phase encoding switched on, with a grid of one.
    if math.prod(sizes[1:]) > 1 or (encoded and math.prod(sizes) > 1):
        raise DataError(f"{name}: {multi_voxel(sizes)}")


def refuse_rda_grid(name: str, header: bytes) -> None:
    """Refuse an RDA of spectroscopic imaging (CSIMatrixSize above 1); DataError."""
    found = re.findall(rb"^CSIMatrixSize\[\d\]\s*:\s*(\d+)", header, re.MULTILINE)
    sizes = [max(1, int(size)) for size in found]
    if math.prod(sizes) > 1:
        raise DataError(f"{name}: {multi_voxel(sizes)}")


def _size(text: str | None) -> int:
    """A number of a header; 1 where there is none."""
    try:
        return max(1, int(float(text or 1)))
    except ValueError:
        return 1

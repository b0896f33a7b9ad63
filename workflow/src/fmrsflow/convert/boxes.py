"""Voxels as boxes in space, whatever the order and sense of their axes."""

from __future__ import annotations

from itertools import product

import numpy as np


def corners(affine: np.ndarray) -> np.ndarray:
    """The eight corners of a single voxel, (8, 3), mm."""
    signs = np.array(list(product((-0.5, 0.5), repeat=3)))
    return signs @ affine[:3, :3].T + affine[:3, 3]


def box_distance_mm(one: np.ndarray, other: np.ndarray) -> float:
    """Largest distance (mm) of a corner of one voxel from the nearest corner of the other.

    0 for the same box with axes flipped or in another order, as exports of one scan may have it.
    """
    apart = np.linalg.norm(corners(one)[:, None] - corners(other)[None], axis=2)
    return float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))

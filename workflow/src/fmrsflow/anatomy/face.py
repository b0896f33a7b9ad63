"""What of a head may be given away: not the face and the ears, by which people are recognised."""

from __future__ import annotations

import numpy as np

from fmrsflow.anatomy.brain import about_brain
from fmrsflow.errors import DataError

_FAR_MM = 1000.0
_GRID_MM = 2.0

_LEAST_ML, _MOST_ML = 950.0, 2730.0
"""Volumes within 6 mm of spheres of 700 and 2,200 mL (`brain.PLAUSIBLE_BRAIN_ML`). Measured: 1,851
mL of a brain of 1,451, 2,524 of one of 1,966, and 2,892 where a jaw was taken for brain."""


def without_face(
    shape: tuple[int, int, int],
    affine: np.ndarray,
    gm: tuple[np.ndarray, np.ndarray],
    wm: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Which voxels of a head are kept: the brain with 6 mm about it, its convex hull, and all that
    lies above or behind that hull.

    What any plane that touches the hull parts from it, and that faces forwards, to a side or down,
    is left out: forehead, eyes, nose, mouth, ears, neck. Quickshear (Schimke 2011) takes one such
    plane. No voxel within 6 mm of the brain is lost, whatever the pose of the head.

    Parameters
    ----------
    shape : (int, int, int)
    affine : array (4, 4)
        Of the head to scanner space, mm (RAS+).
    gm, wm : (values (x, y, z), affine (4, 4))
        Maps of its grey and white matter, 0 to 1, each on its grid.

    Returns
    -------
    array `shape` of bool

    Raises
    ------
    DataError
        The maps hold no brain, or more than one.
    """
    from scipy.spatial import ConvexHull

    about, own = about_brain(gm, wm)
    _check_volume(about, own)
    surface = np.argwhere(about)
    brain = surface[ConvexHull(surface).vertices] @ own[:3, :3].T + own[:3, 3]
    up, back = np.array([0, 0, _FAR_MM]), np.array([0, -_FAR_MM, 0])
    # Hull and everything above and behind it: the hull of itself and of copies far up and back.
    hull = ConvexHull(np.concatenate([brain, brain + up, brain + back, brain + up + back]))
    return _inside(np.unique(hull.equations.round(9), axis=0), shape, affine)


def _inside(planes: np.ndarray, shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """Voxels (x, y, z) behind all planes (n, 4), found every 2 mm."""
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    stride = np.maximum(np.round(_GRID_MM / spacing).astype(int), 1)
    axes = [np.arange(0, n, step) + (step - 1) / 2 for n, step in zip(shape, stride)]
    kept = np.ones([len(axis) for axis in axes], bool)
    for plane in planes:
        along = plane[:3] @ affine[:3, :3]
        i, j, k = (one * axis for one, axis in zip(along, axes))
        limit = -plane[3] - plane[:3] @ affine[:3, 3]
        kept &= i[:, None, None] + j[:, None] + k <= limit
    for axis, step in enumerate(stride):
        kept = kept.repeat(step, axis)
    return kept[tuple(slice(n) for n in shape)]


def _check_volume(about: np.ndarray, affine: np.ndarray) -> None:
    """DataError where what lies within 6 mm of the brain is no brain's, so that a face may be part
    of it."""
    volume_ml = about.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
    if not _LEAST_ML <= volume_ml <= _MOST_ML:
        raise DataError(
            f"{volume_ml:.0f} mL lie within 6 mm of grey and white matter by the maps, and of a "
            f"brain {_LEAST_ML:.0f} to {_MOST_ML:.0f}: what they hold is no brain alone; name "
            "other maps of gm, wm and csf in the scans sheet"
        )

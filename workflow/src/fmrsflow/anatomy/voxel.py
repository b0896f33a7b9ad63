"""The MRS voxel on an image's grid: share of each grid voxel, tissue fractions, coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError


@dataclass(frozen=True)
class Fractions:
    """Tissue of the MRS voxel.

    Attributes
    ----------
    gm, wm, csf : float
        Volume fractions, normalised to sum 1.
    total : float
        Their sum before normalisation (1 where the maps explain the whole voxel).
    coverage : float
        Share of the voxel inside the maps' grid.
    volume_ml : float
        Volume of the voxel as sampled on the grid.
    """

    gm: float
    wm: float
    csf: float
    total: float
    coverage: float
    volume_ml: float


def share_on_grid(
    voxel: np.ndarray, shape: tuple[int, ...], affine: np.ndarray, samples: int = 4
) -> np.ndarray:
    """Share of each grid voxel that lies in the MRS voxel, from `samples`^3 points in each.

    Parameters
    ----------
    voxel : array (4, 4)
        Affine of the MRS voxel: the unit cube about its origin maps to the voxel, mm.
    shape, affine
        Grid of the image: three lengths, voxel to mm.

    Returns
    -------
    array, shape of the grid, 0 to 1
    """
    to_voxel = np.linalg.inv(voxel) @ affine
    corners = _corners() @ voxel[:3, :3].T + voxel[:3, 3]
    on_grid = _apply(np.linalg.inv(affine), corners)
    low = np.maximum(np.floor(on_grid.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(on_grid.max(axis=0)).astype(int) + 2, shape)
    share = np.zeros(shape)
    if np.any(high <= low):
        return share
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    axes = [(np.arange(a, b)[:, None] + steps).ravel() for a, b in zip(low, high)]
    # Affine maps are sums over axes: three broadcast terms instead of a list of all points.
    inside = np.ones([len(axis) for axis in axes], bool)
    for row in to_voxel[:3]:
        terms = [row[n] * axis for n, axis in enumerate(axes)]
        place = terms[0][:, None, None] + terms[1][None, :, None] + terms[2] + row[3]
        inside &= np.abs(place) <= 0.5
    counts = [length for a, b in zip(low, high) for length in (b - a, samples)]
    block = inside.reshape(counts).mean(axis=(1, 3, 5))
    share[tuple(slice(a, b) for a, b in zip(low, high))] = block
    return share


def tissue_fractions(
    voxel: np.ndarray,
    maps: dict[str, tuple[np.ndarray, np.ndarray]],
    samples: int = 4,
) -> Fractions:
    """Volume fractions of GM, WM and CSF in the MRS voxel, each map on its own grid.

    Parameters
    ----------
    voxel : array (4, 4)
    maps : dict
        gm, wm, csf -> (probabilities (x, y, z), affine (4, 4)).

    Raises
    ------
    DataError
        The voxel lies outside every map, or where the maps are empty.
    """
    shares = {}
    nominal = abs(np.linalg.det(voxel[:3, :3]))
    coverage, volume, grid = 1.0, 0.0, None
    for name, (values, affine) in maps.items():
        if grid is None or grid[0] != values.shape or not np.array_equal(grid[1], affine):
            # Maps of one tool share their grid.
            grid = values.shape, affine
            share = share_on_grid(voxel, values.shape, affine, samples)
            place = np.nonzero(share)
            share = share[place]
        volume = share.sum() * abs(np.linalg.det(affine[:3, :3]))
        coverage = min(coverage, volume / nominal)
        shares[name] = float(share @ values[place] / share.sum()) if share.any() else 0.0
    if coverage <= 0:
        raise DataError(
            "the MRS voxel lies outside the T1w or its maps: they are of another person or "
            "session, or the image was moved; name the T1w in scanner space"
        )
    total = sum(shares.values())
    if total <= 0:
        raise DataError(
            "the maps hold no tissue where the MRS voxel lies: is it outside the head? Name the "
            "T1w or maps of this person and session"
        )
    return Fractions(
        gm=shares["gm"] / total,
        wm=shares["wm"] / total,
        csf=shares["csf"] / total,
        total=total,
        coverage=min(coverage, 1.0),
        volume_ml=volume / 1000,
    )


def _corners() -> np.ndarray:
    return np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T


def _apply(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ affine[:3, :3].T + affine[:3, 3]

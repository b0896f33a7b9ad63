"""The MRS voxel on the grid of a BOLD run, and which of its voxels hold data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmrsflow.errors import DataError

SAMPLES = 8
"""Points along each edge of an fMRI voxel at which the MRS voxel is asked for."""

Points = Callable[[np.ndarray], np.ndarray]
"""Maps points (n, 3) in mm to points (n, 3) in mm."""


@dataclass(frozen=True)
class VoxelMask:
    """The MRS voxel on a grid.

    Attributes
    ----------
    share : array (x, y, z)
        Share of each fMRI voxel that lies inside the MRS voxel.
    mask : bool array (x, y, z)
        Voxels that count: at least the minimum share inside, and data there.
    covered : float
        Share of the MRS voxel's volume that lies on the grid where there are data.
    """

    share: np.ndarray
    mask: np.ndarray
    covered: float

    def within(self, data: np.ndarray) -> VoxelMask:
        """The same where the voxels with data (x, y, z) are fewer.

        Raises
        ------
        DataError
            None of the mask is left.
        """
        mask = self.mask & data
        if not mask.any():
            raise DataError("no fMRI voxel of the MRS voxel holds data in every BOLD run")
        left = float(self.share[mask].sum() / self.share[self.mask].sum())
        return VoxelMask(self.share, mask, left * self.covered)


def with_data(series: np.ndarray) -> np.ndarray:
    """Voxels of a run (x, y, z, scan) that hold brain: finite, not constant, not background.

    Background is below half of the mean of those above an eighth of the mean (SPM's two-step rule;
    its 0.8 leaves out too much of the cortex beside air).
    """
    mean = series.mean(axis=3, dtype=np.float64)
    finite = np.isfinite(mean)
    level = mean[finite]
    if not level.size or level.max() <= 0:
        raise DataError("the BOLD run holds no positive signal")
    brain = level[level > level.mean() / 8].mean()
    changes = np.zeros(mean.shape, bool)
    changes[finite] = np.ptp(series[finite], axis=1) > 0
    return finite & changes & (np.where(finite, mean, 0) > 0.5 * brain)


def voxel_mask(
    mrs_affine: np.ndarray,
    bold_affine: np.ndarray,
    data: np.ndarray,
    to_mrs: Points | None = None,
    min_share: float = 0.5,
) -> VoxelMask:
    """The MRS voxel on the BOLD grid.

    Parameters
    ----------
    mrs_affine : array (4, 4)
        Of the NIfTI-MRS: one voxel, from -0.5 to 0.5 in each index, to mm.
    bold_affine : array (4, 4)
        Of the BOLD run, any orientation, to mm.
    data : bool array (x, y, z)
        Where the run holds data (`with_data`).
    to_mrs : callable, optional
        Takes points of the BOLD run's space to that of the MRS scan; none where both are one.
    min_share : float
        Share of an fMRI voxel that must lie inside.

    Raises
    ------
    DataError
        The MRS voxel lies outside the run, or where it has no data.
    """
    share, covered = np.zeros(data.shape), 0.0
    first, last = _neighbourhood(mrs_affine, bold_affine, data.shape, to_mrs)
    if (last > first).all():
        fine = _shares(mrs_affine, bold_affine, first, last, to_mrs)
        # The neighbourhood may reach beyond the grid: what lies there is not covered.
        low, high = np.clip(first, 0, data.shape), np.clip(last, 0, data.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high))
        share[box] = fine[tuple(slice(a - f, b - f) for a, b, f in zip(low, high, first))]
        covered = float((share * data).sum() / max(fine.sum(), 1e-12))
    mask = (share >= min_share) & data
    if not mask.any():
        centre = np.round(mrs_affine[:3, 3], 1).tolist()
        if not share.any():
            raise DataError(
                f"the MRS voxel (centre {centre} mm) lies outside the field of view of the BOLD "
                "run; is the run in the space of this session's T1w, or is a transform missing "
                "(setting bold: transform)?"
            )
        raise DataError(
            f"no fMRI voxel with data lies at least {min_share:.0%} inside the MRS voxel (centre "
            f"{centre} mm): {covered:.0%} of it holds BOLD signal; check the registration"
        )
    return VoxelMask(share, mask, covered)


def _corners(affine: np.ndarray) -> np.ndarray:
    unit = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T
    return unit @ affine[:3, :3].T + affine[:3, 3]


def _shares(mrs_affine, bold_affine, first, last, to_mrs) -> np.ndarray:
    """Share of each voxel of a box of grid indices that lies inside the MRS voxel."""
    to_index = np.linalg.inv(mrs_affine)
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    axes = [(np.arange(a, b)[:, None] + steps).ravel() for a, b in zip(first, last)]
    inside = np.empty([len(one) for one in axes])
    # Slab by slab: a fine grid has millions of sampling points.
    for i, x in enumerate(axes[0]):
        slab = np.stack(np.meshgrid(x, axes[1], axes[2], indexing="ij"), axis=-1).reshape(-1, 3)
        points = slab @ bold_affine[:3, :3].T + bold_affine[:3, 3]
        points = to_mrs(points) if to_mrs else points
        index = points @ to_index[:3, :3].T + to_index[:3, 3]
        inside[i] = (np.abs(index) <= 0.5).all(axis=1).reshape(inside.shape[1:])
    counts = last - first
    fine = inside.reshape(counts[0], SAMPLES, counts[1], SAMPLES, counts[2], SAMPLES)
    return fine.mean(axis=(1, 3, 5))


def _neighbourhood(mrs_affine, bold_affine, shape, to_mrs) -> tuple[np.ndarray, np.ndarray]:
    """Box of indices round the MRS voxel, first and one past the last, also beyond the grid."""
    corners = _corners(mrs_affine)
    if to_mrs is None:
        to_grid = np.linalg.inv(bold_affine)
        index = corners @ to_grid[:3, :3].T + to_grid[:3, 3]
        return np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int) + 1
    # Only points of the BOLD space can be moved: take those of the grid, and of a margin about
    # it, that come near.
    sizes = np.linalg.norm(bold_affine[:3, :3], axis=0)
    reach = np.linalg.norm(corners - mrs_affine[:3, 3], axis=1).max()
    margin = np.ceil(2 * reach / sizes).astype(int)
    index = np.indices(np.array(shape) + 2 * margin).reshape(3, -1).T - margin
    moved = to_mrs(index @ bold_affine[:3, :3].T + bold_affine[:3, 3])
    near = index[np.linalg.norm(moved - mrs_affine[:3, 3], axis=1) <= reach + 2 * sizes.max()]
    if not len(near):
        return np.zeros(3, int), np.zeros(3, int)
    return near.min(axis=0) - 1, near.max(axis=0) + 2


def read_transform(path: str | Path) -> Points:
    """Points of the BOLD run's space to the MRS space, from a transform file.

    A text file of 4 x 4 numbers takes MRS mm (RAS+) to BOLD mm and is inverted here. An ITK file
    (.txt, .tfm, .mat, .h5; LPS) is that which resamples an image of the MRS space into the space
    of the BOLD run, named ``from-<MRS>_to-<BOLD>_mode-image_xfm`` by fMRIPrep: ITK lets such a
    transform take points of the latter to the former, as needed here.

    Raises
    ------
    DataError
        Neither form, or a matrix that is no invertible affine.
    """
    path = Path(path)
    matrix = None
    if path.suffix.lower() in (".txt", ".tsv", ".csv", ".dat"):
        first = path.read_text(errors="replace")
        if not first.lstrip().startswith("#Insight Transform"):
            matrix = _matrix(first, path.name)
    if matrix is not None:
        back = np.linalg.inv(matrix)
        return lambda points: points @ back[:3, :3].T + back[:3, 3]
    import SimpleITK as sitk

    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError:
        raise DataError(
            f"{path.name} is neither 4 x 4 numbers in text nor an ITK transform"
        ) from None
    flip = np.array([-1.0, -1.0, 1.0])
    if transform.IsLinear():
        corner = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
        axes = [np.array(transform.TransformPoint(tuple(one))) - corner for one in np.eye(3)]
        linear = np.array(axes).T * np.outer(flip, flip)
        return lambda points: points @ linear.T + flip * corner
    return lambda points: (
        np.array([transform.TransformPoint(tuple(one)) for one in points * flip]) * flip
    )


def _matrix(text: str, name: str) -> np.ndarray:
    try:
        matrix = np.array([float(one) for one in text.replace(",", " ").split()])
    except ValueError:
        matrix = np.zeros(0)
    if matrix.size != 16:
        raise DataError(f"{name} is neither 4 x 4 numbers in text nor an ITK transform")
    matrix = matrix.reshape(4, 4)
    proper = np.allclose(matrix[3], [0, 0, 0, 1]) and abs(np.linalg.det(matrix[:3, :3])) > 1e-3
    if not (np.isfinite(matrix).all() and proper):
        raise DataError(
            f"{name} holds no affine transform: its last row must be 0 0 0 1 and it must be "
            "invertible"
        )
    return matrix

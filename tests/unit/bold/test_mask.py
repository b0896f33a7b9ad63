"""The MRS voxel on a BOLD grid: volumes in closed form, orientation, transforms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fmrsflow.bold.mask import read_transform, voxel_mask, with_data
from fmrsflow.errors import DataError

SHAPE = (30, 32, 28)


def grid(spacing_mm=3.0, shape=SHAPE):
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = -spacing_mm * (np.array(shape) - 1) / 2
    return affine


def box(size_mm, centre_mm=(0, 0, 0), euler_deg=(0, 0, 0)):
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", euler_deg, degrees=True).as_matrix()
    affine[:3, :3] = rotation * np.asarray(size_mm, float)
    affine[:3, 3] = centre_mm
    return affine


def test_a_box_along_the_grid_has_its_exact_shares():
    # 24 mm about a voxel's corner region: 8 voxels of 3 mm an axis, cut in the middle at each end.
    found = voxel_mask(box((24, 24, 24), (1.5, 0, 1.5)), grid(), np.ones(SHAPE, bool))
    assert (found.share * 27).sum() == pytest.approx(24**3, rel=1e-9)
    assert found.covered == pytest.approx(1.0)
    assert set(np.unique(found.share)) <= {0, 0.125, 0.25, 0.5, 1.0}


@pytest.mark.parametrize("euler", [(20, 0, 0), (10, -25, 40)])
def test_a_turned_box_keeps_its_volume(euler):
    found = voxel_mask(box((25, 22, 30), (3, -2, 5), euler), grid(), np.ones(SHAPE, bool))
    assert (found.share * 27).sum() == pytest.approx(25 * 22 * 30, rel=0.015)
    assert found.covered == pytest.approx(1.0, abs=0.01)


def test_orientation_of_the_grid_does_not_move_the_voxel():
    import nibabel as nib

    mrs = box((25, 20, 30), (12, -9, 7), (5, 10, 15))
    data = np.ones(SHAPE, bool)
    first = voxel_mask(mrs, grid(), data)
    turned = nib.as_closest_canonical(nib.Nifti1Image(first.share, grid()))
    other = np.transpose(turned.get_fdata()[::-1], (2, 0, 1))
    affine = grid() @ np.array(
        [[0, -1, 0, SHAPE[0] - 1], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]]
    )
    second = voxel_mask(mrs, affine, np.ones(other.shape, bool))
    np.testing.assert_allclose(second.share, other, atol=1e-12)


def test_half_of_the_voxel_outside_the_data_is_half_covered():
    data = np.ones(SHAPE, bool)
    data[15:] = False
    found = voxel_mask(box((24, 24, 24)), grid(), data)
    assert found.covered == pytest.approx(0.5, abs=0.02)
    assert not found.mask[15:].any()


def test_a_voxel_half_outside_the_grid_is_half_covered():
    for transform in (None, lambda points: points):
        found = voxel_mask(box((24, 24, 24), (45, 0, 0)), grid(), np.ones(SHAPE, bool), transform)
        assert found.covered == pytest.approx(0.5, abs=0.02)


def test_a_voxel_outside_is_refused():
    far = box((24, 24, 24), (200, 0, 0))
    for transform in (None, lambda points: points):
        with pytest.raises(DataError, match="outside the field of view"):
            voxel_mask(far, grid(), np.ones(SHAPE, bool), transform)


def test_a_voxel_without_data_is_refused():
    data = np.ones(SHAPE, bool)
    data[5:25] = False
    with pytest.raises(DataError, match="0% of it holds BOLD"):
        voxel_mask(box((24, 24, 24)), grid(), data)


MOVE = np.eye(4)
MOVE[:3, :3] = Rotation.from_euler("xyz", (8, -12, 20), degrees=True).as_matrix()
MOVE[:3, 3] = [6, -9, 4]
"""Takes points of the MRS space to those of the BOLD run."""


def itk_text():
    """ITK's file for the resampling of MRS-space images into BOLD space: points back, in LPS."""
    flip = np.diag([-1, -1, 1, 1.0])
    back = flip @ np.linalg.inv(MOVE) @ flip
    numbers = " ".join(f"{one:.12g}" for one in [*back[:3, :3].ravel(), *back[:3, 3]])
    return (
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0\n"
    )


@pytest.mark.parametrize("kind", ["matrix", "itk"])
def test_a_transform_file_moves_the_voxel(kind, tmp_path):
    mrs = box((25, 20, 30), (4, -3, 7))
    moved = voxel_mask(MOVE @ mrs, grid(), np.ones(SHAPE, bool))
    path = tmp_path / "xfm.txt"
    path.write_text(
        itk_text() if kind == "itk" else "\n".join(" ".join(map(str, row)) for row in MOVE)
    )
    found = voxel_mask(mrs, grid(), np.ones(SHAPE, bool), read_transform(path))
    np.testing.assert_allclose(found.share, moved.share, atol=1 / 512 + 1e-9)
    assert np.abs(found.share - moved.share).mean() < 1e-5
    assert found.covered == pytest.approx(1.0, abs=0.01)


def test_coverage_knows_that_a_transform_scales():
    def half_size(points):
        return points / 2

    # The voxel of 20 mm is 40 mm wide in the space of the run.
    found = voxel_mask(box((20, 20, 20)), grid(), np.ones(SHAPE, bool), half_size)
    assert (found.share * 27).sum() == pytest.approx(40**3, rel=0.03)
    assert found.covered == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    "text", ["no transform", "1 0 0 0\n0 1 0 0\n0 0 1 0", "1 0 0 0 0 1 0 0 0 0 0 0 0 0 0 1"]
)
def test_a_file_that_is_no_transform_is_refused(text, tmp_path):
    (tmp_path / "xfm.txt").write_text(text)
    with pytest.raises(DataError, match="transform"):
        read_transform(tmp_path / "xfm.txt")


def test_background_constants_and_nan_are_no_data():
    rng = np.random.default_rng(0)
    series = np.full((6, 6, 6, 20), 5.0) + rng.standard_normal((6, 6, 6, 20))
    series[2:5, 2:5, 2:5] += 1000
    series[2, 2, 2] = 1000.0
    series[3, 3, 3, 4] = np.nan
    found = with_data(series.astype(np.float32))
    assert found.sum() == 27 - 2
    assert not found[2, 2, 2] and not found[3, 3, 3] and not found[0, 0, 0]

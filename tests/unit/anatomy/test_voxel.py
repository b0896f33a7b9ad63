"""The MRS voxel on a grid, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fmrsflow.anatomy.voxel import share_on_grid, tissue_fractions
from fmrsflow.errors import DataError

SHAPE = (60, 64, 56)
GRID = np.array([[1.1, 0, 0, -33], [0, 1.0, 0, -32], [0, 0, 1.2, -33.6], [0, 0, 0, 1]])


def box(sizes, degrees=(0, 0, 0), centre=(0, 0, 0)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * sizes
    affine[:3, 3] = centre
    return affine


def planes(offset: float) -> dict:
    """GM above the plane z = offset, WM below it, no CSF; the border within a grid voxel exact."""
    z = GRID[2, 2] * np.arange(SHAPE[2]) + GRID[2, 3]
    above = np.clip((z - offset) / GRID[2, 2] + 0.5, 0, 1)
    gm = np.broadcast_to(above, SHAPE)
    return {"gm": (gm, GRID), "wm": (1 - gm, GRID), "csf": (0 * gm, GRID)}


@pytest.mark.parametrize(
    ("degrees", "relative"), [((0, 0, 0), 0.01), ((20, -35, 50), 0.002), ((45, 45, 0), 0.002)]
)
def test_volume_on_the_grid_is_that_of_the_box(degrees, relative):
    share = share_on_grid(box((26, 26, 30), degrees, (1.3, -0.7, 0.4)), SHAPE, GRID)
    # Samples are 0.25 to 0.3 mm apart: an edge along the grid is right to one of about 100 of them;
    # tilted, the errors of the surface average out.
    assert share.sum() * np.linalg.det(GRID[:3, :3]) == pytest.approx(20280, rel=relative)


def test_plane_through_the_centre_halves_any_box():
    for degrees in ((0, 0, 0), (30, 20, 10), (-70, 15, 80)):
        found = tissue_fractions(box((20, 25, 30), degrees, (0, 0, 2.5)), planes(2.5))
        assert found.gm == pytest.approx(0.5, abs=0.005)
        assert found.total == pytest.approx(1, abs=1e-6)


def test_tilted_box_above_a_plane_has_the_fraction_of_the_wedge():
    # Turned by a about x, the plane z = d cuts both long faces: the share above is 1/2 - d/(c h)
    # with h the edge along the turned z axis and c = 1/cos a.
    angle, height, offset = 20.0, 30.0, 4.0
    found = tissue_fractions(box((20, 20, height), (angle, 0, 0)), planes(offset))
    expected = 0.5 - offset / (height * np.cos(np.deg2rad(angle)))
    assert found.gm == pytest.approx(expected, abs=0.005)


def test_maps_on_different_grids_give_the_same_fractions():
    maps = planes(1.0)
    coarse = GRID @ np.diag([2.0, 2.0, 1.0, 1.0])
    coarse[:2, 3] += GRID[:2, :2].diagonal() / 2
    maps["wm"] = (maps["wm"][0][::2, ::2], coarse)
    found = tissue_fractions(box((20, 20, 20), (10, 20, 30), (0, 0, 1.0)), maps)
    assert found.gm == pytest.approx(0.5, abs=0.005)
    assert found.total == pytest.approx(1, abs=0.005)


def test_coverage_is_the_share_inside_the_grid():
    edge = GRID[0, 3] - 0.5 * GRID[0, 0]
    found = tissue_fractions(box((20, 20, 20), centre=(edge + 5, 0, 0)), planes(0))
    assert found.coverage == pytest.approx(0.75, abs=0.005)


def test_voxel_outside_the_image_is_a_data_error():
    with pytest.raises(DataError, match="outside"):
        tissue_fractions(box((20, 20, 20), centre=(300, 0, 0)), planes(0))

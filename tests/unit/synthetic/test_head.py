"""The head phantom: tissue that adds up, a T1w that shows it, a voxel that lies in it."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.synthetic.head import fractions, make_head, voxel_affine


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def head():
    return make_head(rng(1), rng(2), age=30, spacing_mm=3.0)


def test_tissue_fractions_sum_to_one_inside_the_brain_and_are_nothing_outside(head):
    total = sum(head.maps.values())
    inside = head.t1w > 0
    assert np.allclose(total[inside], 1, atol=1e-5)
    assert total[~inside].max() < 1e-5
    litres = inside.sum() * 27 / 1e6
    assert 1.4 < litres < 2.4


def test_t1w_intensity_orders_the_tissues(head):
    means = {name: head.t1w[part > 0.95].mean() for name, part in head.maps.items()}
    assert means["csf"] < 0.6 * means["gm"] < 0.6 * means["wm"]


def test_fractions_of_a_voxel_are_the_mean_of_the_maps_in_it(head):
    # A voxel that covers whole voxels of the grid, where the mean is known without interpolation.
    start, n = np.array([25, 12, 25]), 6
    affine = np.diag([*(3.0 * n * np.ones(3)), 1.0])
    affine[:3, 3] = (head.affine @ [*(start + (n - 1) / 2), 1.0])[:3]
    box = tuple(slice(s, s + n) for s in start)
    inside = {name: part[box].mean() for name, part in head.maps.items()}
    found = fractions(head, affine, samples=36)
    total = sum(inside.values())
    for name, value in inside.items():
        # Interpolation blurs across the box's faces only.
        assert found[name] == pytest.approx(value / total, abs=0.03)
    assert sum(found[name] for name in ("gm", "wm", "csf")) == pytest.approx(1)


def test_the_voxel_is_a_box_of_its_size_near_its_place(head):
    affine = voxel_affine(head, (0, -80, 6), (25, 20, 30), rng(3))
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    assert sizes == pytest.approx([25, 20, 30], abs=1e-4)
    rotation = affine[:3, :3] / sizes
    assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-5)
    back = np.linalg.inv(head.from_mni) @ affine[:, 3]
    assert np.linalg.norm(back[:3] - [0, -80, 6]) < 6
    assert fractions(head, affine)["coverage"] > 0.95


def test_a_voxel_outside_the_brain_is_refused(head):
    affine = np.diag([20.0, 20, 20, 1])
    affine[:3, 3] = [0, 300, 0]
    with pytest.raises(ValueError, match="outside the brain"):
        fractions(head, affine)


def test_an_older_brain_holds_more_fluid():
    young, old = (make_head(rng(1), rng(2), age, 4.0).maps["csf"].sum() for age in (20, 80))
    assert old > 1.02 * young


def test_a_traveller_keeps_the_anatomy_and_changes_the_pose():
    here, there = (make_head(rng(1), rng(seed), 30, 4.0) for seed in (2, 3))
    assert not np.allclose(here.from_mni, there.from_mni)
    volumes = [head.maps["wm"].sum() for head in (here, there)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)

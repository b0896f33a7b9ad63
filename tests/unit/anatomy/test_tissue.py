"""Built-in segmentation against heads of known tissue, and on a measured T1w."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, map_coordinates

from fmrsflow.anatomy.brain import about_brain, about_brain_of_bold, brain_mask, is_stripped
from fmrsflow.anatomy.tissue import contrast_doubts, segment
from fmrsflow.anatomy.voxel import tissue_fractions
from fmrsflow.bold.mask import with_data
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError
from fmrsflow.report.voxel_figure import voxel_figure
from fmrsflow.results import _encode
from fmrsflow.stages.segment import STEPS, kept_map
from fmrsflow.study import Site
from fmrsflow.synthetic.head import fractions, make_head

PHILIPS = "philips-press-3t/sub-01_ses-01"
SYSTEMATIC = 0.05
"""Spread of usable segmentations of one image."""


def whole_head(brain: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """A brain in cerebrospinal fluid, skull and scalp, with noise in the air."""
    away = distance_transform_edt(brain <= 0, spacing)
    white = np.percentile(brain[brain > 0], 90)
    head = np.array(brain, float)
    for low, high, level in ((0, 2, 0.25), (2, 6, 0.08), (6, 12, 1.5)):
        head[(away > low) & (away <= high)] = level * white
    noise = np.random.default_rng(4).normal(0, 0.015 * white, (2, *head.shape))
    return np.hypot(head + noise[0], noise[1]).astype(np.float32)


@pytest.fixture(scope="module")
def head():
    return make_head(np.random.default_rng(0), np.random.default_rng(10))


@pytest.fixture(scope="module")
def maps(head):
    return segment(head.t1w.astype(np.float32), head.affine)


@pytest.mark.parametrize("centre", [(0, -60, 20), (0, -85, 5), (-45, -5, 50)])
def test_fractions_of_a_known_head_come_out(head, maps, centre):
    voxel = np.diag([25.0, 25.0, 25.0, 1.0])
    voxel[:3, 3] = (head.from_mni @ [*centre, 1])[:3]
    found = tissue_fractions(
        voxel, {name: (getattr(maps, name), head.affine) for name in ("gm", "wm", "csf")}
    )
    true = fractions(head, voxel)
    for name in ("gm", "wm", "csf"):
        assert getattr(found, name) == pytest.approx(true[name], abs=SYSTEMATIC)


def test_maps_are_probabilities_that_sum_to_one_inside_the_brain(maps):
    total = maps.gm + maps.wm + maps.csf
    np.testing.assert_allclose(total[maps.mask], 1, atol=1e-5)
    assert not total[~maps.mask].any()
    assert min(one.min() for one in (maps.gm, maps.wm, maps.csf)) >= 0


def inverted(values):
    """Fluid bright and white matter dark, as in a T2w."""
    return np.where(values > 0.02 * values.max(), values.max() - values, 0)


def ran_over(values):
    """Bytes of 600 grey levels, of which those from 256 on begin anew."""
    return (600 * values / values.max()) % 256


@pytest.mark.parametrize("change", [inverted, ran_over])
def test_what_is_no_t1w_gives_no_tissue_in_silence(change):
    """Refused, or told where its three classes are apart by chance."""
    head = make_head(np.random.default_rng(0), np.random.default_rng(10), spacing_mm=4.0)
    right = segment(head.t1w.astype(np.float32), head.affine)
    assert contrast_doubts(right) == []
    try:
        found = segment(change(head.t1w.astype(np.float32)), head.affine)
    except DataError as error:
        assert "white matter" in str(error)
    else:
        assert contrast_doubts(found)


def test_a_measured_brain_with_its_contrast_inverted_is_refused(shared_data):
    image = nib.load(shared_data / f"{PHILIPS}_T1w_brain.nii.gz")
    values = image.get_fdata(dtype=np.float32)
    assert contrast_doubts(segment(values, image.affine)) == []
    with pytest.raises(DataError, match="does not lie as deep as white matter does"):
        segment(inverted(values), image.affine)


def test_no_numbers_outside_the_brain_are_background(head, maps):
    values = head.t1w.astype(np.float32)
    outside = np.where(distance_transform_edt(~maps.mask) > 3, np.nan, values)
    zeros = segment(np.nan_to_num(outside), head.affine)
    np.testing.assert_array_equal(segment(outside, head.affine).gm, zeros.gm)
    inside = np.where(distance_transform_edt(maps.mask) > 20, np.nan, values)
    with pytest.raises(DataError, match="no numbers within the brain"):
        segment(inside, head.affine)


def test_measured_t1w_gives_the_fractions_of_other_tools(shared_data):
    """Atropos and dipy: GM .53-.60, WM .32-.37, CSF .08-.13, each +-.05 (and 20.280 mL)."""
    image = nib.load(shared_data / f"{PHILIPS}_T1w_brain.nii.gz")
    site = Site("a", "Philips", 3.0, "PRESS", 0.03, 2.0, "own")
    voxel = read(shared_data / f"{PHILIPS}_PRESS_raw-act_noID.SDAT", site).fids.affine
    maps = segment(image.get_fdata(dtype=np.float32), image.affine)
    found = tissue_fractions(
        voxel, {name: (getattr(maps, name), image.affine) for name in ("gm", "wm", "csf")}
    )
    assert found.volume_ml == pytest.approx(20.280, rel=1e-3)
    assert found.coverage == pytest.approx(1, abs=1e-3)
    assert 0.53 - SYSTEMATIC < found.gm < 0.60 + SYSTEMATIC
    assert 0.32 - SYSTEMATIC < found.wm < 0.37 + 1.5 * SYSTEMATIC
    assert 0.08 - SYSTEMATIC < found.csf < 0.13 + SYSTEMATIC


def test_brain_is_cut_out_of_a_whole_head(shared_data):
    image = nib.load(shared_data / f"{PHILIPS}_T1w_brain.nii.gz")
    brain = image.get_fdata(dtype=np.float32)
    head = whole_head(brain, np.array(image.header.get_zooms()[:3]))
    assert is_stripped(brain) and not is_stripped(head)
    found, true = brain_mask(head, image.affine), brain > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.95
    # Nothing of the inside is lost above the base (cisterns open to it there), no scalp is taken.
    inside = distance_transform_edt(true) > 10
    height = np.einsum("i,ixyz->xyz", image.affine[2, :3], np.indices(true.shape))
    assert found[inside & (height > height[true].min() + 55)].all()
    assert found[inside].mean() > 0.995
    assert not found[distance_transform_edt(~true) > 8].any()


def test_a_picture_of_a_whole_head_shows_the_brain_and_nothing_of_a_face(head):
    """Nor what a segmentation took for tissue in it: an eye, and muscle that hangs on the brain."""
    gm, wm = (head.maps[name].copy() for name in ("gm", "wm"))
    brain = head.maps["gm"] + head.maps["wm"] > 0.5
    away = distance_transform_edt(~(head.t1w > 0), np.diag(head.affine)[:3])
    face = away > 6
    place = np.indices(face.shape)
    front = np.array([face.shape[0] // 2, np.flatnonzero(brain.any((0, 2))).max() + 10, 30])
    eye = ((place - front[:, None, None, None]) ** 2).sum(axis=0) < 6**2
    hanging = (np.abs(place[0] - front[0]) < 2) & (place[2] == 30) & (place[1] > front[1] - 30)
    gm[(eye | hanging) & (away > 0)] = 1.0
    mask, affine = about_brain((gm, head.affine), (wm, head.affine))
    onto = np.linalg.inv(affine) @ head.affine
    grid = np.einsum("ij,j...->i...", onto[:3, :3], place) + onto[:3, 3, None, None, None]
    seen = map_coordinates(mask.astype(np.float32), grid, order=1) > 0.5
    assert eye.sum() > 400 and (hanging & face).sum() > 10
    assert not seen[face & (away > 10)].any()
    assert seen[brain].mean() > 0.995

    # The same picture, whatever the face.
    voxel = np.diag([25.0, 25.0, 25.0, 1.0])
    voxel[:3, 3] = head.affine[:3, :3] @ (np.array(face.shape) // 2) + head.affine[:3, 3]
    pictures = []
    for seed in (1, 2):
        t1w = head.t1w.astype(np.float32)
        scalp = np.random.default_rng(seed).permutation(np.linspace(1, 900, (away > 12).sum()))
        t1w[away > 12] = scalp
        figure = voxel_figure(t1w, head.affine, voxel, (mask, affine))
        pictures.append(_encode(figure, None)[1])
    assert pictures[0] == pictures[1]


def test_a_picture_of_a_bold_run_shows_the_brain_and_nothing_of_a_face(head):
    """Scalp, and a face that hangs on the brain by 4 mm, as bright as brain on a mean EPI."""
    brain = np.pad(np.asarray(head.t1w > 0)[::2, ::2, ::2], 8)
    spacing = 2 * np.diag(head.affine)[:3]
    away = distance_transform_edt(~brain, spacing)
    place = np.indices(brain.shape)
    front = np.array([brain.shape[0] // 2, np.flatnonzero(brain.any((0, 2))).max() + 4, 18])
    face = (((place - front[:, None, None, None]) * spacing[:, None, None, None]) ** 2).sum(
        axis=0
    ) < 18**2
    bridge = (np.abs(place[0] - front[0]) < 1) & (np.abs(place[2] - 18) < 1)
    bridge &= (place[1] < front[1]) & (place[1] > front[1] - 12)
    shell = (away > 9) & (away <= 15)
    signal = np.where(brain | face | bridge | shell, 900.0, 20.0)
    noise = np.random.default_rng(3).normal(0, 5, (*brain.shape, 3))
    bright = with_data((signal[..., None] + noise).astype(np.float32))
    shown = about_brain_of_bold(bright, np.diag([*spacing, 1]))
    assert bright[face].all() and (face & (away > 9)).sum() > 200
    assert not shown[(face | shell) & (away > 9)].any()
    assert shown[brain].mean() > 0.995


def test_a_picture_without_a_brain_shows_nothing():
    empty = np.zeros((20, 20, 20), np.float32)
    spots = empty.copy()
    spots[::6, ::6, ::6] = 1
    for tissue in (empty, spots):
        mask, _ = about_brain((tissue, np.eye(4)), (tissue, np.diag([2.0, 2.0, 2.0, 1.0])))
        assert not mask.any()


def test_picture_without_three_tissues_is_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(DataError):
        segment(rng.normal(100, 5, (64, 64, 64)).astype(np.float32), np.diag([3.0, 3, 3, 1]))
    with pytest.raises(DataError, match="constant"):
        segment(np.ones((64, 64, 64), np.float32), np.diag([3.0, 3, 3, 1]))


def test_a_kept_map_is_within_half_a_step_and_its_mean_far_within(tmp_path):
    """Rounding errors of n independent values average to step / sqrt(12 n)."""
    values = np.random.default_rng(3).uniform(0, 1, (40, 40, 40))
    values[0, 0] = 1.2
    nib.save(kept_map(values, np.eye(4)), tmp_path / "map.nii.gz")
    error = nib.load(tmp_path / "map.nii.gz").get_fdata() - values.clip(0, 1)
    assert np.abs(error).max() <= 0.5001 / STEPS
    assert abs(error.mean()) < 4 / STEPS / np.sqrt(12 * values.size)

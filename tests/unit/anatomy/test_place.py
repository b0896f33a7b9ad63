"""Maps and T1w in their place, by headers and by what they show."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.anatomy.place import check_scanner_space, displacement_mm, forms_apart_mm
from fmrsflow.errors import DataError

SHAPE = (72, 84, 70)
AFFINE = np.array([[2.5, 0, 0, -90], [0, 2.5, 0, -105], [0, 0, 2.5, -80], [0, 0, 0, 1.0]])


def head(scalp: float, seed: int = 1):
    """Maps of a brain of ellipsoids with ventricles and folds, and its T1w: a bias field of a
    third, noise of a tenth, and a scalp (0: skull-stripped)."""
    rng = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(place @ AFFINE[:3, :3].T + AFFINE[:3, 3], -1, 0)
    folds = 5 * np.sin(x / 7) * np.cos(y / 9 + 1) * np.sin(z / 8 + 2)
    depth = np.sqrt((x / 65) ** 2 + ((y + 15) / 80) ** 2 + ((z - 5) / 60) ** 2) * 70
    ventricle = ((np.abs(x) - 12) / 7) ** 2 + ((y + 10) / 25) ** 2 + ((z - 10) / 8) ** 2 < 1
    csf = ((depth > 66) & (depth < 72)) | ventricle
    wm = (depth + folds < 54) & ~csf
    gm = (depth < 66) & ~wm & ~csf
    skin = (depth > 80) & (depth < 86)
    bias = 1 + x / 300 + z / 400
    t1w = (1.0 * wm + 0.7 * gm + 0.25 * csf + scalp * skin) * bias
    t1w = t1w + 0.1 * rng.normal(size=SHAPE) * (t1w > 0)
    return t1w, {"gm": (gm * 1.0, AFFINE), "wm": (wm * 1.0, AFFINE), "csf": (csf * 1.0, AFFINE)}


def moved(affine: np.ndarray, by) -> np.ndarray:
    found = affine.copy()
    found[:3, 3] += by
    return found


@pytest.mark.parametrize("scalp", [0.0, 1.3])
@pytest.mark.parametrize(
    ("by", "told"),
    [((0, 0, 0), 0), ((3, 0, 0), 0), ((20, 0, 0), 20), ((0, -20, 0), 20), ((12, 0, 16), 20)],
)
def test_maps_that_were_moved_are_noticed(scalp, by, told):
    """Whichever was moved; 3 mm are what tools differ by."""
    t1w, maps = head(scalp)
    moved_maps = {name: (values, moved(affine, by)) for name, (values, affine) in maps.items()}
    found = displacement_mm(t1w, AFFINE, moved_maps)
    assert np.linalg.norm(found) == pytest.approx(told, abs=4)
    np.testing.assert_allclose(found, -np.array(by) if told else 0, atol=4)
    other = displacement_mm(t1w, moved(AFFINE, by), maps)
    assert np.linalg.norm(other) == pytest.approx(told, abs=4)


def test_maps_of_another_head_do_not_ask_for_a_move_that_explains_nothing():
    t1w, maps = head(1.3)
    assert not displacement_mm(0 * t1w, AFFINE, maps).any()
    empty = {name: (0 * values, affine) for name, (values, affine) in maps.items()}
    assert not displacement_mm(t1w, AFFINE, empty).any()


@pytest.mark.parametrize(
    ("sform", "qform", "words"),
    [(1, 1, ""), (2, 0, ""), (0, 1, ""), (4, 1, "MNI space"), (3, 0, "Talairach"), (0, 0, "both")],
)
def test_an_image_of_another_space_is_refused(sform, qform, words):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), None)
    image.set_sform(AFFINE, code=sform)
    image.set_qform(AFFINE, code=qform)
    if words:
        with pytest.raises(DataError, match=f"x.nii.*{words}"):
            check_scanner_space(image, "x.nii")
    else:
        check_scanner_space(image, "x.nii")


@pytest.mark.parametrize(
    ("by", "codes", "told"),
    [(20.0, (1, 1), 20.0), (20.0, (2, 1), 20.0), (20.0, (1, 0), 0.0), (20.0, (0, 1), 0.0),
     (0.5, (1, 1), 0.0), (0.0, (1, 1), 0.0)],
)  # fmt: skip
def test_two_positions_in_a_header_are_told(by, codes, told):
    """As SPM leaves them after a co-registration or a new origin."""
    turned = np.diag([2.0, 2.0, 2.0, 1.0])
    angle = np.deg2rad(17.0)
    turned[:2, :2] = 2 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned[:3, 3] = (-80.0, -110.0, -60.0)
    image = nib.Nifti1Image(np.zeros((90, 100, 90), np.float32), turned)
    image.set_qform(turned, codes[1])
    image.set_sform(moved(turned, (0.0, by, 0.0)), codes[0])
    assert forms_apart_mm(image) == pytest.approx(told, abs=0.01)
    plane = nib.Nifti1Image(np.zeros((90, 100), np.float32), image.affine, image.header)
    plane.set_qform(*image.get_qform(coded=True))
    plane.set_sform(*image.get_sform(coded=True))
    assert forms_apart_mm(plane) == pytest.approx(told, abs=0.01)  # refused later, for its shape

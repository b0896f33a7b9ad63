"""What is left of a head: the whole brain, and nothing that a person is known by."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fmrsflow.anatomy.brain import brain_mask
from fmrsflow.anatomy.face import without_face
from fmrsflow.errors import DataError
from publish_tools import a_head, with_scalp

FACE_MM = {
    "brow": (20, 86, -5),
    "bridge of the nose": (0, 88, -25),
    "tip of the nose": (0, 104, -48),
    "left cornea": (-32, 72, -38),
    "right cornea": (32, 72, -38),
    "mouth": (0, 92, -78),
    "left ear": (-86, -20, -45),
    "right ear": (86, -20, -45),
}
"""Of an adult's head, in the space of the template, mm."""

KEPT_MM = {"vertex": (0, -20, 98), "occiput": (0, -118, 0), "neck behind": (0, -105, -60)}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("nod_deg", [-20, 0, 20])
def test_face_and_ears_go_and_the_brain_stays(seed, nod_deg):
    head = a_head(seed)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("x", nod_deg, degrees=True).as_matrix()
    # A larger grid than the head's own, in which the places lie.
    shape, affine = (84, 100, 90), np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-126, -160, -140)
    own, grid = turn @ head.affine, turn @ affine
    kept = without_face(shape, grid, (head.maps["gm"], own), (head.maps["wm"], own))

    def index(points_mm) -> np.ndarray:
        """Voxels of the larger grid at places of the template."""
        points = head.from_mni[:3, :3] @ np.transpose(points_mm) + head.from_mni[:3, 3:]
        return np.rint((points - affine[:3, 3:]) / 3).astype(int)

    for name, place in FACE_MM.items():
        assert not kept[tuple(index([place])[:, 0])], name
    for name, place in KEPT_MM.items():
        assert kept[tuple(index([place])[:, 0])] or nod_deg, name
    brain = np.argwhere(head.maps["gm"] + head.maps["wm"] > 0.5)
    places = (brain @ head.affine[:3, :3].T + head.affine[:3, 3] - affine[:3, 3]) / 3
    assert len(places) > 30_000
    assert kept[tuple(np.rint(places).astype(int).T)].all(), "grey or white matter is gone"


def test_maps_that_hold_more_or_less_than_a_brain_are_refused():
    head = a_head()
    shape = head.t1w.shape
    none = (np.zeros(shape), head.affine)
    jaw = head.maps["gm"].copy()
    jaw[:, 20:60, :30] = 1.0
    for gm in (none, (jaw, head.affine)):
        wm = none if gm is none else (head.maps["wm"], head.affine)
        with pytest.raises(DataError, match="no brain alone"):
            without_face(shape, head.affine, gm, wm)


def test_a_head_with_zeros_about_it_is_not_taken_for_a_brain():
    """As defaced and masked images have them; the fractions of its tissues would be others."""
    head = a_head(0, 2.0)
    whole = with_scalp(head)
    found, true = brain_mask(whole, head.affine), head.t1w > 0
    assert (whole > 0).sum() > 1.5 * true.sum(), "and so it would be"
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.95
    assert (brain_mask(head.t1w.astype(np.float32), head.affine) == true).all()

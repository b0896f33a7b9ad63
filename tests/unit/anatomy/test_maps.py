"""Maps of other tools: one scale for all three, labels that are none."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.anatomy.maps import FOLDERS, SYNTHSEG, check_labels, check_maps, from_labels
from fmrsflow.errors import DataError

NAMES = {name: f"{name}.nii.gz" for name in FOLDERS}


def maps(top_csf: float = 1.0) -> dict[str, np.ndarray]:
    """Shares of three tissues that sum to 1, with that largest share of CSF; float32."""
    draw = np.random.default_rng(2).dirichlet((1.0, 1.0, 0.5), size=(6, 7, 8)).astype(np.float32)
    draw[0, 0, 0], draw[1, 0, 0], draw[2, 0, 0] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    draw[..., 2] = np.minimum(draw[..., 2], top_csf)
    return {name: draw[..., k] for k, name in enumerate(FOLDERS)}


@pytest.mark.parametrize("top_csf", [1.0, 0.35])
@pytest.mark.parametrize("scale", [1, 100, 255])
def test_percent_and_bytes_are_scaled_all_three_alike(scale, top_csf):
    """CSF of 0.35 is 89 in bytes, which by itself might be percent."""
    true = maps(top_csf)
    found = check_maps({name: scale * one for name, one in true.items()}, NAMES)
    for name, one in true.items():
        np.testing.assert_allclose(found[name], one, atol=1e-6)


def test_values_outside_a_map_that_are_no_numbers_count_as_zero():
    given = maps()
    given["gm"][0, 0, 1] = np.nan
    assert check_maps(given, NAMES)["gm"][0, 0, 1] == 0


@pytest.mark.parametrize("scale", [2, 30, 1000])
def test_other_scales_are_refused(scale):
    with pytest.raises(DataError, match=f"values up to {scale} in gm, wm and csf are no prob"):
        check_maps({name: scale * one for name, one in maps().items()}, NAMES)


def test_log_odds_and_pictures_are_refused():
    given = maps()
    with pytest.raises(DataError, match=r"wm\.nii\.gz: values from -3 to .* are no tissue map"):
        check_maps(given | {"wm": given["wm"] - 3}, NAMES)
    with pytest.raises(DataError, match=r"csf\.nii\.gz: shape \(6, 7\); name a 3D image"):
        check_maps(given | {"csf": given["csf"][..., 0]}, NAMES)


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3), (0, 2, 4, 41, 43, 1022, 2022)])
def test_labels_of_fast_and_of_parcels_are_told(numbers):
    values = np.resize(np.array(numbers, np.float32), (8, 8, 8))
    with pytest.raises(DataError, match="seg.nii: named as gm, wm and csf, and it does not hold"):
        check_labels(values, "seg.nii")


def test_labels_of_synthseg_become_maps():
    known = [0, *(one for labels in SYNTHSEG.values() for one in labels)]
    values = np.resize(np.array(known, np.float32), (8, 8, 8))
    check_labels(values, "seg.nii")
    found = from_labels(values, np.eye(4))
    total = sum(one for one, _ in found.values())
    np.testing.assert_array_equal(total, values > 0)

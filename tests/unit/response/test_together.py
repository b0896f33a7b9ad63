"""How scans of a unit are scaled to each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmrsflow.response.together import Scale, scale_of, scalings

GAIN_SD = np.array([0.003, 0.004])


def rows(molal, raw, condition="rest"):
    return [
        {"metabolite": "tCr", "quantity": quantity, "condition": condition, "matched": matched,
         "value": value}
        for quantity, value in (("molal", molal), ("raw", raw))
        for matched in (True, False)
    ]  # fmt: skip


def test_water_scales_by_its_ratio_with_both_errors():
    """The second receiver has twice the gain: its water and its metabolites are twice as large."""
    scales = [Scale(0.5, 1000.0, 0.01), Scale(0.25, 2000.0, 0.02)]
    molal = scalings(scales, GAIN_SD, np.ones(2))["molal"]
    assert molal.ratio == pytest.approx([1.0, 2.0])
    assert molal.sd[0] == 0.0
    assert molal.sd[1] == pytest.approx(math.sqrt(0.01**2 + 0.02**2 + 0.003**2 + 0.004**2))


def test_what_tissue_makes_different_counts_as_uncertain():
    """The second voxel holds more CSF: 3 % beside its water."""
    scales = [Scale(0.5, 1000.0, 0.0), Scale(0.5 * 1.03, 1000.0, 0.0)]
    molal = scalings(scales, np.zeros(2), np.ones(2))["molal"]
    assert molal.ratio[1] == pytest.approx(1 / 1.03)
    assert molal.sd[1] == pytest.approx(math.log(1.03))


def test_without_water_in_each_scan_there_is_no_molal_scaling():
    assert "molal" not in scalings([Scale(0.5, 1000.0, 0.01), None], GAIN_SD, np.ones(2))
    found = scalings([None, None], GAIN_SD, np.ones(2))
    assert found["raw"].sd[1] == pytest.approx(0.005)
    assert np.isinf(found["ratio_stable"].sd[1]) and found["ratio_stable"].to_stable


def test_the_scale_of_a_scan_comes_from_its_tcr():
    water = {"amplitude": 500.0, "se": 5.0}
    assert scale_of(rows(8.0, 16.0), water) == Scale(0.5, 500.0, 0.01)
    assert scale_of(rows(8.0, 16.0), None) is None
    assert scale_of(rows(8.0, 0.0), water) is None
    assert scale_of([], water) is None

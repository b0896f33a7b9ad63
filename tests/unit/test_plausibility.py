"""Values that no brain has, and a scan that differs from its site."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.plausibility import scale_outliers, scale_reports


@pytest.mark.parametrize("value", [4.5, 8.0, 13.0])
def test_what_brains_have_passes(value):
    assert scale_reports([value, value]) == [] == scale_reports([])


@pytest.mark.parametrize("value", [0.57, 2.9, 18.0, 359.0, float("nan")])
def test_what_no_brain_has_is_told(value):
    (told,) = scale_reports([value])
    assert f"tCr is {value:.3g} mmol/kg" in told


def site(name: str, values) -> list[dict]:
    return [
        {"site": name, "scan": f"{name}/{n}", "metabolite": "tCr", "quantity": "molal", "value": v}
        for n, v in enumerate(values)
    ]


def test_a_scan_of_twice_the_scale_stands_out_of_its_site():
    """Six normal people with a CV of 10 %, one of them with half the receiver gain."""
    values = np.random.default_rng(2).normal(8, 0.8, 6)
    values[0] *= 2
    rows = site("A", values) + site("B", np.random.default_rng(3).normal(9, 0.9, 40))
    ((place, scan, text),) = scale_outliers(rows)
    assert (place, scan) == ("A", "A/0") and "receiver gain" in text


def test_few_scans_tell_nothing():
    assert scale_outliers(site("A", [8.0, 8.5, 16.0])) == []

"""A constant under the FIDs is taken off; slow lines are none."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.fids import Fids
from fmrsflow.preprocess.offset import without_offset


def scan(width_hz: float = 6.0, coils: int = 1, noise: float = 0.2) -> Fids:
    """Eight transients of a line at the carrier and one beside it."""
    rng = np.random.default_rng(4)
    time_s = np.arange(1024) * 5e-4
    fid = 10 * np.exp(-np.pi * width_hz * time_s) + 5 * np.exp((2j * np.pi * 200 - 20) * time_s)
    size = (8, coils, 1024)
    return Fids(fid + noise * (rng.normal(size=size) + 1j * rng.normal(size=size)), 5e-4, 123.2)


@pytest.mark.parametrize("offset", [0.3, -1 + 1j, 2j])
def test_an_offset_is_found_and_taken_off(offset):
    true = scan()
    found, share = without_offset(true.with_data(true.data + offset))
    assert share == pytest.approx(abs(offset) / 15, rel=0.2)
    # The mean of 256 points of the average of eight, and a hundredth for what is left of the line.
    error = 0.2 * np.sqrt(2 / 256 / 8)
    assert abs((found.data - true.data).mean()) < 4 * error + 0.01


def test_each_coil_has_its_own():
    true = scan(coils=2)
    offset = np.array([0.0, 1.0])[None, :, None]
    found, share = without_offset(true.with_data(true.data + offset))
    assert share > 0
    np.testing.assert_array_equal(found.data[:, 0], true.data[:, 0])
    assert abs((found.data - true.data)[:, 1].mean()) < 0.02


@pytest.mark.parametrize("width_hz", [1.0, 2.0, 6.0])
@pytest.mark.parametrize("noise", [0.002, 0.2, 2.0])
def test_a_line_at_the_carrier_is_no_offset(width_hz, noise):
    true = scan(width_hz, noise=noise)
    found, share = without_offset(true)
    assert share == 0 and found is true

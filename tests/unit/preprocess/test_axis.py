"""The scale of the frequency axis by NAA and creatine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.fids import Fids
from fmrsflow.preprocess.axis import USUAL_STRETCH, stretched

MHZ, NAA, TCR = 123.2, 2.01, 3.03


def average(stretch: float, noise: float = 0.3) -> Fids:
    """Lines 5 Hz wide whose distance is that of a brain, on an axis that is stretched."""
    time, rng = np.arange(2048) * 5e-4, np.random.default_rng(8)
    places = NAA - 4.65, TCR - 4.65 + USUAL_STRETCH * (TCR - NAA), 3.22 - 4.65
    fid = sum(
        size * np.exp((2j * np.pi * ppm * (1 + stretch) * MHZ - 5 * np.pi) * time)
        for ppm, size in zip(places, (36.0, 25.0, 14.0))
    )
    noise = noise * (rng.normal(size=2048) + 1j * rng.normal(size=2048))
    whole = Fids((fid + noise)[None, None], 5e-4, MHZ)
    # As the frequency reference leaves it: NAA and tCr off by the same, to either side.
    return whole.shifted(-stretch * ((NAA + TCR) / 2 - 4.65) * MHZ)


@pytest.mark.parametrize("stretch", [0.0, 0.006, -0.006])
def test_a_right_axis_passes_in_silence(stretch):
    assert stretched(average(stretch)) == []


@pytest.mark.parametrize("stretch", [0.015, -0.015, 0.02, -0.02])
def test_a_stretched_axis_is_told_with_its_error(stretch):
    (words,) = stretched(average(stretch))
    assert f"wrong by {abs(stretch):.1%}" in words
    # The same FIDs under the dwell time that is right.
    right = average(stretch)
    right = replace(right, dwell_s=right.dwell_s * (1 + stretch))
    assert stretched(right.shifted(stretch * ((NAA + TCR) / 2 - 4.65) * MHZ / (1 + stretch))) == []


def test_of_lines_in_noise_nothing_is_said():
    assert stretched(average(0.02, noise=30.0)) == []
    assert stretched(average(0.02).with_data(np.zeros((1, 1, 2048), complex))) == []

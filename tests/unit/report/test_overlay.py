"""Rest and task as two scans, drawn over each other on one scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.fids import Fids
from fmrsflow.report.overlay import overlay

MHZ = 127.74


def average(glutamate=1.0, gain=1.0, shift_hz=0.0, lorentz_hz=4.0, noise=0.0, seed=0):
    """NAA, tCr, tCho and a line at 2.35 ppm that may change."""
    time = np.arange(2048) / 2000.0
    lines = ((2.01, 3.0), (3.03, 2.0), (3.21, 1.5), (2.35, glutamate))
    fid = sum(
        amplitude * np.exp((2j * np.pi * ((ppm - 4.65) * MHZ + shift_hz)) * time)
        for ppm, amplitude in lines
    ) * np.exp(-np.pi * lorentz_hz * time)
    rng = np.random.default_rng(seed)
    fid = fid + noise * (rng.standard_normal(2048) + 1j * rng.standard_normal(2048))
    return Fids(gain * fid[None, None], 1 / 2000.0, MHZ, 0.035, 1.5)


def difference(found, ppm):
    """Real difference spectrum of the matched averages, summed within 0.1 ppm of a shift."""
    spectra = np.real(found.matched.spectra[:, 0])
    inside = np.abs(found.matched.ppm - ppm) < 0.1
    return (spectra[1] - spectra[0])[inside].sum() * 2 / found.matched.n_points


def test_a_change_of_one_line_is_all_that_is_left_of_two_scans():
    rest = average(noise=2e-3)
    task = average(1.2, gain=1.7, shift_hz=0.4, lorentz_hz=3.6, noise=2e-3, seed=1)
    found = overlay([rest, task], ["rest", "memory"], [50.0, 1.7 * 50.0])
    assert found.scaled and found.names == ("rest", "memory")
    # 0.2 of amplitude, of which a Lorentzian of 4 Hz leaves 10 % beyond 0.1 ppm.
    assert difference(found, 2.35) == pytest.approx(0.18, abs=0.02)
    for unchanged in (2.01, 3.03):
        assert abs(difference(found, unchanged)) < 0.02
    peak = np.abs(np.real(found.matched.spectra[:, 0])).max()
    left = np.diff(np.real(found.matched.spectra[:, 0]), axis=0)[0]
    assert np.abs(left[np.abs(found.matched.ppm - 2.01) < 0.1]).max() < 0.02 * peak


def test_without_water_the_scans_keep_the_scale_that_they_have():
    found = overlay([average(), average(gain=1.7)], ["rest", "memory"], [50.0, None])
    assert not found.scaled
    heights = np.abs(found.average.spectra[:, 0]).max(axis=1)
    assert heights[1] / heights[0] == pytest.approx(1.7, rel=0.01)


def test_scans_that_were_sampled_unlike_each_other_are_not_drawn_together():
    rest = average()
    assert overlay([rest, replace(rest, dwell_s=4e-4)], ["rest", "task"], [1.0, 1.0]) is None
    short = rest.with_data(rest.data[:, :, :1024])
    assert overlay([rest, short], ["rest", "task"], [1.0, 1.0]) is None

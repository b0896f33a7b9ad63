"""All corrections of a scan, of known lines."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.fids import Fids, to_spectrum
from fmrsflow.preprocess.scan import correct

SETTING = {
    "water_low_ppm": 4.2,
    "water_high_ppm": 4.9,
    "align": "robust",
    "align_low_ppm": 1.85,
    "align_high_ppm": 4.2,
    "max_shift_ppm": 0.3,
    "outlier_z": 10.0,
    "max_removed_share": 0.2,
    "water": "hlsvd",
}


LINES = ((2.01, 36.0), (3.03, 25.0), (3.22, 13.0), (3.92, 17.0))
TIME_S = np.arange(2048) * 4e-4
MHZ = 123.2


def line(ppm: float, height: float) -> np.ndarray:
    """FID of a line 4 Hz wide."""
    return height * np.exp((2j * np.pi * (ppm - 4.65) * MHZ - 4 * np.pi) * TIME_S)


def scan(offset_hz: float, n: int = 8) -> Fids:
    """Transients with a line at 4.05 ppm, as of myo-inositol, water beside it, and an offset."""
    rng = np.random.default_rng(6)
    lines = sum(line(*one) for one in (*LINES, (4.05, 8.0), (4.66, 200.0)))
    noise = rng.normal(size=(n, 1, 2048)) + 1j * rng.normal(size=(n, 1, 2048))
    return Fids(lines + 0.3 * noise, 4e-4, MHZ).shifted(offset_hz)


@pytest.mark.parametrize("offset_hz", [0.0, 5.0, 30.0, -30.0])
def test_an_offset_takes_no_line_with_the_water(offset_hz):
    done = correct(scan(offset_hz), ["rest"] * 8, ("",) * 8, SETTING)
    assert done.reference.shift_hz + np.mean(done.alignment.shift_hz) == pytest.approx(
        offset_hz, abs=0.5
    )
    mean = done.fids.mean().rotated(done.reference.phase_deg)
    inside = np.abs(mean.ppm - 4.05) < 0.06
    left = np.abs(to_spectrum(mean.transients[0]))[inside].max()
    true = np.abs(to_spectrum(sum(line(*one) for one in (*LINES, (4.05, 8.0)))))[inside].max()
    assert left == pytest.approx(true, rel=0.02)

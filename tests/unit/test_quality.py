"""Quality figures against closed forms."""

import numpy as np
import pytest

from fmrsflow import quality
from fmrsflow.fids import Fids


def line(width_hz, ppm=3.03, height=1.0, gauss_hz=0.0, n=4096, dwell_s=2.5e-4, mhz=123.2):
    time = np.arange(n) * dwell_s
    fid = height * np.exp(2j * np.pi * (ppm - 4.65) * mhz * time - np.pi * width_hz * time)
    fid = fid * np.exp(-((np.pi * gauss_hz * time) ** 2) / (4 * np.log(2)))
    return Fids(fid[None, None], dwell_s, mhz)


def with_noise(fids, sd, n=1, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n, fids.n_points)
    return fids.with_data(
        fids.transients + sd * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    )


def test_noise_sd_is_that_of_the_spectrum():
    fids = with_noise(line(5.0, height=0), 0.3, n=50)
    # White noise: each of n points adds sd^2 to the variance of the real part.
    assert np.mean(quality.noise_sd(fids)) == pytest.approx(0.3 * np.sqrt(4096), rel=0.02)


def test_a_curved_baseline_is_no_noise():
    fids = with_noise(line(5.0, height=0), 0.3)
    broad = line(800.0, ppm=-1.0, height=3.0)
    both = fids.with_data(fids.transients + broad.transients)
    assert quality.noise_sd(both) == pytest.approx(quality.noise_sd(fids), rel=0.05)


def test_snr_is_height_over_one_sd():
    clean = line(5.0, height=10.0)
    # Height of a Lorentzian line: area / (pi width) over the dwell time.
    height = 10.0 / (np.pi * 5.0) / 2.5e-4
    sd = height / 40 / np.sqrt(4096)
    assert np.mean(quality.snr_tcr(with_noise(clean, sd, n=100))) == pytest.approx(40, rel=0.05)
    assert "one SD" in quality.snr_definition(clean)
    assert "-2..0 ppm" in quality.snr_definition(clean)


@pytest.mark.parametrize(
    "dwell_s, window", [(2.5e-4, (-2, 0)), (8.33e-4, (8, 8.5)), (1.25e-3, (7.25, 7.9))]
)
def test_a_narrow_spectrum_gets_its_noise_elsewhere_and_says_so(dwell_s, window):
    fids = line(5.0, dwell_s=dwell_s, n=1024)
    low, high = quality.noise_window(fids)
    assert (low, high) == pytest.approx(window, abs=0.03)
    assert f"{low:.3g}..{high:.3g} ppm" in quality.snr_definition(fids)


@pytest.mark.parametrize("lorentz, gauss", [(3.0, 0.0), (6.0, 2.0), (1.0, 6.0), (9.0, 7.0)])
def test_the_width_of_tcr_is_that_of_its_voigt_line(lorentz, gauss):
    cr = line(lorentz, gauss_hz=gauss, height=8)
    cho = line(lorentz, ppm=3.22, gauss_hz=gauss, height=4)
    both = cr.with_data(cr.transients + cho.transients)
    found = quality.fwhm_tcr(with_noise(both, 0.002))
    # Measured on the noiseless line by its half height, no formula for the profile used.
    assert found.fwhm_hz == pytest.approx(quality.half_height_width(cr), abs=0.1)
    assert found.ppm == pytest.approx(3.03, abs=0.002)


def test_half_height_width_of_a_lorentzian():
    for width in (2.0, 7.0, 15.0):
        fids = line(width, ppm=4.65)
        assert quality.half_height_width(fids) == pytest.approx(width, abs=0.02)


def test_drift_is_that_of_the_straight_line():
    rng = np.random.default_rng(0)
    shift = np.linspace(3.0, -10.0, 200) + rng.normal(0, 0.5, 200)
    # SE of the slope times the span: 0.5 sqrt(12 / 200).
    assert quality.drift_hz(shift) == pytest.approx(-13.0, abs=3 * 0.5 * np.sqrt(12 / 200))
    assert quality.drift_hz(np.array([4.0])) == 0.0

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


METABOLITES = ((2.01, 36), (2.34, 19), (3.03, 25), (3.22, 13), (3.53, 12), (3.92, 17))
AMIDES = ((6.8, 10), (7.15, 5), (7.5, 10), (7.82, 25), (8.18, 8), (8.26, 6))
"""Lines with the FID at t = 0; what brains have above 5.5 ppm, GSH and NAAG at 8.2 ppm too."""


def brain(mhz, width_hz, n, water, n_transients=60):
    """Closed form: metabolites, amide protons, residual water, and white noise of SD 1."""
    axis = {"n": n, "dwell_s": 1 / width_hz, "mhz": mhz}
    lines = [line(5.0, ppm=ppm, height=h, gauss_hz=5.0, **axis) for ppm, h in METABOLITES]
    lines += [line(8.0, ppm=ppm, height=h, **axis) for ppm, h in AMIDES]
    lines.append(line(12.0, ppm=4.67, height=water, **axis))
    total = lines[0].with_data(sum(one.transients for one in lines))
    return with_noise(total, 1.0, n_transients, seed=n)


@pytest.mark.parametrize("water", [0.0, 100.0, 10_000.0])
@pytest.mark.parametrize(
    "mhz, width_hz, n",
    [
        (297.2, 3000, 2048),
        (297.2, 3000, 1023),
        (297.2, 4000, 2048),
        (123.2, 1200, 1024),
        (123.2, 1500, 1025),
        (123.2, 2000, 2048),
        (123.2, 700, 512),
        (123.2, 400, 512),
    ],
)
def test_the_noise_is_that_which_was_put_in_whatever_was_acquired(mhz, width_hz, n, water):
    fids = brain(mhz, width_hz, n, water)
    each = [quality.noise_sd(fids.select([j]))[0] / np.sqrt(n) for j in range(fids.n_transients)]
    # The least of several estimates, if chance decided, would be 5 to 10 % too small; the SE of
    # the mean is below 1 %. With no room for a window residual water stays in the tail.
    narrow = width_hz == 400
    assert np.mean(each) == pytest.approx(1.0, abs=0.05 if narrow else 0.02)


def test_the_old_window_of_7t_held_signal():
    fids = brain(297.2, 3000, 2048, 100.0)
    inside = (fids.ppm > 8.0) & (fids.ppm < 8.5)
    assert fids.spectra[:, 0, inside].real.std() > 1.5 * np.sqrt(2048)
    assert all(not low < 8.2 < high for low, high in quality.noise_windows(fids))


@pytest.mark.parametrize(
    "dwell_s, mhz, words",
    [
        (2.5e-4, 123.2, "real part in -2..0 ppm"),
        (4e-4, 123.2, "real part in -2..0 ppm"),
        (8.33e-4, 123.2, "quietest windows outside the signals (5.5..9.0"),
        (1 / 3000, 297.2, "quietest windows outside the signals (5.5..9.19 ppm)"),
        (2.5e-3, 123.2, "of the tail of the FID"),
    ],
)
def test_the_definition_names_where_the_noise_comes_from(dwell_s, mhz, words):
    fids = with_noise(line(5.0, dwell_s=dwell_s, n=1024, mhz=mhz, height=0), 1.0, n=8)
    assert words in quality.snr_definition(fids)


def test_a_window_keeps_off_the_edge_of_the_band():
    for width_hz in (1500, 1600, 1700):  # begin at -1.4 to -2.2 ppm
        fids = with_noise(line(5.0, dwell_s=1 / width_hz, height=0), 1.0, n=8)
        lows, highs = zip(*quality.noise_windows(fids))
        assert min(lows) >= fids.ppm[0] + 0.5 and max(highs) <= fids.ppm[-1] - 0.5
        assert min(lows) > -2.0


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

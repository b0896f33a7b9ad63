"""Linear baseline: exact for a straight line, harmless for the fit, needed by a peak's integral."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.fids import Fids, to_fid, to_spectrum
from fmrsflow.preprocess.baseline import level

MHZ = 127.74


def lines(n_transients=1, width_hz=2000.0, n_points=2048, mhz=MHZ, noise=0.0, fwhm_hz=4.0):
    """Singlets at 2.01 and 3.03 ppm of amplitude 3 and 2."""
    time = np.arange(n_points) / width_hz
    fid = sum(
        amplitude * np.exp((2j * np.pi * (ppm - 4.65) * mhz - np.pi * fwhm_hz) * time)
        for ppm, amplitude in ((2.01, 3.0), (3.03, 2.0))
    )
    rng = np.random.default_rng(0)
    shape = (n_transients, n_points)
    data = fid + noise * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    return Fids(data[:, None], 1 / width_hz, mhz, 0.035, 1.5)


def tilted(fids, constant, slope):
    spectra = to_spectrum(fids.transients)
    return fids.with_data(to_fid(spectra + constant + slope * (fids.ppm - 3.0)))


def integral(fids, low=2.83, high=3.23):
    """Amplitude of the line between two shifts: the real spectrum of a FID that begins at t = 0
    sums to half of it."""
    inside = (fids.ppm >= low) & (fids.ppm <= high)
    return 2 * to_spectrum(fids.transients)[0, inside].real.sum() / fids.n_points


def test_any_straight_line_is_taken_off_whatever_the_spectrum():
    fids = lines(3, noise=0.2)
    bent = tilted(fids, 40 - 25j, 6 + 3j)
    np.testing.assert_allclose(level(bent).fids.data, level(fids).fids.data, atol=1e-9)
    # Taken off twice is taken off once.
    once = level(bent).fids
    np.testing.assert_allclose(level(once).fids.data, once.data, atol=1e-9)


def test_the_average_of_levelled_transients_is_the_levelled_average():
    fids = tilted(lines(5, noise=0.2), 10.0, 2.0)
    weights = np.arange(1.0, 6.0)
    np.testing.assert_allclose(
        level(fids).fids.mean(weights).data, level(fids.mean(weights)).fids.data, atol=1e-9
    )


def test_the_integral_of_a_peak_on_a_slope_is_that_of_its_line():
    fids = lines()
    bent = tilted(fids, 30.0, 10.0)
    # A Lorentzian of half width h holds (2 / pi) atan(w / h) of its area within w of its middle,
    # and the tail of the other line adds its own share.
    h = 2.0 / MHZ
    true = 2.0 * (2 / np.pi) * np.arctan(0.2 / h)
    true += 3.0 / np.pi * (np.arctan(1.22 / h) - np.arctan(0.82 / h))
    assert integral(fids) == pytest.approx(true, rel=0.01)
    assert integral(bent) > 1.3 * true
    # What is left of the tails in the bands is below a thousandth of the peak.
    assert integral(level(bent).fids) == pytest.approx(true, rel=0.01)


def test_the_noise_of_the_line_is_small_beside_that_of_the_spectrum():
    fids = lines(400, noise=1.0)
    clean = to_spectrum(lines().transients)
    middle = np.argmin(np.abs(fids.ppm - 3.0))
    before = to_spectrum(fids.transients) - clean
    after = to_spectrum(level(fids).fids.transients) - to_spectrum(level(lines()).fids.transients)
    # Some 500 points of the bands fix the line: 1 / 500 of the variance is added.
    added = (after - before)[:, middle].real.std() / before[:, middle].real.std()
    assert 0.02 < added < 0.08


@pytest.mark.parametrize(("width_hz", "mhz"), [(1200.0, 123.25), (3000.0, 297.2)])
def test_a_narrow_band_has_no_place_for_the_line(width_hz, mhz):
    assert level(lines(width_hz=width_hz, mhz=mhz)) is None


def test_a_band_cut_by_the_edge_is_used_as_far_as_it_was_acquired():
    found = level(tilted(lines(width_hz=4000.0, mhz=297.2), 5.0, 1.0))
    (low, _), (_, high) = found.bands_ppm
    assert -2 < low < -1.4 and 10.7 < high < 11.3

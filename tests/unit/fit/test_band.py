"""Signals in the band of the fit against whole FIDs."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.fids import Fids
from fmrsflow.fit.band import band_of

FIELDS = ((123.25, 5e-4, 2048), (127.7, 2e-4, 4096), (297.2, 1.6667e-4, 2048), (63.9, 8e-4, 1023))


def lines(mhz: float, dwell_s: float, points: int) -> np.ndarray:
    """Undamped lines at 0.9, 2.01, 3.03, 3.9 ppm, and outside the range at 4.65 and 7.8 ppm."""
    time = np.arange(points) * dwell_s
    places = np.array([0.9, 2.01, 3.03, 3.9, 4.65, 7.8])
    return np.exp(2j * np.pi * (places[:, None] - 4.65) * mhz * time)


@pytest.mark.parametrize("mhz, dwell_s, points", FIELDS)
@pytest.mark.parametrize("shift_hz, lorentz_hz, gauss_hz", [(0, 3, 0), (4, 5, 4), (-6, 1.5, 12)])
def test_damped_signals_of_the_band_have_the_spectrum_of_the_whole(
    mhz, dwell_s, points, shift_hz, lorentz_hz, gauss_hz
):
    """A damped line, wherever it stands, is what the transform of the damped FID gives."""
    signals = lines(mhz, dwell_s, points)
    fids = Fids(signals[:, None], dwell_s, mhz)
    band = band_of(fids, 0.2, 4.2)

    def shape(time: np.ndarray) -> np.ndarray:
        decay = np.pi * lorentz_hz * time + (np.pi * gauss_hz * time) ** 2 / (4 * np.log(2))
        return np.exp(2j * np.pi * shift_hz * time - decay)

    found = band.spectrum(band.reduced(signals) * shape(band.time_s))
    # What is cut or taken for negative time has decayed, or belongs to both alike.
    damped = signals * shape(fids.time_s)
    damped[:, band.n_used - band.n_wrapped :] = 0.0
    wanted = band.spectra(fids.with_data(damped))
    error = np.abs(found[:, 0] + 1j * found[:, 1] - wanted).max(axis=1)
    assert (error / np.abs(wanted[:4]).max()).max() < 1e-8
    assert len(band.time_s) < points / 1.2


def test_noise_of_the_band_is_that_of_the_points_used():
    """Zeros between the first samples and the last leave the variance of a point as it was, and
    make neighbours depend on each other by the oversampling."""
    rng = np.random.default_rng(8)
    noise = rng.standard_normal((400, 1, 2048)) + 1j * rng.standard_normal((400, 1, 2048))
    fids = Fids(noise, 5e-4, 123.25)
    band = band_of(fids, 0.2, 4.2)
    spectra = band.spectra(fids)
    assert spectra.real.std() == pytest.approx(np.sqrt(band.n_used), rel=0.02)
    # The best constant through a range knows less than its points would say.
    mean = spectra.real.mean(axis=1)
    independent = spectra.shape[1] / band.oversampling
    assert mean.std() * np.sqrt(independent) == pytest.approx(np.sqrt(band.n_used), rel=0.15)


def test_a_delay_that_is_wrapped_to_the_end_is_negative_time():
    """A first-order phase moves the signal before the first sample, to the end of the FID."""
    time = np.arange(2048) * 5e-4
    fid = np.exp(2j * np.pi * (2.01 - 4.65) * 123.25 * time - np.pi * 5 * time)
    fids = Fids(fid[None, None], 5e-4, 123.25)
    band = band_of(fids, 0.2, 4.2)
    turn = np.exp(1j * np.deg2rad(4.0) * (fids.ppm - 2.01))
    early = np.fft.ifft(np.fft.ifftshift(fids.spectra[0, 0] * turn))
    early[0] *= 2
    moved = band.spectra(fids.with_data(early[None]))[0]
    wanted = band.spectra(fids)[0] * np.exp(1j * np.deg2rad(4.0) * (band.ppm - 2.01))
    assert np.abs(moved - wanted).max() < 5e-3 * np.abs(wanted).max()

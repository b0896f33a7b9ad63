"""Amplitude of the water reference."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.water import water_amplitude

TIME = np.arange(2048) * 5e-4


def _reference(signal: np.ndarray) -> Fids:
    return Fids(np.atleast_2d(signal)[:, None], 5e-4, 123.25)


@pytest.mark.parametrize("lorentz, gauss", [(4.0, 0.0), (2.0, 6.0), (12.0, 3.0), (1.0, 14.0)])
def test_amplitude_whatever_the_voigt_line(lorentz, gauss):
    decay = np.exp(-np.pi * lorentz * TIME - (np.pi * gauss * TIME) ** 2 / (4 * np.log(2)))
    turned = 950.0 * decay * np.exp(1j * (0.7 + 2 * np.pi * 3.0 * TIME))
    assert water_amplitude(_reference(turned)) == pytest.approx(950.0, rel=1e-4)


def test_two_shimmed_parts_and_a_spoiled_first_point():
    signal = 700 * np.exp(-np.pi * 5 * TIME) + 250 * np.exp((-np.pi * 9 + 2j * np.pi * 4) * TIME)
    truth = 950.0
    signal = signal.copy()
    signal[0] *= 0.8
    assert water_amplitude(_reference(signal)) == pytest.approx(truth, rel=2e-3)


def test_noise_moves_it_by_its_own_share_only():
    rng = np.random.default_rng(0)
    clean = 1000 * np.exp(-np.pi * 6 * TIME)
    noise = rng.standard_normal((50, 2048)) + 1j * rng.standard_normal((50, 2048))
    found = [water_amplitude(_reference(clean + one)) for one in noise]
    assert np.mean(found) == pytest.approx(1000, rel=1e-3)
    assert np.std(found) < 2.0


@pytest.mark.parametrize("signal", [np.zeros(2048), np.full(2048, np.nan)])
def test_no_water_is_an_error(signal):
    with pytest.raises(DataError):
        water_amplitude(_reference(signal.astype(complex)))


def test_a_signal_that_dies_at_once_is_an_error():
    with pytest.raises(DataError, match="decays"):
        water_amplitude(_reference(np.exp(-TIME / 5e-4) + 0j))

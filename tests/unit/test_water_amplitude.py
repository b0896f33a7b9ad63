"""Amplitude of the water reference and its errors."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.water_amplitude import water_amplitude

TIME = np.arange(2048) * 5e-4


def _reference(signal: np.ndarray, dwell_s: float = 5e-4) -> Fids:
    return Fids(np.atleast_2d(signal)[:, None], dwell_s, 123.25)


def _voigt(lorentz_hz: float, gauss_hz: float, time_s: np.ndarray = TIME) -> np.ndarray:
    return np.exp(-np.pi * lorentz_hz * time_s - (np.pi * gauss_hz * time_s) ** 2 / (4 * np.log(2)))


def _shimmed(rng: np.random.Generator) -> np.ndarray:
    """Two to three Voigt lines at places and with shares of their own; 1000 at t = 0."""
    shares = rng.dirichlet(np.full(rng.integers(2, 4), 2.0))
    lines = [
        _voigt(rng.uniform(3, 10), rng.uniform(0, 6)) * np.exp(2j * np.pi * rng.normal(0, 3) * TIME)
        for _ in shares
    ]
    return 1000 * (shares @ np.array(lines))


@pytest.mark.parametrize("lorentz, gauss", [(4.0, 0.0), (2.0, 6.0), (12.0, 3.0), (1.0, 14.0)])
def test_amplitude_whatever_the_voigt_line(lorentz, gauss):
    turned = 950.0 * _voigt(lorentz, gauss) * np.exp(1j * (0.7 + 2 * np.pi * 3.0 * TIME))
    found = water_amplitude(_reference(turned))
    assert found.value == pytest.approx(950.0, rel=1e-4)
    # A Voigt line is a parabola, which every order holds: nothing is left to differ by.
    assert found.se < 1e-4 * found.value and found.model_sd < 1e-4 * found.value


@pytest.mark.parametrize("dwell_s, spoiled", [(5e-4, 2), (4.9999e-4, 2), (2.5e-4, 4), (8.33e-4, 2)])
def test_points_of_the_filter_are_left_out_and_no_more(dwell_s, spoiled):
    """docs/science.md#water-amplitude: the first millisecond, two points where that is longer."""
    time_s = np.arange(2048) * dwell_s
    signal = 950.0 * _voigt(5.0, 2.0, time_s) + 0j
    overshoot = signal.copy()
    overshoot[:spoiled] *= 1.057
    assert water_amplitude(_reference(overshoot, dwell_s)).value == pytest.approx(950, rel=1e-6)
    overshoot[spoiled] *= 1.057
    assert water_amplitude(_reference(overshoot, dwell_s)).value > 955


def test_two_shimmed_parts_and_a_spoiled_first_point():
    signal = 700 * np.exp(-np.pi * 5 * TIME) + 250 * np.exp((-np.pi * 9 + 2j * np.pi * 4) * TIME)
    truth = 950.0
    signal = signal.copy()
    signal[0] *= 0.8
    assert water_amplitude(_reference(signal)).value == pytest.approx(truth, rel=2e-3)


def test_noise_moves_it_by_its_own_share_only():
    """Lorentzian: no model error, so that the scatter is the standard error from the noise."""
    rng = np.random.default_rng(0)
    clean = 1000 * np.exp(-np.pi * 6 * TIME)
    noise = rng.standard_normal((400, 2048)) + 1j * rng.standard_normal((400, 2048))
    found = [water_amplitude(_reference(clean + one)) for one in noise]
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(1000, rel=1e-3)
    # The SD of 400 values is known to 1 / sqrt(800) = 3.5 %: three of it.
    assert np.mean([one.se for one in found]) == pytest.approx(values.std(), rel=0.11)


def test_model_error_covers_shims_that_are_no_voigt_line():
    """Without noise the deviation is the model's alone; as in fits, at most its own size."""
    rng = np.random.default_rng(1)
    found = [water_amplitude(_reference(_shimmed(rng))) for _ in range(400)]
    z = np.array([(one.value - 1000) / one.model_sd for one in found])
    assert np.mean(np.abs(z) < 1.96) > 0.95
    assert 0.4 < np.sqrt(np.mean(z**2)) < 1.0


def test_total_error_covers_with_noise_too():
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(400):
        noise = rng.standard_normal(2048) + 1j * rng.standard_normal(2048)
        one = water_amplitude(_reference(_shimmed(rng) + 2 * noise))
        inside.append(abs(one.value - 1000) < 1.96 * np.hypot(one.se, one.model_sd))
    assert np.mean(inside) > 0.95 - 2 * np.sqrt(0.95 * 0.05 / 400)


@pytest.mark.parametrize("signal", [np.zeros(2048), np.full(2048, np.nan)])
def test_no_water_is_an_error(signal):
    with pytest.raises(DataError):
        water_amplitude(_reference(signal.astype(complex)))


def test_a_signal_that_dies_at_once_is_an_error():
    with pytest.raises(DataError, match="decays"):
        water_amplitude(_reference(np.exp(-TIME / 5e-4) + 0j))

"""The haemodynamic response and its samplings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gamma

from fmrsflow.haemodynamics import DELAY_S, UNDERSHOOT_S, double_gamma, kernel, response


def test_the_response_has_unit_area_peaks_at_5_s_and_falls_below_zero_after_15_s():
    time = np.arange(0, 32, 0.01)
    assert response(time).sum() * 0.01 == pytest.approx(1.0, abs=1e-3)
    assert time[np.argmax(response(time))] == pytest.approx(5.0, abs=0.05)
    assert time[np.argmin(response(time))] == pytest.approx(15.7, abs=0.1)
    assert response(np.array([-1.0, 33.0])).tolist() == [0.0, 0.0]


def test_a_delay_is_the_mean_of_its_gamma_density():
    time = np.arange(0, 80, 0.01)
    for shape in (DELAY_S, UNDERSHOOT_S):
        assert gamma.mean(shape) == shape
        density = double_gamma(time, delay_s=shape, ratio=np.inf)
        np.testing.assert_allclose(density, gamma.pdf(time, shape), rtol=1e-12, atol=0)
        assert time[np.argmax(density)] == pytest.approx(shape - 1, abs=0.01)


@pytest.mark.parametrize("first_s", [0.0, 0.05])
def test_a_kernel_is_the_sampled_response_of_sum_1(first_s):
    time = np.arange(first_s, 32, 0.1)
    expected = gamma.pdf(time, 6) - gamma.pdf(time, 16) / 6
    np.testing.assert_array_equal(kernel(0.1, first_s), expected / expected.sum())


def test_another_delay_moves_the_kernel():
    late = kernel(0.1, length_s=40.0, delay_s=7.0, undershoot_s=17.0)
    assert np.argmax(late) == 60
    assert late.sum() == pytest.approx(1.0)

"""Shapes of a response against convolution on a fine grid."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.fit.shapes import Shape
from fmrsflow.haemodynamics import double_gamma

FINE_S = 0.005
SPANS = [(3.3, 1.0), (20.0, 16.0), (58.7, 4.0)]


def convolved(kernel: np.ndarray, time_s: np.ndarray, delay_s: float = 0.0) -> np.ndarray:
    """SPANS as boxcars of steps of FINE_S, convolved with a response of area 1."""
    grid = np.arange(0.0, 120.0, FINE_S) + FINE_S / 2
    box = sum(((grid >= a) & (grid < a + d)).astype(float) for a, d in SPANS)
    course = np.convolve(box, kernel / kernel.sum())[: len(grid)]
    return np.interp(time_s - delay_s, grid + FINE_S / 2, course)


T = np.arange(0.0, 60.0, FINE_S) + FINE_S / 2
RESPONSES = {
    "hrf": np.where(T <= 32.0, double_gamma(T), 0.0),
    "exponential_5s": np.exp(-T / 5.0),
    "trapezoid_8s": (T < 8.0).astype(float),
    "boxcar": (T < 2 * FINE_S).astype(float),
}


@pytest.mark.parametrize("delay_s", [0.0, 2.5])
@pytest.mark.parametrize("name", RESPONSES)
def test_a_course_is_the_convolution_of_events_with_a_response(name, delay_s):
    time_s = np.arange(0.3, 100.0, 3.1)
    shape = Shape.named(name + (f"_delay_{delay_s:g}s" if delay_s else ""))
    expected = convolved(RESPONSES[name], time_s, delay_s)
    np.testing.assert_allclose(shape.course(SPANS, time_s), expected, atol=2e-3)


@pytest.mark.parametrize("name", RESPONSES)
def test_a_long_block_reaches_one(name):
    assert Shape.named(name).course([(0.0, 200.0)], np.array([150.0]))[0] == pytest.approx(1.0)


def test_an_onset_at_the_excitation_counts_for_it():
    """7 * 1.1 s is 7.700000000000001 in floating point; an onset of 7.7 s begins there."""
    course = Shape("boxcar").course([(7.7, 2.2)], 1.1 * np.arange(10))
    np.testing.assert_array_equal(course[6:], [0, 1, 1, 0])


@pytest.mark.parametrize("name", ["boxcar", "hrf_delay_1.5s", "trapezoid_8s", "exponential_30s"])
def test_names_go_both_ways(name):
    assert Shape.named(name).name == name


@pytest.mark.parametrize("name", ["gamma", "exponential", "hrf_30s", "trapezoid_0s", "boxcar_"])
def test_what_is_no_shape_is_told(name):
    with pytest.raises(ValueError, match="shape"):
        Shape.named(name)

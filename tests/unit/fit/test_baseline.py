"""Baselines as linear smoothers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from fmrsflow.fit.baseline import _cubic_b_splines, no_baseline, polynomial, spline

PPM = np.linspace(0.2, 4.2, 251)


def test_columns_are_cubic_b_splines():
    x = np.linspace(0, 6, 61)
    knots = np.arange(-3, 10)
    expected = BSpline.design_matrix(np.clip(x, 0, 6 - 1e-12), knots, 3).toarray()
    np.testing.assert_allclose(_cubic_b_splines(x, 6), expected, atol=1e-9)


def test_a_straight_line_is_never_penalised():
    line = 3.0 + 2.0 * PPM
    for smoothness in (1e-3, 1e3, 1e9):
        np.testing.assert_allclose(spline(PPM, 15).fitted(line, smoothness), line, rtol=1e-6)


@pytest.mark.parametrize("dimension", [4.0, 10.0, 30.0])
def test_smoothness_gives_the_dimension_asked_for(dimension):
    baseline = spline(PPM, 15)
    found = baseline.effective_dimension(baseline.smoothness_for(dimension))
    assert found == pytest.approx(dimension, rel=1e-6)


def test_smoothnesses_of_several_dimensions_are_those_of_each():
    baseline = spline(PPM, 15)
    sizes = np.array([4.0, 10.0, 30.0])
    alone = [baseline.smoothness_for(size) for size in sizes]
    np.testing.assert_array_equal(baseline.smoothness_for(sizes), alone)


def test_removal_is_the_root_of_the_penalised_sum_of_squares():
    """|remove(y)|^2 must be min over c of |y - B c|^2 + l c'Pc, here solved directly."""
    baseline = spline(PPM, 8)
    y = np.sin(3 * PPM) + 0.2 * np.random.default_rng(0).standard_normal(len(PPM))
    smoothness = baseline.smoothness_for(8.0)
    columns, roughness = baseline.columns, baseline.roughness
    c = np.linalg.solve(columns.T @ columns + smoothness * np.diag(roughness), columns.T @ y)
    direct = np.sum((y - columns @ c) ** 2) + smoothness * np.sum(roughness * c**2)
    left = baseline.remove(y[None], baseline.taken(smoothness))
    assert np.sum(left**2) == pytest.approx(direct)


def test_a_polynomial_takes_up_its_own_order():
    cubic = 1 - PPM + 0.3 * PPM**3
    np.testing.assert_allclose(polynomial(PPM, 3).fitted(cubic, 0.0), cubic)
    assert np.ptp(polynomial(PPM, 1).fitted(cubic, 0.0) - cubic) > 1


def test_no_baseline_takes_nothing():
    rows = np.ones((2, len(PPM)))
    baseline = no_baseline(len(PPM))
    np.testing.assert_array_equal(baseline.remove(rows, baseline.taken(0.0)), rows)

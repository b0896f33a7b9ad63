"""Accord of signs and sizes, with errors on both."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.bold.concordance import Pair, concordance, linewidth_narrowing


def pairs(bold, change, bold_se=0.1, change_se=0.1, persons=None):
    persons = persons or [str(i) for i in range(len(bold))]
    return [
        Pair(str(i), persons[i], x, bold_se, y, change_se)
        for i, (x, y) in enumerate(zip(bold, change))
    ]


def test_certain_agreement_of_four_has_the_p_of_four_coins():
    found = concordance(pairs([-9, -5, 9, 4], [-6.6, -2.2, 6.9, 3]))
    assert found.same_sign == 4
    assert found.p_value == pytest.approx(1 / 16)
    assert found.expected_share == pytest.approx(1.0)


def test_regions_of_one_person_count_once_where_signs_are_random_by_person():
    found = concordance(pairs([-9, -5, 9, 4], [-6, -2, 7, 3], persons=["a", "a", "b", "b"]))
    assert found.n_persons == 2
    assert found.p_value_persons == pytest.approx(1 / 4)


def test_an_uncertain_sign_neither_helps_nor_harms():
    certain = concordance(pairs([5, 5, 5], [3, 3, 3]))
    unsure = pairs([5, 5, 5], [3, 3, 3]) + [Pair("x", "x", 5.0, 0.1, -0.001, 5.0)]
    found = concordance(unsure)
    assert found.same_sign == 3
    assert found.expected_share == pytest.approx((3 + 0.5) / 4, abs=0.01)
    # Half of the patterns of the fourth sign sit just below.
    assert found.p_value <= 1.01 * certain.p_value


def test_p_values_are_uniform_where_signs_are_random():
    rng = np.random.default_rng(0)
    p = [
        concordance(pairs(rng.standard_normal(10), rng.standard_normal(10), 0.5, 0.5)).p_value
        for _ in range(300)
    ]
    # 300 draws: 5 % with a standard error of 1.3 %.
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)


def test_slope_with_errors_on_both_axes_is_not_diluted():
    rng = np.random.default_rng(1)
    true = rng.uniform(-10, 10, 400)
    x = true + 4.0 * rng.standard_normal(400)
    y = 0.5 * true + 1.0 * rng.standard_normal(400)
    found = concordance(pairs(x, y, 4.0, 1.0))
    ordinary = np.polyfit(x, y, 1)[0]
    assert found.slope == pytest.approx(0.5, abs=3 * found.slope_se)
    assert ordinary < 0.5 - 3 * found.slope_se


def test_slope_with_errors_on_one_axis_is_weighted_least_squares():
    x, y = np.array([0.0, 1, 2, 3]), np.array([0.1, 0.9, 2.2, 2.9])
    se = np.array([0.1, 0.2, 0.1, 0.3])
    made = [Pair("", str(i), x[i], 1e-9, y[i], se[i]) for i in range(4)]
    found = concordance(made)
    slope, covariance = np.polyfit(x, y, 1, w=1 / se, cov="unscaled")
    assert found.slope == pytest.approx(slope[0], rel=1e-6)
    assert found.slope_se == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-4)


def test_pearsons_data_with_yorks_weights():
    # York 1966 and 2004: slope -0.48053341, standard error 0.057616740.
    x = [0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4]
    y = [5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5]
    wx = [1000.0, 1000.0, 500.0, 800.0, 200.0, 80.0, 60.0, 20.0, 1.8, 1.0]
    wy = [1.0, 1.8, 4.0, 8.0, 20.0, 20.0, 70.0, 70.0, 100.0, 500.0]
    made = [Pair("", str(i), x[i], wx[i] ** -0.5, y[i], wy[i] ** -0.5) for i in range(10)]
    found = concordance(made)
    assert found.slope == pytest.approx(-0.48053341, abs=1e-7)
    assert found.slope_se == pytest.approx(0.057985, abs=5e-4)


def test_narrowing_is_found_beside_drift_within_its_error():
    rng = np.random.default_rng(2)
    n = 256
    task = (np.arange(n) // 16 % 2).astype(float)
    found = []
    for _ in range(40):
        widths = 6 + 0.5 * np.cos(np.pi * np.arange(n) / n) - 0.2 * task
        found.append(linewidth_narrowing(widths + 0.4 * rng.standard_normal(n), task, 2.0))
    value, se = np.array(found).T
    assert value.mean() == pytest.approx(0.2, abs=3 * value.std() / np.sqrt(40))
    assert se.mean() == pytest.approx(value.std(ddof=1), rel=0.35)


def test_narrowing_needs_both_conditions():
    with pytest.raises(ValueError, match="8 transients"):
        linewidth_narrowing(np.ones(20), np.zeros(20), 2.0)

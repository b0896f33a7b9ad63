"""Accord of signs and sizes, with errors on both."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.bold.concordance import Pair, concordance, linewidth_narrowing


def pairs(bold, change, bold_se=0.1, change_se=0.1, persons=None, places=None):
    persons = persons or [str(i) for i in range(len(bold))]
    places = places or [""] * len(bold)
    return [
        Pair(str(i), persons[i], x, bold_se, y, change_se, places[i])
        for i, (x, y) in enumerate(zip(bold, change))
    ]


def test_an_order_that_is_the_only_one_has_the_p_of_all_orders():
    """Five persons in 120 orders: straight, and its mirror image, are as far from none."""
    found = concordance(pairs([1, 2, 4, 8, 16], [1, 2, 4, 8, 16]))
    assert found.correlation == pytest.approx(1.0)
    assert found.p_value == pytest.approx(1 / 120)
    assert found.n_exchanged == 5 and found.same_sign == 5


def test_four_persons_have_no_p():
    found = concordance(pairs([-9, -5, 9, 4], [-6.6, -2.2, 6.9, 3]))
    assert found.same_sign == 4 and found.n_exchanged == 4
    assert found.expected_share == pytest.approx(1.0)
    assert np.isnan(found.p_value)
    # Each of two falls beside a fall in half of the orders.
    assert found.same_sign_by_chance == pytest.approx(2.0)


def test_measures_that_are_merely_positive_are_no_accord():
    """Independent, positive both: 5 % of studies may be significant; the signs agree in all."""
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(300):
        x, y = 10 + rng.standard_normal(6), 6 + rng.standard_normal(6)
        found = concordance(pairs(x, y))
        assert found.same_sign == found.same_sign_by_chance == 6
        rejected += found.p_value < 0.05
    # 300 studies know 5 % to 1.26 %.
    assert rejected / 300 == pytest.approx(0.05, abs=0.038)


def test_sites_and_regions_that_differ_in_both_are_no_accord_of_persons():
    """7 T has more of both: between sites they go together, within none."""
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(200):
        place = np.repeat([0.0, 10.0], 4)
        x, y = place + rng.standard_normal(8), place + rng.standard_normal(8)
        found = concordance(pairs(x, y, places=["a"] * 4 + ["b"] * 4))
        rejected += found.p_value < 0.05
    assert rejected / 200 < 0.05 + 3 * 0.0154


def test_regions_of_a_person_are_exchanged_together():
    """Twice the same value is no more evidence than once."""
    x, y = [1.0, 2.0, 4.0, 8.0, 16.0], [2.0, 1.0, 4.0, 9.0, 15.0]
    once = concordance(pairs(x, y))
    people = [str(i) for i in range(5)] * 2
    twice = concordance(pairs(x * 2, y * 2, persons=people, places=["l"] * 5 + ["r"] * 5))
    assert twice.p_value == pytest.approx(once.p_value)
    assert (twice.n, twice.n_persons, twice.n_exchanged) == (10, 5, 5)


def test_a_person_alone_at_its_place_is_exchanged_with_nobody():
    found = concordance(pairs([1, 2, 3], [1, 2, 3], places=["a", "a", "b"]))
    assert (found.n, found.n_exchanged) == (3, 2) and np.isnan(found.p_value)


def test_an_accord_of_persons_is_found():
    rng = np.random.default_rng(2)
    true = rng.standard_normal(12)
    found = concordance(pairs(10 + 3 * true, 3 + true + 0.3 * rng.standard_normal(12)))
    assert found.p_value < 0.001 and found.correlation > 0.8
    against = concordance(pairs(10 - 3 * true, 3 + true + 0.3 * rng.standard_normal(12)))
    assert against.p_value < 0.001 and against.correlation < -0.8


def test_the_correlation_without_errors_is_that_of_the_truth():
    """True correlation 0.8 of unit scatter, errors of 1 in both: the measured one is 0.4."""
    rng = np.random.default_rng(3)
    true = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 1500)
    x, y = (true + rng.standard_normal(true.shape)).T
    found = concordance(pairs(x, y, 1.0, 1.0))
    assert found.correlation == pytest.approx(0.4, abs=3 * 0.022)
    assert found.correlation_true == pytest.approx(0.8, abs=3 * 0.05)
    alone = concordance(pairs(*rng.standard_normal((2, 30)), 2.0, 2.0))
    assert np.isnan(alone.correlation_true)


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

"""Agreement against published worked examples and closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import t

from fmrsflow.sites.agreement import bland_altman, equivalence, reliability

# Shrout & Fleiss 1979, table 2: six targets, four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


def test_icc_of_shrout_and_fleiss():
    one = reliability(SHROUT_FLEISS)
    assert one.icc21 == pytest.approx(0.29, abs=0.005)
    assert one.icc31 == pytest.approx(0.71, abs=0.005)
    # McGraw & Wong 1996 intervals as psych::ICC prints them for these data.
    assert (one.icc21_low, one.icc21_high) == pytest.approx((0.019, 0.76), abs=0.005)
    assert (one.icc31_low, one.icc31_high) == pytest.approx((0.34, 0.95), abs=0.005)


def test_minimal_detectable_change_is_of_the_error_alone():
    rng = np.random.default_rng(1)
    values = rng.normal(10, 2, (4000, 1)) + rng.normal(0, 0.5, (4000, 2))
    one = reliability(values)
    assert one.sem == pytest.approx(0.5, rel=0.05)
    assert one.mdc == pytest.approx(1.96 * math.sqrt(2) * one.sem, rel=1e-4)
    assert one.icc31 == pytest.approx(4 / 4.25, abs=0.01)


def test_limits_of_agreement_hold_95_percent_of_differences():
    rng = np.random.default_rng(2)
    a = rng.normal(5, 1, 5000)
    b = a - 0.4 + rng.normal(0, 0.7, 5000)
    one = bland_altman(a, b)
    assert one.bias == pytest.approx(0.4, abs=4 * 0.7 / math.sqrt(5000))
    assert np.mean((a - b > one.lower) & (a - b < one.upper)) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    "difference, se, verdict",
    [(0.1, 0.5, "equivalent"), (3.0, 0.5, "different"), (1.0, 1.5, "undecided")],
)
def test_equivalence_says_which_of_three(difference, se, verdict):
    one = equivalence(difference, se, 10, 2.0)
    assert one.verdict == verdict
    inside = one.low > -2 and one.high < 2
    assert inside == (one.p < 0.05) == (verdict == "equivalent")
    assert one.p_difference == pytest.approx(2 * t.sf(difference / se, 10))


@pytest.mark.parametrize(
    "values",
    [
        [[1.0, 1.0], [2.0, 2.0]],
        [[0.0, 2e-14], [5.0, 5.0]],  # the same file under two names
        [[1e9, 1e9 + 1e-6], [2e9, 2e9]],
        [[0.0, 0.0], [0.0, 0.0]],
    ],
)
def test_repeated_measurements_that_agree_to_rounding_are_refused(values):
    with pytest.raises(ValueError, match="no error to compare with"):
        reliability(np.array(values))


@pytest.mark.parametrize("error", [1e-7, 1e-6, 1e-3])
def test_small_errors_give_numbers(error):
    rng = np.random.default_rng(3)
    one = reliability(np.arange(40.0)[:, None] + error * rng.normal(size=(40, 2)))
    # The SEM of 39 degrees of freedom has an error of 1 / sqrt(78) of it: four of these.
    assert one.sem == pytest.approx(error, rel=4 / math.sqrt(78))
    assert 1 - one.icc21 < error and one.icc21_low <= one.icc21 <= one.icc21_high <= 1

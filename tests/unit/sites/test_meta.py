"""Random effects against the BCG trials (Colditz 1994) as metafor 3.8-1 gives them."""

import math

import numpy as np
import pytest
from scipy.stats import t

from fmrsflow.sites import meta
from sites import BCG, bcg_effects


@pytest.fixture
def bcg():
    return bcg_effects()


def test_bcg_estimate_heterogeneity_and_i2(bcg):
    one = meta.random_effects(*bcg)
    assert one.mean == pytest.approx(-0.7145, abs=5e-5)
    assert one.tau2 == pytest.approx(0.3132, abs=5e-5)
    assert one.i2_percent == pytest.approx(92.22, abs=5e-3)
    assert one.q == pytest.approx(152.233008, abs=5e-6)


def test_bcg_hartung_knapp_interval(bcg):
    # metafor: rma(yi, vi, data = dat, test = "knha")
    one = meta.random_effects(*bcg)
    assert one.se == pytest.approx(0.180792, abs=5e-7)
    assert (one.low[0], one.high[0]) == pytest.approx((-1.108444, -0.320621), abs=1e-6)
    assert one.p_value([0]) == pytest.approx(0.001920, abs=5e-7)


def test_bcg_q_profile_interval(bcg):
    # metafor: confint(); its own search stops at four digits.
    one = meta.random_effects(*bcg)
    assert (one.tau2_low, one.tau2_high) == pytest.approx((0.1197, 1.1115), abs=5e-5)


def test_bcg_latitude_as_moderator(bcg):
    # metafor: rma(yi, vi, mods = ~ ablat, test = "knha")
    latitude = [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33]
    design = np.column_stack([np.ones(13), latitude])
    one = meta.random_effects(*bcg, design)
    # metafor's search for tau^2 stops at 1e-5 of it.
    assert one.coefficients == pytest.approx([0.251464, -0.029102], abs=1e-5)
    assert np.sqrt(np.diag(one.covariance)) == pytest.approx([0.283930, 0.008202], abs=1e-5)
    assert one.tau2 == pytest.approx(0.076355, abs=1e-5)
    assert one.i2_percent == pytest.approx(68.39, abs=5e-3)
    assert one.p_value([1]) == pytest.approx(0.004566, abs=1e-5)


def test_equal_variances_give_the_t_interval_of_site_means():
    y = np.array([2.0, 3.5, 2.8, 4.1, 1.9])
    one = meta.random_effects(y, np.full(5, 0.1))
    half = t.ppf(0.975, 4) * y.std(ddof=1) / math.sqrt(5)
    assert (one.low[0], one.high[0]) == pytest.approx((y.mean() - half, y.mean() + half))
    assert one.tau2 == pytest.approx(y.var(ddof=1) - 0.1)


def test_prediction_interval_is_that_of_higgins(bcg):
    one = meta.random_effects(*bcg)
    half = t.ppf(0.975, 11) * math.sqrt(one.tau2 + one.se**2)
    assert one.prediction() == pytest.approx((one.mean - half, one.mean + half))


def test_no_variance_between_sites_gives_tau_zero():
    y = np.array([3.0, 3.01, 2.99, 3.0])
    one = meta.random_effects(y, np.full(4, 0.5))
    assert (one.tau2, one.tau2_low, one.i2_percent) == (0.0, 0.0, 0.0)
    assert one.q_p > 0.9


def test_leaving_one_trial_out_is_the_analysis_of_the_others(bcg):
    y, v = bcg
    left = meta.leave_one_out(y, v)
    assert len(left) == len(BCG)
    again = meta.random_effects(np.delete(y, 3), np.delete(v, 3))
    assert left[3].meta.mean == pytest.approx(again.mean)
    assert sum(one.weight for one in left) == pytest.approx(1)


def test_a_site_that_is_unlike_the_others_is_that_of_grubbs_test():
    """With equal variances the greatest deviation over the SD of all is G; Grubbs' table (1969,
    Technometrics 11:1, two-sided 5 %): 1.887 for 6, 2.290 for 10, 2.709 for 20."""
    for k, table in ((6, 1.887), (10, 2.290), (20, 2.709)):
        limit = meta.outlier_limit(k)
        g = (k - 1) / np.sqrt(k) * np.sqrt(limit**2 / (k - 2 + limit**2))
        assert g == pytest.approx(table, abs=1e-3)
    rng = np.random.default_rng(3)
    y = np.append(rng.normal(0, 1, 9), 6.0)
    left = meta.leave_one_out(y, np.full(10, 1e-9))[9]  # between sites alone
    rest = y[:9]
    by_hand = (6.0 - rest.mean()) / (rest.std(ddof=1) * np.sqrt(1 + 1 / 9))
    assert left.outlier_z == pytest.approx(by_hand, rel=1e-4)
    assert abs(left.outlier_z) > meta.outlier_limit(10)


def test_shrunken_effects_lie_between_the_site_and_the_mean(bcg):
    y, v = bcg
    one = meta.random_effects(y, v)
    value, low, high = meta.shrunken(y, v, one)
    assert ((value - y) * (value - one.mean) <= 0).all()
    assert (low < value).all() and (value < high).all()


def test_equal_effects_have_no_interval_of_their_own():
    one = meta.random_effects(np.full(3, 2.0), np.ones(3))
    assert one.se == 0 and one.p_value([0]) == 0.0


def test_too_few_effects_are_refused():
    with pytest.raises(ValueError, match="1 effects for 1 coefficients"):
        meta.random_effects(np.array([1.0]), np.array([1.0]))

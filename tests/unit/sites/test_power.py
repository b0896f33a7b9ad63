"""Power against simulation of the test itself."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from fmrsflow.sites.power import (
    ChangeSpread,
    minimal_effect,
    power,
    power_of_difference,
    table,
)

SPREAD = ChangeSpread(site=0.8, participant=1.5, measurement=1.0)


@pytest.mark.parametrize("sites, participants", [(4, 3), (8, 8)])
def test_power_is_the_rate_of_significant_studies(sites, participants):
    rng = np.random.default_rng(5)
    sd = np.sqrt(0.8**2 + (1.5**2 + 1.0) / participants)
    means = rng.normal(1.0, sd, (20000, sites))
    rate = np.mean(ttest_1samp(means, 0, axis=1).pvalue < 0.05)
    # Four binomial standard errors.
    assert power(1.0, sites, participants, SPREAD) == pytest.approx(rate, abs=0.014)


def test_power_of_a_difference_is_that_of_two_groups():
    rng = np.random.default_rng(6)
    sd = np.sqrt(0.8**2 + (1.5**2 + 1.0) / 4)
    a, b = rng.normal(0, sd, (20000, 5)), rng.normal(1.5, sd, (20000, 5))
    rate = np.mean(ttest_ind(a, b, axis=1).pvalue < 0.05)
    assert power_of_difference(1.5, 10, 4, SPREAD) == pytest.approx(rate, abs=0.014)


@pytest.mark.parametrize("difference", [False, True])
def test_minimal_effect_is_found_with_the_wanted_power(difference):
    effect = minimal_effect(6, 4, SPREAD, 0.9, difference)
    test = power_of_difference if difference else power
    assert test(effect, 6, 4, SPREAD) == pytest.approx(0.9, abs=1e-4)


def test_large_effects_have_power_one_and_none_has_five_percent():
    assert power(100.0, 12, 8, SPREAD) == pytest.approx(1.0)
    assert power(3.0, 12, 8, SPREAD) > 0.999
    assert power(0.0, 12, 8, SPREAD) == pytest.approx(0.05)


def test_one_site_is_refused():
    with pytest.raises(ValueError, match="1 site with 8 participants"):
        power(3.0, 1, 8, SPREAD)


def test_power_has_the_interval_of_the_spread():
    ends = ChangeSpread(0.0, 1.0), ChangeSpread(4.7, 2.5, 1.0)
    rows = table(3.0, [4, 12], [2, 8], SPREAD, ends=ends)
    for row in rows:
        at = row["sites"], row["participants"]
        assert row["power_low"] == pytest.approx(power(3.0, *at, ends[1]))
        assert row["power_high"] == pytest.approx(power(3.0, *at, ends[0]))
        assert row["power_low"] <= row["power"] <= row["power_high"]
    assert "power_low" not in table(3.0, [4], [2], SPREAD)[0]


def test_a_spread_without_an_end_leaves_the_level_of_the_test():
    assert power(3.0, 8, 8, ChangeSpread(float("inf"), 1.0)) == pytest.approx(0.05)

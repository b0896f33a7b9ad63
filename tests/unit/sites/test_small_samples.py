"""Kenward & Roger against closed forms of balanced designs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from fmrsflow.sites import reml, small_samples
from fmrsflow.sites.small_samples import effects


def fitted(y, x, known, **factors):
    data = reml.Data(y, x, known, tuple(factors.items()))
    return effects(data, reml.fit(data))


def test_the_mean_of_balanced_groups_has_the_t_interval_of_group_means():
    rng = np.random.default_rng(1)
    site = np.repeat(np.arange(5), 6)
    y = 3 + rng.normal(0, 2, 5)[site] + rng.normal(0, 1, 30)
    found = fitted(y, np.ones((30, 1)), np.zeros(30), site=site)
    means = y.reshape(5, 6).mean(axis=1)
    half = t.ppf(0.975, 4) * means.std(ddof=1) / np.sqrt(5)
    assert found.df[0] == pytest.approx(4, rel=1e-4)
    assert found.interval() == pytest.approx((means.mean() - half, means.mean() + half), rel=1e-4)


def test_many_scans_of_few_sites_have_the_degrees_of_the_sites(monkeypatch):
    """A balanced mean has those of Kenward & Roger also where there are too many observations."""
    rng = np.random.default_rng(5)
    site = np.repeat(np.arange(4), 10)
    y = 3 + rng.normal(0, 2, 4)[site] + rng.normal(0, 1, 40)
    exact = fitted(y, np.ones((40, 1)), np.zeros(40), site=site)
    monkeypatch.setattr(small_samples, "MOST", 39)
    found = fitted(y, np.ones((40, 1)), np.zeros(40), site=site)
    assert found.df[0] == 3
    assert found.interval() == pytest.approx(exact.interval(), rel=1e-3)


def test_a_difference_of_groups_within_blocks_has_the_degrees_of_a_paired_t_test():
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(7), 2)
    arm = np.tile([0.0, 1.0], 7)
    y = rng.normal(0, 3, 7)[person] + arm + rng.normal(0, 1, 14)
    found = fitted(y, np.column_stack([np.ones(14), arm]), np.zeros(14), person=person)
    pairs = y.reshape(7, 2) @ [-1, 1]
    assert found.df[1] == pytest.approx(6, rel=1e-4)
    assert found.se[1] == pytest.approx(pairs.std(ddof=1) / np.sqrt(7), rel=1e-4)
    assert found.p_value(1) == pytest.approx(
        2 * t.sf(abs(pairs.mean()) / (pairs.std(ddof=1) / np.sqrt(7)), 6), rel=1e-3
    )


def test_the_mean_of_a_crossed_design_has_the_degrees_of_satterthwaite():
    """Sums of squares of rows, columns and rest: Satterthwaite 1946."""
    rng = np.random.default_rng(3)
    a, b = 6, 4
    y = (
        rng.normal(0, 2, a)[:, None] + rng.normal(0, 1.5, b) + rng.normal(0, 0.5, (a, b)) + 3
    )  # travellers at sites
    person, site = np.divmod(np.arange(a * b), b)
    found = fitted(y.ravel(), np.ones((a * b, 1)), np.zeros(a * b), person=person, site=site)
    rows, columns = y.mean(axis=1), y.mean(axis=0)
    msa, msb = b * rows.var(ddof=1), a * columns.var(ddof=1)
    rest = y - rows[:, None] - columns + y.mean()
    mse = (rest**2).sum() / ((a - 1) * (b - 1))
    variance = msa + msb - mse
    df = variance**2 / (msa**2 / (a - 1) + msb**2 / (b - 1) + mse**2 / ((a - 1) * (b - 1)))
    assert found.se[0] == pytest.approx(np.sqrt(variance / (a * b)), rel=1e-3)
    assert found.df[0] == pytest.approx(df, rel=1e-2)


def test_a_component_at_zero_keeps_its_uncertainty():
    """Site means that are alike by chance: with known variances alone the mean would have the
    normal interval; that the sites' SD might be larger widens it."""
    site = np.repeat(np.arange(4), 3)
    y = np.tile([2.0, 3.0, 4.0], 4) + 0.01 * site
    data = reml.Data(y, np.ones((12, 1)), np.full(12, 0.5), (("site", site),))
    one = reml.fit(data)
    assert one.variances[0] == 0
    found = effects(data, one)
    assert np.isfinite(found.df[0]) and found.df[0] < 11
    assert found.se[0] > np.sqrt(one.covariance[0, 0])


def test_many_observations_are_no_matrix_of_them():
    n = 3001
    site = np.arange(n) % 50
    y = np.random.default_rng(4).standard_normal(n)
    found = fitted(y, np.ones((n, 1)), np.zeros(n), site=site)
    assert found.df[0] == 49 and np.isfinite(found.interval()).all()

"""The joint test of all analyses against full enumeration by hand, other programs and its null."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test, ttest_1samp

from fmrsflow.sites.multiverse import together
from fmrsflow.sites.sign_flips import joint_test, linked, weighted_median


def made(seed: int, persons: int, analyses: int, mean: float = 0.0) -> np.ndarray:
    """Persons whose changes under all analyses are nearly one."""
    rng = np.random.default_rng(seed)
    own = rng.normal(mean, 1.5, (persons, 1))
    return own + rng.normal(0, 0.4, (persons, analyses))


def test_p_is_that_of_all_patterns_counted_one_by_one():
    changes, weights = made(1, 7, 3, 0.8), np.array([3.0, 1.0, 1.0])
    one = joint_test(changes, weights, range(7), 0)

    def median(values):
        order = np.argsort(values)
        mass = np.cumsum(weights[order]) / 5
        return values[order][np.searchsorted(mass, 0.5)]

    found = [abs(median((np.array(s)[:, None] * changes).mean(axis=0)))
             for s in product((1, -1), repeat=7)]  # fmt: skip
    assert one.p["median"] == np.mean(np.array(found) >= found[0] - 1e-12)
    assert one.observed["median"] == pytest.approx(median(changes.mean(axis=0)))
    assert (one.exact, one.n_flips, one.smallest_p) == (True, 64, 1 / 64)


def test_one_analysis_is_the_permutation_test_of_scipy():
    """All statistics of one analysis grow with its mean."""
    values = made(2, 10, 1, 1.0)
    theirs = permutation_test(
        (values[:, 0],), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    one = joint_test(values, [1], range(10), 0)
    assert one.p["median"] == pytest.approx(theirs.pvalue, abs=1e-12)
    assert one.p["mean_t"] == pytest.approx(theirs.pvalue, abs=1e-12)
    t = ttest_1samp(values[:, 0], 0)
    assert one.t[0] == pytest.approx(t.statistic)
    assert abs(one.observed["share"]) == float(t.pvalue < 0.05)


def test_sampled_patterns_agree_with_all_of_them():
    changes = made(3, 15, 4, 0.9)
    exact = joint_test(changes, np.ones(4), range(15), 0)
    more = np.vstack(
        [changes, np.zeros((1, 4))]
    )  # a person of no change alters no statistic's order
    sampled = joint_test(more, np.ones(4), range(16), 5)
    assert (sampled.exact, sampled.n_flips, sampled.smallest_p) == (False, 9999, 1e-4)
    p = exact.p["median"]
    assert sampled.p["median"] == pytest.approx(p, abs=4 * (p * (1 - p) / 9999) ** 0.5 + 1e-4)
    again = joint_test(more, np.ones(4), range(16), 5)
    assert again.p == sampled.p


def test_the_same_analysis_many_times_is_one_analysis():
    values = made(4, 9, 1, 1.0)
    one, many = (joint_test(np.tile(values, k), np.ones(k), range(9), 0) for k in (1, 6))
    assert many.p == one.p
    assert many.observed == pytest.approx(one.observed)


def test_a_change_that_an_analysis_lacks_takes_no_part_in_it():
    changes = made(5, 8, 2, 1.0)
    changes[2, 1] = np.nan
    one = joint_test(changes, [1, 1], range(8), 0)
    assert one.counts.tolist() == [8, 7]
    assert one.means[1] == pytest.approx(np.nanmean(changes[:, 1]))
    known = np.isfinite(changes[:, 1])
    assert one.t[1] == pytest.approx(ttest_1samp(changes[known, 1], 0).statistic)


def test_a_group_flips_as_one():
    """Two persons with one sign are one value, that of their sum."""
    values = made(6, 6, 1, 1.0)
    grouped = joint_test(np.repeat(values, 2, axis=0) / 2, [1], np.repeat(range(6), 2), 0)
    alone = joint_test(values, [1], range(6), 0)
    assert grouped.n_units == 6
    assert grouped.p["median"] == alone.p["median"]


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="two persons"):
        joint_test(made(7, 3, 2), [1, 1], ["a", "a", "a"], 0)
    lone = made(7, 3, 2)
    lone[1:, 0] = np.nan
    with pytest.raises(ValueError, match="two persons"):
        joint_test(lone, [1, 1], range(3), 0)


def test_weighted_median():
    values = np.array([[1.0, 2.0, 10.0], [-1.0, -2.0, -10.0]])
    assert weighted_median(values, np.array([0.2, 0.2, 0.6])).tolist() == [10, -10]
    assert weighted_median(values, np.array([0.25, 0.25, 0.5])).tolist() == [6, -6]
    assert weighted_median(values, np.ones(3) / 3).tolist() == [2, -2]


def test_sites_that_a_traveller_links_flip_together():
    found = linked(["a", "b", "b", "c", "c", "d"], ["s1", "s2", "s3", "s3", "s4", "s5"])
    assert found == {"a": "s1", "b": "s2", "c": "s2", "d": "s5"}


def test_rates_under_the_null_with_persons_of_correlated_analyses():
    """Two-sided 5 %, 400 studies: at most three standard errors above."""
    rejected = np.array(
        [
            [
                p <= 0.05
                for p in joint_test(made(seed, 8, 6), np.arange(1, 7), range(8), 0).p.values()
            ]
            for seed in range(400)
        ]
    ).mean(axis=0)
    assert (rejected <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5).all()


def test_tables_of_all_analyses_together(make_responses, settings):
    rng = np.random.default_rng(31)
    rows = make_responses(rng, 4, 4, se=0.5)
    other = [row | {"change_percent": row["change_percent"] + 0.2} for row in rows]
    other[0] |= {"used": False, "change_percent": np.nan}
    worlds = {"main": rows, "other": other, "late": rows}
    tests, described = together(worlds, settings, {"main": 3.0, "other": 1.0})
    by = {(row["flipped"], row["people"]): row for row in tests}
    assert set(by) == {(f, p) for f in ("persons", "sites") for p in ("all", "complete")}
    whole, complete = by["persons", "all"], by["persons", "complete"]
    assert (whole["n_persons"], whole["n_missing"], whole["n_units"]) == (16, 1, 16)
    assert (complete["n_persons"], complete["n_missing"]) == (15, 0)
    assert by["sites", "all"]["n_units"] == 4
    assert by["sites", "all"]["reason"] == "no p can be below 0.125: too few flip apart"
    mean = np.mean([row["change_percent"] for row in rows])
    assert whole["median_percent"] == pytest.approx(mean)
    names = {row["analysis"]: row for row in described}
    assert (names["main"]["weight_percent"], names["other"]["n_persons"]) == (75, 15)
    assert names["late"]["reason"] == "not registered"


def test_people_who_travelled_are_one_person(make_responses, settings):
    rows = make_responses(np.random.default_rng(32), 3, 6, travel=True)
    tests, _ = together({"a": rows, "b": rows}, settings, {"a": 1.0, "b": 1.0})
    assert tests[0]["n_persons"] == tests[0]["n_units"] == 6
    assert "cannot be estimated" in tests[1]["reason"]  # all sites are linked

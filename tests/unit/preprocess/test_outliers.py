"""Outlier marking: false alarms on clean data, detection of spoilt transients, limits."""

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.preprocess.outliers import mark_outliers, robust_z, unusable_transients


def transients(sim, n, snr=10, seed=0):
    clean = sim.clean()
    rng = np.random.default_rng(seed)
    noise = sim.noise(rng, (n, clean.n_points), sim.noise_of(clean, snr))
    return clean.with_data(clean.transients + noise)


def test_false_alarms_on_clean_data_are_those_of_a_normal_distribution(sim):
    flagged = sum(
        (~mark_outliers(transients(sim, 160, seed=seed), ["rest"] * 160).kept).sum()
        for seed in range(20)
    )
    # One-sided P(z > 3) = 0.00135: 4.3 of 3200; the root of a chi-square with 300 degrees of
    # freedom and an estimated scale leave room to 1 in 200.
    assert flagged < 3200 / 200


def lipid(fids, rng):
    time = fids.time_s
    return 300 * np.exp(2j * np.pi * ((1.3 - 4.65) * 123.2 * time + rng.random()) - 60 * time)


def weak(fids, rng):
    return -0.5 * fids.mean().transients[0]


def blurred(fids, rng):
    fid = fids.mean().transients[0]
    return fid * (np.exp(-np.pi * 15 * fids.time_s) - 1)


@pytest.mark.parametrize("fault", [lipid, weak, blurred])
def test_spoilt_transients_are_found_and_no_others(sim, fault):
    fids = transients(sim, 64, snr=15)
    rng = np.random.default_rng(1)
    spoilt = [5, 17, 40]
    for j in spoilt:
        fids.data[j, 0] += fault(fids, rng)
    marks = mark_outliers(fids, ["rest"] * 64, limit=4)
    assert np.flatnonzero(~marks.kept).tolist() == spoilt
    assert all("distance z" in marks.cause[j] for j in spoilt)
    assert all(cause == "" for j, cause in enumerate(marks.cause) if j not in spoilt)
    assert marks.distance[spoilt].min() > 1.2


def test_only_large_distances_are_bad():
    values = np.concatenate([np.random.default_rng(0).normal(10, 0.1, 100), [5.0, 15.0]])
    z = robust_z(values)
    assert z[-2] < -20 and z[-1] > 20
    # mark_outliers compares z itself, not its size, with the limit.
    assert np.flatnonzero(z > 5).tolist() == [101]


def test_a_transient_with_less_noise_is_kept(sim):
    fids = transients(sim, 64, snr=5)
    fids.data[7, 0] = sim.clean().transients[0]
    marks = mark_outliers(fids, ["rest"] * 64)
    assert marks.z[7] < -10 and marks.kept[7]


def test_no_more_than_the_share_of_a_condition_is_removed(sim):
    fids = transients(sim, 40)
    labels = ["rest"] * 20 + ["task"] * 20
    rng = np.random.default_rng(2)
    for k, j in enumerate(range(20, 27)):
        fids.data[j, 0] += (1 + 0.2 * k) * lipid(fids, rng)
    marks = mark_outliers(fids, labels, max_share=0.2)
    # Four of twenty, the farthest; rest is untouched by the faults of task.
    assert np.flatnonzero(~marks.kept).tolist() == [23, 24, 25, 26]
    assert marks.spared == ("task",)


def test_transients_without_condition_are_listed_with_that_cause(sim):
    marks = mark_outliers(transients(sim, 10), ["rest"] * 8 + [None] * 2)
    assert marks.kept.tolist() == [True] * 8 + [False] * 2
    assert marks.cause[8:] == ("no condition", "no condition")


def test_empty_and_infinite_transients_are_told_apart(sim):
    fids = transients(sim, 10)
    fids.data[2] = 0
    fids.data[3, 0, 5] = np.inf
    causes = unusable_transients(fids)
    assert causes[2:4] == ("empty", "not finite") and not any(causes[:2] + causes[4:])
    marks = mark_outliers(fids, ["rest"] * 10, unusable=causes)
    assert marks.cause[2:4] == ("empty", "not finite")
    assert np.isnan(marks.distance[2])


def test_a_scan_of_empty_transients_is_refused(sim):
    fids = transients(sim, 10)
    with pytest.raises(DataError, match="all 10 transients of condition rest are empty"):
        mark_outliers(fids.with_data(0 * fids.data), ["rest"] * 10)


def test_too_many_empty_transients_are_refused(sim):
    fids = transients(sim, 10)
    fids.data[:3] = 0
    with pytest.raises(DataError, match="3 of 10 transients of condition rest"):
        mark_outliers(fids, ["rest"] * 10)


def test_no_transient_in_any_condition_is_refused(sim):
    with pytest.raises(DataError, match="without condition"):
        mark_outliers(transients(sim, 4), [None] * 4)

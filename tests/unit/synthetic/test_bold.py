"""Synthetic BOLD runs hold what their truth says."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.synthetic.bold import BoldRegion, BoldTruth, block_design, bold_run, region_series

EVENTS = block_design(("a", "b"), 4, 14.0, 43.0)


def series(seed=0, **changes):
    truth = BoldTruth(**{"peak_percent": {"a": 1.0, "b": -0.5}, **changes})
    return region_series(np.random.default_rng(seed), EVENTS, 190, 2.0, truth)


def test_conditions_take_turns():
    assert [row["trial_type"] for row in EVENTS] == list("abbaabba")
    assert {row["onset"] % 2 for row in EVENTS if row["trial_type"] == "a"} == {0.0, 1.0}


def test_response_has_the_height_asked_for_and_follows_each_block():
    found = series(shared_percent=1e-9)
    assert found.response["a"].max() == pytest.approx(1.0, abs=0.01)
    assert found.response["b"].min() == pytest.approx(-0.5, abs=0.01)
    for row in EVENTS[:4]:
        lag = found.times_s - row["onset"]
        near = (lag >= 0) & (lag <= 30)
        expected = np.interp(lag[near], np.arange(41.0), found.response[row["trial_type"]])
        np.testing.assert_allclose(found.seed[near], expected, atol=0.03)


def test_ongoing_activity_has_the_sd_asked_for():
    sd = [series(seed, peak_percent={"a": 1e-9, "b": 1e-9}).seed.std() for seed in range(20)]
    assert np.mean(sd) == pytest.approx(0.2, rel=0.1)


def test_target_follows_the_seed_more_in_the_condition_of_the_interaction():
    quiet = {"peak_percent": {"a": 1e-9, "b": 1e-9}, "own_percent": 1e-9}
    constant = series(1, **quiet, coupling=0.4)
    np.testing.assert_allclose(constant.target, 0.4 * constant.seed, atol=1e-6)
    more = series(1, **quiet, coupling=0.4, ppi={"a": 1.0})
    extra = more.target - constant.target
    inside = np.zeros(190, bool)
    for row in EVENTS:
        if row["trial_type"] == "a":
            inside |= np.abs(more.times_s - row["onset"] - 12) < 8
    assert extra[inside].std() > 5 * extra[~inside & (more.times_s < 20)].std()


def test_noise_has_the_sd_asked_for():
    brain = np.full((16, 16, 16), 0.9)
    truth = BoldTruth({"a": 1e-9, "b": 1e-9})
    region = BoldRegion(truth, np.diag([8.0, 8, 8, 1]), np.array([200.0, 0, 0]))
    run = bold_run(
        np.random.default_rng(0), brain, np.diag([4.0, 4, 4, 1]), [region], EVENTS,
        noise_percent=1.0,
    )  # fmt: skip
    data = run.data[6:10, 6:10, 6:10].reshape(64, -1) / 90.0
    step = np.diff(data, axis=1)
    # Differences shed drift and motion: their variance is 2 (1 - 0.3) that of AR(1) noise.
    assert np.sqrt(step.var() / 1.4) == pytest.approx(1.0, rel=0.08)
    assert run.data.shape[3] == len(run.confounds)

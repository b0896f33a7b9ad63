"""Synthetic BOLD runs hold what their truth says."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.synthetic.bold import (
    BoldRegion,
    BoldTruth,
    block_design,
    bold_run,
    region_series,
    write_bold_runs,
)
from fmrsflow.synthetic.head import make_head
from fmrsflow.synthetic.people import scans, visits
from fmrsflow.synthetic.plan import load_plan
from fmrsflow.synthetic.rows import scan_row

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


def test_two_voxels_of_a_run_respond_each_for_itself():
    brain = np.full((30, 20, 14), 0.9)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    places = [np.diag([20.0, 20.0, 20.0, 1.0]) for _ in range(2)]
    for place, x in zip(places, (24.0, 92.0)):
        place[:3, 3] = [x, 40.0, 28.0]
    regions = [
        BoldRegion(BoldTruth({"a": height, "b": height}), place, np.array([500.0, 0, 0]))
        for height, place in zip((2.0, -1.0), places)
    ]
    run = bold_run(np.random.default_rng(0), brain, affine, regions, EVENTS, noise_percent=0.2)
    times = (np.arange(run.data.shape[3]) + 0.5) * run.tr_s
    after = np.min([np.abs(times - row["onset"] - 14) for row in EVENTS], axis=0) < 4
    before = np.min([np.abs(times - row["onset"] + 2) for row in EVENTS], axis=0) < 2
    for truth, x, height in zip(run.truths, (6, 23), (2.0, -1.0)):
        series = run.data[x, 8:13, 5:9].reshape(-1, run.data.shape[3]).mean(axis=0)
        rise = 100 * (series[after].mean() / series[before].mean() - 1)
        assert rise == pytest.approx(height, abs=0.4 * abs(height))
        assert np.sign(truth["area_sum_percent_s"]) == np.sign(height)
    # Between the voxels nothing responds.
    quiet = run.data[14:16, 8:13, 5:9].reshape(-1, run.data.shape[3]).mean(axis=0)
    assert abs(100 * (quiet[after].mean() / quiet[before].mean() - 1)) < 0.3


def test_the_sessions_of_a_person_are_written_where_the_sheet_names_them(tmp_path):
    plan = load_plan("korotkov2026")
    people = replace(plan.participants, per_site=1, spacing_mm=5.0)
    responses = {"Glu": replace(plan.responses["Glu"], fixed={"01-left": -6.6, "01-right": 0.6})}
    plan = replace(plan, participants=people, responses=responses, bold_sessions=2)
    (visit,) = visits(plan)
    head = make_head(np.random.default_rng(0), np.random.default_rng(1), visit.age, 5.0)
    write_bold_runs(plan, visit, head, tmp_path)
    rows = [scan_row(plan, scan) for scan in scans(plan, visit)]
    named = {row["bold"] for row in rows if row.get("bold")}
    assert len(rows) == 4 and len(named) == 1 and not rows[0].get("bold")
    task = rows[1]
    runs = task["bold"].split("; ")
    assert len(runs) == 2
    images = []
    for column in ("bold", "bold_events", "bold_confounds"):
        for name in task[column].split("; "):
            assert (tmp_path / name).is_file(), name
    for name in runs:
        images.append(nib.load(tmp_path / name))
        sidecar = tmp_path / "truth" / name.replace(".nii.gz", ".json")
        truth = json.loads(sidecar.read_text())
        assert {acq: one["sign"] for acq, one in truth.items()} == {"left": -1, "right": 1}
    assert images[0].shape == images[1].shape and np.allclose(images[0].affine, images[1].affine)
    # Another session, another noise: what volumes differ by is not shared.
    first, second = (np.diff(one.get_fdata()[..., :2], axis=3) for one in images)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1

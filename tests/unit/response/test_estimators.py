"""From tables and arrays of a scan to changes; sums follow one rule in each estimator."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fit.means import Means
from fmrsflow.response.controls import controls
from fmrsflow.response.estimators import blocks, joint, timecourse
from fmrsflow.response.plateaus import boxcar_reads, plateau_rows
from fmrsflow.response.timecourse import courses
from fmrsflow.response.unit import UnitScan, conditions

SETTING = {
    "metabolites": ["Glu", "tCr"],
    "interval": "fieller",
    "drift_order": 0,
    "bootstraps": 20,
    "bootstrap_block": 0,
    "control_percent": 1.0,
    "control_linewidth_hz": 0.6,
    "control_shift_hz": 1.0,
}
LABELS = (["rest"] * 4 + ["task"] * 4) * 4


def scan(names=("Cr", "Glu"), change=(0.0, 4.0)) -> UnitScan:
    """A scan of 32 transients whose basis holds `names`; tCr is a sum of what is there."""
    rng = np.random.default_rng(1)
    box = np.array([label == "task" for label in LABELS], float)
    course = 10 * (1 + np.outer(box, change) / 100) + 0.01 * rng.standard_normal((32, len(names)))
    k = len(names) + 1
    everything = (*names, "tCr")
    spread = np.full((1, k, k), 0.01) + 0.2 * np.eye(k)
    rows = [
        {
            "metabolite": name,
            "condition": label,
            "time_s": 2.0 * j,
            "amplitude": float(course[j, [n for n, one in enumerate(names) if one == source][0]]),
            "se": 0.1,
        }
        for name, source in [*zip(names, names), ("tCr", "Cr")]
        for j, label in enumerate(LABELS)
    ]
    return UnitScan(
        key="a/sub-01",
        preprocess={"conditions": ["rest", "task"]},
        joint={"status": "ok", "linewidth_model": "free"},
        transients=[
            {"condition": label, "kept": True, "shift_hz": 0.1 * (j % 2)}
            for j, label in enumerate(LABELS)
        ],
        concentrations=[
            {
                "metabolite": name,
                "quantity": "raw",
                "matched": matched,
                "condition": label,
                "value": 10.0 * (1.04 if (name, label) == ("Glu", "task") else 1.0),
                "se": 0.1,
                "water_se": 0.0,
            }
            for name in everything
            for matched in (True, False)
            for label in ("rest", "task")
        ],
        timecourse=rows,
        joint_rows=[
            {
                "metabolite": name,
                "contrast": "task",
                "linewidth_model": model,
                "change_percent": 5.0,
                "change_se_percent": 0.5,
            }
            for model in ("free", "none")
            for name in everything
        ],
        joint_fit={
            "names": np.array(everything),
            "contrasts": np.array(["task"]),
            "change_percent": np.array([[*change, change[0]]]),
            "change_covariance": spread,
            "transients": np.arange(32),
            "timecourse": course,
        },
    )


def changes(estimates, name):
    return {
        (one.estimator, one.matched, one.quantity): one.change.percent
        for one in estimates
        if one.metabolite == name
    }


def everything(one: UnitScan):
    by_name, ratios = courses(one), courses(one, "tCr")
    found = blocks([one], "rest", ["task"], SETTING)
    found += joint(one, "rest", ["task"], SETTING, seed=len)
    for name in SETTING["metabolites"]:
        found += timecourse(by_name[name], ratios.get(name), "rest", ["task"], SETTING)
    return found, by_name


def test_a_basis_without_pcr_has_total_creatine_in_every_estimator():
    """tCr is Cr: its change, its controls and the ratios to it are there and mean one thing."""
    found, by_name = everything(scan())
    tcr = changes(found, "tCr")
    assert {estimator for estimator, *_ in tcr} == {"blocks", "joint", "timecourse"}
    for (estimator, matched, _), value in tcr.items():
        if (estimator, matched) != ("joint", False):
            assert value == pytest.approx(0.0, abs=0.2), estimator
    glu = changes(found, "Glu")
    for estimator in ("joint", "timecourse"):
        matched = estimator == "joint"
        assert glu[estimator, matched, "ratio_tcr"] == pytest.approx(4.0, abs=0.3)
    boot = next(o.bootstrap for o in found if (o.metabolite, o.estimator) == ("tCr", "joint"))
    assert boot is not None and math.isfinite(boot[0])
    named = [
        one.control
        for one in controls([scan()], found, [by_name["Glu"]], "rest", ["task"], SETTING)
    ]
    assert "tCr change, blocks" in named and "tCr change, joint" in named


def test_a_narrowing_of_all_tasks_is_one_control_of_its_scan():
    fit = {"status": "ok", "bold_narrowing_hz": 0.3, "bold_narrowing_se_hz": 0.1}
    one = replace(scan(), joint=fit)

    def told(scans):
        found = controls(scans, [], [], "rest", ["task", "other"], SETTING)
        return [own.control for own in found if "narrowing" in own.control]

    assert told([one]) == ["BOLD narrowing, joint fit"]
    both = told([one, replace(one, key="a/sub-02")])
    assert both == [f"BOLD narrowing, joint fit of {key}" for key in ("a/sub-01", "a/sub-02")]


def together(one: UnitScan, glu=(0.0, 4.0), gain=0.0) -> UnitScan:
    """The scan with means of one model: levels of 10 and 8, a gain that moves the task alone."""
    names = ("Glu", "Cr", "tCr", "Asp")
    level, noise = np.array([10.0, 8.0, 8.0, 0.0]), 0.04 * np.eye(4)
    noise[1:3, 1:3] = 0.04
    moved = np.array([0.0, gain]) - gain / 2

    def of(conditions) -> Means:
        task = np.array([label == "task" for label in conditions], float)
        share = np.where(task, glu[1], glu[0])[:, None] / 100 * np.eye(4)[0]
        relative = (1 + share) * (1 + moved[task.astype(int), None])
        values = level * (relative / relative.mean(axis=0) - 1)
        values[:, 3] = np.nan
        spread = (0.02 * (task - task.mean())) ** 2
        counts = np.full(len(task), 32 // len(task))
        root = np.sqrt(spread) * np.sign(task - 0.5)
        return Means(
            names, level, 0.01 * np.eye(4), counts, values, noise, level, np.outer(root, root)
        )

    conditions, blocks = ("rest", "task"), ("rest", "task") * 4
    arrays = {
        "conditions": np.array(conditions),
        "block_conditions": np.array(blocks),
        "block_time_s": 8.0 * np.arange(8),
        **of(conditions).arrays("matched"),
        **of(conditions).arrays("unmatched"),
        **of(blocks).arrays("blocks"),
    }
    return replace(one, means=arrays)


def test_conditions_of_one_scan_are_compared_in_one_model():
    """Noise of 0.2 in each of 32 transients, a gain of 2 % between conditions: in an absolute
    change, not in a ratio; the fits of single averages (4 % of Glu, 1 % SE) take no part."""
    setting = {**SETTING, "metabolites": ["Glu", "tCr", "Asp", "Lac"]}
    one = together(scan(), glu=(0.0, 6.0), gain=0.02)
    found = {
        (o.metabolite, o.estimator, o.matched, o.quantity): o.change
        for o in blocks([one], "rest", ["task"], setting)
    }
    # There is no molal concentration and no ratio in the table of the scan.
    assert {key[3] for key in found} == {"raw"}
    assert not any(key[0] == "Lac" for key in found)
    glu = found["Glu", "blocks", True, "raw"]
    ratio = 1.06 * 1.01 / 0.99
    assert glu.percent == pytest.approx(100 * (ratio - 1))
    # To first order, task - ratio rest over rest, whose mean is 10: a gain of one half of 2 % each
    # way, noise of 16 transients each, and an error of 0.1 of what they share.
    rest = 20 / (1 + ratio)
    parts = (0.1 * (1 + ratio), 0.2 * math.sqrt((1 + ratio**2) / 16), 0.1 * (ratio - 1))
    assert glu.se == pytest.approx(100 * math.hypot(*parts) / rest, rel=0.002)
    assert "holds none" in found["Asp", "blocks", True, "raw"].reason
    rows = [*one.concentrations, {**one.concentrations[0], "quantity": "ratio_tcr"}]
    (over, *_) = (
        o.change
        for o in blocks([replace(one, concentrations=rows)], "rest", ["task"], setting)
        if o.quantity == "ratio_tcr"
    )
    assert over.percent == pytest.approx(6.0)
    # Gain is in neither, and noise of the differences in both.
    noise = 0.2 * math.sqrt((1 + 1.06**2) / 16) * (1 + 1.06) / 2
    level = (1.06 - 1) * 0.1 * (1 + 1.06) / 2
    parts = (noise / 10, noise / 8, level / 10, level / 8)
    assert over.se == pytest.approx(100 * math.hypot(*parts), rel=0.01)


def test_blocks_and_time_course_of_one_model_agree():
    """Without a drift the same differences are in both, and the errors are of one size."""
    one = together(scan(), glu=(0.0, 6.0))
    found = blocks([one], "rest", ["task"], SETTING)
    by_name, ratios = courses(one), courses(one, "tCr")
    found += timecourse(by_name["Glu"], ratios["Glu"], "rest", ["task"], SETTING)
    changes = {(o.estimator, o.matched): o.change for o in found if o.metabolite == "Glu"
               and o.quantity == "raw"}  # fmt: skip
    assert set(changes) == {("blocks", True), ("blocks", False), ("timecourse", True)}
    plain, over_time = changes["blocks", True], changes["timecourse", True]
    assert over_time.percent == pytest.approx(plain.percent, abs=1e-6)
    assert over_time.se == pytest.approx(plain.se, rel=1e-3)


def test_a_condition_of_which_nothing_was_kept_is_named():
    found = blocks([together(scan())], "rest", ["task", "other"], SETTING)
    bad = next(o for o in found if o.task == "other")
    assert bad.change.reason == "cannot be estimated because no transient of other was kept"


def test_the_joint_fit_without_narrowing_stands_beside_as_a_control():
    found, _ = everything(scan())
    assert changes(found, "Glu")["joint", False, "raw"] == 5.0
    assert changes(found, "Glu")["joint", True, "raw"] == 4.0


def test_an_average_that_was_not_fitted_is_named():
    one = scan()
    rows = [
        row for row in one.concentrations if (row["condition"], row["matched"]) != ("task", True)
    ]
    found = blocks([UnitScan("", {}, {}, (), rows)], "rest", ["task"], SETTING)
    (bad,) = (o for o in found if o.metabolite == "Glu" and o.matched)
    assert bad.change.reason == "cannot be estimated because the average of task was not fitted"


def levels(key: str, water: float, **values: float) -> UnitScan:
    """A scan with molal Glu of its conditions, SE 0.1, and a water that is off by this share."""
    rows = [
        {
            "metabolite": "Glu",
            "quantity": "molal",
            "matched": False,
            "condition": name,
            "value": value,
            "se": 0.1,
            "water_se": water * value,
        }
        for name, value in values.items()
    ]
    return UnitScan(key, {"conditions": list(values)}, {}, (), rows)


def change_of(*scans: UnitScan):
    (found,) = blocks(scans, "rest", ["task"], SETTING)
    return found.change


def test_a_change_within_a_scan_knows_nothing_of_its_water():
    exact, spoiled = (change_of(levels("a", water, rest=10.0, task=10.4)) for water in (0.0, 0.2))
    assert spoiled == exact
    assert exact.se == pytest.approx(100 * math.hypot(0.1, 0.104) / 10)


def test_a_change_between_scans_holds_the_waters_of_both():
    """Rest in two scans, the task in the second of them and a third; against a million draws of
    fits and waters."""
    rng = np.random.default_rng(3)
    scans = [
        levels("a", 0.03, rest=10.0),
        levels("b", 0.02, rest=10.0, task=11.0),
        levels("c", 0.01, task=11.0),
    ]
    fit = 0.1 * rng.standard_normal((4, 1_000_000))
    water = 1 + np.array([[0.03], [0.02], [0.01]]) * rng.standard_normal((3, 1_000_000))
    rest = ((10 + fit[0]) * water[0] + (10 + fit[1]) * water[1]) / 2
    task = ((11 + fit[2]) * water[1] + (11 + fit[3]) * water[2]) / 2
    drawn = 100 * (task / rest - 1).std()
    # The formula is of first order: it leaves out the water's error squared, 0.1 %.
    assert change_of(*scans).se == pytest.approx(drawn, rel=0.01)


def test_contrasts_that_are_no_task_come_out_and_the_observed_difference_beside_them():
    """A response by delays: no column is the task, and its difference stands in all the same."""
    one = scan()
    fit = one.joint_fit
    fit["contrasts"] = np.array(["task_0s", "late"])
    fit["change_percent"] = np.array([[0.0, 1.0, 0.0], [0.5, 7.0, 0.5]])
    fit["change_covariance"] = np.repeat(fit["change_covariance"], 2, axis=0)
    fit["shapes"], fit["shape_contrasts"] = np.array(["boxcar", "hrf"]), np.array(["task"])
    fit["plateau_percent"] = np.array([[[0.0, 4.0, 0.0]], [[0.0, 9.0, 0.0]]])
    fit["plateau_covariance"] = np.full((2, 1, 3, 3), 0.01) + 0.2 * np.eye(3)
    found = joint(one, "rest", ["task"], SETTING, seed=len)
    glu = [e for e in found if e.metabolite == "Glu" and e.matched]
    raw, ratio = (
        {e.task: e.change.percent for e in glu if e.quantity == quantity}
        for quantity in ("raw", "ratio_tcr")
    )
    assert raw == {"task_0s": 1.0, "late": 7.0, "task": 4.0}
    assert ratio["late"] == pytest.approx(100 * (1.07 / 1.005 - 1))
    fit |= {"log_likelihood": np.zeros(2), "boxcar_reads": np.array([[1.0], [0.8]])}
    fit |= {"se_ratio": np.ones((2, 1)), "shape_reasons": np.array(["", "it is over"])}
    table = plateau_rows(one, "rest", ["Glu", "tCr"])
    glu = [row for row in table if (row["metabolite"], row["quantity"]) == ("Glu", "raw")]
    assert [row["change_percent"] for row in glu] == [4.0, 9.0]
    assert [row["reason"] for row in glu] == ["", "it is over"]
    assert boxcar_reads(table) == {"task-rest": {"hrf": 0.8}}


def test_one_condition_is_no_response():
    only = UnitScan("", {"conditions": ["rest"]}, {}, (), ())
    with pytest.raises(DataError, match="one condition only"):
        conditions([only], "rest")


def test_without_the_named_rest_changes_refer_to_the_first_condition():
    one = UnitScan("", {"conditions": ["eyes", "hands"]}, {}, (), ())
    assert conditions([one], "rest") == ("eyes", ["hands"])
    assert one.tasks(["hands"]) == ["hands"]

"""The stage `fit`: what it writes for a scan, and what becomes of a scan that cannot be fitted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from fmrsflow.basis.files import to_npz
from fmrsflow.batch import run_job
from fmrsflow.edge import Job
from fmrsflow.fids import Fids
from fmrsflow.fit.means import Means
from fmrsflow.stages.fit import process
from fmrsflow.stages.response import process as respond
from fmrsflow.study import Scan, Site, Study
from fmrsflow.tables import columns_of, read_table

SCHEMA = Path(__file__).resolve().parents[3] / "workflow" / "schemas" / "fit.yaml"
NAMES = {"preprocess": "p", "basis": "b", "fit": "f"}
RESPONSE = {
    "rest": "rest",
    "metabolites": ["Glu", "tCr"],
    "bootstraps": 0,
    "control_percent": 1.0,
    "control_linewidth_hz": 0.6,
}
LABELS = (["rest"] * 8 + ["task"] * 8) * 2
BOX = np.array([label == "task" for label in LABELS], float)


class Outcome:
    """Record and files of a fitted scan."""

    def __init__(self, job: Job):
        self.job = job
        self.record = json.loads(job.study.record_path("fit", NAMES, job.scan).read_text())
        names = {**NAMES, "concentration": "c"}
        self.after = Job("quantify", job.study, job.scan, names)

    def table(self, what: str) -> list[dict]:
        return self.after.table("fit", what)


@pytest.fixture
def scan(clean, basis, truth, noisy) -> Fids:
    """32 transients, +6 % Glu and 0.2 Hz of narrowing in the task, SNR 40."""
    amplitudes = np.tile(truth, (32, 1))
    amplitudes[:, basis.names.index("Glu")] *= 1 + 0.06 * BOX
    fids = replace(clean, data=(amplitudes @ basis.fids)[:, None])
    return noisy(32, 40.0, 5, fids.broadened(3.0 - 0.2 * BOX, 4.0))


@pytest.fixture
def run(tmp_path, basis):
    """Function that puts a preprocessed scan into a study and fits it."""

    def fit(fids: Fids, labels=LABELS, kept=None, water=50.0, waters=(), **setting) -> Outcome:
        defaults = {k: v["default"] for k, v in yaml.safe_load(SCHEMA.read_text()).items()}
        config = {
            "results": str(tmp_path / "results"),
            "data_root": str(tmp_path),
            "preprocess": {"p": {}},
            "basis": {"b": {}},
            "fit": {"f": defaults | setting},
            "concentration": {"c": {}},
        }
        site = Site("here", "Philips", 3.0, "sLASER", 0.028, 2.0, "own")
        one = Scan("here", "01", "x.nii.gz", task="visual")
        study = Study(config, {"here": site}, (one,))
        before = Job("convert", study, one, {})
        before.finish(
            "ok",
            None,
            None,
            {
                "tr_s": 2.0,
                "te_s": 0.028,
                "reference": {} if water else None,
                "excitations_per_transient": 1,
            },
        )
        kept = np.ones(len(labels), bool) if kept is None else kept
        conditions = list(dict.fromkeys(labels))
        member = np.array([[label == name for label in labels] for name in conditions]) * kept
        weights = member / member.sum(axis=1, keepdims=True)
        averages = fids.with_data(weights @ fids.transients)
        job = Job("preprocess", study, one, {"preprocess": "p"})
        job.save("svs", fids)
        job.save("average", averages)
        job.save("matched", averages)
        if water:
            decay = water * np.exp(-np.pi * 8 * fids.time_s)
            job.save("mrsref", fids.with_data(decay[None].astype(complex)))
        rows = [
            {"transient": j, "time_s": 2.0 * j, "condition": label, "weight": w, "kept": bool(k)}
            for j, (label, w, k) in enumerate(zip(labels, weights.sum(axis=0), kept))
        ]
        job.save("transients", rows, columns_of("preprocess", "transients"))
        if waters:
            job.save("water", waters, columns_of("preprocess", "water"))
        job.finish("ok", None, None, {"conditions": conditions})
        made = Job("basis", study, study.sites["here"], {"basis": NAMES["basis"]})
        made.save("basis.npz", to_npz(basis))
        made.finish("ok", None, None, {})
        job = Job("fit", study, one, NAMES)
        run_job(job, process)
        return Outcome(job)

    return fit


def test_every_average_is_fitted(run, scan, basis, truth):
    outcome = run(scan)
    assert outcome.record["status"] == "ok"
    arrays = outcome.after.arrays("fit", "result")
    assert list(arrays["spectra"]) == ["rest", "task", "all"]
    assert list(arrays["levels"]) == ["rest", "task", "all", "rest:matched", "task:matched"]
    assert set(arrays["names"]) == {*basis.names, "-CrCH2"}
    k = basis.names.index("NAA")
    assert arrays["amplitudes"][2, k] == pytest.approx(truth[k], rel=0.03)
    np.testing.assert_allclose(
        arrays["data"], arrays["fit"] + arrays["residual"], rtol=1e-4, atol=1e-3
    )
    whole = arrays["baseline"].real + arrays["metabolites"].sum(axis=1)
    np.testing.assert_allclose(arrays["fit"].real, whole, rtol=1e-4, atol=1e-3)
    rows = {(row["spectrum"], row["metabolite"]): row for row in outcome.table("amplitudes")}
    parts = sum(float(rows["all", name]["amplitude"]) for name in ("NAA", "NAAG"))
    assert float(rows["all", "tNAA"]["amplitude"]) == pytest.approx(parts, rel=1e-5)
    assert outcome.record["fqn"]["all"] == pytest.approx(1.0, abs=0.35)
    assert set(outcome.record["correlations"]["all"]) == {"Glu-Gln", "NAA-NAAG", "Cr-PCr"}


def test_levels_with_a_width_of_their_own_come_from_one_model(run, scan):
    """They differ by what all transients in one model differ by, about the level of the average of
    all: no fit of their own is needed."""
    outcome = run(scan, joint=False)
    rows = {(row["spectrum"], row["metabolite"]): row for row in outcome.table("amplitudes")}
    means = Means.from_arrays(outcome.after.arrays("fit", "model"), "matched")
    for name in ("Glu", "tCr", "NAA"):
        k = means.names.index(name)
        told = [rows[f"{one}:matched", name]["amplitude"] for one in ("rest", "task")]
        assert told[1] - told[0] == pytest.approx(means.values[1, k] - means.values[0, k], rel=1e-3)
        assert np.mean(told) == pytest.approx(rows["all", name]["amplitude"], rel=1e-5)
        whole = rows["all", name]["se"]
        added = means.errors()[0, k]
        assert rows["rest:matched", name]["se"] == pytest.approx(np.hypot(whole, added), rel=1e-4)


def test_joint_rows_come_with_and_without_narrowing(run, scan):
    wander = np.sin(np.arange(8.0))
    waters = [{"time_s": 8.0 * j, "linewidth_hz": 9 + 0.1 * w} for j, w in enumerate(wander)]
    outcome = run(scan, waters=waters)
    joint = outcome.record["joint"]
    assert joint["status"] == "ok"
    assert joint["linewidth"] == ["bold", "drift_1", "water"]
    assert joint["linewidth_model"] == "free"
    rows = {(row["linewidth_model"], row["metabolite"]): row for row in outcome.table("joint")}
    change, se = (
        float(rows["free", "Glu"][key]) for key in ("change_percent", "change_se_percent")
    )
    assert abs(change - 6.0) < 3 * se
    assert ("none", "Glu") in rows
    assert outcome.after.arrays("fit", "model")["timecourse"].shape[0] == 32


def test_rejected_transients_take_no_part(run, scan, clean):
    kept = np.ones(32, bool)
    kept[[3, 20]] = False
    data = scan.transients.copy()
    data[~kept] += 1e3
    outcome = run(scan.with_data(data), kept=kept)
    assert outcome.record["status"] == "ok"
    assert outcome.record["fqn"]["all"] < 1.4
    assert len(outcome.after.arrays("fit", "model")["transients"]) == 30


def test_blocks_follow_the_conditions(run, scan):
    rows = [row for row in run(scan).table("timecourse") if row["metabolite"] == "Glu"]
    assert [row["condition"] for row in rows] == ["rest", "task", "rest", "task"]
    assert [float(row["time_s"]) for row in rows] == [7.0, 23.0, 39.0, 55.0]


def test_means_are_there_without_a_joint_fit(run, scan):
    outcome = run(scan, joint=False)
    assert outcome.record["joint"]["status"] == "absent"
    means = outcome.after.arrays("fit", "model")
    assert list(means["conditions"]) == ["rest", "task"]
    rest, task = means["matched_level"] + means["matched_values"]
    k = list(means["matched_names"]).index("Glu")
    assert 100 * (task[k] / rest[k] - 1) == pytest.approx(6.0, abs=5.0)
    rows = [row for row in outcome.table("timecourse") if row["metabolite"] == "Glu"]
    assert [row["condition"] for row in rows] == ["rest", "task", "rest", "task"]


def test_one_transient_has_a_fit_and_nothing_to_compare(run, scan):
    outcome = run(scan.select([0]), labels=["all"])
    assert outcome.record["status"] == "ok"
    assert outcome.table("timecourse") == []
    assert any("one transient alone" in text for text in outcome.record["warnings"])


def test_blocks_of_a_set_size(run, scan):
    rows = [
        r
        for r in run(scan, timecourse_transients=4).table("timecourse")
        if r["metabolite"] == "Glu"
    ]
    assert len(rows) == 8


def test_water_amplitude_is_that_of_the_reference(run, scan):
    record = run(scan, water=5e4).record
    assert record["water_amplitude"] == pytest.approx(5e4, rel=1e-4)
    # A Lorentzian without noise: neither error has anything to come from.
    assert 0 <= record["water_amplitude_se"] < 1e-4 * 5e4
    assert 0 <= record["water_amplitude_model_sd"] < 1e-4 * 5e4


def test_without_reference_there_is_no_water_amplitude(run, scan):
    record = run(scan, water=None).record
    assert record["water_amplitude"] is record["water_amplitude_se"] is None
    assert record["water_amplitude_model_sd"] is None


def test_one_condition_has_no_joint_fit_and_says_why(run, scan):
    outcome = run(scan, labels=["all"] * 32)
    assert outcome.record["status"] == "ok"
    assert outcome.record["joint"]["status"] == "failed"
    assert "one condition" in outcome.record["joint"]["reason"]


def test_events_of_the_width_that_are_not_there_cost_the_model_of_all_transients_alone(run, scan):
    outcome = run(scan, joint_linewidth_events=["flicker"])
    assert outcome.record["status"] == "ok"
    told = "no event of trial type flicker (setting joint_linewidth_events)"
    assert outcome.record["joint"] == {"status": "failed", "reason": told}
    assert any(told in one for one in outcome.record["warnings"])
    rows = {row["spectrum"] for row in outcome.table("amplitudes")}
    assert rows == {"rest", "task", "all", "rest:matched", "task:matched"}


def test_a_scan_of_noise_fails_with_its_reason(run, scan):
    rng = np.random.default_rng(0)
    shape = scan.transients.shape
    white = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    outcome = run(scan.with_data(white))
    assert outcome.record["status"] == "failed"
    assert "creatine" in outcome.record["reason"]


def test_an_absent_engine_fails_with_the_way_to_get_it(run, scan):
    outcome = run(scan, engine="lcmodel", command="no-such-command-here")
    assert outcome.record["status"] == "failed"
    assert "build it" in outcome.record["reason"]


def test_a_design_of_the_user_is_followed(run, scan, tmp_path):
    lines = ["constant\tstimulus\tdrift_1"]
    lines += [f"1\t{x:g}\t{d:.4f}" for x, d in zip(BOX, np.linspace(-1, 1, 32))]
    (tmp_path / "sub-01_task-visual_design.tsv").write_text("\n".join(lines) + "\n")
    outcome = run(scan, joint_design="{stem}_design.tsv")
    assert outcome.record["joint"]["status"] == "ok"
    assert {row["contrast"] for row in outcome.table("joint")} == {"stimulus"}
    # Nothing in it says what the width does: it follows the conditions, as without a TSV.
    narrowing = outcome.record["joint"]["bold_narrowing_hz"]
    own = run(scan, joint_drift_order=1).record["joint"]["bold_narrowing_hz"]
    assert narrowing == pytest.approx(own, rel=1e-4)  # drifts are rounded


def test_a_given_design_has_no_narrowing_where_the_setting_says_so(run, scan, tmp_path):
    lines = ["constant\ta\tb\tdrift_1"]
    first = np.arange(32) < 16
    lines += [
        f"1\t{x * f:g}\t{x * (1 - f):g}\t{d:.4f}"
        for x, f, d in zip(BOX, first, np.linspace(-1, 1, 32))
    ]
    (tmp_path / "design.tsv").write_text("\n".join(lines) + "\n")
    outcome = run(
        scan, joint_design="design.tsv", joint_linewidth="none", joint_contrasts=["both = mean *"]
    )
    rows = outcome.table("joint")
    assert {row["linewidth_model"] for row in rows} == {"none"}
    change = {row["contrast"]: row["change_percent"] for row in rows if row["metabolite"] == "Glu"}
    assert change["both"] == pytest.approx((change["a"] + change["b"]) / 2)


def test_a_given_design_is_enough_for_a_scan_of_one_condition(run, scan, tmp_path):
    """Nothing but the design tells rest from task: its contrasts are the response."""
    lines = ["constant\tstimulus"] + [f"1\t{x:g}" for x in BOX]
    (tmp_path / "design.tsv").write_text("\n".join(lines) + "\n")
    outcome = run(scan, labels=["all"] * 32, joint_design="design.tsv")
    assert outcome.record["joint"]["status"] == "ok"
    study, one = outcome.job.study, outcome.job.scan
    study.config["concentration"]["c"] = {}
    study.config["response"] = {"r": RESPONSE}
    quantified = Job("quantify", study, one, {**NAMES, "concentration": "c"})
    quantified.save("concentrations", [], columns_of("quantify", "concentrations"))
    quantified.finish("ok", None, None, {})
    names = {**NAMES, "concentration": "c", "response": "r"}
    job = Job("response", study, study.units()[0], names)
    run_job(job, respond)
    record = json.loads(study.record_path("response", names, study.units()[0]).read_text())
    assert (record["status"], record["tasks"]) == ("ok", ["stimulus"])
    path = study.path("response-p-b-f-c-r", study.units()[0], "desc-response_change.tsv")
    keys = ("metabolite", "matched", "quantity")
    rows = {tuple(row[key] for key in keys): row for row in read_table(path)}
    row = rows["Glu", "true", "raw"]
    assert row["contrast"] == "stimulus-rest"
    change, se = (float(row[key]) for key in ("change_percent", "se_percent"))
    assert change == pytest.approx(6.0, abs=3 * se) and se < 1.5
    (glu,) = (
        one
        for one in outcome.table("joint")
        if (one["metabolite"], one["linewidth_model"]) == ("Glu", "free")
    )
    assert change == pytest.approx(glu["change_percent"], rel=1e-5)
    assert ("tCr", "false", "raw") in rows


def test_tables_have_a_data_dictionary(run, scan):
    outcome = run(scan)
    for what in ("amplitudes", "timecourse", "joint"):
        path = outcome.after.earlier("fit").path(f"{what}.tsv")
        described = json.loads(path.with_suffix(".json").read_text())
        assert set(read_table(path)[0]) == set(described)

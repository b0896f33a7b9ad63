"""The stage: errors by their source, and a site without constants on its way to the answer."""

import sys

import numpy as np
import pytest

from fmrsflow.batch import run_job
from fmrsflow.edge import Job
from fmrsflow.question import Question
from fmrsflow.results import Results
from fmrsflow.sheets import schema
from fmrsflow.stages import quantify, response
from fmrsflow.study import Scan, Site, Study
from fmrsflow.tables import columns_of

NAMES = {"preprocess": "p", "basis": "b", "fit": "f", "concentration": "c", "response": "r"}
AMPLITUDES = np.array([4.0, 4.2, 9.0])
CHANGE = np.array([1.0, 1.0, 1.05])
ABSOLUTE = ("molal", "molar", "alpha_corrected")


def made_study(tmp_path, field_t: float, **setting) -> Study:
    """One scan with rest and task at a site of this field."""
    site = Site("a", "Philips", field_t, "PRESS", 0.035, 2.0, "own")
    config = {"results": str(tmp_path / "results"), "data_root": str(tmp_path)}
    config |= {stage: {name: {}} for stage, name in NAMES.items()}
    for stage, own in (("concentration", setting), ("response", {"metabolites": ["Glu", "tCr"]})):
        config[stage] = {NAMES[stage]: defaults(stage) | own}
    return Study(config, {"a": site}, (Scan("a", "01", "x.nii", task="visual"),))


def defaults(stage: str) -> dict:
    return {name: one["default"] for name, one in schema(stage).items()}


def run(study: Study, anatomy=True, water=True, linewidth_hz=5.0, task="task") -> tuple[Job, dict]:
    """Quantify a scan that was fitted; a job that reads what came of it, and the record."""
    scan = study.scans[0]
    job = Job("convert", study, scan, {})
    reference = {"te_s": 0.035, "tr_s": 2.0} if water else None
    job.finish("ok", None, None, {"te_s": 0.035, "tr_s": 2.0, "reference": reference})
    fractions = {"v_gm": 0.55, "v_wm": 0.35, "v_csf": 0.10}
    body = {**fractions, "method": "builtin", "systematic_sd": 0.05} if anatomy else {}
    job = Job("anatomy", study, scan, {})
    job.finish("ok" if anatomy else "failed", None if anatomy else "no T1w", None, body)
    job = Job("preprocess", study, scan, names(1))
    labels = ["rest", task]
    rows = [{"transient": j, "condition": labels[j % 2], "kept": True} for j in range(8)]
    job.save("transients", rows, columns_of("preprocess", "transients"))
    widths = dict.fromkeys(labels, linewidth_hz)
    body = {"conditions": labels, "linewidth_hz": widths, "linewidth_se_hz": widths}
    job.finish("ok", None, None, body)
    job = Job("fit", study, scan, names(3))
    amplitudes = np.array([AMPLITUDES, AMPLITUDES * CHANGE] * 2)
    result = {
        "levels": np.array([*labels, *(f"{one}:matched" for one in labels)]),
        "names": np.array(["Cr", "PCr", "Glu"]),
        "amplitudes": amplitudes,
        "covariance": np.tile(0.01 * np.eye(3), (4, 1, 1)),
        "model_covariance": np.tile(0.04 * np.eye(3), (4, 1, 1)),
    }
    job.save("result", result)
    job.save("timecourse", [], columns_of("fit", "timecourse"))
    errors = ("water_amplitude_se", "water_amplitude_model_sd")
    waters = {"water_amplitude": 1e5 if water else None, **dict.fromkeys(errors, None)}
    waters |= dict(zip(errors, (300.0, 400.0))) if water else {}
    joint = {"status": "absent", "reason": "switched off (setting joint)"}
    job.finish("ok", None, None, {**waters, "joint": joint})
    run_job(Job("quantify", study, scan, names(4)), quantify.process)
    after = Job("response", study, study.units()[0], NAMES)
    return after, Results(study).of("quantify", NAMES, scan).record


def names(n: int) -> dict:
    return dict(list(NAMES.items())[:n])


def concentrations(after: Job) -> dict:
    rows = after.table("quantify", "concentrations", after.unit.scans[0])
    assert rows
    return {
        (row["metabolite"], row["quantity"], row["condition"], row["matched"]): row for row in rows
    }


def test_each_error_has_a_column_and_the_total_is_all_of_them(tmp_path):
    after, record = run(made_study(tmp_path, 3.0))
    row = concentrations(after)["Glu", "molal", "rest", False]
    assert row["se"] == pytest.approx(row["value"] * 0.1 / 9.0, rel=1e-4)
    # sqrt(300^2 + 400^2) of 1e5.
    assert row["water_se"] == pytest.approx(0.005 * row["value"], rel=1e-4)
    assert 0.04 < row["tissue_se"] / row["value"] < 0.06
    assert row["model_sd"] == pytest.approx(2 * row["se"], rel=1e-4)
    parts = [row[name] for name in ("se", "model_sd", "water_se", "tissue_se")]
    assert row["total_se"] == pytest.approx(np.linalg.norm(parts), rel=1e-4)
    assert record["constants"] == row["method"] == "osprey-3T-v2"
    assert record["tissue"]["sd"] == 0.05 and record["water"]["se"] == 500.0


def test_a_colon_in_the_name_of_a_condition_is_kept(tmp_path):
    after, _ = run(made_study(tmp_path, 3.0), task="task:left")
    found = {(condition, matched) for _, _, condition, matched in concentrations(after)}
    assert found == {(one, m) for one in ("rest", "task:left") for m in (False, True)}


def test_a_change_within_the_scan_is_as_sure_as_its_raw_amplitudes(tmp_path):
    """Water and tissue are those of both conditions, so that molal and raw changes are one."""
    after, _ = run(made_study(tmp_path, 3.0))
    run_job(after, response.process)
    rows = {(row["metabolite"], row["quantity"], row["matched"]): row for row in changes(after)}
    for matched in (True, False):
        molal, raw = (rows["Glu", quantity, matched] for quantity in ("molal", "raw"))
        assert molal["change_percent"] == pytest.approx(5.0, abs=1e-3)
        for name in ("change_percent", "se_percent", "low_percent", "high_percent"):
            assert molal[name] == pytest.approx(raw[name], abs=1e-3)  # six digits in a table


def changes(after: Job) -> list[dict]:
    return Results(after.study).of("response", NAMES, after.unit).table("change")


def test_assumed_fractions_are_less_sure_than_measured_ones(tmp_path):
    measured, _ = run(made_study(tmp_path / "m", 3.0))
    assumed, record = run(made_study(tmp_path / "a", 3.0, tissue="assumed"), anatomy=False)
    key = ("Glu", "molal", "rest", False)
    first, second = (concentrations(one)[key] for one in (measured, assumed))
    assert second["tissue_se"] / second["value"] > 1.5 * first["tissue_se"] / first["value"]
    assert record["tissue"] == dict(gm=0.6, wm=0.4, csf=0.0, sd=0.1, origin="assumed")


def test_a_set_without_the_field_gives_molal_values_of_the_literature_and_says_so(tmp_path):
    after, record = run(made_study(tmp_path, 1.5))
    assert concentrations(after)["Glu", "molal", "rest", False]["value"] > 0
    assert record["constants"] == "literature-1.5T-v2"
    assert any("osprey has none at 1.5 T" in text for text in record["warnings"])


@pytest.mark.parametrize("field_t", [4.0, 9.4, 5.0])
def test_a_site_without_constants_answers_by_ratio(tmp_path, field_t):
    """From quantify through response to the row that answers the study's question."""
    after, record = run(made_study(tmp_path, field_t))
    assert record["status"] == "ok" and record["constants"] is None
    assert any(f"no relaxation constants at {field_t:g} T" in one for one in record["warnings"])
    found = {key[1] for key in concentrations(after)}
    assert found == {"raw", "ratio_tcr"}
    run_job(after, response.process)
    done = Results(after.study).of("response", NAMES, after.unit)
    assert done.record["status"] == "ok"
    rows = done.table("change")
    assert {row["quantity"] for row in rows} == {"raw", "ratio_tcr"}
    answer = Question().best(rows)
    assert (answer["quantity"], answer["estimator"]) == ("ratio_tcr", "blocks")
    assert answer["change_percent"] == pytest.approx(5.0, abs=1e-3)


def test_a_linewidth_that_was_not_measured_stops_no_answer(tmp_path):
    """The line of an average can be lost in noise or in another; the record then holds null."""
    after, _ = run(made_study(tmp_path, 9.4), linewidth_hz=None)
    run_job(after, response.process)
    done = Results(after.study).of("response", NAMES, after.unit)
    assert done.record["status"] == "ok"
    named = [row["control"] for row in done.table("controls")]
    assert named and not any("linewidth" in one for one in named)


def test_without_water_there_is_nothing_that_water_scales(tmp_path):
    after, record = run(made_study(tmp_path, 3.0), water=False)
    assert not {key[1] for key in concentrations(after)} & {*ABSOLUTE}
    assert record["water"] is None


@pytest.mark.parametrize(("factor", "told"), [(1.0, False), (1 / 16, True), (2.0, True)])
def test_a_reference_of_another_scale_is_told(tmp_path, monkeypatch, factor, told):
    """A sum of 16 in place of a mean; half the receiver gain."""
    monkeypatch.setattr(sys.modules[__name__], "AMPLITUDES", factor * AMPLITUDES)
    after, record = run(made_study(tmp_path, 3.0))
    tcr = concentrations(after)["tCr", "molal", "rest", False]["value"]
    assert any("of another receiver gain" in one for one in record["warnings"]) is told, tcr
    assert bool(record["implausible"]) is told
    assert (record["molal_reason"] is not None) is told

"""The stage: two scans of one person give a response; failures and gaps are told."""

import numpy as np
import pytest

from fmrsflow.batch import run_job
from fmrsflow.edge import Job
from fmrsflow.files import read_json
from fmrsflow.stages.response import process
from fmrsflow.study import Scan, Site, Study
from fmrsflow.tables import columns_of, read_table

NAMES = {"preprocess": "p", "basis": "b", "fit": "f", "concentration": "c", "response": "r"}
SETTING = {
    "rest": "rest",
    "metabolites": ["Glu", "Lac", "tCr"],
    "interval": "fieller",
    "drift_order": 1,
    "bootstraps": 50,
    "bootstrap_block": 0,
    "control_percent": 1.0,
    "control_linewidth_hz": 0.6,
    "control_shift_hz": 1.0,
}


def two_scan_study(tmp_path) -> Study:
    sites = {"a": Site("a", "GE", 3.0, "PRESS", 0.035, 2.0, "own")}
    scans = tuple(
        Scan("a", "01", "x.nii", task=task, condition=task) for task in ("rest", "fingers")
    )
    config = {"results": str(tmp_path), "data_root": str(tmp_path)}
    config |= {stage: {name: {}} for stage, name in NAMES.items()}
    config["response"] = {"r": SETTING}
    config["fit"] = {"f": {"joint": False}}
    return Study(config, sites, scans)


def write_scan(study: Study, scan: Scan, glu: float, shift_hz: float = 0.0) -> None:
    """Upstream files of a scan with one condition."""

    def job(stage):
        wanted = {"preprocess": 1, "fit": 3, "quantify": 4}[stage]
        return Job(stage, study, scan, dict(list(NAMES.items())[:wanted]))

    one = job("preprocess")
    rows = [
        {"transient": j, "condition": scan.condition, "kept": True, "shift_hz": shift_hz + j % 2}
        for j in range(32)
    ]
    one.save("transients", rows, columns_of("preprocess", "transients"))
    width = {scan.condition: 5.0}
    body = {"conditions": [scan.condition], "linewidth_hz": width, "linewidth_se_hz": width}
    one.finish("ok", None, None, body)
    job("fit").finish("ok", None, None, {"joint": {"status": "failed", "reason": "one condition"}})
    one = job("quantify")
    values = {"Glu": (glu, 0.1), "tCr": (8.0, 0.1), "Lac": (0.0, 0.2)}
    one.save(
        "concentrations",
        [
            {
                "metabolite": name,
                "condition": scan.condition,
                "matched": False,
                "quantity": quantity,
                "value": value,
                "se": se,
                "water_se": 0.02 * value if quantity == "molal" else 0.0,
            }
            for name, (value, se) in values.items()
            for quantity in ("molal", "raw")
        ],
        columns_of("quantify", "concentrations"),
    )
    one.finish("ok", None, None, {})


def run(study: Study) -> dict:
    job = Job("response", study, study.units()[0], NAMES)
    run_job(job, process)
    return read_json(study.record_path("response", NAMES, study.units()[0]))


def change_rows(study: Study) -> dict:
    unit = study.units()[0]
    path = study.path("response-p-b-f-c-r", unit, "desc-response_change.tsv")
    return {(row["metabolite"], row["quantity"]): row for row in read_table(path)}


def test_two_scans_of_different_condition_give_one_response(tmp_path):
    study = two_scan_study(tmp_path)
    write_scan(study, study.scans[0], 10.0)
    write_scan(study, study.scans[1], 10.5)
    record = run(study)
    assert record["status"] == "ok" and record["tasks"] == ["fingers"]
    row = change_rows(study)["Glu", "molal"]
    assert float(row["change_percent"]) == pytest.approx(5.0)
    fits = 100 * np.hypot(0.1, 0.105) / 10
    # Each scan has a water of its own, which the raw amplitudes know nothing of: 2 % twice.
    waters = 100 * np.hypot(0.02 * 10.5, 1.05 * 0.02 * 10) / 10
    assert float(row["se_percent"]) == pytest.approx(np.hypot(fits, waters), rel=1e-4)
    raw = change_rows(study)["Glu", "raw"]
    assert float(raw["se_percent"]) == pytest.approx(fits, rel=1e-4)
    assert row["contrast"] == "fingers-rest"
    assert any("different scans" in text for text in record["warnings"])


def test_a_metabolite_that_is_not_there_has_a_reason_and_stops_nothing(tmp_path):
    study = two_scan_study(tmp_path)
    write_scan(study, study.scans[0], 10.0)
    write_scan(study, study.scans[1], 10.5)
    run(study)
    row = change_rows(study)["Lac", "molal"]
    assert row["change_percent"] == "n/a"
    assert row["reason"] == "cannot be estimated because the fit found nothing at rest"


def test_a_frequency_jump_between_scans_is_flagged(tmp_path):
    study = two_scan_study(tmp_path)
    write_scan(study, study.scans[0], 10.0)
    write_scan(study, study.scans[1], 10.5, shift_hz=6.0)
    assert any("frequency difference" in flag for flag in run(study)["flags"])


def test_a_failed_scan_fails_its_unit_with_the_first_reason(tmp_path):
    study = two_scan_study(tmp_path)
    write_scan(study, study.scans[0], 10.0)
    write_scan(study, study.scans[1], 10.5)
    job = Job("preprocess", study, study.scans[1], {"preprocess": "p"})
    job.finish("failed", "no water", "convert", {})
    record = run(study)
    assert (record["status"], record["failed_at"]) == ("failed", "convert")


def test_one_condition_alone_fails_with_what_to_do(tmp_path):
    study = two_scan_study(tmp_path)
    study = Study(study.config, study.sites, study.scans[:1])
    write_scan(study, study.scans[0], 10.0)
    record = run(study)
    assert record["status"] == "failed"
    assert "one condition only (rest)" in record["reason"]

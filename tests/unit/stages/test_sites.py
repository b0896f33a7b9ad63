"""Tables of a made-up study with a failed and an excluded scan: nothing is dropped silently."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from scipy.stats import permutation_test

import report_fixture as made
from fmrsflow.errors import DataError
from fmrsflow.files import file_digest, read_json
from fmrsflow.report.group_pages import consortium_page
from fmrsflow.report.read import compared, read_consortium, read_group, read_scan
from fmrsflow.report.verdict import verdict
from fmrsflow.results import Results
from fmrsflow.sheets import read_plan, schema
from fmrsflow.stages.plan import main as plan
from fmrsflow.stages.sites import main
from fmrsflow.study import STAGE_SETTINGS
from fmrsflow.tables import read_table
from fmrsflow.tables.sites import TABLES


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("sites")
    study = made.make_study(root, n_sites=3, n_subjects=3)
    defaults = {
        section: {key: rule["default"] for key, rule in schema(section).items()}
        for section in ("sites", "response")
    }
    main_answer = {"estimator": "blocks", "quantity": "molal", "bootstraps": 20}
    config = study.config | {"sites": defaults["sites"] | main_answer}
    config["response"] = {"blocks": defaults["response"]}
    config["analyses"] = {"main": made.ANALYSIS, "second": made.ANALYSIS}
    study = replace(study, config=config)
    for seed, scan in enumerate(study.scans):
        made.write_scan(study, scan, seed)
    made.fail_scan(study, study.scans[0], "convert", "truncated file")
    names = {"preprocess": made.ANALYSIS["preprocess"]}
    done = read_json(study.record_path("preprocess", names, study.scans[1]))
    job = made.Job("preprocess", study, study.scans[1], names)
    job.files.update(done["files"])
    broad = {"fwhm_tcr_hz": 14.0, "fwhm_tcr_ppm": 0.11}
    job.finish("ok", None, None, {**done, **broad, "files": done["files"]})
    (root / "study.json").write_text(study.save_text())
    for analysis in ("main", "second"):
        assert main(["--study", str(root / "study.json"), analysis]) == 0
    assert main(["--study", str(root / "study.json"), "--multiverse"]) == 0
    return study


def table(study, name, folder="main/sites"):
    return read_table(study.results / folder / f"{name}.tsv")


def test_every_scan_stands_in_the_flow_with_its_reason(study):
    rows = {row["scan"]: row for row in table(study, "scans")}
    assert len(rows) == 9
    failed, excluded = (rows[study.scans[j].key] for j in (0, 1))
    assert (failed["status"], failed["reason"]) == ("failed", "truncated file")
    assert failed["failed_at"] == "convert"
    assert (excluded["status"], excluded["failed_at"]) == ("excluded", "sites")
    assert sum(row["status"] == "ok" for row in rows.values()) == 7


def test_excluded_scans_stand_in_the_tables_and_take_no_part(study):
    rows = [row for row in table(study, "responses") if row["unit"] == study.units()[1].key]
    assert rows and all(row["used"] == "false" for row in rows)
    assert all("14.0 Hz" in row["reason"] for row in rows)
    assert {row["n"] for row in table(study, "meta") if row["metabolite"] == "Glu"} == {"7"}


def test_problems_name_each_failure_and_exclusion_once(study):
    rows = [row for row in table(study, "problems") if row["kind"] in ("failed", "excluded")]
    assert [(row["item"], row["text"]) for row in rows] == [
        (study.scans[0].key, "truncated file"),
        (
            study.scans[1].key,
            "tCr FWHM 0.110 ppm (14.0 Hz) > 0.094 ppm (quality: max_fwhm_tcr_ppm)",
        ),
    ]


def test_a_scan_without_a_record_is_a_fault_that_is_named_where_it_began(study, tmp_path):
    """What the program or the machine failed has no record; the tables are made without it."""
    copy = tmp_path / "results"
    shutil.copytree(study.results, copy)
    lost = replace(study, config={**study.config, "results": str(copy)})
    for stage in ("fit", "quantify"):
        names = {name: made.ANALYSIS[name] for name in STAGE_SETTINGS[stage]}
        lost.record_path(stage, names, study.scans[2]).unlink()
    lost.record_path("response", made.ANALYSIS, study.units()[2]).unlink()
    (tmp_path / "study.json").write_text(lost.save_text())
    assert main(["--study", str(tmp_path / "study.json"), "main"]) == 0
    rows = {row["scan"]: row for row in table(lost, "scans")}
    assert (rows[study.scans[2].key]["status"], rows[study.scans[2].key]["failed_at"]) == (
        "fault",
        "fit",
    )
    found = [row["stage"] for row in table(lost, "problems") if row["kind"] == "fault"]
    assert found == ["fit"]
    assert read_json(copy / "main/sites/record.json")["scans"]["fault"] == 1


@pytest.mark.parametrize("what", ["care", "exclude"])
def test_a_scan_on_another_scale_gives_ratios_and_no_molal_value(study, tmp_path, what):
    """By default its values stay in the tables with the reason; or the scan is excluded."""
    copy = tmp_path / "results"
    shutil.copytree(study.results, copy)
    limits = {**study.config["quality"], "implausible": what}
    strange = replace(study, config={**study.config, "results": str(copy), "quality": limits})
    scan = study.scans[4]
    names = {name: made.ANALYSIS[name] for name in STAGE_SETTINGS["quantify"]}
    done = read_json(strange.record_path("quantify", names, scan))
    job = made.Job("quantify", strange, scan, names)
    job.files.update(done["files"])
    told = "tCr is 0.5 mmol/kg, a brain has 4 to 16"
    job.finish("ok", None, None, {**done, "implausible": [told], "molal_reason": told})
    (tmp_path / "study.json").write_text(strange.save_text())
    assert main(["--study", str(tmp_path / "study.json"), "main"]) == 0
    rows = [row for row in table(strange, "concentrations") if row["scan"] == scan.key]
    scaled = [row["quantity"] == "molal" for row in rows]
    assert {True, False} == set(scaled)
    for row, molal in zip(rows, scaled):
        assert (row["used"] == "true") is (what == "care" and not molal)
        assert (told in row["reason"]) is (molal or what == "exclude")
    (flow,) = (row for row in table(strange, "scans") if row["scan"] == scan.key)
    assert (flow["status"] == "excluded") is (what == "exclude")
    changes = [row for row in table(strange, "responses") if row["unit"].startswith(scan.key)]
    assert all((row["used"] == "true") is (what == "care") for row in changes)


@pytest.mark.parametrize("allowed", [False, True])
def test_two_rows_of_one_measurement_count_for_neither(study, tmp_path, allowed):
    """RDA and IMA of one scan under two people: other bytes, the same noise."""
    copy = tmp_path / "results"
    shutil.copytree(study.results, copy)
    config = {**study.config, "results": str(copy), "same_content": allowed}
    twice = replace(study, config=config)
    pair = study.scans[4:6]
    for scan in pair:
        done = read_json(twice.record_path("convert", {}, scan))
        job = made.Job("convert", twice, scan, {})
        job.files.update(done["files"])
        job.finish("ok", None, None, {**done, "fingerprint": [0.1 * n for n in range(48)]})
    (tmp_path / "study.json").write_text(twice.save_text())
    assert main(["--study", str(tmp_path / "study.json"), "main"]) == 0
    rows = {row["scan"]: row for row in table(twice, "scans")}
    told = compared(Results(twice), "main")
    for scan, other in zip(pair, pair[::-1]):
        row = rows[scan.key]
        assert (row["status"] == "excluded") is not allowed
        assert (f"the same measurement as {other.key}" in row["reason"]) is not allowed
        judged = verdict(read_scan(Results(twice), "main", scan, {}, True, told.get(scan.key, ())))
        assert (judged.kind == "excluded") is not allowed
    assert rows[study.scans[6].key]["status"] == "ok"


@pytest.mark.parametrize(("column", "names"), [("acq", "acq"), ("acq", "voi")])
def test_two_voxels_of_a_person_are_two_regions_by_the_column_that_names_them(
    tmp_path, column, names
):
    """As `acq` is the protocol by default, voxels that differ in it alone are one region, and that
    they lie 80 mm apart is told."""
    study = made.make_study(tmp_path, n_sites=2, n_subjects=2)
    scans = [replace(scan, **{column: side}) for scan in study.scans for side in ("left", "right")]
    sites = {key: rule["default"] for key, rule in schema("sites").items()}
    response = {key: rule["default"] for key, rule in schema("response").items()}
    own = {"sites": sites | {"estimator": "blocks", "bootstraps": 0, "region_column": names}}
    config = study.config | own | {"response": {"blocks": response}}
    study = replace(study, scans=tuple(scans), config=config)
    for seed, scan in enumerate(scans):
        made.write_scan(study, scan, seed, n_transients=32, picture=False)
        done = read_json(study.record_path("convert", {}, scan))
        job = made.Job("convert", study, scan, {})
        job.files.update(done["files"])
        centre = [-40.0 if getattr(scan, column) == "left" else 40.0, -60.0, 30.0]
        job.finish("ok", None, None, {**done, "voxel_centre_mm": centre})
    (tmp_path / "study.json").write_text(study.save_text())
    assert main(["--study", str(tmp_path / "study.json"), "main"]) == 0
    meta = table(study, "meta")
    apart = [row for row in table(study, "problems") if "80 mm apart" in row["text"]]
    main_region = read_json(study.results / "main/sites/record.json")["main"][-1]
    assert "nobody was measured twice" in table(study, "agreement")[0]["reason"]
    page = consortium_page(
        read_consortium(Results(study), "main", read_group(Results(study), "main"))
    )
    if column == names:
        assert {row["region"] for row in meta} == {"left", "right", "left-right"}
        assert {(row["n"], row["n_participants"]) for row in meta} == {("4", "4")}
        assert main_region == "left" and not apart
        assert "glutamate in left" in page and "than in right in the same people" in page
    else:
        assert {row["region"] for row in meta} == {"n/a"}
        assert {(row["n"], row["n_participants"]) for row in meta} == {("8", "4")}
        assert main_region == "" and len(apart) == 2
        assert "80 mm apart" in page


def test_every_table_has_a_data_dictionary_and_its_digest(study):
    folder = study.results / "main" / "sites"
    record = read_json(folder / "record.json")
    assert record["scans"] == {"ok": 7, "excluded": 1, "failed": 1, "fault": 0}
    for name, digest in record["files"].items():
        assert file_digest(folder / name) == digest
    for name in (name for name in record["files"] if name.endswith(".tsv")):
        columns = read_json((folder / name).with_suffix(".json"))
        assert list(columns) == list(TABLES[name.removesuffix(".tsv")])


def test_the_main_question_is_matched_glutamate_and_has_figures(study):
    folder = study.results / "main" / "sites"
    assert read_json(folder / "record.json")["main"][:4] == ["Glu", "blocks", True, "molal"]
    for name in ("forest", "caterpillar", "variance_shares", "specification", "power"):
        for kind in ("svg", "png"):
            assert (folder / "figures" / f"{name}.{kind}").stat().st_size > 1000


def test_a_second_call_gives_the_same_bytes(study, tmp_path):
    folder = study.results / "main" / "sites"

    def digests():
        # A record tells when it was written.
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path: file_digest(path) for path in files if path.name != "record.json"}

    before = digests()
    assert main(["--study", str(study.results.parent / "study.json"), "main"]) == 0
    assert before == digests() != {}


def test_multiverse_of_twin_analyses_finds_no_variance_of_the_choice(study):
    rows = {row["component"]: row for row in table(study, "choices", "multiverse")}
    assert float(rows["analysis"]["share_percent"]) == pytest.approx(0, abs=1e-3)
    lines = table(study, "specification", "multiverse")
    assert {line["analysis"] for line in lines} == {"main", "second"}
    assert {line["fit"] for line in lines} == {"spline"}


def test_analyses_are_tested_together_and_the_page_says_what_that_takes(study):
    by = {(row["flipped"], row["people"]): row for row in table(study, "joint_test", "multiverse")}
    persons, sites = by["persons", "all"], by["sites", "all"]
    assert (persons["n_analyses"], persons["n_persons"], persons["n_flips"]) == ("2", "7", "64")
    assert (sites["n_units"], sites["smallest_p"]) == ("3", "0.25")
    # Twin analyses are one, and of one the test is that of scipy.
    answer = read_json(study.results / "main/sites/record.json")["main"][:5]
    cells = [row for row in table(study, "responses") if row["used"] == "true"]
    names = ("metabolite", "estimator", "matched", "quantity", "contrast")
    asked = [str(one).replace("True", "true") for one in answer]
    own = [float(row["change_percent"]) for row in cells if [row[n] for n in names] == asked]
    theirs = permutation_test((own,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert float(persons["p_median"]) == pytest.approx(theirs.pvalue, rel=1e-5)
    assert table(study, "deviations", "multiverse") == []
    page = page_of(study)
    assert "The main answers of 2 analyses together, each counting the same" in page
    assert f"p is {theirs.pvalue:.3g} (all 64 patterns of signs)" in page
    assert "no p can be below 0.25: too few flip apart" in page
    assert "What was registered before" not in page


def test_combat_stands_beside_the_answer_with_what_it_hides(study):
    rows = {row["metabolite"]: row for row in table(study, "combat")}
    assert set(rows) == {"Glu", "Gln", "tNAA", "tCr"}
    meta = next(row for row in table(study, "meta") if row["role"] == "main")
    for name in ("change_percent", "low_percent", "high_percent", "tau_percent"):
        assert rows["Glu"][name] == meta[name]
    assert "What ComBat would say, and hide" in page_of(study)


def page_of(study) -> str:
    """The page of the consortium."""
    results = Results(study)
    return consortium_page(read_consortium(results, "main", read_group(results, "main")))


def test_the_run_is_checked_against_what_was_registered(study, tmp_path):
    copy = tmp_path / "results"
    shutil.copytree(study.results, copy)
    plan = {key: one for key, one in study.config.items() if one is not None}
    plan |= {
        "version": "0.1.0",
        "contrast": "late-rest",
        "covariates": ["age"],
        "weights": {"main": 3},
        "quality": {**plan["quality"], "min_snr_tcr": 12.5},
        "analyses": {"main": made.ANALYSIS, "third": made.ANALYSIS},
    }
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    problems: list[str] = []
    registered = read_plan(str(tmp_path / "plan.yaml"), problems)
    assert not problems
    own = replace(study, config={**study.config, "results": str(copy)}, preregistration=registered)
    (tmp_path / "study.json").write_text(own.save_text())
    assert main(["--study", str(tmp_path / "study.json"), "--multiverse"]) == 0
    rows = table(own, "deviations", "multiverse")
    assert [(row["kind"], row["analysis"], row["what"]) for row in rows] == [
        ("exclusion", "n/a", "quality: min_snr_tcr"),
        ("covariates", "n/a", "covariates"),
        ("analysis", "third", "analysis"),
        ("analysis", "second", "analysis"),
        ("answer", "main", "contrast"),
    ]
    digest = file_digest(tmp_path / "plan.yaml")
    record = read_json(copy / "multiverse/record.json")
    assert record["preregistration"] == {"file": "plan.yaml", "sha256": digest}
    (joint, _) = table(own, "joint_test", "multiverse")
    assert joint["n_analyses"] == "1"
    described = {row["analysis"]: row for row in table(own, "analyses", "multiverse")}
    assert described["second"]["reason"] == "not registered"
    lines = table(own, "specification", "multiverse")
    weights = {(row["analysis"], row["main"]): row["weight_percent"] for row in lines}
    assert weights["main", "true"] == "100" and weights["second", "true"] == "0"
    assert weights["main", "false"] == "n/a"
    page = page_of(own)
    assert f"plan.yaml (SHA-256 {digest[:12]}...): 5 deviations" in page and digest in page
    assert "quality: min_snr_tcr" in page and "12.5" in page
    assert "weighing what the preregistration says" in page


def test_plan_takes_its_sds_from_the_study(study, capsys, tmp_path):
    path = str(study.results.parent / "study.json")
    arguments = ["--study", path, "--sites", "4,12", "--participants", "8"]
    assert plan([*arguments, "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    row = table(study, "power")[0]
    assert f"SD between sites {float(row['sd_site_percent']):.2f} %" in printed
    assert len(read_table(tmp_path / "plan.tsv")) == 2
    assert (tmp_path / "plan.svg").exists()


def test_plan_without_any_sd_reads_the_study_or_says_that_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="results/study.json is not there"):
        plan([])
    with pytest.raises(DataError, match="is not there"):
        plan(["--sd-site", "1"])


def test_plan_of_designs_counts_with_the_spread_of_the_study(study, capsys, tmp_path):
    path = str(study.results.parent / "study.json")
    arguments = ["--study", path, "--field", "3", "--tr", "2", "--block", "64", "--minutes", "10"]
    assert plan([*arguments, "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    row = table(study, "power")[0]
    assert "A change of 3 %" in printed or "No number of people" in printed
    assert float(row["sd_site_percent"]) >= 0
    assert len(read_table(tmp_path / "designs.tsv")) == 1

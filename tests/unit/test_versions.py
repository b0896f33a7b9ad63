"""Records of two versions are told apart by code, settings and libraries, not by the commit."""

from __future__ import annotations

from dataclasses import replace

import pytest

import report_fixture as made
from fmrsflow.files import write_bytes
from fmrsflow.results import Results, read_record, record_bytes
from fmrsflow.stages.sites import Reader
from fmrsflow.stages.verify import made_by_two_versions
from fmrsflow.versions import differences

SOFTWARE = {
    "Name": "fmrsflow",
    "Version": "0.1.0",
    "Commit": "abc",
    "CodeDigest": "1",
    "Stages": {"fit": "f1", "quantify": "q1", "preprocess": "p1"},
    "Dependencies": {"numpy": "2.4.6", "snakemake": "9.1"},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two scans with every record."""
    study = made.make_study(tmp_path_factory.mktemp("versions"), n_sites=1, n_subjects=2)
    study = replace(study, software=SOFTWARE)
    for seed, scan in enumerate(study.scans):
        made.write_scan(study, scan, seed, n_transients=32)
    return study


def record_of(study, stage="fit"):
    return read_record(study.record_path(stage, made.ANALYSIS, study.scans[0]))


def with_software(study, **changes):
    return replace(study, software=SOFTWARE | changes)


def test_a_record_names_the_code_of_its_stage_and_no_other(study):
    (made_by,) = record_of(study)["GeneratedBy"]
    assert made_by["StageDigest"] == "f1" and "Stages" not in made_by


def test_another_commit_snakemake_or_code_of_another_stage_is_no_difference(study):
    other = with_software(
        study,
        Commit="def-dirty",
        CodeDigest="2",
        Version="0.2.0",
        Stages=SOFTWARE["Stages"] | {"response": "r9"},
        Dependencies={"numpy": "2.4.6", "snakemake": "9.9"},
    )
    assert differences(record_of(study), other, "fit", made.ANALYSIS) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Dependencies": {"numpy": "2.4.9"}}, "numpy 2.4.6, study.json says 2.4.9"),
        ({"Stages": {"fit": "f2"}}, "code of fit f1, study.json says f2"),
        ({"Name": "otherfit"}, "program fmrsflow, study.json says otherfit"),
    ],
)
def test_other_libraries_code_and_programs_are_told(study, changes, told):
    other = with_software(study, **changes)
    assert differences(record_of(study), other, "fit", made.ANALYSIS) == [told]


def test_another_setting_is_told(study):
    setting = study.config["fit"]["spline"] | {"range_low_ppm": 0.5}
    other = replace(study, config={**study.config, "fit": {"spline": setting}})
    told = differences(record_of(study), other, "fit", made.ANALYSIS)
    assert told == ["fit: range_low_ppm 0.2, study.json says 0.5"]
    assert differences(record_of(study, "preprocess"), other, "preprocess", made.ANALYSIS) == []


def test_verify_and_the_table_of_problems_say_which_and_what_to_rerun(study):
    assert [row for row in Reader(Results(study), made.ANALYSIS).problems()
            if row["kind"] == "versions"] == []  # fmt: skip
    newer = with_software(study, Dependencies={"numpy": "2.4.9"})
    # One of the two scans was made again since.
    path = study.record_path("fit", made.ANALYSIS, study.scans[1])
    record = read_record(path)
    record["GeneratedBy"][0]["Dependencies"] = {"numpy": "2.4.9"}
    write_bytes(path, record_bytes(record))
    text = (
        "made by two versions: 1 of 2 records of fit by numpy 2.4.6, study.json says 2.4.9; run "
        "again with --forcerun fit"
    )
    told = dict(made_by_two_versions(study.results, newer))
    assert told[str(study.results / "fit-robust-simulated-spline")] == text
    rows = [row for row in Reader(Results(newer), made.ANALYSIS).problems()
            if (row["kind"], row["stage"]) == ("versions", "fit")]  # fmt: skip
    assert [row["text"] for row in rows] == [text]

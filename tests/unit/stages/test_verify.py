"""`fmrsflow verify`: silent on what is as it was made, and every change by name."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

import report_fixture as made
from fmrsflow.bundles import WITHHELD
from fmrsflow.cli import main as fmrsflow
from fmrsflow.edge import Job
from fmrsflow.files import file_digest, read_json, write_bytes
from fmrsflow.results import record_bytes
from fmrsflow.stages.verify import changes, expected_records, main
from fmrsflow.study import STAGE_SETTINGS, Study


@pytest.fixture
def study(tmp_path):
    """Every record of a run of one scan, and a source; the data lie beside the results."""
    made_study = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    config = {**made_study.config, "results": "results", "data_root": "data"}
    (scan,) = made_study.scans
    write_bytes(made_study.data_root / scan.mrs, b"source")
    made.write_scan(made_study, scan, 1, n_transients=16, picture=False)
    record_path = made_study.record_path("convert", {}, scan)
    record = read_json(record_path)
    record["sources"] = {scan.mrs: file_digest(made_study.data_root / scan.mrs)}
    write_bytes(record_path, record_bytes(record))
    site = made_study.site(scan)
    for stage, item in (("anatomy", scan), ("segment", scan), ("basis", site)):
        names = {one: made.ANALYSIS[one] for one in STAGE_SETTINGS[stage]}
        Job(stage, made_study, item, names).finish("ok", None, None, {})
    relative = replace(made_study, config=config)
    for name in expected_records(relative):  # of stages that the fixture does not play
        if not (made_study.results / name).exists():
            content = record_bytes({"stage": "other", "files": {}})
            write_bytes(made_study.results / name, content)
    write_bytes(made_study.results / "study.json", relative.save_text().encode())
    return made_study


def found(study) -> list[tuple[str, str]]:
    """Changes, with paths below the study's folder."""
    root = study.results.parent
    frozen = Study.load(study.results / "study.json")
    return sorted(
        (os.path.relpath(path, root), what) for path, what in changes(study.results, frozen)
    )


def test_nothing_is_told_of_results_as_they_were_made(study, capsys):
    assert found(study) == []
    assert main([str(study.results)]) == 0
    assert capsys.readouterr().out.endswith("12 records, 0 changes\n")


def test_one_changed_byte_of_an_output_is_told(study, capsys):
    table = next(study.results.rglob("*_desc-fit_timecourse.tsv"))
    table.write_bytes(table.read_bytes().replace(b"1", b"2", 1))
    name = str(table.relative_to(study.results.parent))
    assert (name, "changed since fit recorded it") in found(study)
    assert main([str(study.results)]) == 1
    assert str(table) in capsys.readouterr().out


def test_a_lost_output_is_told(study):
    table = next(study.results.rglob("*_desc-response_change.tsv"))
    table.unlink()
    name = str(table.relative_to(study.results.parent))
    assert (name, "missing since response recorded it") in found(study)


def test_a_changed_and_a_lost_source_are_told(study):
    (scan,) = study.scans
    source = study.data_root / scan.mrs
    source.write_bytes(b"Source")
    assert found(study) == [(f"data/{scan.mrs}", "source changed since convert read it")]
    source.unlink()
    assert found(study) == [(f"data/{scan.mrs}", "source is no longer there")]


def test_an_output_remade_after_the_stage_that_used_it_is_told(study):
    """The later record names the digest of what it read."""
    (scan,) = study.scans
    names = study.config["analyses"]["main"]
    fit = study.record_path(
        "fit", {key: names[key] for key in ("preprocess", "basis", "fit")}, scan
    )
    record = read_json(fit)
    source = next(study.results.rglob("*_desc-preprocess_average.nii.gz"))
    record["inputs"] = {str(source.relative_to(study.results)): "0" * 64}
    write_bytes(fit, record_bytes(record))
    name = str(source.relative_to(study.results.parent))
    assert found(study) == [(name, "changed since fit recorded it")]


def test_an_edited_record_is_told(study):
    record_path = study.record_path("convert", {}, study.scans[0])
    text = record_path.read_text()
    name = str(record_path.relative_to(study.results.parent))
    for damaged in (text.replace('"ok"', '"no"', 1), text[:-20]):
        assert damaged != text
        record_path.write_text(damaged)
        assert found(study) == [(name, "damaged or edited since it was written")]


def test_results_that_are_not_there_are_told_in_a_line(tmp_path, capsys):
    assert fmrsflow(["verify", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fmrsflow verify: ") and "study.json is not there" in line


def test_results_elsewhere_are_verified_from_anywhere(study, tmp_path, monkeypatch, capsys):
    """Data and results are found from the folder that is named, not from that of the shell."""
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("results", "data"):
        (tmp_path / name).rename(moved / name)
    (tmp_path / "empty").mkdir()
    for here, name in (("empty", "../moved/results"), ("moved", "results"), ("moved/results", ".")):
        monkeypatch.chdir(tmp_path / here)
        assert main([name]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        "convert/siteA/sub-01/mrs/sub-01_task-visual_desc-convert_record.json",
        "fit-robust-simulated-spline/siteA/sub-01/mrs/sub-01_task-visual_desc-fit_record.json",
        "basis-simulated/siteA_desc-basis_record.json",
        "main/sites/record.json",
        "multiverse/record.json",
    ],
)
def test_a_deleted_record_is_told(study, name):
    (study.results / name).unlink()
    wanted = (f"results/{name}", "record is missing: deleted, or the run did not come to it")
    assert wanted in found(study)


def test_what_stayed_at_the_sites_of_a_merged_study_is_not_missed(study, capsys):
    """And the results say so; everything else is checked as ever."""
    frozen = Study.load(study.results / "study.json")
    merged = replace(frozen, config={**frozen.config, "data_root": WITHHELD})
    (study.results / "study.json").write_text(merged.save_text())
    (study.data_root / study.scans[0].mrs).unlink()
    (study.results / "basis-simulated" / "siteA_desc-basis_record.json").unlink()
    assert main([str(study.results)]) == 0
    assert "stayed at the sites is not checked here" in capsys.readouterr().out
    table = next(study.results.rglob("*_desc-response_change.tsv"))
    table.unlink()
    assert main([str(study.results)]) == 1

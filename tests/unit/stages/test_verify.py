"""`fmrsflow verify`: silent on what is as it was made, and every change by name."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

import report_fixture as made
from fmrsflow.cli import main as fmrsflow
from fmrsflow.edge import read_json, write_bytes, write_record
from fmrsflow.records import file_digest
from fmrsflow.stages.verify import changes, main


@pytest.fixture
def study(tmp_path):
    """One scan with records of two stages, the second standing on the first, and a source."""
    made_study = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    (scan,) = made_study.scans
    write_bytes(made_study.data_root / scan.mrs, b"source")
    made.write_scan(made_study, scan, 1, n_transients=16, picture=False)
    record_path = made_study.record_path("convert", {}, scan)
    record = read_json(record_path)
    record["sources"] = {scan.mrs: file_digest(made_study.data_root / scan.mrs)}
    write_record(record_path, record)
    write_bytes(made_study.results / "study.json", made_study.save_text().encode())
    return made_study


def found(study) -> list[tuple[str, str]]:
    """Changes, with paths below the study's folder."""
    root = study.results.parent
    return sorted(
        (os.path.relpath(path, root), what) for path, what in changes(study.results, study)
    )


def test_nothing_is_told_of_results_as_they_were_made(study, capsys):
    assert found(study) == []
    assert main([str(study.results)]) == 0
    assert capsys.readouterr().out.endswith("5 records, 0 changes\n")


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
    write_record(fit, record)
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


def test_a_withheld_source_of_a_merged_study_is_no_path_out(study, tmp_path):
    """Results of a bundle have no sources here: verify says so and reads nothing else."""
    elsewhere = replace(study, config={**study.config, "data_root": str(tmp_path / "none")})
    (scan,) = study.scans
    assert [what for _, what in changes(study.results, elsewhere)] == ["source is no longer there"]

"""Records, tables, atomic writing, failures that stay small."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.batch import faults, run_jobs, stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.files import read_json, write_bytes
from fmrsflow.study import Scan, Site, Study
from fmrsflow.tables import integer, number, read_table, text, write_table

NUMBERS = {"a": number("number", "Hz"), "b": text("x")}


@pytest.fixture
def study(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.rda").write_text("x")
    (tmp_path / "secret").write_text("x")
    site = Site("A", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own")
    scans = tuple(Scan("A", subject, "x.rda") for subject in ("01", "02", "03"))
    config = {"results": str(tmp_path / "results"), "data_root": str(tmp_path / "data")}
    config["preprocess"] = {"robust": {"range": 1}}
    return Study(config, {"A": site}, scans)


def jobs(study, stage="convert", names=None):
    return [Job(stage, study, scan, names or {}) for scan in study.scans]


def records(study, stage="convert", names=None):
    return [read_json(study.record_path(stage, names or {}, scan)) for scan in study.scans]


def test_one_bad_scan_never_stops_the_others(study):
    def process(job):
        if job.scan.subject == "02":
            raise DataError("x.rda: truncated; export it again")
        return {"value": 1}

    assert not faults(run_jobs(jobs(study), process))
    assert [one["status"] for one in records(study)] == ["ok", "failed", "ok"]
    assert records(study)[1]["reason"] == "sub-02_mrs.rda: truncated; export it again"


def test_a_fault_of_the_program_fails_the_job_loudly_after_the_others(study, capsys):
    def process(job):
        return {"value": 1 // (job.scan.subject != "01")}

    assert faults(run_jobs(jobs(study), process))
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert study.record_path("convert", {}, study.scans[1]).exists()
    assert not study.record_path("convert", {}, study.scans[0]).exists()


def test_a_failure_travels_to_later_stages(study):
    def convert(job):
        if job.scan.subject == "01":
            raise DataError("no water")
        return {}

    run_jobs(jobs(study), convert)
    names = {"preprocess": "robust"}
    run_jobs(
        jobs(study, "preprocess", names), lambda job: dict(seen=job.record("convert")["status"])
    )
    first, _, third = records(study, "preprocess", names)
    assert (first["status"], first["reason"], first["failed_at"]) == (
        "failed",
        "sub-01_mrs.rda: no water",
        "convert",
    )
    assert third["status"] == "ok"
    assert third["settings"] == {"preprocess": {"name": "robust", "range": 1}}


def test_outputs_of_every_kind_can_be_read_by_the_next_stage(study, monkeypatch):
    monkeypatch.setattr("fmrsflow.results.columns_of", lambda stage, table: NUMBERS)
    fids = Fids(np.ones((2, 1, 8), complex), 1e-3, 123.0)

    def convert(job):
        job.save("svs", fids)
        job.save("numbers", [{"a": 1.23456789, "b": None}], NUMBERS)
        job.save("result", {"x": np.arange(3)})
        return {}

    run_jobs(jobs(study), convert)
    job = jobs(study, "preprocess", {"preprocess": "robust"})[0]
    assert job.fids("convert", "svs").data.shape == (2, 1, 8)
    assert job.table("convert", "numbers") == [{"a": 1.23457, "b": ""}]
    assert list(job.arrays("convert", "result")["x"]) == [0, 1, 2]
    assert len(job.inputs) == 4  # the record among them
    dictionary = read_json(study.path("convert", study.scans[0], "desc-convert_numbers.json"))
    assert dictionary["a"] == {"Description": "number", "Units": "Hz"}


def test_the_same_content_gives_the_same_bytes(study):
    def convert(job):
        job.save("svs", Fids(np.ones((2, 1, 8), complex), 1e-3, 123.0))
        job.save("result", {"x": np.arange(3.0)})
        return {}

    run_jobs(jobs(study), convert)
    before = [record["files"] for record in records(study)]
    run_jobs(jobs(study), convert)
    assert [record["files"] for record in records(study)] == before


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "link"])
def test_no_path_leads_out_of_the_data_root(study, name, tmp_path):
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    job = Job("convert", study, Scan("A", "01", name), {})
    with pytest.raises(DataError, match="leads out of the data root"):
        job.source("mrs")


@pytest.mark.parametrize("target", ["secret", "elsewhere"])
def test_no_member_of_a_folder_leads_out_of_the_data_root(study, tmp_path, target):
    """A file or a folder, told by its number: a DICOM file's name may be the person's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "dicom").mkdir()
    (tmp_path / "data" / "dicom" / "1.dcm").write_text("x")
    (tmp_path / "data" / "dicom" / "DOE_JANE.dcm").symlink_to(tmp_path / target)
    job = Job("convert", study, Scan("A", "01", "dicom"), {})
    with pytest.raises(
        DataError, match="dicom .*file 2 of the folder .* out of the data root"
    ) as e:
        job.source("mrs")
    assert "DOE" not in str(e.value)
    assert job.sources == {}


def test_no_file_beside_leads_out_of_the_data_root(study, tmp_path):
    (tmp_path / "data" / "x.par").symlink_to(tmp_path / "secret")
    job = Job("convert", study, study.scans[0], {})
    with pytest.raises(DataError, match=r"x\.par is a link that leads out of the data root"):
        job.beside(job.source("mrs").with_name("x.par"))
    assert "x.par" not in job.sources


def test_a_link_within_the_data_root_is_followed(study, tmp_path):
    (tmp_path / "data" / "dicom").mkdir()
    (tmp_path / "data" / "dicom" / "1.dcm").symlink_to(tmp_path / "data" / "x.rda")
    job = Job("convert", study, Scan("A", "01", "dicom"), {})
    job.source("mrs")
    assert list(job.sources) == ["dicom/1.dcm"]


def test_an_absent_file_is_named(study):
    with pytest.raises(DataError, match=r"y\.rda is not there"):
        Job("convert", study, Scan("A", "01", "y.rda"), {}).source("mrs")


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("what", ["record.json", "svs.nii.gz"])
def test_a_damaged_file_of_an_earlier_stage_is_a_fault_that_says_what_to_delete(study, what):
    def convert(job):
        job.save("svs", Fids(np.ones((2, 1, 8), complex), 1e-3, 123.0))
        return {"te_s": 0.03}

    run_jobs(jobs(study), convert)
    damage(study.path("convert", study.scans[0], f"desc-convert_{what}"))
    names = {"preprocess": "robust"}
    later = jobs(study, "preprocess", names)
    found = run_jobs(later, lambda job: {"n": job.fids("convert", "svs").n_transients})
    assert [found[scan.key].status for scan in study.scans] == ["fault", "ok", "ok"]
    reason = faults(found)[study.scans[0].key]
    assert f"desc-convert_{what}" in reason
    assert "convert_record.json" in reason and "run again" in reason


def test_a_lost_file_of_an_earlier_stage_is_a_fault_of_the_scan(study):
    """No property of its data, so that no record says that they cannot be processed."""
    run_jobs(jobs(study), lambda job: job.save("x", [{"a": 1}]) and {})
    study.path("convert", study.scans[0], "desc-convert_x.tsv").unlink()
    names = {"preprocess": "robust"}
    later = jobs(study, "preprocess", names)
    found = faults(run_jobs(later, lambda job: job.earlier("convert").content("x.tsv") and {}))
    assert list(found) == [study.scans[0].key]
    assert "desc-convert_x.tsv is missing" in found[study.scans[0].key]
    assert not study.record_path("preprocess", names, study.scans[0]).exists()
    assert study.record_path("preprocess", names, study.scans[1]).exists()


def test_every_source_that_is_read_stands_in_the_record(study, tmp_path):
    (tmp_path / "data" / "x.par").write_text("header")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"

    def convert(job):
        job.beside(job.source("mrs").with_name("x.par"))
        return {}

    run_jobs(jobs(study), convert)
    called = f"{study.scans[0].stem}_mrs"
    assert list(records(study)[0]["sources"]) == [f"{called}.rda", f"{called}.par"]
    assert records(study)[0]["sources"][f"{called}.rda"] == digest


@pytest.mark.parametrize("reads", [True, False])
def test_an_input_replaced_while_it_is_read_leaves_no_record(study, capsys, reads):
    """A record would be newer than the input, and the next run would find nothing to do."""

    def convert(job):
        path = job.source("mrs")
        if job.scan.subject == "01":
            path.write_text("another measurement")
            if not reads:
                raise DataError("x.rda: truncated")
        return {}

    assert faults(run_jobs(jobs(study), convert))
    assert "_mrs.rda was changed while it was read; run again" in capsys.readouterr().err
    assert not study.record_path("convert", {}, study.scans[0]).exists()
    assert study.record_path("convert", {}, study.scans[1]).exists()


def test_an_input_replaced_before_its_batch_ends_leaves_no_record(study, capsys):
    """Snakemake dates all records of a batch at its end."""
    sources = {}

    def convert(job):
        path = job.source("mrs")
        if job.scan.subject == "03":
            sources["01"].write_text("another measurement")
        sources[job.scan.subject] = path
        return {}

    scans = tuple(replace(scan, mrs=f"{scan.subject}.rda") for scan in study.scans)
    for scan in scans:
        (study.data_root / scan.mrs).write_text("x")
    one_each = replace(study, scans=scans)
    assert faults(run_jobs(jobs(one_each), convert))
    assert "A/sub-01: convert: sub-01_mrs.rda was changed" in capsys.readouterr().err
    written = [study.record_path("convert", {}, scan).exists() for scan in scans]
    assert written == [False, True, True]


def test_a_touched_input_is_the_same_input(study):
    def convert(job):
        job.source("mrs").touch()
        return {}

    assert not faults(run_jobs(jobs(study), convert))


def test_a_scan_that_fails_now_keeps_no_table_of_an_earlier_run(study):
    run_jobs(jobs(study), lambda job: job.save("x", [{"a": 1}], {"a": integer("x")}) and {})
    table = study.path("convert", study.scans[0], "desc-convert_x.tsv")
    other = study.path("convert", study.scans[0], "desc-segment_GM.nii.gz")
    other.write_bytes(b"of another stage")
    assert table.exists()

    def fails(job):
        raise DataError("damaged")

    run_jobs(jobs(study), fails)
    assert not table.exists() and not table.with_suffix(".json").exists()
    assert other.exists()


def test_events_without_a_duration_are_told_with_their_line(study, tmp_path):
    (tmp_path / "data" / "e.tsv").write_text("onset\tduration\ttrial_type\n0\tn/a\ttask\n")
    job = Job("preprocess", study, Scan("A", "01", "x.rda", events="e.tsv"), {})
    with pytest.raises(DataError, match=r"e\.tsv line 2: no duration"):
        job.events()


def test_a_table_with_a_short_row_is_told_with_its_line(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tb\n1\t2\n1\n")
    with pytest.raises(DataError, match=r"line 3 has 1 cells where the header has 2"):
        read_table(tmp_path / "t.tsv")


def test_a_column_without_description_is_a_fault(tmp_path):
    with pytest.raises(ValueError, match="without description"):
        write_table(tmp_path / "t.tsv", [{"a": 1, "b": 2}], {"a": integer("x")})


def test_numbers_that_json_does_not_know_become_null(study):
    run_jobs(jobs(study), lambda job: {"value": float("nan"), "list": np.array([1.0, np.inf])})
    assert records(study)[0]["value"] is None
    assert records(study)[0]["list"] == [1.0, None]


def test_nothing_is_written_half(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_bytes(path, b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_told_in_a_line_and_leaves_no_record(study, monkeypatch, capsys):
    real = os.replace

    def full(source, target):
        if "sub-02" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr("os.replace", full)
    assert faults(run_jobs(jobs(study), lambda job: {"value": 1}))
    told = capsys.readouterr().err
    assert "No space left on device" in told and "run the same command again" in told
    assert "Traceback" not in told
    written = [study.record_path("convert", {}, scan).exists() for scan in study.scans]
    assert written == [True, False, True]


def test_a_stage_is_a_command(study, tmp_path):
    frozen = tmp_path / "study.json"
    frozen.write_text(study.save_text())
    main = stage_main("preprocess", lambda job: {"name": job.names["preprocess"]})
    # Without a record of convert nothing is read here, so the stage runs by itself.
    assert main(["--study", str(frozen), "robust", "A/sub-01", "A/sub-03"]) == 0
    path = study.record_path("preprocess", {"preprocess": "robust"}, study.scans[2])
    assert json.loads(path.read_text())["name"] == "robust"

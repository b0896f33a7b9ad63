"""Names of a site's files are in no output: what outputs call the files, and that it leads back."""

from __future__ import annotations

import sys

import pytest

import report_fixture as made
from fmrsflow.batch import run_jobs
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.files import read_json, write_bytes
from fmrsflow.source_names import Said, SourcePaths, column_of, source_name
from fmrsflow.study import Scan, Study

SCAN = Scan(
    "siteA",
    "01",
    "wards/Jane_Doe/Jane_Doe_rest.SDAT",
    task="visual",
    ref="wards/Jane_Doe/water.Doe",
    t1w="DOE_JANE",
    events="wards/Jane_Doe/events.tsv",
)


@pytest.fixture
def study(tmp_path):
    """One scan of files that bear a name, a folder of DICOM files among them."""
    planned = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    names = (SCAN.mrs, SCAN.mrs.replace("SDAT", "SPAR"), SCAN.ref, SCAN.events)
    for name in (*names, "DOE_JANE/b/DOE.1.ima", "DOE_JANE/a.ima"):
        write_bytes(planned.data_root / name, name.encode())
    return Study(planned.config, planned.sites, (SCAN,), (), {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wards/Jane_Doe/Jane_Doe_rest.SDAT is short", "sub-01_task-visual_mrs.SDAT is short"),
        ("Jane_Doe_rest.SPAR: no key", "sub-01_task-visual_mrs.SPAR: no key"),
        ("Jane_Doe_rest.doe", "sub-01_task-visual_mrs"),
        ("'{root}/wards/Jane_Doe/water.Doe'", "'sub-01_task-visual_ref'"),
        ("{root}/wards/Jane_Doe/other.txt is odd", "a file of the data is odd"),
        ("DOE_JANE cannot be read", "sub-01_task-visual_t1w cannot be read"),
        ("[Errno 5] DOE_JANE/b/x.ima", "[Errno 5] sub-01_task-visual_t1w"),
        ("a.ima has no pixels", "sub-01_task-visual_t1w/1 has no pixels"),
        ("condition rest of visual has 3 transients in water",) * 2,
        ("fit-x/siteA/sub-01/mrs/sub-01_task-visual_desc-fit_joint.tsv is missing",) * 2,
    ],
)
def test_names_leave_what_is_said(study, text, said):
    job = Job("segment", study, SCAN, {})
    job.source("t1w")
    assert job.said(text.format(root=study.data_root)) == said


def test_what_a_file_is_called_leads_back_to_it(study):
    paths = SourcePaths(study, study.data_root)
    job = Job("convert", study, SCAN, {})
    job.beside(job.source("mrs").with_suffix(".SPAR"))
    for column in ("ref", "t1w", "events"):
        job.source(column)
    assert len(job.sources) == 6
    for name in job.sources:
        called = job.said.name(name)
        assert "doe" not in called.lower()
        assert paths("siteA", called) == study.data_root / name
    assert paths("siteA", "designs/x.tsv") == study.data_root / "designs/x.tsv"
    assert not paths("siteA", "sub-01_task-visual_t1w/3").exists()


def test_the_column_of_a_file_is_known_by_what_it_is_called():
    spar = source_name([SCAN], SCAN.mrs.replace("SDAT", "SPAR"))
    assert (spar, column_of([SCAN], spar)) == ("sub-01_task-visual_mrs.SPAR", None)
    assert column_of([SCAN], source_name([SCAN], SCAN.mrs)) == "mrs"
    assert column_of([SCAN], "sub-01_task-visual_t1w/2") == "t1w"
    assert source_name([SCAN], "designs/sub-01.tsv") == "designs/sub-01.tsv"


def test_records_manifests_reasons_and_logs_hold_no_name(study, capsys):
    """Of a failure, a warning, an error of the machine and a fault of the program."""

    def failing(job):
        path = job.source("mrs")
        print(f"reading {path}", file=sys.stderr)
        job.warn(f"{path.name} is odd")
        raise DataError(f"{job.scan.mrs} is bad")

    def faulty(job):
        raise OSError(5, "no answer", str(job.source("mrs")))

    def wrong(job):
        raise RuntimeError(f"nothing in {job.source('ref')}")

    for process in (failing, faulty, wrong):
        (entry,) = run_jobs([Job("convert", study, SCAN, {})], process).values()
        assert "Doe" not in (entry.reason or "")
        if process is failing:
            record = read_json(study.record_path("convert", {}, SCAN))
            assert record["reason"] == "sub-01_task-visual_mrs.SDAT is bad"
            assert record["warnings"] == ["sub-01_task-visual_mrs.SDAT is odd"]
            assert list(record["sources"]) == ["sub-01_task-visual_mrs.SDAT"]
    log = capsys.readouterr().err
    assert "Doe" not in log and "nothing in sub-01_task-visual_ref" in log
    assert "reading sub-01_task-visual_mrs.SDAT" in log


def test_a_file_is_called_after_its_own_column_where_two_differ_in_the_ending(study):
    scan = Scan("siteA", "01", "x.nii", ref="x.nii.gz")
    assert [source_name([scan], name) for name in ("x.nii", "x.nii.gz")] == [
        "sub-01_mrs.nii",
        "sub-01_ref.nii.gz",
    ]
    assert Said(study, [scan])("x.nii.gz and x.nii") == "sub-01_ref.nii.gz and sub-01_mrs.nii"

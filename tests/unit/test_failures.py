"""A basis that failed stands everywhere that failures stand; what is out of reach is no content."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

import report_fixture as made
from fmrsflow.batch import run_jobs
from fmrsflow.edge import Job
from fmrsflow.errors import Unreachable
from fmrsflow.manifests import Manifest
from fmrsflow.report.group_pages import flow
from fmrsflow.report.read import read_group
from fmrsflow.results import Results
from fmrsflow.stages import sites, summary
from fmrsflow.study import STAGE_SETTINGS, Scan, Site, Study
from fmrsflow.tables import read_table

REASON = "no basis at siteB.basis: neither a file nor a folder is there"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two sites with two scans each; the basis of the second failed."""
    root = tmp_path_factory.mktemp("run")
    study = made.make_study(root, n_sites=2, n_subjects=2)
    for number, scan in enumerate(study.scans):
        made.write_scan(study, scan, number)
    for scan in study.scans[2:]:
        for stage in ("fit", "quantify", "response"):
            item = study.units()[study.scans.index(scan)] if stage == "response" else scan
            names = {name: made.ANALYSIS[name] for name in STAGE_SETTINGS[stage]}
            Job(stage, study, item, names).finish("failed", REASON, "basis", {})
    for name, site in study.sites.items():
        status = ("failed", REASON, "basis") if name == "siteB" else ("ok", None, None)
        Job("basis", study, site, {"basis": made.ANALYSIS["basis"]}).finish(*status, {})
    (root / "study.json").write_text(study.save_text())
    assert sites.main(["--study", str(root / "study.json"), "main"]) == 0
    return study


def test_problems_name_the_site_once(study):
    rows = read_table(study.results / "main" / "sites" / "problems.tsv")
    found = [(row["site"], row["item"], row["text"]) for row in rows if row["stage"] == "basis"]
    assert found == [("siteB", "siteB", REASON)]


def test_the_summary_counts_it(study):
    found = {one.stage: one for one in summary.progress(study, 0.0)}
    assert (found["basis"].done, found["basis"].total) == (2, 2)
    assert found["basis"].failed == {REASON: ["siteB"]}
    assert f"  siteB: basis: {REASON}" in summary.text(study, list(found.values()), 1.0).split("\n")


def test_its_scans_are_not_counted_in_the_group_statistics(study):
    group = [one for own in read_group(Results(study), "main").scans.values() for one in own]
    steps = {step["name"]: step for step in flow(group)}
    assert (steps["Preprocessed"]["scans"], steps["Fitted"]["scans"]) == (4, 2)
    assert [lost["why"] for lost in steps["Fitted"]["lost"]] == [f"basis: {REASON}"]
    assert steps["In the group statistics"]["scans"] == 2


@pytest.fixture
def job():
    """A scan of a file that anybody may read, outside of folders that only root may enter."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "data" / "dicom").mkdir(parents=True)
        (root / "data" / "x.rda").write_text("x")
        (root / "data" / "dicom" / "DOE_JANE.dcm").write_text("x")
        config = {"results": str(root / "results"), "data_root": str(root / "data")}
        site = Site("A", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own")
        scan = Scan("A", "01", "x.rda")
        yield Job("convert", Study(config, {"A": site}, (scan,)), scan, {})


def reads(job: Job, name: str) -> str:
    """What is said of a file that is out of reach."""
    job = replace(job, item=replace(job.item, mrs=name))
    with pytest.raises(Unreachable) as told:
        job.source("mrs")
    assert told.value.paths[0].startswith(str(job.study.data_root / name))
    assert "DOE" not in str(told.value)
    return str(told.value)


def test_a_missing_file_and_a_circle_of_links_are_out_of_reach(job):
    assert "is not there" in reads(job, "absent.rda")
    (job.study.data_root / "circle").symlink_to("circle")
    assert "is not there" in reads(job, "circle")


@pytest.mark.parametrize("name", ["x.rda", "dicom"])
def test_a_file_without_the_permission_to_read_it_is_out_of_reach(job, name):
    path = job.study.data_root / name
    for one in (path, *path.glob("*")):
        one.chmod(0)
        me = os.geteuid()
        if me == 0:
            os.seteuid(65534)  # root reads everything
        try:
            assert "Permission denied" in reads(job, name)
        finally:
            os.seteuid(me)
            one.chmod(0o755)


def test_what_is_out_of_reach_is_tried_again_when_it_changes(job):
    """The manifest holds the state of what was missing, an engine's places on the PATH among it."""
    engine = Path(job.study.config["data_root"]).parent / "bin" / "engine"

    def process(_):
        raise Unreachable("no engine", engine)

    entry = run_jobs([job], process)[job.item.key]
    assert (entry.status, entry.sources) == ("failed", {"../bin/engine": []})
    manifest = Manifest("convert", "", "A_0", entries={job.item.key: entry})
    roots = (job.study.config["results"], job.study.config["data_root"])
    assert manifest.unsettled(*roots) == []
    engine.parent.mkdir()
    engine.write_text("here it is")
    assert manifest.unsettled(*roots) == [job.item.key]


def test_too_little_memory_is_a_fault_and_no_record(job, capsys):
    def process(_):
        raise MemoryError

    entry = run_jobs([job], process)[job.item.key]
    assert entry.status == "fault" and "more memory" in entry.reason
    assert not job.record_path.exists()
    assert "Traceback" not in capsys.readouterr().err

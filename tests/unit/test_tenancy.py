"""One folder of results is of one run and one study."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import report_fixture as made
from fmrsflow import tenancy
from fmrsflow.batch import run_jobs
from fmrsflow.edge import Job
from fmrsflow.files import write_bytes, write_json
from fmrsflow.manifests import Manifest

HOLD = """
import sys, pathlib, fmrsflow.tenancy as t
t.lock(pathlib.Path(sys.argv[1])); print("held", flush=True); sys.stdin.read()
"""


def test_a_second_run_is_refused_until_the_first_ends_however_it_does(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(tenancy.Occupied, match="another run writes into"):
            tenancy.lock(tmp_path)
        first.kill()
    tenancy.lock(tmp_path)


@pytest.fixture
def study(tmp_path):
    """A study of two scans, converted, whose results note where their data lie."""
    study = made.make_study(tmp_path / "one", n_sites=1, n_subjects=2)
    for scan in study.scans:
        write_bytes(study.data_root / scan.mrs, f"signal of {scan.key}".encode())

    def convert(job):
        job.source("mrs")
        return {}

    ((name, scans),) = study.jobs("convert").items()
    entries = run_jobs([Job("convert", study, scan, {}) for scan in scans], convert)
    manifest = Manifest("convert", "", name, entries=entries)
    write_json(study.manifest_path("convert", {}, name), manifest.to_json())
    tenancy.settle(study)
    return study


def elsewhere(study, folder: Path):
    """The study as it is in another folder."""
    config = {"results": str(folder / "results"), "data_root": str(folder / "data")}
    return replace(study, config={**study.config, **config})


def test_the_same_study_and_a_moved_one_go_on(study, tmp_path):
    tenancy.check_origin(study)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    moved = elsewhere(study, tmp_path / "two")
    for path in moved.data_root.rglob("*.gz"):  # the times of a copy may be others
        os.utime(path, (time.time() + 5, time.time() + 5))
    tenancy.check_origin(moved)
    tenancy.settle(moved)
    assert str(tmp_path) not in (moved.results / tenancy.ORIGIN).read_text()


def test_another_study_with_the_same_labels_is_noticed(study, tmp_path):
    shutil.copytree(tmp_path / "one" / "data", tmp_path / "two" / "data")
    other = elsewhere(study, tmp_path / "two")
    shutil.copytree(study.results, other.results)
    (other.data_root / study.scans[1].mrs).write_bytes(b"signal of somebody else")
    with pytest.raises(tenancy.Occupied, match="results of another study: .*sub-02.*_mrs") as told:
        tenancy.check_origin(other)
    assert study.scans[1].key in str(told.value)
    shutil.rmtree(other.results)
    tenancy.check_origin(other)


def test_a_file_that_is_replaced_in_its_own_study_is_no_other_study(study):
    (study.data_root / study.scans[0].mrs).write_bytes(b"measured again")
    tenancy.check_origin(study)

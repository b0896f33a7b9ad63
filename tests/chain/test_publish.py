"""The tiny run as an open dataset, and read from it again."""

from __future__ import annotations

import pytest
import yaml

from fmrsflow.cli import main as fmrsflow
from fmrsflow.sheets import read_config, read_study
from fmrsflow.study import Study
from publish_tools import converted, record

pytestmark = pytest.mark.slow


def test_a_published_run_passes_the_check_and_is_converted_to_the_same_bytes(
    tiny_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tiny_run)
    study = Study.load("results/study.json")
    assert fmrsflow(["publish", str(tmp_path / "open"), "--license", "CC0-1.0"]) == 0
    assert len(list((tmp_path / "open").glob("sub-*/anat/*_T1w.nii.gz"))) == len(study.scans)
    monkeypatch.chdir(tmp_path / "open" / "code")
    assert fmrsflow(["check"]) == 0
    config = read_config("config/config.yaml")
    again = converted(read_study(config | {"results": str(tmp_path / "results")}))
    assert [scan.key for scan in again.scans] == [scan.key for scan in study.scans]
    monkeypatch.chdir(tiny_run)
    for one, other in zip(study.scans, again.scans, strict=True):
        files, same = record(study, one)["files"], record(again, other)["files"]
        spectra = [name for name in files if name.endswith(".nii.gz")]
        assert len(spectra) == 2
        assert {name: files[name] for name in spectra} == {name: same[name] for name in spectra}
    given = yaml.safe_load((tmp_path / "open" / "code" / "config" / "config.yaml").read_text())
    assert given["analyses"] == study.config["analyses"]

"""`fmrsflow-bids`: what it makes of its arguments; snakemake is called as it will be."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from fmrsflow import bids_app
from fmrsflow.sheets import read_config
from intake_tools import EVENTS, PAIN, put, rows, svs

ROOT = Path(__file__).resolve().parents[2]


class Replaced(Exception):
    """This process would be snakemake now."""


@pytest.fixture
def dataset(tmp_path) -> Path:
    root = tmp_path / "raw"
    for sub in ("01", "02"):
        for ses in ("a", "b"):
            stem = f"sub-{sub}/ses-{ses}/mrs/sub-{sub}_ses-{ses}_task-vis"
            svs(root, stem, PAIN)
            put(root, f"{stem}_events.tsv", EVENTS)
    return root


@pytest.fixture
def call(monkeypatch):
    """Call it; where it gets to snakemake, the arguments of that and the folder it runs in."""

    def stop(path, arguments):
        raise Replaced(arguments, Path.cwd())

    monkeypatch.setattr(os, "execv", stop)
    here = Path.cwd()

    def run(*arguments: str):
        try:
            return bids_app.main([str(one) for one in arguments])
        except Replaced as replaced:
            return replaced.args
        finally:
            os.chdir(here)

    return run


def test_people_and_sessions_that_were_asked_for_then_all(dataset, tmp_path, call):
    out = tmp_path / "derivatives"
    asked = ("--participant-label", "sub-02", "--session_label", "b", "--n_cpus", "3")
    arguments, folder = call(dataset, out, "participant", *asked, "--", "-n", "--quiet")
    study = out / "code"
    assert folder == study
    assert arguments[-6:] == ["--cores", "3", "--until", "pages", "-n", "--quiet"]
    profile = arguments[arguments.index("--workflow-profile") + 1]
    assert Path(profile) == ROOT / "workflow" / "profiles" / "local"
    assert [(row["subject"], row["session"]) for row in rows(study)] == [("02", "b")]
    config = read_config(study / "config" / "config.yaml")
    assert (config["results"], config["data_root"]) == (str(out), str(dataset))
    first = (study / "config" / "scans.tsv").read_bytes()
    arguments, _ = call(dataset, out, "group", "--profile", "slurm")
    assert "--until" not in arguments and str(ROOT / "workflow/profiles/slurm") in arguments
    assert (study / "config" / "scans.tsv").read_bytes().startswith(first)
    assert len(rows(study)) == 4


def test_a_label_without_a_scan_is_told(dataset, tmp_path, call, capsys):
    call(dataset, tmp_path / "out", "group", "--participant-label", "01", "sub-09")
    assert "no scan of participant 09" in capsys.readouterr().err
    assert {row["subject"] for row in rows(tmp_path / "out" / "code")} == {"01"}


def test_the_study_may_lie_elsewhere(dataset, tmp_path, call):
    out, work = tmp_path / "out", tmp_path / "work"
    _, folder = call(dataset, out, "group", "--work-dir", work, "--site", "A")
    assert folder == work and not (out / "code").exists()
    assert {row["site"] for row in rows(work)} == {"A"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["raw", "raw", "group"], 2, "OUT_DIR may not be the dataset"),
        (["raw", "an out", "group"], 2, "letters, digits"),
        (["nowhere", "out", "group"], 2, "is no folder"),
        (["raw", "out", "group", "--profile", "pbs"], 2, "there is no profile pbs"),
        (["raw", "out", "participant", "--participant-label", "09"], 1, "no sub-*"),
    ],
)
def test_what_cannot_be_is_told(
    dataset, tmp_path, call, monkeypatch, capsys, arguments, code, said
):
    monkeypatch.chdir(tmp_path)
    assert call(*(tmp_path / one if n < 2 else one for n, one in enumerate(arguments))) == code
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


def test_what_headers_leave_out_stops_before_the_run_and_names_the_cell(tmp_path, call, capsys):
    svs(tmp_path / "raw", "sub-01/mrs/sub-01", {**PAIN, "PulseSequenceType": "mystery"})
    where = tmp_path / "raw", tmp_path / "out", "group"
    assert call(*where) == 1
    assert "sequence is empty" in capsys.readouterr().err
    arguments, _ = call(*where, "--protocol", "sequence=PRESS")
    assert "snakemake" in arguments


def test_help_and_version(capsys):
    for option, said in (("--help", "participant"), ("--version", version("fmrsflow"))):
        with pytest.raises(SystemExit) as ended:
            bids_app.main([option])
        assert ended.value.code == 0 and said in capsys.readouterr().out
    assert all(action.help for action in bids_app._parser()._actions)


def test_the_entry_point_is_installed():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["fmrsflow-bids"] == "fmrsflow.bids_app:main"

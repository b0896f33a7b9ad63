"""Fixtures that every room's tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fmrsflow import arithmetic

arithmetic.settle()  # As in the jobs that tests compare with; before numpy is imported.

from chain_tools import PLAN, snakemake, write_config  # noqa: E402

from fmrsflow.cli import main as fmrsflow  # noqa: E402

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scanner files; a test that asks for it skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real scanner files (../shared/data) is not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """Data of the tiny study, made once."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "plan.yaml").write_text(PLAN)
    assert fmrsflow(["demo", "--preset", str(folder / "plan.yaml"), str(folder / "data")]) == 0
    return folder / "data"


@pytest.fixture
def tiny_study(tiny_data, tmp_path) -> Path:
    """A folder with the tiny study, ready to run."""
    shutil.copytree(tiny_data, tmp_path / "data")
    write_config(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_run(tiny_data, tmp_path_factory) -> Path:
    """The tiny study after a run on two cores; tests read it and leave it as it is."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copytree(tiny_data, folder / "data")
    write_config(folder)
    snakemake(folder, "--cores", "2")
    return folder

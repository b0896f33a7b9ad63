"""Fixtures that every room's tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fmrsflow import arithmetic

arithmetic.fix()  # As in the jobs that tests compare with; before numpy is imported.

from chain_tools import PLAN, snakemake, write_config  # noqa: E402

from fmrsflow.cli import main as fmrsflow  # noqa: E402

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared" / "data"


MACHINE = ("tests/cluster/", "tests/container/")
"""Tests that start daemons and mount: one after the other, by one worker."""

FAULTS = "tests/faults/"
"""Tests that fill disks of their own and kill: one after the other, by one worker."""

EACH = ("tests/chain/test_chain.py", "tests/chain/test_rules.py")
"""Their slow tests share no fixture but those of this file: any worker takes any of them."""

SLOWEST = (
    *MACHINE,
    FAULTS,
    "tests/chain/",
    "tests/inputs/",
    "tests/pages/",
    "tests/unit/stages/",
    "tests/unit/preprocess/",
)
"""The order of their start, so that no worker is left alone with a slow test at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slowest tests first."""

    def rank(item: pytest.Item) -> int:
        return next((n for n, one in enumerate(SLOWEST) if item.nodeid.startswith(one)), 99)

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Workers take whole groups of tests, which share their fixtures."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return Groups(config, log)


def group(nodeid: str) -> str:
    """Tests of one worker: those of a file, or of a folder with fixtures of its own."""
    file = nodeid.partition("::")[0]
    if file.startswith(MACHINE):
        return "machine"
    if file.startswith(FAULTS):
        return "faults"
    if file in EACH:
        return nodeid
    folder = Path(file).parent
    shares = folder != Path("tests") and (TESTS.parent / folder / "conftest.py").exists()
    return str(folder) if shares else file


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scanner files; a test that asks for it skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real scanner files (../shared/data) is not on this machine")
    return SHARED


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first worker that needs it makes, while the others wait for it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # that of the session; a worker's own lies in it
    folder, done = base / name, base / f"{name}-done"
    with (base / f"{name}-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """Data of the tiny study; tests read them and leave them as they are."""

    def make(folder: Path) -> None:
        (folder / "plan.yaml").write_text(PLAN)
        assert fmrsflow(["demo", "--preset", str(folder / "plan.yaml"), str(folder / "data")]) == 0

    return made_once(tmp_path_factory, "tiny-data", make) / "data"


@pytest.fixture
def tiny_study(tiny_data, tmp_path) -> Path:
    """A folder with the tiny study, ready to run."""
    shutil.copytree(tiny_data, tmp_path / "data")
    write_config(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_run(tiny_data, tmp_path_factory) -> Path:
    """The tiny study after a run on two cores; tests read it and leave it as it is."""

    def make(folder: Path) -> None:
        shutil.copytree(tiny_data, folder / "data")
        write_config(folder)
        snakemake(folder, "--cores", "2")

    return made_once(tmp_path_factory, "tiny-run", make)

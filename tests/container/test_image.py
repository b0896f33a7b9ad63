"""The image: built offline from this checkout, run by an unprivileged user on read-only data.

Needs root, Debian's buildah and debootstrap (`image.sh install`), and packages of Debian and of the
lock file to build from; skips with a reason else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from chain_tools import ROOT, read_records, tables, write_config

from fmrsflow.files import read_json

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("image.sh")
USER = 4711
"""Nobody's number: neither root, nor the user of the image, nor one of this machine."""


def script(*arguments: object) -> subprocess.CompletedProcess:
    """Run image.sh with the packages of this environment's index, and return what it printed."""
    with subprocess.Popen(
        ["bash", str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            printed, _ = running.communicate(timeout=1500)
        except BaseException:
            # With all that it started: what still builds would hold the folder.
            os.killpg(running.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(running.args, running.returncode, printed)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Folder with the built image; removed afterwards."""
    if os.geteuid() != 0:
        pytest.skip("building an image without a daemon needs root")
    missing = [one for one in ("buildah", "debootstrap", "unshare") if not shutil.which(one)]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed (tests/container/image.sh install)")
    state = tmp_path_factory.mktemp("image")
    try:
        done = script("build", state)
        if done.returncode == 4:
            pytest.skip(f"no packages to build the image from: {done.stdout[-300:]}")
        assert done.returncode == 0, done.stdout
        yield state
    finally:
        removed = script("remove", state)
        assert removed.returncode == 0 and not state.exists(), removed.stdout


@pytest.fixture
def study(tiny_data, tmp_path) -> Path:
    """The tiny study in a folder that belongs to USER."""
    folder = tmp_path / "study"
    shutil.copytree(tiny_data, folder / "data")
    write_config(folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER)
    return folder


def test_the_image_gives_the_same_bytes_as_this_machine(image, study, tiny_run):
    done = script("run", image, USER, study, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    assert tables(study / "results") == tables(tiny_run / "results")
    assert len(tables(study / "results")) > 20
    # Who made it, and with what.
    assert read_json(study / "results" / "study.json")["software"]["Commit"] == "tested"
    assert {record["status"] for record in read_records(study / "results")} == {"ok"}
    assert {path.stat().st_uid for path in (study / "results").rglob("*")} == {USER}


def test_the_image_holds_what_it_promises(image, study):
    """Read-only input, no network, no root, no tools of development, matplotlib with its font."""
    claims = """
import importlib.util, os, pathlib, socket, tempfile
import matplotlib.font_manager as fonts
assert os.getuid() == 4711
font = fonts.findfont("DejaVu Sans", fallback_to_default=False)
assert font.startswith("/opt/venv/"), font
assert not [one for one in ("pytest", "ruff", "playwright") if importlib.util.find_spec(one)]
for folder, may in (("/study/data", False), ("/opt/fmrsflow", False), ("/opt/venv", False),
                    (os.environ["HOME"], True), ("/study", True), (tempfile.gettempdir(), True)):
    try:
        pathlib.Path(folder, "probe").touch()
        written = True
    except OSError:
        written = False
    assert written is may, folder
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print("network:", error)
"""
    done = script("run", image, USER, study, "python", "-c", claims)
    assert done.returncode == 0, done.stdout
    assert "network: [Errno 101] Network is unreachable" in done.stdout


def test_a_folder_that_is_no_study_is_told(image, tmp_path):
    (tmp_path / "data").mkdir()
    os.chown(tmp_path, USER, USER)
    done = script("run", image, USER, tmp_path)
    assert done.returncode == 2
    assert "no config/config.yaml in /study" in done.stdout


def test_a_study_that_the_user_may_not_write_is_told(image, study):
    done = script("run", image, USER + 1, study)
    assert done.returncode == 2
    assert f"User {USER + 1} may not write /study" in done.stdout


def test_what_the_image_copies_is_what_the_builder_sees():
    """An ignored file that Containerfile copies would fail only where somebody builds."""
    copied = [
        word
        for line in (ROOT / "Containerfile").read_text().splitlines()
        if line.startswith("COPY ")
        for word in line.split()[1:-1]
    ]
    seen = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert set(copied) <= seen
    assert all((ROOT / name).exists() for name in copied)

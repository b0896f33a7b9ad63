"""The wheel: all that a run needs is in it, whatever folder, line ends and home a user has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from chain_tools import ROOT

import release
from fmrsflow.provenance import package_digest

ASK = """
from fmrsflow.provenance import code_digest, package_digest, software
print(package_digest(), code_digest("fit"), software()["Commit"])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A virtual environment, in a folder with a space and an umlaut, with the wheel in it; the
    packages that it needs are those of this environment."""
    return release.installed(tmp_path_factory.mktemp("venv ü"))


@pytest.fixture
def study(tmp_path) -> Path:
    """The demo's study as an editor of Windows saves it, in a folder with a space and an umlaut."""
    folder = tmp_path / "Studie für alle"
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("examples"))
    for path in (folder / "config").glob("*.*"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return folder


def ask(venv: Path, folder: Path, *arguments: str) -> str:
    """What the environment's Python prints, called without a home, away from the clone."""
    # Below /proc nobody can write, root neither.
    surroundings = {**os.environ, "HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/nobody/cache"}
    surroundings.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(venv / "bin" / "python"), *arguments],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_wheel_is_the_same_program_as_the_clone(installed, tmp_path):
    here = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True).stdout
    # The commit too, and not that of a repository that happens to lie around the environment.
    subprocess.run(["git", "init", "-q"], cwd=installed.parent, check=True)
    assert ask(installed, tmp_path, "-c", ASK).split() == here.split()
    assert here.split()[0] == package_digest()


def test_an_editable_install_leaves_no_second_copy(tmp_path):
    code = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [one for one in names if one.startswith("fmrsflow/")]


def test_jobs_in_conda_get_the_package_of_the_wheel(installed, tmp_path):
    """envs/core.post-deploy.sh, in an environment without it."""
    other = tmp_path / "other env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(other)], check=True)
    (inside,) = installed.glob("lib/python*/site-packages/fmrsflow/_repository")
    surroundings = {"PATH": f"{other}/bin:{os.environ['PATH']}", "FMRSFLOW_ROOT": str(inside)}
    script = ["sh", str(inside / "envs" / "core.post-deploy.sh")]
    subprocess.run(script, env={**os.environ, **surroundings}, check=True)
    assert ask(other, tmp_path, "-m", "fmrsflow", "--version").strip() == version("fmrsflow")


def test_run_needs_no_clone_and_no_home(installed, study):
    said = ask(installed, study.parent, "-m", "fmrsflow", "run", study.name, "-n")
    assert "4 sites, 12 scans, 12 response units, 3 analyses, 0 missing files" in said
    assert f"Snakefile: {installed}/" in said and f"{ROOT}/Snakefile" not in said
    assert "convert" in said and "report" in said


def test_workflows_of_github_call_what_the_suite_runs():
    """They are run by nobody here: what they say has to be what is."""
    known = {"bash .ci/run", "./run setup", f"./run {' '.join(release.BUILD)} dist ."}
    paths = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(paths) == 2
    for path in paths:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                if "uses" in step:
                    continue
                command = step["run"].strip()
                if command.startswith("./run pytest -q "):
                    assert all((ROOT / one).is_file() for one in command.split()[3:])
                else:
                    assert command in known, f"{path.name}: {command}"
    assert "./run test" in (ROOT / ".ci" / "run").read_text()

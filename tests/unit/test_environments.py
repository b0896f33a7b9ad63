"""The environments in envs/ agree: one lock file, and what is written from it.

Where pyproject.toml has changed, this writes lock.txt anew and keeps the versions that may stay::

    uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \\
        --generate-hashes --no-annotate --no-header -o envs/lock.txt

and `PYTHONPATH=tests/chain python tests/unit/test_environments.py` core-lock.txt and core.yaml.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from itertools import product
from pathlib import Path

import pytest
import yaml
from chain_tools import ROOT, command, environment, snakemake
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fmrsflow.provenance import DEPENDENCIES

ENVS = ROOT / "envs"
MEND = "run `PYTHONPATH=tests/chain python tests/unit/test_environments.py`"

BUILD = ("hatchling", "editables")
"""What installs the package itself, beside what it needs when it runs."""

MACHINES = [
    {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system}
    for python, system in product(("3.11", "3.12"), ("linux", "darwin"))
]


def pins(text: str) -> dict[str, list[str]]:
    """Name -> its entries (`name==version ; marker` with the lines of hashes) in a lock file."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        found.setdefault(canonicalize_name(Requirement(first(entry)).name), []).append(entry)
    return found


def first(entry: str) -> str:
    """An entry without its hashes."""
    return entry.split("\n")[0].rstrip(" \\")


def needed() -> set[str]:
    """Names of all that this package needs to run, on any machine, and what builds it."""
    waiting = [("fmrsflow", ""), *((name, "") for name in BUILD)]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        for requirement in map(Requirement, _requires(name)):
            wanted = not requirement.marker or any(
                requirement.marker.evaluate({**default_environment(), **machine, "extra": extra})
                for machine in MACHINES
            )
            if wanted:
                own = canonicalize_name(requirement.name)
                new = {(own, one) for one in ("", *requirement.extras)} - seen
                seen |= new
                waiting += new
    return {name for name, _ in seen} - {"fmrsflow"}


def _requires(name: str) -> list[str]:
    if name == "fmrsflow":
        # Not the metadata of an editable install, which may be older than the file.
        return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []  # of another system or Python; it is a leaf of the lock


def core_lock() -> str:
    """The part of lock.txt that running needs: no tests, no linters, no browser."""
    locked = pins((ENVS / "lock.txt").read_text())
    names = sorted(needed() & set(locked))
    return "\n".join(entry for name in names for entry in locked[name]) + "\n"


def core_yaml() -> str:
    """The same pins for conda, which brings Python; core.post-deploy.sh brings the package."""
    lines = [
        "# For `--sdm conda`: Python from conda, every package as envs/core-lock.txt pins it.",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
    ]
    entries = [first(one) for found in pins(core_lock()).values() for one in found]
    return "\n".join([*lines, *(f'      - "{entry}"' for entry in entries)]) + "\n"


def pip_section() -> list[str]:
    """The pins of core.yaml, as YAML reads them."""
    content = yaml.safe_load((ENVS / "core.yaml").read_text())
    return next(one["pip"] for one in content["dependencies"] if isinstance(one, dict))


def test_core_pins_are_those_of_the_lock_file():
    assert (ENVS / "core-lock.txt").read_text() == core_lock(), MEND
    assert (ENVS / "core.yaml").read_text() == core_yaml(), MEND
    locked = {
        first(entry) for found in pins((ENVS / "lock.txt").read_text()).values() for entry in found
    }
    assert set(pip_section()) <= locked


def test_core_holds_what_science_uses_and_nothing_that_only_tests_use():
    names = {canonicalize_name(Requirement(one).name) for one in pip_section()}
    assert {canonicalize_name(name) for name in DEPENDENCIES} <= names
    assert names.isdisjoint({"pytest", "ruff", "snakefmt", "playwright", "plotly"})


def test_every_pin_of_a_lock_file_has_a_hash():
    for path in ENVS.glob("*lock.txt"):
        for found in pins(path.read_text()).values():
            assert all("--hash=sha256:" in entry for entry in found), path.name


def test_this_environment_is_that_of_the_lock_file():
    """What the tests run on is what the image, conda and `./run` install."""
    from importlib.metadata import version

    for line in pip_section():
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate():
            assert requirement.specifier.contains(version(requirement.name)), line


def test_the_workflow_passes_snakemakes_linter():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Lints for" not in done.stdout + done.stderr


def test_apptainer_without_an_image_is_told_before_anything_runs(tiny_study):
    printed = snakemake(tiny_study, "-n", "--sdm", "apptainer", ok=False)
    assert "`container`" in printed and "config.yaml" in printed
    assert not (tiny_study / "results").exists()


def test_an_image_name_that_a_shell_would_read_as_more_is_refused(tiny_study):
    config = "container=x.sif;touch stolen"
    printed = snakemake(tiny_study, "-n", "--config", config, ok=False)
    assert "container" in printed and "x.sif;touch stolen" in printed
    assert not (tiny_study / "stolen").exists()


def test_an_image_makes_every_job_run_in_it(tiny_study, tmp_path):
    """Each job's command goes to `apptainer exec IMAGE`; here an `apptainer` that notes its call
    and runs the command as it is, because the real one cannot be had on most machines."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apptainer").write_text(
        "#!/bin/sh\n"
        '[ "$1" != --version ] || { echo "apptainer version 1.3.6"; exit; }\n'
        f'echo "$@" >> {tmp_path}/calls\n'
        'for last; do :; done; exec bash -c "$last"\n'
    )
    (tools / "apptainer").chmod(0o755)
    (tmp_path / "image.sif").touch()
    settings = ["--sdm", "apptainer", "--config", f"container={tmp_path}/image.sif"]
    done = subprocess.run(
        command(tiny_study, "results/convert/batches/alpha_0.json", "--cores", "2", *settings),
        env={**environment(), "PATH": f"{tools}:{environment()['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert f"{tmp_path}/image.sif" in calls[0] and "fmrsflow convert" in calls[0]


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_conda_is_told_missing_before_anything_runs(tiny_study):
    conda = [one for one in os.environ["PATH"].split(":") if Path(one, "conda").exists()]
    if conda:
        pytest.skip("conda is installed here")
    printed = snakemake(tiny_study, "-n", "--sdm", "conda", ok=False)
    assert "conda" in printed
    assert not (tiny_study / "results").exists()


if __name__ == "__main__":
    (ENVS / "core-lock.txt").write_text(core_lock())
    (ENVS / "core.yaml").write_text(core_yaml())

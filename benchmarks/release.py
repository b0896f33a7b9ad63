"""A release: the wheel away from the clone, others' settings, documents (figures of `start`)."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from figure import ROOT, Figure, held, skipped

BUILD = ("python", "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w")
"""What makes a wheel, as in .github/workflows/release.yml."""

MOST_MINUTES = 3

HANDED = (
    "test_lcmodel_gets_averages_water_and_basis",
    "test_fsl_mrs_gets_averages_water_basis_and_commands",
    "test_osprey_gets_averages_water_basis_and_a_job",
)


def figures(quick: bool) -> Iterator[Figure]:
    """Figures of the release; `quick` leaves out the demo from the wheel."""
    name = "wheel in a fresh environment, demo to report, minutes"
    if quick:
        yield skipped(name, f"<= {MOST_MINUTES}", "left out of --quick")
    else:
        yield _demo(name)
    yield held(
        "wheel without clone and home, spaces and umlauts", "runs", "tests/unit/test_wheel.py"
    )
    yield held(
        "rules from a git repository, as snakedeploy takes them",
        "works",
        "tests/chain/test_rules.py::test_another_workflow_takes_the_rules_from_a_git_repository",
    )
    yield held(
        "import: settings neither carried nor named (Osprey, LCModel, FSL-MRS)",
        "0",
        "tests/unit/stages/test_import.py",
    )
    yield held(
        "sources of sidecars that do not resolve, or name a vendor file",
        "0",
        "tests/unit/test_bids_uris.py",
    )
    yield held(
        "averages, water and basis for LCModel, FSL-MRS, Osprey",
        "read back",
        *(f"tests/unit/fit/test_other_programs.py::{one}" for one in HANDED),
    )
    yield held(
        "docs: links that lead nowhere, commands that do not parse", "0", "tests/unit/test_docs.py"
    )
    links = sorted(_external())
    yield Figure("docs: external links", len(links), "reported", True, " ".join(links))


def _external() -> set[str]:
    """Addresses of other sites in the documents."""
    folders = (ROOT.glob("*.md"), *((ROOT / one).rglob("*.md") for one in ("docs", "config")))
    return {
        link
        for documents in folders
        for path in documents
        for link in re.findall(r"https?://[^\s)>\]`\"']+", path.read_text())
    }


def _demo(name: str) -> Figure:
    """`fmrsflow init` and `run` of a wheel, in a folder with a space, without a home."""
    with tempfile.TemporaryDirectory(prefix="wheel ü ") as folder:
        venv = installed(Path(folder))
        surroundings = {**os.environ, "HOME": "/proc/nobody", "XDG_CACHE_HOME": ""}
        start, before = time.monotonic(), _cpu_s()
        for words in (["init", "trial", "--synthetic", "demo"], ["run", "trial"]):
            done = subprocess.run(
                [str(venv / "bin" / "python"), "-m", "fmrsflow", *words],
                cwd=folder,
                env=surroundings,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
                return Figure(name, "failed", f"<= {MOST_MINUTES}", False, last)
        minutes = (time.monotonic() - start) / 60
        there = (Path(folder) / "trial/results/main/report/index.html").is_file()
    note = f"{(_cpu_s() - before) / 60:.1f} CPU min on {os.cpu_count()} cores"
    return Figure(name, minutes, f"<= {MOST_MINUTES}", there and minutes <= MOST_MINUTES, note)


def _cpu_s() -> float:
    """CPU seconds of all processes that have ended: others may use the machine too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def installed(folder: Path) -> Path:
    """A virtual environment with the wheel of this clone; the packages that it needs are those of
    this environment."""
    subprocess.run([sys.executable, *BUILD[1:], str(folder), str(ROOT)], check=True)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (wheel,) = folder.glob("fmrsflow-*.whl")
    zipfile.ZipFile(wheel).extractall(packages)
    # Of a folder that a .pth names no further .pth is read: the clone is not on the path.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv

"""The real Snakefile as a user calls it, and what it left."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from fmrsflow.files import read_json

ROOT = Path(__file__).resolve().parents[2]

PLAN = """
name: tiny
description: Two sites, two people each, for tests
seed: 11
responses:
  Glu: {percent: 4.0}
concentrations: {participant_cv: 0.03}
design: {kind: blocks, task: visual, rest_s: 16, task_s: 16}
participants: {per_site: 2, spacing_mm: 2.5}
site_defaults:
  transients: 32
  tr_s: 2.0
  te_s: 0.030
  points: 1024
  snr_tcr: {mean: 20, sd: 1}
sites:
  - {name: alpha, vendor: Philips, field_t: 3.0, sequence: PRESS, file_format: sdat,
     reference_format: sdat}
  - {name: beta, vendor: Siemens, field_t: 3.0, sequence: PRESS, coils: 4, protocol: own}
"""


def write_config(folder: Path, **changes) -> None:
    """The repository's configuration, on the sheets below `folder`/data, with these changes."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config |= {
        "data_root": "data",
        "sites_sheet": "data/config/sites.tsv",
        "scans_sheet": "data/config/scans.tsv",
        "participants_sheet": "data/config/participants.tsv",
        "synthetic": None,
        "batch": 2,
    }
    main = config["analyses"][config["primary"]]
    config |= {"analyses": {"main": main}, "primary": "main"}
    config |= {section: {name: config[section][name]} for section, name in main.items()}
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config | changes))


def environment() -> dict[str, str]:
    """The environment of a user with the virtual environment active."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def command(folder: Path, *arguments: str) -> list[str]:
    """The snakemake call of a user in a study's folder."""
    snakefile = str(ROOT / "Snakefile")
    return [
        *(sys.executable, "-m", "snakemake", "-s", snakefile, "--directory", str(folder)),
        *("--scheduler", "greedy", "--keep-going", "--rerun-incomplete", "--show-failed-logs"),
        *arguments,
    ]


def snakemake(folder: Path, *arguments: str, ok: bool = True) -> str:
    """Run the real Snakefile in a study's folder and return what it printed."""
    done = subprocess.run(
        command(folder, *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1200,
    )
    printed = done.stdout + done.stderr
    if ok:
        assert done.returncode == 0, printed[-6000:]
    return printed


def copy_of(run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, modification times kept."""
    folder = tmp_path / "copy"
    shutil.copytree(run, folder, symlinks=True)
    return folder


def tables(folder: Path) -> dict[str, str]:
    """Digest of every table below a results folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.tsv"))
        if ".snakemake" not in path.parts
    }


def read_records(results: Path) -> list[dict]:
    """Every record of a job below a results folder; the cache holds others."""
    paths = sorted(results.rglob("*_record.json"))
    return [read_json(path) for path in paths if "cache" not in path.relative_to(results).parts]


def processes(folder: Path, words: str) -> list[int]:
    """Processes in a study's folder whose command line holds these words; no other run's."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            here = os.readlink(entry / "cwd") == str(folder.resolve())
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # ended meanwhile
            continue
        if here and re.search(words, line):
            found.append(int(entry.name))
    return found

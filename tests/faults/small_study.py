"""A small study that runs in seconds, and what its results are compared by."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from chain_tools import (
    command,
    environment,
    processes,
    read_records,
    snakemake,
    tables,
    write_config,
)

from fmrsflow.cli import main as fmrsflow
from fmrsflow.stages.verify import changes
from fmrsflow.study import Study
from fmrsflow.tables import read_table, write_table

PLAN = """
name: small
description: One site, two people, short scans, for faults
seed: 5
responses:
  Glu: {percent: 4.0}
design: {kind: blocks, task: visual, rest_s: 8, task_s: 8}
participants: {per_site: 2, spacing_mm: 3.0}
sites:
  - {name: alpha, vendor: Philips, field_t: 3.0, sequence: PRESS, te_s: 0.030, tr_s: 2.0,
     transients: 16, points: 1024, snr_tcr: {mean: 25, sd: 1}, file_format: sdat,
     reference_format: sdat}
"""


def make_study(folder: Path, transients: int = 16) -> Path:
    """The small study in a folder, ready to run."""
    folder.mkdir(parents=True)
    (folder / "plan.yaml").write_text(PLAN.replace("transients: 16", f"transients: {transients}"))
    assert fmrsflow(["demo", "--preset", str(folder / "plan.yaml"), str(folder / "data")]) == 0
    _take_tissue_maps(folder / "data")
    write_config(folder)
    return folder


def _take_tissue_maps(data: Path) -> None:
    """The true maps stand in for those of a segmentation, which would take half of the run."""
    sheet = data / "config" / "scans.tsv"
    rows = read_table(sheet)
    for row in rows:
        for tissue in ("gm", "wm", "csf"):
            (path,) = (data / "truth").rglob(f"sub-{row['subject']}_*{tissue.upper()}*.nii.gz")
            row[tissue] = str(path.relative_to(data))
    write_table(sheet, rows)


def finished_study(work: Path) -> tuple[Path, float]:
    """The small study after an undisturbed run below `work` (made once), and its seconds."""
    folder, told = work / "undisturbed", work / "undisturbed-seconds"
    if not told.exists():
        make_study(folder)
        start = time.monotonic()
        snakemake(folder, "--cores", "2")
        told.write_text(str(time.monotonic() - start))
    return folder, float(told.read_text())


def fresh_copy(study: Path, folder: Path) -> Path:
    """Data and configuration of a study, nothing of its results."""
    folder.mkdir(parents=True)
    for part in ("data", "config"):
        shutil.copytree(study / part, folder / part)
    return folder


def started(folder: Path, *arguments: str) -> subprocess.Popen:
    """A run in the background, in a process group of its own; its words go to `run.log`."""
    with (folder / "run.log").open("ab") as log:
        return subprocess.Popen(
            command(folder, "--cores", "2", *arguments),
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def jobs_of(folder: Path) -> list[int]:
    """Processes of stages that run in a study's folder."""
    return processes(folder, r"^\S+ -P -m fmrsflow ")


def difference(folder: Path, expected: Path) -> tuple[str, str]:
    """How finished results differ from the undisturbed ones, and where; two empty texts if not.

    In this order: a scan without the record or the page that it should have, a table of other
    bytes, a file that is not as its record says.
    """
    results, wanted = folder / "results", expected / "results"
    if _states(results) != _states(wanted) or _pages(results) != _pages(wanted):
        missing = sorted(set(_states(wanted).items()) - set(_states(results).items()))
        return "scans lost", str(missing[:3])
    ours, theirs = tables(results), tables(wanted)
    if ours != theirs:
        odd = sorted(set(ours.items()) ^ set(theirs.items()))
        return "other bytes", odd[0][0]
    told = verified(folder)
    return ("half files", str(told[:3])) if told else ("", "")


def verified(folder: Path) -> list[tuple[str, str]]:
    """What `fmrsflow verify` tells of a study's folder: (file, what changed)."""
    study = Study.load(folder / "results" / "study.json")
    config = {**study.config, "data_root": str(folder / "data")}
    return sorted(set(changes(folder / "results", replace(study, config=config))))


def same(folder: Path, expected: Path) -> bool:
    """Whether results are those of the undisturbed run."""
    return difference(folder, expected) == ("", "")


def _states(results: Path) -> dict:
    return {
        (one["stage"], *one.get("scan", {}).values(), one.get("site"), _settings(one)): (
            one["status"],
            one["reason"],
        )
        for one in read_records(results)
    }


def _settings(record: dict) -> str:
    return "-".join(str(one.get("name")) for one in record.get("settings", {}).values())


def _pages(results: Path) -> list[str]:
    return sorted(str(path.relative_to(results)) for path in results.rglob("*.html"))

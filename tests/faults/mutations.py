"""Mutated inputs through convert, preprocess and fit, and what each comes to.

Each mutation is one file of a small study with flipped bits, a burst of noise, an end cut off or
an edited field. The stages run as a user's command lines do, in a forked child with a time limit.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from chain_tools import write_config
from counts import Counts, Fault
from edits import OPERATIONS, mutated
from small_study import verified

from fmrsflow import cli
from fmrsflow.edge import read_json, read_table, write_bytes, write_json, write_table
from fmrsflow.fids import from_nifti
from fmrsflow.sheets import StudyError, read_config, read_study
from fmrsflow.study import STAGE_SETTINGS
from fmrsflow.synthetic.writers import write_rda

TIME_LIMIT_S = 60
"""CPU time of one mutation beyond which it hangs; four times that of the wall clock, for a child
that waits or a machine that is busy."""

CONFIG = "config/config.yaml"
STAGES = ("convert", "preprocess", "fit")

PLAN = """
name: mutated
description: One Philips and one Siemens scan, short FIDs
seed: 8
responses:
  Glu: {percent: 4.0}
design: {kind: blocks, task: visual, rest_s: 8, task_s: 8}
participants: {per_site: 1, spacing_mm: 5.0}
site_defaults: {transients: 8, tr_s: 2.0, te_s: 0.030, points: 512, sequence: PRESS,
  snr_tcr: {mean: 30, sd: 1}}
sites:
  - {name: alpha, vendor: Philips, field_t: 3.0, file_format: sdat, reference_format: sdat}
  - {name: beta, vendor: Siemens, field_t: 3.0}
"""

PHILIPS = "data/alpha/sub-01/mrs/sub-01_task-visual_"
SIEMENS = "data/beta/sub-01/mrs/sub-01_task-visual_"
CONVERTED = "results/convert/beta/sub-01/mrs/sub-01_task-visual_desc-convert_"

TARGETS = {
    f"{PHILIPS}svs.SDAT": "alpha/sub-01_task-visual",
    f"{PHILIPS}svs.SPAR": "alpha/sub-01_task-visual",
    "data/beta/mean.rda": "beta/sub-02",
    f"{SIEMENS}svs.nii.gz": "beta/sub-01_task-visual",
    f"{PHILIPS}mrsref.SPAR": "alpha/sub-01_task-visual",
    f"{SIEMENS}events.tsv": "beta/sub-01_task-visual",
    "data/config/scans.tsv": None,
    "data/config/sites.tsv": None,
    CONFIG: None,
    f"{CONVERTED}record.json": "beta/sub-01_task-visual",
    f"{CONVERTED}svs.nii.gz": "beta/sub-01_task-visual",
}
"""File -> the scan that stands on it; None where all do. The last two are a stage's products."""

HARMLESS = (
    "refused, the file named",
    "scan failed with a reason",
    "scan excluded with a reason",
    "same result",
    "told by a warning",
    "as the file now says, in the frozen study",
    "as the file now says, told by verify",
    "samples changed within their error, told by verify",
)
"""Outcomes that may be; every other one is harm."""


def mutations(n: int, work: Path, seed: int) -> Counts:
    """Mutate the files of a small study in turn, `n` times, and run the chain on each.

    Parameters
    ----------
    n : int
    work : Path
        Folder for the study, which is made there.
    seed : int
        Of places and values.

    Returns
    -------
    Counts
        Outcomes: those of `HARMLESS`, else `crash`, `hang`, `refused without the file's name`,
        `silent change`, `samples changed by more than their error`.
    """
    return Counts.of(_mutations(n, Path(work), np.random.default_rng(seed)))


def _mutations(n: int, work: Path, rng: np.random.Generator) -> Iterator[Fault]:
    base = _base(work)
    names = list(TARGETS)
    for number in range(n):
        name = names[number % len(names)]
        operation = OPERATIONS[number // len(names) % len(OPERATIONS)]
        content, what = mutated(base / name, operation, rng)
        folder = work / "mutation"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        (folder / name).write_bytes(content)
        outcome, note = _outcome(folder, base, name)
        yield Fault(f"{number}: {Path(name).name}: {what}", outcome, outcome in HARMLESS, note)


def _base(work: Path) -> Path:
    """Study and results without mutation, of the program as it is now."""
    folder = work / "unmutated"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "config").mkdir(parents=True)
    (folder / "plan.yaml").write_text(PLAN)
    data = folder / "data"
    assert cli.main(["demo", "--preset", str(folder / "plan.yaml"), str(data)]) == 0
    shutil.rmtree(data / "truth")
    sheet = data / "config" / "scans.tsv"
    rows = [{**row, "t1w": ""} for row in read_table(sheet)]
    write_rda(from_nifti(nib.load(folder / f"{SIEMENS}svs.nii.gz")), data / "beta" / "mean.rda")
    rda = dict.fromkeys(rows[0], "")
    rda |= {"site": "beta", "subject": "02", "mrs": "beta/mean.rda", "condition": "rest"}
    write_table(sheet, [*rows, rda])
    write_config(folder, participants_sheet=None)
    said = _in_child(_chain, folder, ("basis", *STAGES), None)
    assert said == "", said
    return folder


def _outcome(folder: Path, base: Path, name: str) -> tuple[str, str]:
    scan = TARGETS[name]
    product = name.startswith("results/")
    if product:
        stages = STAGES[1:]
    elif scan is None:
        # The basis too: the settings and the site's row are of the mutated file.
        stages = ("basis", *STAGES)
    else:
        stages = STAGES
    said = _in_child(_chain, folder, stages, scan)
    if said is None:
        return "hang", f"not ended after {TIME_LIMIT_S} s of CPU"
    if said.startswith("refused: "):
        named = Path(name).name in said
        return ("refused, the file named" if named else "refused without the file's name"), said
    if said:
        return "crash", said[-1500:]
    return _compared(folder, base, name, product)


def _compared(folder: Path, base: Path, name: str, product: bool) -> tuple[str, str]:
    stages = STAGES[1:] if product else STAGES  # the mutated product itself is no result
    now, before = (_results(one, TARGETS[name], stages) for one in (folder, base))
    records = {key: one for key, one in now.items() if isinstance(one, dict)}
    for word in ("failed", "excluded"):
        lost = [one["reason"] for one in records.values() if one["status"] == word]
        if lost and not all(lost):
            return f"scan {word} without a reason", ""
        if lost:
            return f"scan {word} with a reason", lost[0]
    if now == before:
        return "same result", ""
    known = {line for one in before.values() if isinstance(one, dict) for line in one["warnings"]}
    told = [line for one in records.values() for line in one["warnings"] if line not in known]
    if told:
        return "told by a warning", told[0]
    if TARGETS[name] is None and _frozen(folder) != _frozen(base):
        return "as the file now says, in the frozen study", ""
    odd = next(key for key in now | before if now.get(key) != before.get(key))
    # The results of the unmutated file, with the mutated one in its place.
    shutil.rmtree(folder / "results")
    shutil.copytree(base / "results", folder / "results")
    if str(folder / name) not in [path for path, _ in verified(folder)] or product:
        return "silent change", odd
    moved = _moved(now, before)
    if Path(name).suffix not in (".SDAT", ".rda") or moved == 0:
        return "as the file now says, told by verify", odd
    return (
        "samples changed within their error, told by verify"
        if moved <= 1
        else "samples changed by more than their error"
    ), f"largest change {moved:.2g} SE"


def _moved(now: dict, before: dict) -> float:
    """Largest change of an amplitude of tNAA, tCr, tCho, Glu, in its standard error."""
    worst = 0.0
    for key, rows in before.items():
        if key.endswith("fit_amplitudes.tsv") and key in now:
            for one, other in zip(rows, now[key]):
                if one["metabolite"] in ("tNAA", "tCr", "tCho", "Glu"):
                    step = abs(float(other["amplitude"]) - float(one["amplitude"]))
                    worst = max(worst, step / float(one["se"]))
    return worst


def _results(folder: Path, scan: str | None, stages: tuple[str, ...]) -> dict:
    """What the stages gave: tables, and records without the digests of files."""
    found: dict = {}
    site = scan.split("/")[0] if scan else "*"
    for path in sorted((folder / "results").glob(f"*/{site}/**/*_desc-*")):
        name = str(path.relative_to(folder))
        if not any(f"desc-{stage}_" in path.name for stage in stages):
            continue
        if path.name.endswith("_record.json"):
            dropped = ("files", "inputs", "sources", "digest")
            record = read_json(path)
            found[name] = {key: one for key, one in record.items() if key not in dropped}
        elif path.suffix == ".tsv":
            found[name] = read_table(path)
    return found


def _frozen(folder: Path) -> str:
    return (folder / "results" / "study.json").read_text()


def _chain(folder: Path, stages: tuple[str, ...], scan: str | None) -> str:
    """Run stages as a user's command lines do; empty text, or what went wrong."""
    os.chdir(folder)
    try:
        study = read_study(read_config(CONFIG), CONFIG)
    except StudyError as error:
        return f"refused: {error}"
    text = study.save_text()
    frozen = Path("results/study.json")
    if frozen.exists() and frozen.read_text() == text and scan is None:
        return ""  # stages read nothing else of sheets and configuration
    write_bytes(frozen, text.encode())
    choice = study.config["analyses"][study.config["primary"]]
    for stage in stages:
        names = "-".join(choice[setting] for setting in STAGE_SETTINGS[stage])
        keys = [scan] if scan else [one.key for one in study.scans]
        if stage == "basis":
            keys = sorted({one.site for one in study.scans})
        code = cli.main([stage, *([names] if names else []), *keys])
        if code:
            return f"{stage} ended with {code}\n{Path('said.txt').read_text()}"
    return ""


def _in_child(function, folder: Path, *arguments) -> str | None:
    """Call in a forked child, its words in said.txt; the text it returns, None after a hang."""
    for stage in (*STAGES, "basis"):
        __import__(f"fmrsflow.stages.{stage}")  # once, before the fork
    answer = folder / "answer.json"
    child = multiprocessing.get_context("fork").Process(
        target=_answered, args=(answer, function, folder, *arguments)
    )
    child.start()
    end = time.monotonic() + 4 * TIME_LIMIT_S
    while child.is_alive():
        child.join(0.5)
        if child.is_alive() and (time.monotonic() > end or _cpu_s(child.pid) > TIME_LIMIT_S):
            child.kill()
            child.join()
            return None
    if not answer.exists():
        return f"the process died with {child.exitcode}\n{(folder / 'said.txt').read_text()}"
    return read_json(answer)["said"]


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process so far; 0 where it has ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0.0
    user, system = told.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _answered(answer: Path, function, folder: Path, *arguments) -> None:
    with (folder / "said.txt").open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        try:
            said = function(folder, *arguments)
        except BaseException:
            said = traceback.format_exc()
        write_json(answer, {"said": said})
        sys.stdout.flush()
        sys.stderr.flush()

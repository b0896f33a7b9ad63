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
from edits import mutated_copies
from small_study import verified

from fmrsflow import cli
from fmrsflow.exclusion import excluded
from fmrsflow.fids import from_nifti
from fmrsflow.files import read_json, write_bytes, write_json
from fmrsflow.sheets import StudyError, read_config, read_study
from fmrsflow.study import STAGE_SETTINGS, Study
from fmrsflow.synthetic.writers import write_rda
from fmrsflow.tables import read_table, write_table

NO_RESULT = ("files", "inputs", "sources", "digest", "startedAtTime", "endedAtTime")
"""Keys of a record that differ between runs, or tell of files."""

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

LIMITS = {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0}
"""Section `quality` of the study."""

ORDER = sorted(HARMLESS, key="same result".__eq__)
"""Of several harmless outcomes the first is told; sameness only where all scans are the same."""


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
    for copy in mutated_copies(n, [(base, name) for name in names], work / "mutation", rng):
        outcome, note = _outcome(copy.folder, base, names[copy.place])
        yield Fault(copy.what, outcome, outcome in HARMLESS, note)


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
    said = in_child(run_chain, folder, ("basis", *STAGES), None)
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
    said = in_child(run_chain, folder, stages, scan)
    if said is None:
        return "hang", f"not ended after {TIME_LIMIT_S} s of CPU"
    if said.startswith("refused: "):
        named = Path(name).name in said
        return ("refused, the file named" if named else "refused without the file's name"), said
    if said:
        return "crash", said[-1500:]
    return _compared(folder, base, name, product)


def _compared(folder: Path, base: Path, name: str, product: bool) -> tuple[str, str]:
    """The worst of what came of the scans: each is compared by itself, so that one that is lost or
    warns hides no other."""
    stages = STAGES[1:] if product else STAGES  # the mutated product itself is no result
    now, before = (_results(one, TARGETS[name], stages) for one in (folder, base))
    found, named = [("same result", "")], _named(folder, base)
    for scan in sorted(now | before):
        ours, theirs = now.get(scan, {}), before.get(scan, {})
        if ours == theirs:
            continue
        if said := _said(ours, theirs):
            found.append(said)
        elif TARGETS[name] is None and scan in named:
            found.append(("as the file now says, in the frozen study", scan))
        elif TARGETS[name] == scan and not product:
            found.append(_as_the_file_says(folder, base, name, ours, theirs))
        else:
            odd = next(key for key in ours | theirs if ours.get(key) != theirs.get(key))
            found.append(("silent change", odd))
    harm = [one for one in found if one[0] not in HARMLESS]
    return harm[0] if harm else min(found, key=lambda one: ORDER.index(one[0]))


def _said(ours: dict, theirs: dict) -> tuple[str, str] | None:
    """What the records of a scan newly say: lost, or a warning; None where nothing."""
    records = {key: one for key, one in ours.items() if key.endswith("_record.json")}
    lost = [
        one["reason"]
        for key, one in records.items()
        if one["status"] == "failed" != theirs.get(key, {}).get("status")
    ]
    if lost:
        return f"scan failed with{'' if all(lost) else 'out'} a reason", str(lost[0])
    for key, one in records.items():
        if (reason := excluded(one, LIMITS)) and not excluded(theirs.get(key, {}), LIMITS):
            return "scan excluded with a reason", reason
    told = [
        line
        for key, one in records.items()
        for line in one["warnings"]
        if line not in theirs.get(key, {}).get("warnings", ())
    ]
    return ("told by a warning", told[0]) if told else None


def _named(folder: Path, base: Path) -> set[str]:
    """Scans that changed rows of the sheets name; all where the configuration changed."""
    new, old = (Study.load(one / "results" / "study.json") for one in (folder, base))
    scans = {*new.scans, *old.scans}
    if new.config != old.config:
        return {scan.key for scan in scans}
    rows = set(new.scans) ^ set(old.scans)
    changed = {scan.site for scan in scans if new.sites.get(scan.site) != old.sites.get(scan.site)}
    return {scan.key for scan in scans if scan in rows or scan.site in changed}


def _as_the_file_says(
    folder: Path, base: Path, name: str, ours: dict, theirs: dict
) -> tuple[str, str]:
    """Other numbers without a word: harmless where `fmrsflow verify` tells of the file, and its
    samples, which have no checksum, are hardly others."""
    # The results of the unmutated file, with the mutated one in its place.
    shutil.rmtree(folder / "results")
    shutil.copytree(base / "results", folder / "results")
    odd = next(key for key in ours | theirs if ours.get(key) != theirs.get(key))
    if str(folder / name) not in [path for path, _ in verified(folder)]:
        return "silent change", odd
    moved = _moved(ours, theirs)
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


def _results(folder: Path, scan: str | None, stages: tuple[str, ...]) -> dict[str, dict]:
    """What the stages gave, by scan: tables, and records without times and digests of files."""
    found: dict[str, dict] = {}
    site = scan.split("/")[0] if scan else "*"
    for path in sorted((folder / "results").glob(f"*/{site}/**/*_desc-*")):
        name = path.relative_to(folder)
        if not any(f"desc-{stage}_" in path.name for stage in stages):
            continue
        own = found.setdefault(f"{name.parts[2]}/{path.name.split('_desc-')[0]}", {})
        if path.name.endswith("_record.json"):
            record = read_json(path)
            own[str(name)] = {key: one for key, one in record.items() if key not in NO_RESULT}
        elif path.suffix == ".tsv":
            own[str(name)] = read_table(path)
    return found


def run_chain(folder: Path, stages: tuple[str, ...], scan: str | None) -> str:
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
            said = Path("said.txt").read_text()
            # A result that is not as its record says is a fault, which names the file.
            refused = "is damaged or was edited" in said or "not what was written" in said
            return f"{'refused: ' if refused else ''}{stage} ended with {code}\n{said}"
    return ""


def in_child(function, folder: Path, *arguments) -> str | None:
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

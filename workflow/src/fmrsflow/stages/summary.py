"""`fmrsflow summary [--study FILE] [--watch SECONDS]`: how far a run is, what failed and why, where
the report lies."""

from __future__ import annotations

import argparse
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fmrsflow import manifests
from fmrsflow.batch import faults
from fmrsflow.errors import DataError
from fmrsflow.exclusion import JUDGED, excluded
from fmrsflow.files import write_json
from fmrsflow.results import Results, read_record
from fmrsflow.stages import prune
from fmrsflow.study import STAGE_SETTINGS, Study, study_option
from fmrsflow.words import count, duration

STAGES = ("convert", "anatomy", "basis", "preprocess", "fit", "quantify", "response")
"""Stages that leave a record for each scan, site or response unit, in the order of the chain."""

LITTLE_ROOM = 50e6
"""Bytes left on the disk of the results below which that is told."""


@dataclass(frozen=True)
class Progress:
    """How far one stage is under one set of named settings.

    Attributes
    ----------
    stage, names : str
    total, done, new : int
        Records there will be, are, and were written since the run began.
    failed, excluded : dict
        Reason -> keys of the scans; where a stage failed earlier, it tells there.
    """

    stage: str
    names: str
    total: int
    done: int
    new: int
    failed: dict[str, list[str]]
    excluded: dict[str, list[str]]


def main(argv: list[str]) -> int:
    """Print the state of a run; with `--watch` again and again until it is done."""
    parser = argparse.ArgumentParser(prog="fmrsflow summary", description=__doc__)
    study_option(parser)
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="repeat until all is done")
    parser.add_argument(
        "--complete", type=Path, metavar="FILE", help="write FILE if no scan ended in a fault"
    )
    arguments = parser.parse_args(argv)
    path = Path(arguments.study)
    study = Study.load(path)
    if arguments.complete:
        return complete(study, arguments.complete)
    while True:
        found = progress(study, path.stat().st_mtime)
        print(text(study, found, time.time() - path.stat().st_mtime), flush=True)
        if (free := shutil.disk_usage(path.parent).free) < LITTLE_ROOM:
            # On a full disk the log of a job stays empty: this is where it is told.
            print(
                f"only {free / 1e6:.0f} MB are left on the disk of {path.parent}: make room, then "
                "run the same command again"
            )
        if not arguments.watch or all(one.done == one.total for one in found):
            return 0
        time.sleep(arguments.watch)


def complete(study: Study, path: Path) -> int:
    """Write how many scans there are if none ended in a fault and no table of the answer is
    damaged, for the pages are made without it; else list what is wrong."""
    found = list(all_faults(study))
    for stage, key, reason in found:
        print(f"{key}: {stage}: {reason}")
    if found:
        print("faults of the program or the machine; the same command does these scans again")
    results = Results(study)
    groups = [
        results.group(stage, name)
        for name in study.config["analyses"]
        for stage in ("sites", "bold")
    ]
    groups.append(results.multiverse())
    damaged = [one.damage() or one.damage(*one.names) for one in groups if one.exists]
    for text in filter(None, damaged):
        print(text)
    if found or any(damaged):
        return 1
    if not study.config.get("keep_intermediates", True):
        # In the place of Snakemake's own `temp`, which knows the outputs that it tracks: those are
        # manifests here, and the pages, made last, read nearly all that is large.
        prune.prune(study, prune.INTERMEDIATES)
    write_json(path, {"scans": len(study.scans), "sites": len(study.sites)})
    return 0


def all_faults(study: Study) -> Iterator[tuple[str, str, str]]:
    """(stage, key of the item, reason) of each fault, once, where it began."""
    seen: set[str] = set()
    for stage, path in _manifests(study):
        manifest = manifests.read(path)
        for key, reason in faults(manifest.entries if manifest else {}).items():
            if key not in seen:
                yield stage, key, reason
            seen.add(key)


def _manifests(study: Study) -> Iterator[tuple[str, Path]]:
    """Stage and path of each manifest, in the order of the chain."""
    for stage in STAGE_SETTINGS:
        for names in study.choices(stage):
            for job in study.jobs(stage):
                yield stage, study.manifest_path(stage, names, job)
    for analysis in study.config["analyses"]:
        for job in study.jobs("convert"):
            yield "report", study.results / analysis / "report" / "batches" / f"{job}.json"


def progress(study: Study, began: float) -> list[Progress]:
    """State of every stage; `began` is the time (s) of the run's start."""
    found = []
    for stage in STAGES:
        items = study.items(stage)
        choices = dict.fromkeys(
            tuple(choice[name] for name in STAGE_SETTINGS[stage])
            for choice in study.config["analyses"].values()
        )
        for key in choices:
            names = dict(zip(STAGE_SETTINGS[stage], key))
            done = new = 0
            lost = {"failed": defaultdict(list), "excluded": defaultdict(list)}
            for item in items:
                record_path = study.record_path(stage, names, item)
                if not record_path.exists():
                    continue
                done += 1
                new += record_path.stat().st_mtime >= began
                try:
                    record = read_record(record_path)
                except DataError as error:
                    lost["failed"][str(error)].append(item.key)
                    continue
                if record["status"] != "ok" and record["failed_at"] == stage:
                    lost["failed"][record["reason"]].append(item.key)
                elif stage in JUDGED and (reason := excluded(record, study.config["quality"])):
                    lost["excluded"][reason].append(item.key)
            if stage == "basis" and not done:
                continue  # bundles hold none
            found.append(
                Progress(
                    stage, "-".join(key), len(items), done, new, lost["failed"], lost["excluded"]
                )
            )
    return found


def text(study: Study, found: list[Progress], elapsed_s: float) -> str:
    """The state of a run as lines of text."""
    total, done, new = (
        sum(getattr(one, name) for one in found) for name in ("total", "done", "new")
    )
    lines = [
        f"{count(len(study.scans), 'scan')} at {count(len(study.sites), 'site')}; "
        f"{done} of {total} steps done"
    ]
    if new > 0 and done < total:
        lines[0] += f", about {duration(elapsed_s * (total - done) / new)} to go at this pace"
    for one in found:
        bar = "#" * round(20 * one.done / max(1, one.total))
        name = f"{one.stage} {one.names}".strip()
        failed, excluded = (sum(map(len, lost.values())) for lost in (one.failed, one.excluded))
        told = [f"{n} {word}" for n, word in ((failed, "failed"), (excluded, "excluded")) if n]
        line = f"  {name:<44.44} [{bar:<20}] {one.done}/{one.total}  {', '.join(told)}"
        lines.append(line.rstrip())
    for word in ("failed", "excluded"):
        reasons = [
            (one.stage, reason, keys)
            for one in found
            for reason, keys in getattr(one, word).items()
        ]
        if reasons:
            lines.append(f"{word}:")
        for stage, reason, keys in reasons:
            shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if keys[3:] else "")
            lines.append(f"  {shown}: {stage}: {reason}")
    if told := list(all_faults(study)):
        lines.append("faults of the program or the machine; the same command does these again:")
        lines += [f"  {key}: {stage}: {reason}" for stage, key, reason in told]
    for analysis in study.config["analyses"]:
        index = study.results / analysis / "report" / "index.html"
        if index.exists():
            lines.append(f"report: {index}")
    return "\n".join(lines)

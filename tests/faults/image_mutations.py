"""Mutated images (tissue maps, T1w, BOLD) and participants.tsv, and what each comes to.

As mutations.py does it for scans and sheets, with a stricter judge: a gzip file has a checksum, so
that an accident must never give another number; only an edited header in a file that is whole may,
which `fmrsflow verify` tells.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bold_fixture
import numpy as np
from chain_tools import write_config
from counts import Counts, Fault
from edits import mutated_copies
from mutations import HARMLESS, NO_RESULT, TIME_LIMIT_S, in_child, run_chain
from small_study import verified

from fmrsflow import cli
from fmrsflow.files import read_json, write_bytes
from fmrsflow.study import Study
from fmrsflow.tables import read_table, write_table

PLAN = """
name: images
description: One site, two people, short scans, for images
seed: 21
responses:
  Glu: {percent: 4.0}
design: {kind: blocks, task: visual, rest_s: 8, task_s: 8}
participants: {per_site: 2, spacing_mm: 5.0}
sites:
  - {name: alpha, vendor: Philips, field_t: 3.0, sequence: PRESS, te_s: 0.030, tr_s: 2.0,
     transients: 8, points: 512, snr_tcr: {mean: 30, sd: 1}, file_format: sdat,
     reference_format: sdat}
"""

MAPPED, SEGMENTED = "alpha/sub-01_task-visual", "alpha/sub-02_task-visual"


@dataclass(frozen=True)
class Target:
    """A file and what stands on it: the scan and the stages that read it."""

    name: str
    scan: str
    stages: tuple[str, ...]
    study: str = "images"


def mutated_images(n: int, work: Path, seed: int) -> Counts:
    """Mutate each kind of image and participants.tsv in turn, `n` times, and run what reads it.

    Parameters
    ----------
    n : int
    work : Path
        Folder for the studies, which are made there.
    seed : int
        Of places and values.
    """
    return Counts.of(_mutations(n, Path(work), np.random.default_rng(seed)))


def _mutations(n: int, work: Path, rng: np.random.Generator) -> Iterator[Fault]:
    targets = _targets(work)
    whole = {one: _results(work / one.study, one) for one in targets}
    files = [(work / one.study, one.name) for one in targets]
    for copy in mutated_copies(n, files, work / "mutation", rng):
        target = targets[copy.place]
        outcome, note = _outcome(
            copy.folder, work / target.study, target, copy.operation, whole[target]
        )
        yield Fault(copy.what, outcome, outcome in HARMLESS, note)


def _targets(work: Path) -> list[Target]:
    """The studies, converted, with every result of the unmutated files."""
    folder, data = work / "images", work / "images" / "data"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "plan.yaml").write_text(PLAN)
    assert cli.main(["demo", "--preset", str(folder / "plan.yaml"), str(data)]) == 0
    sheet = data / "config" / "scans.tsv"
    rows = read_table(sheet)
    for tissue in ("gm", "wm", "csf"):
        (path,) = (data / "truth").rglob(f"sub-01_*{tissue.upper()}*.nii.gz")
        rows[0][tissue] = str(path.relative_to(data))
    write_table(sheet, rows)
    write_config(folder)
    keys = (MAPPED, SEGMENTED)
    for stage, some in (("convert", keys), ("segment", keys[1:]), ("anatomy", keys)):
        for key in some:
            assert in_child(run_chain, folder, (stage,), key) == ""
    study = bold_fixture.make_study(work / "bold", bold_fixture.small_run(), connectivity=False)
    plain = {**study.config, "results": "results", "data_root": "data", "analyses": {}}
    text = Study(plain, study.sites, study.scans).save_text()
    write_bytes(work / "bold" / "results" / "study.json", text.encode())
    assert in_child(_bold, work / "bold", study.scans[0].key) == ""
    maps = [f"data/{rows[0][tissue]}" for tissue in ("gm", "wm")]
    return [
        *(Target(name, MAPPED, ("anatomy",)) for name in maps),
        Target(f"data/{rows[0]['t1w']}", MAPPED, ("anatomy",)),
        Target(f"data/{rows[1]['t1w']}", SEGMENTED, ("segment", "anatomy")),
        Target("data/bold.nii.gz", study.scans[0].key, ("bold",), "bold"),
        Target("data/config/participants.tsv", MAPPED, ("anatomy",)),
    ]


def _bold(folder: Path, key: str) -> str:
    """The stage of BOLD as a user's command line calls it; empty text, or what went wrong."""
    os.chdir(folder)
    code = cli.main(["bold", key])
    return f"bold ended with {code}\n{Path('said.txt').read_text()}" if code else ""


def _outcome(
    folder: Path, base: Path, target: Target, operation: str, whole: dict
) -> tuple[str, str]:
    if target.study == "bold":
        said = in_child(_bold, folder, target.scan)
    else:
        said = in_child(run_chain, folder, target.stages, target.scan)
    if said is None:
        return "hang", f"not ended after {TIME_LIMIT_S} s of CPU"
    if said.startswith("refused: "):
        named = Path(target.name).name in said
        return ("refused, the file named" if named else "refused without the file's name"), said
    if said:
        return "crash", said[-1500:]
    now = _results(folder, target)
    lost = [one for key, one in now.items() if one["status"] != whole[key]["status"]]
    if lost:
        reason = lost[0]["reason"]
        return f"scan failed with{'' if reason else 'out'} a reason", str(reason)
    told = [
        line
        for key, one in now.items()
        for line in one["warnings"]
        if line not in whole[key]["warnings"]
    ]
    if told:
        return "told by a warning", told[0]
    if target.name.endswith(".tsv"):
        new, old = (Study.load(one / "results" / "study.json") for one in (folder, base))
        if new.participants != old.participants:
            return "as the file now says, in the frozen study", ""
    if now == whole:
        return "same result", ""
    if operation == "edit" and target.name.endswith(".nii.gz"):
        # The results of the unmutated file, with the mutated one in its place.
        shutil.rmtree(folder / "results")
        shutil.copytree(base / "results", folder / "results")
        if str(folder / target.name) in [path for path, _ in verified(folder)]:
            return "as the file now says, told by verify", ""
    return "silent change", next(key for key in now if now[key] != whole[key])


def _results(folder: Path, target: Target) -> dict[str, dict]:
    """Records of the stages for the scan, with the digests of its files but without times."""
    stem = target.scan.partition("/")[2]
    found = {}
    for stage in target.stages:
        for path in sorted((folder / "results" / stage).rglob(f"{stem}_desc-{stage}_record.json")):
            record = read_json(path)
            kept = {key: one for key, one in record.items() if key not in NO_RESULT}
            found[stage] = kept | {"files": record["files"]}
    assert set(found) == set(target.stages)
    return found

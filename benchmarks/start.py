"""From any dataset to a run in one line: what `init`, `run` and `fmrsflow-bids` do with data.

Figures that ask for a program that is not installed, or for a part that is not built, are skipped
with the reason.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import release
from figure import ROOT, Figure, skipped

PLAN = """
name: forecast
description: Two sites, two people each, as the costs were not measured
seed: 18
responses: {{Glu: {{percent: 4.0}}}}
design: {{kind: blocks, task: visual, rest_s: 32, task_s: 32}}
participants: {{per_site: {people}, spacing_mm: 2.2}}
site_defaults: {{transients: {transients}, tr_s: 2.0, te_s: 0.035, points: 2048}}
sites:
  - {{name: north, vendor: Philips, field_t: 3.0, sequence: PRESS, file_format: sdat,
     reference_format: sdat}}
  - {{name: south, vendor: Siemens, field_t: 3.0, sequence: PRESS, coils: 8, protocol: own}}
"""

TREES = ("tests/unit/stages/test_init_from_data.py", "tests/unit/stages/test_init_whose.py")
VALIDATOR = "bids-validator-deno"
PUBLISHED = "tables that differ, a study and its published set"


def figures(quick: bool) -> Iterator[Figure]:
    """All figures; `quick` plans runs and makes none."""
    yield from _trees()
    with tempfile.TemporaryDirectory() as folder:
        yield from _runs(Path(folder), quick)
    yield from release.figures(quick)


def _trees() -> Iterator[Figure]:
    """The trees of the tests: public examples rebuilt, measured files where they are at hand, and
    invitations to take another's file."""
    for file, name in zip(
        TREES,
        (
            "trees of BIDS examples and vendor folders, rows wrong",
            "files of others given in silence, trees that invite it",
        ),
    ):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n0", file]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        told = re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)
        counts = Counter({word: int(times) for times, word in told})
        n, wrong = counts["passed"], counts["failed"] + counts["error"]
        reached = wrong == 0 and n > 0 and done.returncode == 0
        note = f"{n} tests passed of {file}"
        if counts["skipped"]:
            note += f", {counts['skipped']} skipped: the measured files are not here"
        yield Figure(name, wrong, "0", reached, note)


def _runs(folder: Path, quick: bool) -> Iterator[Figure]:
    """Two commands from each kind of folder; whole runs against their forecasts."""
    for people, transients, sites in (
        (2, 64, {"south": "--bids"}),
        (2, 64, {"north": "--files"}),
        (5, 128, {"south": "--bids", "north": "--files"}),
    ):
        place = folder / "-".join([*sites, str(people)])
        place.mkdir()
        (place / "plan.yaml").write_text(PLAN.format(people=people, transients=transients))
        if len(sites) > 1 and quick:
            continue
        _fmrsflow(place, "demo", "--preset", "plan.yaml", "data")
        for site, kind in sites.items():
            _fmrsflow(place, "init", "study", kind, f"data/{site}")
        ended, figures_ = _run(place, ", ".join(sites), quick)
        if len(sites) == 1:
            (kind,) = sites.values()
            what = "a BIDS dataset" if kind == "--bids" else "a folder of vendor files"
            note = "planned only" if quick else ""
            yield Figure(f"commands from {what} to the report", 2, "2, no editing", ended, note)
        yield from figures_
    if quick:
        yield skipped("forecast of CPU and space", "+- 20 %", "whole runs; without --quick")
    sets = {
        "synthetic set, NIfTI-MRS": "south-2/data/south",
        "synthetic set, SDAT": "north-2/data/north",
    }
    if quick:
        for name in ("bids-validator errors, results", "bids-validator errors, published set",
                     PUBLISHED):  # fmt: skip
            yield skipped(name, "0", "whole runs; without --quick")
    else:
        sets["results"] = "south-2/study/results"
        sets["published set"] = "set"
        _fmrsflow(folder / "south-north-5" / "study", "publish", str(folder / "set"))
    for name, path in sets.items():
        yield _validated(f"bids-validator errors, {name}", folder / path)
    if not quick:
        yield _read_back(folder)


def _read_back(folder: Path) -> Figure:
    """A published study, found again by `init` and run: its tables of scans against the study's."""
    before = folder / "south-2" / "study"
    _fmrsflow(before, "publish", str(folder / "one"))
    _fmrsflow(folder, "init", "again", "--bids", "one", "--site", "south")
    _fmrsflow(folder / "again", "check")
    _fmrsflow(folder, "run", "again", "--cores", "2", "--until", "response")
    names = [
        path.relative_to(before / "results")
        for stage in ("preprocess", "fit", "quantify", "response")
        for path in sorted((before / "results").glob(f"{stage}-*/**/*.tsv"))
    ]
    other = [
        name
        for name in names
        if not (own := folder / "again" / "results" / name).exists()
        or own.read_bytes() != (before / "results" / name).read_bytes()
    ]
    note = f"{len(names)} tables of spectra, fits, concentrations and responses"
    return Figure(PUBLISHED, len(other), "0", not other and len(names) > 0, note)


def _run(place: Path, name: str, quick: bool) -> tuple[bool, list[Figure]]:
    """Whether `fmrsflow run` of a study ends, and its cost over what was told before."""
    from fmrsflow.forecast import forecast, slowness
    from fmrsflow.sheets import read_config, read_study

    os.chdir(place / "study")
    foreseen = forecast(read_study(read_config("config/config.yaml")), slowness())
    os.chdir(ROOT)
    before = _children_s()
    _fmrsflow(place, "run", "study", *(("-n",) if quick else ("--cores", "2")))
    cpu_s = _children_s() - before
    if quick:
        return True, []
    results = place / "study" / "results"
    n_bytes = sum(one.stat().st_size for one in results.rglob("*") if one.is_file())
    found = []
    for quantity, got, told, unit in (
        ("CPU", cpu_s, foreseen.cpu_s, "s"),
        ("space", n_bytes / 1e6, foreseen.n_bytes / 1e6, "MB"),
    ):
        off = 100 * (told / got - 1)
        note = f"{told:.0f} {unit} told, {got:.0f} {unit} measured"
        what = f"forecast of {quantity}, {name}, % off"
        found.append(Figure(what, off, "+- 20", abs(off) <= 20, note))
    return (results / "main" / "report" / "index.html").exists(), found


def _validated(name: str, dataset: Path) -> Figure:
    """Errors that the validator of the standard finds."""
    import json

    if shutil.which(VALIDATOR) is None:
        return skipped(name, "0", f"{VALIDATOR} is not installed (pip install {VALIDATOR})")
    command = [VALIDATOR, str(dataset), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [one for one in issues if one["severity"] == "error"]
    return Figure(name, len(errors), "0", not errors, ", ".join({one["code"] for one in errors}))


def _fmrsflow(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fmrsflow", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

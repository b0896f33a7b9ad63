"""The cost of a scan from the vendor's file to its page, by stage, and how much of it is science.

Twenty scans of the demo's kind (its four sites, five people each) go through each stage in one
batch, as `fmrsflow STAGE` of all of them. CPU seconds a scan: of the whole process, start and
imports included, over the number of scans. Science: what `process` takes for a scan less reading
inputs, and writing and checking results; imports fall on the first scan, which therefore counts as
the median of the others where it took longer. Reading vendor files is the science of `convert`;
pages are none.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import yaml

from figure import Figure

ROOT = Path(__file__).resolve().parents[1]
PER_SITE = 5

STAGES = ("convert", "segment", "anatomy", "preprocess", "fit", "quantify", "response", "report")
NO_SCIENCE = ("report",)

READING = {
    "fmrsflow.edge.Job": (
        *("source", "beside", "image", "events", "record", "earlier", "fids", "table", "arrays"),
        *("basis", "save", "finish", "check_sources"),
    ),
    "fmrsflow.results.Output": (
        *("path", "content", "table", "arrays", "json", "image", "fids", "basis"),
    ),
    "nibabel.dataobj_images.DataobjImage": ("get_fdata",),
}
"""What reads, writes and checks, by class."""


def cost(folder: Path) -> Iterator[Figure]:
    """CPU seconds a scan of each stage, their sum, and the share of science."""
    study = _study(folder)
    total = science = 0.0
    for stage in STAGES:
        if stage == "report":
            _command(folder, "sites", "--study", str(study), "main")
        cpu, work = _stage(folder, study, stage)
        total, science = total + cpu, science + work
        note = f"{100 * work / cpu:.0f} % science" if stage not in NO_SCIENCE else "no science"
        yield Figure(f"CPU s a scan, batch of 20, {stage}", cpu, "reported", True, note)
    yield Figure("vendor file to page, CPU s a scan", total, "<= 3", total <= 3)
    share = 100 * science / total
    yield Figure("science of it, %", share, ">= 70", share >= 70)


def help_cost() -> Iterator[Figure]:
    """CPU and wall time of `fmrsflow fit --help`, the least of five calls."""
    command = [sys.executable, "-m", "fmrsflow", "fit", "--help"]
    cpus, walls = [], []
    for _ in range(5):
        start, before = time.monotonic(), _children_s()
        subprocess.run(command, check=True, capture_output=True)
        cpus.append(_children_s() - before)
        walls.append(time.monotonic() - start)
    yield Figure("`fmrsflow fit --help`, CPU s", min(cpus), "<= 0.3", min(cpus) <= 0.3)
    yield Figure("`fmrsflow fit --help`, wall s", min(walls), "<= 0.4", min(walls) <= 0.4)


def _study(folder: Path) -> Path:
    """Data, sheets and basis sets of the study; its study.json."""
    from fmrsflow.sheets import read_study
    from fmrsflow.synthetic import plan

    preset = Path(plan.__file__).parent / "presets" / "demo.yaml"
    people = yaml.safe_load(preset.read_text())
    people["participants"]["per_site"] = PER_SITE
    (folder / "plan.yaml").write_text(yaml.safe_dump(people))
    _command(folder, "demo", "--preset", "plan.yaml", "demo")
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config |= {f"{name}_sheet": f"demo/config/{name}.tsv" for name in ("sites", "scans")}
    config |= {"synthetic": None, "participants_sheet": None, "primary": "main"}
    config["analyses"] = {"main": config["analyses"]["main"]}
    (folder / "results").mkdir()
    there = Path.cwd()
    os.chdir(folder)  # paths of a configuration are relative to the study
    try:
        study = read_study(config)
    finally:
        os.chdir(there)
    path = folder / "results" / "study.json"
    path.write_text(study.save_text())
    _command(folder, "basis", "--study", str(path), "simulated", *study.sites)
    return path


def _command(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "fmrsflow", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])


def _stage(folder: Path, path: Path, stage: str) -> tuple[float, float]:
    """CPU seconds a scan of a stage, and those of its science."""
    from fmrsflow.study import STAGE_SETTINGS, Study

    study = Study.load(path)
    names = study.config["analyses"]["main"]
    settings = (
        ["main"] if stage == "report" else ["-".join(names[s] for s in STAGE_SETTINGS[stage])]
    )
    keys = [item.key for item in study.items("convert" if stage == "report" else stage)]
    arguments = ["--study", str(path), *filter(None, settings), *keys]
    before = _children_s()
    done = subprocess.run(
        [sys.executable, __file__, stage, *arguments], cwd=folder, capture_output=True, text=True
    )
    cpu = _children_s() - before
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    scans = json.loads(done.stdout.splitlines()[-1])
    work = 0.0
    if stage not in NO_SCIENCE:
        work = min(scans[0], median(scans[1:])) + sum(scans[1:])
    return cpu / len(keys), work / len(keys)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _own_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + _children_s()


class _Clock:
    """CPU seconds in functions that read or write, each counted once however they are nested."""

    def __init__(self):
        self.total, self.depth = 0.0, 0

    def around(self, function):
        """The function, timed."""

        def timed(*arguments, **named):
            self.depth += 1
            start = _own_s()
            try:
                return function(*arguments, **named)
            finally:
                self.depth -= 1
                if not self.depth:
                    self.total += _own_s() - start

        return timed


def _measure(stage: str, argv: list[str]) -> None:
    """Run a stage in this process; print the CPU seconds of science of each scan as JSON."""
    from importlib import import_module

    from fmrsflow import arithmetic

    arithmetic.fix()
    clock, scans = _Clock(), []
    module = import_module(f"fmrsflow.stages.{stage}")
    if stage != "report":
        from fmrsflow import batch

        for name, methods in READING.items():
            place, _, owner = name.rpartition(".")
            owner = getattr(import_module(place), owner)
            for method in methods:
                setattr(owner, method, clock.around(getattr(owner, method)))

        def process(job):
            start, read = _own_s(), clock.total
            try:
                return module.process(job)
            finally:
                scans.append(_own_s() - start - (clock.total - read))

        module.main = batch.stage_main(stage, process)
    code = module.main(argv)
    print(json.dumps(scans))
    sys.exit(code)


if __name__ == "__main__":
    _measure(sys.argv[1], sys.argv[2:])

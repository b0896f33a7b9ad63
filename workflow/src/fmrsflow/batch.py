"""A stage over a batch of scans: `stage_main` makes a command of a stage's `process(job)`, so that
one bad scan never stops another."""

from __future__ import annotations

import argparse
import resource
import sys
import traceback
from collections.abc import Callable, Iterable

from fmrsflow.edge import FailedBefore, InputChanged, Job
from fmrsflow.errors import DataError, Unwritable
from fmrsflow.study import STAGE_SETTINGS, Study


def run_job(job: Job, process: Callable[[Job], dict]) -> None:
    """Run a stage for one scan and write its record; expected failures become its status."""
    try:
        body = process(job)
    except FailedBefore as failure:
        job.finish("failed", str(failure), failure.stage, {})
    except DataError as failure:
        job.finish("failed", " ".join(str(failure).split()), job.stage, {})
        print(f"{job.item.key}: {job.stage}: {failure}", file=sys.stderr)
    else:
        status = "excluded" if job.excluded else "ok"
        job.finish(status, job.excluded, job.stage if job.excluded else None, body)


def run_jobs(jobs: Iterable[Job], process: Callable[[Job], dict]) -> int:
    """Run a stage for each job; exit code 1 where the program itself failed for any of them."""
    faults = 0
    done = []
    for job in jobs:
        before = _cpu_s()
        try:
            run_job(job, process)
            done.append(job)
        except (InputChanged, Unwritable) as error:
            faults += 1
            print(f"{job.item.key}: {job.stage}: {error}", file=sys.stderr)
        except Exception:  # the other scans of the batch go on; the job fails loudly below
            faults += 1
            print(f"{job.item.key}: {job.stage}: a fault of the program:", file=sys.stderr)
            traceback.print_exc()
        print(f"{job.item.key}: {job.stage}: cpu_s {_cpu_s() - before:.3f}", file=sys.stderr)
    for job in done:
        # Snakemake dates all records of a batch at its end: one of an input that was replaced
        # since it was read would then look newer than that input, and never be made again.
        try:
            job.check_sources()
        except InputChanged as change:
            faults += 1
            job.record_path.unlink()
            print(f"{job.item.key}: {job.stage}: {change}", file=sys.stderr)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"job: cpu_s {_cpu_s():.3f} peak_mb {peak_mb:.0f}", file=sys.stderr)
    return 1 if faults else 0


def _cpu_s() -> float:
    """CPU seconds of this process and of those that it started and that ended, so far."""
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in own)


def stage_main(stage: str, process: Callable[[Job], dict]) -> Callable[[list[str]], int]:
    """The command of a stage: `fmrsflow STAGE [--study FILE] [NAMES] KEY...`."""

    def main(argv: list[str]) -> int:
        parser = argparse.ArgumentParser(prog=f"fmrsflow {stage}")
        parser.add_argument("--study", default="results/study.json", help="the frozen study")
        settings = STAGE_SETTINGS[stage]
        if settings:
            parser.add_argument("names", help=f"named settings: {'-'.join(settings)}")
        parser.add_argument("keys", nargs="+", help="scans, as site/sub-..[_ses-..][_task-..]..")
        arguments = parser.parse_args(argv)
        study = Study.load(arguments.study)
        names = dict(zip(settings, arguments.names.split("-"))) if settings else {}
        items = {unit.key: unit for unit in study.units()} if stage == "response" else None
        jobs = (
            Job(stage, study, items[key] if items else study.scan(key), names)
            for key in arguments.keys
        )
        return run_jobs(jobs, process)

    return main

"""A stage over a batch of scans: `stage_main` makes a command of a stage's `process(job)`, so that
one bad scan never stops another.

Data that cannot be processed give a record with `status: failed`. A fault of the program or the
machine gives none: the manifest of the batch lists it, the next run does that scan again, and the
last job of a run fails while there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TextIO

from fmrsflow import manifests
from fmrsflow.edge import FailedBefore, InputChanged, Job
from fmrsflow.errors import Damaged, DataError, Unreachable, Unwritable, machine_fault
from fmrsflow.files import file_digest, write_json
from fmrsflow.manifests import Entry, Manifest
from fmrsflow.remake import with_pruned
from fmrsflow.results import read_record
from fmrsflow.study import PATH_COLUMNS, STAGE_SETTINGS, Scan, Study, study_option

Process = Callable[[Job], dict]


def run_job(job: Job, process: Process) -> None:
    """Run a stage for one scan and write its record; expected failures become its status."""
    try:
        body = with_pruned(job.study, lambda: job.anew(process))
    except FailedBefore as failure:
        job.finish("failed", str(failure), failure.stage, {})
    except Damaged:
        raise  # by run_jobs: a fault
    except Unreachable as failure:
        root = job.study.data_root
        job.asked |= {os.path.relpath(path, root) for path in failure.paths}
        _failed(job, failure)
    except DataError as failure:
        _failed(job, failure)
    else:
        job.finish("ok", None, None, body)


def _failed(job: Job, failure: DataError) -> None:
    job.finish("failed", _with_file(job, " ".join(str(failure).split())), job.stage, {})
    print(f"{job.item.key}: {job.stage}: {job.said(str(failure))}", file=sys.stderr)


def _with_file(job: Job, reason: str) -> str:
    """A reason that names no file of its scan, with the name of the scan's file before it."""
    if not isinstance(job.item, Scan):
        return reason
    names = [PurePath(name).name for column in PATH_COLUMNS for name in job.item.files(column)]
    # Without its ending: beside an SDAT lies a SPAR.
    told = any(name.partition(".")[0] in reason for name in names)
    return reason if told else f"{names[0]}: {reason}"


def run_jobs(jobs: Iterable[Job], process: Process) -> dict[str, Entry]:
    """Run a stage for each job; what each left, by the key of its item."""
    entries: dict[str, Entry] = {}
    done = []
    for job in jobs:
        before = _cpu_s()
        with redirect_stderr(Log(sys.stderr, job)):
            try:
                run_job(job, process)
                done.append(job)
            except Exception as error:  # the other scans of the batch go on
                entries[job.item.key] = _fault(job, error)
        print(f"{job.item.key}: {job.stage}: cpu_s {_cpu_s() - before:.3f}", file=sys.stderr)
    for job in done:
        # The manifest is dated at the end of the batch: one input that was replaced since it was
        # read would look older than the manifest, and never be read again.
        try:
            job.check_sources()
            entries[job.item.key] = _entry(job)
        except Exception as error:
            with redirect_stderr(Log(sys.stderr, job)):
                entries[job.item.key] = _fault(job, error)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"job: cpu_s {_cpu_s():.3f} peak_mb {peak_mb:.0f}", file=sys.stderr)
    return entries


class Log:
    """A stream that what a scan's job prints goes through on its way to the log, names of the
    scan's files taken out."""

    def __init__(self, stream: TextIO, job: Job):
        self._stream, self._job = stream, job

    def write(self, text: str) -> int:
        """Write a text without these names."""
        return self._stream.write(self._job.said(text) if text.strip() else text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


def _fault(job: Job, error: Exception) -> Entry:
    """A fault; an old record goes, since later stages would take it for today's."""
    try:
        job.record_path.unlink(missing_ok=True)
    except IsADirectoryError:
        pass  # no later stage takes a folder for a record
    except OSError as refused:
        raise Unwritable(job.record_path, refused) from refused
    entry = fault(job.item.key, job.stage, error)
    return replace(entry, reason=entry.reason and job.said(entry.reason))


def fault(key: str, stage: str, error: Exception) -> Entry:
    """Report a fault of the program or the machine in the log."""
    error = machine_fault(error) or error
    known = isinstance(error, InputChanged | Damaged | OSError)
    reason = " ".join(str(error).split()) if known else f"a fault of the program: {_place(error)}"
    print(f"{key}: {stage}: {reason}", file=sys.stderr)
    if not known:
        traceback.print_exception(error)
    return Entry("fault", reason)


def _place(error: Exception) -> str:
    """Kind of an exception and where it was raised; its text may quote a header."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if "fmrsflow" in Path(one.filename).parts] or frames
    at = f" at {'/'.join(Path(own[-1].filename).parts[-2:])}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}{at}; the job's log has the whole"


def faults(entries: dict[str, Entry]) -> dict[str, str]:
    """Key -> reason of each fault."""
    return {key: entry.reason or "" for key, entry in entries.items() if entry.status == "fault"}


def _entry(job: Job) -> Entry:
    study, folder = job.study, job.record_path.parent
    record = read_record(job.record_path)
    paths = [job.record_path, *(folder / name for name in record["files"])]
    return Entry(
        record["status"],
        record["reason"],
        {str(path.relative_to(study.results)): manifests.state(path)[:2] for path in paths},
        {name: manifests.state(study.data_root / name) for name in sorted(job.asked)},
    )


def files_as_they_were(entry: Entry, study: Study) -> bool:
    """Whether the files of an item and those that it was read from are as they were."""
    return all(
        manifests.state(study.results / name)[:2] == state
        for name, state in entry.kept(study.results).items()
    ) and all(
        manifests.state(study.data_root / name) == state for name, state in entry.sources.items()
    )


def _as_it_was(entry: Entry, study: Study) -> bool:
    """The same, and the records that it was made from are those of today."""
    if not files_as_they_were(entry, study):
        return False
    (record,) = (name for name in entry.files if name.endswith("_record.json"))
    inputs = read_record(study.results / record)["inputs"]
    earlier = {name: digest for name, digest in inputs.items() if name.endswith("_record.json")}
    return all(
        (study.results / name).is_file() and file_digest(study.results / name) == digest
        for name, digest in earlier.items()
    )


def write_manifest(
    arguments: argparse.Namespace,
    head: Manifest,
    keys: list[str],
    run: Callable[[list[str]], dict[str, Entry]],
    as_it_was: Callable[[Entry], bool],
) -> None:
    """Run a batch and write its manifest; of a repetition only the items that need it.

    Parameters
    ----------
    arguments : Namespace
        `manifest`, `request` and `again` of the command line (`add_manifest_options`).
    head : Manifest
        Stage, names and job.
    keys : list of str
        Items of the batch.
    run : callable
        Runs these items; gives what each left.
    as_it_was : callable
        Whether nothing that an item was made from, or left, has changed.
    """
    before, again = manifests.read(arguments.manifest), arguments.again
    kept: dict[str, Entry] = {}
    if before and again and before.request == arguments.request and before.again != again:
        others = set(keys) - set(again.split()[1:])
        done = {key: entry for key, entry in before.entries.items() if entry.status != "fault"}
        kept = {key: done[key] for key in others & set(done) if as_it_was(done[key])}
    found = kept | run([key for key in keys if key not in kept])
    head.request, head.again = arguments.request, again
    head.entries = {key: found[key] for key in keys}
    write_json(arguments.manifest, head.to_json())


def request_digest(*content) -> str:
    """Digest of what a rule asks of a stage: anything that JSON knows."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _cpu_s() -> float:
    """CPU seconds of this process and of those that it started and that ended, so far."""
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in own)


def stage_parser(stage: str) -> argparse.ArgumentParser:
    """Command line of a stage: `fmrsflow STAGE [--study FILE] [NAMES] KEY...`."""
    parser = argparse.ArgumentParser(prog=f"fmrsflow {stage}")
    study_option(parser)
    add_manifest_options(parser)
    if settings := STAGE_SETTINGS[stage]:
        parser.add_argument("names", help=f"named settings: {'-'.join(settings)}")
    what = "sites" if stage == "basis" else "scans, as site/sub-..[_ses-..][_task-..].."
    parser.add_argument("keys", nargs="+", help=what)
    return parser


def add_manifest_options(parser: argparse.ArgumentParser) -> None:
    """Options that the rules give (rules/common.smk)."""
    parser.add_argument("--manifest", type=Path, help="manifest to write, for the workflow")
    parser.add_argument("--request", default="", help="digest of what is asked for")
    parser.add_argument("--again", default="", help="number of the repetition and its items")


def stage_jobs(stage: str, arguments: argparse.Namespace) -> list[Job]:
    """The jobs that a command line of `stage_parser` names."""
    study = Study.load(arguments.study)
    names = study.choice(stage, arguments.names) if STAGE_SETTINGS[stage] else {}
    return [Job(stage, study, item, names) for item in study.named(stage, arguments.keys)]


def stage_main(stage: str, process: Process) -> Callable[[list[str]], int]:
    """The command of a stage; its exit code is 1 where a scan ended in a fault and no manifest
    is there to say so."""

    def main(argv: list[str]) -> int:
        """Run the stage for the items that a command line names; its exit code."""
        arguments = stage_parser(stage).parse_args(argv)
        jobs = {job.item.key: job for job in stage_jobs(stage, arguments)}
        if not arguments.manifest:
            return 1 if faults(run_jobs(jobs.values(), process)) else 0
        first = next(iter(jobs.values()))
        write_manifest(
            arguments,
            Manifest(stage, "-".join(first.names.values()), arguments.manifest.stem),
            list(jobs),
            lambda keys: run_jobs((jobs[key] for key in keys), process),
            lambda entry: _as_it_was(entry, first.study),
        )
        return 0

    return main

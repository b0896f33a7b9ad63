"""The quiet log of a run: a line a stage, with counts and the time left; errors come in full.

Snakemake prints ten lines for every job. It does so through `logging`, with the kind of event as
an attribute of each record, so a filter on its handler for the screen is all that is needed. The
complete log goes to .snakemake/log as ever.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter

from fmrsflow import manifests
from fmrsflow.study import STAGE_SETTINGS, Study
from fmrsflow.words import count, duration

LONG = 20
"""Jobs of a stage above which each tenth of them gives a line."""


class StageLines(logging.Filter):
    """Holds back what Snakemake says of single jobs, and prints a line where a stage is done.

    Parameters
    ----------
    study : Study
        Its manifests give the counts.
    """

    def __init__(self, study: Study):
        super().__init__()
        self.study = study
        self.rules: dict[int, str] = {}
        self.total: dict[str, int] = {}
        self.done: Counter[str] = Counter()
        self.start = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether Snakemake prints this record itself."""
        event = str(getattr(record, "event", None) or "")
        if event == "run_info":
            self.total = {rule: n for rule, n in record.stats.items() if rule != "total"}
            jobs = count(sum(self.total.values()), "job")
            print(f"{count(len(self.study.scans), 'scan')}, {jobs}", file=sys.stderr)
        elif event == "job_info":
            self.rules[record.jobid] = record.rule_name
        elif event == "job_finished":
            self._finished(self.rules.get(record.job_id, ""))
        return record.levelno >= logging.WARNING or record.getMessage().startswith(
            ("Nothing to be done", "Complete log")
        )

    def _finished(self, rule: str) -> None:
        self.done[rule] += 1
        done, total = self.done[rule], self.total.get(rule, 0)
        tenth = total > LONG and 10 * done // total > 10 * (done - 1) // total
        if rule.startswith("all") or rule in ("", "file", "page") or (done != total and not tenth):
            return
        jobs, n_jobs = sum(self.done.values()), sum(self.total.values())
        left_s = (time.monotonic() - self.start) * (n_jobs - jobs) / jobs
        left = f", about {duration(left_s)} left" if jobs < n_jobs else ""
        counts = f"{done} of {total} jobs" if done < total else self._items(rule)
        print(f"{rule}: {counts} ({jobs} of {n_jobs} jobs{left})", file=sys.stderr, flush=True)

    def _items(self, stage: str) -> str:
        """What a stage made of its scans, over all analyses."""
        if stage not in STAGE_SETTINGS:
            return "done"
        states: Counter[str] = Counter()
        for names in self.study.choices(stage):
            for job in self.study.jobs(stage):
                if found := manifests.read(self.study.manifest_path(stage, names, job)):
                    states.update(entry.status for entry in found.entries.values())
        lost = [f"{states[kind]} {kind}" for kind in ("failed", "fault") if states[kind]]
        noun = {"basis": "basis set", "response": "response"}.get(stage, "scan")
        return ", ".join([count(states.total(), noun), *lost])


def attach(logger: logging.Logger, study: Study) -> None:
    """Make the log on the screen quiet."""
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(StageLines(study))

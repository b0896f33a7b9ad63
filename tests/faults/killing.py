"""Kill -9 at random moments of a run, and what the same command makes of it afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from chain_tools import snakemake
from counts import Counts, Fault
from small_study import difference, finished_study, fresh_copy, jobs_of, started

MOST_MISSED = 10
"""Runs that may end before they are killed; more say that nothing is found to kill."""

VICTIMS = ("a job", "Snakemake alone", "Snakemake and its jobs")
"""What is killed, in turn. Jobs of a Snakemake killed alone go on and write."""


def kills(n: int, work: Path, seed: int, per_run: int = 1) -> Counts:
    """Kill runs `n` times, resume each and compare what comes of it.

    Parameters
    ----------
    n : int
    work : Path
        Folder for the studies; the undisturbed run is made there once.
    seed : int
        Of the moments.
    per_run : int
        Kills of one run, one after the other, before it may end.

    Returns
    -------
    Counts
        Outcomes: `same bytes` (harmless), `scans lost`, `other bytes`, `half files`, `not resumed`.
    """
    return Counts.of(_kills(n, Path(work), np.random.default_rng(seed), per_run))


def _kills(n: int, work: Path, rng: np.random.Generator, per_run: int) -> Iterator[Fault]:
    base, length_s = finished_study(work)
    # Snakemake parses for the first seconds: nothing runs then that could be harmed.
    low, high = 0.15 * length_s, 0.9 * length_s / per_run
    done = missed = 0
    while done < n:
        folder = fresh_copy(base, work / f"kill-{done}")
        told: list[str] = []
        while len(told) < min(per_run, n - done):
            victim = VICTIMS[(done + len(told)) % len(VICTIMS)]
            if told:
                snakemake(folder, "--unlock")
            moment_s = _kill(folder, victim, rng.uniform(low, max(low, high)))
            if moment_s is None:  # it ended before
                break
            told.append(f"{victim} killed after {moment_s:.1f} of {length_s:.1f} s")
        if told:
            done += len(told)
            outcome, note = _resumed(folder, base)
            for what in told:
                yield Fault(what, outcome or "same bytes", not outcome, note)
        else:
            missed += 1
            assert missed < MOST_MISSED, "every run ended before it could be killed"
        shutil.rmtree(folder)


def _kill(folder: Path, victim: str, moment_s: float) -> float | None:
    """Start a run, kill; seconds after which, or None where the run ended before."""
    start = time.monotonic()
    with started(folder) as run:
        while time.monotonic() - start < moment_s and run.poll() is None:
            time.sleep(0.02)
        while run.poll() is None:
            if victim == VICTIMS[0]:
                jobs = jobs_of(folder)
                if not jobs:
                    time.sleep(0.01)
                    continue
                try:
                    os.kill(jobs[0], signal.SIGKILL)
                except ProcessLookupError:
                    continue
                # The others go on (--keep-going); Snakemake ends by itself and tells the failure.
                run.wait()
            elif victim == VICTIMS[1]:
                run.kill()
            else:
                os.killpg(run.pid, signal.SIGKILL)
            return time.monotonic() - start
    return None


def _resumed(folder: Path, base: Path) -> tuple[str, str]:
    """What docs/scale.md tells a user to do, and how the results then compare."""
    try:
        snakemake(folder, "--unlock")
        snakemake(folder, "--cores", "2")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return "not resumed", str(error)[-2000:]
    while jobs_of(folder):  # those of a Snakemake killed alone
        time.sleep(0.1)
    return difference(folder, base)

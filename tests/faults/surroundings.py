"""What befalls a run from outside: a full or read-only disk, an input replaced, two runs at once,
a clock that jumps. Each function breaks one run, does what docs/scale.md says, and compares."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chain_tools import command, environment, snakemake
from counts import Counts, Fault
from small_study import difference, finished_study, fresh_copy, jobs_of, started, verified

from fmrsflow.files import file_digest

DAY_S = 86_400
CONVERTED = "results/convert/alpha/sub-01/mrs/sub-01_task-visual_desc-convert_record.json"
"""The first batch alone, where the rest of the chain would add nothing to a fault."""

JUMPS = (("results", -1), ("results", 1), ("data", -1), ("data", 1))
"""Part of the study and days by which the times of its files jump."""


class Unavailable(Exception):
    """This machine cannot make that fault; the text says why."""


def outside(work: Path) -> Counts:
    """Every fault of this module once; without root those that need a mount are left out."""
    found = []
    for make in (full_disk, read_only, input_replaced, two_runs):
        try:
            found.append(make(work))
        except Unavailable:
            continue
    return Counts.of([*found, *clock(work)])


def full_disk(work: Path) -> Fault:
    """A disk that fills up in the middle of a run, `.snakemake` on it too, and is enlarged."""
    base, _ = finished_study(work)
    results, data = (_bytes(base / part) for part in ("results", "data"))
    folder = work / "full-disk"
    with mounted(folder, data + results // 3):
        fresh_copy(base, folder / "study")
        code, said = run(folder / "study")
        told = verified(folder / "study") if _frozen(folder / "study") else []
        # A record that was never written is no half file.
        half = [one for one in told if not one[0].endswith("record.json") or Path(one[0]).exists()]
        # In our words, or in Snakemake's where its own files were the first that had no room.
        if code == 0 or "No space left on device" not in said:
            return Fault("disk full", "not told", False, said[-1500:])
        if half:
            return Fault("disk full", "half files", False, str(half[:3]))
        remount(folder, f"size={data + 10 * results}")
        code, said = run(folder / "study")
        if code:
            return Fault("disk full", "not resumed", False, said[-1500:])
        return _compared("disk full", folder / "study", base)


def read_only(work: Path) -> Fault:
    """Results on a disk that may only be read, then written."""
    base, _ = finished_study(work)
    folder = fresh_copy(base, work / "read-only")
    with mounted(folder / "results", 4 * _bytes(base / "results")):
        remount(folder / "results", "ro")
        code, said = run(folder)
        if code == 0 or "cannot be written (Read-only file system)" not in said:
            return Fault("results read-only", "not told", False, said[-1500:])
        if "Traceback" in said or os.listdir(folder / "results"):
            return Fault("results read-only", "half files", False, said[-1500:])
        remount(folder / "results", "rw")
        code, said = run(folder, CONVERTED)
        same = code == 0 and _converted(folder) == _converted(base)
        outcome = "same bytes" if same else "not resumed"
        return Fault("results read-only", outcome, same, "" if same else said[-1500:])


def input_replaced(work: Path) -> Fault:
    """A scan's file replaced by another measurement while the job that read it still runs.

    Either the job tells, or verify does after the run; the next run is of the new file.
    """
    what = "input replaced during the run"
    base, _ = finished_study(work)
    folder = fresh_copy(base, work / "replaced")
    place = "data/alpha/{0}/mrs/{0}_task-visual_svs.SDAT"
    first, second = (folder / place.format(who) for who in ("sub-01", "sub-02"))
    with started(folder, CONVERTED) as going:
        while going.poll() is None and not (folder / CONVERTED).exists():
            time.sleep(0.002)
        # Whole at once, as a careful copy does it; the other person's but for the last digit, since
        # one content under two names is an error of the sheet.
        content = second.read_bytes()
        first.with_suffix(".new").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.replace(first.with_suffix(".new"), first)
    said = (folder / "run.log").read_text()
    told = "was changed while it was read" in said
    kept = (folder / CONVERTED).exists()
    if kept and (str(first), "source changed since convert read it") not in verified(folder):
        return Fault(what, "not told", False, said[-1500:])
    if not kept and not told:
        return Fault(what, "not told", False, said[-1500:])
    if kept:
        first.touch()  # what docs/scale.md says to do with a file that verify names
    snakemake(folder, "--cores", "2", CONVERTED)
    wanted = fresh_copy(folder, work / "replaced-before")
    snakemake(wanted, "--cores", "2", CONVERTED)
    same = _converted(folder) == _converted(wanted) != _converted(base)
    note = "told by verify" if kept else "told by the job"
    return Fault(what, "bytes of the new input" if same else "other bytes", same, note)


def two_runs(work: Path) -> Fault:
    """A second run in the folder of one that goes on."""
    base, _ = finished_study(work)
    folder = fresh_copy(base, work / "two-runs")
    with started(folder, CONVERTED) as first:
        while first.poll() is None and not jobs_of(folder):
            time.sleep(0.02)
        os.kill(first.pid, signal.SIGSTOP)  # so that it goes on for as long as the second needs
        try:
            code, said = run(folder, CONVERTED)
        finally:
            os.kill(first.pid, signal.SIGCONT)
        first.wait()
    if code == 0 or "another run writes into" not in said:
        return Fault("two runs at once", "not told", False, said[-1500:])
    same = first.returncode == 0 and _converted(folder) == _converted(base)
    return Fault("two runs at once", "same bytes" if same else "first harmed", same)


def clock(work: Path, jumps=JUMPS) -> Iterator[Fault]:
    """Times of results or inputs a day back or ahead (`jumps`); a finished run is called again.

    Only the clock jumped, no file changed: whatever runs again must give the same bytes. Inputs of
    tomorrow are refused by Snakemake as a skew of clocks; they are touched then, as the docs say.
    """
    base, _ = finished_study(work)
    for part, days in jumps:
        folder = work / "clock"
        shutil.copytree(base, folder, symlinks=True)
        for path in (folder / part).rglob("*"):
            then = path.stat().st_mtime + days * DAY_S
            os.utime(path, (then, then))
        what, note = f"clock: {part} {days:+d} day", ""
        code, said = run(folder, CONVERTED)
        if code and "clock skew" in said:
            note = "told as clock skew, touched"
            for path in (folder / part).rglob("*"):
                path.touch()
            code, said = run(folder, CONVERTED)
        same = code == 0 and _converted(folder) == _converted(base)
        note = note if same else said[-1500:]
        yield Fault(what, "same bytes" if same else "not resumed", same, note)
        shutil.rmtree(folder)


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and words of a run that may fail."""
    done = subprocess.run(
        command(folder, "--cores", "2", *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def mounted(folder: Path, n_bytes: int):
    """A tmpfs of that size on a folder, which is made; taken away afterwards.

    Raises
    ------
    Unavailable
        Not root, or mounting is forbidden.
    """
    if os.geteuid() != 0:
        raise Unavailable("mounting a tmpfs needs root")
    folder.mkdir(exist_ok=True)
    options = ["-o", f"size={n_bytes}"]
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise Unavailable(f"mounting a tmpfs is forbidden here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change the size or the leave to write of a mounted folder."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def _compared(what: str, folder: Path, base: Path) -> Fault:
    outcome, note = difference(folder, base)
    return Fault(what, outcome or "same bytes", not outcome, note)


def _converted(folder: Path) -> dict[str, str]:
    """Digests of the FIDs that the convert stage wrote."""
    root = folder / "results" / "convert"
    return {str(path.relative_to(root)): file_digest(path) for path in root.rglob("*.nii.gz")}


def _frozen(folder: Path) -> bool:
    return (folder / "results" / "study.json").exists()


def _bytes(folder: Path) -> int:
    """Size on a tmpfs: whole pages."""
    return sum(-(-one.stat().st_size // 4096) * 4096 for one in folder.rglob("*") if one.is_file())

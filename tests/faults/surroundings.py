"""What befalls a run from outside: a full or read-only disk, an input replaced, two runs at once,
a clock that jumps. Each function breaks one run, does what docs/scale.md says, and compares."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chain_tools import command, environment, snakemake, tables
from counts import Fault
from small_study import difference, finished_study, fresh_copy, jobs_of, started, verified

DAY_S = 86_400


class Unavailable(Exception):
    """This machine cannot make that fault; the text says why."""


def full_disk(work: Path) -> Fault:
    """A disk that fills up in the middle of a run, `.snakemake` on it too, and is enlarged."""
    base, _ = finished_study(work)
    results, data = (_bytes(base / part) for part in ("results", "data"))
    folder = work / "full-disk"
    with mounted(folder, data + results // 3):
        fresh_copy(base, folder / "study")
        code, said = run(folder / "study")
        half = verified(folder / "study") if _frozen(folder / "study") else []
        if code == 0 or "No space left on device" not in said or "make room" not in said:
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
        if code == 0 or "study.json cannot be written (Read-only file system)" not in said:
            return Fault("results read-only", "not told", False, said[-1500:])
        if "Traceback" in said or os.listdir(folder / "results"):
            return Fault("results read-only", "half files", False, said[-1500:])
        remount(folder / "results", "rw")
        code, said = run(folder)
        if code:
            return Fault("results read-only", "not resumed", False, said[-1500:])
        return _compared("results read-only", folder, base)


def input_replaced(work: Path) -> Fault:
    """A scan's file replaced by another person's after it was converted, before the run ends."""
    what = "input replaced during the run"
    base, _ = finished_study(work)
    folder = fresh_copy(base, work / "replaced")
    mrs = folder / "data" / "alpha" / "{0}" / "mrs" / "{0}_task-visual_svs.SDAT"
    first, second = (Path(str(mrs).format(who)) for who in ("sub-01", "sub-02"))
    records = folder / "results" / "convert"
    with started(folder) as going:
        while going.poll() is None and not list(records.rglob("*_record.json")):
            time.sleep(0.01)
        # Whole at once, as a careful copy does it.
        shutil.copy(second, first.with_suffix(".new"))
        os.replace(first.with_suffix(".new"), first)
    told = [path for path, _ in verified(folder)]
    if _differing(folder, base):
        return Fault(what, "mixed versions", False, str(_differing(folder, base)[:3]))
    if told != [str(first)]:
        return Fault(what, "not told", False, str(told))
    snakemake(folder, "--cores", "2")
    wanted = fresh_copy(folder, work / "replaced-before")
    snakemake(wanted, "--cores", "2")
    return _compared(what, folder, wanted)


def two_runs(work: Path) -> Fault:
    """A second run in the folder of one that goes on."""
    base, _ = finished_study(work)
    folder = fresh_copy(base, work / "two-runs")
    with started(folder) as first:
        while first.poll() is None and not jobs_of(folder):
            time.sleep(0.05)
        code, said = run(folder)
        going = first.poll() is None
        first.wait()
    if not going or code == 0 or "cannot be locked" not in said:
        return Fault("two runs at once", "not told", False, said[-1500:])
    if first.returncode:
        return Fault("two runs at once", "first harmed", False, (folder / "run.log").read_text())
    return _compared("two runs at once", folder, base)


def clock(work: Path) -> Iterator[Fault]:
    """Times of results, then of inputs, a day ahead and a day back; a finished run is called again.

    Only the clock jumped, no file changed: whatever runs again must give the same bytes.
    """
    base, _ = finished_study(work)
    for part in ("results", "data"):
        for days in (-1, 1):
            folder = work / "clock"
            shutil.copytree(base, folder, symlinks=True)
            for path in (folder / part).rglob("*"):
                then = path.stat().st_mtime + days * DAY_S
                os.utime(path, (then, then))
            what = f"{part} {days:+d} day"
            code, said = run(folder)
            if code:
                yield Fault(what, "not resumed", False, said[-1500:])
            else:
                yield _compared(what, folder, base)
            shutil.rmtree(folder)


def run(folder: Path) -> tuple[int, str]:
    """Exit code and words of a run that may fail."""
    done = subprocess.run(
        command(folder, "--cores", "2"),
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


def _differing(folder: Path, base: Path) -> list[str]:
    ours, theirs = (tables(one / "results") for one in (folder, base))
    return sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))


def _frozen(folder: Path) -> bool:
    return (folder / "results" / "study.json").exists()


def _bytes(folder: Path) -> int:
    """Size on a tmpfs: whole pages."""
    return sum(-(-one.stat().st_size // 4096) * 4096 for one in folder.rglob("*") if one.is_file())

"""Faults of the machine while scans are converted: none may be recorded as one of the data, and the
next call, on a healthy machine, gives what an undisturbed one gives.

Each function breaks one call of `fmrsflow convert` and judges what it left.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from counts import Counts, Fault
from small_study import make_study
from surroundings import Unavailable, mounted, remount

from fmrsflow.files import file_digest, read_json
from fmrsflow.sheets import read_config, read_study
from fmrsflow.study import Study

MEMORY_MB = (60, 130, 170, 250, 3000)
"""Limits of address space, from one that no import survives to one that disturbs nothing. Near 200
MB OpenBLAS, while it is loaded, asks for memory for ever."""

DATA_FAULT = "recorded as a fault of the data"
"""The outcome that must not be."""


def machine_faults(work: Path) -> Counts:
    """Every fault of this module once; without root those that need a mount are left out."""
    signals = (signal.SIGKILL, signal.SIGTERM, signal.SIGBUS)
    return Counts.of([*quick(work), *(killed(work, number) for number in signals)])


def quick(work: Path) -> Iterator[Fault]:
    """Those that small scans suffice for."""
    yield file_size(work)
    yield from memory(work)
    for make in (full_tmpdir, full_results, read_only_results):
        try:
            yield make(work)
        except Unavailable:
            continue


def file_size(work: Path) -> Fault:
    """A limit of the size of files, which a quota or a full disk comes to, below a converted file;
    results already have their folder."""
    return _broken(work, "limit of file size", limit=(resource.RLIMIT_FSIZE, 8192))


def memory(work: Path, limits_mb=MEMORY_MB) -> Iterator[Fault]:
    """`ulimit -v` of these sizes."""
    for size in limits_mb:
        yield _broken(work, f"ulimit -v {size} MB", limit=(resource.RLIMIT_AS, size << 20))


def full_tmpdir(work: Path) -> Fault:
    """Three pages are left where temporary files go: enough to start, too little for a file."""
    with mounted(work / "tmp", 3 * 4096):
        return _broken(work, "TMPDIR full", environment={"TMPDIR": str(work / "tmp")})


def full_results(work: Path) -> Fault:
    """Two pages are left on the disk of the results."""
    return _broken_results(work, "results full", f"size={2 * 4096}")


def read_only_results(work: Path) -> Fault:
    """The disk of the results may only be read."""
    return _broken_results(work, "results read-only", "ro")


def killed(work: Path, number: int) -> Fault:
    """The converter of each scan is killed while it reads, as the kernel does it for want of
    memory; the files are large, so that there is time for it."""
    study = converted(work, "large", transients=200)

    def kill(process: subprocess.Popen) -> None:
        while process.poll() is None:
            for child in children(process.pid):
                os.kill(child, number)
            time.sleep(0.001)

    return _broken(work, f"converter killed ({signal.Signals(number).name})", study, during=kill)


def converted(work: Path, name: str = "small", transients: int = 16) -> Path:
    """A study whose scans were converted undisturbed (made once)."""
    folder = work / f"machine-{name}"
    if not folder.exists():
        make_study(folder, transients)
        _freeze(folder)
        done = _convert(folder)
        assert done == (0, []), done
    return folder


def children(process: int) -> list[int]:
    """Processes that a process has started and that still run."""
    try:
        told = Path(f"/proc/{process}/task/{process}/children").read_text()
        return [int(one) for one in told.split()]
    except OSError:  # ended meanwhile
        return []


def _broken_results(work: Path, what: str, options: str) -> Fault:
    """A fault of the disk that holds the results."""
    folder = _fresh(converted(work), work / "broken")
    frozen = (folder / "results" / "study.json").read_text()
    with mounted(folder / "results", 10 << 20):
        (folder / "results" / "study.json").write_text(frozen)
        (folder / "results" / "convert").mkdir()
        remount(folder / "results", f"{options}")
        code, failed = _convert(folder)
        remount(folder / "results", "rw,size=100000000")
        fault = _judged(what, folder, converted(work), code, failed)
    shutil.rmtree(folder)
    return fault


def _broken(work: Path, what: str, base: Path | None = None, **how) -> Fault:
    base = base or converted(work)
    folder = _fresh(base, work / "broken")
    code, failed = _convert(folder, **how)
    fault = _judged(what, folder, base, code, failed)
    shutil.rmtree(folder)
    return fault


def _judged(what: str, folder: Path, base: Path, code: int, failed: list[str]) -> Fault:
    said = (folder / "said.txt").read_text()[-1500:]
    if failed:
        return Fault(what, DATA_FAULT, False, failed[0])
    if code == 0:
        same = _files(folder) == _files(base)
        return Fault(what, "converted" if same else "not reported", same, "" if same else said)
    code, failed = _convert(folder)
    same = code == 0 and _files(folder) == _files(base)
    return Fault(what, "reported, then the same bytes" if same else "not resumed", same, said)


def _convert(
    folder: Path,
    environment: dict[str, str] | None = None,
    limit: tuple[int, int] | None = None,
    during: Callable[[subprocess.Popen], None] | None = None,
) -> tuple[int, list[str]]:
    """Call the stage for every scan; its exit code, and the reasons of failures it recorded."""
    study = Study.load(folder / "results" / "study.json")
    command = [sys.executable, "-m", "fmrsflow.cli", "convert", *(one.key for one in study.scans)]

    def limited() -> None:
        if limit:
            resource.setrlimit(limit[0], (limit[1], limit[1]))

    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            stdout=said,
            stderr=said,
            preexec_fn=limited,
        )
        try:
            if during:
                during(process)
            code = process.wait(timeout=300)
        finally:
            process.kill()
            process.wait()
    records = [read_json(path) for path in (folder / "results").rglob("*_record.json")]
    return code, [one["reason"] for one in records if one["status"] == "failed"]


def _fresh(base: Path, folder: Path) -> Path:
    """The study without results."""
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("data", "config"):
        shutil.copytree(base / part, folder / part)
    _freeze(folder)
    return folder


def _freeze(folder: Path) -> None:
    config = str(folder / "config" / "config.yaml")
    here = os.getcwd()
    os.chdir(folder)
    try:
        study = read_study(read_config(config), config)
    finally:
        os.chdir(here)
    (folder / "results").mkdir()
    (folder / "results" / "study.json").write_text(study.save_text())


def _files(folder: Path) -> dict[str, str]:
    root = folder / "results" / "convert"
    paths = (path for kind in ("*.nii.gz", "*svs.json") for path in root.rglob(kind))
    return {str(path.relative_to(root)): file_digest(path) for path in paths}

"""The house: one door to results, one rule a stage, digests of code, faults, cost of a scan."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import digests
import machine_faults
import moved
import scan_cost
from figure import Figure, held, skipped
from many_sites import write_sheets
from scale import dry_run

ROOT = Path(__file__).resolve().parents[1]

LINES_BEFORE = 4690
"""Lines under stages/ before results had one door and science left the stages (b014800)."""

DEMO_TABLES = Path(__file__).with_name("demo_tables.txt")
"""Digest and path of each table of the demo as the last change of its science left them, in the
form of `sha256sum`: a change that means no other number is seen to make none."""


def figures(quick: bool) -> Iterator[Figure]:
    """Figures of the house; `quick` leaves out what runs a study or 10,000 scans and more."""
    yield held(
        "readers of results elsewhere; writers of records",
        "0; 1",
        "tests/unit/test_one_door.py",
    )
    yield from _lines()
    yield from digests.figures()
    yield from scan_cost.help_cost()
    with tempfile.TemporaryDirectory() as folder:
        yield from _dag(Path(folder), 1000, 50, 3, 1200)
    if quick:
        for name in ("DAG of 10,000 and 50,000 scans", "edited results", "commands of Snakemake",
                     "machine faults", "cost of a scan", "tables of the demo"):  # fmt: skip
            yield skipped(name, "see the whole benchmark", "left out of --quick")
        return
    for n_scans, batch, cpu_s, peak_mb in (
        (10_000, 50, 15, 1200),
        (50_000, 50, 75, 1200),
        (10_000, 1, 120, 2000),
    ):
        with tempfile.TemporaryDirectory() as folder:
            yield from _dag(Path(folder), n_scans, batch, cpu_s, peak_mb)
    yield held(
        "edited results refused, all kinds x all readers",
        "all",
        "tests/chain/test_edited_results.py",
    )
    yield held("commands of Snakemake that work", "all", "tests/chain/test_rules.py")
    yield held("figures of a scan with two values", "0", "tests/chain/test_figures_agree.py")
    yield from machine_faults.figures()
    with tempfile.TemporaryDirectory() as folder:
        yield from scan_cost.cost(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        yield from _demo(Path(folder))
    yield skipped(
        ".ci/run in a fresh clone, idle 2 cores, minutes",
        "<= 12",
        "runs this benchmark's tests itself: `time bash .ci/run` in a fresh clone",
    )


def _lines() -> Iterator[Figure]:
    files = (ROOT / "workflow" / "src" / "fmrsflow" / "stages").glob("*.py")
    lines = sum(len(path.read_text().splitlines()) for path in files)
    target = 2 * LINES_BEFORE // 3
    yield Figure("lines under stages/", str(lines), f"<= {target}", lines <= target)


def _dag(folder: Path, n_scans: int, batch: int, cpu_s: float, peak_mb: float) -> Iterator[Figure]:
    write_sheets(folder, n_scans, 20, batch=batch)
    cpu, wall, peak = dry_run(folder)
    name = f"DAG of {n_scans} scans, batch {batch}"
    yield Figure(f"{name}, CPU s", cpu, f"<= {cpu_s}", cpu <= cpu_s, f"{wall:.0f} s wall")
    yield Figure(f"{name}, peak MB", peak, f"<= {peak_mb}", peak <= peak_mb)


def _demo(folder: Path) -> Iterator[Figure]:
    """A run of the demo, its tables compared with those on record."""
    from chain import snakemake

    (folder / "config").symlink_to(ROOT / "config")
    snakemake(folder)
    wanted = dict(line.split("  ")[::-1] for line in DEMO_TABLES.read_text().splitlines())
    results = folder / "results"
    found = {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in results.rglob("*.tsv")
    }
    other = sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )
    note = "; ".join(other[:4])
    if other:
        now = moved.numbers(results)
        seen = list(moved.moves(moved.frozen(moved.NUMBERS), now))
        note += "; " + "; ".join(moved.summary(seen, len(now))[:6])
    yield Figure(
        "tables of the demo that differ from those on record", str(len(other)),
        "0", not other, f"of {len(wanted)}; {note}",
    )  # fmt: skip

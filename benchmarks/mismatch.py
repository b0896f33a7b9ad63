"""Figures of the mismatch benchmark: where the default stands, what it withstands and tells."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from figure import Figure
from fmrsflow.mismatch.benchmark import read_benchmark
from fmrsflow.mismatch.costs import BREAKS, SURVIVES
from fmrsflow.mismatch.factors import FACTORS
from fmrsflow.mismatch.page import words
from fmrsflow.mismatch.variants import (
    DEFAULT,
    EDITIONS,
    EVERYTHING,
    FOREIGN,
    LIMITS,
    NOMINAL,
    PUBLISHED,
)
from fmrsflow.stages.mismatch import main as mismatch

ROOT = Path(__file__).resolve().parents[1]

WITHSTOOD = {"drift": 3.0, "linewidth": 2.0, "phase": 10.0, "movement": 0.1}
"""Largest dose of each factor at which the bias is to stay within `BIAS`."""


def figures(quick: bool) -> Iterator[Figure]:
    """The full edition (up to two hours); with `quick` the small one's doses that are withstood."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        edition = "small" if quick else "full"
        mismatch(["make", edition, name, "--cores", "2", *(["--no-engines"] if quick else [])])
        told = json.loads((folder / "edition.json").read_text())
        for run in EDITIONS[edition].runs(tuple(told["engines"])):
            sites = [site for site in run.sites if not quick or _withstood(site)]
            _snakemake(folder / run.name, sites)
        if quick:
            yield from _quick(folder)
            return
        mismatch(["score", name])
        yield from judge(folder)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        hours = (spent.ru_utime + spent.ru_stime) / 2 / 3600
        yield Figure("full edition, CPU hours over 2 cores", hours, "<= 2", hours <= 2)


def judge(folder: Path) -> Iterator[Figure]:
    """Figures of a scored edition."""
    curves = read_benchmark(folder).curves
    own = [row for row in curves if row["contestant"] == DEFAULT]
    for row in own:
        if row["factor"] in (NOMINAL, PUBLISHED, FOREIGN, EVERYTHING):
            same = [
                one["contestant"]
                for one in curves
                if all(one[key] == row[key] for key in ("factor", "field_t", "rank"))
            ]
            rank = row["rank"]
            tied = f"tied with {', '.join(set(same) - {DEFAULT})}" if len(same) > 1 else ""
            title = f"rank of the default, {row['factor']}, {row['field_t']:g}T"
            note = f"RMSE {row['rmse']} ({row['rmse_low']} to {row['rmse_high']}) {tied}"
            note += f"; better: {row['better']}" if rank > 1 else ""
            yield Figure(title, float(rank), "1, or tied for 1", rank == 1, note)
    for factor, most in {**WITHSTOOD, LIMITS: None}.items():
        for field in sorted({row["field_t"] for row in own}):
            rows = [
                row
                for row in own
                if (row["factor"], row["field_t"]) == (factor, field)
                and (most is None or row["dose"] <= most)
            ]
            worst = max(rows, key=lambda row: abs(row["bias"]))
            bias = worst["bias"]
            up_to = "" if most is None else f" up to {most:g}"
            title = f"bias of the change, {factor}{up_to}, {field:g}T (points)"
            note = f"95 % interval {worst['bias_low']} to {worst['bias_high']}"
            yield Figure(title, bias, f"|bias| <= {SURVIVES:g}", abs(bias) <= SURVIVES, note)
    broken = [row for row in own if abs(row["bias"]) > BREAKS]
    silent = [row for row in broken if row["flagged"] < 0.5]
    told = ", ".join(f"{row['factor']} {row['dose']:g} {row['field_t']:g}T" for row in silent)
    title = f"doses with a bias above {BREAKS:g} point that most scans do not tell"
    yield Figure(title, float(len(silent)), "0", not silent, f"of {len(broken)}; {told}")
    fields = sorted({row["field_t"] for row in own})
    told = {one.name: words(one, curves, fields).lower() for one in FACTORS if one.why}
    explained = sum(all(f"at {field:g} t " in text for field in fields) for text in told.values())
    title = "curves explained in a sentence"
    yield Figure(title, float(explained), f"{len(FACTORS)}", explained == len(FACTORS))


def _withstood(site: str) -> bool:
    return site.startswith((*WITHSTOOD, LIMITS))


def _quick(folder: Path) -> Iterator[Figure]:
    """Bias of one pair of scans at each dose that is to be withstood."""
    from fmrsflow.mismatch.outcomes import Outcomes, StudyTruth
    from fmrsflow.mismatch.scores import score
    from fmrsflow.mismatch.variants import CONTESTANTS

    results = Outcomes(folder / "curves", StudyTruth(folder / "data" / "truth"))
    full = read_benchmark(ROOT / "docs" / "mismatch").curves
    for variant in EDITIONS["small"].variants():
        if _withstood(variant.site):
            bias = score(results.changes(variant, CONTESTANTS[0])).bias
            # What a single pair leaves of its noise, as the committed full edition knows it.
            spread = next(
                row["bias_se"] * math.sqrt(row["n"] / 2)
                for row in full
                if (row["factor"], row["dose"], row["field_t"], row["contestant"])
                == (variant.factor, variant.dose, variant.field_t, DEFAULT)
            )
            most = SURVIVES + 2 * spread
            title = f"bias of the change, {variant.site}, one pair (points)"
            yield Figure(title, bias, f"|bias| <= {most:.2f}", abs(bias) <= most)


def _snakemake(folder: Path, sites: list[str]) -> None:
    command = [
        *(sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile")),
        *("--directory", str(folder), "--cores", "2", "--scheduler", "greedy", "--keep-going"),
        *("-q", "all", "--config", f"only_sites=[{','.join(sites)}]", "--", "all_response"),
    ]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})

"""A synthetic study through the whole chain, and what it says of the truth that made it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from figure import Figure
from fmrsflow.results import Results
from fmrsflow.synthetic.plan import load_plan

ROOT = Path(__file__).resolve().parents[1]


def answer(preset: str) -> tuple[dict, dict[str, dict]]:
    """Row of meta.tsv and rows of variance.tsv (by component) of the main answer on a preset."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
        config |= {
            "synthetic": None,
            "batch": 12,
            "analyses": {"main": config["analyses"]["main"]},
            **{f"{sheet}_sheet": f"demo/config/{sheet}.tsv" for sheet in ("sites", "scans")},
            "participants_sheet": None,
        }
        (folder / "config").mkdir()
        (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
        run = [sys.executable, "-m"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path}
        make = [*run, "fmrsflow.cli", "demo", "--preset", preset, "--cores", "2", "demo"]
        subprocess.run(make, cwd=folder, check=True, capture_output=True, env=environment)
        chain = [*run, "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", name]
        chain += ["--cores", "2", "--scheduler", "greedy", "-q", "all", "--"]
        chain += ["results/main/sites/record.json"]
        subprocess.run(chain, check=True, capture_output=True, env=environment)
        sites = Results.below(folder / "results").group("sites", "main")
        wanted = config["sites"] | {"matched": True}
        meta = next(row for row in sites.table("meta") if _asked(row, wanted))
        variance = {
            row["component"]: row
            for row in sites.table("variance")
            if row["outcome"] == "change" and _asked(row, wanted)
        }
        return meta, variance


def figures() -> Iterator[Figure]:
    """`standardised-3t`: mean and SDs inside their intervals; `null`: the interval holds 0."""
    truth = load_plan("standardised-3t").responses["Glu"]
    meta, variance = answer("standardised-3t")
    yield _holds("standardised-3t, mean change (%)", meta, "change_percent", truth.percent)
    for component, true in (("site", truth.site_sd), ("participant", truth.participant_sd)):
        yield _holds(f"standardised-3t, SD of {component} (%)", variance[component], "sd", true)
    meta, _ = answer("null")
    yield _holds("null, mean change (%)", meta, "change_percent", 0.0)


def _holds(name: str, row: dict, value: str, true: float) -> Figure:
    ends = ("sd_low", "sd_high") if value == "sd" else ("low_percent", "high_percent")
    low, high = (row[end] for end in ends)
    reached = low <= true <= high and not math.isnan(low)
    note = f"interval {low:.2f} to {high:.2f}"
    return Figure(name, row[value], f"interval holds {true:g}", reached, note)


def _asked(row: dict, wanted: dict) -> bool:
    return all(
        row[key] == wanted[key] for key in ("metabolite", "estimator", "quantity", "matched")
    )

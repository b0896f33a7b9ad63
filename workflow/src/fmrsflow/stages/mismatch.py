"""`fmrsflow mismatch make EDITION DIR` and `fmrsflow mismatch score DIR`: the mismatch benchmark.

`make` writes a synthetic study and a folder for each run of the workflow on it; `score` reads what
the runs left. Between the two comes Snakemake (`./run mismatch` does all three).
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from fmrsflow.constants import Z95
from fmrsflow.errors import DataError
from fmrsflow.files import read_json, write_bytes, write_json
from fmrsflow.metabolites import sums_of
from fmrsflow.mismatch.scores import Outcome, attribution, better, score
from fmrsflow.mismatch.variants import (
    CONTESTANTS,
    DEFAULT,
    EDITIONS,
    ENGINES,
    NOMINAL,
    Contestant,
    Edition,
    Run,
    Variant,
)
from fmrsflow.results import Results
from fmrsflow.scan_figures import typical
from fmrsflow.study import Scan, Unit, directory
from fmrsflow.tables import Row, read_table, write_table
from fmrsflow.tables.mismatch import ATTRIBUTION, CONCENTRATIONS, CURVES, QUALITY, SEEN

ASKED = ("metabolite", "estimator", "matched", "quantity")
"""Columns of a change that tell which contestant made it."""

METABOLITES = ("Glu", "GABA", "tNAA", "tCr", "tCho", "mI")
"""Whose concentrations are scored."""


def main(argv: list[str]) -> int:
    """Run the subcommand; exit code."""
    parser = argparse.ArgumentParser(prog="fmrsflow mismatch", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    make = commands.add_parser("make", help="write data and configurations")
    make.add_argument("edition", choices=sorted(EDITIONS), help="which doses")
    make.add_argument("directory", help="folder to write")
    make.add_argument("--cores", type=int, default=1, help="processes (default: 1)")
    make.add_argument("--no-engines", action="store_true", help="leave FSL-MRS and LCModel out")
    make.set_defaults(run=_make)
    scored = commands.add_parser("score", help="tables of scores from finished runs")
    scored.add_argument("directory", help="folder that `make` wrote")
    scored.set_defaults(run=_score)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1


def _make(arguments) -> int:
    import yaml

    from fmrsflow.synthetic.consortium import make
    from fmrsflow.synthetic.plan import parse_plan

    edition, root = EDITIONS[arguments.edition], Path(arguments.directory)
    engines = () if arguments.no_engines else installed_engines()
    for run in edition.runs(engines):
        text = yaml.safe_dump(edition.config(run), sort_keys=False)
        write_bytes(root / run.name / "config" / "config.yaml", text.encode())
        print(run.name)
    plan = parse_plan(yaml.safe_dump(edition.plan()), f"edition {edition.name}")
    for visit in make(plan, root / "data", arguments.cores):
        print(f"{visit.site.name} sub-{visit.subject}", file=sys.stderr)
    write_json(root / "edition.json", {"edition": edition.name, "engines": list(engines)})
    return 0


def installed_engines() -> tuple[str, ...]:
    """Analyses whose command is on the PATH."""
    return tuple(name for name, command in ENGINES.items() if shutil.which(command))


def _score(arguments) -> int:
    root = Path(arguments.directory)
    told = read_json(root / "edition.json")
    edition = EDITIONS[told["edition"]]
    tables = score_tables(edition, edition.runs(tuple(told["engines"])), root)
    for name, (rows, columns) in tables.items():
        write_table(root / f"{name}.tsv", rows, columns)
        print(root / f"{name}.tsv")
    from fmrsflow.mismatch.benchmark import read_benchmark
    from fmrsflow.mismatch.markdown import markdown
    from fmrsflow.mismatch.page import mismatch_page

    write_json(root / "made.json", _made(edition, root, told["engines"]))
    scored = read_benchmark(root)
    for name, text in (("tables.md", markdown(scored)), ("mismatch.html", mismatch_page(scored))):
        write_bytes(root / name, text.encode())
        print(root / name)
    return 0


def _made(edition: Edition, root: Path, engines: list[str]) -> dict:
    """How an edition was made."""
    from datetime import UTC, datetime

    from fmrsflow.provenance import software

    own = software()
    variants = edition.variants()
    return {
        "edition": edition.name,
        "date": datetime.now(UTC).date().isoformat(),
        "version": f"{own['Name']} {own['Version']}",
        "commit": own["Commit"],
        "seed": str(edition.seed),
        "variants": str(len({one.key for one in variants})),
        "scans": str(len(read_table(root / "data" / "config" / "scans.tsv"))),
        "engines": ", ".join(_version(ENGINES[name]) for name in engines) or "none but our own",
    }


def _version(command: str) -> str:
    """A command and its version, where it tells one."""
    if command != "fsl_mrs" or not shutil.which(command):
        return command
    told = subprocess.run([command, "--version"], capture_output=True, text=True)
    return f"{command} {told.stdout.strip()}".strip()


def score_tables(edition: Edition, runs: list[Run], root: Path) -> dict[str, tuple]:
    """Rows and data dictionary of every table of an edition that has run in `root`."""
    variants = {one.site: one for one in edition.variants()}
    truth = StudyTruth(root / "data" / "truth")
    changes, concentrations, seen = defaultdict(dict), defaultdict(dict), {}
    for run in runs:
        reader = Outcomes(root / run.name, truth)
        for variant in (variants[site] for site in run.sites):
            for analysis in run.analyses:
                # Where a step has the truth, its setting switches the step off.
                told = "main" if variant.truth else analysis
                for one in (c for c in CONTESTANTS if c.analysis == told):
                    found = reader.changes(variant, replace(one, analysis=analysis))
                    changes[variant.key].setdefault(one.name, []).extend(found)
                for name in METABOLITES:
                    found = reader.concentrations(variant, analysis, name)
                    concentrations[variant.key].setdefault((told, name), []).extend(found)
            if "main" in run.analyses:
                seen.setdefault(variant.key, []).extend(reader.quality(variant))
    tables = {
        "curves": (_curves(changes, edition.seed), CURVES),
        "concentrations": (_concentrations(concentrations, edition.seed), CONCENTRATIONS),
        "quality": (_seen(seen), SEEN),
    }
    if edition.truths:
        rows = _attribution(changes, concentrations, edition.seed)
        tables["attribution"] = (rows, ATTRIBUTION)
    return tables


def _named(key: tuple) -> dict:
    return dict(zip(("field_t", "factor", "dose"), key))


def _plain(by_key: dict) -> Iterator[tuple]:
    """Without those where a step has the truth."""
    return ((key, found) for key, found in by_key.items() if not key[-1])


def _curves(changes: dict, seed: int) -> list[dict]:
    rows = []
    for key, by_name in _plain(changes):
        # Engines see one repetition of a variant, its first.
        fewest = min(len(outcomes) for outcomes in by_name.values())
        shared = {name: outcomes[:fewest] for name, outcomes in by_name.items()}
        all_saw = {name: one for name, one in by_name.items() if len(one) > fewest}
        on_shared, on_all = better(shared, seed), better(all_saw, seed)
        for name, outcomes in by_name.items():
            over = [
                other
                for other in by_name
                if other in (on_all if {name, other} <= on_all.keys() else on_shared)[name]
            ]
            nominal = changes[key[0], NOMINAL, None, ""][name][: len(outcomes)]
            rows.append(
                {
                    **_named(key),
                    "contestant": name,
                    **asdict(score(outcomes, seed)),
                    "rmse_nominal": score(nominal, seed).rmse,
                    "rmse_shared": score(shared[name], seed).rmse,
                    "better": "; ".join(over),
                    "rank": 1 + len(over),
                }
            )
    return rows


def _concentrations(concentrations: dict, seed: int) -> list[dict]:
    rows = []
    for key, by_name in _plain(concentrations):
        for (analysis, metabolite), outcomes in by_name.items():
            found = asdict(score(outcomes, seed))
            kept = {name: value for name, value in found.items() if name in CONCENTRATIONS}
            rows.append(_named(key) | {"analysis": analysis, "metabolite": metabolite, **kept})
    return rows


def _seen(seen: dict) -> list[dict]:
    rows = []
    for key, figures in _plain(seen):
        medians = {
            name: typical(name, [one[name] for one in figures if name in one]) for name in QUALITY
        }
        rows.append(_named(key) | medians)
    return rows


def _attribution(changes: dict, concentrations: dict, seed: int) -> list[dict]:
    rows = []
    for key, by_name in changes.items():
        if not key[-1]:
            continue
        before = (*key[:-1], "")
        n = len(by_name[DEFAULT])
        pairs = {
            "change of Glu": (changes[before][DEFAULT][:n], by_name[DEFAULT]),
            "concentration of Glu": (
                concentrations[before]["main", "Glu"][:n],
                concentrations[key]["main", "Glu"],
            ),
        }
        for outcome, (whole, truth) in pairs.items():
            named = {"field_t": key[0], "factor": key[1], "outcome": outcome, "step": key[-1]}
            rows.append(named | asdict(attribution(whole, truth, seed)))
    return rows


class StudyTruth:
    """True changes and concentrations by site and subject."""

    def __init__(self, folder: Path):
        self.change = {
            (row["site"], row["subject"]): float(row["change_percent"])
            for row in read_table(folder / "response.tsv")
            if row["metabolite"] == "Glu"
        }
        self.concentration: dict[tuple, float] = defaultdict(float)

        for row in read_table(folder / "concentrations.tsv"):
            value = float(row["mmol_per_kg"])
            for name in (
                row["metabolite"],
                *sums_of((row["metabolite"],)),
            ):
                self.concentration[row["site"], row["subject"], name] += value


class Outcomes:
    """Outcomes of a run of the workflow."""

    def __init__(self, folder: Path, truth: StudyTruth):
        path = folder / "results" / "study.json"
        if not path.is_file():
            raise DataError(f"{path} is not there: run snakemake in {folder.name} (./run mismatch)")
        self.results = Results.below(path.parent)
        self.study = self.results.study
        self.truth = truth
        self.units: dict[str, list[Unit]] = defaultdict(list)
        for unit in self.study.units():
            self.units[unit.scan.site].append(unit)
        self._cpu = _cpu_times(folder / "results" / "logs")
        self._verdicts: dict[tuple[str, str], tuple[bool, dict]] = {}

    def changes(self, variant: Variant, contestant: Contestant) -> list[Outcome]:
        """Percent change of Glu of each scan, as a contestant tells it."""
        analysis = contestant.analysis
        names = self.study.config["analyses"][analysis]
        wanted = ("Glu", contestant.estimator, contestant.matched, "molal")
        found = []
        for unit in self.units[variant.site]:
            row = {}
            for one in self._table("response", "change", names, unit):
                if tuple(one[name] for name in ASKED) == wanted:
                    row = one
            truth = self.truth.change[variant.site, unit.scan.subject]
            numbers = [row.get(f"{key}_percent", math.nan) for key in ("change", "low", "high")]
            found.append(self._outcome(variant, analysis, unit.scan, truth, *numbers))
        return found

    def concentrations(self, variant: Variant, analysis: str, metabolite: str) -> list[Outcome]:
        """Concentration at rest of each scan, in percent of the true one."""
        names = self.study.config["analyses"][analysis]
        found = []
        for unit in self.units[variant.site]:
            value = half = math.nan
            for row in self._table("quantify", "concentrations", names, unit.scan):
                keys = (row["metabolite"], row["quantity"], row["condition"], row["matched"])
                if keys == (metabolite, "molal", "rest", False):
                    value, half = row["value"], Z95 * row["se"]
            true = self.truth.concentration[variant.site, unit.scan.subject, metabolite]
            scale = 100 / true
            ends = (scale * (value - half), scale * (value + half))
            found.append(self._outcome(variant, analysis, unit.scan, 100.0, scale * value, *ends))
        return found

    def _table(self, stage: str, what: str, names: dict, item: Scan | Unit) -> list[Row]:
        output = self.results.of(stage, names, item)
        return output.table(what) if output.exists and output.has(f"{what}.tsv") else []

    def quality(self, variant: Variant) -> list[dict[str, float]]:
        """Figures of quality of each scan under the main analysis."""
        return [self._verdict("main", unit.scan)[1] for unit in self.units[variant.site]]

    def _outcome(self, variant, analysis, scan: Scan, truth, value, low, high) -> Outcome:
        number = int(re.sub(r"\D", "", scan.subject))
        return Outcome(
            pair=1000 * variant.draw + (number - 1) // 2,
            truth=truth,
            value=value,
            low=low,
            high=high,
            flagged=self._verdict(analysis, scan)[0],
            cpu_s=self._scan_cpu(analysis, scan),
        )

    def _verdict(self, analysis: str, scan: Scan) -> tuple[bool, dict]:
        """Whether the page of a scan flags it, and its figures of quality."""
        from fmrsflow.report.read import read_scan
        from fmrsflow.report.verdict import verdict

        key = (analysis, scan.key)
        if key not in self._verdicts:
            results = read_scan(self.results, analysis, scan, {}, light=True)
            self._verdicts[key] = (verdict(results).kind != "use", results.figures)
        return self._verdicts[key]

    def _scan_cpu(self, analysis: str, scan: Scan) -> float:
        names = self.study.config["analyses"][analysis]
        stages = ("preprocess", "fit", "quantify", "response")
        times = [self._cpu.get((directory(stage, names), scan.key)) for stage in stages]
        return sum(time for time in times if time is not None) if any(times) else math.nan


_CPU = re.compile(r"(\S+): \w+: cpu_s ([0-9.]+)")


def _cpu_times(logs: Path) -> dict[tuple[str, str], float]:
    """CPU seconds by folder of the stage and key of the scan, from the logs of the jobs."""
    found = {}
    for path in sorted(logs.glob("*/*.log")):
        for line in path.read_text().splitlines():
            if match := _CPU.fullmatch(line):
                found[path.parent.name, match[1]] = float(match[2])
    return found

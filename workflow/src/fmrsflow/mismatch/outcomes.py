"""What the runs of an edition found, beside what is true."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from pathlib import Path

from fmrsflow.constants import Z95
from fmrsflow.errors import DataError
from fmrsflow.metabolites import sums_of
from fmrsflow.mismatch.scores import Outcome
from fmrsflow.mismatch.variants import Contestant, Variant
from fmrsflow.question import Question
from fmrsflow.report.read import read_scan
from fmrsflow.report.verdict import verdict
from fmrsflow.results import Results
from fmrsflow.study import Scan, Unit, directory
from fmrsflow.tables import Row, read_table


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
            for name in (row["metabolite"], *sums_of((row["metabolite"],))):
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
        """Percent change of Glu of each scan, as a contestant gives it."""
        analysis = contestant.analysis
        names = self.study.config["analyses"][analysis]
        asked = Question("Glu", contestant.estimator, contestant.matched, "molal")
        found = []
        for unit in self.units[variant.site]:
            row = {}
            for one in self._table("response", "change", names, unit):
                if asked.answered_by(one):
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
                    value, half = row["value"], Z95 * row["total_se"]
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

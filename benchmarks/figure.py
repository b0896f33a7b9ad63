"""One line of a benchmark: a figure of an issue, its value and its target."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Figure:
    """A measured figure; `reached` says whether `value` meets `target`, None that it was skipped
    for the reason in `note`. The target "reported" asks for the value alone."""

    name: str
    value: float | str
    target: str
    reached: bool | None
    note: str = ""

    def __str__(self) -> str:
        value = f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)
        verdict = {True: "reached", False: "MISSED", None: "SKIPPED"}[self.reached]
        if self.target == "reported":  # nothing to reach
            verdict = ""
        return (
            f"{self.name:<60} {value:>14}  target {self.target:<28} {verdict}  {self.note}".rstrip()
        )


def skipped(name: str, target: str, reason: str) -> Figure:
    """A figure that was not measured."""
    return Figure(name, "-", target, None, reason)


def held(name: str, target: str, *tests: str) -> Figure:
    """A figure that tests hold: reached where all of them pass and none is skipped."""
    # Without -q: pyproject.toml has one, and after a second one no line tells what was skipped.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n0", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = (done.stdout.strip().splitlines() or ["pytest did not run"])[-1]
    whole = done.returncode == 0 and "skipped" not in last
    return Figure(name, target if whole else "not held", target, whole, f"{tests[0]}: {last}")

"""One line of a benchmark: a figure of an issue, its value and its target."""

from __future__ import annotations

from dataclasses import dataclass


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

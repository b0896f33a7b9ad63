"""Tables of a scored edition for the documentation (docs/mismatch/tables.md)."""

from __future__ import annotations

from collections.abc import Sequence

from fmrsflow.mismatch.benchmark import Tables
from fmrsflow.mismatch.factors import FACTORS
from fmrsflow.mismatch.page import STEPS, words
from fmrsflow.mismatch.variants import (
    CONTESTANTS,
    EVERYTHING,
    FOREIGN,
    LIMITS,
    NOMINAL,
    PUBLISHED,
)
from fmrsflow.tables import Row


def markdown(tables: Tables) -> str:
    """RMSE and rank of every contestant, a sentence a factor, and the share of each step."""
    fields = sorted({row["field_t"] for row in tables.curves})
    made = "; ".join(f"{name} {value}" for name, value in tables.made.items())
    parts = [
        "# Tables of the mismatch benchmark",
        f"Written by `fmrsflow mismatch score` ({made}).",
        "Root mean square error of the percent change of glutamate (points), all scans; in "
        "brackets the rank: one more than the contestants that are better (named in "
        "`curves.tsv`).",
        _board(tables.curves, fields, "rmse", with_rank=True),
        "The same on the scans that every contestant saw (the first repetition).",
        _board(tables.curves, fields, "rmse_shared", with_rank=False),
        "What a factor does to the default's percent change of glutamate (bias with its 95 % "
        "interval).",
        _table(
            ["factor", "in a sentence", "why"],
            [
                [one.title, words(one, tables.curves, fields), one.why]
                for one in FACTORS
                if any(row["factor"] == one.name for row in tables.curves)
            ],
        ),
        "Share of the mean square error that is gone with the truth of one step (default; 95 % "
        "interval from four pairs of scans).",
        _table(
            ["scans", "step", "change of Glu", "concentration of Glu"],
            _shares(tables.attribution),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _board(curves: Sequence[Row], fields: Sequence[float], key: str, with_rank: bool) -> str:
    order = (NOMINAL, PUBLISHED, LIMITS, FOREIGN, EVERYTHING)
    scored = {row["factor"] for row in curves}
    places = [(name, field) for name in order if name in scored for field in fields]
    cells = {(row["factor"], row["field_t"], row["contestant"]): row for row in curves}

    def cell(place: tuple[str, float], name: str) -> str:
        """Text of a cell; a dash where it was not scored."""
        row = cells.get((*place, name))
        if row is None:
            return "–"
        return f"{row[key]:.2f}" + (f" ({row['rank']})" if with_rank else "")

    seen = [one.name for one in CONTESTANTS if any(row["contestant"] == one.name for row in curves)]
    return _table(
        ["", *(f"{name} {field:g}T" for name, field in places)],
        [[name, *(cell(place, name) for place in places)] for name in seen],
    )


def _shares(rows: Sequence[Row]) -> list[list[str]]:
    by_step: dict[tuple, dict] = {}
    for row in rows:
        ends = " to ".join(f"{100 * row[end]:.0f}" for end in ("low", "high"))
        cell = f"{100 * row['share']:.0f} % ({ends})"
        by_step.setdefault((row["factor"], row["field_t"], row["step"]), {})[row["outcome"]] = cell
    return [
        [f"{factor} {field:g}T", STEPS[step], *(cells.get(f"{one} of Glu", "–") for one in
         ("change", "concentration"))]
        for (factor, field, step), cells in by_step.items()
    ]  # fmt: skip


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

"""What the pages of site and consortium take from the tables of the sites stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fmrsflow.report.results import Effect
from fmrsflow.study import Site

PREFERENCE = (
    ("estimator", ("blocks", "joint", "timecourse")),
    ("matched", ("true", "n/a", "false")),
    ("quantity", ("molal", "ratio_tcr", "raw")),
)
"""Which of several rows on glutamate is told first."""


def site_effects(tables: Mapping[str, Sequence[Mapping]]) -> dict[str, Effect]:
    """Change of glutamate at each site."""
    rows = chosen(tables.get("sites", ()))
    return {
        row["site"]: Effect(
            name=row["site"],
            value=float(row["change_percent"]),
            low=float(row["low_percent"]),
            high=float(row["high_percent"]),
            note=f"{row['n']} scans",
        )
        for row in rows
        if row["change_percent"] != "n/a"
    }


def answers(
    tables: Mapping[str, Sequence[Mapping]],
    by_analysis: Mapping[str, Mapping[str, Sequence[Mapping]]],
    sites: Mapping[str, Site],
    pages: Mapping[str, str],
) -> dict:
    """The fields of `ConsortiumResults` that come from tables."""
    from dataclasses import replace

    effects = [
        replace(effect, page=pages[name], kind=f"{sites[name].protocol} protocol")
        for name, effect in site_effects(tables).items()
        if name in sites
    ]
    meta = chosen(tables.get("meta", ()))
    found = {"effects": effects}
    if meta:
        found |= _pooled(meta[0])
    found["shares"] = [
        (row["component"], *(float(row[f"{end}share_percent"]) for end in ("", "low_", "high_")))
        for row in chosen(tables.get("variance", ()))
        if row["share_percent"] != "n/a"
    ]
    found["multiverse"] = [
        Effect("", *(float(row[f"{x}_percent"]) for x in ("change", "low", "high")), note=name)
        for name, theirs in by_analysis.items()
        for row in chosen(theirs.get("meta", ()))[:1]
    ]
    return found


def chosen(rows: Sequence[Mapping]) -> list[Mapping]:
    """Rows on glutamate, of the estimator, matching and quantity that are told first."""
    rows = [row for row in rows if row.get("metabolite") == "Glu"]
    for column, order in PREFERENCE:
        there = {row[column] for row in rows if column in row}
        first = next((value for value in order if value in there), None)
        if first is not None:
            rows = [row for row in rows if row.get(column) == first]
    return rows


def _pooled(row: Mapping) -> dict:
    effect = Effect(
        "all sites",
        *(float(row[f"{x}_percent"]) for x in ("change", "low", "high")),
        note=f"{row['n_sites']} sites and {row['n']} scans",
    )
    return {"pooled": effect}

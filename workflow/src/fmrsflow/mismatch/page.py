"""The page of the mismatch benchmark: who leads, what a dose costs, which step leaves the error."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmrsflow.mismatch.benchmark import Tables
from fmrsflow.mismatch.costs import BREAKS, SURVIVES, state, survivors
from fmrsflow.mismatch.factors import FACTORS, Factor
from fmrsflow.mismatch.variants import (
    CONTESTANTS,
    DEFAULT,
    EVERYTHING,
    FOREIGN,
    LIMITS,
    NOMINAL,
    PUBLISHED,
    RESPONSE_PERCENT,
    SNR,
    settings,
)
from fmrsflow.report.plot import BLACK, CYCLE, GREY, axis, layout, numbers, plain
from fmrsflow.report.render import render, short, signed
from fmrsflow.tables import Row

COMBINATIONS = {
    NOMINAL: "Nominal",
    PUBLISHED: "Published perturbed values",
    LIMITS: "All limits at once",
    FOREIGN: "Signals of another model",
    EVERYTHING: "Everything perturbed",
}
"""Combinations and nominal, as pages call them."""

STEPS = {
    "alignment": "alignment and rejection of transients",
    "eddy": "eddy-current correction",
    "water": "removal of residual water",
    "model": "fit model (baseline, lipid, macromolecules, basis)",
    "tissue": "tissue fractions",
}

DRAWN = ("default", "no linewidth model", "blocks", "restricted alignment", "no correction",
         "polynomial baseline", "no baseline")  # fmt: skip
"""Contestants of the dose curves; the table has all."""


def mismatch_page(tables: Tables, home: str = "") -> str:
    """The page as HTML; `home` is the address of the report that links to it."""
    fields = sorted({row["field_t"] for row in tables.curves})
    headline = _headline(tables.curves, fields)
    factors = [
        {
            "factor": factor,
            "fields": [
                {
                    "field": f"{field:g}",
                    "words": words(factor, tables.curves, [field]),
                    "chart": dose_chart(factor, tables.curves, [field]),
                    "rows": _dose_rows(factor, tables.curves, [field]),
                }
                for field in fields
            ],
        }
        for factor in FACTORS
        if any(row["factor"] == factor.name for row in tables.curves)
    ]
    return render(
        "mismatch.html.j2",
        home=home,
        made=tables.made,
        headline=headline,
        kind="care" if ":" in headline else "use",
        leaderboards=[
            (f"{title}, {field:g} T", _leaderboard(tables.curves, name, field))
            for name, title in COMBINATIONS.items()
            for field in fields
            if any(row["factor"] == name for row in tables.curves)
        ],
        factors=factors,
        fields=[f"{field:g}" for field in fields],
        attribution=_attribution(tables.attribution),
        concentrations=_concentrations(tables.concentrations, fields),
        analyses=_analyses(tables.curves),
        survives=SURVIVES,
        breaks=BREAKS,
        response=RESPONSE_PERCENT,
        sections=[
            ("answer", "Answer"),
            ("leaderboard", "Leaderboard"),
            ("analyses", "Analyses"),
            ("factors", "What goes wrong"),
            ("steps", "Which step"),
            ("concentrations", "Concentrations"),
            ("made", "How it was made"),
        ],
    )


def words(factor: Factor, curves: Sequence[Row], fields: Sequence[float]) -> str:
    """What a factor costs the default, in a sentence a field, from the table."""
    sentences = []
    for field in fields:
        own = _own(curves, field, factor.name, DEFAULT)
        if not own:
            continue
        states = [state(row) for row in own]
        if set(states) == {"holds"}:
            sentences.append(
                f"at {field:g} T the default holds at every dose (bias within {SURVIVES:g} "
                f"points); at {_dose(own[-1], factor)} its error is {_ratio(own[-1])} times the "
                "nominal one"
            )
            continue
        start = next(n for n, one in enumerate(states) if one != "holds")
        parts = [f"up to {_dose(own[start - 1], factor)} it holds"] if start else []
        if "unknown" in states:
            parts.append(_unknown(own[states.index("unknown")], factor))
        if "breaks" in states:
            parts.append(_broken(own[states.index("breaks")], factor))
        sentences.append(f"at {field:g} T " + ", ".join(parts))
    text = "; ".join(sentences)
    return text[:1].upper() + text[1:] + "." if text else ""


def _unknown(row: Row, factor: Factor) -> str:
    return f"at {_dose(row, factor)} these scans leave it open (bias {_bias(row)} points)"


def _broken(row: Row, factor: Factor) -> str:
    return (
        f"at {_dose(row, factor)} the default breaks (bias {_bias(row)} points, "
        f"{row['coverage']:.0%} of its intervals hold the truth, "
        f"{row['flagged']:.0%} of the scans are flagged)"
    )


def dose_chart(factor: Factor, curves: Sequence[Row], fields: Sequence[float]) -> dict:
    """Bias (left) and root mean square error (right) of the change of Glu over the dose, a row a
    field."""
    traces, options = [], {}
    colours = {name: CYCLE[n % len(CYCLE)] for n, name in enumerate(DRAWN)}
    for line, field in enumerate(fields):
        top = 1 - line / len(fields)
        # Room for the title of the axis below, which the margin gives to the last row.
        room = 0.11 if line + 1 < len(fields) else 0.0
        domain = [top - 1 / len(fields) + room, top - 0.03]
        ends = _ends(factor, curves, field)
        for column, (key, title) in enumerate((("bias", "Bias"), ("rmse", "Error (RMS)"))):
            number = 2 * line + column + 1
            suffix = "" if number == 1 else str(number)
            options[f"xaxis{suffix}"] = axis(
                f"{factor.title} ({factor.unit})",
                domain=[0.55 * column, 0.45 + 0.55 * column],
                anchor=f"y{suffix}",
                **({"autorange": "reversed"} if factor.name == "snr" else {}),
            )
            low, high = ends[key]
            options[f"yaxis{suffix}"] = axis(
                f"{title}, {field:g} T (points)",
                domain=domain,
                anchor=f"x{suffix}",
                range=[low, high],
            )
            for name in DRAWN:
                rows = _with_nominal(factor, curves, field, name)
                if len(rows) < 2:
                    continue
                main = name == DEFAULT
                traces.append(
                    {
                        "type": "scatter",
                        "mode": "lines+markers",
                        "name": plain(name),
                        "legendgroup": name,
                        "showlegend": number == 1,
                        "xaxis": f"x{suffix}",
                        "yaxis": f"y{suffix}",
                        "x": [dose for dose, _ in rows],
                        "y": numbers(row[key] for _, row in rows),
                        "line": {"color": colours[name], "width": 3 if main else 1.4},
                        "marker": {"size": 7 if main else 5},
                        "hovertemplate": f"{plain(name)}: %{{y:.2f}}<extra></extra>",
                        **(_bars(rows, key, colours[name]) if main else {}),
                    }
                )
    shapes = [
        {
            "type": "line", "xref": f"x{n} domain", "yref": f"y{n}", "x0": 0, "x1": 1, "y0": y,
            "y1": y, "line": {"color": GREY if y else BLACK, "width": 1,
                              "dash": "dot" if y else "solid"},
        }
        for n in [*("" if not k else str(2 * k + 1) for k in range(len(fields)))]
        for y in (-SURVIVES, 0.0, SURVIVES)
    ]  # fmt: skip
    return {
        "data": traces,
        "layout": layout(330 * len(fields), showlegend=True, shapes=shapes, **options),
    }


def _bars(rows, key: str, colour: str) -> dict:
    """95 % intervals of the default's line."""
    if key == "bias":
        half = [row["bias_high"] - row["bias"] for _, row in rows]
        bars = {"array": numbers(half)}
    else:
        bars = {
            "symmetric": False,
            "array": numbers(row["rmse_high"] - row["rmse"] for _, row in rows),
            "arrayminus": numbers(row["rmse"] - row["rmse_low"] for _, row in rows),
        }
    return {"error_y": {"type": "data", "color": colour, "thickness": 1.2, "width": 3, **bars}}


def _ends(factor: Factor, curves, field: float) -> dict[str, tuple[float, float]]:
    """Ends of the axes: all that is drawn but the analysis without correction, which dwarfs it."""
    rows = [
        row
        for name in DRAWN
        if name != "no correction"
        for _, row in _with_nominal(factor, curves, field, name)
    ]
    bias = [abs(row["bias"]) for row in rows if not math.isnan(row["bias"])]
    most = max([2 * SURVIVES, *bias]) * 1.15
    rmse = [row["rmse"] for row in rows]
    return {"bias": (-most, most), "rmse": (0.0, 1.15 * max([1.0, *rmse]))}


def _with_nominal(factor: Factor, curves, field: float, name: str) -> list[tuple[float, Row]]:
    """Doses and rows of a contestant; first nominal, with the error that the draws of the doses
    have there."""
    own = _own(curves, field, factor.name, name)
    zero = 20 * math.log10(SNR) if factor.name == "snr" else 0.0
    rows = []
    for row in _own(curves, field, NOMINAL, name)[: len(own)]:
        error = {"rmse": own[0]["rmse_nominal"], "rmse_low": math.nan, "rmse_high": math.nan}
        rows.append((zero, {**row, **error}))
    return rows + [(row["dose"], row) for row in own]


def _own(curves: Sequence[Row], field: float, factor: str, contestant: str) -> list[Row]:
    return [
        row
        for row in curves
        if (row["field_t"], row["factor"], row["contestant"]) == (field, factor, contestant)
    ]


def _dose_rows(factor: Factor, curves: Sequence[Row], fields: Sequence[float]) -> list[dict]:
    rows = []
    for field in fields:
        for own in _own(curves, field, factor.name, DEFAULT):
            same = [
                row
                for row in curves
                if (row["field_t"], row["factor"], row["dose"]) == (field, factor.name, own["dose"])
            ]
            rows.append(
                {
                    "field": f"{field:g}",
                    "dose": _dose(own, factor),
                    "bias": _bias(own),
                    "state": {"unknown": "open", "breaks": "broken"}.get(state(own), ""),
                    "ratio": _ratio(own),
                    "coverage": short(own["coverage"]),
                    "flagged": f"{own['flagged']:.0%}",
                    "survivors": "; ".join(survivors(same)) or "none",
                }
            )
    return rows


def _leaderboard(curves: Sequence[Row], name: str, field: float) -> list[dict]:
    own = [row for row in curves if (row["factor"], row["field_t"]) == (name, field)]
    order = {one.name: n for n, one in enumerate(CONTESTANTS)}
    own.sort(key=lambda row: (row["rank"], order[row["contestant"]]))
    return [
        {
            "rank": row["rank"],
            "contestant": row["contestant"],
            "rmse": _interval("rmse", row),
            "shared": short(row["rmse_shared"]),
            "bias": _bias(row),
            "sd": short(row["sd"]),
            "coverage": short(row["coverage"]),
            "failures": f"{row['failures']} of {row['n']}",
            "flagged": f"{row['flagged']:.0%}",
            "cpu": short(row["cpu_s"]),
        }
        for row in own
    ]


def _attribution(rows: Sequence[Row]) -> list[dict]:
    return [
        {
            "where": f"{COMBINATIONS[row['factor']]}, {row['field_t']:g} T",
            "outcome": row["outcome"],
            "step": STEPS[row["step"]],
            "share": _percent(row["share"]),
            "interval": f"{_percent(row['low'])} to {_percent(row['high'])}",
            "rmse": short(row["rmse"]),
        }
        for row in rows
    ]


def _concentrations(rows: Sequence[Row], fields: Sequence[float]) -> list[dict]:
    found = []
    for field in fields:
        for factor, title in COMBINATIONS.items():
            own = [
                row
                for row in rows
                if (row["field_t"], row["factor"], row["analysis"]) == (field, factor, "main")
            ]
            if own:
                found.append(
                    {
                        "where": f"{title}, {field:g} T",
                        "cells": {
                            row["metabolite"]: f"{_plus_minus(row)}; SD {short(row['sd'])}"
                            for row in own
                        },
                    }
                )
    return found


def _headline(curves: Sequence[Row], fields: Sequence[float]) -> str:
    """Where the default stands."""
    places = []
    for name in (NOMINAL, PUBLISHED, EVERYTHING):
        for field in fields:
            for row in _own(curves, field, name, DEFAULT):
                same = [
                    one["rank"]
                    for one in curves
                    if (one["factor"], one["field_t"]) == (name, field)
                ]
                tied = same.count(row["rank"]) > 1
                places.append((f"{COMBINATIONS[name].lower()} at {field:g} T", row["rank"], tied))
    first = [where for where, rank, _ in places if rank == 1]
    others = [f"{where}: {rank}{' (tied)' if tied else ''}" for where, rank, tied in places
              if rank != 1]  # fmt: skip
    text = f"The default analysis is first or tied for first in {len(first)} of {len(places)} cases"
    return text + (f" ({'; '.join(others)})." if others else ".")


def _ratio(row: Row) -> str:
    return f"{row['rmse'] / row['rmse_nominal']:.1f}"


def _plus_minus(row: Row) -> str:
    bias, se = row["bias"], row["bias_se"]
    return signed(bias, 2) + (f" ± {se:.2f}" if se == se else "")


def _bias(row: Row) -> str:
    """Bias with its interval."""
    if math.isnan(row["bias_low"]):
        return _signed(row["bias"])
    return f"{_signed(row['bias'])} ({_signed(row['bias_low'])} to {_signed(row['bias_high'])})"


def _signed(value: float) -> str:
    return "n/a" if math.isnan(value) else signed(value, 2)


def _interval(name: str, row: Row) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    ends = "" if math.isnan(low) else f" ({short(low)} to {short(high)})"
    return short(row[name]) + ends


def _analyses(curves: Sequence[Row]) -> list[dict]:
    """What each contestant is, as keys of config.yaml that differ from the default."""
    seen = {row["contestant"] for row in curves}
    return [
        {"name": one.name, "settings": settings(one)} for one in CONTESTANTS if one.name in seen
    ]


def _dose(row: Row, factor: Factor) -> str:
    return f"{row['dose']:g} {factor.unit}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %".replace("-", "\u2212")

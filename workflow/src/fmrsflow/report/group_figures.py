"""Charts of a site and of the consortium; points lead to the page of their scan or site."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fmrsflow import scan_figures
from fmrsflow.report.plot import (
    BLACK,
    BLUE,
    CYCLE,
    GREY,
    VERMILLION,
    axis,
    layout,
    numbers,
    plain,
)
from fmrsflow.report.results import Effect, ScanSummary

FIGURES = {
    name: scan_figures.FIGURES[name].label
    for name in ("snr_tcr", "fwhm_tcr_hz", "drift_hz", "fqn", "rejected_percent")
}
"""Figures of quality that the group pages draw, with their titles."""

SYMBOLS = {"use": "circle", "care": "diamond", "excluded": "x", "failed": "x"}
COLOURS = {"use": BLUE, "care": "#a86a00", "excluded": VERMILLION, "failed": VERMILLION}
WORDS = {"use": "use", "care": "use with care", "excluded": "excluded", "failed": "failed"}


def forest(
    rows: Sequence[Effect],
    pooled: Effect | None,
    prediction: tuple[float, float] | None = None,
    what: str = "glutamate",
) -> dict:
    """Forest plot: a line an effect, the pooled one below as a diamond, prediction interval dashed.

    The shade of a site's marker shows its protocol by `kind`.
    """
    kinds = list(dict.fromkeys(row.kind for row in rows))
    count = len(rows)
    traces = []
    for k, kind in enumerate(kinds):
        own = [(count - n, row) for n, row in enumerate(rows) if row.kind == kind]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(kind) or "site",
                "x": numbers(row.value for _, row in own),
                "y": [place for place, _ in own],
                "error_x": _interval([row for _, row in own], CYCLE[k]),
                "marker": {
                    "symbol": ("square", "circle", "triangle-up")[k % 3],
                    "size": 10,
                    "color": CYCLE[k],
                },
                "text": [plain(f"{row.name}: {row.note}") for _, row in own],
                "customdata": [row.page for _, row in own],
                "hovertemplate": "%{text}<br>%{x:+.2f} %<extra></extra>",
            }
        )
    labels = [plain(row.name) for row in rows]
    places = [count - n for n in range(count)]
    if pooled is not None:
        labels.append("<b>All sites</b>")
        places.append(-0.1)
        if prediction is not None:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": "where a new site would lie (95 %)",
                    "x": numbers(prediction),
                    "y": [-0.1, -0.1],
                    "line": {"color": GREY, "width": 2, "dash": "dot"},
                    "hovertemplate": "%{x:+.2f} %<extra>prediction</extra>",
                }
            )
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "all sites, 95 % interval",
                "x": numbers([pooled.low, pooled.value, pooled.high, pooled.value, pooled.low]),
                "y": [-0.1, 0.2, -0.1, -0.4, -0.1],
                "fill": "toself",
                "fillcolor": BLACK,
                "line": {"color": BLACK, "width": 1},
                "hoverinfo": "skip",
            }
        )
    shapes = [_vertical(0.0, BLACK, "solid")]
    if pooled is not None:
        shapes.append(_vertical(pooled.value, GREY, "dash"))
    return {
        "data": traces,
        "layout": layout(
            120 + 28 * (count + 1),
            showlegend=True,
            xaxis=axis(f"Change of {what} (%)"),
            yaxis=axis(
                tickvals=places,
                ticktext=labels,
                range=[-0.9, count + 0.7],
                showgrid=False,
            ),
            shapes=shapes,
        ),
    }


def ranked(rows: Sequence[Effect], pooled: float | None, what: str = "glutamate") -> dict:
    """Every scan's effect with its interval, sorted; colour and symbol by verdict."""
    order = sorted(rows, key=lambda row: row.value)
    traces = []
    for kind in ("use", "care", "excluded"):
        own = [(n + 1, row) for n, row in enumerate(order) if row.kind == kind]
        if not own:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": WORDS[kind],
                "x": [place for place, _ in own],
                "y": numbers(row.value for _, row in own),
                "error_y": _interval([row for _, row in own], COLOURS[kind], width=0),
                "marker": {"symbol": SYMBOLS[kind], "size": 8, "color": COLOURS[kind]},
                "text": [plain(row.name) for _, row in own],
                "customdata": [row.page for _, row in own],
                "hovertemplate": "%{text}<br>%{y:+.1f} %<extra></extra>",
            }
        )
    lines = [_horizontal(0.0, BLACK, "solid")]
    if pooled is not None:
        lines.append(_horizontal(pooled, GREY, "dash"))
    return {
        "data": traces,
        "layout": layout(
            360,
            showlegend=True,
            xaxis=axis("Scans, sorted by their change", showticklabels=False, ticks=""),
            yaxis=axis(f"Change of {what} (%)"),
            shapes=lines,
        ),
    }


def shares(rows: Sequence[tuple[str, float, float, float]]) -> dict:
    """Shares of the variance in percent, with intervals: (component, share, low, high)."""
    names = [plain(name) for name, *_ in rows][::-1]
    values = np.array([row[1:] for row in rows], float)[::-1]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "y": names,
                "x": numbers(values[:, 0]),
                "marker": {"color": "#9cc3dd", "line": {"color": BLUE, "width": 1}},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": numbers(values[:, 2] - values[:, 0]),
                    "arrayminus": numbers(values[:, 0] - values[:, 1]),
                    "color": BLACK,
                    "thickness": 1.6,
                },
                "hovertemplate": "%{y}: %{x:.0f} %<extra></extra>",
            }
        ],
        "layout": layout(
            110 + 44 * len(rows),
            xaxis=axis("Share of the variance (%)", range=[0, 102]),
            yaxis=axis(),
        ),
    }


def curve(
    effects: Sequence[Effect],
    choices: Sequence[Mapping[str, str]],
    primary: Sequence[bool],
    what: str = "glutamate",
) -> dict:
    """Specification curve: every answer sorted by its effect, its choices marked below.

    Parameters
    ----------
    effects : sequence of Effect
        One a way to answer; `name` is the analysis.
    choices : sequence of dict
        The choices behind each; those that never differ are not drawn.
    primary : sequence of bool
        Which are the main answers.
    """
    order = sorted(range(len(effects)), key=lambda n: effects[n].value)
    place = {n: rank for rank, n in enumerate(order, start=1)}
    marks: list[tuple[str, list[int]]] = []
    for stage in next(iter(choices), {}):
        names = list(dict.fromkeys(one[stage] for one in choices))
        if len(names) > 1:
            for name in sorted(names):
                at = [place[n] for n, one in enumerate(choices) if one[stage] == name]
                marks.append((f"{stage}: {name}", sorted(at)))
    traces = []
    for chosen in (False, True):
        own = [n for n in order if bool(primary[n]) == chosen]
        if not own:
            continue
        colour = VERMILLION if chosen else BLUE
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "reported first" if chosen else "other ways to answer",
                "x": [place[n] for n in own],
                "y": numbers(effects[n].value for n in own),
                "error_y": _interval([effects[n] for n in own], colour, width=0),
                "marker": {
                    "color": colour,
                    "size": 11 if chosen else 7,
                    "symbol": "diamond" if chosen else "circle",
                },
                "text": [
                    "<br>".join(plain(f"{k}: {v}") for k, v in choices[n].items()) for n in own
                ],
                "hovertemplate": "%{y:+.2f} %<br>%{text}<extra></extra>",
            }
        )
    for row, (_, at) in enumerate(marks):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": at,
                "y": [-row] * len(at),
                "yaxis": "y2",
                "showlegend": False,
                "marker": {"color": BLACK, "size": 6, "symbol": "square"},
                "hoverinfo": "skip",
            }
        )
    height = 320 + 20 * len(marks)
    split = 20 * len(marks) / height
    return {
        "data": traces,
        "layout": layout(
            height + 60,
            showlegend=True,
            xaxis=axis(
                "Ways to answer, sorted by their effect",
                showticklabels=False,
                ticks="",
                anchor="y2" if marks else "y",
                range=[0.3, len(order) + 0.7],
            ),
            yaxis=axis(f"Change of {what} (%)", domain=[split + 0.04 if marks else 0, 1]),
            yaxis2=axis(
                domain=[0, split],
                tickvals=[-row for row in range(len(marks))],
                ticktext=[plain(name) for name, _ in marks],
                range=[-len(marks) + 0.4, 0.6],
                visible=bool(marks),
                tickfont={"size": 11},
            ),
            shapes=[{**_horizontal(0.0, BLACK, "solid"), "yref": "y"}],
        ),
    }


def by_site(scans: Sequence[ScanSummary], limits: Mapping[str, float]) -> dict:
    """Each figure of quality of every scan, a column a site; points lead to their scan."""
    sites = list(dict.fromkeys(scan.scan.site for scan in scans))
    traces = []
    for figure in _present(scans):
        for kind in ("use", "care", "excluded"):
            own = [s for s in scans if s.verdict.kind == kind and figure in s.quality]
            if not own:
                continue
            # A fixed spread inside the column, so that points of like value stay apart.
            spread = [((n * 7) % 11 - 5) / 5 * 0.28 for n in range(len(own))]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": WORDS[kind],
                    "x": [sites.index(s.scan.site) + d for s, d in zip(own, spread)],
                    "y": numbers(s.quality[figure] for s in own),
                    "marker": {
                        "color": COLOURS[kind],
                        "symbol": SYMBOLS[kind],
                        "size": 7,
                        "opacity": 0.8,
                    },
                    "text": [plain(s.scan.key) for s in own],
                    "customdata": [s.page for s in own],
                    "visible": figure == "snr_tcr",
                    "meta": {"group": figure},
                    "hovertemplate": "%{text}: %{y:.3g}<extra></extra>",
                }
            )
    return {
        "data": traces,
        "layout": layout(
            360,
            showlegend=True,
            xaxis=axis(
                tickvals=list(range(len(sites))),
                ticktext=[plain(site) for site in sites],
                range=[-0.6, len(sites) - 0.4],
                showgrid=False,
            ),
            yaxis=axis(rangemode="tozero"),
        ),
    }


def over_time(scans: Sequence[ScanSummary]) -> dict:
    """Figures of quality of a site's scans in the order of the sheet; points lead to their scan."""
    figures = _present(scans)
    gap = 0.06
    share = (1 + gap) / max(1, len(figures)) - gap
    traces, axes = [], {}
    for n, figure in enumerate(figures):
        number = "" if n == 0 else str(n + 1)
        top = 1 - n * (share + gap)
        own = [(place, s) for place, s in enumerate(scans, start=1) if figure in s.quality]
        middle = float(np.median([s.quality[figure] for _, s in own]))
        axes[f"yaxis{number}"] = axis(
            FIGURES[figure], domain=[max(0.0, top - share), top], rangemode="tozero", nticks=5
        )
        axes[f"yaxis{number}"]["title"]["font"] = {"size": 11}
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [place for place, _ in own],
                "y": numbers(s.quality[figure] for _, s in own),
                "yaxis": f"y{number}",
                "line": {"color": GREY, "width": 1},
                "marker": {
                    "size": 8,
                    "color": [COLOURS[s.verdict.kind] for _, s in own],
                    "symbol": [SYMBOLS[s.verdict.kind] for _, s in own],
                },
                "text": [plain(s.scan.stem) for _, s in own],
                "customdata": [s.page for _, s in own],
                "hovertemplate": "%{text}: %{y:.3g}<extra>" + FIGURES[figure] + "</extra>",
            }
        )
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [1, max(2, len(scans))],
                "y": [middle, middle],
                "yaxis": f"y{number}",
                "line": {"color": GREY, "width": 1, "dash": "dot"},
                "hovertemplate": "median %{y:.3g}<extra></extra>",
            }
        )
    bottom = f"y{len(figures)}" if len(figures) > 1 else "y"
    return {
        "data": traces,
        "layout": layout(
            120 * max(1, len(figures)) + 60,
            xaxis=axis("Scan, in the order of the sheet", anchor=bottom, dtick=_step(len(scans))),
            **axes,
        ),
    }


def against_others(
    scans: Sequence[ScanSummary], others: Mapping[str, Sequence[float]], figure: str
) -> dict:
    """One figure of quality: other sites as a grey histogram, the site's scans as points."""
    own = [s for s in scans if figure in s.quality]
    values = [value for value in others.get(figure, ()) if value == value]
    traces = [
        {
            "type": "histogram",
            "x": numbers(values),
            "marker": {"color": "#c9d3dc", "line": {"color": "#ffffff", "width": 1}},
            "name": "other sites",
            "nbinsx": 24,
            "hovertemplate": "%{x}: %{y} scans<extra>other sites</extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "this site",
            "x": numbers(s.quality[figure] for s in own),
            "y": [0] * len(own),
            "cliponaxis": False,
            "marker": {"symbol": "triangle-up", "size": 12, "color": VERMILLION},
            "text": [plain(s.scan.stem) for s in own],
            "customdata": [s.page for s in own],
            "hovertemplate": "%{text}: %{x:.3g}<extra>this site</extra>",
        },
    ]
    return {
        "data": traces,
        "layout": layout(
            230,
            showlegend=True,
            xaxis=axis(FIGURES[figure]),
            yaxis=axis("Scans", rangemode="tozero"),
        ),
    }


def power(rows: Sequence[Mapping[str, str]]) -> dict:
    """Power over number of sites, a line a number of participants a site; dotted: at the
    unfavourable end of what is known of the spread, where that is known."""
    traces = []
    for n, people in enumerate(sorted({row["participants"] for row in rows})):
        own = sorted((row["sites"], row["power"]) for row in rows if row["participants"] == people)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{people} people a site",
                "x": [sites for sites, _ in own],
                "y": [100 * value for _, value in own],
                "line": {"color": CYCLE[n % len(CYCLE)]},
                "marker": {"symbol": n % 6, "size": 8},
                "hovertemplate": "%{x} sites: %{y:.0f} %<extra>"
                + f"{people} people a site</extra>",
            }
        )
        low = sorted(
            (row["sites"], row["power_low"])
            for row in rows
            if row["participants"] == people and math.isfinite(row.get("power_low", math.nan))
        )
        if low:
            same = {key: traces[-1][key] for key in ("type", "name")}
            traces.append(
                {
                    **same,
                    "mode": "lines",
                    "showlegend": False,
                    "x": [sites for sites, _ in low],
                    "y": [100 * value for _, value in low],
                    "line": {"color": CYCLE[n % len(CYCLE)], "dash": "dot"},
                    "hovertemplate": "%{x} sites: at least %{y:.0f} %<extra>"
                    + f"{people} people a site</extra>",
                }
            )
    return {
        "data": traces,
        "layout": layout(
            320,
            showlegend=True,
            xaxis=axis("Sites"),
            yaxis=axis("Power (%)", range=[0, 103]),
            shapes=[_horizontal(80.0, GREY, "dash")],
        ),
    }


def _present(scans: Sequence[ScanSummary]) -> list[str]:
    return [name for name in FIGURES if any(name in scan.quality for scan in scans)]


def _interval(rows: Sequence[Effect], colour: str, **options) -> dict:
    return {
        "type": "data",
        "symmetric": False,
        "array": numbers(row.high - row.value for row in rows),
        "arrayminus": numbers(row.value - row.low for row in rows),
        "color": colour,
        "thickness": 1.6,
        **options,
    }


def _vertical(x: float, colour: str, dash: str) -> dict:
    line = {"color": colour, "width": 1, "dash": dash}
    return {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line}


def _horizontal(y: float, colour: str, dash: str) -> dict:
    line = {"color": colour, "width": 1, "dash": dash}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}


def _step(count: int) -> int:
    return max(1, count // 12)

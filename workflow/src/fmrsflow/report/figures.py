"""Charts of one scan's tables: time courses, concentrations, response. For plotly.js."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmrsflow.report.plot import (
    BLACK,
    BLUE,
    CYCLE,
    GREEN,
    GRID,
    ORANGE,
    PURPLE,
    VERMILLION,
    axis,
    layout,
    numbers,
    plain,
)

TASK_FILL = "rgba(168, 106, 0, 0.14)"


COURSES = (
    ("shift_hz", "Frequency (Hz)", BLUE),
    ("phase_deg", "Phase (°)", PURPLE),
    ("linewidth_hz", "Linewidth (Hz)", GREEN),
    ("snr", "SNR", ORANGE),
)
"""Columns of the transients' table that are drawn over time."""


WATER_COURSES = (
    ("amplitude_percent", "Water (%)", BLUE),
    ("linewidth_hz", "Linewidth (Hz)", GREEN),
    ("t2star_ms", "T2* (ms)", ORANGE),
    ("shift_hz", "Frequency (Hz)", PURPLE),
)
"""Columns of the table of water over the scan that are drawn over time."""


def courses(
    rows: Sequence[dict],
    blocks: Sequence[tuple[float, float, str]],
    columns: Sequence[tuple[str, str, str]] = COURSES,
) -> dict:
    """Columns of a table over time; task shaded, rejected transients marked.

    Parameters
    ----------
    rows : sequence of dict
        Rows of the transients' table, or of that of water over the scan.
    blocks : sequence of (onset_s, end_s, name)
        Task blocks.
    columns : sequence of (column, title, colour)
    """
    time = numbers(_floats(rows, "time_s"))
    kept = np.array([row.get("kept", True) for row in rows], bool)
    present = [one for one in columns if np.isfinite(_floats(rows, one[0])).any()]
    traces, axes = [], {}
    gap = 0.05
    share = (1 + gap) / max(1, len(present)) - gap
    for n, (column, title, colour) in enumerate(present):
        values = _floats(rows, column)
        number = "" if n == 0 else str(n + 1)
        top = 1 - n * (share + gap)
        axes[f"yaxis{number}"] = axis(title, domain=[max(0.0, top - share), top])
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": time,
                "y": numbers(np.where(kept, values, np.nan)),
                "yaxis": f"y{number}",
                "name": title,
                "connectgaps": True,
                "marker": {"size": 4, "color": colour},
                "line": {"width": 1, "color": colour},
                "hovertemplate": "%{x:.0f} s: %{y:.2f}<extra>" + title + "</extra>",
            }
        )
        out = np.flatnonzero(~kept)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [time[j] for j in out],
                "y": numbers(values[out]),
                "yaxis": f"y{number}",
                "name": "rejected",
                "text": [plain(rows[j].get("cause", "")) for j in out],
                "marker": {"symbol": "x", "size": 9, "color": VERMILLION},
                "hovertemplate": "%{x:.0f} s, rejected: %{text}<extra></extra>",
            }
        )
    bottom = f"y{len(present)}" if len(present) > 1 else "y"
    return {
        "data": traces,
        "layout": layout(
            130 * max(1, len(present)) + 60,
            xaxis=axis("Time (s)", anchor=bottom),
            shapes=_shades(blocks),
            **axes,
        ),
    }


def timecourse(
    rows: Sequence[dict],
    metabolites: Sequence[str],
    blocks: Sequence[tuple[float, float, str]] = (),
) -> dict:
    """Block-wise amplitude of some metabolites over time, as a share of its mean, with SE."""
    traces = []
    for n, metabolite in enumerate(metabolites):
        own = [row for row in rows if row["metabolite"] == metabolite]
        amplitude, error = _floats(own, "amplitude"), _floats(own, "se")
        mean = np.nanmean(amplitude) if len(own) else np.nan
        if not mean > 0:
            continue
        colour = CYCLE[n % len(CYCLE)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plain(metabolite),
                "x": numbers(_floats(own, "time_s")),
                "y": numbers(100 * amplitude / mean),
                "error_y": {"array": numbers(100 * error / mean), "color": colour, "thickness": 1},
                "text": [plain(row["condition"]) for row in own],
                "marker": {"color": colour, "size": 7},
                "line": {"color": colour, "width": 1.2},
                "hovertemplate": "%{x:.0f} s, %{text}: %{y:.1f} %<extra>"
                + plain(metabolite)
                + "</extra>",
            }
        )
    return {
        "data": traces,
        "layout": layout(
            320,
            showlegend=True,
            xaxis=axis("Time (s)"),
            yaxis=axis("Amplitude (% of its mean)"),
            shapes=_shades(blocks),
        ),
    }


def concentrations(rows: Sequence[dict], ranges: dict[str, tuple[float, float]], unit: str) -> dict:
    """Concentrations with errors, a marker a condition, over the range in healthy brain."""
    names = list(dict.fromkeys(row["metabolite"] for row in rows))[::-1]
    labels = [plain(name) for name in names]
    known = [name for name in names if name in ranges]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": "healthy brain, literature",
            "y": [plain(name) for name in known],
            "base": [ranges[name][0] for name in known],
            "x": [ranges[name][1] - ranges[name][0] for name in known],
            "marker": {"color": "rgba(0, 122, 90, 0.22)"},
            "width": 0.7,
            "hovertemplate": "%{base:.1f} to %{x:.1f}<extra>%{y}, healthy brain</extra>",
        }
    ]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    for c, condition in enumerate(conditions):
        own = [row for row in rows if row["condition"] == condition]
        colour = CYCLE[c % len(CYCLE)]
        place = {
            "type": "scatter",
            "mode": "markers",
            "y": [plain(row["metabolite"]) for row in own],
            "x": numbers(_floats(own, "value")),
        }
        noise = {"array": numbers(_floats(own, "se")), "color": colour, "thickness": 5, "width": 0}
        traces.append(
            place
            | {"error_x": noise, "showlegend": False, "hoverinfo": "skip", "opacity": 0.55}
            | {"name": plain(condition), "marker": {"color": colour, "size": 1}}
        )
        traces.append(
            {
                **place,
                "name": plain(condition),
                "error_x": {
                    "array": numbers(_floats(own, "total_se")),
                    "color": colour,
                    "thickness": 1.4,
                },
                "marker": {
                    "color": colour,
                    "size": 9,
                    "symbol": ("circle", "diamond", "square", "triangle-up")[c % 4],
                },
                "hovertemplate": "%{y}: %{x:.2f} ± %{error_x.array:.2f}<extra>"
                + plain(condition)
                + "</extra>",
            }
        )
    return {
        "data": traces,
        "layout": layout(
            max(240, 24 * len(names) + 110),
            showlegend=True,
            xaxis=axis(unit, rangemode="tozero"),
            yaxis=axis(categoryorder="array", categoryarray=labels),
        ),
    }


def close_range(rows: Sequence[dict], asked: str = "Glu") -> list[float]:
    """Range (%) that holds the intervals of the main answer and of what is measured well.

    Weak ones have intervals of tens of percent, beside which the others cannot be told apart.
    """
    return _symmetric([r for r in rows if r["metabolite"] in (asked, "tNAA", "tCr", "tCho")])


def whole_range(rows: Sequence[dict]) -> list[float]:
    """Range (%) that holds every interval."""
    return _symmetric(rows)


def _symmetric(rows: Sequence[dict]) -> list[float]:
    ends = np.concatenate([_floats(rows, "low_percent"), _floats(rows, "high_percent")])
    reach = float(np.nanmax(np.abs(ends), initial=5.0)) * 1.08 if len(ends) else 5.0
    return [-round(reach, 1), round(reach, 1)]


def changes(rows: Sequence[dict], first: str = "", asked: str = "Glu") -> dict:
    """Percent change by each estimator with its 95 % interval, a row a metabolite.

    Parameters
    ----------
    rows : sequence of dict
        Rows of the response table for one contrast.
    first : str
        Quantity shown at first; traces carry theirs in `meta`.
    asked : str
        Metabolite of the main answer: the axis reaches as far as its intervals.
    """
    # The main answer and its controls first: what a reader compares.
    first_shown = (asked, "tNAA", "tCr", "tCho")
    metabolites = list(dict.fromkeys(row["metabolite"] for row in rows))
    metabolites.sort(
        key=lambda name: first_shown.index(name) if name in first_shown else len(first_shown)
    )
    metabolites.reverse()
    rows, kinds = _once(rows)
    traces = []
    for quantity in dict.fromkeys(row["quantity"] for row in rows):
        for k, (kind, label) in enumerate(kinds.items()):
            own = [r for r in rows if _estimator(r) == kind and r["quantity"] == quantity]
            if not own:
                continue
            change = _floats(own, "change_percent")
            spread = (k - (len(kinds) - 1) / 2) * 0.7 / max(1, len(kinds) - 1)
            colour = CYCLE[k % len(CYCLE)]
            symbols = ("circle", "circle-open", "diamond", "diamond-open", "square")
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": label,
                    "x": numbers(change),
                    "y": [metabolites.index(row["metabolite"]) - spread for row in own],
                    "error_x": {
                        "type": "data",
                        "symmetric": False,
                        "array": numbers(_floats(own, "high_percent") - change),
                        "arrayminus": numbers(change - _floats(own, "low_percent")),
                        "color": colour,
                        "thickness": 1.6,
                    },
                    "text": [plain(row["metabolite"]) for row in own],
                    "marker": {"color": colour, "size": 8, "symbol": symbols[k % 5]},
                    "visible": quantity == first or not first,
                    "meta": {"group": quantity},
                    "hovertemplate": "%{text}: %{x:+.1f} %<extra>" + label + "</extra>",
                }
            )
    lines = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": n + 0.5, "y1": n + 0.5}
        | {"line": {"color": GRID, "width": 1}}
        for n in range(len(metabolites) - 1)
    ]
    return {
        "data": traces,
        "layout": layout(
            max(280, 14 * len(metabolites) * max(2, len(kinds)) + 130),
            showlegend=True,
            xaxis=axis(
                "Change while the task runs (%)",
                zeroline=True,
                zerolinecolor=BLACK,
                range=close_range(rows, asked),
            ),
            yaxis=axis(
                tickvals=list(range(len(metabolites))),
                ticktext=[plain(name) for name in metabolites],
                range=[-0.6, len(metabolites) - 0.4],
                showgrid=False,
            ),
            shapes=lines,
        ),
    }


def _shades(blocks) -> list[dict]:
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": float(onset),
            "x1": float(end),
            "y0": 0,
            "y1": 1,
            "fillcolor": TASK_FILL,
            "line": {"width": 0},
            "layer": "below",
        }
        for onset, end, _ in blocks
    ]


def _floats(rows: Sequence[dict], column: str) -> np.ndarray:
    return np.array([row.get(column) for row in rows], dtype=float)


def _once(rows: Sequence[dict]) -> tuple[list[dict], dict[str, str]]:
    """Rows without the estimators whose every answer another one gives too, and the names of those
    that stay: where nothing was to be matched, both ways to answer are one."""
    answers: dict[str, list] = {}
    for row in rows:
        told = (row[f"{end}_percent"] for end in ("change", "low", "high"))
        asked = (row["metabolite"], row["quantity"], row.get("contrast"))
        answers.setdefault(_estimator(row), []).append((asked, *(f"{one:.6g}" for one in told)))
    same: dict[tuple, list[str]] = {}
    for kind, found in answers.items():
        same.setdefault(tuple(sorted(found)), []).append(kind)
    names = {kinds[0]: " = ".join(kinds) for kinds in same.values()}
    return [row for row in rows if _estimator(row) in names], names


def _estimator(row: dict) -> str:
    matched = {True: ", linewidths matched", False: ", not matched"}.get(row["matched"], "")
    return plain(row["estimator"] + matched)

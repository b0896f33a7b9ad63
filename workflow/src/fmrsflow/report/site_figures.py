"""Figures of the consortium's answer, from rows of its tables; each gives a matplotlib Figure.

Markers differ in shape and lightness as well as in colour, so that they are told apart in print and
by colour-blind readers (colours of Okabe & Ito 2008).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

DARK, BLUE, VERMILLION, GREY = "#1b1f24", "#00588f", "#c04a00", "#6b7280"
PROTOCOLS = {"standardised": (BLUE, "o", BLUE), "own": (VERMILLION, "s", "white")}
"""Edge colour, marker, fill."""

SHADES = {
    "vendor": ("#1b1f24", ""),
    "site": ("#00588f", ""),
    "participant": ("#56b4e9", "//"),
    "session": ("#c9a227", ".."),
    "measurement": ("#e3e6ea", ""),
}

Rows = Sequence[Mapping]


def _question(row: Mapping) -> str:
    matched = "" if row.get("matched") else ", linewidths not matched"
    return (
        f"{row['metabolite']}, {row['contrast']} ({row['estimator']}, {row['quantity']}{matched})"
    )


def _choice(value) -> str:
    """A choice as the tables have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _axes(width: float, height: float):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def forest(rows: Rows, answer: Mapping) -> Figure:
    """Percent change of each site, its weight as marker size, the mean and where a further site
    would lie below.

    Parameters
    ----------
    rows : rows of sites.tsv with a value
    answer : row of meta.tsv
    """
    figure, axes = _axes(7.5, 1.6 + 0.3 * (len(rows) + 2))
    count = len(rows)
    for j, row in enumerate(rows):
        edge, marker, fill = PROTOCOLS.get(row["protocol"], (GREY, "D", GREY))
        y = count - j
        axes.plot([row["low_percent"], row["high_percent"]], [y, y], color=edge, lw=1.4)
        size = 4 + 6 * math.sqrt(row["weight_percent"] / max(r["weight_percent"] for r in rows))
        axes.plot(
            row["change_percent"], y, marker, ms=size, mfc=fill, mec=edge, mew=1.4,
            label=f"{row['protocol']} protocol",
        )  # fmt: skip
        text = (
            f"{row['change_percent']:+.1f} [{row['low_percent']:+.1f}, {row['high_percent']:+.1f}]"
        )
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    low, high, mean = (answer[f"{x}_percent"] for x in ("low", "high", "change"))
    axes.fill([low, mean, high, mean], [0, 0.3, 0, -0.3], color=DARK)
    ends = [answer.get(f"prediction_{x}_percent", math.nan) for x in ("low", "high")]
    labels = ["mean [95 %]"]
    if math.isfinite(ends[0]):
        axes.plot(ends, [-1, -1], color=DARK, lw=1.4, ls="--", marker="|", ms=9)
        axes.text(
            1.02, -1, f"[{ends[0]:+.1f}, {ends[1]:+.1f}]",
            transform=axes.get_yaxis_transform(), va="center", fontsize=8,
        )  # fmt: skip
        labels.append("a further site (approx.)")
    axes.text(
        1.02, 0, f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]", weight="bold",
        transform=axes.get_yaxis_transform(), va="center", fontsize=8,
    )  # fmt: skip
    names = [f"{row['site']} (n = {row['n']})" for row in rows]
    axes.set_yticks([*range(count, 0, -1), *range(0, -len(labels), -1)], [*names, *labels])
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_ylim(-len(labels) + 0.4, count + 0.6)
    axes.set_xlabel("change (%)")
    axes.set_title(_question(answer), fontsize=10, loc="left")
    _legend(axes)
    return figure


def _legend(axes, **options) -> None:
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles))
    if len(unique) > 1:
        axes.figure.legend(
            unique.values(), unique.keys(), loc="outside lower center", ncols=len(unique),
            frameon=False, fontsize=8, markerscale=0.8, **options,
        )  # fmt: skip


def caterpillar(rows: Rows, answer: Mapping) -> Figure:
    """Effects of sites shrunk towards the mean, sorted; band: the mean's 95 % interval."""
    rows = sorted(rows, key=lambda row: row["shrunken_percent"])
    figure, axes = _axes(max(4.5, 1.5 + 0.4 * len(rows)), 3.8)
    axes.axhspan(answer["low_percent"], answer["high_percent"], color="#d9dde3", lw=0)
    axes.axhline(answer["change_percent"], color=DARK, lw=1)
    axes.axhline(0, color=GREY, lw=0.8, ls=":")
    for x, row in enumerate(rows):
        edge, marker, fill = PROTOCOLS.get(row["protocol"], (GREY, "D", GREY))
        ends = row["shrunken_low_percent"], row["shrunken_high_percent"]
        axes.plot([x, x], ends, color=edge, lw=1.6)
        axes.plot(
            x, row["shrunken_percent"], marker, mfc=fill, mec=edge, mew=1.4, ms=7,
            label=f"{row['protocol']} protocol",
        )  # fmt: skip
        axes.plot(x, row["change_percent"], "x", color=GREY, ms=5, label="mean of the site's scans")
    axes.set_xticks(range(len(rows)), [row["site"] for row in rows], rotation=45, ha="right")
    axes.set_ylabel("change (%)")
    axes.set_title("Site effects, shrunk towards the mean (95 %)", fontsize=10, loc="left")
    _legend(axes)
    return figure


def shares(rows: Rows) -> Figure:
    """Share of each component in the variance, with its 95 % interval.

    Parameters
    ----------
    rows : rows of variance.tsv with a share, of one question
    """
    figure, axes = _axes(6.5, 1.3 + 0.5 * len(rows))
    for j, row in enumerate(rows):
        y = len(rows) - j
        colour, hatch = SHADES.get(row["component"], (GREY, ""))
        axes.barh(y, row["share_percent"], 0.62, color=colour, hatch=hatch, edgecolor=DARK, lw=0.8)
        low, high = row["low_share_percent"], row["high_share_percent"]
        if math.isfinite(low) and math.isfinite(high):
            # A white line below the black one shows on dark and light bars alike.
            axes.plot([low, high], [y, y], color="white", lw=4)
            axes.plot([low, high], [y, y], color=DARK, lw=1.6, marker="|", ms=8)
        unit = "%" if row["unit"] == "percent" else row["unit"]
        text = f"{row['share_percent']:.0f} %   SD {row['sd']:.2g} {unit}"
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks(range(len(rows), 0, -1), [row["component"] for row in rows])
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the variance (%), 95 % profile interval")
    axes.set_title(_question(rows[0]), fontsize=10, loc="left")
    return figure


CHOICES = (
    "analysis",
    "preprocess",
    "basis",
    "fit",
    "concentration",
    "estimator",
    "matched",
    "quantity",
    "scans",
)


def specification(rows: Rows) -> Figure:
    """Specification curve: all answers sorted by effect, the choices behind each marked below.

    Parameters
    ----------
    rows : rows of sensitivity.tsv or specification.tsv, sorted by `change_percent`
    """
    varied = [
        (name, sorted({_choice(row[name]) for row in rows}))
        for name in CHOICES
        if name in rows[0] and len({_choice(row[name]) for row in rows}) > 1
    ]
    lines = sum(len(levels) + 1 for _, levels in varied)
    figure = Figure(figsize=(max(6.5, 1.8 + 0.11 * len(rows)), 3.0 + 0.19 * lines))
    figure.set_layout_engine("constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=[2.6, max(0.19 * lines, 0.1)])
    curve = figure.add_subplot(grid[0])
    below = figure.add_subplot(grid[1], sharex=curve)
    x = np.arange(1, len(rows) + 1)
    for place, row in zip(x, rows):
        main = bool(row.get("main"))
        colour = VERMILLION if main else BLUE
        curve.plot(
            [place, place], [row["low_percent"], row["high_percent"]],
            color=colour if main else "#9db8cc", lw=2.2 if main else 1.4,
        )  # fmt: skip
        curve.plot(
            place, row["change_percent"], "D" if main else "o", color=colour, ms=6 if main else 3.5,
            label="main answer" if main else "other analyses", zorder=3,
        )  # fmt: skip
    curve.axhline(0, color=GREY, lw=0.8)
    curve.set_ylabel("change (%), 95 %")
    curve.spines[["top", "right"]].set_visible(False)
    curve.tick_params(labelbottom=False)
    curve.set_title(f"{rows[0]['metabolite']}: {len(rows)} analyses", fontsize=10, loc="left")
    handles, labels = curve.get_legend_handles_labels()
    unique = dict(zip(labels, handles))
    if len(unique) > 1:
        curve.legend(unique.values(), unique.keys(), frameon=False, fontsize=8, loc="upper left")
    y, ticks, names = 0, [], []
    for name, levels in varied:
        for level in levels:
            marks = [place for place, row in zip(x, rows) if _choice(row[name]) == level]
            below.axhline(y, color="#eef0f3", lw=0.8, zorder=0)
            below.plot(marks, [y] * len(marks), "|", color=DARK, ms=6, mew=1.3)
            ticks.append(y)
            names.append(f"{name}: {level}")
            y -= 1
        y -= 1
    below.set_yticks(ticks, names, fontsize=7)
    below.set_ylim(y + 1.2, 0.8)
    below.spines[["top", "right", "bottom"]].set_visible(False)
    below.tick_params(bottom=False, labelbottom=False)
    return figure


def power_surface(rows: Rows) -> Figure:
    """Power over sites and participants a site; the number stands in each cell.

    Parameters
    ----------
    rows : rows of power.tsv
    """
    sites, people = (sorted({row[name] for row in rows}) for name in ("sites", "participants"))
    values = np.full((len(people), len(sites)), np.nan)
    for row in rows:
        values[people.index(row["participants"]), sites.index(row["sites"])] = row["power"]
    figure, axes = _axes(1.8 + 0.58 * len(sites), 1.7 + 0.42 * len(people))
    picture = axes.imshow(values, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (j, k), value in np.ndenumerate(values):
        dark = value > 0.55
        text = "≥.995" if value >= 0.995 else f"{value:.2f}".lstrip("0")
        weight = "bold" if value >= 0.8 else "normal"
        axes.text(
            k, j, text, ha="center", va="center", fontsize=7.5, weight=weight,
            color=DARK if dark else "white",
        )  # fmt: skip
    if values.min() < 0.8 < values.max():
        axes.contour(values, levels=[0.8], colors=DARK, linewidths=1.6)
    axes.set_xticks(range(len(sites)), sites)
    axes.set_yticks(range(len(people)), people)
    axes.set_xlabel("sites")
    axes.set_ylabel("participants at each site")
    axes.set_title(
        f"Power to find a change of {rows[0]['effect_percent']:g} % (line and bold: 0.8)",
        fontsize=10,
        loc="left",
    )
    figure.colorbar(picture, ax=axes, label="power")
    return figure


def bland_altman(first: Sequence[float], second: Sequence[float], row: Mapping) -> Figure:
    """Differences of two sites over their mean, with bias and limits of agreement.

    Parameters
    ----------
    first, second : values of the same participants
    row : row of bland_altman.tsv
    """
    figure, axes = _axes(5.6, 3.8)
    a, b = np.asarray(first, float), np.asarray(second, float)
    for name, style, shade in (
        ("lower", "--", "#eceff3"),
        ("upper", "--", "#eceff3"),
        ("bias", "-", "#c3cad4"),
    ):
        axes.axhspan(row[f"{name}_low"], row[f"{name}_high"], color=shade, lw=0)
        axes.axhline(row[name], color=DARK, lw=1.2, ls=style)
        axes.text(
            1.01, row[name], f"{name} {row[name]:+.2g}", transform=axes.get_yaxis_transform(),
            va="center", fontsize=8,
        )  # fmt: skip
    axes.axhline(0, color=GREY, lw=0.8, ls=":")
    axes.plot((a + b) / 2, a - b, "o", mfc=BLUE, mec="white", ms=7)
    unit = "%" if row["unit"] == "percent" else row["unit"]
    axes.set_xlabel(f"mean of both ({unit})")
    axes.set_ylabel(f"{row['first']} minus {row['second']} ({unit})")
    axes.set_title(
        f"{row['metabolite']}, {row['n']} participants at both sites (bands: 95 %)",
        fontsize=10,
        loc="left",
    )
    return figure

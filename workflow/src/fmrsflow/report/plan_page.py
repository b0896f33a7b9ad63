"""The page of a plan: the recommended protocol, why, what it depends on, people and sites."""

from __future__ import annotations

import math
from statistics import median

from fmrsflow.metabolites import in_words
from fmrsflow.plan.acquisition import GAIN
from fmrsflow.plan.answer import Answer
from fmrsflow.plan.grid import METABOLITES, OPTIONS
from fmrsflow.plan.people import participants
from fmrsflow.report import group_figures
from fmrsflow.report.plan_words import (
    design_words,
    error_words,
    option_words,
    people_words,
    ratio_words,
    shape_words,
)
from fmrsflow.report.plot import CYCLE, axis, layout, plain
from fmrsflow.report.render import render, short
from fmrsflow.words import count

TITLES = {
    "field_t": "Field", "sequence": "Sequence", "te_s": "Echo time", "tr_s": "Repetition time",
    "volume_ml": "Voxel", "block_s": "Block", "rest_s": "Rest",
    "minutes": "Length of a scan", "transients": "Transients",
}  # fmt: skip
"""Options as pages call them."""

MOST_ROWS = 40
"""Designs in the table of the page; designs.tsv has all."""


def plan_page(answer: Answer) -> str:
    """The page as HTML."""
    asked, best = answer.asked, answer.best
    sections = [
        ("answer", "Answer"),
        ("worth", "Why this one"),
        ("depends", "What it depends on"),
        ("designs", "Designs"),
        ("metabolites", "Metabolites"),
        *([("power", "People and sites")] if answer.power else []),
        *([("sites", "Sites")] if answer.site_rows else []),
        ("how", "How it was made"),
    ]
    return render(
        "plan.html.j2",
        sections=sections,
        headline=design_words(best.design),
        metabolite=in_words(asked.metabolite),
        response=shape_words(asked.response),
        n_designs=count(len(answer.found), "design"),
        error=error_words(answer),
        people=people_words(answer),
        tiles=_tiles(answer),
        worth=_worth(answer),
        shapes=_shapes(answer),
        depends=_depends(answer),
        chart=_chart(answer),
        rows=_rows(answer),
        n_left=len(answer.found) - MOST_ROWS,
        metabolites=_metabolites(answer),
        power=group_figures.power(answer.power) if answer.power else None,
        site_rows=_sites(answer),
        agreement=_agreement(answer),
        wish=asked.wish,
        tissue=answer.tissue,
        gain=GAIN,
        noise=best.design.receiver.source,
    )


def _tiles(answer: Answer) -> list[dict]:
    row, asked = answer.rows[0], answer.asked
    found = [
        ("Error of one scan", f"{row['se_percent']:.2f} %", "standard error of task less rest"),
        ("Of a plateau the difference holds", f"{row['reads']:.2f}", shape_words(asked.response)),
        ("tCr SNR of one transient", short(row["snr_tcr"]), f"line {row['fwhm_tcr_hz']:.1f} Hz"),
    ]
    if row["participants"] is not None:
        people = row["participants"] * answer.sites
        found.append(("People", str(people), f"{answer.sites} sites x {row['participants']}"))
        found.append(("Scanner time", f"{row['hours']:.0f} h", f"{asked.wish.overhead_min:g} min "
                      "of each visit beside scans"))  # fmt: skip
    return [{"name": name, "value": value, "note": note} for name, value, note in found]


def _worth(answer: Answer) -> list[dict]:
    """A row for each other value of each option."""
    own = answer.best.design.settings()
    return [
        {
            "option": TITLES[name],
            "value": option_words(name, value),
            "error": short(error) if math.isfinite(error) else "none",
            "time": ratio_words(time),
            "best": value == own[name],
        }
        for name, rows in answer.worth().items()
        for value, error, time in rows
    ]


def _shapes(answer: Answer) -> list[dict]:
    """What the best design holds under each shape of the response, and which one would be best."""
    own = answer.best.design.settings()
    rows = []
    for shape, reads, first, ratio in answer.by_shape():
        other = first.design.settings()
        free = {"rest_s"} | ({"transients"} if own["minutes"] == own["minutes"] else set())
        differs = [
            option_words(name, other[name])
            for name in OPTIONS
            if name not in free and other[name] == other[name] and other[name] != own[name]
        ]
        rows.append(
            {
                "shape": shape_words(shape),
                "assumed": shape == answer.asked.response,
                "reads": f"{reads:.2f}",
                "other": ", ".join(differs) or "the same",
                "ratio": "none tells anything" if math.isnan(ratio) else ratio_words(ratio),
            }
        )
    return rows


def _depends(answer: Answer) -> list[str]:
    """Sentences on what the recommendation stands on, with what it would be otherwise."""
    wish, row = answer.wish, answer.rows[0]
    found = []
    if spread := answer.noise_spread():
        field = answer.best.design.protocol.site.field_t
        one = "one scan alone, of a part of a coil's elements" if spread[0] == spread[1] else (
            f"scans whose noise lies between {spread[0]:.2f} and {spread[1]:.2f} times their mean"
        )  # fmt: skip
        found.append(
            f"The noise at {field:g} T is that of {one}; errors are in proportion to it. "
            "--snr gives your own, --study that of sites that were measured."
        )
    if wish.spread is None:
        found.append(
            "SDs between people and sites are not known: the ranking counts the error of a scan "
            "alone, which makes long scans of few people look better than they are."
        )
    else:
        found.append(
            f"People differ by {wish.spread.participant:.2f} points and sites by "
            f"{wish.spread.site:.2f} (SD). One scan has an error of {answer.error:.2f} points: "
            + _weight(wish.spread.participant, answer.error / math.sqrt(wish.scans))
        )
    if wish.spread is not None and wish.ends is None:
        found.append("Both SDs are taken as known: no study says how well.")
    found += [f"Site {site} takes no part: {why}." for site, why in answer.left_out.items()]
    for factor in (0.5, 2.0):
        if wish.spread is not None and row["participants"] is not None:
            found.append(_with_noise(answer, factor))
    return found


def _weight(person: float, scan: float) -> str:
    """Which of two errors decides."""
    if scan > 1.5 * person:
        return "better scans are worth more than more people."
    if person > 1.5 * scan:
        return "more people are worth more than better scans."
    return "both count alike."


def _with_noise(answer: Answer, factor: float) -> str:
    """People where noise is larger or smaller."""
    wish = answer.asked.wish.with_scan(factor * answer.error)
    needed = participants(wish.effect_percent, answer.sites, wish.spread, wish.power)
    people = "no number of people is enough" if needed is None else (
        f"{count(needed, 'participant')} a site are enough"
    )  # fmt: skip
    return f"With {'half' if factor < 1 else 'twice'} the error of a scan {people}."


def _chart(answer: Answer) -> dict:
    """Error in points of the plateau over the length of a scan, a colour a field and sequence."""
    groups: dict[str, list] = {}
    for row, one in zip(answer.rows, answer.found):
        if row["se_as_plateau_percent"] is None:
            continue
        name = f"{row['field_t']:g} T {row['sequence']}"
        groups.setdefault(name, []).append((row, design_words(one.design)))
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": plain(name),
            "x": [row["scan_min"] for row, _ in rows],
            "y": [row["se_as_plateau_percent"] for row, _ in rows],
            "text": [plain(f"{row['rank']}: {words}") for row, words in rows],
            "marker": {"color": CYCLE[n % len(CYCLE)], "symbol": n % 6, "size": 8, "opacity": 0.7},
            "hovertemplate": "%{text}<br>%{y:.2f} points<extra></extra>",
        }
        for n, (name, rows) in enumerate(groups.items())
    ]
    best = answer.rows[0]
    traces.append(
        {
            "type": "scatter", "mode": "markers", "name": "recommended",
            "x": [best["scan_min"]], "y": [best["se_as_plateau_percent"]],
            "marker": {"color": "#1b1f24", "symbol": "circle-open", "size": 16,
                       "line": {"width": 3}},
            "hoverinfo": "skip",
        }
    )  # fmt: skip
    values = [one for trace in traces for one in trace["y"]]
    most = min(max(values), 6 * median(values)) * 1.1
    return {
        "data": traces,
        "layout": layout(
            360,
            showlegend=True,
            xaxis=axis("Length of a scan (min)", rangemode="tozero"),
            yaxis=axis("Error, points of the plateau", range=[0, most]),
        ),
    }


def _rows(answer: Answer) -> list[dict]:
    return [
        {
            "rank": row["rank"],
            "design": design_words(one.design),
            "snr": short(row["snr_tcr"]),
            "se": short(row["se_percent"]),
            "reads": short(row["reads"]),
            "error": short(row["se_as_plateau_percent"]),
            "time": short(row["relative_time"]),
            "people": short(row["participants"]),
            "hours": short(row["hours"]),
            "reason": row["reason"],
        }
        for row, one in list(zip(answer.rows, answer.found))[:MOST_ROWS]
    ]


def _metabolites(answer: Answer) -> list[dict]:
    told = answer.best.expected
    ratio = told.se_ratio[answer.asked.response]
    return [
        {
            "name": name,
            "se": short(told.se_percent[name]),
            "fitted": short(told.se_percent[name] * ratio),
        }
        for name in METABOLITES
        if name in told.se_percent
    ]


def _sites(answer: Answer) -> list[dict]:
    return [
        {**{key: short(value) for key, value in row.items()}, "site": row["site"]}
        for row in answer.site_rows
    ]


def _agreement(answer: Answer) -> str:
    """How the plan's errors compare with those that the fits of measured scans told."""
    ratios = [
        row["se_told_percent"] / row["se_expected_percent"]
        for row in answer.site_rows
        if math.isfinite(row["se_told_percent"] / row["se_expected_percent"])
    ]
    if not ratios:
        return ""
    if len(ratios) == 1:
        return f"The fits of the scans told {ratios[0]:.2f} times what the plan expects of them."
    return (
        f"The fits of the scans told {min(ratios):.2f} to {max(ratios):.2f} times what the plan "
        "expects of them, by site."
    )

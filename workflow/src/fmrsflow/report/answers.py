"""What the pages of site and consortium take from the tables of the sites stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fmrsflow.question import KEYS, Question, without_arms
from fmrsflow.report.alike import alike
from fmrsflow.report.effect_words import effect_words, holds_zero, unit_of
from fmrsflow.report.influence_words import odd_site
from fmrsflow.report.plateau import plateau_words
from fmrsflow.report.render import signed
from fmrsflow.report.results import Effect
from fmrsflow.sites.many_tests import CHANGE, CONTROL, DESCRIBED, EFFECT
from fmrsflow.study import Site
from fmrsflow.tables import Row

Tables = Mapping[str, Sequence[Row]]

NOTABLE = 0.5
"""Distance of two means of the same scans, in standard errors, from which it is told."""

LEVEL = 0.05
"""Level of tests, as of the 95 % intervals."""

MOST_FLAGS = 3
"""Kinds of flags that the answer names; the table of problems has them all."""

MARKS = ("preprocess", "basis", "fit", "concentration", "response", *KEYS[1:4], "scans", "weight")
"""Choices that the specification curve marks, where they differ."""


def question(record: Mapping, settings: Mapping) -> Question:
    """The question that the study answers first, from the record of the sites stage; before that
    stage has run, from its settings."""
    main = record.get("main")
    if main:
        return Question(*main)
    return Question.from_settings(settings)


def site_effects(tables: Tables, asked: Question) -> dict[str, Effect]:
    """Change at each site that has one."""
    return {
        row["site"]: Effect(row["site"], *_ends(row), note=_scans(row["n"]))
        for row in _of(tables.get("sites", ()), asked)
        if _known(row, "change_percent", "low_percent", "high_percent")
    }


def answers(
    tables: Tables,
    specification: Sequence[Row],
    asked: Question,
    sites: Mapping[str, Site],
    pages: Mapping[str, str],
    wanted: Question | None = None,
) -> dict:
    """The fields of `ConsortiumResults` that come from tables; `wanted`: what the settings ask for,
    where the answer need not be that."""
    meta = next(iter(_of(tables.get("meta", ()), asked)), {})
    found = {
        "effects": [
            replace(effect, page=pages[name], kind=f"{sites[name].protocol} protocol")
            for name, effect in site_effects(tables, asked).items()
            if name in sites
        ],
        "no_answer": meta.get("reason", "").removeprefix("cannot be estimated because "),
        "shares": _shares(_of(tables.get("variance", ()), asked)),
        "power": [row for row in tables.get("power", ()) if _known(row, "power")],
        "power_words": _power_words(tables.get("power", ())),
        "caveats": [
            *_instead(tables.get("meta", ()), asked, wanted or asked),
            *_adjusted(meta, tables.get("tests", ())),
            *_one_stage(meta, asked),
            *_regions(tables.get("meta", ()), asked),
            *_flags(tables.get("problems", ())),
            *filter(None, [plateau_words(_of_region(tables.get("plateau", ()), asked), asked)]),
            *_caveats(tables, asked),
        ],
        "cv": [row for row in tables.get("cv", ()) if row["quantity"] == "molal"],
        "people": tables.get("covariates", ()),
        "left_out": _of(tables.get("leave_one_out", ()), asked),
        "problems": _problems(tables.get("problems", ())),
        "tiles": _tiles(meta, tables.get("tests", ())),
        "test_words": _test_words(tables.get("tests", ()), tables.get("meta", ())),
    }
    found["multiverse"], found["choices"], found["primary"] = _curve(specification)
    if _known(meta, "change_percent", "low_percent", "high_percent"):
        note = f"{_count(meta['n_sites'], 'site')} and {_count(meta['n'], 'scan')}"
        found["pooled"] = Effect("all sites", *_ends(meta), note=note)
    if _known(meta, "prediction_low_percent", "prediction_high_percent"):
        found["prediction"] = tuple(meta[f"prediction_{end}_percent"] for end in ("low", "high"))
    return found


def _of(rows: Sequence[Row], asked: Question) -> list[Row]:
    """Rows that answer the question; those on concentrations do not."""
    return [
        row for row in rows if row.get("outcome", "change") == "change" and asked.answered_by(row)
    ]


def _shares(rows: Sequence[Row]) -> list[tuple[str, float, float, float]]:
    columns = ("component", "share_percent", "low_share_percent", "high_share_percent")
    return [tuple(row[name] for name in columns) for row in rows if _known(row, "share_percent")]


def _curve(rows: Sequence[Row]) -> tuple[list[Effect], list[dict[str, str]], list[bool]]:
    """Effects of the specification curve, the choices behind each, and which is stated first."""
    rows = [row for row in rows if _known(row, "change_percent", "low_percent", "high_percent")]
    effects = [Effect(row["analysis"], *_ends(row)) for row in rows]
    choices = [{name: row[name] for name in MARKS if name in row} for row in rows]
    for one in choices:
        one["matched"] = "yes" if one["matched"] else "no"
    return effects, choices, [row["main"] for row in rows]


def _instead(rows: Sequence[Row], asked: Question, wanted: Question) -> Iterator[str]:
    """What the answer is on instead of what the settings ask for, and what else could be it."""
    if others := wanted.differs(asked):
        yield (
            f"This is not quite what the settings ask for, which no unit has: {'; '.join(others)}."
        )
    same = [row for row in rows if replace(asked, contrast="").answered_by(row)]
    contrasts = sorted({without_arms(row["contrast"]) for row in same})
    if len(contrasts) > 1:
        shown, own = ", ".join(contrasts), without_arms(asked.contrast)
        yield f"The answer is on {own}; meta.tsv has one for each contrast ({shown})."


def _regions(rows: Sequence[Row], asked: Question) -> Iterator[str]:
    """What was found in other regions and between them."""
    if asked.region is None:
        return
    others = [
        row
        for row in rows
        if row["region"] != asked.region and replace(asked, region=row["region"]).answered_by(row)
    ]
    if not others:
        return
    yield (
        "Regions are answered one by one and never averaged; which one stands first says the "
        "setting `region` of sites."
    )
    for row in others:
        if _known(row, "change_percent", "low_percent", "high_percent"):
            other = replace(asked, region=row["region"])
            over = f"{_count(row['n_sites'], 'site')} and {_count(row['n'], 'scan')}"
            yield effect_words(other, *_ends(row), over)
        else:
            yield f"Region {row['region'] or 'without a label'}: {row['reason'] or 'no interval'}."


def _of_region(rows: Sequence[Row], asked: Question) -> list[Row]:
    return [row for row in rows if asked.region in (None, row["region"])]


def _flags(rows: Sequence[Row]) -> Iterator[str]:
    """How many responses carry a flag of their controls or scaling: what the answer rests on."""
    own = [row for row in rows if row["kind"] == "control"]
    if not own:
        return
    kinds = alike([row["text"] for row in own])
    shown = "; ".join(f"{text} ({len(places)})" for text, places in kinds[:MOST_FLAGS])
    more = len(kinds) - MOST_FLAGS
    yield (
        f"{_count(len({row['item'] for row in own}), 'response')} with a flag that speaks against "
        f"taking the change at face value: {shown}"
        + (f"; and {more} other kinds, under Problems." if more > 0 else ".")
    )


def _adjusted(meta: Row, tests: Sequence[Row]) -> Iterator[str]:
    """Where the interval leaves zero out and p by Holm does not show a change."""
    if _known(meta, "p", "p_holm") and meta["p"] < LEVEL <= meta["p_holm"]:
        yield (
            f"The interval is that of this answer alone. Adjusted for the {_family(tests)} changes "
            f"that were tested, p is {_p(meta['p_holm'])}: by that no change is still possible."
        )


def _family(tests: Sequence[Row]) -> int:
    """How many tests p is adjusted for."""
    return sum(row["what"] == CHANGE and row["role"] != CONTROL for row in tests)


def _one_stage(meta: Row, asked: Question) -> Iterator[str]:
    """The one-stage mean where it is not that of the sites, and what to believe."""
    names = ("change", "se", "low", "high")
    if not _known(meta, *(f"{name}_percent" for name in names), "one_stage_percent"):
        return
    value, low, high = (meta[f"one_stage{end}_percent"] for end in ("", "_low", "_high"))
    apart = abs(value - meta["change_percent"]) > NOTABLE * meta["se_percent"]
    other = holds_zero(low, high) != holds_zero(meta["low_percent"], meta["high_percent"])
    if apart or other:
        unit = unit_of(asked)
        yield (
            f"One model of all scans at once finds {signed(value)} {unit} (95 % interval "
            f"{signed(low)} to {signed(high)}). The answer is that of the site means, whose "
            "interval keeps its promise from three sites on; where the two tell different stories, "
            "sites of unequal size or error carry the difference."
        )


def _caveats(tables: Tables, asked: Question) -> list[str]:
    caveats = []
    left = _of(tables.get("leave_one_out", ()), asked)
    values = [row["change_percent"] for row in left if _known(row, "change_percent")]
    if values:
        caveats.append(
            f"Whichever site is left out, the mean stays between {signed(min(values))} and "
            f"{signed(max(values))} {unit_of(asked)}."
        )
    caveats += [told for row in left if (told := odd_site(row))]
    for row in _of(tables.get("equivalence", ()), asked):
        if _known(row, "difference_percent"):
            caveats.append(
                f"Sites with their own protocol find {signed(row['difference_percent'])} "
                "percentage points against those with the standardised one (90 % interval "
                f"{signed(row['low90_percent'])} to {signed(row['high90_percent'])}; "
                f"{row['verdict']} within ± {row['margin_percent']:g})."
            )
    return caveats


def _power_words(rows: Sequence[Row]) -> str:
    """The design that is needed at the unfavourable ends of what is known of the spread."""
    rows = [row for row in rows if _known(row, "power", "minimal_effect_percent")]
    if not rows:
        return ""
    first = rows[0]
    words = (
        f"Chance to find a true change of {first['effect_percent']:g} % at the 5 % level, "
        "from this study's own spread: between sites "
        f"{_sd(first, 'site')}, between people {_sd(first, 'participant')}, of one scan "
        f"{_short(first['sd_measurement_percent'])} % (SD, with 95 % intervals)."
    )
    if not _known(first, "power_low"):
        return (
            f"{words} How well these are known cannot be said, so no design is called sufficient."
        )
    sure, hoped = (_least(rows, name) for name in ("power_low", "power"))
    if sure:
        words += f" Whatever of it is true, 80 % power is reached by {_design(sure)}."
    else:
        words += (
            " At the unfavourable ends of these intervals no design of the table reaches 80 % "
            "power: this study knows its own spread too little to plan by."
        )
    if hoped and hoped is not sure:
        words += (
            f" Were the spread as estimated, {_design(hoped)} would do, with "
            f"{100 * hoped['power_low']:.0f} to {100 * hoped['power_high']:.0f} % over the "
            "intervals."
        )
    return words


def _least(rows: Sequence[Row], column: str) -> Row | None:
    """The design of fewest people that has 80 % power by a column."""
    enough = [row for row in rows if row[column] >= 0.8]
    return min(enough, key=lambda row: row["sites"] * row["participants"], default=None)


def _design(row: Row) -> str:
    return f"{row['sites']} sites with {row['participants']} people each"


def _sd(row: Row, name: str) -> str:
    value = f"{_short(row[f'sd_{name}_percent'])} %"
    ends = [row[f"sd_{name}_{end}_percent"] for end in ("low", "high")]
    if any(math.isnan(one) for one in ends):
        return f"{value} (no interval)"
    return f"{value} ({' to '.join(map(_short, ends))})"


def _test_words(tests: Sequence[Row], answered: Sequence[Row]) -> str:
    """How many tests were made, what was done about it, and what is no test."""
    if not tests:
        return ""
    changes = [row for row in tests if row["what"] == CHANGE]
    family = [row for row in changes if row["role"] != CONTROL]
    controls = [row for row in changes if row["role"] == CONTROL]
    people = [row for row in tests if row["what"].startswith(EFFECT)]
    others = len(tests) - len(changes) - len(people)
    parts = [
        f"of no change of {', '.join(_named(row, family) for row in family)} "
        f"(p by Holm over {'these ' if len(family) > 1 else ''}{len(family)}: "
        f"{', '.join(_p(row['p_holm']) for row in family)})"
    ]
    if controls:
        told = ", ".join(f"{_named(row, controls)} {_p(row['p'])}" for row in controls)
        parts.append(f"{len(controls)} of what should not change, as controls ({told})")
    if people:
        terms = list(dict.fromkeys(row["what"].removeprefix(EFFECT) for row in people))
        parts.append(
            f"{len(people)} of {', '.join(terms)} (each by itself by Holm over metabolites and "
            "regions)"
        )
    if others:
        parts.append(f"{others} of differences between sites and protocols, not adjusted")
    described = sum(row["role"] == DESCRIBED for row in answered)
    return (
        f"{_count(len(tests), 'test')} made: {len(family)} {'; '.join(parts)}. The other "
        f"{_count(described, 'answer')} of the tables, by other estimators, quantities or "
        "contrasts, are described by their intervals and not tested."
    )


def _named(row: Row, rows: Sequence[Row]) -> str:
    if len({one["region"] for one in rows}) < 2:
        return row["metabolite"]
    return f"{row['metabolite']} in {row['region'] or 'no region'}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def _tiles(meta: Row, tests: Sequence[Row]) -> list[tuple[str, str, str]]:
    tiles = []
    if _known(meta, "tau_percent"):
        note, shown = "SD of the true change", f"{_short(meta['tau_percent'])} %"
        if _known(meta, "tau_low_percent", "tau_high_percent"):
            ends = [_short(meta[f"tau_{end}_percent"]) for end in ("low", "high")]
            note += f"; 95 % interval {' to '.join(ends)} %"
        if meta["tau_percent"] == 0:
            high = meta["tau_high_percent"]
            shown = "not known" if math.isnan(high) else f"0 to {_short(high)} %"
            note += "; estimated as 0, which does not say that sites are alike"
        tiles.append(("Between sites", shown, note))
    if _known(meta, "i2_percent"):
        note = "of the differences between sites is more than noise"
        tiles.append(("I²", f"{meta['i2_percent']:.0f} %", note))
    if _known(meta, "p", "p_holm"):
        by = f"here by Holm over {_family(tests)}"
        note = f"{meta['method']}; alone {_p(meta['p'])}, {by}"
        tiles.append(("p of no change", _p(meta["p_holm"]), note))
    return tiles


def _problems(rows: Sequence[Row]) -> list[dict]:
    """Problems of a run, alike ones stated once with how often and where."""
    kinds: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        kinds.setdefault((row["kind"], row["stage"]), []).append(row)
    found = []
    for (kind, stage), own in kinds.items():
        for text, places in alike([row["text"] for row in own]):
            items = [own[place]["item"] for place in places]
            found.append(
                {"kind": kind, "stage": stage, "text": text, "count": len(items), "items": items}
            )
    return found


def _ends(row: Row) -> tuple[float, float, float]:
    return tuple(row[f"{name}_percent"] for name in ("change", "low", "high"))


def _known(row: Row, *columns: str) -> bool:
    return not any(math.isnan(row.get(name, math.nan)) for name in columns)


def _scans(number: int) -> str:
    return _count(number, "scan")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _short(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.2g}"

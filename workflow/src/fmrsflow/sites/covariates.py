"""What changes differ by between people: age, groups and other columns of participants.tsv.

One mixed model of all changes with their known errors: covariates and groups fixed; vendor, site,
person and session at random as far as the design tells them apart; errors and degrees of freedom by
Kenward & Roger (small_samples.py). Each interaction is asked of a model of its own, so that a
difference of groups is that over all sites and not the one at some reference protocol. Regions are
answered one by one, as everything is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from fmrsflow.participants import OF_SITE, SPAN, number_of
from fmrsflow.question import KEYS
from fmrsflow.sites import reml
from fmrsflow.sites.answer import sample_of
from fmrsflow.sites.many_tests import DESCRIBED, MAIN, TESTED, effect_of, holm, role_of
from fmrsflow.sites.small_samples import effects
from fmrsflow.sites.variance import Decomposition, Sample, decompose
from fmrsflow.words import count

MEAN = "mean"
"""Term of the mean: of all rows, or at the mean of numbers and the most common groups."""

LEAST_PEOPLE = 5
"""People of a group below which a difference is described and not tested."""

FEW_NUMBERS = 5
"""A column of as many different whole numbers or fewer may hold codes of groups."""

Rows = list[dict]
Cells = Mapping[str, str]


@dataclass(frozen=True)
class Terms:
    """What a model asks of its covariates.

    Attributes
    ----------
    columns : tuple of str
        Covariates and groups, in the order of the columns of the model.
    interactions : tuple of (str, str)
        Pairs of these.
    levels : dict
        Column of groups -> its levels, that of most people first; other columns hold numbers.
    """

    columns: tuple[str, ...]
    interactions: tuple[tuple[str, str], ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def named(self) -> str:
        """The columns in a list."""
        return ", ".join(self.columns)


def by_frequency(cells: Sequence[str]) -> tuple[str, ...]:
    """Levels of a column, the most common first, equals by name."""
    return tuple(sorted(Counter(cells), key=lambda one: (-cells.count(one), one)))


def terms_of(
    columns: Sequence[str], pairs: Sequence[str], groups: Sequence[str], cells: Sequence[Cells]
) -> Terms:
    """Terms of named columns and `a:b` pairs.

    Parameters
    ----------
    groups : columns that hold groups
    cells : one a person, which decide the level that others are compared with
    """
    levels = {
        name: by_frequency([one[name] for one in cells if name in one])
        for name in columns
        if name in groups
    }
    return Terms(tuple(columns), tuple(tuple(pair.split(":")) for pair in pairs), levels)


@dataclass(frozen=True)
class Column:
    """A column of the fixed effects: what it is of, and its values.

    Attributes
    ----------
    column, level, reference : str
        Of a group its level and the one that it is compared with; of an interaction two, with
        ":" between them, "" for a number.
    values : array (n,)
    """

    term: str
    column: str
    level: str
    reference: str
    values: np.ndarray

    def times(self, other: Column) -> Column:
        """The interaction of two."""
        pairs = [f"{getattr(self, one)}:{getattr(other, one)}" for one in FIELDS]
        return Column(f"{self.term} x {other.term}", *pairs, self.values * other.values)


FIELDS = ("column", "level", "reference")


def columns_of(name: str, cells: Sequence[Cells], terms: Terms) -> list[Column]:
    """Columns of one covariate: a number about its mean, or each group that somebody is in against
    the first one."""
    own = [one[name] for one in cells]
    if name not in terms.levels:
        values = np.array([number_of(cell) for cell in own], float)
        return [Column(name, name, "", "", values - values.mean())]
    first, *others = terms.levels[name]
    return [
        Column(
            f"{name} {level} less {first}",
            *(name, level, first),
            np.array([cell == level for cell in own], float),
        )
        for level in others
        if level in own
    ]


def effects_of(sample: Sample, cells: Sequence[Cells], terms: Terms) -> Rows:
    """Rows of effects.tsv on covariates: those of the model of all columns, then of each
    interaction.

    Parameters
    ----------
    sample : Sample
    cells : one an observation
        Column -> cell; a column that is missing there is not known.
    """
    rows = _model(sample, cells, terms, None)
    for pair in terms.interactions:
        rows += _model(sample, cells, terms, pair)
    return rows


def _model(sample: Sample, cells, terms: Terms, pair: tuple[str, str] | None) -> Rows:
    """The model of all columns, or with it one interaction, of which its own rows alone."""
    complete = np.array([all(one in own for one in terms.columns) for own in cells], bool)
    left = len(cells) - int(complete.sum())
    named = terms.named if pair is None else f"{terms.named}, {':'.join(pair)}"
    start = {"model": f"one stage with {named}", "term": ":".join(pair or ()) or MEAN}
    start["column"] = ":".join(pair or ())
    start |= {"n": int(complete.sum()), "n_left_out": left}
    notes = [f"{count(left, 'row')} without a covariate left out"] if left else []
    if not complete.any():
        return [{**start, "reason": "cannot be estimated because no row is complete"}]
    sample, cells = sample.select(complete), [one for one, whole in zip(cells, complete) if whole]
    start |= counts(sample)
    single = {name: columns_of(name, cells, terms) for name in terms.columns}
    told = {name: list(_told(name, cells, terms)) for name in terms.columns}
    constant = Column(MEAN, "", "", "", np.ones(len(cells)))
    columns = [constant, *(one for own in single.values() for one in own)]
    asked = list(range(len(columns)))
    if pair is not None:
        crossed = [a.times(b) for a, b in product(*(single[name] for name in pair))]
        crossed = [one for one in crossed if one.values.any()]
        asked = list(range(len(columns), len(columns) + len(crossed)))
        columns += crossed
    found = fit_terms(sample, columns, notes)
    if isinstance(found, str) or not asked:
        why = found if isinstance(found, str) else _SAME
        notes += [one for own in told.values() for one in own]
        return [{**start, "reason": "; ".join([why, *notes])}]
    people = {person: own for person, own in zip(sample.person, cells)}
    rows = [_noted({**start, **_named(columns[j]), **found(j)}, told) for j in asked]
    rows = [_with_people(row, list(people.values())) for row in rows]
    return [_with_sites(row, sample, cells) for row in rows]


_SAME = "cannot be estimated because covariates do not vary, or follow from each other"


def _noted(row: dict, told: Mapping[str, Sequence[str]]) -> dict:
    """A row that says what to know of its own columns."""
    own = [note for name in _parts(row["column"]) for note in told.get(name, ())]
    return row | {"reason": "; ".join(filter(None, [row["reason"], *own]))}


def counts(sample: Sample) -> dict:
    """How many values, sites and people there are."""
    people = len(set(sample.person))
    return {"n": len(sample), "n_sites": len(set(sample.site)), "n_persons": people}


def _named(column: Column) -> dict:
    return {"term": column.term, **{name: getattr(column, name) for name in FIELDS}}


def _told(name: str, cells: Sequence[Cells], terms: Terms) -> Iterator[str]:
    """What to know of the cells of a column."""
    own = [one[name] for one in cells]
    if name in terms.levels:
        if len(set(own)) < 2:
            yield f"{name} does not vary"
        elif lacking := [one for one in terms.levels[name] if one not in own]:
            yield f"{name}: nobody of {', '.join(lacking)} here"
        return
    if spans := sum(SPAN.fullmatch(cell) is not None for cell in own):
        yield f"{name}: {count(spans, 'span')} taken at the middle"
    numbers = {number_of(cell) for cell in own}
    if len(numbers) < 2:
        yield f"{name} does not vary"
    elif len(numbers) <= FEW_NUMBERS and all(one == int(one) for one in numbers):
        yield f"{name}: {len(numbers)} whole numbers taken as amounts, not as codes of groups"


def fit_terms(
    sample: Sample, columns: Sequence[Column], notes: Sequence[str] = ()
) -> Callable[[int], dict] | str:
    """The fitted model as a function of a column's number, which gives its row; or why there is
    none."""
    x = np.column_stack([one.values for one in columns])
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return _SAME
    if _nothing_left(x, sample.person):
        return "cannot be estimated because there are as many effects as people"
    drop, between = _dropped(x, sample, {part for one in columns for part in _parts(one.column)})
    parts = decompose(sample, fixed=x, intervals=False, drop=drop)
    if parts.fitted is None:
        return parts.components[0].reason
    found = effects(parts.data, parts.fitted)
    told = "; ".join([*notes, *parts.notes])

    def row(j: int) -> dict:
        if j in between:
            return {"reason": f"cannot be estimated because {between[j]}"}
        low, high = found.interval(j)
        values = {"estimate": float(found.coefficients[j]), "se": float(found.se[j])}
        values |= {"low": low, "high": high, "df": float(found.df[j]), "p": found.p_value(j)}
        return {**values, **_sds(parts), "reason": told}

    return row


def _parts(column: str) -> list[str]:
    return column.split(":")


def _within(x: np.ndarray, labels: Sequence[str]) -> tuple[np.ndarray, int]:
    """Columns about their means in each level of a factor, with exact zeros where they do not vary
    there, and the number of levels."""
    level = reml.levels(labels)
    sums = np.zeros((level.max() + 1, x.shape[1]))
    np.add.at(sums, level, x)
    rest = x - (sums / np.bincount(level)[:, None])[level]
    return np.where(np.abs(rest) < 1e-9 * (1 + np.abs(x).max(axis=0)), 0.0, rest), len(sums)


def _nothing_left(x: np.ndarray, labels: Sequence[str]) -> bool:
    """Whether fixed effects tell all levels of a factor apart, so that nothing shows its spread."""
    within, levels = _within(x, labels)
    return levels + np.linalg.matrix_rank(within) <= x.shape[1]


def _dropped(
    x: np.ndarray, sample: Sample, named: Collection[str]
) -> tuple[tuple[str, ...], dict[int, str]]:
    """Components that fixed effects leave nothing of, and, where that is the site, columns of which
    nothing can be said: those that are constant within sites."""
    drop = ("vendor",) if "vendor" in named or _nothing_left(x, sample.vendor) else ()
    within, sites = _within(x, sample.site)
    if sites < 2 or not _nothing_left(x, sample.site):
        return drop, {}
    why = f"{count(sites, 'site')} cannot show how sites differ beside it"
    return ("vendor", "site"), {int(j): why for j in np.flatnonzero(~within.any(axis=0))}


def _sds(parts: Decomposition) -> dict:
    names = {
        "vendor": "vendor_sd", "site": "site_sd", "participant": "person_sd",
        "session": "session_sd",
    }  # fmt: skip
    return {column: parts.get(name).sd for name, column in names.items()}


def _with_people(row: dict, people: Sequence[Cells]) -> dict:
    """A row with how many people its group and that compared with hold, of an interaction the
    smallest of the other cells; below `LEAST_PEOPLE` nothing is tested."""
    names, levels, references = (_parts(row.get(one, "")) for one in FIELDS)
    sides = [
        [(name, level), (name, reference)]
        for name, level, reference in zip(names, levels, references)
        if level
    ]
    if not sides or "estimate" not in row:
        return row
    own, *others = (
        sum(all(cells[name] == level for name, level in cell) for cells in people)
        for cell in product(*sides)
    )
    row = row | {"n_level": own, "n_reference": min(others)}
    if min(own, *others) >= LEAST_PEOPLE:
        return row
    few = min(own, *others)
    row.pop("p")
    told = f"not tested: {few} {'person' if few == 1 else 'people'} of a group"
    return row | {"reason": "; ".join(filter(None, [row["reason"], told]))}


def _with_sites(row: dict, sample: Sample, cells: Sequence[Cells]) -> dict:
    """A row that says where no site has both groups."""
    name = row.get("column", "")
    if not row.get("level") or name in OF_SITE or ":" in name or "estimate" not in row:
        return row
    of = {
        level: {site for site, own in zip(sample.site, cells) if own[name] == level}
        for level in (row["level"], row["reference"])
    }
    if of[row["level"]] & of[row["reference"]]:
        return row
    told = "no site has both groups: the difference is one between sites"
    return row | {"reason": "; ".join(filter(None, [row["reason"], told]))}


def varying(sample: Sample, cells: Sequence[Cells], terms: Terms, row: Mapping) -> dict:
    """How much the difference of a group varies from site to site, and its interval if it does: the
    cells of site and group as one more random factor. Nothing where fewer than two sites have two
    groups each."""
    name = row["column"]
    if name not in terms.levels or name in OF_SITE or "estimate" not in row:
        return {}
    complete = np.array([all(one in own for one in terms.columns) for own in cells], bool)
    sample, cells = sample.select(complete), [one for one, whole in zip(cells, complete) if whole]
    labels = [f"{site}/{own[name]}" for site, own in zip(sample.site, cells)]
    levels = Counter(label.partition("/")[0] for label in set(labels))
    if sum(n > 1 for n in levels.values()) < 2:
        return {}
    columns = [one for other in terms.columns for one in columns_of(other, cells, terms)]
    x = np.column_stack([np.ones(len(cells)), *(one.values for one in columns)])
    drop = _dropped(x, sample, terms.columns)[0]
    parts = decompose(sample, x, intervals=False, drop=drop, more=("cells", labels))
    if parts.fitted is None or "cells" not in parts.fitted.names:
        return {}
    j = next(k for k, one in enumerate(columns, start=1) if one.term == row["term"])
    found = effects(parts.data, parts.fitted)
    low, high = found.interval(j)
    variance = float(parts.fitted.variances[parts.fitted.names.index("cells")])
    return {"varies_sd": math.sqrt(2 * variance), "varies_low": low, "varies_high": high}


def study_terms(settings: Mapping, people: Mapping[tuple, Cells], sites: Mapping) -> Terms | None:
    """What the settings of `sites` ask of people; None where they ask nothing. Groups are compared
    with that of most people of the study, in every row alike."""
    pairs = settings.get("interactions") or ()
    groups = [*(settings.get("groups") or ()), *OF_SITE]
    named = [*(settings.get("covariates") or ()), *(settings.get("groups") or ())]
    columns = dict.fromkeys([*named, *(one for pair in pairs for one in pair.split(":"))])
    if not columns:
        return None
    own = [cells_of(key, people, sites) for key in sorted(people)]
    # Somebody who travelled counts once a site, as in the data.
    return terms_of(tuple(columns), pairs, groups, own)


def cells_of(key: tuple[str, str], people: Mapping[tuple, Cells], sites: Mapping) -> dict[str, str]:
    """Cells of a person at a site (`key`), with what sites.tsv says of that."""
    of_site = {name: sites[key[0]][name] for name in OF_SITE}
    shown = {
        name: value if isinstance(value, str) else f"{value:g}" for name, value in of_site.items()
    }
    return {**people.get(key, {}), **shown}


def covariates(
    responses: Sequence[Mapping],
    sites: Mapping[str, Mapping],
    people: Mapping[tuple[str, str], Cells],
    settings: Mapping,
    chosen: tuple | None,
) -> Rows:
    """Rows of covariates.tsv: of the main question, each metabolite and region.

    Parameters
    ----------
    responses : rows
        As `answer.changes` takes them.
    people : (site, person) -> cells
        Of the columns that the settings name.
    chosen : values of `KEYS`, or None
        The main question.
    """
    there = {(row["site"], row["person"]): {} for row in responses}
    terms = study_terms(settings, {**there, **people}, sites)
    groups: dict[tuple, list[Mapping]] = {}
    for row in responses if terms else ():
        if role_of(row, chosen) != DESCRIBED:
            groups.setdefault(tuple(row[name] for name in KEYS), []).append(row)
    found: Rows = []
    for key, rows in groups.items():
        used = [row for row in rows if row["used"] and math.isfinite(row["change_percent"])]
        same = dict(zip(KEYS, key))
        same["role"] = role_of(same, chosen)
        found += [{**same, **row} for row in _of_question(used, sites, people, terms)]
    return with_holm(found)


def _of_question(used, sites, people, terms: Terms) -> Rows:
    if not used:
        return [{"term": MEAN, "n": 0, "reason": "cannot be estimated because no scan is used"}]
    sample = sample_of(used, sites)
    cells = [cells_of((row["site"], row["person"]), people, sites) for row in used]
    rows = effects_of(sample, cells, terms)
    # The mean is meta.tsv's; a model that could not be fitted has its reason in the place of it.
    kept = [row for row in rows if row["term"] != MEAN or "level" not in row]
    return [row | varying(sample, cells, terms, row) for row in kept]


def with_holm(rows: Rows) -> Rows:
    """p of each term adjusted over metabolites and regions; controls are told apart, unadjusted."""
    tested = [row for row in rows if row.get("role", MAIN) in (MAIN, TESTED)]
    for key in dict.fromkeys((row.get("model"), row["term"]) for row in tested):
        family = [row for row in tested if (row.get("model"), row["term"]) == key]
        for row, adjusted in zip(family, holm([row.get("p", math.nan) for row in family])):
            row["p_holm"] = float(adjusted)
    return rows


def as_tests(rows: Sequence[Mapping]) -> Rows:
    """Rows of tests.tsv on the effects that were tested, of the main metabolite and the others."""
    return [
        {
            **{name: row[name] for name in KEYS},
            "what": effect_of(row["term"]),
            "role": row["role"],
            "p": row["p"],
            "p_holm": row.get("p_holm"),
        }
        for row in rows
        if math.isfinite(row.get("p", math.nan))
    ]


def contradictions(
    people: Mapping[tuple[str, str], Cells], settings: Mapping
) -> list[tuple[str, str, str]]:
    """Site, person and what is wrong: somebody who is in two groups at two sites."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    found = []
    for (site, person), cells in sorted(people.items()):
        for column in settings.get("groups") or ():
            if column not in cells:
                continue
            place, cell = first.setdefault((person, column), (site, cells[column]))
            if cell != cells[column]:
                told = f"{column} of {person} is {cells[column]} here and {cell} at {place}"
                found.append((site, person, f"{told}: each site's own is taken; mend one of them"))
    return found

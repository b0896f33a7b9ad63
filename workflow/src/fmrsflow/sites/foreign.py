"""Answers on a table that the workflow did not make: a published one, or that of another pipeline.

One row a measurement: a change (`change_percent`) or another `value`, its standard error, who and
where. Each metabolite and region is answered by the mean over sites, as any change, and by a
one-stage mixed model (site, person and measurement at random, known errors) with the covariates
that are named; errors and degrees of freedom by Kenward & Roger (small_samples.py).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.sites.answer import pool
from fmrsflow.sites.many_tests import holm
from fmrsflow.sites.small_samples import effects
from fmrsflow.sites.variance import Decomposition, Sample, decompose, site_means
from fmrsflow.tables import read_table
from fmrsflow.words import count

OUTCOMES = ("change_percent", "value")
MEAN = "mean"
"""Term of the mean: of all rows, or at the mean of numbers and the most common groups."""

RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")
"""A span, as "35-40" for an age that must not be told to the year."""

MISSING = ("", "n/a")

Rows = list[dict]


@dataclass(frozen=True)
class Measurement:
    """One row of the table in its types; `covariates`: cells of the columns that are asked for."""

    site: str
    person: str
    metabolite: str
    region: str
    value: float
    se: float
    covariates: Mapping[str, str]


def read(path: Path, covariates: Sequence[str]) -> list[Measurement]:
    """Measurements of a TSV (see `measurements`); DataError where it cannot be read or used."""
    try:
        rows = read_table(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    return measurements(rows, covariates, path.name)


def measurements(
    rows: Sequence[Mapping[str, str]], covariates: Sequence[str], name: str = "table"
) -> list[Measurement]:
    """Rows of a TSV as measurements; those without a value are left out.

    Parameters
    ----------
    rows : columns `site`; `person` (one label is one person, also at two sites) or `subject` (of
        its site); `metabolite`; `change_percent` or `value`; optionally `se` and `region`
    covariates : names of further columns; `a:b` is an interaction of two

    Raises
    ------
    DataError
        A column is missing, a number is none, or nothing is left.
    """
    header = list(rows[0]) if rows else []
    outcome = next((one for one in OUTCOMES if one in header), None)
    who = next((one for one in ("person", "subject") if one in header), None)
    used = list(dict.fromkeys(part for one in covariates for part in one.split(":")))
    lacking = [one for one in ("site", "metabolite", *used) if one not in header]
    lacking += [] if outcome else [" or ".join(OUTCOMES)]
    lacking += [] if who else ["person or subject"]
    if lacking:
        raise DataError(f"{name} lacks the column {lacking[0]}; there are {', '.join(header)}")
    found = []
    for number, row in enumerate(rows, start=2):
        if row[outcome] in MISSING:
            continue
        where = f"{name} row {number}"
        for column in ("site", who, "metabolite"):
            if row[column] in MISSING:
                raise DataError(f"{where}: {column} is empty")
        value = _number(row[outcome], f"{where}: {outcome}")
        text = row.get("se", "")
        se = math.nan if text in MISSING else _number(text, f"{where}: se")
        if se <= 0:
            raise DataError(f"{where}: se is not positive")
        person = row[who] if who == "person" else f"{row['site']}/{row[who]}"
        region = row.get("region", "")
        found.append(
            Measurement(
                row["site"],
                person,
                row["metabolite"],
                "" if region in MISSING else region,
                value,
                se,
                {one: row[one] for one in used},
            )
        )
    if not found:
        raise DataError(f"{name} holds no row with a {outcome}")
    return found


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {text!r} is not a finite number")
    return value


def answers(table: Sequence[Measurement], covariates: Sequence[str]) -> Rows:
    """Rows of effects.tsv: of each metabolite and region the mean over sites, the mean of the
    one-stage model, and the effect of each covariate, p adjusted by Holm over metabolites and
    regions for each term."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for one in table:
        groups.setdefault((one.metabolite, one.region), []).append(one)
    rows: Rows = []
    for (metabolite, region), own in groups.items():
        same = {"metabolite": metabolite, "region": region}
        rows.append({**same, **_over_sites(own)})
        rows += [{**same, **row} for row in _one_stage(own, ())]
        if covariates:
            rows += [{**same, **row} for row in _one_stage(own, covariates)]
    for key in dict.fromkeys((row["model"], row["term"]) for row in rows):
        family = [row for row in rows if (row["model"], row["term"]) == key]
        for row, adjusted in zip(family, holm([row.get("p", math.nan) for row in family])):
            row["p_holm"] = float(adjusted)
    return rows


def _sample(own: Sequence[Measurement]) -> Sample:
    return Sample(
        np.array([one.value for one in own]),
        np.array([one.se for one in own]),
        tuple(one.site for one in own),
        ("",) * len(own),
        tuple(one.person for one in own),
    )


def _counts(sample: Sample) -> dict:
    people = len(set(sample.person))
    return {"n": len(sample), "n_sites": len(set(sample.site)), "n_persons": people}


def _over_sites(own: Sequence[Measurement]) -> dict:
    """The two-stage mean, as of any change."""
    sample = _sample(own)
    parts = decompose(sample, intervals=False)
    row = pool(sample, site_means(sample, parts), parts)
    taken = {
        "estimate": "change_percent", "se": "se_percent", "low": "low_percent",
        "high": "high_percent", "df": "df", "p": "p", "site_sd": "tau_percent",
    }  # fmt: skip
    found = {name: row[key] for name, key in taken.items() if key in row}
    return {"model": "site means", "term": MEAN, **found, **_counts(sample),
            "reason": row.get("reason", "")}  # fmt: skip


def _one_stage(own: Sequence[Measurement], covariates: Sequence[str]) -> Rows:
    """Effects of one mixed model of all measurements."""
    model = "one stage" if not covariates else f"one stage with {', '.join(covariates)}"
    complete = [
        one for one in own if not any(cell in MISSING for cell in one.covariates.values())
    ] if covariates else list(own)  # fmt: skip
    left = len(own) - len(complete)
    notes = [f"{count(left, 'row')} without a covariate left out"] if left else []
    start = {"model": model, "term": MEAN}
    if not complete:
        return [{**start, "n": 0, "reason": "cannot be estimated because no row is complete"}]
    sample = _sample(complete)
    x, terms, told = design(complete, covariates)
    start |= _counts(sample)
    notes += told
    if np.linalg.matrix_rank(x) < x.shape[1]:
        why = "cannot be estimated because covariates do not vary, or follow from each other"
        return [{**start, "reason": "; ".join([why, *notes])}]
    parts = decompose(sample, fixed=x, intervals=False)
    if parts.fitted is None:
        return [{**start, "reason": parts.components[0].reason}]
    found = effects(parts.data, parts.fitted)
    notes += parts.notes
    rows = []
    for j, term in enumerate(terms):
        low, high = found.interval(j)
        rows.append(
            {
                **start,
                "term": term,
                "estimate": float(found.coefficients[j]),
                "se": float(found.se[j]),
                "low": low,
                "high": high,
                "df": float(found.df[j]),
                "p": found.p_value(j),
                **_sds(parts),
                "reason": "; ".join(notes),
            }
        )
    return rows


def _sds(parts: Decomposition) -> dict:
    names = {"site": "site_sd", "participant": "person_sd", "session": "session_sd"}
    return {column: parts.get(name).sd for name, column in names.items()}


def design(
    own: Sequence[Measurement], covariates: Sequence[str]
) -> tuple[np.ndarray, list[str], list[str]]:
    """Columns of the fixed effects, their terms, and what to know of the covariates: numbers about
    their mean, groups against the most common one."""
    notes: list[str] = []
    single: dict[str, list[tuple[str, np.ndarray]]] = {}
    for name in dict.fromkeys(part for one in covariates for part in one.split(":")):
        cells = [one.covariates[name] for one in own]
        spans = sum(RANGE.fullmatch(cell) is not None for cell in cells)
        numbers = [_covariate(cell) for cell in cells]
        if all(number is not None for number in numbers):
            if spans:
                notes.append(f"{name}: {count(spans, 'span')} taken at the middle")
            values = np.array(numbers, float)
            single[name] = [(name, values - values.mean())]
            continue
        levels = sorted(Counter(cells).items(), key=lambda item: (-item[1], item[0]))
        first = levels[0][0]
        single[name] = [
            (f"{name} {level} less {first}", np.array([cell == level for cell in cells], float))
            for level, _ in levels[1:]
        ]
    terms, columns = [MEAN], [np.ones(len(own))]
    for name in covariates:
        parts = [("", np.ones(len(own)))]
        for part in name.split(":"):
            parts = [
                (f"{before} x {term}" if before else term, column * own_column)
                for before, column in parts
                for term, own_column in single[part]
            ]
        terms += [term for term, _ in parts]
        columns += [column for _, column in parts]
        if not parts:
            notes.append(f"{name} does not vary")
    return np.column_stack(columns), terms, notes


def _covariate(cell: str) -> float | None:
    """A number, the middle of a span, or None for a group."""
    if span := RANGE.fullmatch(cell):
        return (float(span[1]) + float(span[2])) / 2
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

"""Answers on a table that the workflow did not make: a published one, or that of another pipeline.

One row a measurement: a change (`change_percent`) or another `value`, its standard error, who and
where. Each metabolite and region is answered by the mean over sites, as any change, and by a
one-stage mixed model (site, person and measurement at random, known errors) with the covariates
that are named; errors and degrees of freedom by Kenward & Roger (small_samples.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.participants import number_of
from fmrsflow.sites.answer import pool
from fmrsflow.sites.covariates import (
    MEAN,
    Column,
    Terms,
    counts,
    effects_of,
    fit_terms,
    terms_of,
    with_holm,
)
from fmrsflow.sites.variance import Sample, decompose, site_means
from fmrsflow.tables import read_table

OUTCOMES = ("change_percent", "value")
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
    terms = _terms(table, covariates)
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for one in table:
        groups.setdefault((one.metabolite, one.region), []).append(one)
    rows: Rows = []
    for (metabolite, region), own in groups.items():
        same = {"metabolite": metabolite, "region": region}
        rows.append({**same, **_over_sites(own)})
        sample = _sample(own)
        rows.append({**same, **_mean_of(sample)})
        if terms:
            rows += [{**same, **row} for row in effects_of(sample, _cells(own), terms)]
    return with_holm(rows)


def _terms(table: Sequence[Measurement], covariates: Sequence[str]) -> Terms | None:
    """Columns whose cells are all numbers count as such, others as groups."""
    if not covariates:
        return None
    pairs = [one for one in covariates if ":" in one]
    named = [one for one in covariates if ":" not in one]
    columns = dict.fromkeys([*named, *(part for pair in pairs for part in pair.split(":"))])
    cells = _cells(table)
    groups = [
        name
        for name in columns
        if any(number_of(one[name]) is None for one in cells if name in one)
    ]
    return terms_of(tuple(columns), pairs, groups, cells)


def _cells(own: Sequence[Measurement]) -> list[dict[str, str]]:
    return [{name: cell for name, cell in one.covariates.items() if cell not in MISSING}
            for one in own]  # fmt: skip


def _sample(own: Sequence[Measurement]) -> Sample:
    return Sample(
        np.array([one.value for one in own]),
        np.array([one.se for one in own]),
        tuple(one.site for one in own),
        ("",) * len(own),
        tuple(one.person for one in own),
    )


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
    return {"model": "site means", "term": MEAN, **found, **counts(sample),
            "reason": row.get("reason", "")}  # fmt: skip


def _mean_of(sample: Sample) -> dict:
    """The mean by one mixed model of all measurements."""
    start = {"model": "one stage", "term": MEAN, **counts(sample)}
    found = fit_terms(sample, [Column(MEAN, "", "", "", np.ones(len(sample)))])
    return {**start, **({"reason": found} if isinstance(found, str) else found(0))}

"""Concentrations over sites: variance components, CVs, agreement of repeated measurements."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import chi2

from fmrsflow.question import KEYS
from fmrsflow.sites.agreement import bland_altman, reliability
from fmrsflow.sites.answer import Rows, variance_rows
from fmrsflow.sites.variance import Sample, decompose

LEVEL_KEYS = ("metabolite", "quantity", "condition", "region")
LEVEL_QUANTITIES = ("molal", "ratio_tcr")

ASKED = (
    *("site", "scan", "person", "metabolite", "condition", "region", "quantity"),
    *("value", "se", "water_se", "unit", "used"),
)
"""What these statistics ask of a concentration."""


class AtRest:
    """Concentrations at rest, or of the average of all where a scan has no rest, of some
    metabolites; gathered scan by scan."""

    def __init__(self, rest: str, metabolites: set[str]):
        self._rest, self._metabolites = rest, metabolites
        self._rows: list[dict] = []
        self._resting = False

    def add(self, rows: list[dict]) -> None:
        """Keep what is wanted of the rows of a scan."""
        rests = any(row["condition"] == self._rest for row in rows)
        self._resting |= rests
        wanted = self._rest if rests else "all"
        self._rows += [
            {name: row[name] for name in ASKED}
            for row in rows
            if row["condition"] == wanted and row["metabolite"] in self._metabolites
        ]

    def rows(self) -> list[dict]:
        """The rows of all scans, under one name of their condition."""
        named = self._rest if self._resting else "all"
        for row in self._rows:
            row["condition"] = named
        return self._rows


def levels(concentrations: Sequence[Mapping], sites: Mapping[str, Mapping]) -> dict[str, Rows]:
    """Tables `variance` (outcome concentration) and `cv`.

    The error of a scan is here what it does not share with the others, by which scans scatter:
    noise of the fit and of the water. What the model of the fit and the segmentation do to all
    scans alike moves their level together (docs/science.md#concentration-errors); counted as error
    of each, it would pass for the scatter that people make.

    Parameters
    ----------
    concentrations : rows
        `LEVEL_KEYS`, `site`, `person`, `value`, `se`, `water_se` (numbers), `unit`, `used` (bool).
    """
    groups: dict[tuple, list[Mapping]] = {}
    for row in concentrations:
        if row["used"] and row["quantity"] in LEVEL_QUANTITIES and math.isfinite(row["value"]):
            groups.setdefault(tuple(row[name] for name in LEVEL_KEYS), []).append(row)
    tables: dict[str, Rows] = {"variance": [], "cv": []}
    for key, rows in groups.items():
        if key[:2] == ("tCr", "ratio_tcr"):
            continue
        metabolite, quantity, condition, region = key
        sample = Sample(
            np.array([row["value"] for row in rows]),
            np.array([math.hypot(row["se"], row["water_se"]) for row in rows]),
            tuple(row["site"] for row in rows),
            tuple(sites[row["site"]]["vendor"] for row in rows),
            tuple(row["person"] for row in rows),
        )
        same = {
            "outcome": "concentration",
            "metabolite": metabolite,
            "quantity": quantity,
            "contrast": condition,
            "region": region,
        }
        unit = rows[0]["unit"]
        tables["variance"] += variance_rows(same, decompose(sample), sample, unit)
        named = dict(zip(LEVEL_KEYS, key))
        tables["cv"].append({**named, **variation(sample), "unit": unit})
    return tables


def variation(sample: Sample) -> dict:
    """CV within and between sites with 95 % intervals, percent of the mean over sites.

    Within: scatter about the site's mean, measurement error in it (chi-square interval). Between:
    SD of true site means by REML (profile interval), vendors in it.
    """
    names = sorted(set(sample.site))
    groups = [sample.value[[one == name for one in sample.site]] for name in names]
    mean = float(np.mean([group.mean() for group in groups]))
    row = {"n": len(sample), "n_sites": len(names), "mean": mean}
    reasons = []
    if not mean > 0:
        why = "cannot be estimated because the mean is not positive"
        return row | {"reason": why}
    df = sum(len(group) - 1 for group in groups)
    if df:
        squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
        ends = (squares / df, squares / chi2.ppf(0.975, df), squares / chi2.ppf(0.025, df))
        value, low, high = (100 * math.sqrt(one) / mean for one in ends)
        row |= {"cv_within_percent": value, "low_within_percent": low, "high_within_percent": high}
    else:
        reasons.append("within: cannot be estimated because no site has more than one scan")
    parts = decompose(sample, drop=("vendor",))
    site = parts.get("site")
    if math.isfinite(site.sd):
        row |= {
            "cv_between_percent": 100 * site.sd / mean,
            "low_between_percent": 100 * site.sd_low / mean,
            "high_between_percent": 100 * site.sd_high / mean,
        }
    else:
        reasons.append(f"between: {site.reason}")
    if len(sample) > 1:
        row["cv_total_percent"] = 100 * float(sample.value.std(ddof=1)) / mean
    return row | {"reason": "; ".join(reasons)}


def agreement(
    responses: Sequence[Mapping],
    concentrations: Sequence[Mapping],
    protocols: Mapping[str, str] | None = None,
) -> dict[str, Rows]:
    """Tables `agreement` and `bland_altman` from whoever was measured more than once.

    Over sites: travelling participants at the sites that all of them visited. Over sessions: the
    first two scans of a participant at a site, of one region and one protocol: what another voxel
    or another sequence measures is no repetition.

    Parameters
    ----------
    protocols : mapping
        Unit or scan -> its label `acq`.
    """
    protocols = protocols or {}
    tables: dict[str, Rows] = {"agreement": [], "bland_altman": []}
    questions = [
        ("change", KEYS, responses, "change_percent", "unit", lambda row: "percent"),
        ("concentration", LEVEL_KEYS, concentrations, "value", "scan", lambda row: row["unit"]),
    ]
    for outcome, keys, rows, column, item, unit in questions:
        groups: dict[tuple, list[Mapping]] = {}
        for row in rows:
            if row["used"] and math.isfinite(row[column]):
                groups.setdefault(tuple(row[name] for name in keys), []).append(row)
        for key, own in groups.items():
            same = {"outcome": outcome, **_common(keys, key)}
            acq = [protocols.get(row.get(item, ""), "") for row in own]
            _one_agreement(tables, same, own, column, unit(own[0]), acq)
    if not tables["agreement"]:
        why = "cannot be estimated because nobody was measured twice"
        tables["agreement"].append({"reason": why})
    return tables


def _common(keys, key) -> dict:
    named = dict(zip(keys, key))
    if "condition" in named:
        named["contrast"] = named.pop("condition")
    return named


def _one_agreement(tables, same, rows, column, unit, acq) -> None:
    by_site: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    repeated: dict[tuple, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for row, protocol in zip(rows, acq):
        by_site[row["person"]][row["site"]].append(row[column])
        repeated[row["person"], row["site"]][protocol].append(row[column])
    travellers = {p: visits for p, visits in by_site.items() if len(visits) > 1}
    if travellers:
        common = sorted(set.intersection(*(set(visits) for visits in travellers.values())))
        matrix = [[float(np.mean(visits[s])) for s in common] for visits in travellers.values()]
        note = f"{len(travellers)} travelling participants at {', '.join(common) or 'no site'}"
        _reliable(tables, same, np.array(matrix), "sites", unit, note)
        places = sorted({site for visits in travellers.values() for site in visits})
        for j, first in enumerate(places):
            for second in places[j + 1 :]:
                both = [v for v in travellers.values() if first in v and second in v]
                _differences(tables, same, both, first, second, unit)
    twice = (
        next((values for values in own.values() if len(values) > 1), [])
        for own in repeated.values()
    )
    pairs = [values[:2] for values in twice if values]
    if pairs:
        note = f"{len(pairs)} participants measured twice at their site"
        _reliable(tables, same, np.array(pairs), "sessions", unit, note)


def _reliable(tables, same, matrix, over, unit, note) -> None:
    row = {**same, "over": over, "n": len(matrix), "unit": unit}
    try:
        one = reliability(matrix if matrix.ndim == 2 else matrix.reshape(len(matrix), -1))
    except ValueError as error:
        why = f"cannot be estimated because of {note}: {error}"
        tables["agreement"].append({**row, "reason": why})
        return
    names = ("icc21", "icc21_low", "icc21_high", "icc31", "icc31_low", "icc31_high", "sem", "mdc")
    values = {name: getattr(one, name) for name in names}
    tables["agreement"].append({**row, "k": one.k, **values, "reason": note})


def _differences(tables, same, both, first, second, unit) -> None:
    row = {**same, "first": first, "second": second, "n": len(both), "unit": unit}
    if len(both) < 3:
        why = f"cannot be estimated because {len(both)} participants were at both: 3 are needed"
        tables["bland_altman"].append({**row, "reason": why})
        return
    a, b = (np.array([np.mean(visits[site]) for visits in both]) for site in (first, second))
    tables["bland_altman"].append({**row, **vars(bland_altman(a, b)), "reason": ""})

"""Which of the many numbers of an analysis are tests, and what many of them cost.

One combination of estimator, matching, quantity and contrast answers (question.py). Its changes of
metabolites, in each region, are the family: p adjusted by Holm (1979), which holds the family-wise
error whatever their dependence. tCr and tNAA are negative controls, told apart and unadjusted. All
other answers are described by intervals, without a p-value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fmrsflow.question import KEYS
from fmrsflow.response.controls import STABLE

MAIN, TESTED, CONTROL, DESCRIBED = "main", "tested", "control", "described"

CHANGE = "change"
"""Name of the test of no change, of which those of a family are adjusted."""

EFFECT = "effect of "
"""Start of the name of a test of a covariate or of a difference of groups (`effect_of`)."""

Rows = list[dict]


def effect_of(term: str) -> str:
    """Name of the test of a term of covariates.tsv."""
    return f"{EFFECT}{term}"


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values adjusted by Holm's step-down procedure (Holm 1979, Scand J Stat 6:65).

    Parameters
    ----------
    p : array (n,)
        NaN where there was no test, which stays so and does not count.
    """
    p = np.asarray(p, float)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def role_of(row: Mapping, chosen: tuple | None) -> str:
    """What the answer of a row is: of the values of `KEYS`, metabolite and region are free in the
    family of the main one (`chosen`)."""
    if chosen is None:
        return DESCRIBED
    main = dict(zip(KEYS, chosen))
    if any(row[name] != main[name] for name in KEYS if name not in ("metabolite", "region")):
        return DESCRIBED
    if all(row[name] == main[name] for name in ("metabolite", "region")):
        return MAIN
    return CONTROL if row["metabolite"] in STABLE else TESTED


def mark(tables: dict[str, Rows], chosen: tuple | None) -> Rows:
    """Give each answer its role and its adjusted p, take p-values from what is described only, and
    list the tests that are left (rows of tests.tsv).

    Parameters
    ----------
    tables : meta, moderators, equivalence
        Changed in place.
    chosen : values of `KEYS`, or None
        The main question.
    """
    tests: Rows = []
    family = []
    for row in tables["meta"]:
        row["role"] = role_of(row, chosen)
        if row["role"] == DESCRIBED:
            row.pop("p", None)
        if row["role"] != MAIN:
            row.pop("q_p", None)
        if row["role"] in (MAIN, TESTED):
            family.append(row)
    for row, adjusted in zip(family, holm([row.get("p", math.nan) for row in family])):
        row["p_holm"] = float(adjusted)
    for row in tables["meta"]:
        tests += _listed(row, CHANGE, row.get("p"), row["role"], row.get("p_holm"))
        tests += _listed(row, "sites differ", row.get("q_p"), row["role"])
    for row in tables["moderators"]:
        if (role := role_of(row, chosen)) != MAIN:
            row.pop("p", None)
            row.pop("p_moderator", None)
        tests += _listed(row, f"{row['moderator']}: {row.get('term', '')}", row.get("p"), role)
    several = [row for row in tables["moderators"] if "p_moderator" in row]
    for name in dict.fromkeys(row["moderator"] for row in several):
        own = [row for row in several if row["moderator"] == name]
        if len(own) > 1:  # of two levels it is the test of their one difference
            tests += _listed(own[0], name, own[0]["p_moderator"], MAIN)
    for row in tables["equivalence"]:
        if (role := role_of(row, chosen)) != MAIN:
            for name in ("p_equivalence", "p_difference", "verdict"):
                row.pop(name, None)
        tests += _listed(row, "protocols equivalent", row.get("p_equivalence"), role)
        tests += _listed(row, "protocols differ", row.get("p_difference"), role)
    return tests


def _listed(row: Mapping, what: str, p, role: str, adjusted=None) -> Rows:
    if p is None or not math.isfinite(p):
        return []
    same = {name: row[name] for name in KEYS}
    return [{**same, "what": what, "role": role, "p": p, "p_holm": adjusted}]

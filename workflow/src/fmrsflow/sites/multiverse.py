"""Every named analysis as one more level: specification curve, joint test, variance of choice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

import numpy as np

from fmrsflow.question import main_key, ways_to_answer
from fmrsflow.sites import reml
from fmrsflow.sites.answer import Rows, grouped
from fmrsflow.sites.sign_flips import LEVEL, joint_test, linked

PERSONS, SITES = "persons", "sites"
"""What flips apart (column `flipped` of joint_test.tsv)."""

ALL, COMPLETE = "all", "complete"
"""Whose changes are taken (column `people`)."""


def specification(
    sensitivity: Mapping[str, Sequence[Mapping]],
    choices: Mapping[str, Mapping[str, str]],
    settings: Mapping,
    weights: Mapping[str, float],
) -> Rows:
    """All answers to the main question over all analyses, sorted by effect.

    Parameters
    ----------
    sensitivity : analysis -> rows of sensitivity.tsv (numbers as numbers)
    choices : analysis -> its named settings
    settings : mapping
        Of schemas/sites.yaml.
    weights : analysis -> its weight in the joint test, which its main answer has
    """
    total = sum(weights.values()) or 1.0
    rows = [
        {"analysis": analysis, **choices[analysis], **row}
        | {"weight_percent": 100 * weights.get(analysis, 0.0) / total if row["main"] else None}
        for analysis, own in sensitivity.items()
        for row in ways_to_answer(own, settings)
        if row["change_percent"] is not None and math.isfinite(row["change_percent"])
    ]
    rows.sort(key=lambda row: row["change_percent"])
    return [{"rank": rank, **row} for rank, row in enumerate(rows, start=1)]


def main_answers(
    responses: Mapping[str, Sequence[Mapping]], settings: Mapping
) -> dict[str, tuple | None]:
    """Analysis -> values of `KEYS` of its main answer, None where it has none."""
    return {name: main_key(grouped(rows), settings) for name, rows in responses.items()}


def _values(
    responses: Mapping[str, Sequence[Mapping]], settings: Mapping
) -> Iterator[tuple[str, Mapping]]:
    """Each analysis with the rows that its main answer is made of."""
    for name, rows in responses.items():
        groups = grouped(rows)
        for row in groups.get(main_key(groups, settings), []):
            if row["used"] and math.isfinite(row["change_percent"]):
                yield name, row


def together(
    responses: Mapping[str, Sequence[Mapping]],
    settings: Mapping,
    weights: Mapping[str, float],
) -> tuple[Rows, Rows]:
    """Rows of joint_test.tsv and analyses.tsv: what the main answers of all analyses say together.

    Parameters
    ----------
    responses : analysis -> rows of responses.tsv
    settings : mapping
        Of schemas/sites.yaml.
    weights : analysis -> weight; one that is not there takes no part
    """
    found: dict[str, dict[str, list[float]]] = {name: {} for name in responses}
    places: dict[tuple[str, str], None] = {}
    for name, row in _values(responses, settings):
        # A person who travelled, or was measured twice, is one vector, of means.
        found[name].setdefault(row["person"], []).append(row["change_percent"])
        if name in weights:
            places[row["person"], row["site"]] = None
    taken = [name for name in found if name in weights and len(found[name]) > 1]
    group = linked(*zip(*places)) if places else {}
    people = [one for one in group if any(one in found[name] for name in taken)]
    changes = np.array(
        [[np.mean(found[name].get(one, math.nan)) for name in taken] for one in people]
    ).reshape(len(people), len(taken))
    own = [weights[name] for name in taken]
    tests = []
    whole = np.isfinite(changes).all(axis=1)
    for chosen, words in ((np.ones(len(people), bool), ALL), (whole, COMPLETE)):
        if words == COMPLETE and whole.all():
            continue
        names = [one for one, kept in zip(people, chosen) if kept]
        for flipped, units in ((PERSONS, names), (SITES, [group[one] for one in names])):
            start = {"flipped": flipped, "people": words, "n_analyses": len(taken)}
            tests.append(start | _joint(changes[chosen], own, units, taken))
    return tests, _described(found, weights, changes, taken)


def _joint(changes: np.ndarray, weights: list[float], units: list[str], taken: list[str]) -> dict:
    """Row of one joint test."""
    n = {"n_persons": len(changes), "n_missing": int(np.isnan(changes).sum())}
    seed = crc32(f"joint test {' '.join(taken)} {len(changes)}".encode())
    try:
        one = joint_test(changes, weights, units, seed)
    except ValueError as error:
        return n | {"reason": f"cannot be estimated because {error}"}
    few = one.smallest_p > LEVEL
    return n | {
        "n_units": one.n_units,
        "n_flips": one.n_flips,
        "exact": one.exact,
        "smallest_p": one.smallest_p,
        "median_percent": one.observed["median"],
        "least_percent": float(one.means.min()),
        "greatest_percent": float(one.means.max()),
        "p_median": one.p["median"],
        "significant_percent": 100 * one.observed["share"],
        "p_significant": one.p["share"],
        "mean_t": one.observed["mean_t"],
        "p_mean_t": one.p["mean_t"],
        "reason": f"no p can be below {one.smallest_p:.3g}: too few flip apart" if few else "",
    }


def _described(found: Mapping, weights: Mapping, changes: np.ndarray, taken: list[str]) -> Rows:
    """Row of each analysis, by itself."""
    total, rows = sum(weights[name] for name in taken), []
    for name, people in found.items():
        if name not in taken:
            why = (
                "not registered" if name not in weights else "fewer than two persons have a change"
            )
            rows.append({"analysis": name, "n_persons": len(people), "reason": why})
            continue
        own = changes[:, taken.index(name)]
        own = own[np.isfinite(own)]
        rows.append(
            {
                "analysis": name,
                "weight_percent": 100 * weights[name] / total,
                "n_persons": len(own),
                "mean_percent": float(own.mean()),
                "sd_percent": float(own.std(ddof=1)),
            }
        )
    return rows


def choice_variance(responses: Mapping[str, Sequence[Mapping]], settings: Mapping) -> Rows:
    """Shares of the variance of percent change due to site, participant and analysis choice.

    One value a unit and analysis: the main answer of each analysis (`settings` as in
    schemas/sites.yaml), crossed random effects of site, participant and analysis; the residual is
    what analyses do differently from scan to scan.
    """
    values, site, unit, analysis = [], [], [], []
    for name, row in _values(responses, settings):
        values.append(row["change_percent"])
        site.append(row["site"])
        unit.append(row["unit"])
        analysis.append(name)
    factors = {"site": site, "participant": unit, "analysis": analysis}
    reasons = {
        "site": "there is one site",
        "participant": "there is one participant",
        "analysis": "there is one analysis",
    }
    usable = {name: labels for name, labels in factors.items() if len(set(labels)) > 1}
    if len(set(site)) == len(set(unit)):
        usable.pop("site", None)
        reasons["site"] = "no site has more than one participant, so that the two are one"
    missing = [
        {"component": name, "reason": f"cannot be estimated because {reasons[name]}"}
        for name in factors
        if name not in usable
    ]
    if len(values) < 4 or "analysis" not in usable:
        if "analysis" in usable:
            why = f"cannot be estimated because there are {len(values)} values"
            missing = [{"component": name, "reason": why} for name in factors]
        return missing
    y = np.array(values)
    data = reml.Data(
        y,
        np.ones((len(y), 1)),
        np.zeros(len(y)),
        tuple((name, reml.levels(labels)) for name, labels in usable.items()),
    )
    fitted = reml.fit(data)
    total = float(fitted.variances.sum())
    rows = []
    for name, variance in zip(fitted.names, fitted.variances):
        low, high = np.sqrt(reml.profile_variance(data, fitted, name))
        share_low, share_high = reml.profile_share(data, fitted, name)
        rows.append(
            {
                "component": name,
                "sd_percent": math.sqrt(variance),
                "sd_low_percent": low,
                "sd_high_percent": high,
                "share_percent": 100 * variance / total,
                "low_share_percent": 100 * share_low,
                "high_share_percent": 100 * share_high,
                "n": len(y),
                "reason": "",
            }
        )
    return rows + missing

"""Every named analysis as one more level: specification curve, and variance due to the choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fmrsflow.question import main_key, ways_to_answer
from fmrsflow.sites import reml
from fmrsflow.sites.answer import Rows, grouped


def specification(
    sensitivity: Mapping[str, Sequence[Mapping]],
    choices: Mapping[str, Mapping[str, str]],
    settings: Mapping,
) -> Rows:
    """All answers to the main question over all analyses, sorted by effect.

    Parameters
    ----------
    sensitivity : analysis -> rows of sensitivity.tsv (numbers as numbers)
    choices : analysis -> its named settings
    settings : mapping
        Of schemas/sites.yaml.
    """
    rows = [
        {"analysis": analysis, **choices[analysis], **row}
        for analysis, own in sensitivity.items()
        for row in ways_to_answer(own, settings)
        if row["change_percent"] is not None and math.isfinite(row["change_percent"])
    ]
    rows.sort(key=lambda row: row["change_percent"])
    return [{"rank": rank, **row} for rank, row in enumerate(rows, start=1)]


def choice_variance(responses: Mapping[str, Sequence[Mapping]], settings: Mapping) -> Rows:
    """Shares of the variance of percent change due to site, participant and analysis choice.

    One value a unit and analysis: the main answer of each analysis (`settings` as in
    schemas/sites.yaml), crossed random effects of site, participant and analysis; the residual is
    what analyses do differently from scan to scan.
    """
    values, site, unit, analysis = [], [], [], []
    for name, rows in responses.items():
        groups = grouped(rows)
        key = main_key(groups, settings)
        for row in groups.get(key, []):
            if row["used"] and math.isfinite(row["change_percent"]):
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

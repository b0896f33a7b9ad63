"""What pages say of the plateau of a response, whose shape is not known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fmrsflow.question import Question
from fmrsflow.report.render import signed
from fmrsflow.tables.sites import WEIGHED
from fmrsflow.words import count

LEAST_SHOWN = 0.005
"""Weight of a shape below which it is not named."""


def plateau_words(rows: Sequence[Mapping], asked: Question) -> str:
    """What plateau.tsv says of the change that is asked for; "" where it has no rows of it."""
    quantity = "ratio_tcr" if asked.quantity == "ratio_tcr" else "raw"
    key = {"metabolite": asked.metabolite, "quantity": quantity, "contrast": asked.contrast}
    own = {row["shape"]: row for row in rows if all(row[k] == v for k, v in key.items())}
    whole = own.pop(WEIGHED, None)
    if whole is None:
        return ""
    observed = _observed(own.get("boxcar"))
    if not whole["shown"]:
        return f"{observed} No plateau behind it is stated: {whole['reason']}."
    change, low, high = (whole[f"{name}_percent"] for name in ("change", "low", "high"))
    interval = "" if math.isnan(low) else f" (95 % interval {signed(low)} to {signed(high)} %)"
    likely = sorted(own.values(), key=lambda row: -row["weight"])
    shares = ", ".join(
        f"{row['shape'].replace('_', ' ')} {100 * row['weight']:.0f} %"
        for row in likely
        if row["weight"] >= LEAST_SHOWN
    )
    beside = f" {whole['reason']}." if whole["reason"] else ""
    return (
        f"{observed} Under a stimulation that lasts, {asked.words} would change by "
        f"{signed(change)} %{interval}: mean over shapes of the response by how likely "
        f"{count(whole['n'], 'scan')} of the joint fit make them ({shares}).{beside}"
    )


def _observed(box: Mapping | None) -> str:
    """The difference that needs no shape, or why there is none."""
    if box is None or math.isnan(box["change_percent"]):
        why = box["reason"] if box else "it was not asked for"
        return f"The joint fit has no observed difference of task and rest: {why}."
    return (
        f"By the joint fit task less rest is {signed(box['change_percent'])} % as observed, "
        "whatever the shape of the response."
    )

"""Plateaus of the joint fit under shapes of the response, as rows of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fmrsflow.fit.design import BOXCAR
from fmrsflow.response.estimators import change_of
from fmrsflow.response.unit import UnitScan

QUANTITIES = ("raw", "ratio_tcr")
"""Within a scan a molal change is the raw one."""


def plateau_rows(scan: UnitScan, rest: str, metabolites: Sequence[str]) -> list[dict]:
    """Rows of plateaus.tsv of a scan with a joint fit; none where it was fitted under one shape."""
    fit = scan.joint_fit
    if "shapes" not in fit:
        return []
    names = [str(name) for name in fit["names"]]
    reasons = [str(reason) for reason in fit["shape_reasons"]]
    rows = []
    for c, task in enumerate(map(str, fit["shape_contrasts"])):
        for name in (name for name in metabolites if name in names):
            for quantity in QUANTITIES:
                if (name, quantity) == ("tCr", "ratio_tcr"):
                    continue
                for s, shape in enumerate(map(str, fit["shapes"])):
                    found = fit["plateau_percent"][s, c], fit["plateau_covariance"][s, c]
                    change = change_of(names, *found, name, quantity)
                    rows.append(
                        {
                            "scan": scan.key,
                            "metabolite": name,
                            "quantity": quantity,
                            "contrast": f"{task}-{rest}",
                            "shape": shape,
                            "change_percent": change.percent,
                            "se_percent": change.se,
                            "log_likelihood": float(fit["log_likelihood"][s]),
                            "boxcar_reads": float(fit["boxcar_reads"][s, c]),
                            "se_ratio": float(fit["se_ratio"][s, c]),
                            "reason": reasons[s] or change.reason,
                        }
                    )
    return rows


def boxcar_reads(rows: Sequence[Mapping]) -> dict[str, dict[str, float]]:
    """Contrast -> shape -> share of its plateau that the observed difference holds; no shape that
    could not be fitted."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["shape"] != BOXCAR and math.isfinite(row["boxcar_reads"]):
            found.setdefault(row["contrast"], {})[row["shape"]] = row["boxcar_reads"]
    return found

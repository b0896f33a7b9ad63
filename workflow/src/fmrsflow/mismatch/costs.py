"""What a site's quality costs the answer, read off the tables of the benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fmrsflow.mismatch.variants import DEFAULT, FACTORS, FIELDS_T

KNOWN_BY = {
    "drift_hz": "drift",
    "fwhm_tcr_hz": "linewidth",
    "snr_tcr": "snr",
    "rejected_percent": "movement",
}
"""Figure of quality by which a site is seen to have a factor."""

SURVIVES = 0.3
"""Largest bias of the percent change (points) that an analysis may have and survive."""

COVERED = 0.75
"""Smallest share of 95 % intervals that hold the truth. Of eight scans fewer do by chance once in
160 times."""


@dataclass(frozen=True)
class Cost:
    """What a site's median of one figure of quality costs.

    Attributes
    ----------
    factor, figure : str
    value : float
        Median of the site.
    dose : float
        Dose of the benchmark that shows a figure as bad as that.
    bias, bias_se, rmse, rmse_nominal : float
        Of the default's percent change of Glu at this dose, in points, and its RMSE at nominal on
        the same people and draws.
    flagged : float
        Share of scans that the default flags there.
    survivors : tuple of str
        Contestants that survive, as precise as the best of them.
    """

    factor: str
    figure: str
    value: float
    dose: float
    bias: float
    bias_se: float
    rmse: float
    rmse_nominal: float
    flagged: float
    survivors: tuple[str, ...]


def site_costs(
    medians: Mapping[str, float],
    field_t: float,
    curves: Sequence[Mapping[str, str]],
    quality: Sequence[Mapping[str, str]],
) -> list[Cost]:
    """Costs of a site whose figures lie in a perturbed range; none where all are good.

    Parameters
    ----------
    medians : mapping
        The site's median of each figure of quality.
    field_t : float
        The nearest field strength of the benchmark is taken.
    curves, quality : rows of the benchmark's tables
    """
    near = min(FIELDS_T, key=lambda one: abs(one - field_t))
    curves = [row for row in curves if float(row["field_t"]) == near]
    quality = [row for row in quality if float(row["field_t"]) == near]
    found = []
    for figure, factor in KNOWN_BY.items():
        if figure not in medians:
            continue
        dose = _dose(medians[figure], figure, factor, quality)
        if dose is not None:
            found.append(_cost(factor, figure, medians[figure], dose, curves))
    return found


def survivors(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Contestants of one variant that answer always, within `SURVIVES`, with intervals that hold,
    and are not beaten by another such."""
    whole = [row for row in rows if row["failures"] == "0" and float(row["coverage"]) >= COVERED]
    good = [row for row in whole if abs(float(row["bias"])) <= SURVIVES]
    best = min((int(row["rank"]) for row in good), default=0)
    return tuple(row["contestant"] for row in good if int(row["rank"]) == best)


def _dose(value: float, figure: str, factor: str, quality) -> float | None:
    """The worst dose whose own figure the value reaches; None below the first."""
    sign = -1 if figure == "snr_tcr" else 1
    doses = next(one.doses for one in FACTORS if one.name == factor)
    seen = {float(row["dose"]): row[figure] for row in quality if row["factor"] == factor}
    reached = [
        dose
        for dose in doses
        if seen.get(dose, "n/a") != "n/a" and sign * value >= sign * float(seen[dose])
    ]
    return reached[-1] if reached else None


def _cost(factor: str, figure: str, value: float, dose: float, curves) -> Cost:
    rows = [row for row in curves if row["factor"] == factor and float(row["dose"]) == dose]
    own = next(row for row in rows if row["contestant"] == DEFAULT)
    numbers = [
        math.nan if own[key] == "n/a" else float(own[key])
        for key in ("bias", "bias_se", "rmse", "rmse_nominal", "flagged")
    ]
    return Cost(factor, figure, value, dose, *numbers, survivors(rows))

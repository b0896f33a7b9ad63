"""What a site's quality costs the answer, read off the tables of the benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fmrsflow.mismatch.factors import FACTORS
from fmrsflow.mismatch.variants import DEFAULT, FIELDS_T, RESPONSE_PERCENT
from fmrsflow.report.render import short, signed
from fmrsflow.scan_figures import FIGURES
from fmrsflow.tables import Row

KNOWN_BY = {
    "drift_hz": "drift",
    "fwhm_tcr_hz": "linewidth",
    "snr_tcr": "snr",
    "rejected_percent": "movement",
}
"""Figure of quality by which a site is seen to have a factor."""

SURVIVES, BREAKS = 0.3, 1.0
"""Bias of the percent change (points) up to which an analysis holds, and beyond which it breaks."""

BY_CHANCE = 0.02
"""Probability below which intervals that miss the truth are not put down to chance."""


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
    bias, bias_low, bias_high, rmse, rmse_nominal : float
        Of the default's percent change of Glu at this dose, in points, and its RMSE at nominal on
        the same people and draws.
    flagged : float
        Share of scans that the default flags there.
    survivors : tuple of str
        Contestants that survive, none of them beaten by another.
    """

    factor: str
    figure: str
    value: float
    dose: float
    bias: float
    bias_low: float
    bias_high: float
    rmse: float
    rmse_nominal: float
    flagged: float
    survivors: tuple[str, ...]


def site_costs(
    medians: Mapping[str, float],
    field_t: float,
    curves: Sequence[Row],
    quality: Sequence[Row],
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
    curves = [row for row in curves if row["field_t"] == near]
    quality = [row for row in quality if row["field_t"] == near]
    found = []
    for figure, factor in KNOWN_BY.items():
        if figure not in medians:
            continue
        dose = _dose(medians[figure], figure, factor, quality)
        if dose is not None:
            found.append(_cost(factor, figure, medians[figure], dose, curves))
    return found


def words_of(cost: Cost, field_t: float) -> dict[str, str]:
    """A cost as the page of a site states it (`text`), with its `factor`."""
    factor = next(one for one in FACTORS if one.name == cost.factor)
    near = min(FIELDS_T, key=lambda one: abs(one - field_t))
    dose = f"{cost.dose:g} {factor.unit}"
    error = ""
    if cost.bias_low == cost.bias_low:
        error = f" ({signed(cost.bias_low, 2)} to {signed(cost.bias_high, 2)})"
    text = (
        f"{FIGURES[cost.figure].label} {short(cost.value)} (median) is as in synthetic {near}T "
        f"scans with “{factor.title}, {dose}”. There the default analysis was off by "
        f"{signed(cost.bias, 2)}{error} points in the change of glutamate, its error was "
        f"{cost.rmse / cost.rmse_nominal:.1f} times that of good scans, and "
        f"{cost.flagged:.0%} of the scans were flagged. "
    )
    kept = "; ".join(cost.survivors) or "none of the analyses tried"
    return {
        "text": text + f"No bias is seen, and none is more precise, with: {kept}.",
        "factor": factor.name,
    }


def state(row: Row) -> str:
    """What a row of the curves says of its contestant: `holds`, `breaks`, or `unknown`.

    It holds with a bias within `SURVIVES`, whose interval stays within `BREAKS`. It breaks with a
    bias beyond `BREAKS` or whose interval lies beyond `SURVIVES`, or where more intervals miss the
    truth than chance explains. Else the scans do not show which.
    """
    bias, low, high = (row[name] for name in ("bias", "bias_low", "bias_high"))
    if bias != bias:
        return "unknown"
    if low != low:
        low = high = bias
    if abs(bias) > BREAKS or low > SURVIVES or high < -SURVIVES or not _covered(row):
        return "breaks"
    held = abs(bias) <= SURVIVES and low >= -BREAKS and high <= BREAKS
    return "holds" if held else "unknown"


def survivors(rows: Sequence[Row]) -> tuple[str, ...]:
    """Contestants of one variant that answer always, hold, with an error (RMS) below the response,
    and are not beaten by another such."""
    good = {
        row["contestant"]: row["better"].split("; ")
        for row in rows
        if row["failures"] == 0 and state(row) == "holds"
        and row["rmse"] <= RESPONSE_PERCENT
    }  # fmt: skip
    return tuple(name for name, beaten_by in good.items() if not good.keys() & set(beaten_by))


def _covered(row: Row) -> bool:
    """Whether chance explains the 95 % intervals that miss the truth.

    The two scans of a pair have errors of one size: they count as one.
    """
    share = row["coverage"]
    if share != share:
        return True
    n = row["n"] - row["failures"]
    pairs, missed = n // 2, int((1 - share) * n / 2 + 1e-6)
    chance = sum(
        math.comb(pairs, k) * 0.05**k * 0.95 ** (pairs - k) for k in range(missed, pairs + 1)
    )
    return chance >= BY_CHANCE


def _dose(value: float, figure: str, factor: str, quality) -> float | None:
    """The worst dose whose own figure the value reaches; None below the first."""
    sign = -1 if figure == "snr_tcr" else 1
    doses = next(one.doses for one in FACTORS if one.name == factor)
    seen = {row["dose"]: row[figure] for row in quality if row["factor"] == factor}
    reached = [dose for dose in doses if sign * value >= sign * seen.get(dose, math.nan)]
    return reached[-1] if reached else None


def _cost(factor: str, figure: str, value: float, dose: float, curves) -> Cost:
    rows = [row for row in curves if row["factor"] == factor and row["dose"] == dose]
    own = next(row for row in rows if row["contestant"] == DEFAULT)
    names = ("bias", "bias_low", "bias_high", "rmse", "rmse_nominal", "flagged")
    return Cost(factor, figure, value, dose, *(own[name] for name in names), survivors(rows))

"""How the scans of a unit are scaled to each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.pair import Scaling
from fmrsflow.response.unit import Row

OPEN, OPEN_SD = "open", 0.1
"""Scaling that leaves the gain open: a ratio of two metabolites needs none."""


@dataclass(frozen=True)
class Scale:
    """How amplitudes of a scan become molal.

    Attributes
    ----------
    factor : float
        Molal value (mmol/kg) of tCr over its amplitude.
    water, water_se : float
        Water amplitude, and its relative standard error.
    """

    factor: float
    water: float
    water_se: float


def scale_of(concentrations: Sequence[Row], water: Mapping | None) -> Scale | None:
    """Scale of a scan from its concentrations and what the record says of its water; None where it
    has no molal values."""
    values = {
        (row["quantity"], row["condition"]): row["value"]
        for row in concentrations
        if row["metabolite"] == "tCr" and not row["matched"]
    }
    for (quantity, condition), value in values.items():
        raw = values.get(("raw", condition), math.nan)
        if quantity == "molal" and water and value > 0 and raw > 0:
            return Scale(value / raw, water["amplitude"], water["se"] / water["amplitude"])
    return None


def scalings(
    scales: Sequence[Scale | None], gain_sd: np.ndarray, gain: np.ndarray
) -> dict[str, Scaling]:
    """Ways to scale the scans of a unit to each other.

    Parameters
    ----------
    scales : sequence of Scale or None
        Of each scan.
    gain : array (n_scans,)
        Gain of each over the first if nothing responded.
    gain_sd : array (n_scans,)
        SD of its mean gain, from its transients (`UnitFit.gain_sd`).
    """
    n = len(scales)
    first = gain_sd[0]
    same, unknown = np.ones(n), np.append(0.0, np.full(n - 1, np.inf))
    found = {
        "raw": Scaling("raw", same, np.append(0.0, np.hypot(gain_sd[1:], first))),
        "ratio_stable": Scaling("ratio_stable", same, unknown, to_stable=True),
        OPEN: Scaling(OPEN, gain, np.append(0.0, np.full(n - 1, OPEN_SD))),
    }
    if all(scales):
        one, *others = scales
        ratio = np.array([one.factor / other.factor for other in scales])
        # What tissue and relaxation make different between the scans, beside their waters, counts
        # as uncertain by its own size: nobody measured it.
        rest = np.log(ratio * [one.water / other.water for other in scales])
        water = [math.hypot(one.water_se, other.water_se) for other in others]
        sd = np.sqrt(np.square(water) + rest[1:] ** 2 + gain_sd[1:] ** 2 + first**2)
        found = {"molal": Scaling("molal", ratio, np.append(0.0, sd)), **found}
    return found

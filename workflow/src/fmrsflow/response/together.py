"""Changes of a unit of several scans from one model of all their transients (`fit.pair`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fit.design import (
    BOXCAR,
    CHOSEN,
    FIR,
    Timing,
    best_drift,
    condition_design,
    linewidth_design,
)
from fmrsflow.fit.flags import LEAST_KEPT
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.pair import Scaling, UnitChange, UnitFit, fit_unit
from fmrsflow.fit.scan import Transients
from fmrsflow.fit.scan_form import ScanOfUnit
from fmrsflow.fit.solve import NO_CONVERGENCE
from fmrsflow.response.change import cannot, linear_change, ratio_of_changes
from fmrsflow.response.controls import Control, control
from fmrsflow.response.estimators import Estimate
from fmrsflow.response.unit import Row

QUANTITIES = ("molal", "raw", "ratio_stable")
"""Changes of one scaling each; `ratio_tcr` is made of two metabolites under an open gain."""

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


@dataclass(frozen=True)
class Together:
    """The joint fit of a unit's scans under every scaling that it allows."""

    unit: UnitFit
    ways: dict[str, Scaling]
    changes: dict[str, UnitChange]

    def estimates(self, wanted: Sequence[str]) -> list[Estimate]:
        """Changes of these metabolites."""
        found = []
        for c, task in enumerate(self.unit.tasks):
            for quantity in (one for one in QUANTITIES if one in self.changes):
                change = self.changes[quantity]
                for name in wanted:
                    if name not in change.names:
                        continue
                    k = change.names.index(name)
                    value, variance = change.percent[c, k], change.covariance[c, k, k]
                    if quantity == "ratio_stable" and not math.isfinite(value):
                        continue  # it is what the others are scaled to
                    own = linear_change(float(value), math.sqrt(variance))
                    found.append(Estimate(name, "joint", True, quantity, task, own))
            found += self._ratios(c, task, wanted)
        return found

    def _ratios(self, c: int, task: str, wanted: Sequence[str]) -> list[Estimate]:
        """Ratios to total creatine, whose gain cancels."""
        change = self.changes.get(OPEN) or self.changes["raw"]
        names = change.names
        if "tCr" not in names:
            return []
        found = []
        for name in (one for one in wanted if one in names and one != "tCr"):
            pair = [names.index(name), names.index("tCr")]
            values, spread = change.percent[c, pair], change.covariance[c][np.ix_(pair, pair)]
            ratio = (
                ratio_of_changes(*values, spread)
                if np.isfinite(values).all()
                else cannot("the joint fit found no tCr or none of the metabolite")
            )
            found.append(Estimate(name, "joint", True, "ratio_tcr", task, ratio))
        return found

    def gain_controls(self, keys: Sequence[str], percent: float) -> list[Control]:
        """Gain by which the waters scale a scan against that of what does not respond, of each scan
        but the first."""
        if not {"molal", "ratio_stable"} <= set(self.changes):
            return []
        way, stable = self.ways["molal"], self.changes["ratio_stable"]
        found = []
        for s, key in enumerate(keys[1:], start=1):
            error = math.hypot(float(way.sd[s]), float(stable.gain_se[s]))
            off = 100 * math.log(float(way.ratio[s] / stable.gain[s]))
            meaning = (
                "the waters and the metabolites that do not respond scale the scans differently: "
                "one of the waters is not that of its scan, the voxel moved, or they do respond"
            )
            named = f"gain of {key}, water against stable metabolites"
            found.append(control(named, off, 100 * error, "percent", percent, meaning))
        return found

    def flags(self, keys: Sequence[str]) -> list[str]:
        """Reasons to use the fit with care, as sentences."""
        found = []
        for key, part in zip(keys, self.unit.parts):
            kept = part.series.kept
            if kept.mean() < LEAST_KEPT:
                found.append(
                    f"the joint fit leaves out {len(kept) - int(kept.sum())} of {len(kept)} "
                    f"transients of {key}, which stand out in gain, phase, frequency or width"
                )
        if self.unit.stop.startswith(NO_CONVERGENCE):
            found.append(f"the search of the joint fit of the scans ended early: {self.unit.stop}")
        return found

    def summary(self) -> dict:
        """What the record says of the fit: gains over the first scan, and how it went."""
        parts = self.unit.parts
        return {
            "status": "ok",
            "reason": None,
            "gain": {
                name: {"value": one.gain.tolist(), "se": one.gain_se.tolist()}
                for name, one in self.changes.items()
            },
            "gain_sd_percent": (100 * self.unit.gain_sd).tolist(),
            "fwhm_hz": self.unit.widths_hz,
            "kept_share": [float(part.series.kept.mean()) for part in parts],
            "stop_reason": self.unit.stop,
        }


def fit_scans(
    transients: Sequence[Transients],
    bases: Sequence[Basis],
    scales: Sequence[Scale | None],
    rest: str,
    tasks: Sequence[str],
    options: FitOptions,
) -> Together:
    """Fit the scans of a unit in one model.

    Parameters
    ----------
    transients, bases, scales
        Of each scan; a basis on its axes, None for a scan without molal values.
    rest : str
        Condition that changes refer to; no scan need hold it beside a task.
    tasks : sequence of str

    Raises
    ------
    DataError
        The scans cannot be fitted together.
    """
    scans = [_scan(one, basis, rest, tasks, options) for one, basis in zip(transients, bases)]
    unit = fit_unit(scans, tasks, options, options.joint_respond)
    ways = scalings(scales, unit.gain_sd, unit.start_gain)
    changes = {}
    for name, way in ways.items():
        try:
            changes[name] = unit.changes(way)
        except DataError:
            if name == "raw":
                raise
    return Together(unit, ways, changes)


def _scan(
    transients: Transients,
    basis: Basis,
    rest: str,
    tasks: Sequence[str],
    options: FitOptions,
) -> ScanOfUnit:
    """Transients of the unit's conditions with the courses of their design."""
    used = transients.used & np.array([label in (rest, *tasks) for label in transients.labels])
    labels, time_s = transients.labels, transients.time_s
    present = {label for label, use in zip(labels, used) if use}
    if not present:
        raise DataError("a scan of the unit has no transient of its conditions")
    if not np.isfinite(time_s).all():  # no repetition time is known
        time_s = np.arange(len(labels)) * (transients.fids.tr_s or 1.0)
    timing = Timing.of_labels(labels, time_s)
    courses = np.array([[float(label == task) for task in tasks] for label in labels])
    widths = timing.drifts(1)
    if len(present) > 1 and rest in present:
        # Delays of `fir` are no task.
        shape = BOXCAR if options.joint_shape == FIR else options.joint_shape
        design = condition_design(labels, rest, timing, shape, 0)
        for column, task in enumerate(tasks):
            if task in design.names:
                courses[:, column] = design.matrix[:, design.names.index(task)]
        widths = linewidth_design(labels, rest, timing, options.joint_linewidth_regressor).matrix
    if options.joint_linewidth == "none":
        widths = widths[:, :0]
    order = options.joint_drift_order
    drifts = timing.drifts(best_drift(courses, timing) if order == CHOSEN else order)
    places, fids = np.flatnonzero(used), transients.fids.select(used)
    return ScanOfUnit(fids, basis, courses[used], widths[used], drifts[used], places)

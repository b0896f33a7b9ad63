"""Changes of a unit of several scans from one model of all their transients (`fit.pair`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fit.design import BOXCAR
from fmrsflow.fit.flags import LEAST_KEPT
from fmrsflow.fit.gain import SIZES
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.pair import Scaling, UnitChange, UnitFit, fit_unit
from fmrsflow.fit.solve import NO_CONVERGENCE
from fmrsflow.metabolites import mixing
from fmrsflow.response.change import (
    Change,
    cannot,
    linear_change,
    percent_change,
    ratio_of_changes,
)
from fmrsflow.response.controls import Control, control
from fmrsflow.response.estimators import Estimate
from fmrsflow.response.measured import Measured, scans_of_unit, unheeded
from fmrsflow.response.scalings import OPEN, Scale, scalings

QUANTITIES = ("molal", "raw", "ratio_stable")
"""Changes of one scaling each; `ratio_tcr` is made of two metabolites under an open gain."""

BETWEEN_MEANS = ("molal", "ratio_tcr", "raw")
"""Of differences between means of conditions, which take nothing for stable."""

BOX = {"joint_regressor": BOXCAR, "joint_contrasts": ()}
"""Settings of the observed difference of conditions."""

PLAIN = BOX | {
    "joint_drift_order": 0,
    "joint_respond": (),
    "joint_macromolecules": "free",
    "joint_linewidth": "free",
    "joint_linewidth_regressor": BOXCAR,
    "joint_linewidth_events": (),
}
"""Settings under which nothing is assumed of a response but the conditions: their means."""


@dataclass(frozen=True)
class Fitted:
    """A fit of a unit under every scaling, and why there is none under some."""

    unit: UnitFit
    ways: Mapping[str, Scaling]
    changes: Mapping[str, UnitChange]
    failed: Mapping[str, str]

    @classmethod
    def of(cls, unit: UnitFit, scales: Sequence[Scale | None]) -> Fitted:
        """Under the scalings that the scans allow."""
        ways = scalings(scales, unit.gain_sd, unit.start_gain)
        changes, failed = {}, {}
        for name, way in ways.items():
            try:
                changes[name] = unit.changes(way)
            except DataError as failure:
                failed[name] = str(failure)
        return cls(unit, ways, changes, failed)

    def change(self, name: str, quantity: str, contrast: str) -> Change | None:
        """Of a metabolite; None where it has none of that quantity."""
        ratio = quantity == "ratio_tcr"
        scaling = OPEN if ratio else quantity
        if (name, quantity) == ("tCr", "ratio_tcr") or scaling not in self.ways:
            return None
        if scaling in self.failed:
            return cannot(self.failed[scaling])
        found = self.changes[scaling]
        if name not in found.names or contrast not in found.contrasts:
            return None
        c, k = found.contrasts.index(contrast), found.names.index(name)
        percent, spread = found.percent[c], found.covariance[c]
        if not ratio:
            if quantity == "ratio_stable" and not math.isfinite(percent[k]):
                return None  # it is what the others are scaled to
            return linear_change(float(percent[k]), math.sqrt(spread[k, k]))
        if "tCr" not in found.names:
            return None
        pair = [k, found.names.index("tCr")]
        if not np.isfinite(percent[pair]).all():
            return cannot("the joint fit found no tCr or none of the metabolite")
        return ratio_of_changes(*percent[pair], spread[np.ix_(pair, pair)])

    def difference(self, name: str, quantity: str, task: str, interval: str) -> Change | None:
        """`change` of a task with the interval of two amplitudes."""
        if quantity == "ratio_tcr" or quantity not in self.changes:
            return self.change(name, quantity, task)
        found = self.changes[quantity]
        if name not in found.names:
            return None
        k, task = found.names.index(name), self.unit.tasks.index(task)
        values, spread = found.amplitudes[task, k], found.amplitude_covariance[task, k]
        if not values.any():
            return cannot("the fit of all scans holds none of it")
        return percent_change(*values, spread, interval=interval)


@dataclass(frozen=True)
class Together:
    """Scans of a unit fitted in one model.

    Attributes
    ----------
    joint : Fitted
        With the settings of the joint fit.
    observed : Fitted or None
        The same as observed difference of the conditions, where contrasts of `joint` are others.
    means : Fitted or None
        Conditions alone: all signals free in each, no drift.
    tasks : tuple of str
    unheeded : tuple of str
        Settings that have no effect here, as sentences.
    missing : tuple of str
        Why one of the fits is missing.
    """

    joint: Fitted
    observed: Fitted | None
    means: Fitted | None
    tasks: tuple[str, ...]
    unheeded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def estimates(self, wanted: Sequence[str]) -> list[Estimate]:
        """Changes of these metabolites by the joint fit: tasks, then other contrasts."""
        own = tuple(self.joint.unit.design.reported)
        told = [(self.joint, one) for one in own if one in self.tasks]
        if self.observed is not None:
            told += [(self.observed, one) for one in self.tasks if one not in own]
        told += [(self.joint, one) for one in own if one not in self.tasks]
        found = []
        for fitted, contrast in told:
            for quantity in (*QUANTITIES, "ratio_tcr"):
                for name in (one for one in wanted if one in self.names):
                    change = fitted.change(name, quantity, contrast)
                    if change is not None:
                        found.append(Estimate(name, "joint", True, quantity, contrast, change))
        return found

    def differences(self, wanted: Sequence[str], interval: str) -> list[Estimate]:
        """Changes between the means of conditions, each scan with a width of its own."""
        if self.means is None:
            return []
        found = []
        for name in (one for one in wanted if one in self.names):
            for quantity in BETWEEN_MEANS:
                for task in self.tasks:
                    change = self.means.difference(name, quantity, task, interval)
                    if change is not None:
                        found.append(Estimate(name, "blocks", True, quantity, task, change))
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Metabolites and sums that the fit knows."""
        return mixing(self.joint.unit.names)[0]

    def gain_controls(self, keys: Sequence[str], percent: float) -> list[Control]:
        """Gain by which the waters scale a scan against that of what does not respond, of each scan
        but the first."""
        if not {"molal", "ratio_stable"} <= set(self.joint.changes):
            return []
        way, stable = self.joint.ways["molal"], self.joint.changes["ratio_stable"]
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
        unit = self.joint.unit
        found = list(self.unheeded)
        for key, part, scatter in zip(keys, unit.parts, unit.gain_scatter):
            kept = part.series.kept
            if kept.mean() < LEAST_KEPT:
                found.append(
                    f"the joint fit leaves out {len(kept) - int(kept.sum())} of {len(kept)} "
                    f"transients of {key}, which stand out in gain, phase, frequency or width"
                )
            if scatter.sd > 0.9 * max(SIZES):
                found.append(
                    f"the gain of transients of {key} scatters by {100 * scatter.sd:.0f} %, as far "
                    "as the joint fit allows: its errors may be too small"
                )
        for fitted, what in self._fits():
            if fitted.unit.stop.startswith(NO_CONVERGENCE):
                found.append(f"the search of the {what} ended early: {fitted.unit.stop}")
            for name, reason in fitted.failed.items():
                quantity = "ratio_tcr" if name == OPEN else name
                found.append(f"no change by the {what} as {quantity}: {reason}")
        return found + list(self.missing)

    def _fits(self) -> Iterator[tuple[Fitted, str]]:
        yield self.joint, "joint fit of the scans"
        if self.observed is not None:
            yield self.observed, "joint fit of the observed difference"
        if self.means is not None:
            yield self.means, "fit of the means of conditions"

    def summary(self) -> dict:
        """What the record says of the fit: gains over the first scan, and how it went."""
        unit = self.joint.unit
        return {
            "status": "ok",
            "reason": None,
            "contrasts": list(unit.design.reported),
            "gain": {
                name: {"value": one.gain.tolist(), "se": one.gain_se.tolist()}
                for name, one in self.joint.changes.items()
            },
            "failed_scalings": dict(self.joint.failed),
            "gain_percent": [100 * one.sd for one in unit.gain_scatter],
            "gain_sd_percent": (100 * unit.gain_sd).tolist(),
            "fwhm_hz": unit.widths_hz,
            "kept_share": [float(part.series.kept.mean()) for part in unit.parts],
            "stop_reason": unit.stop,
            "unheeded": list(self.unheeded),
        }


def fit_scans(
    scans: Sequence[Measured], rest: str, tasks: Sequence[str], options: FitOptions
) -> Together:
    """Fit the scans of a unit in one model.

    Parameters
    ----------
    scans : sequence of Measured
    rest : str
        Condition that changes refer to; no scan need hold it beside a task.
    tasks : sequence of str

    Raises
    ------
    DataError
        The scans cannot be fitted together.
    """
    tasks = tuple(tasks)
    joint, missing = _fitted(scans, rest, tasks, options), []

    def beside(given: Sequence[Measured], settings: Mapping, what: str) -> Fitted | None:
        try:
            return _fitted(given, rest, tasks, replace(options, **settings))
        except DataError as failure:
            missing.append(f"no {what} of the scans in one model: {failure}")
            return None

    observed = None
    if not set(tasks) <= set(joint.unit.design.reported):
        bare = [replace(one, given=None) for one in scans]
        observed = beside(bare, BOX, "observed difference")
    means = beside([one.plain() for one in scans], PLAIN, "means of conditions")
    idle = tuple(unheeded(scans, rest, tasks, options))
    return Together(joint, observed, means, tasks, idle, tuple(missing))


def _fitted(
    scans: Sequence[Measured], rest: str, tasks: Sequence[str], options: FitOptions
) -> Fitted:
    made, contrasts = scans_of_unit(scans, rest, tasks, options)
    unit = fit_unit(made, contrasts, options, options.joint_respond)
    return Fitted.of(unit, [scan.scale for scan in scans])

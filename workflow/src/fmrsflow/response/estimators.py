"""The three estimators of a percent change (docs/science.md#percent-change).

`blocks` compares averages of conditions, `joint` comes from the fit of all transients,
`timecourse` is a linear model of amplitudes over time. In a scan of several conditions all three
come from one model of its transients, and differ in what they assume of these: `blocks` nothing,
`timecourse` a drift, `joint` also the course of the response and who has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.design import BOXCAR
from fmrsflow.metabolites import members
from fmrsflow.question import QUANTITIES
from fmrsflow.response.change import (
    Change,
    cannot,
    linear_change,
    percent_change,
    pooled,
    ratio_of_changes,
)
from fmrsflow.response.course import block_bootstrap, condition_columns
from fmrsflow.response.timecourse import Course, by_condition, changes_over_time
from fmrsflow.response.unit import Row, UnitScan

ABSOLUTE = ("molal", "raw")
"""Quantities whose changes within a scan are one: water and constants are those of both
conditions."""


@dataclass(frozen=True)
class Estimate:
    """A percent change and where it comes from.

    `bootstrap`: standard error by resampling, and how far the ends of its 95 % interval lie from
    the change; None where nothing was resampled.
    """

    metabolite: str
    estimator: str
    matched: bool
    quantity: str
    task: str
    change: Change
    bootstrap: tuple[float, float, float] | None = None

    def to_row(self, rest: str) -> dict:
        """Row of change.tsv."""
        change, boot = self.change, self.bootstrap or (None, None, None)
        reason = change.reason
        if math.isinf(change.low) or math.isinf(change.high):
            reason = "the interval is open: the value at rest is not different from zero"
        return {
            "metabolite": self.metabolite,
            "estimator": self.estimator,
            "matched": self.matched,
            "quantity": self.quantity,
            "contrast": f"{self.task}-{rest}",
            "rest": rest,
            "task": self.task,
            "change_percent": change.percent,
            "se_percent": change.se,
            "low_percent": change.low if math.isfinite(change.low) else None,
            "high_percent": change.high if math.isfinite(change.high) else None,
            "bootstrap_se_percent": boot[0],
            "bootstrap_low_percent": None if boot[1] is None else change.percent + boot[1],
            "bootstrap_high_percent": None if boot[2] is None else change.percent + boot[2],
            "reason": reason,
        }


@dataclass(frozen=True)
class Level:
    """A value of one condition in one scan: `se` of its fit, `water_se` of the scan's water."""

    scan: str
    value: float
    se: float
    water_se: float


def blocks(
    scans: Sequence[UnitScan], rest: str, tasks: Sequence[str], setting: Mapping
) -> list[Estimate]:
    """Changes between averages of conditions: of one model where the transients of one scan have
    it, else of fits of their own, of one scan or of several."""
    if len(scans) == 1 and scans[0].means is not None:
        return _of_one_model(scans[0], rest, tasks, setting)
    values: dict[tuple, list[Level]] = {}
    for scan in scans:
        for row in scan.concentrations:
            key = (row["metabolite"], row["quantity"], row["matched"], row["condition"])
            if math.isfinite(row["value"]) and row["se"] > 0:
                own = Level(scan.key, row["value"], row["se"], row["water_se"])
                values.setdefault(key, []).append(own)
    found = []
    for name in setting["metabolites"]:
        for matched in (True, False):
            for quantity in QUANTITIES:
                keys = [(name, quantity, matched, one) for one in (rest, *tasks)]
                if (name, quantity) == ("tCr", "ratio_tcr") or not any(k in values for k in keys):
                    continue
                for task, key in zip(tasks, keys[1:]):
                    pairs = [values.get(keys[0]), values.get(key)]
                    change = _between(*pairs, rest, task, setting["interval"])
                    found.append(Estimate(name, "blocks", matched, quantity, task, change))
    return found


def _of_one_model(
    scan: UnitScan, rest: str, tasks: Sequence[str], setting: Mapping
) -> list[Estimate]:
    """Changes between the conditions of a scan by the shapes that all of its transients share."""
    quantified = {row["quantity"] for row in scan.concentrations}
    found = []
    for name in setting["metabolites"]:
        for matched in (True, False):
            for quantity in QUANTITIES:
                if (name, quantity) == ("tCr", "ratio_tcr") or quantity not in quantified:
                    continue
                over = "tCr" if quantity == "ratio_tcr" else ""
                course = by_condition(scan, name, matched, over)
                for task in tasks if course is not None else ():
                    change = course.between(rest, task, setting["interval"])
                    found.append(Estimate(name, "blocks", matched, quantity, task, change))
    return found


def _between(resting, active, rest: str, task: str, interval: str) -> Change:
    """Change between the levels of two conditions; None where an average was not fitted."""
    if resting is None or active is None:
        return cannot(f"the average of {rest if resting is None else task} was not fitted")
    (a, a_se), (b, b_se) = (
        pooled([one.value for one in levels], [one.se for one in levels])
        for levels in (resting, active)
    )
    covariance = np.diag([a_se**2, b_se**2]) + _of_waters(resting, active)
    return percent_change(a, b, covariance, interval=interval)


def _of_waters(resting: Sequence[Level], active: Sequence[Level]) -> np.ndarray:
    """Covariance (2, 2) that the water amplitudes of scans give the pooled levels.

    One water scales all conditions of its scan, and has no part in what they differ by; the water
    of another scan has an error of its own (docs/science.md#concentration-errors).
    """
    scans = {one.scan for one in (*resting, *active)}
    if len(scans) == 1:
        return np.zeros((2, 2))
    errors = np.zeros((2, len(scans)))
    for row, levels in zip(errors, (resting, active)):
        weights = np.array([one.se**-2 for one in levels])
        for one, weight in zip(levels, weights / weights.sum()):
            row[sorted(scans).index(one.scan)] += weight * one.water_se
    return errors @ errors.T


def joint(
    scan: UnitScan,
    rest: str,
    tasks: Sequence[str],
    setting: Mapping,
    seed: Callable[[str], int],
) -> list[Estimate]:
    """Changes of the joint fit as set, and without narrowing as a control.

    Parameters
    ----------
    scan : UnitScan
        One with a joint fit; of one condition it has the contrasts of a design that was given.
    seed : callable
        Seed of the random numbers that are drawn for a purpose.
    """
    fit = scan.joint_fit
    names, contrasts = ([str(name) for name in fit[key]] for key in ("names", "contrasts"))
    wanted = [name for name in setting["metabolites"] if name in names]
    modelled = scan.joint["linewidth_model"] != "none"
    found = []
    for task in (task for task in tasks if task in contrasts):
        c = contrasts.index(task)
        change, spread = fit["change_percent"][c], fit["change_covariance"][c]
        kept, columns = _resampled(scan, rest, tasks, setting["drift_order"])
        for name in wanted:
            k = names.index(name)
            own = linear_change(float(change[k]), math.sqrt(spread[k, k]))
            rng = np.random.default_rng(seed(f"{task} {name}"))
            boot = None
            course = _course(fit, names, name)[kept]
            if setting["bootstraps"] and np.isfinite(course).all():
                count, block = setting["bootstraps"], setting["bootstrap_block"]
                boot = block_bootstrap(course, columns, 1 + tasks.index(task), count, rng, block)
            found += [
                Estimate(name, "joint", modelled, quantity, task, own, boot)
                for quantity in ABSOLUTE
            ]
            if name != "tCr" and "tCr" in names:
                ratio = change_of(names, change, spread, name, "ratio_tcr")
                found.append(Estimate(name, "joint", modelled, "ratio_tcr", task, ratio))
    found += _of_other_contrasts(fit, wanted, rest, tasks, modelled)
    shown = [*tasks, *(name for name in contrasts if name not in tasks)]
    return found + (_without_narrowing(scan.joint_rows, wanted, shown) if modelled else [])


def _resampled(scan: UnitScan, rest: str, tasks: Sequence[str], drift_order: int):
    """Which transients of the joint fit are of rest or a task, and their conditions and drift."""
    places = np.asarray(scan.joint_fit["transients"])
    labels = [scan.transients[j]["condition"] for j in places]
    kept = np.array([label in (rest, *tasks) for label in labels])
    own = [label for label, use in zip(labels, kept) if use]
    columns = condition_columns(own, rest, tasks, places[kept].astype(float), drift_order)
    return kept, columns


def _of_other_contrasts(
    fit: Mapping[str, np.ndarray], wanted, rest: str, tasks: Sequence[str], modelled: bool
) -> list[Estimate]:
    """Changes of contrasts that are no task (delays, columns of a design, their sums and means),
    and the observed difference of tasks that are no contrast."""
    names, contrasts = ([str(name) for name in fit[key]] for key in ("names", "contrasts"))
    several = {
        name: (fit["change_percent"][c], fit["change_covariance"][c])
        for c, name in enumerate(contrasts)
        if name not in tasks
    }
    # Shapes of a response know the conditions; NaN where there is no boxcar.
    observed = [str(name) for name in fit["shape_contrasts"]] if "shapes" in fit else []
    box = [str(name) for name in fit["shapes"]].index(BOXCAR) if observed else 0
    for c, name in enumerate(observed):
        if name in tasks and name not in contrasts:
            several[name] = (fit["plateau_percent"][box, c], fit["plateau_covariance"][box, c])
    found = []
    for contrast, (change, spread) in several.items():
        for name in wanted:
            for quantity in (*ABSOLUTE, "ratio_tcr"):
                if (name, quantity) != ("tCr", "ratio_tcr"):
                    own = change_of(names, change, spread, name, quantity)
                    found.append(Estimate(name, "joint", modelled, quantity, contrast, own))
    return found


def change_of(
    names: Sequence[str], change: np.ndarray, spread: np.ndarray, name: str, quantity: str
) -> Change:
    """Change of a metabolite or of its ratio to tCr, from those of all `names` and their
    covariance."""
    k = names.index(name)
    if quantity != "ratio_tcr":
        return linear_change(float(change[k]), math.sqrt(spread[k, k]))
    pair = [k, names.index("tCr")] if "tCr" in names else [k]
    if len(pair) < 2 or not np.isfinite(change[pair]).all():
        return cannot("the joint fit found no tCr or none of the metabolite")
    return ratio_of_changes(*change[pair], spread[np.ix_(pair, pair)])


def _without_narrowing(rows: Sequence[Row], wanted, tasks) -> list[Estimate]:
    """Changes of the joint fit of constant linewidth."""
    found = []
    for row in rows:
        numbers = row["change_percent"], row["change_se_percent"]
        if row["linewidth_model"] != "none" or not all(map(math.isfinite, numbers)):
            continue
        if row["metabolite"] in wanted and row["contrast"] in tasks:
            change = linear_change(*numbers)
            found += [
                Estimate(row["metabolite"], "joint", False, quantity, row["contrast"], change)
                for quantity in ABSOLUTE
            ]
    return found


def _course(fit: Mapping, names: Sequence[str], name: str) -> np.ndarray:
    """Amplitude of a metabolite or sum in each transient; a member that was held at zero adds
    nothing."""
    singles = names[: fit["timecourse"].shape[1]]
    parts = [singles.index(part) for part in members(name, singles)]
    return np.nansum(fit["timecourse"][:, parts], axis=1)


def timecourse(
    course: Course,
    ratio: Course | None,
    rest: str,
    tasks: Sequence[str],
    setting: Mapping,
) -> list[Estimate]:
    """Changes by the linear model of blocks; `ratio` is the course of the ratio to tCr. Blocks of
    one model have a width of their own each."""
    series = dict.fromkeys(reversed(ABSOLUTE), course)
    if ratio is not None:
        series["ratio_tcr"] = ratio
    matched = course.counts is not None
    return [
        Estimate(course.metabolite, "timecourse", matched, quantity, task, change)
        for quantity, own in series.items()
        for task, change in zip(tasks, changes_over_time(own, rest, tasks, setting))
    ]

"""Negative controls (docs/science.md#controls): what should not change, and what it says where it
does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.constants import Z95
from fmrsflow.response.blocks import habituation, halves_of_rest
from fmrsflow.response.change import Change
from fmrsflow.response.course import lag_one
from fmrsflow.response.estimators import ABSOLUTE, Estimate
from fmrsflow.response.timecourse import Course
from fmrsflow.response.unit import UnitScan

STABLE = ("tCr", "tNAA")
"""Metabolites that no task changes."""

FEWEST_GROUPS = 2
"""Groups of water in each condition that its change is told from."""

SHIM = "more than BOLD explains: the shim or the head moved with the task"


@dataclass(frozen=True)
class Control:
    """One control.

    `limit` is the largest value that is not flagged: 1.96 se or the tolerance, whichever is larger;
    NaN for one that is told only.
    """

    control: str
    value: float
    se: float
    unit: str
    limit: float
    flag: str


def control(name: str, value: float, se: float, unit: str, tolerance: float, meaning: str):
    """A control with its flag in plain words; `meaning` says what a large value would mean."""
    known = se if math.isfinite(se) else 0.0
    limit = max(Z95 * known, tolerance)
    flag = ""
    if not math.isfinite(value):
        flag = f"{name} cannot be estimated"
    elif abs(value) > limit:
        flag = f"{name} is {value:+.2g} {unit}, above {limit:.2g}: {meaning}"
    return Control(name, value, se, unit, limit, flag)


def mean_difference(
    values: np.ndarray, labels: Sequence[str | None], rest: str, task: str
) -> tuple[float, float]:
    """Mean of task minus mean of rest of something measured per transient, with its SE.

    Neighbours are correlated (drift), so the number of transients counts reduced by
    (1 - rho) / (1 + rho), rho the lag-1 correlation about the means of the conditions.
    """
    groups = [np.array([label == one for label in labels]) for one in (rest, task)]
    means = [float(values[group].mean()) for group in groups]
    residuals = np.concatenate([values[g] - m for g, m in zip(groups, means)])
    rho = float(np.clip(lag_one(residuals), 0.0, 0.99))
    shrink = (1 - rho) / (1 + rho)
    spread = float(residuals @ residuals) / max(len(residuals) - 2, 1)
    se = math.sqrt(spread * sum(1 / max(g.sum() * shrink, 1) for g in groups))
    return means[1] - means[0], se


def controls(
    scans: Sequence[UnitScan],
    estimates: Sequence[Estimate],
    glutamate: Sequence[Course],
    rest: str,
    tasks: Sequence[str],
    setting: Mapping,
) -> list[Control]:
    """Every control of a unit.

    Parameters
    ----------
    scans, estimates
        Of the unit, all its changes.
    glutamate
        Time course of Glu in each scan that has one.
    setting : mapping
        Tolerances: `control_percent`, `control_linewidth_hz`, `control_shift_hz`.
    """
    percent = setting["control_percent"]
    found = []
    for task in tasks:
        tag = f" ({task})" if len(tasks) > 1 else ""
        found += _stable(estimates, task, tag, percent)
        found += _widths(scans, rest, task, tag, setting["control_linewidth_hz"])
        if task == tasks[0]:  # one of all tasks together
            found += _narrowing(scans, setting["control_linewidth_hz"])
        found += _frequency(scans, rest, task, tag, setting["control_shift_hz"])
        found += _water(scans, rest, task, tag, setting)
        found += _matching(estimates, task, tag)
    for course in glutamate:
        found += _over_time(course, rest, tasks, percent)
    return found


def controls_of_design(
    scan: UnitScan, estimates: Sequence[Estimate], setting: Mapping
) -> list[Control]:
    """Controls of a scan of one condition whose contrasts are columns of a given design."""
    found = []
    for task in dict.fromkeys(one.task for one in estimates):
        found += _stable(estimates, task, f" ({task})", setting["control_percent"])
    return found + _narrowing([scan], setting["control_linewidth_hz"])


def _stable(estimates, task: str, tag: str, percent: float) -> list[Control]:
    """Changes of metabolites that should not change."""
    found = []
    for estimator in ("blocks", "joint"):
        for name in STABLE:
            change = _absolute(estimates, name, estimator, task)
            if change is not None:
                meaning = (
                    f"{name} is stable in the brain, so linewidth, motion or the water reference "
                    "changed with the task, and glutamate may follow them"
                )
                named = f"{name} change, {estimator}{tag}"
                found.append(control(named, change.percent, change.se, "percent", percent, meaning))
    return found


def _matching(estimates, task: str, tag: str) -> list[Control]:
    """How much of the change goes with the matching of linewidths. BOLD narrows lines wherever a
    task works, and the matched change counts with it: told, and no flag; what narrows more than
    BOLD does has a control of its own (`_widths`)."""
    matched, bare = (_absolute(estimates, "Glu", "blocks", task, (m,)) for m in (True, False))
    if matched is None or bare is None:
        return []
    difference = bare.percent - matched.percent
    named = f"Glu change, unmatched minus matched{tag}"
    return [Control(named, difference, math.nan, "percent", math.nan, "")]


def _over_time(course: Course, rest: str, tasks: Sequence[str], percent: float) -> list[Control]:
    """Glutamate while nothing is done, and from block to block."""
    halves = halves_of_rest(course, rest)
    meaning = "glutamate changes while nothing is done: drift, or rest is not yet steady"
    named = "Glu, second against first half of rest"
    found = [control(named, halves.percent, halves.se, "percent", percent, meaning)]
    for task in tasks:
        if len(course.of(task)):
            slope = habituation(course, rest, task)
            meaning = "the response changes from block to block, their mean hides it"
            named = f"Glu, habituation over blocks of {task}"
            found.append(
                control(named, slope.percent, slope.se, "percent per block", percent, meaning)
            )
    return found


def _widths(scans: Sequence[UnitScan], rest, task, tag: str, tolerance: float) -> list[Control]:
    """Linewidth by condition, measured and in the joint fit."""
    found = []
    width, error = {}, {}
    for scan in scans:
        width |= scan.preprocess.get("linewidth_hz") or {}
        error |= scan.preprocess.get("linewidth_se_hz") or {}
    if None not in (width.get(rest), width.get(task)):  # else no line of it was measured
        se = math.hypot(*(error.get(name) or math.nan for name in (rest, task)))
        difference = width[task] - width[rest]
        found.append(control(f"linewidth change{tag}", difference, se, "Hz", tolerance, SHIM))
    return found


def _narrowing(scans: Sequence[UnitScan], tolerance: float) -> list[Control]:
    """Narrowing in the joint fit of each scan."""
    found = []
    for scan in scans:
        fit = scan.joint
        if fit.get("bold_narrowing_hz") is not None:
            value, se = fit["bold_narrowing_hz"], fit["bold_narrowing_se_hz"]
            named = "BOLD narrowing, joint fit" + (f" of {scan.key}" if len(scans) > 1 else "")
            found.append(control(named, value, se, "Hz", tolerance, SHIM))
    return found


def _water(scans: Sequence[UnitScan], rest, task, tag: str, setting: Mapping) -> list[Control]:
    """Water that was measured between the transients, task minus rest."""
    moved = "the receiver, the head or BOLD over the echo time; see the setting water_scaling"
    found = []
    for scan in scans:
        rows = [row for row in scan.water if row["condition"] in (rest, task)]
        labels = [row["condition"] for row in rows]
        if min(labels.count(rest), labels.count(task)) < FEWEST_GROUPS:
            continue
        for column, name, unit, tolerance, meaning in (
            ("linewidth_hz", "water linewidth", "Hz", setting["control_linewidth_hz"], SHIM),
            ("amplitude_percent", "water", "percent", setting["control_percent"], moved),
        ):
            values = np.array([row[column] for row in rows])
            difference, se = mean_difference(values, labels, rest, task)
            found.append(control(f"{name} change{tag}", difference, se, unit, tolerance, meaning))
    return found


def _frequency(scans: Sequence[UnitScan], rest, task, tag: str, tolerance: float) -> list[Control]:
    """Frequency of the kept transients, task minus rest."""
    kept = [
        (row["shift_hz"], row["condition"])
        for scan in scans
        for row in scan.transients
        if row["kept"] and math.isfinite(row["shift_hz"])
    ]
    labels = [label for _, label in kept]
    if rest not in labels or task not in labels:
        return []
    difference, se = mean_difference(np.array([shift for shift, _ in kept]), labels, rest, task)
    meaning = "the field drifted or the head moved with the task; see the transients"
    return [control(f"frequency difference{tag}", difference, se, "Hz", tolerance, meaning)]


def _absolute(estimates, name, estimator, task, matched=(True, False)) -> Change | None:
    """Change of an absolute quantity, matched before unmatched, molal before raw."""
    by_key = {
        (one.matched, one.quantity): one.change
        for one in reversed(estimates)
        if (one.metabolite, one.estimator, one.task) == (name, estimator, task)
    }
    keys = [(flag, quantity) for flag in matched for quantity in ABSOLUTE]
    return next((by_key[key] for key in keys if key in by_key), None)

"""Percent change of each response unit with its negative controls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fmrsflow import response as science
from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.metabolites import members
from fmrsflow.response import Change
from fmrsflow.study import Scan
from fmrsflow.tables.response import BLOCKS, CHANGE, CONTROLS

QUANTITIES = ("molal", "ratio_tcr", "raw")


@dataclass(frozen=True)
class _Estimate:
    """A row to be: where a change comes from, and the change."""

    metabolite: str
    estimator: str
    matched: bool
    quantity: str
    task: str
    change: Change
    bootstrap: tuple[float, float, float] | None = None


def process(job: Job) -> dict:
    """Percent change of one unit; see docs/answer.md."""
    setting = job.settings["response"]
    scans = job.unit.scans
    done = {scan.key: job.record("preprocess", scan) for scan in scans}
    for scan in scans:
        job.record("quantify", scan)
    rest, tasks = _conditions(job, setting["rest"], done)
    found = _blocks(job, setting, rest, tasks)
    blocks = []
    for scan in scans:
        if len(done[scan.key]["conditions"]) > 1:
            here = [task for task in tasks if task in done[scan.key]["conditions"]]
            found += _joint(job, scan, setting, rest, here)
            more, own = _timecourse(job, scan, setting, rest, here)
            found += more
            blocks += own
    if not any(one.estimator == "blocks" and one.quantity == "molal" for one in found):
        found = [one for one in found if one.quantity != "molal"]  # no water reference
    if all(not math.isfinite(one.change.percent) for one in found):
        reason = found[0].change.reason if found else "no metabolite of the setting was fitted"
        raise DataError(f"no change: {reason}")
    controls = _controls(job, setting, done, rest, tasks, found, blocks)
    job.save("change", [_row(one, rest) for one in found], CHANGE)
    job.save("controls", [vars(one) for one in controls], CONTROLS)
    job.save("blocks", [_block_row(*one) for one in blocks], BLOCKS)
    return {
        "rest": rest,
        "tasks": tasks,
        "scans": [scan.key for scan in scans],
        "flags": [one.flag for one in controls if one.flag],
    }


def _conditions(job: Job, rest: str, done: dict) -> tuple[str, list[str]]:
    names = list(dict.fromkeys(name for record in done.values() for name in record["conditions"]))
    if len(names) < 2:
        raise DataError(
            f"one condition only ({', '.join(names)}): a change needs rest and a task, from "
            "events.tsv or from two scans of different `condition` in scans.tsv"
        )
    if rest not in names:
        job.warn(f"no condition {rest!r}; changes refer to {names[0]!r} (setting response: rest)")
        rest = names[0]
    return rest, [name for name in names if name != rest]


def _blocks(job: Job, setting: dict, rest: str, tasks: list[str]) -> list[_Estimate]:
    """Changes between averages, of one scan or of several."""
    values: dict[tuple, list] = {}
    for scan in job.unit.scans:
        for row in job.table("quantify", "concentrations", scan):
            key = (row["metabolite"], row["quantity"], row["matched"], row["condition"])
            if math.isfinite(row["value"]) and row["se"] > 0:
                values.setdefault(key, []).append((row["value"], row["se"]))
    found = []
    for name in setting["metabolites"]:
        for matched in (True, False):
            for quantity in QUANTITIES:
                keys = [(name, quantity, matched, one) for one in (rest, *tasks)]
                if (name, quantity) == ("tCr", "ratio_tcr") or not any(k in values for k in keys):
                    continue
                for task, key in zip(tasks, keys[1:]):
                    if keys[0] in values and key in values:
                        (a, a_se), (b, b_se) = (
                            science.pooled(*zip(*values[k])) for k in (keys[0], key)
                        )
                        spread = np.diag([a_se**2, b_se**2])
                        change = science.percent_change(a, b, spread, interval=setting["interval"])
                    else:
                        missing = rest if keys[0] not in values else task
                        change = science.cannot(f"the average of {missing} was not fitted")
                    found.append(_Estimate(name, "blocks", matched, quantity, task, change))
    if not any(one.matched for one in found):
        job.warn(
            "rest and task are different scans: their linewidths are not matched, see the control "
            "on linewidth"
        )
    return found


def _joint(job: Job, scan: Scan, setting: dict, rest: str, tasks: list[str]) -> list[_Estimate]:
    """Changes of the joint fit as set, and without narrowing as a control."""
    record = job.record("fit", scan)["joint"]
    if record["status"] != "ok":
        job.warn(f"no joint fit: {record['reason']}")
        return []
    fit = job.arrays("fit", "joint", scan)
    names = [str(name) for name in fit["names"]]
    contrasts = [str(name) for name in fit["contrasts"]]
    wanted = [name for name in setting["metabolites"] if name in names]
    modelled = record["linewidth_model"] != "none"
    kept, columns = _transient_design(job, scan, setting, rest, tasks, fit["transients"])
    found = []
    for task in (task for task in tasks if task in contrasts):
        c = contrasts.index(task)
        change, spread = fit["change_percent"][c], fit["change_covariance"][c]
        for name in wanted:
            k = names.index(name)
            own = science.linear_change(float(change[k]), math.sqrt(spread[k, k]))
            rng = np.random.default_rng(job.seed(f"{task} {name}", scan))
            course = _course(fit, names, name)[kept]
            boot = None
            if setting["bootstraps"] and np.isfinite(course).all():
                boot = science.block_bootstrap(
                    course,
                    columns,
                    1 + tasks.index(task),
                    setting["bootstraps"],
                    rng,
                    setting["bootstrap_block"],
                )
            # Water and constants are the same in both conditions: molal changes as raw does.
            for quantity in ("molal", "raw"):
                found.append(_Estimate(name, "joint", modelled, quantity, task, own, boot))
            if name != "tCr" and "tCr" in names:
                pair = [k, names.index("tCr")]
                ratio = (
                    science.ratio_of_changes(*change[pair], spread[np.ix_(pair, pair)])
                    if np.isfinite(change[pair]).all()
                    else science.cannot("the joint fit found no tCr or none of the metabolite")
                )
                found.append(_Estimate(name, "joint", modelled, "ratio_tcr", task, ratio))
    if modelled:
        for row in job.table("fit", "joint", scan):
            if row["linewidth_model"] == "none" and row["metabolite"] in wanted:
                numbers = row["change_percent"], row["change_se_percent"]
                if row["contrast"] not in tasks or not all(map(math.isfinite, numbers)):
                    continue
                change = science.linear_change(*numbers)
                for quantity in ("molal", "raw"):
                    found.append(
                        _Estimate(
                            row["metabolite"], "joint", False, quantity, row["contrast"], change
                        )
                    )
    return found


def _transient_design(job, scan, setting, rest, tasks, transients) -> tuple:
    """Which of the joint fit's transients belong to a condition, and the design over these."""
    rows = job.table("preprocess", "transients", scan)
    labels = [rows[j]["condition"] for j in transients]
    kept = np.array([label in (rest, *tasks) for label in labels])
    names = [label for label, use in zip(labels, kept) if use]
    times = np.asarray(transients, float)[kept]
    return kept, science.condition_columns(names, rest, tasks, times, setting["drift_order"])


def _course(fit: dict, names: list[str], name: str) -> np.ndarray:
    """Amplitude of a metabolite or sum in each transient."""
    singles = names[: fit["timecourse"].shape[1]]
    parts = [singles.index(one) for one in members(name, singles)]
    return np.nansum(fit["timecourse"][:, parts], axis=1) if parts else np.array([np.nan])


def _timecourse(job: Job, scan: Scan, setting: dict, rest: str, tasks: list[str]):
    """Changes by the GLM on block-wise amplitudes, and the change of each block."""
    by_name: dict[str, list] = {}
    for row in job.table("fit", "timecourse", scan):
        by_name.setdefault(row["metabolite"], []).append(row)
    found, blocks = [], []

    def numbers(rows, column):
        return np.array([row[column] for row in rows])

    reference = by_name.get("tCr", [])
    for name in (name for name in setting["metabolites"] if name in by_name):
        rows = by_name[name]
        labels = [row["condition"] for row in rows]
        y, e, when = (numbers(rows, column) for column in ("amplitude", "se", "time_s"))
        series = {"raw": (y, e), "molal": (y, e)}
        if name != "tCr" and len(reference) == len(rows):
            r, r_e = numbers(reference, "amplitude"), numbers(reference, "se")
            with np.errstate(divide="ignore", invalid="ignore"):
                series["ratio_tcr"] = (y / r, np.hypot(e / r, y / r * r_e / r))
        for quantity, (values, errors) in series.items():
            changes = science.timecourse_changes(
                values,
                errors,
                labels,
                when,
                rest,
                tasks,
                setting["drift_order"],
                setting["interval"],
            )
            found += [
                _Estimate(name, "timecourse", False, quantity, task, change)
                for task, change in zip(tasks, changes)
            ]
        blocks += [(scan, name, one) for one in science.change_per_block(y, e, labels, when, rest)]
        halves = science.halves_of_rest(y, e, labels, rest)
        blocks.append((scan, name, halves))
    return found, blocks


def _controls(job, setting, done, rest, tasks, found, blocks) -> list[science.Control]:
    controls = []
    percent = setting["control_percent"]
    for task in tasks:
        tag = f" ({task})" if len(tasks) > 1 else ""
        for estimator in ("blocks", "joint"):
            for name in ("tCr", "tNAA"):
                one = _pick(found, name, estimator, task)
                if one is not None:
                    controls.append(
                        science.control(
                            f"{name} change, {estimator}{tag}",
                            one.percent,
                            one.se,
                            "percent",
                            percent,
                            f"{name} is stable in the brain, so linewidth, motion or the water "
                            "reference changed with the task, and glutamate may follow them",
                        )
                    )
        controls += _width_controls(job, setting, done, rest, task, tag)
        matched, bare = (_pick(found, "Glu", "blocks", task, (m,)) for m in (True, False))
        if matched is not None and bare is not None:
            controls.append(
                science.control(
                    f"Glu change, unmatched minus matched{tag}",
                    bare.percent - matched.percent,
                    math.nan,
                    "percent",
                    percent,
                    "a good part of the change without linewidth matching is line narrowing",
                )
            )
    for scan in job.unit.scans:
        own = [one for where, name, one in blocks if where is scan and name == "Glu"]
        for one in (one for one in own if isinstance(one, Change)):
            controls.append(
                science.control(
                    "Glu, second against first half of rest",
                    one.percent,
                    one.se,
                    "percent",
                    percent,
                    "glutamate changes while nothing is done: drift, or rest is not yet steady",
                )
            )
        for task in tasks:
            series = [b for b in own if isinstance(b, science.Block) and b.condition == task]
            if series:
                slope = science.habituation(series)
                controls.append(
                    science.control(
                        f"Glu, habituation over blocks of {task}",
                        slope.percent,
                        slope.se,
                        "percent per block",
                        percent,
                        "the response changes from block to block, their mean hides it",
                    )
                )
    return controls


def _width_controls(job, setting, done, rest, task, tag) -> list[science.Control]:
    """Linewidth and frequency by condition, from the records and tables of preprocess."""
    controls = []
    width, error = {}, {}
    for record in done.values():
        width |= record.get("linewidth_hz") or {}
        error |= record.get("linewidth_se_hz") or {}
    if rest in width and task in width:
        se = math.hypot(*(error.get(one) or math.nan for one in (rest, task)))
        controls.append(
            science.control(
                f"linewidth change{tag}",
                width[task] - width[rest],
                se,
                "Hz",
                setting["control_linewidth_hz"],
                "more than BOLD explains: the shim or the head moved with the task",
            )
        )
    joint = [job.record("fit", scan).get("joint") or {} for scan in job.unit.scans]
    for one in joint:
        if one.get("bold_narrowing_hz") is not None:
            controls.append(
                science.control(
                    f"BOLD narrowing, joint fit{tag}",
                    one["bold_narrowing_hz"],
                    one["bold_narrowing_se_hz"],
                    "Hz",
                    setting["control_linewidth_hz"],
                    "more than BOLD explains: the shim or the head moved with the task",
                )
            )
    shifts, labels = [], []
    for scan in job.unit.scans:
        for row in job.table("preprocess", "transients", scan):
            if row["kept"] and math.isfinite(row["shift_hz"]):
                shifts.append(row["shift_hz"])
                labels.append(row["condition"])
    if rest in labels and task in labels:
        difference, se = science.mean_difference(np.array(shifts), labels, rest, task)
        controls.append(
            science.control(
                f"frequency difference{tag}",
                difference,
                se,
                "Hz",
                setting["control_shift_hz"],
                "the field drifted or the head moved with the task; see the transients",
            )
        )
    return controls


def _pick(found, name, estimator, task, matched=(True, False)) -> Change | None:
    """First change of that estimator, matched before unmatched, molal before raw."""
    for flag in matched:
        for quantity in ("molal", "raw"):
            for one in found:
                key = (one.metabolite, one.estimator, one.task, one.matched, one.quantity)
                if key == (name, estimator, task, flag, quantity):
                    return one.change
    return None


def _row(one: _Estimate, rest: str) -> dict:
    change, boot = one.change, one.bootstrap or (None, None, None)
    reason = change.reason
    if math.isinf(change.low) or math.isinf(change.high):
        reason = "the interval is open: the value at rest is not different from zero"
    return {
        "metabolite": one.metabolite,
        "estimator": one.estimator,
        "matched": one.matched,
        "quantity": one.quantity,
        "contrast": f"{one.task}-{rest}",
        "rest": rest,
        "task": one.task,
        "change_percent": change.percent,
        "se_percent": change.se,
        "low_percent": change.low if math.isfinite(change.low) else None,
        "high_percent": change.high if math.isfinite(change.high) else None,
        "bootstrap_se_percent": boot[0],
        "bootstrap_low_percent": None if boot[1] is None else change.percent + boot[1],
        "bootstrap_high_percent": None if boot[2] is None else change.percent + boot[2],
        "reason": reason,
    }


def _block_row(scan: Scan, name: str, one) -> dict:
    halves = isinstance(one, Change)
    change = one if halves else one.change
    return {
        "scan": scan.key,
        "metabolite": name,
        "block": None if halves else one.block,
        "condition": "second half of rest against first" if halves else one.condition,
        "time_s": None if halves else one.time_s,
        "change_percent": change.percent,
        "se_percent": change.se,
    }


main = stage_main("response", process)

"""Percent change of each response unit with its negative controls."""

from __future__ import annotations

import math
from functools import partial

from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.response.blocks import block_rows
from fmrsflow.response.controls import controls
from fmrsflow.response.estimators import blocks, courses, joint, timecourse
from fmrsflow.response.unit import UnitScan, conditions
from fmrsflow.study import Scan
from fmrsflow.tables.response import BLOCKS, CHANGE, CONTROLS


def process(job: Job) -> dict:
    """Percent change of one unit; see docs/answer.md."""
    setting = job.settings["response"]
    scans = [_read(job, scan) for scan in job.unit.scans]
    rest, tasks = conditions(scans, setting["rest"])
    if rest != setting["rest"]:
        job.warn(
            f"no condition {setting['rest']!r}; changes refer to {rest!r} (setting response: rest)"
        )
    found = blocks(scans, rest, tasks, setting)
    if not any(one.matched for one in found):
        job.warn(
            "rest and task are different scans: their linewidths are not matched, see the control "
            "on linewidth"
        )
    shown, glutamate = [], []
    for own, scan in zip(job.unit.scans, scans):
        here = scan.tasks(tasks)
        if not here:
            continue
        if scan.joint_fit is None:
            job.warn(f"no joint fit: {scan.joint['reason']}")
        else:
            found += joint(scan, rest, here, setting, partial(job.seed, scan=own))
        by_name = courses(scan)
        for course in (by_name[name] for name in setting["metabolites"] if name in by_name):
            found += timecourse(course, by_name.get("tCr"), rest, here, setting)
            shown += block_rows(course, rest)
            glutamate += [course] if course.metabolite == "Glu" else []
    if not any(one.estimator == "blocks" and one.quantity == "molal" for one in found):
        found = [one for one in found if one.quantity != "molal"]  # no water reference
    if all(not math.isfinite(one.change.percent) for one in found):
        reason = found[0].change.reason if found else "no metabolite of the setting was fitted"
        raise DataError(f"no change: {reason}")
    checked = controls(scans, found, glutamate, rest, tasks, setting)
    job.save("change", [one.to_row(rest) for one in found], CHANGE)
    job.save("controls", [vars(one) for one in checked], CONTROLS)
    job.save("blocks", shown, BLOCKS)
    return {
        "rest": rest,
        "tasks": tasks,
        "scans": [scan.key for scan in scans],
        "flags": [one.flag for one in checked if one.flag],
    }


def _read(job: Job, scan: Scan) -> UnitScan:
    """What earlier stages left of a scan of the unit."""
    done = job.record("preprocess", scan)
    several = len(done["conditions"]) > 1
    fit = job.record("fit", scan)["joint"]
    fitted = several and fit["status"] == "ok"
    return UnitScan(
        key=scan.key,
        preprocess=done,
        joint=fit,
        transients=job.table("preprocess", "transients", scan),
        concentrations=job.table("quantify", "concentrations", scan),
        water=job.table("preprocess", "water", scan)
        if job.earlier("preprocess", scan).has("water.tsv")
        else (),
        timecourse=job.table("fit", "timecourse", scan) if several else (),
        joint_rows=job.table("fit", "joint", scan) if fitted else (),
        joint_fit=job.arrays("fit", "joint", scan) if fitted else None,
    )


main = stage_main("response", process)

"""Percent change of each response unit with its negative controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.fit.options import FitOptions
from fmrsflow.response.blocks import block_rows
from fmrsflow.response.controls import controls, controls_of_design
from fmrsflow.response.estimators import Estimate, blocks, joint, timecourse
from fmrsflow.response.plateaus import boxcar_reads, plateau_rows
from fmrsflow.response.timecourse import courses
from fmrsflow.response.unit import UnitScan, conditions
from fmrsflow.study import Scan
from fmrsflow.tables.response import BLOCKS, CHANGE, CONTROLS, PLATEAUS


def process(job: Job) -> dict:
    """Percent change of one unit; see docs/answer.md."""
    setting = job.settings["response"]
    scans = [_read(job, scan) for scan in job.unit.scans]
    if len(scans) == 1 and len(scans[0].preprocess["conditions"]) == 1 and scans[0].joint_fit:
        return _of_design(job, scans[0], setting)
    rest, tasks = conditions(scans, setting["rest"])
    if rest != setting["rest"]:
        job.warn(
            f"no condition {setting['rest']!r}; changes refer to {rest!r} (setting response: rest)"
        )
    found = blocks(scans, rest, tasks, setting)
    together = told = None
    if len(scans) > 1:
        together, told = _together(job, scans, rest, tasks)
    if together is not None:
        means = together.differences(setting["metabolites"], setting["interval"])
        if means:  # what single scans match is within each of them
            found = [*means, *(one for one in found if not one.matched)]
        found += together.estimates(setting["metabolites"])
    elif not any(one.matched for one in found):
        job.warn(
            "rest and task are different scans: their linewidths are not matched, see the control "
            "on linewidth"
        )
    shown, glutamate, plateaus = [], [], []
    alone = sum(bool(scan.tasks(tasks)) for scan in scans) == 1
    if not alone and any(scan.tasks(tasks) for scan in scans):
        job.warn("time courses of several scans are not put together: no change by `timecourse`")
    for own, scan in zip(job.unit.scans, scans):
        here = scan.tasks(tasks)
        if not here:
            continue
        if together is not None or not alone:
            pass  # one scan has no change of the unit
        elif scan.joint_fit is None:
            job.warn(f"no joint fit: {scan.joint['reason']}")
        elif (other := scan.joint.get("rest") or rest) != rest:
            job.warn(
                f"no changes of the joint fit: they refer to {other}, those of the study to {rest} "
                f"(fit setting joint_rest: {rest})"
            )
        elif together is None and alone:
            plateaus += plateau_rows(scan, rest, setting["metabolites"])
            found += joint(scan, rest, here, setting, partial(job.seed, scan=own))
        by_name, ratios = courses(scan), courses(scan, over="tCr")
        for course in (by_name[name] for name in setting["metabolites"] if name in by_name):
            if alone:
                found += timecourse(course, ratios.get(course.metabolite), rest, here, setting)
            shown += block_rows(course, rest)
            glutamate += [course] if course.metabolite == "Glu" else []
    if not any(one.estimator == "blocks" and one.quantity == "molal" for one in found):
        found = [one for one in found if one.quantity != "molal"]  # no water reference
    _require_change(found)
    checked = controls(scans, found, glutamate, rest, tasks, setting)
    if together is not None:
        keys = [scan.key for scan in scans]
        checked += together.gain_controls(keys, setting["control_percent"])
    job.save("change", [one.to_row(rest) for one in found], CHANGE)
    job.save("controls", [vars(one) for one in checked], CONTROLS)
    job.save("blocks", shown, BLOCKS)
    job.save("plateaus", plateaus, PLATEAUS)
    return {
        "rest": rest,
        "tasks": tasks,
        "scans": [scan.key for scan in scans],
        "flags": [one.flag for one in checked if one.flag],
        "boxcar_reads": boxcar_reads(plateaus),
        **({} if told is None else {"joint": told}),
    }


def _require_change(found: Sequence[Estimate]) -> None:
    if all(not math.isfinite(one.change.percent) for one in found):
        reason = found[0].change.reason if found else "no metabolite of the setting was fitted"
        raise DataError(f"no change: {reason}")


def _of_design(job: Job, scan: UnitScan, setting: Mapping) -> dict:
    """Changes of a scan whose transients have no conditions, from the contrasts of a design that
    was given: its constant is what they refer to."""
    rest = setting["rest"]
    found = joint(scan, rest, (), setting, partial(job.seed, scan=job.unit.scan))
    if not any(row["quantity"] == "molal" for row in scan.concentrations):
        found = [one for one in found if one.quantity != "molal"]  # no water reference
    _require_change(found)
    checked = controls_of_design(scan, found, setting)
    job.save("change", [one.to_row(rest) for one in found], CHANGE)
    job.save("controls", [vars(one) for one in checked], CONTROLS)
    job.save("blocks", [], BLOCKS)
    job.save("plateaus", [], PLATEAUS)
    return {
        "rest": rest,
        "tasks": list(dict.fromkeys(one.task for one in found)),
        "scans": [scan.key],
        "flags": [one.flag for one in checked if one.flag],
        "boxcar_reads": {},
    }


def _together(job: Job, scans: Sequence[UnitScan], rest: str, tasks: Sequence[str]):
    """The joint fit of the scans of a unit and what the record says of it; None, and a warning,
    where there is none."""
    options = FitOptions.from_settings(job.settings["fit"])
    if not options.joint or options.engine != "fmrsflow":
        return None, None  # its user chose so
    from fmrsflow.fit.scan import Transients
    from fmrsflow.response.measured import Measured
    from fmrsflow.response.scalings import scale_of
    from fmrsflow.response.together import fit_scans
    from fmrsflow.scan_designs import designs_given, nuisance_of, timing_of

    try:
        measured = []
        for own, scan in zip(job.unit.scans, scans):
            fids = job.fids("preprocess", "svs", own)
            transients = Transients.from_rows(fids, scan.transients)
            timing = timing_of(job, own, transients)
            labels = transients.labels
            one = Measured(
                transients,
                job.basis().resampled(fids.dwell_s, fids.n_points, fids.frequency_mhz),
                scale_of(scan.concentrations, job.record("quantify", own)["water"]),
                timing,
                designs_given(job, own, options, labels, timing) if options.joint_design else None,
                nuisance_of(job, own, options, transients, timing),
                job.earlier("preprocess", own).has("water.tsv"),
            )
            measured.append(one)
        found = fit_scans(measured, rest, tasks, options)
    except Unreachable:
        raise  # a design that is not there would be missing in a record that says ok, for good
    except DataError as failure:
        job.warn(f"no joint fit of the scans: {failure}")
        return None, {"status": "failed", "reason": " ".join(str(failure).split())}
    for flag in found.flags([scan.key for scan in scans]):
        job.warn(flag)
    return found, found.summary()


def _read(job: Job, scan: Scan) -> UnitScan:
    """What earlier stages left of a scan of the unit."""
    done = job.record("preprocess", scan)
    several = len(done["conditions"]) > 1
    fit = job.record("fit", scan)["joint"]
    fitted = fit["status"] == "ok"  # of one condition only where a design was given
    model = job.arrays("fit", "model", scan) if job.earlier("fit", scan).has("model.npz") else None
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
        joint_fit=model if fitted else None,
        means=model if several else None,
    )


main = stage_main("response", process)

"""Fit each average, the time course and all transients of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.fids import Fids
from fmrsflow.fit.design import LINEWIDTH, Design, Timing, combined
from fmrsflow.fit.flags import flags, implausible, joint_flags
from fmrsflow.fit.nuisance import water_design
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import (
    ScanFit,
    Transients,
    designs,
    engine_timecourse,
    fit_scan,
    fit_together,
    joint_rest,
    shape_designs,
)
from fmrsflow.fit.scan_means import ScanMeans, means_of_scan, plain_designs, series_of_scan
from fmrsflow.scan_designs import designs_given, nuisance_of, timing_of
from fmrsflow.tables.fit import AMPLITUDES, JOINT, TIMECOURSE
from fmrsflow.water_amplitude import water_amplitude


def process(job: Job) -> dict:
    """Fit one scan; see docs/fit.md."""
    conditions = job.record("preprocess")["conditions"]
    options = FitOptions.from_settings(job.settings["fit"])
    fids = job.fids("preprocess", "svs")
    transients = Transients.from_rows(fids, job.table("preprocess", "transients"))
    axes = (fids.dwell_s, fids.n_points, fids.frequency_mhz)
    basis, other = job.basis().resampled(*axes), job.other_basis()
    others = [] if other is None else [other.resampled(*axes)]
    average, several = job.fids("preprocess", "average"), len(conditions) > 1
    own = options.engine == "fmrsflow"

    def fitted_with(matched: Fids | None) -> ScanFit:
        return fit_scan(transients, conditions, average, matched, basis, options, others)

    fitted = fitted_with(job.fids("preprocess", "matched") if several and not own else None)
    if fitted.whole.status == "failed":
        raise DataError(
            f"the average of all transients: {fitted.whole.reason}; check that the file holds a "
            "proton scan of a brain, whole, unfiltered, with its true dwell time and frequency, or "
            "take the row out"
        )
    te_s = job.record("convert")["te_s"]
    for flag in flags(fitted.whole, te_s):
        job.warn(flag)
    if own:
        joint, means = _together(job, options, transients, basis)
        if means is not None:
            fitted = replace(fitted, levels=means.levels(fitted.whole))
        elif several:
            fitted = fitted_with(job.fids("preprocess", "matched"))
    else:
        job.save("timecourse", engine_timecourse(transients, average, basis, options), TIMECOURSE)
        reason = f"engine {options.engine} fits single spectra only"
        joint = {"status": "absent", "reason": reason}
    for name, result in fitted.spectra.items():
        if result.status == "failed":
            job.warn(f"spectrum {name}: {result.reason}")
    job.save("amplitudes", fitted.amplitudes(), AMPLITUDES)
    job.save("result", fitted.arrays())
    strange = {"implausible": implausible(fitted.whole, te_s)}
    return {**fitted.quality(), **_water(job), **strange, "joint": joint}


def _together(
    job: Job, options: FitOptions, transients: Transients, basis
) -> tuple[dict, ScanMeans | None]:
    """Joint fit, and means of conditions and blocks, from one fit of all transients: what the
    record says of the joint fit, and the means where there are any."""
    timing = timing_of(job, job.scan, transients)
    design = width = rest = shapes = nuisance = None
    joint = {"status": "absent", "reason": "switched off (setting joint)"}
    try:
        if options.joint:
            design, width, rest = _designs(job, options, transients.labels, timing)
            shapes = shape_designs(transients.labels, timing, options)
            nuisance = nuisance_of(job, job.scan, options, transients, timing)
    except Unreachable:
        raise  # a design that is not there would be missing in a record that says ok, for good
    except DataError as failure:
        joint = _failed(failure)
    both = design, width
    try:
        if design is None:
            both = plain_designs(transients.labels, timing, options)
        every = [one for one in (*both, nuisance) if one is not None]
        series = series_of_scan(transients, basis, options, every)
        means = means_of_scan(transients, series, timing, options)
    except DataError as failure:
        job.warn(f"no model of all transients, each condition has a fit of its own: {failure}")
        job.save("timecourse", [], TIMECOURSE)
        return (joint if design is None else _failed(failure)), None
    job.save("timecourse", means.timecourse(), TIMECOURSE)
    if design is None:
        job.save("model", means.arrays())
        return joint, means
    try:
        fits = fit_together(transients, design, width, basis, options, series, shapes, nuisance)
    except DataError as failure:
        job.save("model", means.arrays())
        return _failed(failure), means
    for flag in joint_flags(fits[0]):
        job.warn(flag)
    job.save("joint", [row for one in fits for row in one.to_table()], JOINT)
    job.save("model", means.arrays() | fits[0].arrays(np.flatnonzero(transients.used)))
    told = {**fits[0].summary(), "design": list(design.names), "rest": rest}
    told |= {"linewidth": [] if width is None else list(width.names), "nuisance": []}
    if nuisance is not None:
        told["nuisance"] = list(nuisance.select(transients.used).select(fits[0].kept).moving.names)
        if left := [name for name in nuisance.names if name not in told["nuisance"]]:
            job.warn(f"nuisance courses without a part, one value in all transients kept: {left}")
    return {"status": "ok", "reason": None, **told}, means


def _failed(failure: DataError) -> dict:
    return {"status": "failed", "reason": " ".join(str(failure).split())}


def _designs(
    job: Job, options: FitOptions, labels: Sequence[str | None], timing: Timing
) -> tuple[Design, Design | None, str | None]:
    """Amplitude and linewidth design over all transients, from the setting's TSV or the events, and
    the condition that changes refer to (None where the TSV says it)."""
    if not options.joint_design:
        design, width = designs(labels, timing, options)
        return design, _with_water(job, options, width, timing), joint_rest(labels, options)
    design, width = designs_given(job, job.scan, options, labels, timing)
    width = _with_water(job, options, width, timing)
    return combined(design, options.joint_contrasts), width, None


def _with_water(job: Job, options: FitOptions, width: Design, timing: Timing) -> Design:
    """Linewidth design with the measured width of water, where that says more; the record names the
    courses."""
    there = job.earlier("preprocess").has("water.tsv")
    given = any(name.startswith(LINEWIDTH) for name in width.names)
    if not options.joint_linewidth_water or not there or given:
        return width
    try:
        return water_design(job.table("preprocess", "water"), timing, width)
    except DataError as failure:
        job.warn(f"the joint fit does without the width of water: {failure}")
        return width


def _water(job: Job) -> dict:
    """Amplitude of the water reference and its errors; None where there is no reference."""
    names = ("water_amplitude", "water_amplitude_se", "water_amplitude_model_sd")
    if job.record("convert")["reference"] is None:
        return dict.fromkeys(names)
    found = water_amplitude(job.fids("preprocess", "mrsref"))
    return dict(zip(names, (found.value, found.se, found.model_sd)))


main = stage_main("fit", process)

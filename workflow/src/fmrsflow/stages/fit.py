"""Fit each average, the time course and all transients of a scan."""

from __future__ import annotations

import numpy as np

from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.fit.design import Design, given_design
from fmrsflow.fit.flags import flags, joint_flags
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import Transients, designs, fit_scan, fit_together
from fmrsflow.fit.water import water_amplitude
from fmrsflow.tables import read_table
from fmrsflow.tables.fit import AMPLITUDES, JOINT, TIMECOURSE


def process(job: Job) -> dict:
    """Fit one scan; see docs/fit.md."""
    conditions = job.record("preprocess")["conditions"]
    options = FitOptions.from_settings(job.settings["fit"])
    fids = job.fids("preprocess", "svs")
    transients = Transients.from_rows(fids, job.table("preprocess", "transients"))
    axes = (fids.dwell_s, fids.n_points, fids.frequency_mhz)
    basis, other = job.basis().resampled(*axes), job.other_basis()
    others = [] if other is None else [other.resampled(*axes)]
    average = job.fids("preprocess", "average")
    matched = job.fids("preprocess", "matched") if len(conditions) > 1 else None
    fitted = fit_scan(transients, conditions, average, matched, basis, options, others)
    if fitted.whole.status == "failed":
        raise DataError(
            f"the average of all transients: {fitted.whole.reason}; check that the file holds a "
            "proton scan of a brain, whole, unfiltered, with its true dwell time and frequency, or "
            "take the row out"
        )
    for name, result in fitted.spectra.items():
        if result.status == "failed":
            job.warn(f"spectrum {name}: {result.reason}")
    for flag in flags(fitted.whole, job.record("convert")["te_s"]):
        job.warn(flag)
    job.save("amplitudes", fitted.amplitudes(), AMPLITUDES)
    job.save("timecourse", fitted.timecourse(), TIMECOURSE)
    job.save("result", fitted.arrays())
    joint = _joint(job, options, transients, basis)
    return {**fitted.quality(), **_water(job), "joint": joint}


def _joint(job: Job, options: FitOptions, transients: Transients, basis) -> dict:
    if not options.joint:
        return {"status": "absent", "reason": "switched off (setting joint)"}
    if options.engine != "fmrsflow":
        return {"status": "absent", "reason": f"engine {options.engine} fits single spectra only"}
    try:
        design, width = _designs(job, options, transients)
        fits = fit_together(transients, design, width, basis, options)
    except Unreachable:
        raise  # a design that is not there would be missing in a record that says ok, for good
    except DataError as failure:
        return {"status": "failed", "reason": " ".join(str(failure).split())}
    for flag in joint_flags(fits[0]):
        job.warn(flag)
    job.save("joint", [row for one in fits for row in one.to_table()], JOINT)
    job.save("joint", fits[0].arrays(np.flatnonzero(transients.used)))
    return {"status": "ok", "reason": None, **fits[0].summary(), "design": list(design.names)}


def _designs(job: Job, options: FitOptions, transients: Transients) -> tuple[Design, Design | None]:
    """Amplitude and linewidth design over all transients, from the setting's TSV or the events."""
    if not options.joint_design:
        tr_s = job.record("convert")["tr_s"] or job.site.tr_s or 1.0
        return designs(transients.labels, tr_s, options)
    scan = job.scan
    name = options.joint_design.format(stem=scan.stem, **scan.entities)
    path, root = job.study.data_root / name, job.study.data_root.resolve()
    if not (path.is_file() and path.resolve().is_relative_to(root)):
        raise Unreachable(f"{name} (setting joint_design) is not below the data root", path)
    return given_design(read_table(job.beside(path)), len(transients.labels))


def _water(job: Job) -> dict:
    """Amplitude of the water reference and its errors; None where there is no reference."""
    names = ("water_amplitude", "water_amplitude_se", "water_amplitude_model_sd")
    if job.record("convert")["reference"] is None:
        return dict.fromkeys(names)
    found = water_amplitude(job.fids("preprocess", "mrsref"))
    return dict(zip(names, (found.value, found.se, found.model_sd)))


main = stage_main("fit", process)

"""Correct the transients of a scan and average them per condition."""

from __future__ import annotations

import numpy as np

from fmrsflow import quality
from fmrsflow.batch import stage_main
from fmrsflow.convert.checks import pattern
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.events import odd_timing
from fmrsflow.fids import Fids
from fmrsflow.noise import without_zeros
from fmrsflow.preprocess.linewidth import match_linewidths
from fmrsflow.preprocess.offset import without_offset
from fmrsflow.preprocess.outliers import blank_unusable
from fmrsflow.preprocess.scan import Combined, averages, combined, correct
from fmrsflow.preprocess.start import check_start
from fmrsflow.preprocess.summary import (
    noise_figures,
    noise_reports,
    parameters_of,
    record_of,
    transient_rows,
)
from fmrsflow.preprocess.water import UNSUPPRESSED
from fmrsflow.study import conditions as conditions_of
from fmrsflow.tables.preprocess import TRANSIENTS

LEAST_HEIGHT = 0.9
"""Height of the singlets after eddy-current correction over that before: below, the reference is
not that of the scan. Measured pairs of four vendors' formats, 1.5T to 7T, stand at 0.98 to 1.04."""


def process(job: Job) -> dict:
    """Preprocess one scan; see docs/preprocess.md."""
    setting = job.settings["preprocess"]
    converted = job.record("convert")
    raw = job.fids("convert", "svs")
    reference = job.fids("convert", "mrsref") if converted["reference"] else None
    tr_s = converted["tr_s"] or job.site.tr_s
    labels = _conditions(job, raw.n_transients, tr_s)
    unusable = blank_unusable(raw)
    if copies := unusable.count("copy"):
        job.warn(
            f"{copies} of {len(unusable)} transients hold the samples of an earlier one and are "
            "left out: noise never repeats itself; export the scan again"
        )
    measured = without_zeros(raw)
    appended = raw.n_points - measured.n_points
    measured = _without_offset(job, measured, "the scan")
    if reference is not None:
        reference = _without_offset(job, reference, "the water reference")
    scan = combined(measured, reference, setting["eddy"])
    del raw, measured  # a third of a gigabyte where there are many coils
    if scan.eddy is not None and (share := _height_after_eddy(scan)) < LEAST_HEIGHT:
        job.warn(
            f"eddy-current correction takes {1 - share:.0%} off the height of NAA, creatine and "
            "choline, which it should sharpen: is the water reference of this scan, and of the "
            "same sign of frequency?"
        )
    if reference is None and setting["eddy"]:
        job.warn("no water reference: eddy currents are not corrected")
    done = correct(scan.fids, labels, unusable, setting)
    check_start(done.reference, done.fids.frequency_mhz, done.fids.dwell_s)
    if done.water_times > UNSUPPRESSED and job.site.water_suppressed != "no":
        job.warn(
            f"the scan's water is {done.water_times:.0f} times as high as its metabolites, as "
            "without water suppression: is the water reference named in column mrs? (a site that "
            "does not suppress says no in column water_suppressed of sites.tsv)"
        )
    for name in done.outliers.spared:
        job.warn(
            f"condition {name}: more than {setting['max_removed_share']:g} of its transients are "
            "outliers; only the farthest were removed (max_removed_share)"
        )
    noise = noise_figures(done.fids.select(done.outliers.kept))
    for text in noise_reports(noise):
        job.warn(text)
    mean = averages(done, labels, setting["average"] == "equal")
    matched, matching = match_linewidths(mean.fids, mean.conditions, mean.shares)
    line = quality.fwhm_tcr(mean.whole)
    job.save("svs", done.fids)
    job.save("average", mean.fids)
    job.save("matched", matched)
    if scan.reference is not None:
        job.save("mrsref", scan.reference)
    job.save("transients", transient_rows(done, mean, labels, tr_s, line.fwhm_hz), TRANSIENTS)
    record = record_of(scan, done, mean, matching, line) | noise
    return {**record, "parameters": parameters_of(setting, scan, done, appended)}


def _without_offset(job: Job, fids: Fids, what: str) -> Fids:
    fids, share = without_offset(fids)
    if share:
        job.warn(
            f"the FIDs of {what} stand on a constant of {share:.2g} of their largest point, an "
            "offset of receiver or export; it is taken off"
        )
    return fids


def _height_after_eddy(scan: Combined) -> float:
    """Height of the singlets after eddy-current correction over that before."""
    turned = np.exp(1j * scan.eddy.phase_rad[: scan.fids.n_points])
    before = scan.fids.with_data(scan.fids.data * turned)
    return pattern(scan.fids)[0] / pattern(before)[0]


def _conditions(job: Job, n_transients: int, tr_s: float | None) -> list[str | None]:
    events = job.events()
    if events is None:
        return [job.scan.condition or "all"] * n_transients
    if not tr_s:
        raise DataError(
            "no repetition time in the file nor in sites.tsv: events cannot be assigned to "
            "transients; give tr_s in sites.tsv"
        )
    stimuli = [row for row in events if row["trial_type"] != "rest"]
    for text in odd_timing(stimuli, n_transients * tr_s, tr_s):
        job.warn(text)
    return conditions_of(events, n_transients, tr_s, job.settings["preprocess"]["lag_s"])


main = stage_main("preprocess", process)

"""Correct the transients of a scan and average them per condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fmrsflow import quality
from fmrsflow.batch import stage_main
from fmrsflow.convert.checks import pattern
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.events import conditions as conditions_of
from fmrsflow.events import odd_timing, without_strays
from fmrsflow.fids import Fids
from fmrsflow.noise import STEPS_OF_NOISE, in_steps_of_noise, without_zeros
from fmrsflow.plausibility import line_reports
from fmrsflow.preprocess.axis import stretched
from fmrsflow.preprocess.baseline import BANDS_PPM, level
from fmrsflow.preprocess.linewidth import match_linewidths
from fmrsflow.preprocess.offset import without_offset
from fmrsflow.preprocess.outliers import blank_unusable
from fmrsflow.preprocess.scan import Combined, Corrected, averages, combined, correct
from fmrsflow.preprocess.start import check_start
from fmrsflow.preprocess.summary import (
    noise_figures,
    noise_reports,
    parameters_of,
    record_of,
    transient_rows,
)
from fmrsflow.preprocess.timing import Timing
from fmrsflow.preprocess.water import UNSUPPRESSED
from fmrsflow.tables.preprocess import TRANSIENTS, WATER
from fmrsflow.water_reference import UNLIKE
from fmrsflow.words import count

EVENT_KEYS = ("onset", "duration", "trial_type")
"""Of an event, for the record: the fit follows events and reads no file of the study for it."""

LEAST_HEIGHT = 0.9
"""Height of the singlets after eddy-current correction over that before: below, the reference is
not that of the scan. Measured pairs of four vendors' formats, 1.5T to 7T, stand at 0.98 to 1.04, so
that it is five times as far off as any; the 7T pair with its reference conjugated at 0.75."""


def process(job: Job) -> dict:
    """Preprocess one scan; see docs/preprocess.md."""
    setting = job.settings["preprocess"]
    converted = job.record("convert")
    raw = job.fids("convert", "svs")
    reference = job.fids("convert", "mrsref") if converted["reference"] else None
    timing = _timing(job, raw.n_transients)
    excited = _conditions(job, timing)
    labels = timing.labels(excited)
    for text in _mixed(excited, labels, timing):
        job.warn(text)
    labels, strays = without_strays(labels, _events(job) or ())
    if strays:
        job.warn(strays)
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
    over_time = reference is not None and converted["reference"]["over_time"]
    by_block = over_time and setting["water_scaling"] == "block"
    scan = combined(measured, reference, setting["eddy"], timing if over_time else None, by_block)
    for text in _lost_water(scan, timing):
        job.warn(text)
    if setting["water_scaling"] == "block" and not over_time:
        job.warn(
            "no water was measured over the scan: its transients are not scaled by it (setting "
            "water_scaling)"
        )
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
    done, bands = _levelled(job, done, setting)
    noise = noise_figures(done.fids.select(done.outliers.kept))
    for text in noise_reports(noise):
        job.warn(text)
    mean = averages(done, labels, setting["average"] == "equal")
    matched, matching = match_linewidths(mean.fids, mean.conditions, mean.shares)
    for text in stretched(mean.whole):
        job.warn(text)
    line = quality.fwhm_tcr(mean.whole)
    for text in (strange := line_reports(line.fwhm_hz, job.site.field_t)):
        job.warn(text)
    job.save("svs", in_steps_of_noise(done.fids))
    job.save("average", mean.fids)
    job.save("matched", matched)
    if scan.reference is not None:
        job.save("mrsref", scan.reference)
    times = timing.scan_at * timing.tr_s if timing.tr_s else None
    job.save("transients", transient_rows(done, mean, labels, times, line.fwhm_hz), TRANSIENTS)
    if scan.course is not None:
        rows = scan.course.rows(timing.tr_s, timing.water_labels(excited))
        job.save("water", rows, WATER)
    record = record_of(scan, done, mean, matching, line) | noise | {"implausible": strange}
    parameters = parameters_of(setting, scan, done, appended)
    events = job.events()
    if events is not None:
        record["events"] = [{key: row[key] for key in EVENT_KEYS} for row in events]
    parameters["rounding"] = {"steps_of_noise": STEPS_OF_NOISE}
    parameters["baseline"] = {"method": setting["baseline"], "bands_ppm": bands}
    return {**record, "parameters": parameters}


def _lost_water(scan: Combined, timing: Timing) -> list[str]:
    """What to say of water that was left out."""
    found = []
    if scan.unlike:
        found.append(
            f"{count(scan.unlike, 'transient')} of the water reference left out: without water, or "
            f"{UNLIKE:g} times as strong as the others and more; look at the file"
        )
    lost = len(timing.water_groups) - len(scan.course.number) if scan.course else 0
    if lost:
        found.append(
            f"{lost} of {count(len(timing.water_groups), 'group')} of water over the scan hold "
            "none that can be followed: transients there take the eddy currents of the nearest "
            "other group, and, scaled by block, the water between the neighbours'"
        )
    return found


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


def _levelled(job: Job, done: Corrected, setting: dict) -> tuple[Corrected, list | None]:
    """The scan without linear baseline where the setting asks for it, and the bands of the line."""
    if setting["baseline"] == "none":
        return done, None
    levelled = level(done.fids)
    if levelled is None:
        job.warn(
            f"baseline: linear needs signal-free bands at {BANDS_PPM[0][0]:g} to "
            f"{BANDS_PPM[0][1]:g} and {BANDS_PPM[1][0]:g} to {BANDS_PPM[1][1]:g} ppm, and this "
            "scan's band ends before: no line was taken off"
        )
        return done, None
    return replace(done, fids=levelled.fids), [list(band) for band in levelled.bands_ppm]


def _timing(job: Job, n_transients: int) -> Timing:
    """When the transients were excited.

    Raises
    ------
    DataError
        The scan has events, and its repetition time or the excitations of a transient are unknown.
    """
    converted = job.record("convert")
    tr_s, each = converted["tr_s"] or job.site.tr_s, converted["excitations_per_transient"]
    if job.scan.events and not tr_s:
        raise DataError(
            "no repetition time in the file nor in sites.tsv: events cannot be assigned to "
            "transients; give tr_s in sites.tsv"
        )
    if job.scan.events and each is None:
        raise DataError(
            "how many excitations a transient holds can be read in two ways in the file's header "
            "(see the warning of convert): events cannot be assigned to transients; say it in "
            "column excitations_per_transient of scans.tsv"
        )
    water, first = converted["water_transients"], converted["water_before_each"]
    return Timing.of(n_transients, each or 1, tr_s, water, first)


def _events(job: Job) -> list[dict] | None:
    """Events of the scan that make its conditions; None where the sheet names none."""
    events, nested = job.events(), job.settings["preprocess"]["nested_events"]
    return events and [row for row in events if row["trial_type"] not in nested]


def _conditions(job: Job, timing: Timing) -> list[str | None]:
    """Condition of each excitation."""
    events = _events(job)
    if events is None:
        return [job.scan.condition or "all"] * timing.n_excitations
    if len(timing.scan) == 1:
        raise DataError(
            "holds one transient, an average over all its events, whose conditions nothing can "
            "part any more: export the single transients, or empty column events of scans.tsv (and "
            "say in column condition what was done)"
        )
    stimuli = [row for row in events if row["trial_type"] != "rest"]
    length_s = timing.n_excitations * timing.tr_s
    for text in odd_timing(stimuli, length_s, timing.each * timing.tr_s):
        job.warn(text)
    lag_s = job.settings["preprocess"]["lag_s"]
    return conditions_of(events, timing.n_excitations, timing.tr_s, lag_s)


def _mixed(excited: Sequence, labels: Sequence, timing: Timing) -> list[str]:
    """What to say of transients that hold excitations of several conditions."""
    mixed = sum(
        label is None and None not in [excited[number] for number in row]
        for label, row in zip(labels, timing.scan)
    )
    if not mixed:
        return []
    return [
        f"{count(mixed, 'transient')} of {timing.each} excitations lie across the edge of an "
        "event: they belong to no condition"
    ]


main = stage_main("preprocess", process)

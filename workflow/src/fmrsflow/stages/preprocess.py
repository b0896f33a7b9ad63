"""Correct the transients of a scan and average them per condition."""

from __future__ import annotations

import numpy as np

from fmrsflow import quality
from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.preprocess.linewidth import Matching, match_linewidths, relative_widths
from fmrsflow.preprocess.outliers import unusable_transients
from fmrsflow.preprocess.scan import Averages, Combined, Corrected, averages, combined, correct
from fmrsflow.study import conditions as conditions_of
from fmrsflow.tables.preprocess import TRANSIENTS


def process(job: Job) -> dict:
    """Preprocess one scan; see docs/preprocess.md."""
    setting = job.settings["preprocess"]
    converted = job.record("convert")
    raw = job.fids("convert", "svs")
    reference = job.fids("convert", "mrsref") if converted["reference"] else None
    tr_s = converted["tr_s"] or job.site.tr_s
    labels = _conditions(job, raw.n_transients, tr_s)
    unusable = _blank_unusable(raw)
    scan = combined(raw, reference, setting["eddy"])
    del raw  # a third of a gigabyte where there are many coils
    if reference is None and setting["eddy"]:
        job.warn("no water reference: eddy currents are not corrected")
    done = correct(scan.fids, labels, unusable, setting)
    for name in done.outliers.spared:
        job.warn(
            f"condition {name}: more than {setting['max_removed_share']:g} of its transients are "
            "outliers; only the farthest were removed (max_removed_share)"
        )
    mean = averages(done, labels, setting["average"] == "equal")
    matched, matching = match_linewidths(mean.fids, mean.conditions, mean.shares)
    line = quality.fwhm_tcr(mean.whole)
    job.save("svs", done.fids)
    job.save("average", mean.fids)
    job.save("matched", matched)
    if scan.reference is not None:
        job.save("mrsref", scan.reference)
    job.save("transients", _rows(done, mean, labels, tr_s, line.fwhm_hz), TRANSIENTS)
    record = _record(scan, done, mean, matching, line)
    return {**record, "parameters": _parameters(setting, scan, done)}


def _blank_unusable(raw: Fids) -> tuple[str, ...]:
    """Zero the unusable transients in place, because a copy may take a third of a gigabyte."""
    causes = unusable_transients(raw)
    if all(causes):
        raise DataError(
            f"all {raw.n_transients} transients are {' or '.join(sorted(set(causes)))}; "
            "export the scan again"
        )
    for j in np.flatnonzero([bool(cause) for cause in causes]):
        raw.data[j] = 0
    return causes


def _conditions(job: Job, n_transients: int, tr_s: float | None) -> list[str | None]:
    events = job.events()
    if events is None:
        return [job.scan.condition or "all"] * n_transients
    if not tr_s:
        raise DataError(
            "no repetition time in the file nor in sites.tsv: events cannot be assigned to "
            "transients; give tr_s in sites.tsv"
        )
    return conditions_of(events, n_transients, tr_s, job.settings["preprocess"]["lag_s"])


def _rows(done: Corrected, mean: Averages, labels, tr_s, fwhm_hz: float) -> list[dict]:
    widths = relative_widths(done.fids, mean.whole.transients[0]).width_hz
    snr = quality.snr_tcr(done.fids)
    shift = done.alignment.shift_hz + done.reference.shift_hz
    phase = done.alignment.phase_deg + done.reference.phase_deg
    phase = (phase + 180) % 360 - 180
    rows = []
    for j, label in enumerate(labels):
        rows.append(
            {
                "transient": j,
                "time_s": j * tr_s if tr_s else None,
                "condition": label,
                "shift_hz": shift[j],
                "phase_deg": phase[j],
                "linewidth_hz": max(0.0, fwhm_hz + widths[j]),
                "snr": snr[j],
                "distance": done.outliers.distance[j],
                "weight": mean.weights[j],
                "kept": bool(done.outliers.kept[j]),
                "cause": done.outliers.cause[j],
            }
        )
    return rows


def _record(
    scan: Combined, done: Corrected, mean: Averages, matching: Matching, line: quality.Line
) -> dict:
    names, kept = mean.conditions, done.outliers.kept
    used = mean.weights * (mean.shares @ mean.member)
    water = abs(used @ done.water)

    def by_condition(values):
        return dict(zip(names, np.asarray(values).tolist()))

    return {
        "conditions": list(names),
        "n_kept": by_condition((mean.member & kept).sum(axis=1)),
        "n_removed": by_condition((mean.member & ~kept).sum(axis=1)),
        "snr_tcr": float(quality.snr_tcr(mean.whole)[0]),
        "snr_definition": quality.snr_definition(mean.whole),
        "fwhm_tcr_hz": line.fwhm_hz,
        "linewidth_hz": by_condition(line.fwhm_hz + matching.width_hz),
        "linewidth_se_hz": by_condition(matching.se_hz),
        "fwhm_water_hz": None
        if scan.reference is None
        else quality.half_height_width(scan.reference),
        "residual_water": None
        if scan.reference is None
        else float(water / abs(scan.reference.data[0, 0, 0])),
        "drift_hz": quality.drift_hz(done.alignment.shift_hz[kept]),
        "matching_hz": by_condition(matching.added_hz),
        "matching_se_hz": by_condition(matching.added_se_hz),
        "frequency_reference_hz": done.reference.shift_hz,
    }


def _parameters(setting: dict, scan: Combined, done: Corrected) -> dict:
    weights, eddy = scan.weights, scan.eddy
    return {
        "coils": {
            "n_coils": len(weights.weights) if weights else 1,
            "gain": weights.gain if weights else None,
            "from": None if weights is None else "water reference" if scan.reference else "scan",
        },
        "eddy": {"applied": eddy is not None, "trusted_s": eddy.trusted_s if eddy else None},
        "align": {
            "method": setting["align"],
            "t_max_s": done.alignment.t_max_s,
            "range_ppm": [setting["align_low_ppm"], setting["align_high_ppm"]]
            if setting["align"] == "restricted"
            else None,
            "max_shift_ppm": setting["max_shift_ppm"],
        },
        "outliers": {
            "z": setting["outlier_z"],
            "max_removed_share": setting["max_removed_share"],
        },
        "water": {
            "method": setting["water"],
            "window_ppm": [setting["water_low_ppm"], setting["water_high_ppm"]],
            "components": done.water_components,
        },
        "reference": {
            "shift_hz": done.reference.shift_hz,
            "phase_deg": done.reference.phase_deg,
        },
        "average": {"weights": setting["average"]},
    }


main = stage_main("preprocess", process)

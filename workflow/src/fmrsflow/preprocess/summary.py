"""What is reported of a preprocessed scan: transients, figures of quality, steps taken."""

from __future__ import annotations

import numpy as np

from fmrsflow import quality
from fmrsflow.fids import Fids
from fmrsflow.noise import noise_shape, noise_under_signals
from fmrsflow.preprocess.linewidth import Matching, relative_widths
from fmrsflow.preprocess.scan import Averages, Combined, Corrected


def transient_rows(
    done: Corrected, mean: Averages, labels, time_s: np.ndarray | None, fwhm_hz: float
) -> list[dict]:
    """Rows of transients.tsv; `fwhm_hz` is the width of tCr in the average of all, `time_s` None
    where no repetition time is known."""
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
                "time_s": None if time_s is None else time_s[j],
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


def record_of(
    scan: Combined, done: Corrected, mean: Averages, matching: Matching, line: quality.Line
) -> dict:
    """Figures of a scan and of its conditions, for the record (docs/science.md#quality)."""
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
        "fwhm_tcr_ppm": line.fwhm_hz / mean.whole.frequency_mhz,
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


def noise_figures(fids: Fids) -> dict:
    """Shape of the noise of corrected transients, for the record (docs/science.md#noise-shape)."""
    shape = noise_shape(fids)
    return {
        "noise_white": shape.white,
        "noise_end_to_start": shape.end_to_start,
        # A filter that took the noise off the second half of the FID leaves nothing to compare.
        "noise_under_signals": noise_under_signals(fids) if shape.white else None,
    }


def noise_reports(figures: dict) -> list[str]:
    """What people have to know of these figures; nothing where the noise is white."""
    reports = []
    if not figures["noise_white"]:
        change = figures["noise_end_to_start"]
        course = "falls" if change < 1 else "rises"
        reports.append(
            f"the data were filtered before the export: the noise {course} along the FID (SD of "
            f"the last quarter {change:.2g} times that of the first); errors of line widths and "
            "of the fit fmrsflow count with it, line widths hold the filter's; export unfiltered "
            "data"
        )
    under = figures["noise_under_signals"]
    if under is not None and under != 1:
        reports.append(
            f"the noise under the metabolites is {under:.2g} times that where it is measured: the "
            "data were filtered before the export, and SNR and FQN are off; export unfiltered data"
        )
    return reports


def parameters_of(setting: dict, scan: Combined, done: Corrected, appended: int) -> dict:
    """What each step was given and found, for the record; `appended`: zeros that were cut."""
    weights, eddy = scan.weights, scan.eddy
    return {
        "zero_filling": {"points_cut": appended},
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

"""Sentences and numbers of the page of a scan, from its records and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmrsflow.question import Question
from fmrsflow.report.render import short, signed
from fmrsflow.report.results import ScanResults
from fmrsflow.tables import Row
from fmrsflow.words import count

QUANTITIES = {
    "molal": "concentrations (mmol per kg tissue water)",
    "ratio_tcr": "ratios to total creatine",
    "ratio_stable": "scaled to what does not respond",
    "ratio_tnaa": "ratios to total NAA",
    "molar": "concentrations (mmol per litre)",
    "alpha_corrected": "tissue-corrected concentrations",
    "raw": "raw amplitudes",
}
"""What a change or a concentration was computed from, in words."""


def headline(changes: Sequence[Row], asked: Question) -> Row | None:
    """The change that answers the study's question; else the next best on its metabolite."""
    return asked.best(row for row in changes if math.isfinite(row["change_percent"]))


def spectrum_words(results: ScanResults) -> str:
    """Quality of the spectrum and its fit, and what its curves are, below the figure."""
    figures = results.figures
    return (
        f"tCr line {short(figures.get('fwhm_tcr_hz'))} Hz wide, SNR "
        f"{short(figures.get('snr_tcr'))}; fit quality number {short(figures.get('fqn'))} (1: the "
        f"residual is noise alone).{_models_words(results.record('fit').get('n_models') or {})}"
    )


def _models_words(n_models: dict[str, int]) -> str:
    """What the curves are where the answer is a mean over models."""
    most = max(n_models.values(), default=1)
    if most < 2:
        return ""
    return (
        f" The curves are those of one model; the amplitudes of the tables are means over {most} "
        "models of baseline and macromolecules, and their spread is the model error, with what "
        "other macromolecules would do to them."
    )


def response_words(results: ScanResults, quantities: Sequence[str]) -> str:
    """The change that answers the question, with its interval and what that means."""
    row = headline(results.changes, results.asked)
    if row is None:
        return "Percent change of each metabolite by each estimator, with 95 % intervals."
    low, high = row["low_percent"], row["high_percent"]
    seen = _seen(results, row["contrast"])
    start = (
        f"{results.asked.words.capitalize()}, {row['task']} against {row['rest']}: "
        f"{signed(row['change_percent'])} %"
    )
    if not low <= high:
        return f"{start}, with no closed interval. tNAA and tCr are negative controls.{seen}"
    meaning = (
        "the interval holds zero: this scan alone shows no change"
        if low <= 0 <= high
        else "the interval leaves zero out"
    )
    return (
        f"{start} (95 % interval {signed(low)} to {signed(high)} %); {meaning}. tNAA and tCr are "
        f"negative controls.{seen}"
    )


def control_told(row: Row) -> tuple[str, bool]:
    """What the table says of a negative control, and whether it speaks against the scan. Only one
    that was computed, and has a limit, is called inside it."""
    if row["flag"]:
        return row["flag"], True
    if not math.isfinite(row["value"]):
        return "not computed", True
    if not math.isfinite(row["limit"]):
        return "told only: it has no limit", False
    if abs(row["value"]) > row["limit"]:
        return f"above its limit of {row['limit']:.2g}", True
    return "inside its limit", False


def controls_words(rows: Sequence[Row]) -> str:
    """How many controls of a scan are inside their limits, and how many say nothing."""
    if not rows:
        return "No negative control was computed."
    limited = [row for row in rows if math.isfinite(row["value"]) and math.isfinite(row["limit"])]
    inside = sum(not control_told(row)[1] for row in limited)
    missing = sum(not math.isfinite(row["value"]) for row in rows)
    words = f"{inside} of {count(len(limited), 'negative control')} with a limit inside it"
    if unlimited := len(rows) - len(limited) - missing:
        words += f"; {unlimited} without a limit"
    if missing:
        words += f"; {missing} could not be computed"
    return f"{words}."


def _seen(results: ScanResults, contrast: str) -> str:
    """How much of a plateau the difference of task and rest holds, by the design; "" where it is
    not known."""
    reads = (results.record("response").get("boxcar_reads") or {}).get(contrast)
    if not reads:
        return ""
    parts = ", ".join(f"{value:.2f} ({name.replace('_', ' ')})" for name, value in reads.items())
    return (
        f" By this design the difference of task and rest holds {parts} of what a long stimulation "
        "would reach, by the shape of the response."
    )


def courses_words(results: ScanResults) -> str:
    figures = results.figures
    return (
        f"Frequency, phase, line width and SNR of each of the {len(results.transients)} "
        f"transients: drift {drift_text(figures)} Hz, {figures.get('n_rejected', 0)} rejected."
    )


def tissue_words(results: ScanResults) -> str:
    record = results.record("anatomy")
    if not record:
        tissue = results.record("quantify").get("tissue")
        return "No tissue fractions were measured for this scan" + (
            f"; quantification assumed {100 * tissue['gm']:.0f} % grey matter, "
            f"{100 * tissue['wm']:.0f} % white matter, {100 * tissue['csf']:.0f} % CSF."
            if tissue
            else "."
        )
    return (
        f"The voxel holds {100 * record['v_gm']:.0f} % grey matter, "
        f"{100 * record['v_wm']:.0f} % white matter and {100 * record['v_csf']:.0f} % CSF."
    )


def conditions_words(results: ScanResults) -> str:
    """What is drawn over each other: conditions of one scan, or rest and task as two scans."""
    if results.overlay is None:
        matched = " after the line widths were matched" if results.matched is not None else ""
        return f"Averages of each condition over each other; below, the difference{matched}"
    scale = (
        "each on the scale of its own water"
        if results.overlay.scaled
        else "on the scale that each was stored in, since one of them has no water reference"
    )
    return (
        f"Averages of the scans {' and '.join(results.overlay.names)} over each other, {scale}, "
        "aligned; below, the difference after the line widths were matched"
    )


def concentration_words(results: ScanResults) -> str:
    record = results.record("quantify")
    return (
        f"Relative to water, constants set {record.get('constants', 'unknown')}; thick bars: one "
        "standard error under the noise of the fit; thin bars: that of the value as a level, noise "
        "and model of the fit, water amplitude and "
        "tissue fractions together. All but the noise are common to the conditions of a scan, "
        "which differ by less than the bars, and much of it to all scans. "
        "Shaded: healthy adult brain after Govindaraju 2000 (mmol per kg wet weight there, divided "
        "by a water share of 0.78). A value outside is a reason to look, not a diagnosis."
    )


def drift_text(figures: dict) -> str:
    drift = figures.get("drift_hz")
    return "–" if drift is None else signed(drift)


def drift_note(count: int) -> str:
    """What the drift of a scan of so many transients is."""
    return "not seen in one average" if count == 1 else "from the first transient to the last"


def kept_note(kept: int, rejected: int) -> str:
    """What the transients are that were not kept."""
    if kept + rejected == 1:
        return "averaged before it was stored"
    return "the others are outliers" if rejected else "none is an outlier" if kept else ""

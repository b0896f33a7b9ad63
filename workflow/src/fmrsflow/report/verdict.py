"""The verdict on a scan, in words: use, use with care, excluded, failed."""

from __future__ import annotations

from fmrsflow.constants import GYROMAGNETIC_MHZ_PER_T
from fmrsflow.exclusion import JUDGED, excluded
from fmrsflow.plausibility import MAX_DRIFT_HZ, MAX_WIDTH_PPM
from fmrsflow.report.results import STAGES, ScanResults, Verdict
from fmrsflow.report.words import control_told
from fmrsflow.scan_figures import WHOLE

NEAR = 0.75
"""An SNR below its exclusion limit over this share asks for care."""

MAX_REJECTED_PERCENT = 15.0
"""Share of rejected transients above which to look at the scan."""

MAX_SE_PERCENT = 20.0
"""Relative error under noise above which a metabolite is not to be read by itself (Wilson 2019)."""

MAX_FQN = 10.0
"""Residual variance over noise variance above which the fit leaves signal behind; 1 is ideal."""

MIN_COVERAGE = 0.98
"""Share of the voxel that the tissue maps must cover."""


OPTIONAL = ("anatomy", "response")
"""Stages whose failure leaves a scan that can be used: quantification falls back on assumed tissue
fractions or ratios, and a scan at rest has concentrations without a response."""

LABELS = {
    "use": "Use this scan",
    "care": "Use with care",
    "excluded": "Excluded from group statistics",
    "failed": "Not usable: processing failed",
}


def verdict(results: ScanResults) -> Verdict:
    """Judge a scan by its records, its limits and its negative controls."""
    for stage in STAGES:
        record = results.records.get(stage)
        if record and record["status"] == "failed" and stage not in OPTIONAL:
            reason = f"{record['failed_at']}: {record['reason']}"
            return Verdict("failed", LABELS["failed"], (reason,))
    missing = [s for s in STAGES if s not in results.records and s not in OPTIONAL]
    if missing:
        reason = f"{missing[0]} has not run yet, or ended in a fault; the next run does it again"
        return Verdict("failed", "Not finished yet", (reason,))
    first, *later = (results.record(stage) for stage in JUDGED)
    beside = dict(results.compared)
    if reason := excluded(first, results.limits, *later) or beside.get("excluded"):
        return Verdict("excluded", LABELS["excluded"], (reason,))
    reasons = (
        *_quality(results),
        *_anatomy(results),
        *_response(results),
        *_warnings(results),
        *(text for _, text in results.compared),
    )
    kind = "care" if reasons else "use"
    return Verdict(kind, LABELS[kind], tuple(dict.fromkeys(reasons)))


def broad_hz(results: ScanResults) -> float:
    """tCr line width (Hz) above which to take care: `MAX_WIDTH_PPM`, or the exclusion limit."""
    return min(MAX_WIDTH_PPM * frequency_mhz(results), too_broad_hz(results))


def too_broad_hz(results: ScanResults) -> float:
    """tCr line width (Hz) above which the scan is excluded."""
    return results.limits["max_fwhm_tcr_ppm"] * frequency_mhz(results)


def frequency_mhz(results: ScanResults) -> float:
    """Spectrometer frequency of the scan, that of its site's field where it is not known."""
    return results.record("convert").get("frequency_mhz") or (
        GYROMAGNETIC_MHZ_PER_T * results.site.field_t
    )


def _quality(results: ScanResults):
    quality = results.figures
    width, snr = quality.get("fwhm_tcr_hz"), quality.get("snr_tcr")
    min_snr = results.limits["min_snr_tcr"]
    broad = broad_hz(results)
    if width is not None and width > broad:
        yield f"broad lines: tCr {width:.1f} Hz wide (good below {broad:.0f} Hz at this field)"
    if snr is not None and snr < min_snr / NEAR:
        yield f"weak signal: tCr SNR {snr:.0f} (excluded below {min_snr:g})"
    if quality.get("rejected_percent", 0) > MAX_REJECTED_PERCENT:
        rejected = quality["n_rejected"]
        yield f"{rejected} of {quality['n_kept'] + rejected} transients rejected"
    drift = quality.get("drift_hz")
    if drift is not None and abs(drift) > MAX_DRIFT_HZ:
        yield f"frequency drifted by {abs(drift):.1f} Hz: movement or a drifting scanner"
    # An average of one condition may fit worse than that of all.
    by_spectrum = results.record("fit").get("fqn") or {}
    worst = max(by_spectrum, key=lambda name: by_spectrum[name] or 0, default=WHOLE)
    if (by_spectrum.get(worst) or 0) > MAX_FQN:
        where = "" if worst == WHOLE else f" of {worst}"
        yield (
            f"the fit{where} leaves signal behind (fit quality number {by_spectrum[worst]:.1f}, "
            "ideal 1)"
        )
    for row in results.concentrations:
        asked = (results.asked.metabolite, "raw", False)
        if (row["metabolite"], row["quantity"], row["matched"]) == asked:
            error = row["se_percent"]
            if not error <= MAX_SE_PERCENT:
                shown = "undefined" if error != error else f"{error:.0f} %"
                where = row["condition"]
                yield f"{results.asked.words} is uncertain ({where}: standard error {shown})"


def _anatomy(results: ScanResults):
    record = results.records.get("anatomy")
    if record and record["status"] == "failed":
        yield f"no tissue fractions: {record['reason']}"
    elif record and (record.get("coverage") or 1) < MIN_COVERAGE:
        yield f"the tissue maps cover {100 * record['coverage']:.0f} % of the voxel"


def _response(results: ScanResults):
    record = results.records.get("response")
    if record and record["status"] == "failed":
        yield f"no response to a task: {record['reason']}"
    told = set()
    for row in results.controls:
        text, against = control_told(row)
        told.add(text)
        if against:
            # A flag that is a full sentence names its control.
            named = text if text.startswith(row["control"]) else f"{row['control']} {text}"
            yield f"negative control: {named}"
    for text in (record or {}).get("flags", ()):
        if text not in told:
            yield f"flag of the response: {text}"


def _warnings(results: ScanResults):
    for stage in STAGES:
        yield from (results.records.get(stage) or {}).get("warnings", ())

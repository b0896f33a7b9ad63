"""Tables of the mismatch benchmark."""

from __future__ import annotations

from fmrsflow.tables import integer, number, text

_VARIANT = {
    "field_t": number("field strength", "T"),
    "factor": text("what goes wrong, or a combination (docs/mismatch.md)"),
    "dose": number("how much, in the unit of the factor; n/a for nominal and combinations"),
}

_SCORE = {
    "n": integer("scans"),
    "failures": integer("scans without an answer"),
    "bias": number("mean error", "%"),
    "bias_se": number("standard error of the bias, from pairs of mirrored noise", "%"),
    "bias_low": number("lower end of the 95 % interval (t) of the bias", "%"),
    "bias_high": number("upper end of the 95 % interval (t) of the bias", "%"),
    "sd": number("standard deviation of the error", "%"),
    "rmse": number("root mean square error; no answer counts as no change", "%"),
    "rmse_low": number(
        "lower end of its 95 % bootstrap interval over pairs; n/a for few pairs", "%"
    ),
    "rmse_high": number(
        "upper end of its 95 % bootstrap interval over pairs; n/a for few pairs", "%"
    ),
    "coverage": number("share of 95 % intervals that hold the truth", "1"),
    "flagged": number("share of scans that the pages flag, exclude or call failed", "1"),
    "cpu_s": number("median CPU time of a scan, preprocess to response", "s"),
}

CURVES = {
    **_VARIANT,
    "contestant": text("analysis and estimator"),
    **_SCORE,
    "rmse_nominal": number("its root mean square error at nominal, same people and draws", "%"),
    "rmse_shared": number("root mean square error on the scans that every contestant saw", "%"),
    "better": text("contestants that are better, on the scans that both saw"),
    "rank": integer("1 + contestants that are better"),
}

CONCENTRATIONS = {
    **_VARIANT,
    "analysis": text("analysis"),
    "metabolite": text("name"),
    **{
        name: column
        for name, column in _SCORE.items()
        if name not in ("flagged", "cpu_s", "rmse_low", "rmse_high", "bias_low", "bias_high")
    },
}

ATTRIBUTION = {
    "field_t": _VARIANT["field_t"],
    "factor": text("combination"),
    "outcome": text("percent change of Glu, or its concentration"),
    "step": text("step that is given the truth"),
    "share": number("share of the mean square error that is gone then", "1"),
    "low": number("lower end of its 95 % bootstrap interval", "1"),
    "high": number("upper end of its 95 % bootstrap interval", "1"),
    "rmse": number("root mean square error with the truth", "%"),
}
QUALITY = ("snr_tcr", "fwhm_tcr_hz", "drift_hz", "rejected_percent")
"""Figures of quality that pages know a site by."""

SEEN = {
    **_VARIANT,
    **{name: number(f"median over scans of {name}, analysis main") for name in QUALITY},
}

TABLES = {
    "curves": CURVES,
    "concentrations": CONCENTRATIONS,
    "attribution": ATTRIBUTION,
    "quality": SEEN,
}

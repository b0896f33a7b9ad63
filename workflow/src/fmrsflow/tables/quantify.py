"""Tables of the quantify stage."""

from __future__ import annotations

from fmrsflow.tables import flag, number, text

CONCENTRATIONS = {
    "metabolite": text("metabolite or sum"),
    "condition": text("condition whose average was fitted; `all` is the average of all transients"),
    "matched": flag("linewidths matched between conditions before the fit"),
    "quantity": text("molal, molar, alpha_corrected, ratio_tcr, ratio_tnaa or raw"),
    "value": number("value of the quantity", "see unit"),
    "se": number(
        "standard error from the covariance of the fit, for differences within a scan", "see unit"
    ),
    "se_percent": number("100 se / value", "percent"),
    "model_sd": number(
        "SD among models of the fit (baselines, macromolecules), common to the scan", "see unit"
    ),
    "water_se": number(
        "standard error from the water amplitude (noise and model), common to the scan", "see unit"
    ),
    "tissue_se": number("standard error from the tissue fractions, common to the scan", "see unit"),
    "total_se": number(
        "the four together, for the value as a level: between people, sites, and to the truth",
        "see unit",
    ),
    "unit": text("unit of value and its standard errors"),
    "method": text("constants set, field and version; `none` where no constant is used"),
}

TABLES = {"concentrations": CONCENTRATIONS}

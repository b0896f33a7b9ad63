"""Tables of `fmrsflow plan`."""

from __future__ import annotations

from fmrsflow.tables import integer, number, text
from fmrsflow.tables.sites import TABLES as SITES

_P = "percent"

_ERROR = {
    "se_percent": number(
        "expected standard error of the percent change of task less rest in one scan", _P
    ),
    "se_fitted_plateau_percent": number(
        "the same of the plateau, where the shape of the response is known and fitted", _P
    ),
}

POWER = {
    name: SITES["power"][name]
    for name in (
        *("sites", "participants", "effect_percent", "power", "minimal_effect_percent"),
        *("minimal_difference_percent", "power_high", "power_low"),
    )
}

DESIGNS = {
    "rank": integer("1 is the best: the least scanner time for a wished precision"),
    "field_t": number("field strength", "T"),
    "sequence": text("sequence"),
    "te_s": number("echo time", "s"),
    "tr_s": number("repetition time", "s"),
    "volume_ml": number("size of the voxel", "mL"),
    "block_s": number("length of a block of the task; n/a with a table of events", "s"),
    "rest_s": number("rest before each block", "s"),
    "transients": integer("transients of a scan, one excitation each"),
    "scan_min": number("length of a scan", "min"),
    "snr_tcr": number("SNR of tCr of one transient (docs/science.md#quality)"),
    "fwhm_tcr_hz": number("width of the tCr line", "Hz"),
    "metabolite": text("metabolite or sum that the errors and people are of"),
    "response": text("assumed shape of the response"),
    "se_percent": _ERROR["se_percent"],
    "reads": number("share of a plateau of this shape that task less rest holds", "1"),
    "se_as_plateau_percent": number("se_percent / reads: the error in points of the plateau", _P),
    "se_fitted_plateau_percent": _ERROR["se_fitted_plateau_percent"],
    "relative_time": number("scanner time for the same precision over that of the best design"),
    "sites": integer("sites that the next columns are for; n/a where SDs are not known"),
    "participants": integer("participants of each site for the wished power, at the SDs"),
    "hours": number("scanner time of all of them, with the time of a visit beside scans", "h"),
    "participants_high": integer("participants at the unfavourable end of what is known of SDs"),
    "hours_high": number("scanner time of these", "h"),
    "reads_boxcar": number("share of a plateau that the difference holds, response at once"),
    "reads_hrf": number("the same where the response lags like BOLD"),
    "reads_exponential_15s": number("the same for an exponential of 15 s"),
    "reads_exponential_30s": number("the same for an exponential of 30 s"),
    "noise": text("where noise and linewidth are from"),
    "reason": text("why a design tells nothing"),
}

ERRORS = {
    "rank": integer("of the design, in designs.tsv"),
    "metabolite": text("metabolite or sum"),
    **_ERROR,
}

SITE_ROWS = {
    "site": text("site of the analysed study"),
    "field_t": number("field strength", "T"),
    "n": integer("scans looked at"),
    "snr_tcr": number("SNR of tCr of one excitation, median of scans"),
    "fwhm_tcr_hz": number("width of the tCr line, median", "Hz"),
    "volume_ml": number("size of the voxel, median", "mL"),
    "se_told_percent": number("error that the joint fit of a scan told, median", _P),
    "se_expected_percent": number("what the plan expects for the same scans, median", _P),
    "planned_snr_tcr": number("SNR of one transient of the best design there"),
    "planned_se_percent": number("its expected error; n/a at another field", _P),
    "planned_se_as_plateau_percent": number("the same in points of the plateau", _P),
}

TABLES = {"plan": POWER, "designs": DESIGNS, "errors": ERRORS, "sites": SITE_ROWS}

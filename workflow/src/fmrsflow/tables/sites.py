"""Tables of the sites stage, of an analysis and of all analyses."""

from __future__ import annotations

from fmrsflow.scan_figures import FIGURES
from fmrsflow.tables import Column, flag, integer, number, text

WEIGHED = "weighed"
"""In plateau.tsv in the place of a shape: the mean over them."""

_P = "percent"

_QUESTION = {
    "metabolite": text("metabolite or sum"),
    "estimator": text("blocks, joint or timecourse"),
    "matched": flag("linewidth difference between conditions taken out; false is the control"),
    "quantity": text("molal, ratio_tcr, ratio_stable or raw"),
    "contrast": text("`<task>-<rest>`"),
    "region": text("label of the voxel's place; `A-B`: region A less B of the same person"),
}
_SCAN = {
    "site": text("site"),
    "scan": text("scan, as site/sub-..[_ses-..][_task-..]"),
}
_USE = {
    "used": flag("takes part in group statistics"),
    "reason": text("why not"),
}
_REASON = {"reason": text("why there is no value, or what to know of it")}
_CHANGE = {
    "change_percent": number("percent change", _P),
    "low_percent": number("lower end of the 95 % interval", _P),
    "high_percent": number("upper end", _P),
}
_CHANGE_SE = {
    "change_percent": number("percent change", _P),
    "se_percent": number("standard error", _P),
    "low_percent": number("lower end of the 95 % interval", _P),
    "high_percent": number("upper end", _P),
}
_COUNT = {
    "n_sites": integer("sites"),
    "n": integer("scans (response units)"),
    "n_participants": integer("participants, travelling ones counted once"),
}
_SITE = {
    "vendor": text("manufacturer"),
    "field_t": number("field strength", "T"),
    "protocol": text("standardised or own"),
}


def _figure(name: str) -> Column:
    """Column of a figure of the scan, as it is defined."""
    figure = FIGURES[name]
    kind = integer if name.startswith("n_") else number
    return kind(figure.definition, _P if figure.unit == "%" else figure.unit)


_STRATUM = {
    "field_t": number("field strength of the scans of the norms", "T"),
    "vendor": text("their manufacturer, or all"),
    "volume": text("class of their voxels' volume, or all"),
}
_PERCENTILES = {
    f"p{level}": number(f"{level} % of the scans of the norms lie below", "of the figure")
    for level in (5, 25, 50, 75, 95)
}
_U = "of the outcome (percentage points of a change); per unit of a covariate"

_EFFECT = {
    "model": text("site means (two stages), or one stage with covariates or without"),
    "term": text("mean, a covariate, a group less the one of most people, or an interaction"),
    "column": text("column of the term; of an interaction `a:b`"),
    "level": text("group; of an interaction of each column"),
    "reference": text("group that it is compared with; likewise"),
    "estimate": number("effect", _U),
    "se": number("standard error (Kenward & Roger)", _U),
    "low": number("lower end of the 95 % interval", _U),
    "high": number("upper end", _U),
    "df": number("degrees of freedom (t)"),
    "p": number("p of no effect; none where a group has fewer than five people"),
    "p_holm": number("p by Holm over metabolites and regions, for each term and model"),
    "vendor_sd": number("SD between vendors", "of the outcome"),
    "site_sd": number("SD between sites", "of the outcome"),
    "person_sd": number("SD between persons of a site", "of the outcome"),
    "session_sd": number("SD of repeated measurements beyond their errors", "of the outcome"),
    "n": integer("measurements in the model"),
    "n_left_out": integer("measurements without a covariate, which are not in it"),
    "n_sites": integer("sites"),
    "n_persons": integer("persons"),
    "n_level": integer("persons of the group, at each site of theirs once"),
    "n_reference": integer("persons compared with; of an interaction the smallest other cell"),
}

TABLES = {
    "scans": {
        **_SCAN,
        "subject": text("BIDS label"),
        "session": text("BIDS label"),
        "person": text("identity across sites"),
        "unit": text("response unit of the scan"),
        "stage": text("last stage reached"),
        "status": text(
            "ok, excluded, failed, or fault: of the program or machine, the next run does it again"
        ),
        "failed_at": text("stage where it failed; sites where a limit of quality excludes it"),
        "reason": text("why it failed or was excluded"),
    },
    "quality": {
        **_SCAN,
        **_SITE,
        **{name: _figure(name) for name in FIGURES if name != "n_rejected"},
        "v_gm": number("volume fraction of grey matter"),
        "v_wm": number("volume fraction of white matter"),
        "v_csf": number("volume fraction of CSF"),
        **_USE,
    },
    "concentrations": {
        **_SCAN,
        "person": text("identity across sites"),
        "metabolite": text("metabolite or sum"),
        "condition": text("condition of the average, linewidths not matched"),
        "region": text("label of the voxel's place"),
        "quantity": text("molal, molar, alpha_corrected, ratio_tcr, ratio_tnaa or raw"),
        "value": number("value", "see unit"),
        "se": number("standard error of the fit", "see unit"),
        "water_se": number("standard error from the water amplitude", "see unit"),
        "total_se": number(
            "standard error as a level: with those of water, model and tissue", "see unit"
        ),
        "unit": text("unit of value and its standard errors"),
        **_USE,
    },
    "responses": {
        "site": text("site"),
        "unit": text("response unit, as site/sub-..[_ses-..][_task-..]"),
        "person": text("identity across sites"),
        **_QUESTION,
        **_CHANGE_SE,
        **_USE,
    },
    "sites": {
        **_QUESTION,
        "site": text("site"),
        **_SITE,
        "n": integer("scans (response units) used"),
        "n_participants": integer("participants"),
        **_CHANGE_SE,
        "sd_percent": number("SD of the scans of the site", _P),
        "weight_percent": number("weight of the site in the mean over sites", _P),
        "shrunken_percent": number("effect of the site shrunk towards the mean (BLUP)", _P),
        "shrunken_low_percent": number("lower end of its 95 % interval", _P),
        "shrunken_high_percent": number("upper end", _P),
        **_REASON,
    },
    "meta": {
        **_QUESTION,
        **_COUNT,
        **_CHANGE_SE,
        "df": number("degrees of freedom of the interval (t)"),
        "role": text(
            "main, tested (another metabolite or region of the main question), control (what "
            "should not change), or described: an interval without a test"
        ),
        "p": number("p of no change; n/a where it is described only"),
        "p_holm": number("p by Holm over the main question's metabolites and regions"),
        "tau_percent": number("SD of true effects between sites (REML)", _P),
        "tau_low_percent": number("lower end of its 95 % interval (Q-profile)", _P),
        "tau_high_percent": number("upper end", _P),
        "i2_percent": number("I^2: share of the variance of site means beyond sampling", _P),
        "q": number("Cochran's Q"),
        "q_df": number("its degrees of freedom"),
        "q_p": number(
            "p of no difference between sites (F, sampling variances being estimated); main only"
        ),
        "prediction_low_percent": number(
            "lower end of the approximate 95 % prediction interval", _P
        ),
        "prediction_high_percent": number("upper end: where a further site would lie", _P),
        "one_stage_percent": number(
            "mean by one mixed model of all scans with known errors; main answer only", _P
        ),
        "one_stage_low_percent": number("lower end of its 95 % interval (Kenward & Roger)", _P),
        "one_stage_high_percent": number("upper end", _P),
        "one_stage_df": number("its degrees of freedom"),
        "method": text("how the mean was taken"),
        **_REASON,
    },
    "plateau": {
        "metabolite": text("metabolite or sum"),
        "quantity": text("raw (a molal change within a scan is the same) or ratio_tcr"),
        "contrast": text("`<task>-<rest>`"),
        "region": text("label of the voxel's place"),
        "shape": text(
            "assumed shape of the response; `boxcar`: the observed difference; `weighed`: the mean "
            "over shapes"
        ),
        "weight": number("likelihood of the shape, pooled over the scans, of sum 1"),
        "n_sites": integer("sites"),
        "n": integer("scans"),
        **_CHANGE_SE,
        "boxcar_reads": number(
            "share of a plateau of this shape that the observed difference shows, median of scans"
        ),
        "se_ratio": number("error of the plateau over that of the difference, median of scans"),
        "scan_sd_percent": number("root mean square error of one scan", _P),
        "time_constant_s": number(
            "time constant of an exponential response, by the weights of a grid of such shapes "
            "(row `weighed`)",
            "s",
        ),
        "time_constant_sd_s": number("its SD, which the spacing of the grid limits", "s"),
        "delay_s": number("delay of such a response", "s"),
        "delay_sd_s": number("its SD", "s"),
        "shown": flag("pages state this plateau (row `weighed`)"),
        "reason": text("why they do not; which scans take no part, as a shape could not be fitted"),
    },
    "variance": {
        "outcome": text("change (percent change) or concentration"),
        **_QUESTION,
        "component": text("vendor, site, participant, session or measurement"),
        "sd": number("standard deviation of the component (REML)", "see unit"),
        "sd_low": number("lower end of its 95 % interval (profile likelihood)", "see unit"),
        "sd_high": number("upper end", "see unit"),
        "unit": text("unit of the SDs"),
        "share_percent": number("share of the total variance", _P),
        "low_share_percent": number("lower end of its 95 % interval (profile likelihood)", _P),
        "high_share_percent": number("upper end", _P),
        "boot_low_share_percent": number(
            "lower end by parametric bootstrap (main answer only)", _P
        ),
        "boot_high_share_percent": number("upper end by parametric bootstrap", _P),
        "n": integer("values"),
        "n_sites": integer("sites"),
        **_REASON,
    },
    "cv": {
        "metabolite": text("metabolite or sum"),
        "quantity": text("molal or ratio_tcr"),
        "condition": text("condition of the average"),
        "region": text("label of the voxel's place"),
        "unit": text("unit of the mean"),
        "n": integer("scans"),
        "n_sites": integer("sites"),
        "mean": number("mean over sites", "see unit"),
        "cv_within_percent": number("SD within sites, measurement error in it, over the mean", _P),
        "low_within_percent": number("lower end of its 95 % interval (chi-square)", _P),
        "high_within_percent": number("upper end", _P),
        "cv_between_percent": number("SD of true site means (REML) over the mean", _P),
        "low_between_percent": number("lower end of its 95 % interval (profile likelihood)", _P),
        "high_between_percent": number("upper end", _P),
        "cv_total_percent": number("SD of all scans over the mean", _P),
        **_REASON,
    },
    "leave_one_out": {
        **_QUESTION,
        "left_out": text("site that is left out"),
        **_CHANGE_SE,
        "tau_percent": number("SD between the other sites", _P),
        "i2_percent": number("I^2 of the other sites", _P),
        "shift": number("what the site adds to the mean, in standard errors (influence)"),
        "weight_percent": number("weight of the site in the full answer", _P),
        "outlier_z": number("effect of the site against the others, in SDs of the difference"),
        "outlier_limit": number(
            "size of outlier_z that the furthest of as many alike sites passes in 5 % of studies"
        ),
        "verdict": text(
            "unlike the others (outlier_z beyond its limit); the answer hangs on it (with it or "
            "without it the interval holds zero, and not both)"
        ),
    },
    "moderators": {
        **_QUESTION,
        "moderator": text("protocol, field_t, vendor or te_s of the site"),
        "term": text("level against the most common one"),
        "difference_percent": number("difference in percent change", _P),
        "se_percent": number("standard error (Hartung & Knapp)", _P),
        "low_percent": number("lower end of the 95 % interval", _P),
        "high_percent": number("upper end", _P),
        "df": number("degrees of freedom"),
        "p": number("p of no difference; of the main question only, not adjusted"),
        "p_moderator": number("p of no difference between any levels; likewise"),
        "tau_percent": number("SD between sites that is left", _P),
        "explained_percent": number("share of the variance between sites explained", _P),
        "n_sites": integer("sites"),
        **_REASON,
    },
    "equivalence": {
        **_QUESTION,
        "n_standardised": integer("sites with the standardised protocol"),
        "n_own": integer("sites with their own"),
        "difference_percent": number("own minus standardised, percent change", _P),
        "se_percent": number("standard error", _P),
        "low90_percent": number("lower end of the 90 % interval", _P),
        "high90_percent": number("upper end", _P),
        "margin_percent": number("difference that would still count as equivalent", _P),
        "p_equivalence": number("p of the two one-sided tests; main question only"),
        "p_difference": number("p of no difference; likewise"),
        "verdict": text("equivalent, different or undecided; likewise"),
        **_REASON,
    },
    "tests": {
        **_QUESTION,
        "what": text(
            "change, sites differ, a moderator and its level, protocols, or effect of a term of "
            "covariates.tsv"
        ),
        "role": text("main, tested or control, as in meta.tsv"),
        "p": number("its p-value"),
        "p_holm": number("p by Holm over the main question's metabolites and regions"),
    },
    "sensitivity": {
        **_QUESTION,
        "scans": text("`used`, or `with excluded` scans"),
        "main": flag("the main answer"),
        "n_sites": integer("sites"),
        "n": integer("scans (response units)"),
        **_CHANGE,
        **_REASON,
    },
    "power": {
        **_QUESTION,
        "sites": integer("number of sites"),
        "participants": integer("participants at each"),
        "effect_percent": number("true change", _P),
        "power": number("probability to find it at 5 %, two-sided, at the SDs as estimated"),
        "power_low": number("the same at the upper ends of the SDs' 95 % intervals"),
        "power_high": number("at the lower ends"),
        "minimal_effect_percent": number("smallest change found with the power of the setting", _P),
        "minimal_difference_percent": number(
            "smallest difference between two halves of the sites found with that power", _P
        ),
        "sd_site_percent": number("SD between sites used", _P),
        "sd_participant_percent": number("SD between participants used", _P),
        "sd_measurement_percent": number("SD of one scan used", _P),
        **{
            f"sd_{name}_{end}_percent": number(f"{where} end of its 95 % interval", _P)
            for end, where in (("low", "lower"), ("high", "upper"))
            for name in ("site", "participant", "measurement")
        },
        **_REASON,
    },
    "combat": {
        **_QUESTION,
        "n_sites": integer("sites that were harmonised"),
        "n": integer("persons at a site; one who travelled counts at each"),
        "n_metabolites": integer("metabolites and sums that were harmonised together"),
        "change_percent": number("mean over sites by the mixed model, as in meta.tsv", _P),
        "low_percent": number("lower end of its 95 % interval", _P),
        "high_percent": number("upper end", _P),
        "tau_percent": number("SD of true effects between sites, as in meta.tsv", _P),
        "combat_percent": number("mean over persons after ComBat", _P),
        "combat_low_percent": number(
            "lower end of the 95 % interval as if there had been no sites: too narrow", _P
        ),
        "combat_high_percent": number("upper end", _P),
        "width_percent": number("width of that interval in percent of the mixed model's", _P),
        "sites_before_percent": number("SD of the means of sites", _P),
        "sites_after_percent": number("SD of the means of sites after ComBat", _P),
        "protocol_before_percent": number(
            "mean of sites with their own protocol less that of sites with the standardised one", _P
        ),
        "protocol_after_percent": number("what ComBat leaves of that difference", _P),
        "reason": text("why there is no value; what was left out"),
    },
    "agreement": {
        "outcome": text("change or concentration"),
        **_QUESTION,
        "over": text("sites (travelling participants) or sessions"),
        "n": integer("participants"),
        "k": integer("measurements of each"),
        "icc21": number("ICC(2,1), absolute agreement"),
        "icc21_low": number("lower end of its 95 % interval"),
        "icc21_high": number("upper end"),
        "icc31": number("ICC(3,1), consistency"),
        "icc31_low": number("lower end of its 95 % interval"),
        "icc31_high": number("upper end"),
        "sem": number("standard error of measurement", "see unit"),
        "mdc": number("minimal detectable change of one participant, 1.96 sqrt(2) SEM", "see unit"),
        "unit": text("unit of sem and mdc"),
        **_REASON,
    },
    "bland_altman": {
        "outcome": text("change or concentration"),
        **_QUESTION,
        "first": text("site"),
        "second": text("site"),
        "n": integer("travelling participants at both"),
        "bias": number("mean of first minus second", "see unit"),
        "bias_low": number("lower end of its 95 % interval", "see unit"),
        "bias_high": number("upper end", "see unit"),
        "lower": number("lower limit of agreement, bias - 1.96 SD", "see unit"),
        "lower_low": number("lower end of its 95 % interval", "see unit"),
        "lower_high": number("upper end", "see unit"),
        "upper": number("upper limit of agreement", "see unit"),
        "upper_low": number("lower end of its 95 % interval", "see unit"),
        "upper_high": number("upper end", "see unit"),
        "unit": text("unit of the values"),
        **_REASON,
    },
    "covariates": {
        **_QUESTION,
        "role": text("main, tested or control, as in meta.tsv"),
        **_EFFECT,
        "varies_sd": number("SD of the difference between sites, in a model that lets it vary", _P),
        "varies_low": number("lower end of the 95 % interval by that model", _P),
        "varies_high": number("upper end", _P),
        **_REASON,
    },
    "norms": {
        "figure": text(
            "figure of quality.tsv; snr_tcr_per_ml is snr_tcr over volume (ml) and the square root "
            "of the transients kept; drift_hz by its size"
        ),
        **_STRATUM,
        "n": integer("usable scans"),
        "n_sites": integer("sites, each of which counts alike"),
        **_PERCENTILES,
    },
    "standing": {
        "site": text("site"),
        "figure": text("figure, as in norms.tsv"),
        "n": integer("usable scans of the site"),
        "median": number("their median", "of the figure"),
        **_STRATUM,
        "n_scans": integer("scans of the norms"),
        "n_sites": integer("sites of the norms"),
        **_PERCENTILES,
        "place": text("where the median lies among the scans of the norms"),
        **_REASON,
    },
    "problems": {
        "site": text("site"),
        "item": text("scan, response unit or table"),
        "stage": text("stage that reports it"),
        "kind": text("fault, failed, excluded, warning, control, versions, or not estimated"),
        "text": text("what is the matter"),
    },
    "effects": {
        "metabolite": text("as the given table has it"),
        "region": text("label of the voxel's place"),
        **_EFFECT,
        **_REASON,
    },
    "specification": {
        "rank": integer("place in the order of effects"),
        "analysis": text("named analysis"),
        "preprocess": text("its setting"),
        "basis": text("its setting"),
        "fit": text("its setting"),
        "concentration": text("its setting"),
        "response": text("its setting"),
        **_QUESTION,
        "scans": text("`used`, or `with excluded` scans"),
        "main": flag("main answer of its analysis"),
        "weight_percent": number(
            "share of the analysis in the weights of the joint test, of its main answer; 0 "
            "where it was not registered",
            _P,
        ),
        "n_sites": integer("sites"),
        "n": integer("scans (response units)"),
        **_CHANGE,
        **_REASON,
    },
    "choices": {
        "component": text("site, participant, analysis, or residual (their interplay)"),
        "sd_percent": number("standard deviation (REML)", _P),
        "sd_low_percent": number("lower end of its 95 % interval (profile likelihood)", _P),
        "sd_high_percent": number("upper end", _P),
        "share_percent": number("share of the variance", _P),
        "low_share_percent": number("lower end of its 95 % interval (profile likelihood)", _P),
        "high_share_percent": number("upper end", _P),
        "n": integer("values: participants times analyses"),
        **_REASON,
    },
    "analyses": {
        "analysis": text("named analysis"),
        "weight_percent": number("its share of the weights in the joint test", _P),
        "n_persons": integer("persons with a change in its main answer"),
        "mean_percent": number("mean over persons, each counting the same", _P),
        "sd_percent": number("SD over persons", _P),
        "reason": text("why it takes no part in the joint test"),
    },
    "joint_test": {
        "flipped": text(
            "whose signs flip apart: persons (as if sites had no effect of their own), or sites "
            "with all persons of theirs"
        ),
        "people": text("all, or complete: those with a change in every analysis"),
        "n_analyses": integer("analyses that take part"),
        "n_persons": integer("persons, travelling ones counted once"),
        "n_missing": integer("changes that a person lacks in an analysis"),
        "n_units": integer("persons or groups of sites that flip apart"),
        "n_flips": integer(
            "patterns of signs that were counted, a pattern and its opposite as one"
        ),
        "exact": flag("these are all there are; false: a sample, p is (k + 1)/(n + 1)"),
        "smallest_p": number("no p can be lower"),
        "median_percent": number("weighted median of the analyses' means over persons", _P),
        "least_percent": number("lowest of these means", _P),
        "greatest_percent": number("highest", _P),
        "p_median": number("p of no change in anybody, by the median: the joint test"),
        "significant_percent": number(
            "weight of the analyses that are significant by themselves (t over persons, 5 %) with "
            "the sign that more have; negative where that is a fall",
            _P,
        ),
        "p_significant": number("p by that weight, descriptive"),
        "mean_t": number("weighted mean of the analyses' t over persons"),
        "p_mean_t": number("p by that mean, descriptive"),
        **_REASON,
    },
    "deviations": {
        "kind": text("analysis, answer, covariates, exclusion, question, setting or version"),
        "analysis": text("named analysis; n/a where it concerns all"),
        "what": text("section and key of the configuration, or what else was registered"),
        "registered": text("as it was registered"),
        "run": text("as it ran"),
    },
}

"""Tables of the BOLD stage, of a scan and of an analysis."""

from __future__ import annotations

from fmrsflow.tables import flag, integer, number, text

AREA = {
    "condition": text("trial type, or `sum` over all"),
    "area_mean": number("area under the mean response of the voxels", "percent s"),
    "area_mean_se": number("its standard error, from the series of the mean", "percent s"),
    "area_total": number("sum over the voxels", "percent s"),
    "area_total_se": number("its standard error", "percent s"),
    "negative_share": number("share of voxels with a negative area", "1"),
    "sign": integer("1 or -1: of the total"),
    "n_voxels": integer("fMRI voxels of the MRS voxel"),
}

RUNS = {
    "run": integer("number in column `bold` of the sheet, from 1"),
    "used": flag("takes part in the result"),
    "n_volumes": integer("volumes"),
    "n_blocks": integer("blocks of all conditions"),
    "area_mean": number("area under its mean response, sum over conditions", "percent s"),
    "area_mean_se": number("its standard error", "percent s"),
    "weight": number("share in the combined mean", "1"),
    "reason": text("why it does not take part"),
}

RESPONSE = {
    "condition": text("trial type"),
    "lag_s": number("time from the onset of a block", "s"),
    "percent": number("mean response of the voxels", "percent"),
    "se": number("its standard error", "percent"),
}

VOXELS = {
    "i": integer("grid index"),
    "j": integer("grid index"),
    "k": integer("grid index"),
    "share": number("share of the fMRI voxel inside the MRS voxel", "1"),
    "condition": text("trial type, or `sum` over all"),
    "area": number("area under the response", "percent s"),
    "se": number("its standard error", "percent s"),
}

HISTOGRAM = {
    "condition": text("trial type"),
    "low": number("lower edge of the bin", "percent s"),
    "high": number("upper edge of the bin", "percent s"),
    "density": number("share of voxels over the width of the bin", "1 / (percent s)"),
}

CLUSTERS = {
    "contrast": text("contrast of the interaction terms"),
    "sign": integer("1 where the contrast is positive"),
    "n_voxels": integer("size"),
    "volume_ml": number("size", "mL"),
    "p_fwe": number("family-wise error of the extent, one-sided, random field theory"),
    "significant": flag("p_fwe below the setting cluster_p"),
    "peak_z": number("largest value"),
    "x_mm": number("peak, space of the BOLD run", "mm"),
    "y_mm": number("peak, space of the BOLD run", "mm"),
    "z_mm": number("peak, space of the BOLD run", "mm"),
    "seed_share": number("share of the cluster inside the MRS voxel", "1"),
}

ROI = {
    "contrast": text("contrast of the interaction terms"),
    "seed": text("region whose activity interacts with the task"),
    "target": text("region that is explained"),
    "effect": number("interaction, percent of the target a percent of the seed", "1"),
    "effect_symmetric": number("mean of both directions", "1"),
    "z": number("effect over its error as a normal deviate"),
}

CONCORDANCE = {
    "measure": text("area (fMRI, percent s) or linewidth (narrowing of tCr, Hz)"),
    "site": text("site"),
    "subject": text("BIDS label"),
    "person": text("identity across sites"),
    "label": text("subject, session, voxel and run"),
    "place": text("site, session, voxel and run: persons of the same places are compared"),
    "bold": number("measure of BOLD; positive where activity rises", "percent s or Hz"),
    "bold_se": number("its standard error", "percent s or Hz"),
    "contrast": text("contrast of the change"),
    "change_percent": number("percent change of the metabolite", "percent"),
    "change_se": number("its standard error", "percent"),
    "same_sign": flag("both estimates have one sign"),
    "p_same_sign": number("probability that both true values have one sign"),
    "used": flag("takes part in the test"),
    "note": text("what to know of this row; why values are missing"),
}

TEST = {
    "measure": text("as in concordance.tsv"),
    "n": integer("pairs"),
    "n_persons": integer("persons"),
    "same_sign": integer("pairs whose estimates have one sign"),
    "expected_share": number("mean probability of one sign given the errors", "1"),
    "same_sign_by_chance": number("mean of same_sign where persons are exchanged"),
    "n_exchanged": integer("persons with others of the same places"),
    "correlation": number("of both measures within places, over those persons"),
    "correlation_true": number(
        "the same without the scatter that the errors explain, kept within -1 and 1"
    ),
    "p_value": number("two-sided p of the correlation, persons exchanged; n/a below five of them"),
    "slope": number("percent change per unit of BOLD, errors on both axes", "percent / unit"),
    "slope_se": number("its standard error", "percent / unit"),
}

GROUP = {
    "contrast": text("contrast of the interaction terms, or activation (area, sum of conditions)"),
    "region": text("region of the MRS voxel; n/a for the activation of the whole brain"),
    "n_persons": integer("persons"),
    "sign": integer("1 where the contrast is positive"),
    "n_voxels": integer("size"),
    "p_fwe": number("family-wise error of the extent, sign-flipping permutation, both signs"),
    "peak_t": number("largest t"),
    "x_mm": number("peak, MNI", "mm"),
    "y_mm": number("peak, MNI", "mm"),
    "z_mm": number("peak, MNI", "mm"),
}

TABLES = {
    "area": AREA,
    "runs": RUNS,
    "response": RESPONSE,
    "voxels": VOXELS,
    "histogram": HISTOGRAM,
    "clusters": CLUSTERS,
    "roi": ROI,
    "concordance": CONCORDANCE,
    "concordance_test": TEST,
    "group_clusters": GROUP,
}

"""Data dictionaries of the tables of the BOLD stage: name -> (description, unit)."""

from __future__ import annotations

AREA = {
    "condition": ("trial type, or `sum` over all", ""),
    "area_mean": ("area under the mean response of the voxels", "percent s"),
    "area_mean_se": ("its standard error, from the series of the mean", "percent s"),
    "area_total": ("sum over the voxels", "percent s"),
    "area_total_se": ("its standard error", "percent s"),
    "negative_share": ("share of voxels with a negative area", "1"),
    "sign": ("1 or -1: of the total", ""),
    "n_voxels": ("fMRI voxels of the MRS voxel", ""),
}

RESPONSE = {
    "condition": ("trial type", ""),
    "lag_s": ("time from the onset of a block", "s"),
    "percent": ("mean response of the voxels", "percent"),
    "se": ("its standard error", "percent"),
}

VOXELS = {
    "i": ("grid index", ""),
    "j": ("grid index", ""),
    "k": ("grid index", ""),
    "share": ("share of the fMRI voxel inside the MRS voxel", "1"),
    "condition": ("trial type, or `sum` over all", ""),
    "area": ("area under the response", "percent s"),
    "se": ("its standard error", "percent s"),
}

HISTOGRAM = {
    "condition": ("trial type", ""),
    "low": ("lower edge of the bin", "percent s"),
    "high": ("upper edge of the bin", "percent s"),
    "density": ("share of voxels over the width of the bin", "1 / (percent s)"),
}

CLUSTERS = {
    "contrast": ("contrast of the interaction terms", ""),
    "sign": ("1 where the contrast is positive", ""),
    "n_voxels": ("size", ""),
    "volume_ml": ("size", "mL"),
    "p_fwe": ("family-wise error of the extent, one-sided, random field theory", ""),
    "significant": ("p_fwe below the setting cluster_p", ""),
    "peak_z": ("largest value", ""),
    "x_mm": ("peak, space of the BOLD run", "mm"),
    "y_mm": ("peak, space of the BOLD run", "mm"),
    "z_mm": ("peak, space of the BOLD run", "mm"),
    "seed_share": ("share of the cluster inside the MRS voxel", "1"),
}

ROI = {
    "contrast": ("contrast of the interaction terms", ""),
    "seed": ("region whose activity interacts with the task", ""),
    "target": ("region that is explained", ""),
    "effect": ("interaction, percent of the target a percent of the seed", "1"),
    "effect_symmetric": ("mean of both directions", "1"),
    "z": ("effect over its error as a normal deviate", ""),
}

CONCORDANCE = {
    "measure": ("area (fMRI, percent s) or linewidth (narrowing of tCr, Hz)", ""),
    "site": ("site", ""),
    "subject": ("BIDS label", ""),
    "person": ("identity across sites", ""),
    "label": ("session, voxel and run", ""),
    "bold": ("measure of BOLD; positive where activity rises", "percent s or Hz"),
    "bold_se": ("its standard error", "percent s or Hz"),
    "contrast": ("contrast of the change", ""),
    "change_percent": ("percent change of the metabolite", "percent"),
    "change_se": ("its standard error", "percent"),
    "same_sign": ("both estimates have one sign", ""),
    "p_same_sign": ("probability that both true values have one sign", ""),
    "used": ("takes part in the test", ""),
    "note": ("what to know of this row; why values are missing", ""),
}

TEST = {
    "measure": ("as in concordance.tsv", ""),
    "n": ("pairs", ""),
    "n_persons": ("persons", ""),
    "same_sign": ("pairs whose estimates have one sign", ""),
    "expected_share": ("mean probability of one sign given the errors", "1"),
    "p_value": ("one-sided p, signs random in each pair", ""),
    "p_value_persons": ("one-sided p, signs random in each person", ""),
    "slope": ("percent change per unit of BOLD, errors on both axes", "percent / unit"),
    "slope_se": ("its standard error", "percent / unit"),
}

GROUP = {
    "contrast": ("contrast of the interaction terms", ""),
    "region": ("acq label of the MRS voxel", ""),
    "n_persons": ("persons", ""),
    "sign": ("1 where the contrast is positive", ""),
    "n_voxels": ("size", ""),
    "p_fwe": ("family-wise error of the extent, sign-flipping permutation, both signs", ""),
    "peak_t": ("largest t", ""),
    "x_mm": ("peak, MNI", "mm"),
    "y_mm": ("peak, MNI", "mm"),
    "z_mm": ("peak, MNI", "mm"),
}

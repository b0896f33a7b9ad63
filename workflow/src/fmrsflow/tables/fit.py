"""Tables of the fit stage."""

from __future__ import annotations

from fmrsflow.tables import integer, number, text

AMPLITUDES = {
    "spectrum": text("condition, `<condition>:matched` with matched linewidths, or `all`"),
    "metabolite": text("metabolite or sum"),
    "amplitude": number("per molecule, on the scale of the FIDs; not negative"),
    "se": number("standard error under noise, nonlinear parameters and baseline counted"),
    "se_percent": number("100 se / amplitude", "percent"),
    "model_sd": number("SD of the amplitude among baselines, macromolecules and lineshapes"),
}

TIMECOURSE = {
    "block": integer("number of the block, from 0"),
    "condition": text("condition of the block"),
    "time_s": number("mean time of its transients from the first excitation", "s"),
    "metabolite": text("metabolite or sum"),
    "amplitude": number(
        "per molecule, on the scale of the FIDs; n/a where the mean of all transients holds none"
    ),
    "se": number(
        "standard error of its difference from the mean of all, noise and gain of the transients"
    ),
}

JOINT = {
    "metabolite": text("metabolite or sum"),
    "baseline_amplitude": number("amplitude where every regressor but the constant is zero"),
    "se": number("its standard error"),
    "contrast": text("regressor of the design: the condition compared with rest"),
    "change_percent": number("100 coefficient of the regressor / baseline amplitude", "percent"),
    "change_se_percent": number(
        "its standard error from the covariance of the joint fit", "percent"
    ),
    "linewidth_model": text(
        "`free`: BOLD narrowing fitted; `fixed`: narrowing of the setting; `none`: constant width, "
        "which shows false changes"
    ),
}

TABLES = {"amplitudes": AMPLITUDES, "timecourse": TIMECOURSE, "joint": JOINT}

"""Tables of the response stage."""

from __future__ import annotations

from fmrsflow.tables import flag, integer, number, text

CHANGE = {
    "metabolite": text("metabolite or sum"),
    "estimator": text(
        "`blocks`: averages of conditions; `timecourse`: linear model of conditions and drift on "
        "amplitudes of blocks; `joint`: linear model of all transients, of all scans of the unit"
    ),
    "matched": flag(
        "linewidth difference between conditions taken out (`blocks`, `timecourse`: width free in "
        "each; `joint`: narrowing in the model, or a width for each scan); false is the control "
        "without"
    ),
    "quantity": text(
        "molal, ratio_tcr or raw; `ratio_stable` (`joint` of several scans): scaled to all that is "
        "taken not to respond"
    ),
    "contrast": text("`<task>-<rest>`"),
    "rest": text("condition that the change refers to"),
    "task": text("condition whose change it is; of `joint` also another contrast of its design"),
    "change_percent": number("100 (task - rest) / rest", "percent"),
    "se_percent": number("its standard error: noise and gain of the transients", "percent"),
    "low_percent": number(
        "lower end of the 95 % interval; n/a and a reason where it is open", "percent"
    ),
    "high_percent": number("upper end", "percent"),
    "bootstrap_se_percent": number(
        "standard error by resampling blocks of transients (`joint`), drift in the model", "percent"
    ),
    "bootstrap_low_percent": number("lower end of the 95 % interval by resampling", "percent"),
    "bootstrap_high_percent": number("upper end", "percent"),
    "reason": text("why there is no change or no interval"),
}

CONTROLS = {
    "control": text("what should not change, or what to know before believing a change"),
    "value": number("its value", "see unit"),
    "se": number("standard error", "see unit"),
    "unit": text("unit of value, se and limit"),
    "limit": number("largest value that is not flagged: 1.96 se or the tolerance of the setting"),
    "flag": text("in plain words, where it speaks against the result"),
}

BLOCKS = {
    "scan": text("scan of the block"),
    "metabolite": text("metabolite or sum"),
    "block": integer("number of the block in the time course, from 0"),
    "condition": text("its condition"),
    "time_s": number("mean time of its transients", "s"),
    "change_percent": number("change against the mean of all rest blocks of the scan", "percent"),
    "se_percent": number("its standard error", "percent"),
}

PLATEAUS = {
    "scan": text("scan of the joint fit"),
    "metabolite": text("metabolite or sum"),
    "quantity": text("raw (a molal change within a scan is the same) or ratio_tcr"),
    "contrast": text("`<task>-<rest>`"),
    "shape": text(
        "assumed shape of the response; under `boxcar` the change is the observed difference"
    ),
    "change_percent": number("change at the plateau of a response of this shape", "percent"),
    "se_percent": number("its standard error", "percent"),
    "log_likelihood": number(
        "of the scan under this shape, up to what its shapes have in common; sites pool it"
    ),
    "boxcar_reads": number(
        "share of a plateau of this shape that the observed difference shows, by the design"
    ),
    "se_ratio": number("se of the plateau over that of the difference, by the design"),
    "reason": text("why there is no plateau under this shape"),
}

TABLES = {
    "change": CHANGE,
    "controls": CONTROLS,
    "blocks": BLOCKS,
    "plateaus": PLATEAUS,
}

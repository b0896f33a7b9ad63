"""Tables of the preprocess stage."""

from __future__ import annotations

from fmrsflow.tables import flag, integer, number, text

TRANSIENTS = {
    "transient": integer("number of the transient in the order of acquisition, from 0"),
    "time_s": number("time of excitation from the first of the series; mean of several", "s"),
    "condition": text("condition by time of excitation; n/a where it belongs to none"),
    "shift_hz": number("frequency before correction, relative to the lines' true places", "Hz"),
    "phase_deg": number("zero-order phase before correction", "degrees"),
    "linewidth_hz": number(
        "FWHM of tCr of the average plus the transient's difference from it", "Hz"
    ),
    "snr": number("SNR of tCr by the definition of the record's snr_definition"),
    "distance": number("RMS distance to the median spectrum in 0-4.2 ppm over its median"),
    "weight": number("weight in the average of its condition; 0 where not kept"),
    "kept": flag("takes part in the average of its condition"),
    "cause": text("why it is not kept"),
}

WATER = {
    "group": integer(
        "number of the group of neighbouring water transients, from 0; one that is missing holds "
        "no water"
    ),
    "time_s": number("mean time of excitation from the first of the series", "s"),
    "condition": text("condition by time of excitation; n/a where the group is of none or several"),
    "n_transients": integer("water transients of the group"),
    "amplitude_percent": number("water at t = 0 over the mean of all groups", "percent"),
    "se_percent": number("its standard error from the noise", "percent"),
    "linewidth_hz": number("FWHM after eddy-current correction", "Hz"),
    "t2star_ms": number("time by which the FID falls to 1/e", "ms"),
    "shift_hz": number("frequency before alignment, relative to the mean of all groups", "Hz"),
}

TABLES = {"transients": TRANSIENTS, "water": WATER}

"""Tables of the preprocess stage."""

from __future__ import annotations

from fmrsflow.tables import flag, integer, number, text

TRANSIENTS = {
    "transient": integer("number of the transient in the order of acquisition, from 0"),
    "time_s": number("time of excitation from that of the first transient", "s"),
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

TABLES = {"transients": TRANSIENTS}

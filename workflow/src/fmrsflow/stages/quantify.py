"""Concentrations of each condition from the fit, the water reference and the tissue fractions."""

from __future__ import annotations

import numpy as np

from fmrsflow.batch import stage_main
from fmrsflow.concentration import UNITS, Tissue, Water, constants, quantities
from fmrsflow.edge import FailedBefore, Job
from fmrsflow.tables.quantify import CONCENTRATIONS


def process(job: Job) -> dict:
    """Quantify every fitted spectrum of a scan."""
    converted, fitted = job.record("convert"), job.record("fit")
    setting = job.settings["concentration"]
    relaxation = constants(setting["constants"], job.site.field_t)
    tissue, origin = _tissue(job, setting)
    water = _water(converted, fitted)
    if water is None:
        job.warn("no water reference: raw amplitudes and ratios only")
    fit = job.arrays("fit", "result")
    names = tuple(str(name) for name in fit["names"])
    rows = []
    for spectrum, amplitudes, covariance in zip(
        fit["spectra"], fit["amplitudes"], fit["covariance"]
    ):
        if not np.isfinite(amplitudes).all():
            continue
        condition, _, matched = str(spectrum).partition(":")
        for one in quantities(
            names,
            amplitudes,
            covariance,
            converted["te_s"],
            converted["tr_s"],
            water,
            tissue,
            relaxation,
        ):
            needs_constants = one.quantity in ("molal", "molar", "alpha_corrected")
            rows.append(
                {
                    "metabolite": one.metabolite,
                    "condition": condition,
                    "matched": matched == "matched",
                    "quantity": one.quantity,
                    "value": one.value,
                    "se": one.se,
                    "crlb_percent": 100 * one.se / one.value if one.value > 0 else None,
                    "unit": UNITS[one.quantity],
                    "method": relaxation.label if needs_constants else "none",
                }
            )
    job.save("concentrations", rows, CONCENTRATIONS)
    return {
        "constants": relaxation.label,
        "tissue": None
        if tissue is None
        else {"gm": tissue.gm, "wm": tissue.wm, "csf": tissue.csf, "origin": origin},
        "water": None if water is None else {"amplitude": water.amplitude, "te_s": water.te_s},
    }


def _tissue(job: Job, setting: dict) -> tuple[Tissue | None, str]:
    try:
        measured = job.record("anatomy")
    except FailedBefore as failure:
        if setting["tissue"] == "measured":
            job.warn(f"no tissue fractions ({failure}): raw amplitudes and ratios only")
            return None, "none"
        job.warn(f"no tissue fractions ({failure}): the assumed ones of the setting are used")
        return Tissue(*(setting[f"assumed_{x}"] for x in ("gm", "wm", "csf"))), "assumed"
    return Tissue(measured["v_gm"], measured["v_wm"], measured["v_csf"]), measured["method"]


def _water(converted: dict, fitted: dict) -> Water | None:
    reference = converted["reference"]
    if reference is None or fitted["water_amplitude"] is None:
        return None
    return Water(
        fitted["water_amplitude"],
        reference["te_s"] or converted["te_s"],
        reference["tr_s"] or converted["tr_s"],
    )


main = stage_main("quantify", process)

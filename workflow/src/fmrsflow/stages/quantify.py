"""Concentrations of each condition from the fit, the water reference and the tissue fractions."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np

from fmrsflow.batch import stage_main
from fmrsflow.concentration import (
    ABSOLUTE,
    UNITS,
    ConstantsSet,
    NoConstants,
    Quantity,
    Tissue,
    Water,
    constants,
    quantities,
)
from fmrsflow.edge import FailedBefore, Job
from fmrsflow.plausibility import scale_reports, unusual_scale
from fmrsflow.scan_figures import MATCHED
from fmrsflow.tables.quantify import CONCENTRATIONS


def process(job: Job) -> dict:
    """Quantify every fitted spectrum of a scan."""
    converted, fitted = job.record("convert"), job.record("fit")
    setting = job.settings["concentration"]
    relaxation = _relaxation(job, setting["constants"])
    tissue, origin = _tissue(job, setting)
    water = _water(converted, fitted)
    if water is None:
        job.warn("no water reference: raw amplitudes and ratios only")
    fit = job.arrays("fit", "result")
    names = tuple(str(name) for name in fit["names"])
    scale = (converted["te_s"], converted["tr_s"], water, tissue, relaxation)
    method = "none" if relaxation is None else relaxation.label
    rows = []
    for spectrum, amplitudes, covariance, models in zip(
        fit["levels"], fit["amplitudes"], fit["covariance"], fit["model_covariance"]
    ):
        if np.isfinite(amplitudes).all():
            found = quantities(names, amplitudes, covariance, *scale, model_covariance=models)
            rows += _rows(str(spectrum), found, method)
    molal = _molal(rows)
    strange = scale_reports(molal, _averages(converted))
    for text in (*strange, *unusual_scale(molal)):
        job.warn(text)
    distrust = (converted["reference"] or {}).get("distrust") or []
    wrong_scale = [text for text in strange if text.startswith("tCr ")]
    job.save("concentrations", rows, CONCENTRATIONS)
    return {
        "implausible": strange,
        "molal_reason": "; ".join([*distrust, *wrong_scale]) or None,
        "constants": None if relaxation is None else relaxation.label,
        "tissue": None if tissue is None else {**asdict(tissue), "origin": origin},
        "water": None
        if water is None
        else {"amplitude": water.amplitude, "se": water.se, "te_s": water.te_s},
    }


def _molal(rows: list[dict]) -> dict[str, list[float]]:
    """Molal values of each substance over conditions, linewidths not matched."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["quantity"] == "molal" and not row["matched"]:
            found.setdefault(row["metabolite"], []).append(row["value"])
    return found


def _averages(converted: dict) -> tuple[float | None, float | None]:
    """Numbers of averages that the headers of reference and scan tell."""
    return (converted["reference"] or {}).get("averages"), converted.get("averages")


def _rows(spectrum: str, found: list[Quantity], method: str) -> list[dict]:
    """Rows of concentrations.tsv for one spectrum."""
    condition = spectrum.removesuffix(MATCHED)  # whose own name may hold a colon
    return [
        {
            "metabolite": one.metabolite,
            "condition": condition,
            "matched": condition != spectrum,
            "quantity": one.quantity,
            "value": one.value,
            "se": one.se,
            "se_percent": 100 * one.se / one.value if one.value > 0 else None,
            "model_sd": one.model_sd,
            "water_se": one.water_se,
            "tissue_se": one.tissue_se,
            "total_se": one.total_se,
            "unit": UNITS[one.quantity],
            "method": method if one.quantity in ABSOLUTE else "none",
        }
        for one in found
    ]


def _relaxation(job: Job, name: str) -> ConstantsSet | None:
    """Constants at the field of the site; None, and a warning, where there are none."""
    try:
        found = constants(name, job.site.field_t)
    except NoConstants as gap:
        job.warn(f"no molal values: {gap}")
        return None
    if found.name != name:
        job.warn(
            f"the constants set {name} has none at {job.site.field_t:g} T: those of the "
            f"literature are used ({found.label}, docs/science.md#relaxation)"
        )
    return found


def _tissue(job: Job, setting: dict) -> tuple[Tissue | None, str]:
    try:
        measured = job.record("anatomy")
    except FailedBefore as failure:
        if setting["tissue"] == "measured":
            job.warn(f"no tissue fractions ({failure}): raw amplitudes and ratios only")
            return None, "none"
        job.warn(f"no tissue fractions ({failure}): the assumed ones of the setting are used")
        fractions = (setting[f"assumed_{x}"] for x in ("gm", "wm", "csf"))
        return Tissue(*fractions, sd=setting["assumed_sd"]), "assumed"
    fractions = (measured[f"v_{x}"] for x in ("gm", "wm", "csf"))
    return Tissue(*fractions, sd=measured["systematic_sd"]), measured["method"]


def _water(converted: dict, fitted: dict) -> Water | None:
    reference = converted["reference"]
    if reference is None or fitted["water_amplitude"] is None:
        return None
    return Water(
        fitted["water_amplitude"],
        reference["te_s"] or converted["te_s"],
        reference["tr_s"] or converted["tr_s"],
        math.hypot(fitted["water_amplitude_se"], fitted["water_amplitude_model_sd"]),
    )


main = stage_main("quantify", process)

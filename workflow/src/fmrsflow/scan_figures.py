"""Figures of a scan's quality: every page and table takes them from here.

Each is a figure of the average of all kept transients over all conditions, or of the scan as a
whole; figures of single spectra and transients are named as theirs. Definitions and sources stand
in docs/science.md#quality; what computes them from spectra is `quality` and `fit.result`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

WHOLE = "all"
"""Spectrum of the fit that is the average over all conditions."""

MATCHED = ":matched"
"""End of the name of a spectrum whose linewidth was matched to the other conditions'."""


@dataclass(frozen=True)
class Figure:
    """What a figure is called and how it is defined; `unit` is "" for a bare number."""

    title: str
    unit: str
    definition: str

    @property
    def label(self) -> str:
        """Title with unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


FIGURES = {
    "snr_tcr": Figure(
        "tCr signal to noise",
        "",
        "largest real value in 2.9-3.1 ppm over one SD of the real noise after a detrend "
        "(Osprey; snr_definition names the window)",
    ),
    "fwhm_tcr_hz": Figure(
        "tCr line width",
        "Hz",
        "full width at half maximum of the Voigt line fitted to tCr at 3.03 ppm",
    ),
    "fwhm_water_hz": Figure(
        "Water line width",
        "Hz",
        "full width at half maximum of the corrected water reference",
    ),
    "residual_water": Figure(
        "Residual water",
        "",
        "amplitude at t = 0 left by water suppression over that of the water reference",
    ),
    "drift_hz": Figure(
        "Frequency drift",
        "Hz",
        "last minus first value of the straight line through the frequencies of the kept "
        "transients; negative where the field falls",
    ),
    "fqn": Figure(
        "Fit quality number",
        "",
        "variance of the residual in the range of the fit over the variance of the noise, both of "
        "the real spectrum; 1 is ideal (Near 2021)",
    ),
    "mrar_percent": Figure(
        "Residual",
        "%",
        "100 SD of the real residual over the range (largest minus smallest) of the fitted model",
    ),
    "n_kept": Figure("Transients kept", "", "transients of a condition that its average holds"),
    "n_rejected": Figure(
        "Transients rejected", "", "transients of a condition that its average leaves out"
    ),
    "rejected_percent": Figure("Transients rejected", "%", "100 rejected / (kept + rejected)"),
    "bold_narrowing_hz": Figure(
        "BOLD narrowing",
        "Hz",
        "width at half height that lines lose in the joint fit where its linewidth regressor is 1",
    ),
}
"""Every figure of a scan, by its name in tables."""

_OF_PREPROCESS = ("snr_tcr", "fwhm_tcr_hz", "fwhm_water_hz", "residual_water", "drift_hz")
_OF_FIT = ("fqn", "mrar_percent")


def scan_figures(preprocess: Mapping[str, Any], fit: Mapping[str, Any]) -> dict[str, float]:
    """Figures of a scan by name, in the order of `FIGURES`; those that are not known are left out.

    Parameters
    ----------
    preprocess, fit : mapping
        Records of these stages; empty where there is none or it failed.
    """
    kept, rejected = transients(preprocess)
    found = {name: preprocess.get(name) for name in _OF_PREPROCESS}
    found |= {name: (fit.get(name) or {}).get(WHOLE) for name in _OF_FIT}
    if kept + rejected:
        found |= {"n_kept": kept, "n_rejected": rejected}
        found["rejected_percent"] = 100 * rejected / (kept + rejected)
    found["bold_narrowing_hz"] = (fit.get("joint") or {}).get("bold_narrowing_hz")
    return {name: value for name, value in found.items() if _known(value)}


def transients(preprocess: Mapping[str, Any]) -> tuple[int, int]:
    """How many transients of all conditions were kept, and how many rejected."""
    return tuple(sum((preprocess.get(name) or {}).values()) for name in ("n_kept", "n_removed"))


def typical(name: str, values: Iterable[float]) -> float:
    """Median of a figure over scans; of a drift, that of its size, for signs would cancel. NaN
    where there is no value."""
    values = [abs(value) if name == "drift_hz" else value for value in values]
    return float(median(values)) if values else math.nan


def typical_figures(scans: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """`typical` of each figure that some scan has."""
    scans = list(scans)
    values = {name: [one[name] for one in scans if name in one] for name in FIGURES}
    return {name: typical(name, own) for name, own in values.items() if own}


def _known(value) -> bool:
    return value is not None and math.isfinite(value)

"""Which scans take no part in group statistics: the limits of section `quality`.

They are applied where statistics begin (tables of the sites, pages, accord with BOLD), never where
spectra are corrected, so that another limit leaves every file of every scan as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

JUDGED = ("preprocess", "fit", "quantify")
"""Stages whose records are judged, in the order of `excluded`."""


def excluded(preprocessed: Mapping, limits: Mapping, *later: Mapping) -> str:
    """Why a scan is excluded; "" where it is not.

    Parameters
    ----------
    preprocessed : mapping
        Record of its preprocessing (`fwhm_tcr_hz`, `fwhm_tcr_ppm`, `snr_tcr`); empty where there is
        none.
    limits : mapping
        Section `quality` of the configuration (docs/science.md#exclusion).
    later : mapping
        Records of fit and quantification, for what no brain gives (plausibility.py).
    """
    fwhm_ppm, snr = preprocessed.get("fwhm_tcr_ppm"), preprocessed.get("snr_tcr")
    reasons = []
    if fwhm_ppm is not None and fwhm_ppm > limits["max_fwhm_tcr_ppm"]:
        reasons.append(
            f"tCr FWHM {fwhm_ppm:.3f} ppm ({preprocessed['fwhm_tcr_hz']:.1f} Hz) > "
            f"{limits['max_fwhm_tcr_ppm']:g} ppm (quality: max_fwhm_tcr_ppm)"
        )
    if snr is not None and snr < limits["min_snr_tcr"]:
        reasons.append(f"tCr SNR {snr:.1f} < {limits['min_snr_tcr']:g} (quality: min_snr_tcr)")
    if limits.get("implausible") == "exclude":
        for record in (preprocessed, *later):
            reasons += [f"{one} (quality: implausible)" for one in record.get("implausible", ())]
    return "; ".join(reasons)

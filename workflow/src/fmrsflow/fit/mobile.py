"""Macromolecules and lipids: parametric lines and the soft ratios between them.

Positions, widths, protons and ratios: science.md section 3 (LCModel, Osprey).
"""

from __future__ import annotations

import numpy as np

PARAMETRIC = {
    "MM09": ((0.91, 0.14, 3.0),),
    "MM12": ((1.21, 0.15, 2.0),),
    "MM14": ((1.43, 0.17, 2.0),),
    "MM17": ((1.67, 0.15, 2.0),),
    "MM20": ((2.08, 0.15, 1.33), (2.25, 0.20, 0.33), (1.95, 0.15, 0.33), (3.00, 0.20, 0.40)),
    "Lip09": ((0.89, 0.14, 3.0),),
    "Lip13": ((1.28, 0.15, 2.0), (1.28, 0.89, 2.0)),
    "Lip20": ((2.04, 0.15, 1.33), (2.25, 0.15, 0.67), (2.80, 0.20, 0.87)),
}
"""Gaussian lines of each: position (ppm), FWHM (ppm), protons."""

RATIOS = (
    ("MM12", "MM09", 0.3, 0.1),
    ("MM14", "MM09", 0.75, 0.45),
    ("MM17", "MM09", 0.375, 0.24),
    ("MM20", "MM09", 1.5, 0.375),
    ("NAAG", "NAA", 0.15, 0.15),
    ("Lip09", "Lip13", 0.267, 0.1),
    ("Lip20", "Lip13", 0.15, 0.07),
)
"""Numerator, denominator, expected ratio, its standard deviation (LCModel manual, section 11.8)."""


def is_broad(name: str) -> bool:
    """Whether a basis entry is a macromolecule or lipid (a group of its own, no task response)."""
    return name.upper().startswith(("MM", "LIP", "MAC", "-MM", "-LIP"))


def parametric(
    names, dwell_s: float, n_points: int, frequency_mhz: float, carrier_ppm: float
) -> np.ndarray:
    """FIDs of parametric macromolecules and lipids per molecule, complex (n_names, n_points)."""
    time_s = np.arange(n_points) * dwell_s
    fids = np.zeros((len(names), n_points), complex)
    for row, name in zip(fids, names):
        for ppm, fwhm_ppm, protons in PARAMETRIC[name]:
            offset_hz = (ppm - carrier_ppm) * frequency_mhz
            gauss = (np.pi * fwhm_ppm * frequency_mhz * time_s) ** 2 / (4 * np.log(2))
            row += protons * np.exp(2j * np.pi * offset_hz * time_s - gauss)
    return fids

"""What a normal adult's occipital cortex holds, before relaxation; mmol per kg tissue water."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fmrsflow.concentration import ConstantsSet, Relaxation

CONCENTRATIONS = {
    "Ala": 0.4, "Asc": 1.1, "Asp": 2.2, "Cr": 4.6, "PCr": 4.6, "GABA": 1.4, "Glc": 1.2,
    "Gln": 2.4, "Glu": 10.5, "Gly": 0.7, "GPC": 1.1, "PCh": 0.4, "GSH": 1.2, "mI": 7.0,
    "sI": 0.35, "Lac": 0.8, "NAA": 11.2, "NAAG": 1.2, "PE": 1.4, "Ser": 0.4, "Tau": 1.5,
}  # fmt: skip
"""Middle of the ranges that Mekle 2009, Terpstra 2016 and Bednarik 2015 report for 3T and 7T."""

MACROMOLECULES = {
    "MM09": 11.0, "MM12": 11.0, "MM14": 11.0, "MM17": 11.0, "MM20": 11.0, "MM26": 11.0,
    "MM37": 11.0, "MMother": 11.0,
}  # fmt: skip
"""Amplitudes of the macromolecules of docs/science.md#macromolecules, whose lines stand in the
proportions of a brain, and `MMother`."""

OTHER_LINES = {"MMother": ((2.72, 0.15, 0.5), (3.93, 0.12, 0.4), (4.06, 0.18, 0.8))}
"""Macromolecules that fits leave to their baseline: lines of (ppm, FWHM ppm, protons).

By eye from measured 3T and 7T spectra (Cudalbu 2021), within a third.
"""

PYRUVATE = {"Pyr": ((2.36, 0.002, 3.0),)}
"""Methyl singlet of pyruvate (Govindaraju 2000), ppm, width, protons: no common basis holds it."""

LIPIDS = {"Lip13": 1.0, "Lip09": 0.27, "Lip20": 0.15}
"""Lipids in the proportions of docs/science.md#macromolecules."""

MM_RELAXATION = {3: Relaxation(0.35, 0.030), 7: Relaxation(0.40, 0.024)}
"""Macromolecules at 3T and 7T: T1 of Cudalbu 2021, T2 of Murali-Manohar 2020."""


def t2_width_hz(relaxation: ConstantsSet, name: str) -> float:
    """Lorentzian width 1 / (pi T2) of a metabolite, Hz; T2 is the mean of its two tissues."""
    pair = relaxation.metabolites.get(name, relaxation.other)
    return 1 / (math.pi * (sum(one.t2_s for one in pair) / len(pair)))


def natural_widths_hz(relaxation: ConstantsSet, names: Iterable[str]) -> dict[str, float]:
    """Lorentzian width of each metabolite beyond that of the longest T2, Hz."""
    widths = {name: t2_width_hz(relaxation, name) for name in names}
    return {name: width - min(widths.values()) for name, width in widths.items()}

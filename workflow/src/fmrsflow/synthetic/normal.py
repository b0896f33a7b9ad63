"""What a normal adult's occipital cortex holds, before relaxation; mmol per kg tissue water."""

from __future__ import annotations

from fmrsflow.concentration import Relaxation

CONCENTRATIONS = {
    "Ala": 0.4, "Asc": 1.1, "Asp": 2.2, "Cr": 4.6, "PCr": 4.6, "GABA": 1.4, "Glc": 1.2,
    "Gln": 2.8, "Glu": 10.5, "Gly": 0.7, "GPC": 1.1, "PCh": 0.4, "GSH": 1.2, "mI": 6.5,
    "sI": 0.35, "Lac": 0.8, "NAA": 12.5, "NAAG": 1.3, "PE": 1.4, "Ser": 0.4, "Tau": 1.5,
}  # fmt: skip
"""Middle of the ranges that Mekle 2009, Terpstra 2016 and Bednarik 2015 report for 3T and 7T."""

MACROMOLECULES = {"MM09": 5.0, "MM12": 1.5, "MM14": 3.7, "MM17": 1.9, "MM20": 7.5}
"""Amplitudes of the macromolecules per proton group of science.md section 3."""

LIPIDS = {"Lip13": 1.0, "Lip09": 0.27, "Lip20": 0.15}
"""Lipids in the proportions of science.md section 3."""

MM_RELAXATION = {3: Relaxation(0.35, 0.030), 7: Relaxation(0.40, 0.024)}
"""Macromolecules at 3T and 7T: T1 of Cudalbu 2021, T2 of Murali-Manohar 2020."""

"""Macromolecules and lipids: which signals are theirs, sets of lines, and soft ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.basis.systems import MACROMOLECULES
from fmrsflow.fids import CARRIER_PPM

RATIOS = (
    ("NAAG", "NAA", 0.15, 0.15),
    ("Lip09", "Lip13", 0.267, 0.1),
    ("Lip20", "Lip13", 0.15, 0.07),
)
"""Numerator, denominator, expected ratio, its standard deviation (LCModel, CHRATO;
docs/science.md#soft-ratios)."""

BASIS_RATIOS = (
    ("MM12", "MM09", 0.3, 0.1),
    ("MM14", "MM09", 0.75, 0.45),
    ("MM17", "MM09", 0.375, 0.24),
    ("MM20", "MM09", 1.5, 0.375),
)
"""The same between macromolecules that a basis brings, which are in LCModel's unit and not in the
proportions of a brain."""

CREATINE_CH2 = "-CrCH2"
"""Correction of the CH2 line of creatine, which water suppression and its own T2 make smaller than
its CH3 line: a negative singlet of two protons (LCModel's signal of that name)."""

CREATINE_CH2_PPM = 3.915

MINOR = (
    ("GABA", "NAA", 0.07, 0.07),
    ("Asp", "NAA", 0.115, 0.115),
    ("Glc", "NAA", 0.07, 0.07),
    ("sI", "NAA", 0.023, 0.023),
    ("Tau", "NAA", 0.115, 0.115),
    ("PE", "NAA", 0.10, 0.10),
    ("Asc", "NAA", 0.07, 0.07),
    ("Lac", "NAA", 0.05, 0.07),
    ("Gly", "NAA", 0.06, 0.02),
    ("Ser", "NAA", 0.035, 0.035),
    ("Ala", "NAA", 0.035, 0.035),
    (CREATINE_CH2, "NAA", 0.04, 0.08),
)
"""Soft ratios of signals that a spectrum at 3T hardly holds by itself
(docs/science.md#soft-ratios)."""


@dataclass(frozen=True)
class Macromolecules:
    """A set of macromolecule lines.

    Attributes
    ----------
    name : str
    lines : dict
        Signal -> lines of (ppm, FWHM ppm, protons where MM09 has 3).
    sd : float
        SD of each signal's ratio to MM09, which is 1 in the unit of `lines`.
    """

    name: str
    lines: dict[str, tuple[tuple[float, float, float], ...]]
    sd: float = 0.3

    @property
    def ratios(self) -> tuple[tuple[str, str, float, float], ...]:
        """Soft ratios of its signals, as in `RATIOS`."""
        return tuple((name, "MM09", 1.0, self.sd) for name in self.lines if name != "MM09")


GROUPED = Macromolecules("grouped", MACROMOLECULES)
LOW = Macromolecules(
    "low",
    MACROMOLECULES | {"MM20": (*MACROMOLECULES["MM20"][:2], (2.27, 0.26, 2.0))},
)
LCMODEL = Macromolecules(
    "lcmodel",
    {
        "MM09": ((0.91, 0.14, 3.0),),
        "MM12": ((1.21, 0.15, 0.6),),
        "MM14": ((1.43, 0.17, 1.5),),
        "MM17": ((1.67, 0.15, 0.75),),
        "MM20": ((2.08, 0.15, 2.0), (2.25, 0.20, 0.5), (1.95, 0.15, 0.5), (3.00, 0.20, 0.60)),
    },
)
SETS = (GROUPED, LOW, LCMODEL)
"""Sets that the fit averages over, the first of them its own: measured proportions, half as much
at 2.27 ppm (which a metabolite-nulled scan cannot tell from what is left of glutamate), and
LCModel's, which ends at 3.0 ppm and leaves the rest to the baseline
(docs/science.md#model-error)."""

SEPARATE = Macromolecules(
    "separate",
    {
        name if line is parts[0] else f"{name}:{line[0]:g}": (line,)
        for name, parts in MACROMOLECULES.items()
        for line in parts
    },
)
"""The lines of `GROUPED`, each with an amplitude of its own (docs/science.md#model-error)."""


def creatine_ch2(frequency_mhz: float, time_s: np.ndarray) -> np.ndarray:
    """FID of `CREATINE_CH2` on the times `time_s`, complex."""
    turn = 2j * np.pi * (CREATINE_CH2_PPM - CARRIER_PPM) * frequency_mhz
    return -2.0 * np.exp(turn * time_s)


def is_broad(name: str) -> bool:
    """Whether a basis entry is a macromolecule or lipid (a group of its own, no task response)."""
    return name.upper().startswith(("MM", "LIP", "MAC", "-MM", "-LIP"))

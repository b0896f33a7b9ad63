"""Spin systems of the brain's metabolites, and the lines of macromolecules and lipids.

The values stand in `systems.tsv` beside this file, each with its source: rows of kind `shift`
(ppm), `coupling` (Hz; the other spin is a proton of the same part, or 31P or 14N) and `weight`
(protons that a single spin stands for, or the share of an anomer). Parts of a molecule that do not
couple with each other are simulated by themselves. Exchangeable protons that no spectrum of brain
shows (NH of creatine, glutathione and glutamine) are left out; the amide protons of NAA and NAAG
are kept.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

SOURCES = {
    "G2000": "Govindaraju, Young, Maudsley 2000, NMR Biomed 13:129-153, "
    "doi:10.1002/1099-1492(200005)13:3<129::AID-NBM619>3.0.CO;2-V",
    "G2015": "Govind, Young, Maudsley 2015 (corrigendum), NMR Biomed 28:923-924, "
    "doi:10.1002/nbm.3336",
    "N2013": "Near, Evans, Puts, Barker, Edden 2013, Magn Reson Med 70:1183-1191, "
    "doi:10.1002/mrm.24572",
    "K2003": "Krawczyk, Gradowska 2003, J Pharm Biomed Anal 31:455-463",
    "T2006": "Terpstra, Marjanska, Henry, Tkac, Gruetter 2006, Magn Reson Med 56:1192-1199, "
    "doi:10.1002/mrm.21073",
    "H1995": "Water at body temperature is the carrier (fids.CARRIER_PPM); shift against DSS: "
    "Hindman 1966, J Chem Phys 44:4582",
}
"""Citation of each source named in the table."""

METABOLITES = (
    *("Ala", "Asc", "Asp", "Cr", "PCr", "GABA", "Glc", "Gln", "Glu", "Gly", "GPC", "PCh"),
    *("GSH", "mI", "sI", "Lac", "NAA", "NAAG", "PE", "Ser", "Tau"),
)
"""The metabolites of a basis, in its order; H2O can be simulated too."""

# Lip13's narrow line is 0.089 ppm wide (LCModel.f, CHSIMU), as in spant and in FSL-MRS bases.
MACROMOLECULES = {
    "MM09": ((0.91, 0.15, 3.0),),
    "MM12": ((1.21, 0.15, 1.25),),
    "MM14": ((1.39, 0.14, 1.8),),
    "MM17": ((1.66, 0.22, 3.4),),
    "MM20": ((1.89, 0.20, 1.7), (2.04, 0.18, 3.0), (2.27, 0.26, 4.0)),
    "MM26": ((2.60, 0.24, 2.3), (2.99, 0.15, 1.4), (3.20, 0.20, 1.2)),
    "MM37": ((3.62, 0.20, 0.6), (3.78, 0.20, 1.0)),
}
"""Macromolecules as lines of (ppm, FWHM ppm, protons) in the proportions of a brain, so that equal
amplitudes make its spectrum (docs/science.md#macromolecules)."""

LIPIDS = {
    "Lip09": ((0.89, 0.14, 3.0),),
    "Lip13": ((1.28, 0.15, 2.0), (1.28, 0.089, 2.0)),
    "Lip20": ((2.04, 0.15, 1.33), (2.25, 0.15, 0.67), (2.80, 0.20, 0.87)),
}
"""Lipids as lines of (ppm, FWHM ppm, protons)."""

HETERO_STATES = {"31P": (-0.5, 0.5), "14N": (-1.0, 0.0, 1.0)}
"""Magnetic quantum numbers of nuclei that no proton pulse touches: constants of motion."""


@dataclass(frozen=True)
class Part:
    """Protons that couple with each other.

    Attributes
    ----------
    name : str
        Of the part within its metabolite.
    shifts_ppm : array (n,)
    couplings_hz : array (n, n), upper triangle
    hetero_hz : dict of nucleus to array (n,)
        Coupling of each proton with one other nucleus (31P, 14N).
    weight : float
        Protons or molecules that the part stands for: its signal is multiplied by it.
    """

    name: str
    shifts_ppm: np.ndarray
    couplings_hz: np.ndarray
    hetero_hz: dict[str, np.ndarray]
    weight: float = 1.0

    @property
    def n_spins(self) -> int:
        """Number of protons that are simulated."""
        return len(self.shifts_ppm)

    @property
    def amplitude(self) -> float:
        """Protons of the part per molecule."""
        return self.n_spins * self.weight


@cache
def _text() -> str:
    return files("fmrsflow.basis").joinpath("systems.tsv").read_text(encoding="utf-8")


def rows() -> list[dict[str, str]]:
    """Rows of the table: metabolite, part, kind, spin, other, value, source."""
    return list(csv.DictReader(_text().splitlines(), delimiter="\t"))


def digest() -> str:
    """SHA-256 of all values that a simulated basis depends on."""
    text = repr((_text(), MACROMOLECULES, LIPIDS))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def metabolite(name: str) -> tuple[Part, ...]:
    """Uncoupled parts of a metabolite (or H2O).

    Raises
    ------
    KeyError
        The table has no metabolite of that name.
    """
    own = [row for row in rows() if row["metabolite"] == name]
    if not own:
        raise KeyError(f"no spin system of {name!r}; there are {', '.join(METABOLITES)} and H2O")
    names = dict.fromkeys(row["part"] for row in own)
    return tuple(_part(part, [row for row in own if row["part"] == part]) for part in names)


def citations(names) -> dict[str, list[str]]:
    """Citation of each source to the metabolites that take values from it."""
    found: dict[str, list[str]] = {}
    for row in rows():
        users = found.setdefault(SOURCES[row["source"]], [])
        if row["metabolite"] in names and row["metabolite"] not in users:
            users.append(row["metabolite"])
    return {source: users for source, users in found.items() if users}


def _part(name: str, own: list[dict[str, str]]) -> Part:
    spins = [row["spin"] for row in own if row["kind"] == "shift"]
    shifts = [float(row["value"]) for row in own if row["kind"] == "shift"]
    couplings = np.zeros((len(spins), len(spins)))
    hetero: dict[str, np.ndarray] = {}
    weight = 1.0
    for row in own:
        value = float(row["value"])
        if row["kind"] == "weight":
            weight = value
        elif row["kind"] == "coupling" and row["other"] in HETERO_STATES:
            hetero.setdefault(row["other"], np.zeros(len(spins)))[spins.index(row["spin"])] = value
        elif row["kind"] == "coupling":
            pair = sorted((spins.index(row["spin"]), spins.index(row["other"])))
            couplings[tuple(pair)] = value
    return Part(name, np.array(shifts), couplings, hetero, weight)

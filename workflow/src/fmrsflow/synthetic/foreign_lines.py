"""Macromolecules of the family `foreign`: tables of measured lines that our fit's own lines do not
come from (docs/science.md#foreign)."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

import numpy as np

from fmrsflow.constants import same_field

SOURCES = {
    "challenge": "Sum of Gaussian lines fitted here to the macromolecules of the fitting challenge "
    "of the ISMRM study group, 2016 (measured at 3T, ideal PRESS TE 30; CC BY-SA 4.0; Marjanska et "
    "al. 2022, Magn Reson Med 87:11-32, doi:10.1002/mrm.28942); residual 1.5 % of the highest peak",
    "inversion": "Sum of Gaussian lines fitted here to a 3T PRESS TE 30 spectrum with inversion "
    "600 ms before it (Philips; example data of Osprey, MIT; Oeltzschner et al. 2020, J Neurosci "
    "Methods 343:108827, doi:10.1016/j.jneumeth.2020.108827); residues of NAA, choline and "
    "creatine (3.03 and 3.92 ppm) and the foot of water were fitted beside and left out; areas "
    "beyond 3.4 ppm are small against that foot, so uncertain",
    "tubingen": "Sum of Gaussian lines fitted here to the mean 9.4T spectrum of human brains, "
    "semi-LASER TE 24 ms after double inversion, of mrshub/mm-consensus-data-collection (BSD-3; "
    "A. Henning; Cudalbu et al. 2021, NMR Biomed 34:e4393, doi:10.1002/nbm.4393); its line at "
    "-0.05 ppm taken as zero, which puts the peaks where Landheer et al. name them; residual 1.8 % "
    "of the highest peak",
    "bell": "Table of the repository HarrisBrainLab/MMSim for Bell et al. 2024, Magn Reson Med: "
    "Gaussian lines of the mean of six 7T spectra without metabolites (Povazan et al. 2015, "
    "https://zenodo.org/records/3906754); area is ratio times protons, widths over 297.2 MHz; "
    "positions 0.033 ppm lower, since eight lines stand 0.033 +- 0.005 ppm above the names that "
    "they have where NAA is at 2.01 ppm (M0.92 and so on; Landheer et al. 2020, "
    "doi:10.1002/mrm.28282). Between its nine lines there is nothing, other than in a spectrum",
}
"""Where the lines of the table come from. No measured spectrum is in this package."""

TABLES = {3: ("challenge", "inversion"), 7: ("tubingen",)}
"""Tables of each nominal field, T. `bell` is left out: in two of its gaps stand lines of
`challenge`, and what it lacks elsewhere its authors leave to a baseline."""


@cache
def lines_of(table: str) -> np.ndarray:
    """Lines of a table: ppm, FWHM in ppm, protons where the 0.9 ppm peak has 3; (n_lines, 3).

    Raises
    ------
    KeyError
        No such table.
    """
    text = files("fmrsflow.synthetic").joinpath("foreign_lines.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    found = [row for row in rows if row["table"] == table]
    if not found:
        raise KeyError(f"no table of macromolecules {table!r}; there are {', '.join(SOURCES)}")
    return np.array([[float(row[key]) for key in ("ppm", "fwhm_ppm", "protons")] for row in found])


def tables_of(field_t: float) -> tuple[str, ...]:
    """Names of the tables of a field.

    Raises
    ------
    ValueError
        A field without a table.
    """
    for nominal, names in TABLES.items():
        if same_field(nominal, field_t):
            return names
    known = ", ".join(f"{nominal} T" for nominal in TABLES)
    raise ValueError(f"no measured macromolecules of {field_t:g} T; there are those of {known}")


def scattered(lines: np.ndarray, area_cv: float, shift_ppm: float, rng) -> np.ndarray:
    """Lines of another person: areas times exp(N(0, area_cv)), positions plus N(0, shift_ppm).

    Parameters
    ----------
    lines : array (n_lines, 3), as of `lines_of`
    area_cv, shift_ppm : float
    rng : Generator
    """
    found = lines.copy()
    found[:, 0] += shift_ppm * rng.standard_normal(len(lines))
    found[:, 2] *= np.exp(area_cv * rng.standard_normal(len(lines)))
    return found

"""Names of metabolites, and the sums that are reported beside them.

**The rule for a sum** (docs/science.md#sums): the sum of those of its members that the basis
holds; there is none where the basis holds no member. The members of a sum overlap, so that a fit
gives the whole signal to the members that it has: with a basis without PCr, the line at 3.03 ppm
is all Cr, and Cr alone is the estimate of total creatine. To leave tCr out there would take the
negative control and the reference of ratios away from all who fit one line of creatine. The same
rule holds for single fits, the joint fit, time courses, concentrations and true values; which
members a sum has stands in the record of the fit (`sums`). A member that the fit held at zero
adds zero; the sum has no error where that of a member is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SUMS = {
    "tNAA": ("NAA", "NAAG"),
    "tCr": ("Cr", "PCr"),
    "tCho": ("GPC", "PCh"),
    "Glx": ("Glu", "Gln"),
}
"""Sums that are reported beside their members."""

OWN_NAMES = (
    *("Ala", "Asc", "Asp", "Cr", "PCr", "GABA", "Glc", "Gln", "Glu", "Gly", "GPC", "PCh", "GSH"),
    *("mI", "sI", "Lac", "NAA", "NAAG", "PE", "Ser", "Tau", "H2O"),
    *("MM", "MM09", "MM12", "MM14", "MM17", "MM20", "Lip09", "Lip13", "Lip20"),
)
"""Names of single substances, macromolecules and lipids (docs/science.md#names)."""

WORDS = {
    "Glu": "glutamate",
    "Gln": "glutamine",
    "Glx": "glutamate and glutamine",
    "GABA": "GABA",
    "Lac": "lactate",
    "Asp": "aspartate",
    "Glc": "glucose",
    "GSH": "glutathione",
    "mI": "myo-inositol",
    "tNAA": "total NAA",
    "tCr": "total creatine",
    "tCho": "total choline",
}
"""Metabolites in words."""


def in_words(name: str) -> str:
    """A metabolite in words; its name where there are none."""
    return WORDS.get(name, name)


def members(name: str, present: Sequence[str]) -> tuple[str, ...]:
    """What a name stands for among the substances that are present: itself, or the members of a
    sum that are there; nothing where there are none."""
    return tuple(part for part in SUMS.get(name, (name,)) if part in present)


def sums_of(present: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Sums that these substances allow, each with its members.

    >>> sums_of(("Cr", "Glu", "Gln"))
    {'tCr': ('Cr',), 'Glx': ('Glu', 'Gln')}
    """
    found = {name: members(name, present) for name in SUMS}
    return {name: parts for name, parts in found.items() if parts}


def mixing(names: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Substances followed by their sums, and the matrix (n_labels, n_names) that makes them."""
    sums = sums_of(names)
    rows = [[float(name in parts) for name in names] for parts in sums.values()]
    matrix = np.vstack([np.eye(len(names)), np.reshape(rows, (len(sums), len(names)))])
    return (*names, *sums), matrix


def with_sums(
    names: Sequence[str], values: np.ndarray, covariance: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names, values and covariance with the sums after the substances.

    Parameters
    ----------
    names : sequence of str
        Substances, without sums.
    values, covariance : arrays (n,) and (n, n)
    """
    labels, matrix = mixing(names)
    return labels, matrix @ values, propagated(matrix, covariance)


def propagated(matrix: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Covariance (m, m) of `matrix` (m, n) times values of `covariance` (n, n).

    A value whose error is not known (nan) leaves alone what it has no part in.
    """
    unknown = np.isnan(np.diag(covariance))
    spread = matrix @ np.where(np.isnan(covariance), 0.0, covariance) @ matrix.T
    touched = (matrix[:, unknown] != 0).any(axis=1)
    spread[touched] = spread[:, touched] = np.nan
    return spread

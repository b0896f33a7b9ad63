"""Macromolecules and lipids: which signals are theirs, and the soft ratios between them."""

from __future__ import annotations

RATIOS = (
    ("MM12", "MM09", 0.3, 0.1),
    ("MM14", "MM09", 0.75, 0.45),
    ("MM17", "MM09", 0.375, 0.24),
    ("MM20", "MM09", 1.5, 0.375),
    ("NAAG", "NAA", 0.15, 0.15),
    ("Lip09", "Lip13", 0.267, 0.1),
    ("Lip20", "Lip13", 0.15, 0.07),
)
"""Numerator, denominator, expected ratio, its standard deviation (LCModel, CHRATO;
docs/science.md#soft-ratios)."""


def is_broad(name: str) -> bool:
    """Whether a basis entry is a macromolecule or lipid (a group of its own, no task response)."""
    return name.upper().startswith(("MM", "LIP", "MAC", "-MM", "-LIP"))

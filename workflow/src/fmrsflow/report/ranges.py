"""Concentrations in healthy adult brain, to compare a scan with."""

RANGES = {
    "tNAA": (7.9, 16.6),
    "tCr": (5.1, 10.6),
    "tCho": (0.9, 2.5),
    "mI": (3.8, 8.1),
    "Glu": (6.0, 12.5),
    "Gln": (3.0, 5.8),
    "GABA": (1.3, 1.9),
    "NAAG": (0.6, 2.7),
    "Asp": (1.0, 1.4),
}
"""mmol per kg wet weight: Govindaraju, Young and Maudsley 2000, NMR Biomed 13:129, as collected
there over regions and methods. A molal value (per kg tissue water) of the same tissue is about a
quarter higher, since water is four fifths of its weight."""

WATER_SHARE = 0.78
"""Water in grey matter, g per g (the density of docs/science.md#concentration)."""


def molal_ranges() -> dict[str, tuple[float, float]]:
    """`RANGES` per kg tissue water."""
    return {name: (low / WATER_SHARE, high / WATER_SHARE) for name, (low, high) in RANGES.items()}

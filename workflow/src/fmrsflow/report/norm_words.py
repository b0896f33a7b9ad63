"""Where a site stands against norms of a consortium, in words."""

from __future__ import annotations

from collections.abc import Sequence

from fmrsflow.report.render import short
from fmrsflow.scan_figures import FIGURES
from fmrsflow.sites.norms import ALL, PER_ML, PLACES
from fmrsflow.tables import Row
from fmrsflow.words import count

HIGH_IS_GOOD = ("snr_tcr", PER_ML)


def figure_label(figure: str) -> str:
    """What a figure of the norms is called."""
    if figure == PER_ML:
        return "tCr signal to noise per ml and root of transients"
    return FIGURES[figure].label


def compared_with(row: Row) -> str:
    """Which scans the norms are of."""
    if row["n_scans"] is None:
        return row["reason"]
    vendor = "all vendors" if row["vendor"] == ALL else row["vendor"]
    volume = "voxels of any volume" if row["volume"] == ALL else f"voxels {row['volume']}"
    whose = f"{count(row['n_scans'], 'scan')} of {count(row['n_sites'], 'site')}"
    return f"{whose}, {row['field_t']:g} T, {vendor}, {volume}"


def norm_words(rows: Sequence[Row]) -> list[str]:
    """A sentence on each figure in which the site stands at the bad end of the norms, or that there
    is none."""
    told = []
    for row in rows:
        ends = PLACES[:2] if row["figure"] in HIGH_IS_GOOD else PLACES[:2:-1]
        if row["place"] in ends:
            worse = "nineteen of twenty" if row["place"] == ends[0] else "three of four"
            half = f"half of them lie between {short(row['p25'])} and {short(row['p75'])}"
            told.append(
                f"{figure_label(row['figure'])}: {short(row['median'])} is worse than {worse} "
                f"scans of the norms ({half})."
            )
    if not told and any(row["place"] for row in rows):
        return ["In no figure does the site stand in the worst quarter of the norms."]
    return told

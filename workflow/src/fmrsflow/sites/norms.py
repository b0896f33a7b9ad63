"""Norms of the consortium for the quality of scans, and where a site stands against such norms.

Quantiles of the usable scans by vendor, field and volume of the voxel, each site counting alike
whatever its scans; no name of a site is in them. The next site takes the file as setting `norms`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fmrsflow.constants import same_field
from fmrsflow.errors import DataError
from fmrsflow.files import read_regular
from fmrsflow.scan_figures import typical
from fmrsflow.tables import parse_table
from fmrsflow.tables.sites import TABLES

ALL = "all"
"""In the place of a vendor or a class of volumes: whatever it is."""

PER_ML = "snr_tcr_per_ml"
NORMED = ("snr_tcr", PER_ML, "fwhm_tcr_hz", "drift_hz")
"""Figures with norms: those of `scan_figures`, and `snr_tcr` over the volume (ml) and the square
root of the transients kept, by which scans of other voxels and lengths compare."""

EDGES_ML = (5.0, 10.0, 20.0, 40.0)
"""Where classes of volume end; a voxel of 2, 2.5 and 3 cm sides is in the middle of one."""

LEVELS = (5, 25, 50, 75, 95)
"""Percentiles of a norm."""

LEAST_SCANS = {5: 20, 25: 4, 50: 1, 75: 4, 95: 20}
"""Scans that each of them needs."""

LEAST_SITES = 3
"""Sites below which norms are those of single sites and nobody is compared with them."""

Rows = list[dict]


@dataclass(frozen=True)
class Measured:
    """A usable scan: where it was measured, and its figures."""

    site: str
    vendor: str
    field_t: float
    volume: str
    figures: Mapping[str, float]


def volume_class(volume_ml: float | None) -> str:
    """Class of a voxel's volume, "" where that is not known.

    >>> volume_class(15.6), volume_class(3.0), volume_class(64.0)
    ('10-20 ml', 'below 5 ml', 'from 40 ml')
    """
    if not volume_ml:
        return ""
    ends = zip((None, *EDGES_ML), (*EDGES_ML, None))
    low, high = next(pair for pair in ends if pair[1] is None or volume_ml < pair[1])
    if low is None:
        return f"below {high:g} ml"
    return f"from {low:g} ml" if high is None else f"{low:g}-{high:g} ml"


def measured(quality: Iterable[Mapping], volumes: Mapping[str, float]) -> list[Measured]:
    """Usable scans of quality.tsv.

    Parameters
    ----------
    quality : rows
        `site`, `scan`, `vendor`, `field_t`, `used`, and figures of scans where they are known.
    volumes : scan -> ml
    """
    found = []
    for row in quality:
        if not row["used"]:
            continue
        known = {name: row.get(name) for name in NORMED}
        known["drift_hz"] = None if known["drift_hz"] is None else abs(known["drift_hz"])
        kept, volume = row.get("n_kept"), volumes.get(row["scan"])
        if known["snr_tcr"] is not None and kept and volume:
            known[PER_ML] = known["snr_tcr"] / (volume * math.sqrt(kept))
        figures = {key: value for key, value in known.items() if _finite(value)}
        found.append(
            Measured(row["site"], row["vendor"], row["field_t"], volume_class(volume), figures)
        )
    return found


def _finite(value) -> bool:
    return value is not None and math.isfinite(value)


def norms(scans: Sequence[Measured]) -> Rows:
    """Rows of norms.tsv: each figure by field, then by vendor and by volume within it, and by
    both."""
    rows = []
    for figure in NORMED:
        strata: dict[tuple[float, str, str], list[Measured]] = {}
        for scan in scans:
            for vendor in (ALL, scan.vendor) if figure in scan.figures else ():
                for volume in dict.fromkeys((ALL, scan.volume or ALL)):
                    strata.setdefault((scan.field_t, vendor, volume), []).append(scan)
        rows += [_norm(figure, key, strata[key]) for key in sorted(strata, key=_order)]
    return rows


def _order(key: tuple[float, str, str]) -> tuple:
    """Wider strata first, volumes by size."""
    field, vendor, volume = key
    sizes = [ALL, *(volume_class(edge / 2) for edge in EDGES_ML), volume_class(EDGES_ML[-1])]
    return field, vendor != ALL, vendor, sizes.index(volume)


def _norm(figure: str, key: tuple[float, str, str], scans: Sequence[Measured]) -> dict:
    field, vendor, volume = key
    values = [one.figures[figure] for one in scans]
    count = {one.site: 0 for one in scans}
    for one in scans:
        count[one.site] += 1
    weights = [1 / count[one.site] for one in scans]
    row = {"figure": figure, "field_t": field, "vendor": vendor, "volume": volume}
    row |= {"n": len(scans), "n_sites": len(count)}
    shown = (level for level in LEVELS if len(scans) >= LEAST_SCANS[level])
    return row | {f"p{level}": quantile(values, weights, level / 100) for level in shown}


def quantile(values: Sequence[float], weights: Sequence[float], share: float) -> float:
    """Weighted quantile: linear between the middles of the steps of the weighted distribution; with
    equal weights that of Hazen (Hyndman & Fan 1996, type 5)."""
    pairs = sorted(zip(values, weights))
    total, below, before = sum(weights), 0.0, None
    for value, weight in pairs:
        place = (below + weight / 2) / total
        if place >= share:
            if before is None:
                return float(value)
            low, start = before
            return float(low + (value - low) * (share - start) / (place - start))
        before, below = (value, place), below + weight
    return float(pairs[-1][0])


def read_norms(path: str | Path) -> Rows:
    """Rows of a norms.tsv of this or another study.

    Raises
    ------
    DataError
        It cannot be read, or is no such table.
    """
    try:
        return parse_table(read_regular(Path(path)), TABLES["norms"], Path(path).name)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None


def standing(scans: Sequence[Measured], given: Sequence[Mapping]) -> Rows:
    """Rows of standing.tsv: the median of each site and figure beside the norms of its vendor,
    field and volume; of all vendors, then of all volumes, where these rest on too few sites."""
    rows = []
    for site in dict.fromkeys(one.site for one in scans):
        own = [one for one in scans if one.site == site]
        for figure in NORMED:
            values = [one.figures[figure] for one in own if figure in one.figures]
            if values:
                start = {"site": site, "figure": figure, "n": len(values)}
                start["median"] = typical(figure, values)
                rows.append({**start, **_against(start["median"], figure, own, given)})
    return rows


def _against(value: float, figure: str, own: Sequence[Measured], given) -> dict:
    norm = next(_strata(figure, own, given), None)
    if norm is None:
        return {"reason": f"no norms of {LEAST_SITES} sites and more at {own[0].field_t:g} T"}
    taken = {name: norm[name] for name in ("vendor", "field_t", "volume", "n_sites")}
    taken |= {"n_scans": norm["n"]} | {f"p{level}": norm[f"p{level}"] for level in LEVELS}
    return taken | {"place": _place(value, norm)}


def _strata(figure: str, own: Sequence[Measured], given) -> Iterator[Mapping]:
    """Norms that fit the scans of a site, the nearest first; of scans with other volumes those of
    all."""
    volumes = {one.volume for one in own}
    volume = volumes.pop() if len(volumes) == 1 else ALL
    fitting = [
        row
        for row in given
        if row["figure"] == figure
        and same_field(row["field_t"], own[0].field_t)
        and row["n_sites"] >= LEAST_SITES
    ]
    wanted = [(own[0].vendor, volume), (ALL, volume), (own[0].vendor, ALL), (ALL, ALL)]
    for key in wanted:
        yield from (row for row in fitting if (row["vendor"], row["volume"]) == key)


PLACES = (
    "below the lowest twentieth",
    "in the lowest quarter",
    "in the middle half",
    "in the highest quarter",
    "above the highest twentieth",
)
"""Where a value lies among the scans of a norm (column `place`)."""


def _place(value: float, norm: Mapping) -> str:
    """Between which percentiles of a norm a value lies; "" where it has not even quarters."""
    lowest, low, high, highest = (norm[f"p{level}"] for level in (5, 25, 75, 95))
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if value < low:
        return PLACES[0 if value < lowest else 1]
    if value > high:
        return PLACES[4 if value > highest else 3]
    return PLACES[2]

"""What a brain can give: ranges whose violation tells of a wrong scale, each with its source
(docs/science.md#scale)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

MOLAL_TCR = (4.0, 16.0)
"""tCr, mmol/kg of tissue water: 5 to 10.5 in grey and white matter of healthy adults (de Graaf
2019, table 2.1), up to 13 in the cerebellum, and a fifth for assumed relaxation and tissue."""


SITE_FACTOR = 1.5
"""Times its site's median up to which a scan's molal tCr lies: people differ by a tenth (SD)."""

LEAST_SCANS = 5
"""Scans of a site from which its median tells one of another scale."""


def scale_reports(molal_tcr: Sequence[float]) -> list[str]:
    """What the molal tCr of a scan's conditions says of its water reference.

    A reference that is a sum of 16, of another receiver gain or of another preparation scales all
    values alike, and leaves no other trace.
    """
    if not molal_tcr:
        return []
    value, (low, high) = median(molal_tcr), MOLAL_TCR
    if low <= value <= high:
        return []
    return [
        f"tCr is {value:.3g} mmol/kg, a brain has {low:g} to {high:g}: the water reference may be "
        "a sum where the scan is a mean, or of another receiver gain or preparation; molal and "
        "molar values are not to be used, ratios to tCr are"
    ]


def scale_outliers(rows: Iterable[Mapping]) -> list[tuple[str, str, str]]:
    """Scans whose water is of another scale than that of their site: (site, scan, sentence).

    Parameters
    ----------
    rows : iterable of mapping
        Concentrations of one condition a scan: `site`, `scan`, `metabolite`, `quantity`, `value`.
    """
    by_site: dict[str, dict[str, float]] = {}
    for row in rows:
        if (row["metabolite"], row["quantity"]) == ("tCr", "molal") and row["value"] > 0:
            by_site.setdefault(row["site"], {})[row["scan"]] = row["value"]
    found = []
    for site, values in by_site.items():
        usual = median(values.values())
        for scan, value in values.items() if len(values) >= LEAST_SCANS else ():
            if not 1 / SITE_FACTOR <= value / usual <= SITE_FACTOR:
                text = (
                    f"tCr is {value:.3g} mmol/kg, {value / usual:.2g} times the median of its site "
                    f"({usual:.3g}, {len(values)} scans): its water reference may be of another "
                    "receiver gain, number of averages or preparation than the others'"
                )
                found.append((site, scan, text))
    return found

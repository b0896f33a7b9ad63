"""What a brain can give: ranges whose violation tells of a wrong scale, each with its source
(docs/science.md#scale)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

MOLAL_TCR = (4.0, 16.0)
"""tCr, mmol/kg of tissue water: 5 to 10.5 in grey and white matter of healthy adults (de Graaf
2019, table 2.1), up to 13 in the cerebellum, and a fifth for assumed relaxation and tissue."""


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

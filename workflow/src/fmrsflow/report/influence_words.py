"""What the consortium's page says of single sites: how the answer stands without each of them."""

from __future__ import annotations

from collections.abc import Sequence

from fmrsflow.report.effect_words import holds_zero
from fmrsflow.report.render import signed
from fmrsflow.sites.answer import CARRIES, UNLIKE
from fmrsflow.tables import Row


def odd_site(row: Row) -> str:
    """A sentence on a site that is unlike the others or carries the answer; "" on another."""
    verdict = row.get("verdict", "")
    words = []
    if UNLIKE in verdict:
        side = "above" if row["outlier_z"] > 0 else "below"
        words.append(
            f"{row['left_out']} lies further {side} the other sites than chance explains "
            f"({abs(row['outlier_z']):.1f} SDs; the furthest of as many alike sites passes "
            f"{row['outlier_limit']:.1f} in 5 % of studies): look at its data before its number."
        )
    if CARRIES in verdict:
        low, high = row["low_percent"], row["high_percent"]
        words.append(
            f"The answer hangs on {row['left_out']}: without it the interval is {signed(low)} to "
            f"{signed(high)}, which {'holds zero' if holds_zero(low, high) else 'leaves zero out'}."
        )
    return " ".join(words)


def influence_words(rows: Sequence[Row]) -> list[str]:
    """Sentences on all sites: which are odd, and which moves the mean most."""
    told = [words for row in rows if (words := odd_site(row))]
    if not any(UNLIKE in row["verdict"] for row in rows):
        told.append(
            "No site lies further from the others than chance explains. With few sites only a "
            "gross outlier could be told."
        )
    most = max(rows, key=lambda row: abs(row["shift"]), default=None)
    if most is not None:
        told.append(
            f"{most['left_out']} moves the mean most: by {signed(most['shift'])} standard errors, "
            f"with {most['weight_percent']:.0f} % of the weight."
        )
    return told

"""Paired designs: stimulus against control session of the same person (docs/answer.md#pairs).

Each unit belongs to an arm (column `arm` of scans.tsv), and the changes of arms are kept apart. The
setting `pair`, as `stimulus-control`, adds the difference of two arms: a row a person and place of
the voxel, of which means over people and sites are taken like those of any change. What people
differ by in both arms is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fmrsflow.constants import Z95
from fmrsflow.question import KEYS


@dataclass(frozen=True)
class Place:
    """Where a unit stands in a paired design: its arm, and what sets voxels of a person apart."""

    arm: str
    acq: str = ""


def in_arm(row: Mapping, arm: str) -> dict:
    """A row with the arm of its unit in its contrast."""
    return {**row, "contrast": f"{row['contrast']} ({arm})"} if arm else dict(row)


def with_arms(rows: Sequence[Mapping], places: Mapping[str, Place], pair: str) -> list[dict]:
    """Rows of responses.tsv with the arm in their contrast, and after them those of the pairs.

    Parameters
    ----------
    rows : rows
        Columns of responses.tsv.
    places : unit -> Place
    pair : str
        `A-B`, or "" for none.
    """
    named = [in_arm(row, places[row["unit"]].arm) for row in rows]
    if not pair:
        return named
    first, second = pair.split("-")
    groups: dict[tuple, dict[str, list[Mapping]]] = {}
    for row in rows:
        place = places[row["unit"]]
        if place.arm in (first, second):
            key = (row["site"], row["person"], place.acq, *(row[name] for name in KEYS))
            groups.setdefault(key, {}).setdefault(place.arm, []).append(row)
    return [
        *named,
        *(_difference(key, arms, first, second, pair) for key, arms in groups.items()),
    ]


def _difference(key: tuple, arms: Mapping[str, list], first: str, second: str, pair: str) -> dict:
    """Change in one arm less that in the other, in points of percent change."""
    site, person, _, *question = key
    same = dict(zip(KEYS, question))
    members = [row for arm in (first, second) for row in arms.get(arm, ())]
    row = {
        "site": site,
        "unit": " ".join(dict.fromkeys(one["unit"] for one in members)),
        "person": person,
        **same,
        "contrast": f"{same['contrast']} ({pair})",
    }
    missing = [arm for arm in (first, second) if arm not in arms]
    unused = next((one["reason"] for one in members if not one["used"]), "")
    if missing:
        unused = f"there is no such change of this person in arm {missing[0]}"
    numbers = ("change_percent", "se_percent", "low_percent", "high_percent")
    if missing or not all(math.isfinite(one["change_percent"]) for one in members):
        return row | dict.fromkeys(numbers, math.nan) | {"used": False, "reason": unused}
    (a, a_variance), (b, b_variance) = (_mean(arms[arm]) for arm in (first, second))
    se = math.sqrt(a_variance + b_variance)
    values = (a - b, se, a - b - Z95 * se, a - b + Z95 * se)
    used = all(one["used"] for one in members)
    return row | dict(zip(numbers, values)) | {"used": used, "reason": "" if used else unused}


def _mean(rows: Sequence[Mapping]) -> tuple[float, float]:
    """Mean over the units of a person in an arm, and its variance."""
    n = len(rows)
    change = sum(row["change_percent"] for row in rows) / n
    return change, sum(row["se_percent"] ** 2 for row in rows) / n**2

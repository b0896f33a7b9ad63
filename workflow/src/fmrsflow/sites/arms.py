"""Differences within people: arms of a paired design, and regions (docs/answer.md#pairs).

Each unit belongs to an arm (column `arm` of scans.tsv), and the changes of arms are kept apart. The
setting `pair`, as `stimulus-control`, adds the difference of two arms; where voxels of several
regions were measured, the differences of regions are added too. Each is a row a person, of which
means over people and sites are taken like those of any change. What people bring to both sides is
not in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from fmrsflow.constants import Z95
from fmrsflow.question import KEYS


@dataclass(frozen=True)
class Place:
    """Where a unit stands in a paired design: its arm, and the protocol (`acq`) that it was
    measured by."""

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
    pairs = []
    for (site, person, _, *question), arms in groups.items():
        same = {"site": site, "person": person, **dict(zip(KEYS, question))}
        same["contrast"] += f" ({pair})"
        pairs.append(_difference(same, arms, first, second, "arm"))
    return named + pairs


def with_regions(rows: Sequence[Mapping], asked: str = "") -> list[dict]:
    """Rows of responses.tsv, and after them the differences of regions of the same person, whose
    region is `A-B`.

    Parameters
    ----------
    rows : rows
        Columns of responses.tsv, those of `with_arms` too.
    asked : str
        Region that differences start with; otherwise they are in the order of the labels.
    """
    regions = sorted({row["region"] for row in rows} - {""}, key=lambda one: (one != asked, one))
    groups: dict[tuple, dict[str, list[Mapping]]] = {}
    names = ("site", "person", *(name for name in KEYS if name != "region"))
    for row in rows if len(regions) > 1 else ():
        if row["region"]:
            key = tuple(row[name] for name in names)
            groups.setdefault(key, {}).setdefault(row["region"], []).append(row)
    differences = []
    for first, second in combinations(regions, 2):
        for key, sides in groups.items():
            same = dict(zip(names, key)) | {"region": f"{first}-{second}"}
            if first in sides or second in sides:
                differences.append(_difference(same, sides, first, second, "region"))
    return [*map(dict, rows), *differences]


def _difference(same: Mapping, sides: Mapping[str, list], first: str, second: str, of: str) -> dict:
    """Change on one side less that on the other, in points of percent change; one that is not used
    on its own side takes no part in it."""
    members = [row for side in (first, second) for row in sides.get(side, ())]
    row = {**same, "unit": " ".join(dict.fromkeys(one["unit"] for one in members))}
    missing = [side for side in (first, second) if side not in sides]
    unused = next((one["reason"] for one in members if not one["used"]), "")
    if missing:
        unused = f"there is no such change of this person in {of} {missing[0]}"
    numbers = ("change_percent", "se_percent", "low_percent", "high_percent")
    if missing or not all(math.isfinite(one["change_percent"]) for one in members):
        return row | dict.fromkeys(numbers, math.nan) | {"used": False, "reason": unused}
    (a, a_variance), (b, b_variance) = (_mean(sides[side]) for side in (first, second))
    se = math.sqrt(a_variance + b_variance)
    values = (a - b, se, a - b - Z95 * se, a - b + Z95 * se)
    used = all(one["used"] for one in members)
    return row | dict(zip(numbers, values)) | {"used": used, "reason": "" if used else unused}


def _mean(rows: Sequence[Mapping]) -> tuple[float, float]:
    """Mean over the units of a person on one side, and its variance."""
    n = len(rows)
    change = sum(row["change_percent"] for row in rows) / n
    return change, sum(row["se_percent"] ** 2 for row in rows) / n**2

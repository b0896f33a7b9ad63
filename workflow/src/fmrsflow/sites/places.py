"""Whether the labels of regions are what the boxes of the voxels say.

Positions are those of the scanner. Within a person and session they can be compared as they are;
between people heads lie differently in the coil, by less than regions lie apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

FAR_MM = 20.0
"""Distance of voxel centres above which one label cannot mean one region: a usual voxel's side."""

SAME_MM = 5.0
"""Distance of centres below which boxes of a person and session are one place: a voxel that is
planned again moves by millimetres."""


@dataclass(frozen=True)
class Box:
    """Where a scan's voxel lay: centre in scanner mm, and whose it is."""

    site: str
    scan: str
    person: str
    session: str
    region: str
    centre_mm: tuple[float, float, float]


def box_problems(boxes: Sequence[Box]) -> Iterator[tuple[str, str, str]]:
    """Site, scan and what is wrong: one label on places that lie apart, two labels on one place."""
    for site, region in dict.fromkeys((box.site, box.region) for box in boxes):
        own = [box for box in boxes if (box.site, box.region) == (site, region)]
        middle = np.median([box.centre_mm for box in own], axis=0)
        far = [box for box in own if np.linalg.norm(np.subtract(box.centre_mm, middle)) > FAR_MM]
        apart = max((_distance(a, b) for a, b in _of_one_person(own)), default=0.0)
        named = f"the region {region}" if region else "no region (column voi)"
        if apart > FAR_MM:
            yield (
                site,
                site,
                f"voxels of one person under {named} lie up to {apart:.0f} mm apart: they count as "
                "repeated measurements of one place; give each region its label",
            )
        elif far:
            most = max(np.linalg.norm(np.subtract(box.centre_mm, middle)) for box in far)
            yield (
                site,
                far[0].scan,
                f"{len(far)} of {len(own)} voxels under {named} lie more than {FAR_MM:.0f} mm from "
                f"the site's middle one (up to {most:.0f} mm): another region under one label, or "
                "heads that lay very differently",
            )
    for a, b in _of_one_person(boxes):
        if a.session == b.session and a.region != b.region and _distance(a, b) < SAME_MM:
            yield (
                a.site,
                b.scan,
                f"its voxel, region {b.region or 'without a label'}, lies where that of "
                f"{a.scan}, region {a.region or 'without a label'}, does: two labels on one place",
            )


def _of_one_person(boxes: Sequence[Box]) -> Iterator[tuple[Box, Box]]:
    """Pairs of one person at one site."""
    people: dict[tuple[str, str], list[Box]] = {}
    for box in boxes:
        people.setdefault((box.site, box.person), []).append(box)
    for own in people.values():
        yield from combinations(own, 2)


def _distance(a: Box, b: Box) -> float:
    return float(np.linalg.norm(np.subtract(a.centre_mm, b.centre_mm)))

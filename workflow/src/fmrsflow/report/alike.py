"""Messages that differ in numbers or names alone, stated once with how often."""

from __future__ import annotations

import re
from collections.abc import Sequence


def alike(texts: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Groups of like messages, the largest first: what they share, and the places of each.

    Words with a digit or a slash in them (values, files, scans) may differ within a group; those
    that do are shown as "…".

    >>> alike(["tCr FWHM 0.1 ppm > 0.094 ppm", "tCr FWHM 0.12 ppm > 0.094 ppm", "no water"])
    [('tCr FWHM … ppm > 0.094 ppm', [0, 1]), ('no water', [2])]
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, text in enumerate(texts):
        key = tuple("" if re.search(r"[\d/]", word) else word for word in text.split())
        groups.setdefault(key, []).append(place)
    found = []
    for places in groups.values():
        columns = zip(*(texts[place].split() for place in places))
        words = [column[0] if len(set(column)) == 1 else "…" for column in columns]
        found.append((" ".join(words), places))
    return sorted(found, key=lambda one: -len(one[1]))

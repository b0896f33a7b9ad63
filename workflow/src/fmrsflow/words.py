"""Words in messages: counts with their noun, durations, names that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def count(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun, plural where it is not one.

    >>> count(1, "site"), count(2, "analysis", "analyses")
    ('1 site', '2 analyses')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A time span in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def nearest(name: str, known: Iterable[str]) -> str:
    """End of a message on an unknown name: the nearest one, and what exists."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    shown = ", ".join(known[:12]) + (", ..." if known[12:] else "")
    return f"{hint} (there are {shown})" if known else hint


def slug(name: str) -> str:
    """A name of a condition or contrast as part of a file name."""
    return "".join(one if one.isalnum() else "-" for one in name)

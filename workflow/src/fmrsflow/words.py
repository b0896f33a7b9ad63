"""Words for numbers in messages: counts with their noun, durations."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """A number and its noun, plural where it is not one: `1 site`, `2 sites`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """A time span in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

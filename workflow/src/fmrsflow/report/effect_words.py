"""A change and its interval in words: what is said follows the interval, never the estimate alone.

A rise or a fall (of a difference: higher or lower) is stated only where the interval leaves zero
out; otherwise the sentence says that neither is shown.
"""

from __future__ import annotations

from fmrsflow.question import Question
from fmrsflow.report.render import signed


def holds_zero(low: float, high: float) -> bool:
    """Whether an interval leaves open that there is no change."""
    return not (low > 0 or high < 0)


def effect_words(asked: Question, value: float, low: float, high: float, over: str) -> str:
    """One sentence on a change, or on a difference of two, with its interval.

    Parameters
    ----------
    value, low, high : float
        Percent; of a difference points of percent change.
    over : str
        What it was found over, as "3 sites and 40 scans".
    """
    open_, amount = holds_zero(low, high), f"{abs(value):.1f}"
    # An end beside zero is not shown as zero, on which side it lies being the point.
    digits = 1 if all(round(one, 1) for one in (low, high) if one) else 2
    interval = f"{signed(low, digits)} to {signed(high, digits)}"
    if not asked.points:
        moved = f"changed by {signed(value)} %" if open_ else f"{_verb(value)} by {amount} %"
        words = (
            f"While the task ran, {asked.words} {moved} (95 % interval {interval} %) over {over}"
        )
        if open_:
            return f"{words}; no change at all is still possible: neither rise nor fall is shown."
        return f"{words}; the interval leaves no change out."
    first, second = asked.regions or asked.arms
    preposition = "in" if asked.regions else "under"
    moved = f"{amount} points {'higher' if value >= 0 else 'lower'}"
    if open_:
        moved = f"{signed(value)} points different"
    each = f", each {asked.arms[0]} less {asked.arms[1]}," if asked.regions and asked.arms else ""
    words = (
        f"The change of {asked.words} while the task ran{each} was {moved} {preposition} {first} "
        f"than {preposition} {second} in the same people (95 % interval of the difference "
        f"{interval} points) over {over}"
    )
    if open_:
        return f"{words}; no difference at all is still possible: none is shown either way."
    return f"{words}; the interval leaves no difference out."


def _verb(value: float) -> str:
    return "rose" if value >= 0 else "fell"


def what_is_asked(asked: Question) -> str:
    """What the numbers of a chart or sentence are, for captions."""
    words = f"Change of {asked.words} while the task runs"
    if not asked.points:
        return words
    parts = [f"{pair[0]} less {pair[1]}" for pair in (asked.regions, asked.arms) if pair]
    return f"{words}, {' and '.join(parts)} of the same person"


def unit_of(asked: Question) -> str:
    """Unit of a change, or of a difference of two."""
    return "points" if asked.points else "%"

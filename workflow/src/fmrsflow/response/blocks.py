"""Change of single blocks of a scan: habituation, and drift where nothing is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.constants import Z95
from fmrsflow.response.change import Change, cannot, percent_change, pooled
from fmrsflow.response.estimators import Course


def halves_of_rest(course: np.ndarray, errors: np.ndarray, labels: Sequence[str], rest: str):
    """Percent change from the first to the second half of rest: a negative control.

    Parameters
    ----------
    course, errors : arrays (n,)
        Amplitudes in the order of time (transients or blocks) with their SE.
    labels : sequence of str
    """
    chosen = np.array([label == rest for label in labels]) & np.isfinite(course)
    chosen &= np.isfinite(errors) & (errors > 0)
    index = np.flatnonzero(chosen)
    if len(index) < 2:
        return cannot("rest has one block")
    first, second = np.array_split(index, 2)
    (a, a_se), (b, b_se) = (pooled(course[half], errors[half]) for half in (first, second))
    return percent_change(a, b, np.diag([a_se**2, b_se**2]))


@dataclass(frozen=True)
class Block:
    """Change of one block against the mean of all rest."""

    block: int
    condition: str
    time_s: float
    change: Change


def change_per_block(
    values: np.ndarray,
    errors: np.ndarray,
    labels: Sequence[str],
    time_s: np.ndarray,
    rest: str,
) -> list[Block]:
    """Percent change of every block that is not rest (habituation)."""
    there = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    resting = there & np.array([label == rest for label in labels])
    if not resting.any():
        return []
    mean, se = pooled(values[resting], errors[resting])
    return [
        Block(
            int(j),
            labels[j],
            float(time_s[j]),
            percent_change(mean, float(values[j]), np.diag([se**2, errors[j] ** 2])),
        )
        for j in np.flatnonzero(there & ~resting)
    ]


def habituation(blocks: Sequence[Block]) -> Change:
    """Slope of the change over the blocks of a task, percent per block.

    The common resting value moves all blocks alike and does not enter the slope's error.
    """
    used = [one for one in blocks if math.isfinite(one.change.se) and one.change.se > 0]
    if len(used) < 2:
        return cannot("the task has one block")
    y = np.array([one.change.percent for one in used])
    weights = np.array([one.change.se for one in used]) ** -2.0
    x = np.arange(len(used), dtype=float)
    x -= weights @ x / weights.sum()
    slope = float((weights * x) @ y / ((weights * x) @ x))
    se = float(((weights * x) @ x) ** -0.5)
    return Change(slope, se, slope - Z95 * se, slope + Z95 * se)


def block_rows(course: Course, rest: str) -> list[dict]:
    """Rows of blocks.tsv: the change of each block, and of the second half of rest."""
    measured = (course.amplitude, course.se, course.conditions)
    same = {"scan": course.scan, "metabolite": course.metabolite}
    rows = [
        {
            **same,
            "block": one.block,
            "condition": one.condition,
            "time_s": one.time_s,
            "change_percent": one.change.percent,
            "se_percent": one.change.se,
        }
        for one in change_per_block(*measured, course.time_s, rest)
    ]
    halves = halves_of_rest(*measured, rest)
    last = {
        **same,
        "block": None,
        "condition": "second half of rest against first",
        "time_s": None,
        "change_percent": halves.percent,
        "se_percent": halves.se,
    }
    return [*rows, last]

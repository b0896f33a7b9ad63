"""Change of single blocks of a scan: habituation, and drift where nothing is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.constants import Z95
from fmrsflow.response.change import Change, cannot
from fmrsflow.response.timecourse import Course


def halves_of_rest(course: Course, rest: str) -> Change:
    """Percent change from the first to the second half of rest: a negative control."""
    index = course.of(rest)
    if len(index) < 2:
        return cannot("rest has one block")
    return course.change(*(course.weights(half) for half in np.array_split(index, 2)))


@dataclass(frozen=True)
class Block:
    """Change of one block against the mean of all rest."""

    block: int
    condition: str
    time_s: float
    change: Change


def change_per_block(course: Course, rest: str) -> list[Block]:
    """Percent change of every block that is not rest."""
    resting = course.of(rest)
    if not len(resting):
        return []
    mean, each = course.weights(resting), np.eye(len(course.values))
    others = np.setdiff1d(np.flatnonzero(course.there), resting)
    return [
        Block(int(j), course.conditions[j], float(course.time_s[j]), course.change(mean, each[j]))
        for j in others
    ]


def habituation(course: Course, rest: str, task: str) -> Change:
    """Slope of the change over the blocks of a task, percent of rest per block.

    The resting value moves all blocks alike and does not enter the slope's error.
    """
    used, resting = course.of(task), course.of(rest)
    if len(used) < 2:
        return cannot("the task has one block")
    if not len(resting):
        return cannot("no block of rest was fitted")
    base = float(course.weights(resting) @ np.where(course.there, course.values, 0.0))
    if not base > 0:
        return cannot("the fit found nothing at rest")
    covariance = course.covariance[np.ix_(used, used)]
    # What all blocks have in common is no slope: any such error may be added.
    whole = covariance + np.trace(covariance)
    design = np.stack([np.ones(len(used)), np.arange(len(used))], axis=1)
    weighed = np.linalg.solve(whole, design)
    spread = np.linalg.inv(design.T @ weighed)
    slope = 100 * float((spread @ weighed.T @ course.values[used])[1]) / base
    se = 100 * float(np.sqrt(spread[1, 1])) / base
    return Change(slope, se, slope - Z95 * se, slope + Z95 * se)


def block_rows(course: Course, rest: str) -> list[dict]:
    """Rows of blocks.tsv: the change of each block, and of the second half of rest."""
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
        for one in change_per_block(course, rest)
    ]
    halves = halves_of_rest(course, rest)
    last = {
        **same,
        "block": None,
        "condition": "second half of rest against first",
        "time_s": None,
        "change_percent": halves.percent,
        "se_percent": halves.se,
    }
    return [*rows, last]

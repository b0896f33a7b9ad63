"""Blocks of a task from the rows of its events.tsv."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmrsflow.errors import DataError

SETTLE_S = 14.0
"""Time that a response needs to come back to its baseline after the stimulus ends."""


def blocks_of(
    events: Sequence[dict], rest: Sequence[str] = (), merge_gap_s: float = 2.0
) -> dict[str, np.ndarray]:
    """Blocks of each condition, conditions sorted by name.

    Stimuli of one condition that follow each other within `merge_gap_s` are one block.

    Parameters
    ----------
    events : sequence of dict
        From `events.events_of`.
    rest : sequence of str
        Trial types that are no condition but the baseline.

    Returns
    -------
    dict
        Condition to an array (n_blocks, 2) of onset and duration in s.

    Raises
    ------
    DataError
        No condition left.
    """
    rows = [
        (row["onset"], row["duration"], row["trial_type"])
        for row in events
        if row["trial_type"] not in rest
    ]
    if not rows:
        raise DataError(
            f"the events of the BOLD run name no condition beside the baseline ({', '.join(rest)})"
        )
    rows.sort()
    merged: list[list] = []
    for onset, duration, name in rows:
        last = merged[-1] if merged else None
        if last and last[2] == name and onset - last[1] < merge_gap_s:
            last[1] = max(last[1], onset + duration)
        else:
            merged.append([onset, onset + duration, name])
    names = sorted({name for *_, name in merged})
    return {
        name: np.array([[on, off - on] for on, off, one in merged if one == name]) for name in names
    }


def check_blocks(blocks: dict[str, np.ndarray], length_s: float) -> None:
    """Whether the blocks belong to a run of that length.

    Raises
    ------
    DataError
        A condition of which no block lies within the run, or onsets that look like ms.
    """
    last = max(float(one[:, 0].max()) for one in blocks.values())
    if last > 50 * length_s:
        raise DataError(
            f"the last event of the BOLD run starts at {last:g} s and the run lasts "
            f"{length_s:g} s: the onsets seem to be in ms; BIDS wants seconds"
        )
    for name, one in blocks.items():
        if not ((one[:, 0] < length_s) & (one.sum(axis=1) > 0)).any():
            raise DataError(
                f"no block of condition {name} lies within the BOLD run of {length_s:g} s "
                f"(first onset {one[0, 0]:g} s); check that the events belong to this run"
            )


def timing_warnings(blocks: dict[str, np.ndarray], window_s: float) -> list[str]:
    """What the spacing and length of the blocks do to the area under a response.

    A window of `window_s` counts from the onset of a block. Where the next block begins before
    the window is over and 10 s of baseline have passed, responses must be told apart from each
    other and from the baseline by the model alone.
    """
    onsets = np.sort(np.concatenate([one[:, 0] for one in blocks.values()]))
    longest = max(float(one[:, 1].max()) for one in blocks.values())
    warnings = []
    if len(onsets) > 1 and np.diff(onsets).min() < window_s + 10 - 0.5:
        warnings.append(
            f"blocks begin {np.diff(onsets).min():.1f} s after each other, less than the window of "
            f"{window_s:g} s + 10 s: the error of the area under the curve grows"
        )
    if longest + SETTLE_S > window_s + 0.5:
        warnings.append(
            f"a block lasts {longest:.1f} s and its response about {SETTLE_S:g} s longer, the "
            f"window {window_s:g} s: the end of the response is not in the area under the curve"
        )
    return warnings


def boxcar(times_s: np.ndarray, step_s: float, blocks: np.ndarray) -> np.ndarray:
    """Share of each step (centred at `times_s`) that lies within a block, (n_times,).

    A block of no duration counts as one step.
    """
    low, high = times_s - step_s / 2, times_s + step_s / 2
    found = np.zeros(len(times_s))
    for onset, duration in blocks:
        end = onset + max(duration, step_s)
        found += np.clip(np.minimum(high, end) - np.maximum(low, onset), 0, None) / step_s
    return np.minimum(found, 1.0)

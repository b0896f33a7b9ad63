"""Transients that stand out in the model's own directions.

A transient that moved, lost signal or was not inverted differs from the others in gain, phase,
frequency or width, and there by far more than noise: its distance in these four finds it, whatever
its distance in the spectrum.
"""

from __future__ import annotations

import numpy as np

from fmrsflow.fit.directions import GAIN, LORENTZ, PHASE, SHIFT, Directions

LIMIT = 4.0
"""Distance from the others beyond which a transient is cut, in standard deviations; four normal
deviates are beyond it in 0.3 %."""

PARTS = (GAIN, PHASE, SHIFT, LORENTZ)
LEAST = (0.002, 0.002, 0.02, 0.02)
"""Directions that are looked at, and the smallest standard deviation that is counted with in each
(relative, rad, Hz, Hz): a transient that is nearer to the others is not corrupted, however good
they are."""

MAX_ROUNDS = 20


def conspicuous(
    directions: Directions,
    rows: np.ndarray,
    courses: np.ndarray,
    kept: np.ndarray,
    taken: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Which transients stand out, and how far each is turned.

    Parameters
    ----------
    rows : array (n, 2 n_points)
        Transients, less the mean of those that are kept.
    courses : array (n, n_courses)
        What amplitudes and widths may follow is no deviation.
    kept : bool array (n,)
        To begin with.
    taken : array (n, 2)
        Phase (rad) and frequency (Hz) that was taken off each before.

    Returns
    -------
    cut : bool array (n,)
    turns : array (n, 2)
        Phase and frequency that is left.
    """
    # Orthonormal: noise is independent in each, and gain is gain alone.
    q, r = np.linalg.qr(directions.flat[list(PARTS)].T)
    size = np.abs(np.diag(r)) * LEAST
    places = rows @ q
    turns = np.linalg.solve(r, places.T).T[:, 1:3]
    places = places + taken @ r[:, 1:3].T
    wide = np.column_stack([np.ones(len(rows)), courses])
    rank = np.linalg.matrix_rank(wide)
    for _ in range(MAX_ROUNDS):
        fitted = wide @ np.linalg.lstsq(wide[kept], places[kept], rcond=None)[0]
        rest = places - fitted
        # Of normal deviates the median size is 0.6745 SD; the fit took a part of them.
        spread = np.median(np.abs(rest[kept]), axis=0) / 0.6745
        spread *= np.sqrt(kept.sum() / max(kept.sum() - rank, 1))
        distance = np.sqrt(np.sum((rest / np.maximum(spread, size)) ** 2, axis=1))
        now = distance <= LIMIT
        fits = now.sum() >= rank + 2 and np.linalg.matrix_rank(wide[now]) == rank
        if not fits or np.array_equal(now, kept):
            break
        kept = now
    return ~kept, turns

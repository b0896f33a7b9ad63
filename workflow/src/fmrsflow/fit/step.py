"""A Levenberg-Marquardt step within limits."""

from __future__ import annotations

import numpy as np

MAX_CHANGES = 40
"""Most times that the set of parameters on their limits is changed in a step; it takes a few."""


def bounded_step(
    gradient: np.ndarray,
    hessian: np.ndarray,
    point: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    damping: float,
) -> tuple[np.ndarray, float]:
    """Step of the damped quadratic model that stays within the limits, and the gain it predicts.

    The best of all steps within the limits, by a primal-dual active set (Hintermueller, Ito &
    Kunisch 2002, doi:10.1137/S1052623401383558): parameters that a step would carry past a limit
    are put on it, those on a limit that would lower the residual by leaving it are let go, until
    there are none. The gain is that without damping; it is not negative where such an end is found.

    Parameters
    ----------
    gradient, hessian : arrays (n,), (n, n)
        J'r and J'J of a sum of squares.
    point, lower, upper : arrays (n,)
        Equal limits hold a parameter.
    damping : float
        Share of the diagonal that is added to it.
    """
    fixed = upper <= lower
    low, high = lower - point, upper - point
    held_low, held_high = (low >= 0) & (gradient < 0), (high <= 0) & (gradient > 0)
    damped = hessian.copy()
    damped.flat[:: len(point) + 1] *= 1 + damping
    slack = 1e-12 * (1 + np.abs(point))
    for _ in range(MAX_CHANGES):
        held = fixed | held_low | held_high
        step = np.where(held_low, low, np.where(held_high, high, 0.0))
        free = np.flatnonzero(~held)
        rows = damped[free]
        step[free] = np.linalg.solve(rows[:, free], gradient[free] - rows @ step)
        below, above = ~held & (step < low - slack), ~held & (step > high + slack)
        left = gradient - damped @ step if (held_low | held_high).any() else gradient
        up, down = held_low & (left > 0), held_high & (left < 0)
        if not (below | above | up | down).any():
            break
        held_low, held_high = (held_low & ~up) | below, (held_high & ~down) | above
    step = np.minimum(np.maximum(step, low), high)
    step[fixed] = 0.0
    return step, float(2 * gradient @ step - step @ hessian @ step)

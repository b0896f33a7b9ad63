"""A Levenberg-Marquardt step within limits."""

from __future__ import annotations

import numpy as np


def bounded_step(
    gradient: np.ndarray,
    hessian: np.ndarray,
    point: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    damping: float,
) -> tuple[np.ndarray, float]:
    """Step of the damped quadratic model that stays within the limits, and the gain it predicts.

    Parameters that a step would carry past a limit are put on it and the others solved again;
    parameters on a limit that would leave the allowed range stay.

    Parameters
    ----------
    gradient, hessian : arrays (n,), (n, n)
        J'r and J'J of a sum of squares.
    point, lower, upper : arrays (n,)
        Equal limits hold a parameter.
    damping : float
        Share of the diagonal that is added to it.
    """
    held = (upper <= lower) | ((point <= lower) & (gradient < 0))
    held |= (point >= upper) & (gradient > 0)
    damped = hessian.copy()
    damped.flat[:: len(point) + 1] *= 1 + damping
    step = np.zeros_like(point)
    for _ in range(len(point)):
        free = np.flatnonzero(~held)
        if not len(free):
            break
        rows = damped[free]
        # What is held has its step already.
        wanted = gradient[free] - rows @ np.where(held, step, 0.0)
        step[free] = np.linalg.solve(rows[:, free], wanted)
        inside = np.minimum(np.maximum(point + step, lower), upper) - point
        past = ~held & (np.abs(inside - step) > 1e-12 * (1 + np.abs(point)))
        if not past.any():
            break
        step[past] = inside[past]
        held |= past
    return step, float(2 * gradient @ step - step @ hessian @ step)

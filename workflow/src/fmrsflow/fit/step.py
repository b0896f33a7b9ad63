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
    damped = hessian + damping * np.diag(np.diag(hessian))
    step = np.zeros_like(point)
    for _ in range(len(point)):
        free = np.flatnonzero(~held)
        if not len(free):
            break
        wanted = gradient[free] - damped[np.ix_(free, np.flatnonzero(held))] @ step[held]
        step[free] = np.linalg.solve(damped[np.ix_(free, free)], wanted)
        inside = np.clip(point + step, lower, upper) - point
        past = ~held & (np.abs(inside - step) > 1e-12 * (1 + np.abs(point)))
        step[past] = inside[past]
        if not past.any():
            break
        held |= past
    return step, float(2 * gradient @ step - step @ hessian @ step)

"""Haemodynamic response function and neural time grids."""

from __future__ import annotations

import numpy as np

LENGTH_S = 32.0


def hrf(
    time_s: np.ndarray, peak_s: float = 6.0, undershoot_s: float = 16.0, ratio: float = 1 / 6
) -> np.ndarray:
    """Canonical double gamma response (Friston 1998; SPM's default), area 1 over `LENGTH_S`.

    Parameters
    ----------
    time_s : array
        From a brief neural event; 0 before it.
    peak_s, undershoot_s : float
        Shape parameters of the two gamma densities of unit scale.
    ratio : float
        Undershoot over peak.
    """
    from scipy.stats import gamma

    def double_gamma(t):
        return gamma.pdf(t, peak_s) - ratio * gamma.pdf(t, undershoot_s)

    area = gamma.cdf(LENGTH_S, peak_s) - ratio * gamma.cdf(LENGTH_S, undershoot_s)
    return np.where(time_s <= LENGTH_S, double_gamma(np.asarray(time_s, float)), 0.0) / area


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

"""The haemodynamic response to a brief neural event (docs/science.md#haemodynamic-response).

h(t) = g(t; a) - g(t; b) / c with g(t; a) = t^(a-1) exp(-t) / Gamma(a), t in s: the double gamma
function of Friston et al. 1998 (NeuroImage 7:30) with the parameters of SPM's `spm_hrf`: delay of
the response a = 6, of the undershoot b = 16, ratio c = 6, length 32 s. A delay is the mean of its
gamma density; the density peaks one second earlier, so that the response is highest 5 s after the
event and lowest about 15.7 s after it.
"""

from __future__ import annotations

import numpy as np

DELAY_S = 6.0
UNDERSHOOT_S = 16.0
RATIO = 6.0
"""Area of the response's density over that of the undershoot's."""

LENGTH_S = 32.0
"""Time after which the response counts as over."""


def double_gamma(
    time_s: np.ndarray,
    delay_s: float = DELAY_S,
    undershoot_s: float = UNDERSHOOT_S,
    ratio: float = RATIO,
) -> np.ndarray:
    """h(t) at times after the event, 1/s; 0 before it."""
    # What scipy.stats.gamma.pdf computes; importing scipy.stats would take longer than the fit.
    from scipy.special import gammaln, xlogy

    after = np.asarray(time_s, float)
    time = np.maximum(after, 0.0)

    def density(shape):
        """Density of the gamma distribution of unit scale at the times after the event."""
        return np.exp(xlogy(shape - 1.0, time) - time - gammaln(shape))

    return np.where(after < 0, 0.0, density(delay_s) - density(undershoot_s) / ratio)


def response(time_s: np.ndarray) -> np.ndarray:
    """h(t) with its area from 0 to `LENGTH_S` scaled to 1, 0 outside of it; 1/s."""
    area = _area(LENGTH_S)
    return np.where(np.asarray(time_s) <= LENGTH_S, double_gamma(time_s), 0.0) / area


def step_response(time_s: np.ndarray) -> np.ndarray:
    """Integral of `response` from the onset to times after it: response to a stimulation without
    end, 1 from `LENGTH_S` on; exceeds 1 before the undershoot."""
    return _area(np.clip(np.asarray(time_s, float), 0.0, LENGTH_S)) / _area(LENGTH_S)


def _area(time_s):
    """Integral of the double gamma function from 0 on."""
    from scipy.special import gammainc

    return gammainc(DELAY_S, time_s) - gammainc(UNDERSHOOT_S, time_s) / RATIO


def kernel(
    step_s: float,
    first_s: float = 0.0,
    length_s: float = LENGTH_S,
    delay_s: float = DELAY_S,
    undershoot_s: float = UNDERSHOOT_S,
) -> np.ndarray:
    """Weights of a discrete convolution that sum to 1, so that a long block reaches 1.

    Parameters
    ----------
    step_s, first_s, length_s : float
        h is sampled every `step_s` from `first_s` to below `length_s`: 0 samples the start of each
        step, half a step its middle.
    delay_s, undershoot_s : float
    """
    sampled = double_gamma(np.arange(first_s, length_s, step_s), delay_s, undershoot_s)
    return sampled / sampled.sum()

"""Series of edited spectra that no header names: NAA comes and goes with the editing pulse.

A pulse at 1.9 ppm, which edits GABA, saturates NAA's singlet at 2.01 ppm: it stands in some
transients of a series and not in the others, in turn (MEGA: Mescher 1998; HERMES, HERCULES: every
fourth, two on and two off, Chan 2016) or one half of the series after the other. tCr and tCho stay.
"""

from __future__ import annotations

import numpy as np

from fmrsflow.fids import CARRIER_PPM, Fids, to_spectrum

NAA_PPM = (1.85, 2.17)
STAYING_PPM = (2.90, 3.35)
"""Windows that hold NAA, and tCr and tCho, whatever the drift."""

WIDTH_HZ = 4.0
"""Lorentzian broadening before heights are read: it matches the lines of a scan."""

LEAST_LOG = np.log(1.5)
"""Least difference of the logarithm of NAA over tCr and tCho between states that take turns: a
factor of 1.5. Editing leaves of NAA what stands beside it, less than half; no stimulation, drift or
movement takes a third of NAA from every other transient."""

LEAST_LOG_HALVES = np.log(2.0)
"""The same between halves of a series: what moves once stays moved."""

LEAST_T = 6.0
"""Least difference in its standard errors."""


def edited_states(fids: Fids) -> str:
    """What tells that the transients are of different editing states; "" where nothing does.

    Heights are magnitudes, so that neither phase nor drift counts. Noise alone makes no state.
    """
    n = fids.n_transients
    if n < 4:
        return ""
    windows = _windows(fids)
    if not all(window.any() for window in windows):
        return ""  # a width that holds neither
    ratios = _log_ratios(fids, windows)
    number = np.arange(n)
    patterns = {
        "odd and even transients": number % 2 == 0,
        "transients 1, 2 and 3, 4 of each four": number % 4 < 2,
        "transients 1, 4 and 2, 3 of each four": (number + 1) % 4 < 2,
        "the first and the second half of the transients": number < n // 2,
    }
    for name, one in patterns.items():
        least = LEAST_LOG_HALVES if "half" in name else LEAST_LOG
        a, b = ratios[one], ratios[~one]
        if min(len(a), len(b)) < 2:
            continue
        apart = abs(np.mean(a) - np.mean(b))
        error = np.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
        if apart > least and apart > LEAST_T * error:
            return f"NAA of {name} differs by a factor of {np.exp(apart):.1f}"
    return ""


def _windows(fids: Fids) -> list[np.ndarray]:
    """Points of NAA, and of tCr and tCho."""
    ppm = fids.ppm + CARRIER_PPM - fids.carrier_ppm
    return [(ppm >= low) & (ppm <= high) for low, high in (NAA_PPM, STAYING_PPM)]


def _log_ratios(fids: Fids, windows: list[np.ndarray]) -> np.ndarray:
    """Logarithm of NAA's height over that of tCr or tCho in each transient, (n,)."""
    decay = np.exp(-np.pi * WIDTH_HZ * fids.time_s)
    found = np.empty(fids.n_transients)
    for j in range(fids.n_transients):
        power = (np.abs(to_spectrum(fids.data[j] * decay)) ** 2).sum(axis=0)
        naa, staying = (power[inside].max() for inside in windows)
        found[j] = 0.5 * np.log(naa / staying) if naa > 0 and staying > 0 else 0.0
    return found

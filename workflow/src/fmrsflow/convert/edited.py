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

LEAST_SHARE = 0.25
"""Least share of the transients in one of two states whose order no pattern tells."""

METABOLITES_PPM = (1.85, 4.15)
"""Window in which transients that take turns are compared as a whole."""

LEAST_DIFFERENCE = 0.04
"""Least norm of their difference over that of the signal. Measured series without editing have up
to 0.02 beyond noise (3T, 7T, 1.5T phantom, drift of 13 Hz), a MEGA series 0.2."""

LEAST_OVER_NOISE = 12.0
"""Least power of that difference over the noise's: drifts alone give up to 8."""

TAIL_PPM = 0.09
"""Lines narrower than this stay, tails of water go: the FID is windowed so that the spectrum is its
own second difference over so much."""

ALIGNED_HZ = np.arange(-4.0, 4.01, 0.2)
"""Shifts under which the means are compared."""


DRIFT = (
    " (or the frequency drifts so far that NAA leaves its window: then correct that before the "
    "export)"
)
"""Beside halves of a series that differ."""


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
    patterns = _turns(n) | {"the first and the second half of the transients": number < n // 2}
    for name, one in patterns.items():
        least = LEAST_LOG_HALVES if "half" in name else LEAST_LOG
        a, b = ratios[one], ratios[~one]
        if min(len(a), len(b)) < 2:
            continue
        apart = abs(np.mean(a) - np.mean(b))
        error = np.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
        if apart > least and apart > LEAST_T * error:
            drift = DRIFT if "half" in name else ""
            return f"NAA of {name} differs by a factor of {np.exp(apart):.1f}{drift}"
    return _two_heights(ratios)


def turning(fids: Fids) -> str:
    """What tells that transients which take turns differ in more than NAA; "" where nothing does.

    An editing pulse at 4.56 ppm (GSH) leaves the singlets as they are, and takes turns with what
    couples to there: GSH at 2.95, the aspartyl group of NAA at 2.5 to 2.7 ppm. Spurious echoes in
    a phase cycle do so too, so that this is no proof of editing.
    """
    if fids.n_transients < 8:
        return ""
    for name, one in _turns(fids.n_transients).items():
        share, over_noise = _difference(fids, one)
        if share > LEAST_DIFFERENCE and over_noise > LEAST_OVER_NOISE:
            return (
                f"{name} differ by {100 * share:.0f} % of the signal between "
                f"{METABOLITES_PPM[0]:g} and {METABOLITES_PPM[1]:g} ppm: edited spectra (a pulse "
                "at 4.56 ppm edits GSH), or echoes under a phase cycle; if they are edited, leave "
                "this scan out"
            )
    return ""


def _turns(n: int) -> dict[str, np.ndarray]:
    """Orders in which states take turns: name -> which transients are of the first."""
    number = np.arange(n)
    return {
        "odd and even transients": number % 2 == 0,
        "transients 1, 2 and 3, 4 of each four": number % 4 < 2,
        "transients 1, 4 and 2, 3 of each four": (number + 1) % 4 < 2,
    }


def _two_heights(ratios: np.ndarray) -> str:
    """Whether the heights of NAA are of two kinds with nothing between, in whatever order: blocks
    of on and off, lists that were sorted."""
    ordered, n = np.sort(ratios), len(ratios)
    least = max(2, int(np.ceil(LEAST_SHARE * n)))
    if n < 2 * least:
        return ""
    gaps = np.diff(ordered)[least - 1 : n - least]
    first = least + int(np.argmax(gaps))
    low, high = ordered[:first], ordered[first:]
    apart, within = high.mean() - low.mean(), max(low.std(ddof=1), high.std(ddof=1))
    if apart > LEAST_LOG_HALVES and gaps.max() > apart / 3 and apart > LEAST_T * within:
        return (
            f"NAA is of two heights, {np.exp(apart):.1f} times apart, in {len(low)} and "
            f"{len(high)} transients"
        )
    return ""


def _difference(fids: Fids, one: np.ndarray) -> tuple[float, float]:
    """Norm of the difference of two means beyond noise over that of the signal, and its power over
    the noise's. In the strongest coil; scale, phase and shift of the second mean are those that
    leave the least."""
    ppm = fids.ppm + CARRIER_PPM - fids.carrier_ppm
    band = (ppm >= METABOLITES_PPM[0]) & (ppm <= METABOLITES_PPM[1])
    quiet = (ppm <= 0.0) & (ppm >= max(-2.0, ppm[0] + 0.2))
    if not (band.any() and quiet.sum() > 8):
        return 0.0, 0.0
    coil = int(np.argmax((np.abs(fids.data) ** 2).sum(axis=(0, 2))))
    window = 1 - np.cos(2 * np.pi * TAIL_PPM * fids.frequency_mhz * fids.time_s)
    window = window * np.exp(-np.pi * WIDTH_HZ * fids.time_s)
    a, b = (fids.data[which, coil].mean(axis=0) * window for which in (one, ~one))
    target = to_spectrum(a)
    turns = np.exp(2j * np.pi * np.multiply.outer(ALIGNED_HZ, fids.time_s))
    others = to_spectrum(b * turns)
    inside = others[:, band]
    norms = (np.abs(inside) ** 2).sum(axis=1)
    if not (norms > 0).all() or not np.abs(target[band]).any():
        return 0.0, 0.0
    left = target - ((inside.conj() @ target[band]) / norms)[:, None] * others
    powers = (np.abs(left[:, band]) ** 2).mean(axis=1)
    best = int(np.argmin(powers))
    noise = float((np.abs(left[best][quiet]) ** 2).mean())
    signal = float((np.abs(target[band]) ** 2).mean())
    beyond = max(float(powers[best]) - noise, 0.0)
    return float(np.sqrt(beyond / signal)), float(powers[best]) / noise if noise > 0 else np.inf


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

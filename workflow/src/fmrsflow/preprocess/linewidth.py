"""Linewidth differences between conditions, and their matching.

BOLD narrows the lines while a task runs (Wilson, Finney & Clarke 2026). The width of each spectrum
relative to a template (the mean of all) comes from least squares in narrow windows round the
singlets of NAA, tCr and tCho: template with free amplitude of each singlet, common shift, phase and
Lorentzian width, and a complex straight line per window, which takes up what a change of glutamate
leaves there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import Fids, to_spectrum
from fmrsflow.quality import noise_sd

WINDOWS_PPM = ((1.94, 2.06), (2.95, 3.10), (3.14, 3.30))
"""Windows round NAA 2.01, tCr 3.03, tCho 3.22 ppm."""

ITERATIONS = 4

FILTER_HZ = 5.0
"""Lorentzian filter (Hz) of spectra and template alike. It changes no difference of widths, and
keeps the noise of the template, which the derivative by width multiplies with time, from diluting
the estimate (by a fifth at an SNR of 100)."""


@dataclass(frozen=True)
class Widths:
    """Width of each spectrum relative to the template.

    Attributes
    ----------
    width_hz : float array (n,)
        Lorentzian FWHM more than the template, Hz.
    se_hz : float array (n,)
        Standard error from the spectrum's own noise, Hz.
    shift_hz : float array (n,)
    """

    width_hz: np.ndarray
    se_hz: np.ndarray
    shift_hz: np.ndarray


@dataclass(frozen=True)
class Matching:
    """Widths of conditions and what matches them.

    Attributes
    ----------
    conditions : tuple of str
    width_hz, se_hz : float arrays (n_conditions,)
        Width relative to the mean of all conditions, and its standard error, Hz.
    added_hz, added_se_hz : float arrays (n_conditions,)
        Lorentzian width added to each condition, and its standard error, Hz; 0 for the broadest.
    """

    conditions: tuple[str, ...]
    width_hz: np.ndarray
    se_hz: np.ndarray
    added_hz: np.ndarray
    added_se_hz: np.ndarray


def relative_widths(
    fids: Fids, template: np.ndarray, windows_ppm: Sequence[tuple[float, float]] = WINDOWS_PPM
) -> Widths:
    """Lorentzian width of each transient (or average) over a template.

    Parameters
    ----------
    fids : Fids
        Spectra with lines in place, coils combined, shape (n, 1, n_points).
    template : complex array (n_points,)
        FID of the same lines with less noise.

    Returns
    -------
    Widths
    """
    masks = [(fids.ppm >= low) & (fids.ppm <= high) for low, high in windows_ppm]
    rows = np.concatenate([np.flatnonzero(mask) for mask in masks])
    time = fids.time_s
    filtered = np.exp(-np.pi * FILTER_HZ * time)
    data = to_spectrum(fids.transients * filtered)[:, rows]
    template = template * filtered
    n = fids.n_transients
    width, shift, se = np.zeros(n), np.zeros(n), np.zeros(n)
    noise = noise_sd(fids)
    for iteration in range(ITERATIONS):
        # The template moved to each spectrum's present width and shift.
        decay = np.exp((2j * np.pi * shift[:, None] - np.pi * width[:, None]) * time)
        moved = template * decay
        lines = to_spectrum(moved)[:, rows]
        by_width = to_spectrum(-np.pi * time * moved)[:, rows]
        by_shift = to_spectrum(2j * np.pi * time * moved)[:, rows]
        for j in range(n):
            design = _design(lines[j], by_width[j], by_shift[j], masks)
            inverse = np.linalg.pinv(design, rcond=1e-10)
            solution = inverse @ np.concatenate([data[j].real, data[j].imag])
            # Amplitudes come first, one a singlet; the steps are in units of a mean amplitude.
            size = np.mean(solution[: len(masks)])
            width[j] += np.clip(solution[-2] / size, -3, 3)
            shift[j] += np.clip(solution[-1] / size, -3, 3)
            if iteration == ITERATIONS - 1:
                # The filter makes neighbouring points of the noise depend on each other.
                weights = np.zeros(fids.n_points, complex)
                weights[rows] = inverse[-2, : len(rows)] - 1j * inverse[-2, len(rows) :]
                in_time = np.fft.fft(np.fft.ifftshift(weights)) * filtered
                se[j] = noise[j] * np.sqrt(np.mean(np.abs(in_time) ** 2)) / abs(size)
    return Widths(width, se, shift)


def match_linewidths(averages: Fids, conditions: Sequence[str], shares) -> tuple[Fids, Matching]:
    """Broaden the averages of all conditions to the broadest of them.

    Parameters
    ----------
    averages : Fids
        One FID a condition.
    conditions : sequence of str
    shares : array (n_conditions,)
        Weight of each condition in the template, such as its number of transients.
    """
    n = averages.n_transients
    if n == 1:
        zero = np.zeros(1)
        return averages, Matching(tuple(conditions), zero, zero, zero, zero)
    shares = np.asarray(shares, float) / np.sum(shares)
    template = shares @ averages.transients
    found = relative_widths(averages, template)
    widest = int(np.argmax(found.width_hz))
    added = found.width_hz[widest] - found.width_hz
    # The template's noise enters every width in the same way and drops out of a difference.
    error = np.sqrt(found.se_hz**2 + found.se_hz[widest] ** 2)
    error[widest] = 0.0
    matching = Matching(tuple(conditions), found.width_hz, found.se_hz, added, error)
    return averages.broadened(added), matching


def _design(lines, by_width, by_shift, masks) -> np.ndarray:
    sizes = [int(mask.sum()) for mask in masks]
    ends = np.cumsum(sizes)
    columns = []
    for end, size in zip(ends, sizes):
        column = np.zeros_like(lines)
        column[end - size : end] = lines[end - size : end]
        columns.append(column)
    baseline = []
    for end, size in zip(ends, sizes):
        for power in range(2):
            column = np.zeros_like(lines)
            column[end - size : end] = np.linspace(-1, 1, size) ** power
            baseline += [column, 1j * column]
    columns += baseline + [1j * lines, by_width, by_shift]
    complex_design = np.stack(columns, axis=1)
    return np.concatenate([complex_design.real, complex_design.imag])

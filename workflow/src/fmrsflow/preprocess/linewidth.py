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

from fmrsflow.exponentials import exponentials
from fmrsflow.fids import Fids, to_spectrum
from fmrsflow.noise import noise_shape
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
    ppm = fids.ppm
    masks = [(ppm >= low) & (ppm <= high) for low, high in windows_ppm]
    sizes = [int(mask.sum()) for mask in masks]
    rows = np.concatenate([np.flatnonzero(mask) for mask in masks])
    owner = np.repeat(np.arange(len(masks)), sizes)
    singlets = owner == np.arange(len(masks))[:, None]
    straight = _straight_lines(sizes)
    time = fids.time_s
    filtered = np.exp(-np.pi * FILTER_HZ * time)
    data = _real(to_spectrum(fids.transients * filtered)[:, rows])
    template = template * filtered
    n = fids.n_transients
    width, shift = np.zeros(n), np.zeros(n)
    for _ in range(ITERATIONS):
        # The template moved to each spectrum's present width and shift.
        rate = (2j * np.pi * shift - np.pi * width) * fids.dwell_s
        moved = template * exponentials(rate, fids.n_points)
        aged = time * moved
        lines = to_spectrum(moved)[:, None, rows]
        aged = to_spectrum(aged)[:, None, rows]
        columns = [lines * singlets, 1j * lines, -np.pi * aged, 2j * np.pi * aged]
        design = _real(np.concatenate(columns, axis=1))
        # What the straight lines explain has no part in the rest of the solution.
        design -= (design @ straight.T) @ straight
        norm = np.linalg.norm(design, axis=-1, keepdims=True)
        design /= norm
        inverse = np.linalg.solve(design @ design.swapaxes(1, 2), design) / norm
        solution = np.einsum("jcr,jr->jc", inverse, data)
        # Amplitudes come first, one a singlet; the steps are in units of a mean amplitude.
        size = solution[:, : len(masks)].mean(axis=1)
        width += np.clip(solution[:, -2] / size, -3, 3)
        shift += np.clip(solution[:, -1] / size, -3, 3)
    # The filter makes neighbouring points of the noise depend on each other, as one before the
    # export does.
    weights = np.zeros((n, fids.n_points), complex)
    half = len(rows)
    weights[:, rows] = inverse[:, -2, :half] - 1j * inverse[:, -2, half:]
    in_time = np.fft.fft(np.fft.ifftshift(weights, axes=-1)) * filtered
    spread = np.mean(noise_shape(fids).power * np.abs(in_time) ** 2, axis=-1)
    se = noise_sd(fids) * np.sqrt(spread) / np.abs(size)
    return Widths(width, se, shift)


def _real(rows: np.ndarray) -> np.ndarray:
    """Complex rows as real ones: real parts, then imaginary parts."""
    return np.concatenate([rows.real, rows.imag], axis=-1)


def _straight_lines(sizes: list[int]) -> np.ndarray:
    """Orthonormal rows that span a complex straight line in each window, (4 windows, 2 points)."""
    ends = np.cumsum(sizes)
    lines = np.zeros((2 * len(sizes), ends[-1]))
    for number, (end, size) in enumerate(zip(ends, sizes)):
        lines[2 * number, end - size : end] = 1.0
        lines[2 * number + 1, end - size : end] = np.linspace(-1, 1, size)
    return np.kron(np.eye(2), np.linalg.qr(lines.T)[0].T)


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

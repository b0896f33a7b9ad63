"""Frequency and phase alignment by spectral registration (Near 2015; Mikkelsen 2020).

A transient s is registered to a target m by the shift f and phase p that minimise
sum_t |s(t) exp(-i (2 pi f t + p)) - m(t)|^2. Only the cross term depends on f and p, so the
least-squares f is the highest point of |P(f)|, the Fourier transform of s(t) m*(t), and p its
angle there: a global search by FFT, polished by Newton's method, for all transients at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import fft, next_fast_len

from fmrsflow.fids import Fids, to_fid, to_spectrum
from fmrsflow.quality import quiet_points

T_MAX_S = 0.1
"""Shortest part of the FID that registration uses, s (Mikkelsen 2020)."""

FAINT = 0.002
"""Registration ends where the signal's mean power has fallen to this share of its start."""

SMOOTH_S = 0.01
"""Window (s) over which that power is averaged."""

REFINEMENTS = 2
"""Passes over all transients against their weighted mean, after the running target."""


@dataclass(frozen=True)
class Alignment:
    """Result of `align`.

    Attributes
    ----------
    shift_hz, phase_deg : float arrays (n_transients,)
        What each transient had too much, relative to the common target; taken off it.
    weights : float array (n_transients,)
        1/d^2, d the median distance to the other transients after alignment; sum 1.
    distance : float array (n_transients,)
        d itself, relative to its median.
    t_max_s : float
        Part of the FID that was used, s.
    """

    shift_hz: np.ndarray
    phase_deg: np.ndarray
    weights: np.ndarray
    distance: np.ndarray
    t_max_s: float

    def after(self, first: Alignment) -> Alignment:
        """What both take off together, where this alignment followed `first`."""
        turned = (self.phase_deg + first.phase_deg + 180) % 360 - 180
        return replace(self, shift_hz=self.shift_hz + first.shift_hz, phase_deg=turned)


def align(
    fids: Fids,
    method: str = "robust",
    range_ppm: tuple[float, float] = (1.85, 4.2),
    max_shift_ppm: float = 0.3,
    water: np.ndarray | None = None,
) -> tuple[Fids, Alignment]:
    """Align transients in frequency and zero-order phase.

    Parameters
    ----------
    fids : Fids
        Coils combined.
    method : {"robust", "restricted", "none"}
        `robust` runs in the order of likeness against a moving target (Mikkelsen 2020), then
        against the weighted mean of all; `restricted` against the median, and sees `range_ppm`
        only (Near 2015); `none` leaves the transients as they are.
    range_ppm : pair of float
        Window of the restricted form.
    max_shift_ppm : float
        Largest shift that is looked for, ppm.
    water : complex array (n_transients, n_points), optional
        Residual water, which the registration must not see.

    Returns
    -------
    Fids, Alignment
    """
    n = fids.n_transients
    data = fids.transients if water is None else fids.transients - water
    if method not in ("robust", "restricted", "none"):
        raise ValueError(f"alignment method {method!r}: robust, restricted or none")
    max_shift_hz = max_shift_ppm * fids.frequency_mhz
    used = _used_points(data, fids.dwell_s)
    time_s = np.arange(used) * fids.dwell_s
    shift, phase = np.zeros(n), np.zeros(n)
    if n > 1 and method == "robust":
        seen = np.ascontiguousarray(data[:, :used])
        shift, phase = _robust(seen, time_s, max_shift_hz)
    elif n > 1 and method == "restricted":
        shift, phase = _restricted(fids.with_data(data), range_ppm, used, time_s, max_shift_hz)
    correction = _turn(shift, phase, fids.time_s)
    distance = median_distance(data[:, :used] * correction[:, :used])
    weights = distance_weights(distance)
    typical = np.median(distance) or 1.0
    found = Alignment(shift, np.rad2deg(phase), weights, distance / typical, used * fids.dwell_s)
    if method == "none":
        return fids, found
    return fids.with_data(fids.transients * correction), found


def register(data: np.ndarray, target: np.ndarray, time_s: np.ndarray, max_shift_hz: float):
    """Shift (Hz) and phase (rad) of each row of `data` (n, points) over `target` (points,).

    The exact least-squares solution within +-max_shift_hz.
    """
    product = data * target.conj()
    n_points = len(time_s)
    dwell = time_s[1] - time_s[0]
    length = next_fast_len(4 * n_points)
    spectrum = np.abs(fft(product, length, axis=-1))
    grid = np.fft.fftfreq(length, dwell)
    inside = np.flatnonzero(np.abs(grid) <= max_shift_hz)
    shift = grid[inside[np.argmax(spectrum[:, inside], axis=-1)]]
    step = 1 / (length * dwell)
    angle = -2j * np.pi * time_s
    for _ in range(4):
        turned = product * np.exp(shift[:, None] * angle)
        p0, p1, p2 = (turned @ (angle**k) for k in range(3))
        slope = (p0.conj() * p1).real
        curvature = np.abs(p1) ** 2 + (p0.conj() * p2).real
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = np.where(curvature < 0, -slope / curvature, 0.0)
        shift = np.clip(shift + np.clip(newton, -step, step), -max_shift_hz, max_shift_hz)
    phase = np.angle(np.sum(product * np.exp(shift[:, None] * angle), axis=-1))
    return shift, phase


def median_distance(data: np.ndarray) -> np.ndarray:
    """Median over the other transients of sum((Re s_j - Re s_k)^2) / points, shape (n,)."""
    real = data.real
    square = np.sum(real**2, axis=-1)
    distance = np.maximum(square[:, None] + square - 2 * real @ real.T, 0) / data.shape[-1]
    n = len(distance)
    if n < 2:
        return np.ones(n)
    others = distance[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    return np.median(others, axis=1)


def distance_weights(distance: np.ndarray) -> np.ndarray:
    """Weights 1/d^2 with sum 1 (Mikkelsen 2020); equal where distances are zero."""
    if not np.all(distance > 0):
        return np.full(len(distance), 1 / len(distance))
    weights = (np.median(distance) / distance) ** 2
    return weights / weights.sum()


def _used_points(data: np.ndarray, dwell_s: float) -> int:
    n_points = data.shape[-1]
    width = max(1, round(SMOOTH_S / dwell_s))
    power = np.mean(np.abs(data) ** 2, axis=0)
    signal = np.convolve(power - np.mean(power[quiet_points(n_points)]), np.full(width, 1 / width))
    signal = signal[width - 1 :]
    start = min(n_points, round(T_MAX_S / dwell_s))
    faint = np.flatnonzero(signal[start:] < FAINT * signal.max())
    return start + int(faint[0]) if len(faint) else n_points


def _turn(shift_hz: np.ndarray, phase_rad: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    return np.exp(-1j * (2 * np.pi * shift_hz[:, None] * time_s + phase_rad[:, None]))


def _robust(data: np.ndarray, time_s: np.ndarray, max_shift_hz: float):
    n = len(data)
    order = np.argsort(median_distance(data), kind="stable")
    shift, phase = np.zeros(n), np.zeros(n)
    target = data[order[0]]
    # The target depends on every transient before: this loop cannot be vectorised.
    for j in order[1:]:
        row = data[j : j + 1]
        shift[j : j + 1], phase[j : j + 1] = register(row, target, time_s, max_shift_hz)
        moved = row[0] * _turn(shift[j : j + 1], phase[j : j + 1], time_s)[0]
        norm = np.linalg.norm(moved.real) * np.linalg.norm(target.real)
        likeness = float(moved.real @ target.real) / norm if norm > 0 else 0.0
        weight = 0.5 * likeness**2
        target = (1 - weight) * target + weight * moved
    for _ in range(REFINEMENTS):
        moved = data * _turn(shift, phase, time_s)
        target = distance_weights(median_distance(moved)) @ moved
        shift, phase = register(data, target, time_s, max_shift_hz)
    return shift, phase


def _restricted(fids: Fids, range_ppm, used: int, time_s: np.ndarray, max_shift_hz: float):
    inside = (fids.ppm >= min(range_ppm)) & (fids.ppm <= max(range_ppm))
    shift, phase = np.zeros(fids.n_transients), np.zeros(fids.n_transients)
    # The window cuts what has moved; from the second pass on it sees corrected transients.
    for number in range(3):
        corrected = fids.transients * _turn(shift, phase, fids.time_s)
        windowed = to_fid(to_spectrum(corrected) * inside)[:, :used]
        target = np.median(windowed.real, axis=0) + 1j * np.median(windowed.imag, axis=0)
        if number == 0:
            target = windowed[np.argmin(median_distance(windowed))]
        more, turn = register(windowed, target, time_s, max_shift_hz)
        shift, phase = shift + more, phase + turn
    return shift, (phase + np.pi) % (2 * np.pi) - np.pi

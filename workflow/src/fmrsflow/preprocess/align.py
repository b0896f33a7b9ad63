"""Frequency and phase alignment by spectral registration (Near 2015; Mikkelsen 2020).

A transient s is registered to a target m by the shift f and phase p that minimise
sum_t |s(t) exp(-i (2 pi f t + p)) - m(t)|^2. Only the cross term depends on f and p, so the
least-squares f is the highest point of |P(f)|, the Fourier transform of s(t) m*(t), and p its
angle there: a global search by FFT, polished by Newton's method, for all transients at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fmrsflow.exponentials import exponentials
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
    correction = _turn(shift, phase, fids.n_points, fids.dwell_s)
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
    return _Search(time_s, max_shift_hz)(data, target)


class _Search:
    """`register` on one raster: its transforms are computed once for all targets."""

    def __init__(self, time_s: np.ndarray, max_shift_hz: float):
        self.limit = max_shift_hz
        self.n_points = len(time_s)
        self.dwell_s = time_s[1] - time_s[0]
        # Zero-filled four times; of that spectrum only what lies within the limit.
        self.step = 1 / (4 * self.n_points * self.dwell_s)
        count = int(max_shift_hz / self.step)
        self.grid = np.arange(-count, count + 1) * self.step
        rate = -2j * np.pi * self.grid * self.dwell_s
        self.transform = np.ascontiguousarray(exponentials(rate, self.n_points).T)
        angle = -2j * np.pi * time_s
        self.moments = np.stack([np.ones(self.n_points, complex), angle, angle**2], axis=1)

    def __call__(self, data: np.ndarray, target: np.ndarray):
        product = data * target.conj()
        shift = self.grid[np.argmax(np.abs(product @ self.transform), axis=-1)]
        for _ in range(4):
            p0, p1, p2 = (self._turned(product, shift) @ self.moments).T
            slope = (p0.conj() * p1).real
            curvature = np.abs(p1) ** 2 + (p0.conj() * p2).real
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = np.where(curvature < 0, -slope / curvature, 0.0)
            shift = shift + np.clip(newton, -self.step, self.step)
            shift = np.clip(shift, -self.limit, self.limit)
        return shift, np.angle(self._turned(product, shift).sum(axis=-1))

    def _turned(self, product: np.ndarray, shift_hz: np.ndarray) -> np.ndarray:
        rate = -2j * np.pi * shift_hz * self.dwell_s
        return product * exponentials(rate, self.n_points)


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


def _turn(shift_hz: np.ndarray, phase_rad: np.ndarray, n_points: int, dwell_s: float) -> np.ndarray:
    """What takes shift and phase off each transient, complex (n_transients, n_points)."""
    turn = exponentials(-2j * np.pi * shift_hz * dwell_s, n_points)
    return turn * np.exp(-1j * phase_rad)[:, None]


def _robust(data: np.ndarray, time_s: np.ndarray, max_shift_hz: float):
    n, used = data.shape
    search = _Search(time_s, max_shift_hz)
    order = np.argsort(median_distance(data), kind="stable")
    shift, phase = np.zeros(n), np.zeros(n)
    target = data[order[0]]
    # The target depends on every transient before: this loop cannot be vectorised.
    for j in order[1:]:
        row = data[j : j + 1]
        shift[j : j + 1], phase[j : j + 1] = search(row, target)
        moved = (row * _turn(shift[j : j + 1], phase[j : j + 1], used, search.dwell_s))[0]
        norm = np.linalg.norm(moved.real) * np.linalg.norm(target.real)
        likeness = float(moved.real @ target.real) / norm if norm > 0 else 0.0
        weight = 0.5 * likeness**2
        target = (1 - weight) * target + weight * moved
    for _ in range(REFINEMENTS):
        moved = data * _turn(shift, phase, used, search.dwell_s)
        target = distance_weights(median_distance(moved)) @ moved
        shift, phase = search(data, target)
    return shift, phase


def _restricted(fids: Fids, range_ppm, used: int, time_s: np.ndarray, max_shift_hz: float):
    inside = (fids.ppm >= min(range_ppm)) & (fids.ppm <= max(range_ppm))
    shift, phase = np.zeros(fids.n_transients), np.zeros(fids.n_transients)
    search = _Search(time_s, max_shift_hz)
    # The window cuts what has moved; from the second pass on it sees corrected transients.
    for number in range(3):
        corrected = fids.transients * _turn(shift, phase, fids.n_points, fids.dwell_s)
        windowed = to_fid(to_spectrum(corrected) * inside)[:, :used]
        target = np.median(windowed.real, axis=0) + 1j * np.median(windowed.imag, axis=0)
        if number == 0:
            target = windowed[np.argmin(median_distance(windowed))]
        more, turn = search(windowed, target)
        shift, phase = shift + more, phase + turn
    return shift, (phase + np.pi) % (2 * np.pi) - np.pi

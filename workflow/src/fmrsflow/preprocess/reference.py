"""Frequency reference: cross-correlation with unit lines of NAA, tCr and tCho (as Osprey does).

The maximum of a correlation is drawn aside by whatever stands beside the lines, by half a hertz in
frequency and ten degrees in phase. So it is the start of a fit of the three lines, with one shift,
one width and one phase, on straight baselines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fmrsflow.constants import SINGLETS_PPM
from fmrsflow.fids import Fids, to_spectrum

SEARCH_PPM = 0.4
"""Largest offset looked for; room-temperature phantoms stand about 0.2 ppm off."""

LIKELY_PPM = 0.25
"""SD of a Gaussian that weighs the correlation: among equal matches (a phantom with one line) the
nearest counts."""

WINDOW_PPM, WINDOW_HZ = 0.08, 7.0
"""Half width of the windows of the fit, the larger of the two: at 1.5T lines are wider in ppm."""

FIT_REACH_PPM = 0.03
"""Farthest that the fit may move from the maximum of the correlation."""


@dataclass(frozen=True)
class Reference:
    """Frequency (Hz) and zero-order phase (degrees) that the scan had too much.

    `roll_deg` is what NAA's phase is before that of tCr, and `roll_se_deg` its standard error under
    the residual of the fit; infinite where one of the lines is not there.
    """

    shift_hz: float
    phase_deg: float
    roll_deg: float = 0.0
    roll_se_deg: float = np.inf


def frequency_reference(fid: Fids) -> Reference:
    """Offset of an averaged FID (one transient, coils combined) from the lines' true places.

    The correlation is the modulus of the spectrum's sum over the lines: singlets of one phase
    add up, so it needs no phasing.
    """
    signal = fid.transients.mean(axis=0)
    start = _correlation_shift(fid, signal)
    scale = np.abs(signal).max()
    if scale == 0:
        return Reference(0.0, 0.0)
    return _fit(fid, signal / scale, start)


def apply_reference(fids: Fids, reference: Reference) -> Fids:
    """Take the offset in frequency and phase off every transient."""
    return fids.shifted(-reference.shift_hz).rotated(-reference.phase_deg)


def _correlation_shift(fid: Fids, signal: np.ndarray) -> float:
    length = 8 * fid.n_points
    padded = np.zeros(length, complex)
    # 4 Hz of smoothing, so that lines of a broad scan still add up.
    padded[: fid.n_points] = signal * np.exp(-np.pi * 4 * fid.time_s)
    spectrum = to_spectrum(padded)
    bin_hz = 1 / (length * fid.dwell_s)
    half = int(SEARCH_PPM * fid.frequency_mhz / bin_hz)
    offsets = np.arange(-half, half + 1)
    places = [round(fid.hz_at(line) / bin_hz) + length // 2 for line in SINGLETS_PPM]
    total = np.abs(sum(spectrum[(place + offsets) % length] for place in places))
    weight = np.exp(-0.5 * (offsets * bin_hz / fid.frequency_mhz / LIKELY_PPM) ** 2)
    return float(offsets[np.argmax(total * weight)] * bin_hz)


def line_offset(fid: Fids, ppm: float) -> tuple[float, float]:
    """By how much a line of an averaged FID stands off its place, Hz, and the standard error of
    that under the residual of a fit of this line alone; infinite where it ran into its limit.

    Parameters
    ----------
    fid : Fids
        One transient, coils combined, after `apply_reference`.
    """
    signal = fid.transients.mean(axis=0)
    scale = np.abs(signal).max()
    if scale == 0:
        return 0.0, np.inf
    lines = _fitted(fid, signal / scale, 0.0, (ppm,))
    shift, error = float(lines.found.x[0]), np.inf
    if not lines.found.active_mask[0]:
        slopes, rest = lines.found.jac, lines.found.fun
        variance = rest @ rest / max(1, len(rest) - slopes.shape[1] - 2 * lines.design.shape[1])
        error = float(np.sqrt(variance * np.linalg.pinv(slopes.T @ slopes)[0, 0]))
    return shift, error


def _fit(fid: Fids, signal: np.ndarray, start_hz: float) -> Reference:
    lines = _fitted(fid, signal, start_hz, SINGLETS_PPM)
    amplitudes, rest, design = lines.amplitudes[: len(SINGLETS_PPM)], lines.rest, lines.design
    variance = np.sum(np.abs(rest) ** 2) / max(1, rest.size - design.shape[1])
    covariance = variance * np.linalg.pinv(design.conj().T @ design).real
    # SE of a phase: that of one part of a complex amplitude, over its size.
    errors = np.sqrt(np.diag(covariance)[:2] / 2) / np.maximum(np.abs(amplitudes[:2]), 1e-30)
    return Reference(
        start_hz + float(lines.found.x[0]),
        float(np.rad2deg(np.angle(amplitudes.sum()))),
        float(np.rad2deg(np.angle(amplitudes[0] / amplitudes[1]))) if amplitudes[1] else 0.0,
        float(np.rad2deg(np.hypot(*errors))),
    )


class _Lines(NamedTuple):
    """Lines on straight baselines: solution of their common shift and widths, complex amplitudes
    (lines, then baselines), residual (points,) and design (points, amplitudes)."""

    found: Any
    amplitudes: np.ndarray
    rest: np.ndarray
    design: np.ndarray


def _fitted(fid: Fids, signal: np.ndarray, start_hz: float, lines_ppm: tuple[float, ...]) -> _Lines:
    """Lines (ppm) of a FID (n_points,) of size 1, from an offset on."""
    from scipy.optimize import least_squares

    time = fid.time_s
    moved = to_spectrum(signal * np.exp(-2j * np.pi * start_hz * time))
    half_ppm = max(WINDOW_PPM, WINDOW_HZ / fid.frequency_mhz)
    masks = [np.abs(fid.ppm - line) <= half_ppm for line in lines_ppm]
    rows = np.concatenate([np.flatnonzero(mask) for mask in masks])
    sizes = [int(mask.sum()) for mask in masks]
    data = moved[rows]
    owner = np.repeat(np.arange(len(masks)), sizes)
    ramp = np.concatenate([np.linspace(-1, 1, size) for size in sizes])
    baseline = [(owner == k) * ramp**power for k in range(len(masks)) for power in range(2)]
    places = np.array([fid.hz_at(line) for line in lines_ppm])

    def lines(parameters):
        """Spectra of the lines under a shift (Hz) and widths (Hz)."""
        shift, lorentz, gauss = parameters
        decay = np.exp(-np.pi * lorentz * time - (np.pi * gauss * time) ** 2 / (4 * np.log(2)))
        fids = np.exp(2j * np.pi * (places + shift)[:, None] * time) * decay
        return to_spectrum(fids)[:, rows]

    def solve(parameters):
        design = np.stack([*lines(parameters), *baseline], axis=1)
        solution = np.linalg.lstsq(design, data, rcond=1e-10)[0]
        return solution, data - design @ solution

    def residual(parameters):
        rest = solve(parameters)[1]
        return np.concatenate([rest.real, rest.imag])

    reach = FIT_REACH_PPM * fid.frequency_mhz
    found = least_squares(
        residual, [0.0, 3.0, 4.0], bounds=([-reach, 0, 0], [reach, 30, 30]), x_scale=[1, 2, 2]
    )
    design = np.stack([*lines(found.x), *baseline], axis=1)
    return _Lines(found, *solve(found.x), design)

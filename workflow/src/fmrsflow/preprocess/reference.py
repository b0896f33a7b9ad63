"""Frequency reference: cross-correlation with unit lines of NAA, tCr and tCho (as Osprey does)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import Fids, to_spectrum

LINES_PPM = (2.01, 3.03, 3.22)
"""Singlets of NAA, total creatine and total choline."""

SEARCH_PPM = 0.4
"""Largest offset looked for; room-temperature phantoms stand about 0.2 ppm off."""


@dataclass(frozen=True)
class Reference:
    """Frequency (Hz) and zero-order phase (degrees) that the scan had too much."""

    shift_hz: float
    phase_deg: float


def frequency_reference(
    fid: Fids, lines_ppm: tuple[float, ...] = LINES_PPM, search_ppm: float = SEARCH_PPM
) -> Reference:
    """Offset of an averaged FID (one transient, coils combined) from the lines' true places.

    The correlation is the modulus of the spectrum's sum over the lines: singlets of one phase
    add up, so it needs no phasing, and its angle is the zero-order phase. The spectrum is smoothed
    by 4 Hz, and the correlation weighed by a wide Gaussian, so that among equal matches
    (a phantom with one line only) the nearest counts.
    """
    length = 8 * fid.n_points
    padded = np.zeros(length, complex)
    padded[: fid.n_points] = fid.broadened(4.0).transients.mean(axis=0)
    spectrum = to_spectrum(padded)
    bin_hz = 1 / (length * fid.dwell_s)
    half = int(search_ppm * fid.frequency_mhz / bin_hz)
    offsets = np.arange(-half, half + 1)
    starts = [round(fid.hz_at(line) / bin_hz) + length // 2 for line in lines_ppm]
    total = sum(spectrum[(start + offsets) % length] for start in starts)
    weighed = np.abs(total) * np.exp(-0.5 * (offsets / half) ** 2)
    best = int(np.argmax(weighed))
    shift = offsets[best] * bin_hz
    if 0 < best < 2 * half:
        left, top, right = np.abs(total[best - 1 : best + 2])
        curvature = left - 2 * top + right
        if curvature < 0:
            shift += np.clip(0.5 * (left - right) / curvature, -0.5, 0.5) * bin_hz
    return Reference(float(shift), float(np.rad2deg(np.angle(total[best]))))


def apply_reference(fids: Fids, reference: Reference) -> Fids:
    """Take the offset in frequency and phase off every transient."""
    return fids.shifted(-reference.shift_hz).rotated(-reference.phase_deg)

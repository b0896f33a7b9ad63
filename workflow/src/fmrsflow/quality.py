"""Quality figures of a spectrum, each with its definition (docs/science.md#quality)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import Fids, frequency_axis, to_spectrum

NOISE_PPM = (-2.0, 0.0)
"""Window of the noise (Osprey)."""

NOISE_ELSEWHERE_PPM = (8.0, 8.5)
"""Window of the noise where less than half of -2..0 ppm was acquired: Siemens exports of 1.2 kHz
begin at -0.2 ppm, among lipids and the edge of the filter."""

TCR_PPM = (2.9, 3.1)
TCR_LINE_PPM = 3.03


def quiet_points(n_points: int) -> slice:
    """Points of a FID that hold noise and next to no signal: 5/8 to 13/16 of its length. The very
    end is no such place: Siemens exports wrap the delay of the digital filter round to there."""
    return slice(n_points * 5 // 8, n_points * 13 // 16)


@dataclass(frozen=True)
class Line:
    """A fitted Voigt line: FWHM and position."""

    fwhm_hz: float
    ppm: float
    lorentz_hz: float
    gauss_hz: float


def noise_window(fids: Fids) -> tuple[float, float]:
    """Window of the noise, ppm (docs/science.md#noise): -2..0, or 8..8.5 where less than half of
    that was acquired, or the upper tenth of a spectrum that holds neither."""
    low, high = fids.ppm[0], fids.ppm[-1]
    if low <= np.mean(NOISE_PPM):
        return max(NOISE_PPM[0], low), NOISE_PPM[1]
    if high >= NOISE_ELSEWHERE_PPM[1]:
        return NOISE_ELSEWHERE_PPM
    return high - (high - low) / 10, high


def snr_definition(fids: Fids) -> str:
    """What `snr_tcr` means for these spectra."""
    low, high = noise_window(fids)
    return (
        "height of the tCr peak (largest real value in 2.9-3.1 ppm) over one SD of the real part "
        f"in {low:.3g}..{high:.3g} ppm after a second-order detrend "
        "(Osprey; FSL-MRS multiplies the SD by sqrt 2)"
    )


def noise_sd(fids: Fids) -> np.ndarray:
    """SD of the real spectrum of each transient in `noise_window` after a second-order detrend,
    shape (n_transients,)."""
    low, high = noise_window(fids)
    inside = (fids.ppm >= low) & (fids.ppm <= high)
    values = fids.spectra[:, 0, inside].real
    x = np.linspace(-1, 1, values.shape[1])
    design = np.stack([np.ones_like(x), x, x**2], axis=1)
    basis, _ = np.linalg.qr(design)
    rest = values - (values @ basis) @ basis.T
    return np.sqrt(np.sum(rest**2, axis=1) / (values.shape[1] - 3))


def snr_tcr(fids: Fids) -> np.ndarray:
    """SNR of the tCr peak of each transient, (n,), as `snr_definition` says; needs phased data."""
    inside = (fids.ppm >= TCR_PPM[0]) & (fids.ppm <= TCR_PPM[1])
    height = fids.spectra[:, 0, inside].real.max(axis=1)
    noise = noise_sd(fids)
    with np.errstate(divide="ignore"):
        return np.where(noise > 0, height / noise, np.inf)


def fwhm_tcr(fid: Fids) -> Line:
    """Voigt line of tCr at 3.03 ppm, fitted with that of tCho at 3.22 ppm and a straight baseline.

    Complex least squares in 2.88-3.32 ppm, amplitudes solved for in each step. FWHM of a Voigt line
    from its parts: Olivero & Longbothum 1977, good to 0.02 %.
    """
    from scipy.optimize import least_squares

    signal = fid.transients.mean(axis=0)
    inside = (fid.ppm >= 2.88) & (fid.ppm <= 3.32)
    data = to_spectrum(signal)[inside]
    ramp = np.linspace(-1, 1, inside.sum())
    time = fid.time_s

    def residual(parameters):
        cr, cho, lorentz, gauss = parameters
        decay = np.exp(-np.pi * lorentz * time - (np.pi * gauss * time) ** 2 / (4 * np.log(2)))
        lines = [np.exp(2j * np.pi * f * time) * decay for f in (cr, cho)]
        design = np.stack([*to_spectrum(np.stack(lines))[:, inside], ramp**0, ramp], axis=1)
        rest = data - design @ np.linalg.lstsq(design, data, rcond=None)[0]
        return np.concatenate([rest.real, rest.imag]) / np.abs(data).max()

    start = [fid.hz_at(TCR_LINE_PPM), fid.hz_at(3.22), 4.0, 3.0]
    reach = 0.06 * fid.frequency_mhz
    lower = [start[0] - reach, start[1] - reach, 0.0, 0.0]
    upper = [start[0] + reach, start[1] + reach, 60.0, 60.0]
    cr, _, lorentz, gauss = least_squares(
        residual, start, bounds=(lower, upper), x_scale=[1, 1, 2, 2]
    ).x
    return Line(
        voigt_fwhm(lorentz, gauss), fid.carrier_ppm + cr / fid.frequency_mhz, lorentz, gauss
    )


def voigt_fwhm(lorentz_hz: float, gauss_hz: float) -> float:
    """FWHM (Hz) of a Voigt line from the widths of its parts."""
    return float(0.5346 * lorentz_hz + np.sqrt(0.2166 * lorentz_hz**2 + gauss_hz**2))


def half_height_width(fid: Fids) -> float:
    """FWHM (Hz) of the highest line of an averaged FID, measured on its real spectrum, zero-filled
    eight times and interpolated; for unsuppressed water after eddy-current correction."""
    length = 8 * fid.n_points
    padded = np.zeros(length, complex)
    padded[: fid.n_points] = fid.transients.mean(axis=0)
    spectrum = to_spectrum(padded).real
    frequency = frequency_axis(length, fid.dwell_s)
    peak = int(np.argmax(spectrum))
    half = spectrum[peak] / 2
    right = peak + int(np.argmax(spectrum[peak:] < half))
    left = peak - int(np.argmax(spectrum[peak::-1] < half))
    if right == peak or left == peak:
        return float("nan")
    up = np.interp(half, spectrum[[right, right - 1]], frequency[[right, right - 1]])
    down = np.interp(half, spectrum[[left, left + 1]], frequency[[left, left + 1]])
    return float(up - down)


def drift_hz(shift_hz: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Frequency drift over the scan: last minus first value of the straight line through the
    frequencies of the transients, Hz."""
    n = len(shift_hz)
    if n < 2:
        return 0.0
    slope = np.polyfit(np.arange(n), shift_hz, 1, w=weights)[0]
    return float(slope * (n - 1))

"""Quality figures of a spectrum, each with its definition (docs/science.md#quality)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import Fids, frequency_axis, to_spectrum

NOISE_PPM = (-2.0, 0.0)
"""Window of the noise (Osprey)."""

EDGE_PPM = 0.5
"""What a window of the noise keeps off the edges of the band, where scanners' filters fall off."""

UPFIELD_PPM, DOWNFIELD_PPM = 0.0, 5.5
"""Between these two are metabolites, lipids, macromolecules and water. Above are amide and amine
protons (5.8 to 8.5 ppm), so that not every window there is free of signal."""

WINDOW_PPM = 0.5
"""Least width of one of several windows."""

SAME_NOISE = 0.1
"""Windows whose noise is higher than that of the quietest by this share, or by three standard
errors, hold signal."""

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


def noise_windows(fids: Fids) -> tuple[tuple[float, float], ...]:
    """Windows of the noise, ppm (docs/science.md#noise): -2..0 where it was acquired 0.5 ppm and
    more from the edge of the band, else the quietest of several; none where the band has no room
    for any, so that the tail of the FID is left."""
    low, high = fids.ppm[0] + EDGE_PPM, fids.ppm[-1] - EDGE_PPM
    if low <= NOISE_PPM[0]:
        return (NOISE_PPM,)
    windows = [*_split(low, UPFIELD_PPM), *_split(DOWNFIELD_PPM, high)]
    return _quietest(fids, windows) if windows else ()


def _split(low: float, high: float) -> list[tuple[float, float]]:
    """Windows of equal width, at least `WINDOW_PPM`, between two shifts."""
    count = int((high - low) / WINDOW_PPM)
    edges = np.linspace(low, high, count + 1).tolist() if count > 0 else []
    return list(zip(edges[:-1], edges[1:]))


def _quietest(fids: Fids, windows: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """The window with the least noise and those that differ from it by chance only: the least of
    several estimates by itself would be too small."""
    squares, freedom = _window_squares(fids, windows)
    freedom = freedom * fids.n_transients
    variance = squares.sum(axis=1) / freedom
    order = np.argsort(variance)
    chosen = [order[0]]
    for k in order[1:]:
        pooled = np.average(variance[chosen], weights=freedom[chosen])
        # SE of the log of a variance: sqrt(2 / degrees of freedom).
        error = np.sqrt(2 / freedom[k] + 2 / freedom[chosen].sum())
        if variance[k] > pooled * max(1 + 3 * error, (1 + SAME_NOISE) ** 2):
            break
        chosen.append(k)
    return tuple(windows[k] for k in sorted(chosen))


def _window_squares(fids: Fids, windows) -> tuple[np.ndarray, np.ndarray]:
    """Sum of squares of the spectrum in each window after a detrend, (n_windows, n_transients), and
    its degrees of freedom, (n_windows,)."""
    spectra = fids.spectra[:, 0]
    # Of small windows both parts, so that neither chance nor the phase decides; the foot of water
    # is steeper there and in the imaginary part.
    parts, order = ((np.real,), 2) if windows == (NOISE_PPM,) else ((np.real, np.imag), 4)
    squares, freedom = [], []
    for low, high in windows:
        inside = spectra[:, (fids.ppm >= low) & (fids.ppm <= high)]
        x = np.linspace(-1, 1, inside.shape[1])
        curves, _ = np.linalg.qr(np.polynomial.legendre.legvander(x, order))
        values = np.stack([part(inside) for part in parts])
        rest = values - (values @ curves) @ curves.T
        squares.append(np.sum(rest**2, axis=(0, 2)))
        freedom.append(len(parts) * (inside.shape[1] - order - 1))
    return np.array(squares), np.array(freedom)


def noise_definition(fids: Fids) -> str:
    """Where `noise_sd` takes the noise of these spectra from."""
    windows = noise_windows(fids)
    if not windows:
        return (
            "of the tail of the FID (second differences), as no window without signal was acquired"
        )
    # Windows that touch are shown as one.
    edges = [edge for window in windows for edge in window]
    ends = [edge for edge in edges if edges.count(edge) == 1]
    shown = ", ".join(f"{low:.3g}..{high:.3g}" for low, high in zip(ends[::2], ends[1::2]))
    if windows == (NOISE_PPM,):
        return f"of the real part in {shown} ppm after a second-order detrend"
    return (
        f"of real and imaginary part in the quietest windows outside the signals ({shown} ppm), "
        "each after a fourth-order detrend"
    )


def snr_definition(fids: Fids) -> str:
    """What `snr_tcr` means for these spectra."""
    return (
        "height of the tCr peak (largest real value in 2.9-3.1 ppm) over one SD "
        f"{noise_definition(fids)} (Osprey; FSL-MRS multiplies the SD by sqrt 2)"
    )


def noise_sd(fids: Fids) -> np.ndarray:
    """SD of the noise in the real spectrum of each transient, shape (n_transients,), from
    `noise_windows`, else from the tail of the FID."""
    windows = noise_windows(fids)
    if windows:
        squares, freedom = _window_squares(fids, windows)
        return np.sqrt(squares.sum(axis=0) / freedom.sum())
    # Second differences, which slow signal near the carrier does not survive: 1 + 4 + 1 = 6.
    tail = np.diff(fids.transients[:, quiet_points(fids.n_points)], n=2, axis=-1)
    return np.sqrt(np.mean(np.abs(tail) ** 2, axis=-1) / 12 * fids.n_points)


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

"""FIDs in the band of the fit: a tenth of the points, and the same spectrum in its range.

A fit looks at 4 ppm of the 16 or more that were acquired, and at lines of some hertz, which are
gone after half a second. So FIDs are cut at `LONGEST_S`, and basis signals kept as samples of the
band about the range only. There they are damped and shifted like the whole FIDs: a filter that is
flat round the range lets through what a damped line has in it, wherever the line stands, so long as
the filter's ringing before the first sample is kept too (`GUARD_S` of negative time).
docs/science.md#fit-model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import fft, ifft, next_fast_len
from scipy.special import i0

from fmrsflow.exponentials import exponentials
from fmrsflow.fids import Fids

LONGEST_S = 0.5
"""Length of a FID that is fitted. A line of 3 Hz has lost 99 % by then: the rest holds 0.01 % of
its information."""

WRAPPED_S = 0.008
"""End of a FID that is negative time: there Siemens exports have the delay of the digital filter,
and a first-order phase what it moves before the first sample."""

GUARD_S = 0.05
"""Time before the first and after the last sample that holds the filter's ringing."""

TRANSITION_HZ = 100.0
"""Width over which the filter falls from one to zero: the integral of the Kaiser window that rings
least after `GUARD_S`."""

FLAT_HZ = 25.0
"""Flat part of the filter beyond the range."""


@dataclass(frozen=True)
class Band:
    """Axes of a fit, made once for spectra of one protocol by `band_of`.

    Attributes
    ----------
    n_used, n_wrapped : int
        Samples of a FID that are fitted, and how many of them are its last ones, at negative times.
    n_fft : int
        Length of the transform of a FID, guards included.
    bins : integer array (n_time,)
        Of that transform: the band, by rising frequency.
    filter : array (n_time,)
    inside : slice
        Range of the fit in the band.
    ppm : array (n_points,)
    time_s : array (n_time,)
        Of the samples of the band, the first of them negative.
    turn : complex array (n_points,)
        Phase that the negative times cost the spectrum.
    """

    n_used: int
    n_wrapped: int
    n_fft: int
    bins: np.ndarray
    filter: np.ndarray
    inside: slice
    ppm: np.ndarray
    time_s: np.ndarray
    turn: np.ndarray

    @property
    def step_s(self) -> float:
        """Distance of two samples of the band, s."""
        return float(self.time_s[1] - self.time_s[0])

    @property
    def oversampling(self) -> float:
        """Points of the spectrum for each that carries noise of its own."""
        return self.n_fft / self.n_used

    def used(self, fids: Fids) -> Fids:
        """The part of FIDs that is fitted."""
        first = self.n_used - self.n_wrapped
        parts = (fids.data[..., :first], fids.data[..., fids.n_points - self.n_wrapped :])
        return fids.with_data(np.concatenate(parts, axis=-1))

    def padded(self, used: np.ndarray) -> np.ndarray:
        """Samples (..., n_used) at their places in the transform, zeros between, (..., n_fft)."""
        first = self.n_used - self.n_wrapped
        whole = np.zeros((*used.shape[:-1], self.n_fft), used.dtype)
        whole[..., :first] = used[..., :first]
        whole[..., self.n_fft - self.n_wrapped :] = used[..., first:]
        return whole

    def reduced(self, fids: np.ndarray) -> np.ndarray:
        """FIDs (n, n_samples) that do not decay as samples of the band, complex (n, n_time)."""
        first = self.n_used - self.n_wrapped
        signals = np.zeros((len(fids), self.n_fft), complex)
        signals[:, :first] = fids[:, :first]
        signals[:, 0] *= 0.5  # as in fids.to_spectrum
        whole = fft(signals, axis=1, overwrite_x=True)[:, self.bins] * self.filter
        late = int(np.sum(self.time_s < 0))
        return np.roll(ifft(whole, axis=1), late, axis=1)

    def spectra(self, fids: Fids) -> np.ndarray:
        """Spectra of measured FIDs in the range, complex (n_transients, n_points)."""
        used = self.used(fids).transients.astype(complex)
        used[:, 0] *= 0.5
        return fft(self.padded(used), axis=1)[:, self.bins[self.inside]]

    def spectrum(self, signals: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Signals of the band (..., n_time) as spectra in the range, (..., 2, n_points)."""
        spectra = fft(signals, axis=-1)[..., self.inside] * self.turn
        if out is None:
            out = np.empty((*signals.shape[:-1], 2, len(self.ppm)))
        out[..., 0, :], out[..., 1, :] = spectra.real, spectra.imag
        return out

    def dual(self, spectrum: np.ndarray) -> np.ndarray:
        """What a signal's product with a spectrum (2, n_points) is in time, complex (n_time,): the
        sum of `signal.real * dual.real + signal.imag * dual.imag`."""
        whole = np.zeros(len(self.time_s), complex)
        whole[self.inside] = (spectrum[0] + 1j * spectrum[1]) * self.turn.conj()
        # The adjoint of the transform is its inverse without the factor.
        return ifft(whole, norm="forward")

    def exponentials(self, rate) -> np.ndarray:
        """exp(rate t) at the samples of the band, rate in 1/s; (..., n_time)."""
        rate = np.asarray(rate)
        return exponentials(rate * self.step_s, len(self.time_s), rate * self.time_s[0])

    def finer(self, signal: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
        """Chemical shift (ppm) and complex spectrum of a signal (n_time,) of the band, zero-filled
        to `factor` times as many points."""
        n, late = len(self.time_s), int(np.sum(self.time_s < 0))
        filled = np.zeros(factor * n, complex)
        filled[: n - late], filled[factor * n - late :] = signal[late:], signal[:late]
        at = np.arange(factor * n) / factor - self.inside.start
        return self.ppm[0] + at * (self.ppm[1] - self.ppm[0]), fft(filled)


def _filter(outside: np.ndarray, step_hz: float) -> np.ndarray:
    """Filter at points (n,) so many steps beyond the range."""
    half = int(TRANSITION_HZ / 2 / step_hz)
    # The main lobe of the window's transform ends with the guard (Kaiser & Schafer 1980,
    # doi:10.1109/TASSP.1980.1163349).
    beta = np.sqrt(max((np.pi * TRANSITION_HZ * GUARD_S) ** 2 - np.pi**2, 0.0))
    window = i0(beta * np.sqrt(1 - np.linspace(-1, 1, 2 * half + 1) ** 2))
    fallen = np.cumsum(window) / window.sum()
    at = outside - int(np.ceil(FLAT_HZ / step_hz))
    return 1.0 - np.where(at > 0, fallen[np.clip(at - 1, 0, 2 * half)], 0.0)


def band_of(fids: Fids, low_ppm: float, high_ppm: float) -> Band:
    """The band of spectra on the axes of `fids` for a range of chemical shift."""
    n_used = min(fids.n_points, int(round(LONGEST_S / fids.dwell_s)))
    n_wrapped = min(int(round(WRAPPED_S / fids.dwell_s)), n_used // 8)
    n_fft = next_fast_len(n_used + 2 * int(np.ceil(GUARD_S / fids.dwell_s)))
    step_hz = 1.0 / (n_fft * fids.dwell_s)
    first = int(np.ceil(fids.hz_at(low_ppm) / step_hz))
    last = int(np.floor(fids.hz_at(high_ppm) / step_hz))
    limit = n_fft // 2
    first, last = max(first, -limit), min(last, n_fft - limit - 1)
    margin = int(np.ceil((FLAT_HZ + TRANSITION_HZ) / step_hz))
    wanted = last - first + 1 + 2 * margin
    n_time = min(next_fast_len(wanted), n_fft)
    start = first - margin if n_time < n_fft else -limit
    bins = start + np.arange(n_time)
    shape = _filter(np.maximum(first - bins, bins - last), step_hz)
    late = int(round(GUARD_S * n_time * step_hz))
    time_s = (np.arange(n_time) - late) / (n_time * step_hz)
    chosen = slice(first - start, last + 1 - start)
    return Band(
        n_used=n_used,
        n_wrapped=n_wrapped,
        n_fft=n_fft,
        bins=bins % n_fft,
        filter=shape if n_time < n_fft else np.ones(n_time),
        inside=chosen,
        ppm=fids.carrier_ppm + bins[chosen] * step_hz / fids.frequency_mhz,
        time_s=time_s,
        turn=np.exp(2j * np.pi * np.arange(n_time)[chosen] * late / n_time),
    )

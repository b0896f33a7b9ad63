"""Shape of the noise: whether it is white, and how it runs along the FID where it is not.

Noise of a receiver is white over the FID. A filter that was applied before the export multiplies
the noise by its own shape: in the spectrum neighbouring points then depend on each other, and
errors computed for white noise are wrong (docs/science.md#noise-shape).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import Fids
from fmrsflow.quality import noise_windows

BAND_HZ = (125.0, 62.5)
"""Widths of the bands of noise, the first that fits: the power of a band's noise along the FID is
resolved to the inverse, 8 or 16 ms."""

QUIET_PPM = (-0.4, 9.7)
"""Outside there is no signal of the body."""

INNER = 0.8
"""Share of the acquired band that is looked at; receivers' filters fall off beyond."""

ENDS = 3
"""Points of a band's course that are left out at both ends: next to no noise is left there by the
detrend, and the feet of strong lines, the jumps at both ends of the FID, stand there."""

SIGNAL_S = 0.07
"""What is left out at the start instead where no band is free of signal by its place: amide protons
and the foot of residual water have decayed by then."""

WINDOWS = {
    "": lambda t: np.zeros_like(t),
    "cosine": lambda t: 2 * np.log(np.cos(np.pi / 2 * t)),
    "Hann": lambda t: 4 * np.log(np.cos(np.pi / 2 * t)),
    "Hamming": lambda t: 2 * np.log(0.54 + 0.46 * np.cos(np.pi * t)),
}
"""Log of the power that common windows leave of the noise; t is the time over that of the FID."""

MAX_ORDER = {"": 4, "cosine": 2, "Hann": 2, "Hamming": 2}
"""Highest order of the polynomial in time that is added to it: 1 is an exponential filter, 2 a
Gaussian or both, 4 any other smooth shape."""

MIN_LIKELIHOOD_RATIO = 21.1
"""Twice the log likelihood of four quarters of the FID with noise of their own over that of the
same noise above which it is not white: 1 in 10,000 for the chi-squared distribution of three
degrees of freedom."""

MIN_CHANGE = 1.3
"""Power in one quarter of the FID over that in another below which no error is wrong by over 7 %.
Many transients would show the smallest deviation."""

STEPS_OF_NOISE = 64
"""Least steps of a kept sample in one SD of its noise: rounding adds 2e-5 of its variance."""

RANGE_PARTS_PPM = ((0.5, 2.0), (2.0, 3.0), (3.0, 4.0))
"""Parts of the range of metabolites."""

MIN_RATIO = 1.2
"""Ratio of the noise in two windows below which it is not reported."""

DEVIATION = 3.5
"""And the number of standard errors."""

ROUNDING = 1e-6
"""What may stand in place of zeros, relative to the largest point: single precision has 6e-8."""

STEP = 1e-2
"""Largest appended value over the points before: noise does not fall like that from one point to
the next, nor does a signal."""

FAINT = 1e-5
"""Share of the largest power below which the course is no longer described by the polynomial."""


@dataclass(frozen=True)
class NoiseShape:
    """How noise runs along the FID.

    Attributes
    ----------
    power : array (n_points,)
        Variance of the noise at each point over its mean; ones where it is white.
    white : bool
        No deviation that matters was found.
    """

    power: np.ndarray
    white: bool

    @property
    def end_to_start(self) -> float:
        """SD of the noise in the last quarter of the FID over that in the first."""
        first, last = (quarter.mean() for quarter in np.array_split(self.power, 4)[::3])
        return float(np.sqrt(last / first))

    def products(self, rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Products of spectra under the covariance of this noise, over that of white noise.

        Parameters
        ----------
        rows : complex array (n, n_range)
            Spectra in a range.
        index : int array (n_range,)
            Places of the range in the unshifted transform of the whole FID.

        Returns
        -------
        array (n, n)
            x' C y of the real and imaginary parts stacked, C the covariance of the noise of the
            spectrum over its variance. Noise that is independent from point to point of the FID,
            with variance p(t), has C = F diag(p) F' with F the unitary transform.
        """
        from scipy.fft import ifft, next_fast_len  # slow to import, and of use to the fit alone

        n = len(self.power)
        places = (index - index[0]) % n
        reach = int(places.max())
        # Of p only what connects two points of the range counts: few samples hold that.
        n_samples = min(next_fast_len(2 * reach + 1), n)
        kept = (np.arange(n_samples) + reach) % n_samples - reach
        course = np.where(np.abs(kept) <= reach, np.fft.fft(self.power)[kept], 0.0)
        power = np.fft.ifft(course).real * (n_samples / n)
        whole = np.zeros((len(rows), n_samples), complex)
        whole[:, places] = rows
        in_time = ifft(whole, axis=1, norm="ortho", overwrite_x=True).view(float)
        return (in_time * np.repeat(power, 2)) @ in_time.T


def used_points(fids: Fids) -> int:
    """Points of the FIDs before the zeros that an export appended, all where there are none.

    Zeros in all transients and coils, or what their rounding left where the spectrum was phased
    afterwards.
    """
    size = np.zeros(fids.n_points)
    for transient in fids.data:  # a third of a gigabyte where there are many coils
        size = np.maximum(size, np.abs(transient).max(axis=0))
    if not np.isfinite(size).all():
        size = np.where(np.isfinite(size), size, np.inf)
        return int(np.flatnonzero(size)[-1]) + 1
    exact, rounded = (np.flatnonzero(size > limit) for limit in (0.0, ROUNDING * size.max()))
    if not len(exact):
        return fids.n_points
    used = int(rounded[-1]) + 1
    before, after = size[max(used - 8, 0) : used], size[used:]
    stepped = len(after) > 0 and after.max() < STEP * np.median(before)
    return used if stepped else int(exact[-1]) + 1


def without_zeros(fids: Fids) -> Fids:
    """FIDs without the zeros that an export appended.

    Zero filling adds points to the spectrum that depend on the others: a fit that counts them has
    errors too small by the root of the factor.
    """
    return fids.with_data(fids.data[:, :, : used_points(fids)])


def in_steps_of_noise(fids: Fids) -> Fids:
    """FIDs whose samples are whole steps of at most 1 / STEPS_OF_NOISE of the noise of their
    transient: what lies below says nothing and does not compress.

    The step is a power of two (so that samples stay exact in single precision) below the SD of the
    last fifth of each FID, over STEPS_OF_NOISE. What rounding adds, step / sqrt(12), is 4.5e-3 of
    the SD of the noise and white. Signal that is left there makes the step larger: by half at
    most in fifteen measured series (FIDs of 0.34 to 1.02 s).
    """
    data = fids.data.astype(complex)  # squares of single precision may run out of it
    late = data[:, :, -max(2, fids.n_points // 5) :]
    sd = np.sqrt((late.real.var(axis=2) + late.imag.var(axis=2)) / 2)[:, :, None]
    with np.errstate(divide="ignore"):
        step = np.exp2(np.floor(np.log2(sd / STEPS_OF_NOISE)))
    step = np.where(sd > 0, step, 1.0)  # nothing but zeros, or a number that is none: as it is
    parts = np.stack([data.real, data.imag])
    parts = np.where(sd > 0, np.rint(parts / step) * step, parts)
    return fids.with_data(parts[0] + 1j * parts[1])


def noise_under_signals(fids: Fids) -> float:
    """SD of the noise in 0.5-4 ppm over that where no signal is; 1 where they differ by chance.

    From the second half of the FID under a Hann window, where signals have decayed, by the median
    of the power, which lines that have not decayed hardly move. More noise than in the window
    counts only where the quietest part of the range has more, since what is left of signals and
    water adds to it.
    """
    elsewhere = _free(fids) | _near(fids)
    if not elsewhere.any():
        return 1.0
    half = fids.n_points // 2
    late = fids.transients[:, half:] * np.hanning(fids.n_points - half)
    power = np.abs(np.fft.fftshift(np.fft.fft(late, fids.n_points, axis=1), axes=1)) ** 2
    parts = [(fids.ppm >= low) & (fids.ppm <= high) for low, high in RANGE_PARTS_PPM]
    reference, error = _log_median(power[:, elsewhere])
    level, own_error = _log_median(power[:, np.any(parts, axis=0)])
    if level > reference:
        level, own_error = min(_log_median(power[:, part]) for part in parts)
    excess = level - reference
    limit = max(DEVIATION * np.hypot(error, own_error), 2 * np.log(MIN_RATIO))
    return float(np.exp(excess / 2)) if abs(excess) > limit else 1.0


def _log_median(power: np.ndarray) -> tuple[float, float]:
    """Log of the median power of spectra of half a FID under a Hann window, and its error."""
    # A quarter of their points is independent; the median of n exponential variates has a relative
    # error of 1 / (ln 2 sqrt n).
    error = 1 / np.log(2) / np.sqrt(max(power.size / 4, 1))
    return float(np.log(max(np.median(power), np.finfo(float).tiny))), float(error)


def noise_shape(fids: Fids) -> NoiseShape:
    """Shape of the noise along FIDs, the same for all transients; see `NoiseShape`.

    Bands without signal, each `BAND_HZ` wide, are transformed back one by one: the power of their
    courses, averaged over bands and transients, follows a gamma distribution about the noise's
    variance. The log of the variance is a polynomial in time, fitted by maximum likelihood
    (McCullagh & Nelder 1989, Generalized Linear Models, chapter 8) and of the order that the
    Bayesian information criterion prefers.

    Parameters
    ----------
    fids : Fids
        Coils combined, without appended zeros.
    """
    n = fids.n_points
    course = _course(fids)
    if course is None or _even(course):
        return NoiseShape(np.ones(n), True)
    curve = _described(course)
    power = np.interp(np.arange(n) / n, np.arange(len(curve)) / len(curve), curve)
    return NoiseShape(power / power.mean(), False)


@dataclass(frozen=True)
class _Course:
    """Power of noise along the FID, (n,), how many exponential variates each point averages, and
    the first and last point that hold noise alone."""

    power: np.ndarray
    weight: float
    first: int
    last: int


def _course(fids: Fids) -> _Course | None:
    """Power of the courses of all bands; None where there is no band, or no noise in it."""
    bands, blind_s = _bands(fids)
    if not bands:
        return None
    n = len(bands[0])
    place = np.arange(n)
    curves, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, n), 3))
    # Cosine slopes over a quarter at both ends: a step would smear strong noise over weak.
    taper = np.sin(np.pi / 2 * np.minimum(1, 4 / n * (np.minimum(place, n - 1 - place) + 0.5))) ** 2
    # Detrend, taper and transform as one matrix; its rows' norms are what it leaves of white noise.
    matrix = np.fft.ifft((np.eye(n) - curves @ curves.T) * taper, axis=1).T
    spectra = fids.spectra[:, 0]
    power = np.zeros(n)
    for band in bands:
        power += np.mean(np.abs(spectra[:, band] @ matrix.T) ** 2, axis=0)
    power /= len(bands) * np.sum(np.abs(matrix) ** 2, axis=1)
    step_s = fids.n_points * fids.dwell_s / n
    first, last = max(ENDS, round(blind_s / step_s)), n - 1 - ENDS
    if not (np.isfinite(power).all() and last - first > 4 and power[first : last + 1].all()):
        return None
    # Tapered, neighbouring points of a course depend on each other.
    independent = np.sum(taper**2) ** 2 / np.sum(taper**4) / n
    return _Course(power, len(bands) * fids.n_transients * independent, first, last)


def _bands(fids: Fids) -> tuple[list[np.ndarray], float]:
    """Places in `fids.spectra` of bands without signal, all of one length, and the time (s) from
    which they have none."""
    for where, blind_s in ((_free, 0.0), (_near, SIGNAL_S)):
        places = where(fids)
        for width_hz in BAND_HZ:
            if bands := _pieces(places, round(width_hz * fids.n_points * fids.dwell_s)):
                return bands, blind_s
    return [], 0.0


def _free(fids: Fids) -> np.ndarray:
    """Where in `fids.spectra` there is no signal of the body, off the edges of the band."""
    inner = np.abs(fids.frequency_hz) <= INNER / 2 / fids.dwell_s
    return inner & ((fids.ppm < QUIET_PPM[0]) | (fids.ppm > QUIET_PPM[1]))


def _near(fids: Fids) -> np.ndarray:
    """Where in `fids.spectra` the noise is measured."""
    windows = [(fids.ppm >= low) & (fids.ppm <= high) for low, high in noise_windows(fids)]
    return np.any([np.zeros(fids.n_points, bool), *windows], axis=0)


def _pieces(free: np.ndarray, length: int) -> list[np.ndarray]:
    """Runs of true values, cut into pieces of that length."""
    places = np.flatnonzero(free)
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return [
        run[start : start + length]
        for run in runs
        for start in range(0, len(run) - length + 1, length)
    ]


def _even(course: _Course) -> bool:
    """Whether four quarters hold the same noise, by chance and by size."""
    quarters = np.array_split(course.power[course.first : course.last + 1], 4)
    means = np.array([part.mean() for part in quarters])
    if means.max() <= MIN_CHANGE * means.min():
        return True
    sizes = np.array([len(part) for part in quarters])
    gain = np.log(np.average(means, weights=sizes)) - np.log(means)
    return 2 * course.weight * float(sizes @ gain) <= MIN_LIKELIHOOD_RATIO


def _described(course: _Course) -> np.ndarray:
    """Curve of the variance, (n,)."""
    n = len(course.power)
    smooth = np.convolve(np.pad(course.power, 2, mode="edge"), np.full(5, 0.2), "valid")
    smooth[: course.first], smooth[course.last + 1 :] = smooth[course.first], smooth[course.last]
    # The run of strong points about the largest: both ends of the FID are neighbours of each other.
    peak = int(np.argmax(smooth))
    faint = np.flatnonzero(smooth <= FAINT * smooth[peak])
    first = max([course.first, *(faint[faint < peak] + 1)])
    last = min([course.last, *(faint[faint > peak] - 1)])
    inside = slice(first, last + 1)
    power = course.power[inside]
    x = 2 * (np.arange(n) - first) / max(last - first, 1) - 1
    best = None
    for name, window in WINDOWS.items():
        known = window(np.arange(n) / n)
        for order in range(MAX_ORDER[name] + 1):
            design = np.polynomial.legendre.legvander(x, order)
            start = np.log(smooth[inside]) - known[inside]
            found = _log_variance(power * np.exp(-known[inside]), start, design[inside])
            curve = known + design @ found
            score = -2 * course.weight * np.sum(curve[inside] + power * np.exp(-curve[inside]))
            score -= np.log(course.weight * len(power)) * order
            if best is None or score > best[0]:
                best = (score, curve)
    first, last = (0 if first == course.first else first), (n if last == course.last else last + 1)
    smooth[first:last] = np.exp(best[1][first:last])
    return smooth


def _log_variance(power: np.ndarray, start: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Coefficients of the log of the mean of gamma variates: Fisher scoring, whose weights are one
    under the log link, from a least-squares fit to the log of the smoothed course."""
    inverse = np.linalg.pinv(design)
    found = inverse @ start
    for _ in range(30):
        step = inverse @ (power * np.exp(-design @ found) - 1)
        found = found + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    return found

"""Forward model of the fit: basis signals under shift, broadening and phase, with derivatives.

S(v) = exp(i (phi0 + v phi1)) [ sum_k a_k FT{ b_k(t) L_g(t) } + B(v) ],
L_g(t) = exp(2 pi i shift_g t - pi lorentz_g t - (pi gauss)^2 t^2 / (4 ln 2)),

in a range of chemical shift (docs/science.md#fit-model). v is counted from `PIVOT_PPM`; the
baseline B is smooth in the phased frame. Spectra are rows of (2, n_points): real part, imaginary
part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import fft

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.exponentials import exponentials
from fmrsflow.fids import Fids
from fmrsflow.fit import baseline as smooth
from fmrsflow.fit.broad import RATIOS, is_broad
from fmrsflow.fit.options import FitOptions
from fmrsflow.metabolites import members

PIVOT_PPM = 3.0
"""Chemical shift (ppm) at which the first-order phase is zero: among the main lines."""

GAUSS = np.pi**2 / (4 * np.log(2))
"""Decay of a Gaussian line of FWHM g: exp(-GAUSS g^2 t^2)."""

KERNEL_STEP_HZ = 1.5
KERNEL_REACH = 5
KERNEL_SD = 0.1
"""Free lineshape: neighbouring copies on either side, their spacing, SD of their prior."""

GRID = 8
MIN_DIMENSION_PER_PPM, MAX_DIMENSION_PER_PPM = 1.75, 7.0
"""Number of smoothnesses that a criterion is evaluated at, the stiffest and the most flexible.

Under noise a criterion now and then takes a curved baseline for a straight line, and errors would
then be reported too small (docs/fit.md).
"""

COMMON = ("phase0_rad", "phase1_rad_per_ppm", "shift_hz", "lorentz_hz", "gauss_hz2")
BROAD = ("broad_shift_hz", "broad_lorentz_hz")


@dataclass(frozen=True)
class Model:
    """All that spectra of one protocol share, computed once.

    Attributes
    ----------
    names : tuple of str
    fids : complex array (n_names, n_time)
        First point halved (see `fids.to_spectrum`).
    broad : boolean array (n_names,)
        Macromolecules and lipids: own shift and broadening relative to the metabolites.
    time_s : array (n_time,)
    ppm, index : arrays (n_points,)
        Range of the fit and where it stands in the discrete Fourier transform.
    frequency_mhz, dwell_s : float
    baseline : Baseline
    parameters : tuple of str
        Nonlinear parameters, in order: `COMMON`, `BROAD` (differences to the metabolites), one
        `shift_hz:<name>` per metabolite where these are free, `kernel:<n>` of a free lineshape.
    lower, upper, prior_sd : arrays (n_parameters,)
        Limits, and the standard deviation of a Gaussian prior round 0 (inf for none).
    ratios : tuple of (row, column, ratio, sd)
        Soft ratios between amplitudes.
    shifts : tuple of int
        Signals with a shift of their own.
    kernel : complex array (n_kernel, n_time)
        Copies of a free lineshape.
    smoothness : float
        Of the baseline: given, or where the search starts.
    grid : array
        Smoothnesses that a criterion chooses from.
    """

    names: tuple[str, ...]
    fids: np.ndarray
    broad: np.ndarray
    time_s: np.ndarray
    ppm: np.ndarray
    index: np.ndarray
    frequency_mhz: float
    dwell_s: float
    baseline: smooth.Baseline
    parameters: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    prior_sd: np.ndarray
    ratios: tuple[tuple[int, int, float, float], ...]
    shifts: tuple[int, ...]
    kernel: np.ndarray
    smoothness: float
    grid: np.ndarray

    @property
    def offset_ppm(self) -> np.ndarray:
        """Chemical shift from the pivot of the first-order phase."""
        return self.ppm - PIVOT_PPM

    def phase(self, theta: np.ndarray) -> np.ndarray:
        """Phase factor of the spectrum, complex (n_points,)."""
        return np.exp(1j * (theta[0] + theta[1] * self.offset_ppm))

    def damped(self, theta: np.ndarray) -> np.ndarray:
        """Basis under its lineshape, complex (n_names, n_time)."""
        _, _, shift, lorentz, gauss2, broad_shift, broad_lorentz = theta[:7]
        narrow = self._exponentials(2j * np.pi * shift - np.pi * lorentz)
        narrow = narrow * np.exp(-GAUSS * gauss2 * self.time_s**2)
        if len(self.kernel):
            weights = theta[7 + len(self.shifts) :]
            narrow = narrow * (1.0 - weights.sum() + weights @ self.kernel)
        broad = narrow
        if self.broad.any():
            broad = narrow * self._exponentials(2j * np.pi * broad_shift - np.pi * broad_lorentz)
        signals = np.empty_like(self.fids)
        for fid, is_broad_one, signal in zip(self.fids, self.broad, signals):
            np.multiply(fid, broad if is_broad_one else narrow, out=signal)
        if self.shifts:
            rows = list(self.shifts)
            own = theta[7 : 7 + len(rows)]
            signals[rows] *= self._exponentials(2j * np.pi * own)
        return signals

    def _exponentials(self, rate) -> np.ndarray:
        """exp(rate t), rate in 1/s; (..., n_time)."""
        return exponentials(rate * self.dwell_s, len(self.time_s))

    def spectrum(self, fids: np.ndarray) -> np.ndarray:
        """FIDs (..., n_time), first point halved, as spectra in the range, (..., 2, n_points)."""
        spectra = fft(fids, axis=-1)
        rows = np.empty((*fids.shape[:-1], 2, len(self.index)))
        start, stop = self.index[0], self.index[-1] + 1
        # Indices rise by one, but where the range holds frequency zero.
        within = slice(start, stop) if stop - start == len(self.index) else self.index
        rows[..., 0, :] = spectra.real[..., within]
        rows[..., 1, :] = spectra.imag[..., within]
        return rows

    def tangent_fids(self, theta: np.ndarray, damped: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Derivatives of the sum of signals in time by the parameters after the phases.

        Parameters
        ----------
        damped : complex array (n_names, n_time), of `damped`
        a : array (n_names,)

        Returns
        -------
        complex array (n_parameters - 2, n_time)
        """
        t = self.time_s
        total = _summed(a, damped)
        rows = np.empty((len(theta) - 2, len(t)), complex)
        rows[1] = (-np.pi * t) * total
        rows[0] = -2j * rows[1]
        rows[2] = (-GAUSS * t**2) * total
        rows[3:5] = 0.0
        if self.broad.any():
            rows[4] = (-np.pi * t) * _summed(a[self.broad], damped[self.broad])
            rows[3] = -2j * rows[4]
        last = 5 + len(self.shifts)
        if self.shifts:
            chosen = list(self.shifts)
            rows[5:last] = (2j * np.pi * t) * (a[chosen, None] * damped[chosen])
        if len(self.kernel):
            weights = theta[7 + len(self.shifts) :]
            plain = total / (1.0 - weights.sum() + weights @ self.kernel)
            rows[last:] = plain * (self.kernel - 1.0)
        return rows

    def value(self, theta: np.ndarray, name: str) -> float:
        """A parameter by its name."""
        return float(theta[self.parameters.index(name)])


def _summed(a: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Sum of complex signals (n, n_time) with real weights (n,)."""
    return (a @ np.ascontiguousarray(signals).view(float)).view(complex)


def make_model(fids: Fids, basis: Basis, options: FitOptions) -> Model:
    """The model of spectra on the axes of `fids`.

    Raises
    ------
    DataError
        The basis does not belong to the data (field, dwell time, no creatine), or the range holds
        too few points.
    """
    _check_axes(fids, basis)
    names, signals = _signals(fids, basis, options)
    f0 = fids.frequency_mhz
    inside = (fids.ppm >= options.range_low_ppm) & (fids.ppm <= options.range_high_ppm)
    if inside.sum() < 2 * len(names):
        raise DataError(
            f"{int(inside.sum())} spectral points in {options.range_low_ppm:g} to "
            f"{options.range_high_ppm:g} ppm for {len(names)} signals: at least {2 * len(names)} "
            "are needed; the FID is too short or the spectral width too small"
        )
    index = (np.flatnonzero(inside) - fids.n_points // 2) % fids.n_points
    ppm = fids.ppm[inside]
    broad = np.array([is_broad(name) for name in names])
    signals = signals.copy()
    signals[:, 0] *= 0.5
    shifts = tuple(np.flatnonzero(~broad)) if options.metabolite_shift_sd_ppm > 0 else ()
    reach = np.arange(-KERNEL_REACH, KERNEL_REACH + 1)
    steps = reach[reach != 0] if options.lineshape == "free" else reach[:0]
    kernel = np.exp(2j * np.pi * KERNEL_STEP_HZ * np.outer(steps, fids.time_s))
    baseline = _baseline(ppm, options)
    span = float(np.ptp(ppm))
    sizes = np.geomspace(MIN_DIMENSION_PER_PPM, MAX_DIMENSION_PER_PPM, GRID) * span
    limits = _limits(options, f0, bool(broad.any()), [names[k] for k in shifts], steps)
    return Model(
        names=names,
        fids=signals,
        broad=broad,
        time_s=fids.time_s,
        ppm=ppm,
        index=index,
        frequency_mhz=f0,
        dwell_s=fids.dwell_s,
        baseline=baseline,
        parameters=tuple(limits),
        lower=np.array([low for low, _, _ in limits.values()]),
        upper=np.array([high for _, high, _ in limits.values()]),
        prior_sd=np.array([sd for _, _, sd in limits.values()]),
        ratios=tuple(
            (names.index(one), names.index(other), ratio, sd)
            for one, other, ratio, sd in RATIOS
            if options.soft_ratios and one in names and other in names
        ),
        shifts=shifts,
        kernel=kernel,
        smoothness=baseline.smoothness_for(options.baseline_dimension_per_ppm * span),
        grid=np.array([baseline.smoothness_for(size) for size in sizes]),
    )


def _check_axes(fids: Fids, basis: Basis) -> None:
    if fids.n_points < 64:
        raise DataError(f"{fids.n_points} points in an FID: at least 64 are needed for a fit")
    # `Basis.resampled` gives the basis the frequency of the data.
    if abs(basis.frequency_mhz / fids.frequency_mhz - 1) > 1e-4:
        raise DataError(
            f"the basis is for {basis.frequency_mhz:.3f} MHz, the data are of "
            f"{fids.frequency_mhz:.3f} MHz: take a basis of the scanner's field"
        )
    if abs(basis.dwell_s / fids.dwell_s - 1) > 1e-4 or basis.n_points < fids.n_points:
        raise DataError(
            f"the basis has {basis.n_points} points of {basis.dwell_s * 1e6:.2f} us, the data "
            f"{fids.n_points} of {fids.dwell_s * 1e6:.2f} us: resample the basis"
        )
    if not members("tCr", basis.names):
        raise DataError(
            f"the basis has neither Cr nor PCr, without which no fit can be judged; it has "
            f"{', '.join(basis.names)}"
        )


def _signals(fids: Fids, basis: Basis, options: FitOptions):
    """Names and FIDs of all signals of the model."""
    left_out = set(options.exclude) | {"H2O"}
    if options.macromolecules in ("parametric", "none"):
        left_out |= {name for name in basis.names if is_broad(name)}
    names = tuple(name for name in basis.names if name not in left_out)
    signals = basis.select(names).fids[:, : fids.n_points]
    add = options.macromolecules == "parametric" or (
        options.macromolecules == "auto" and not any(is_broad(name) for name in names)
    )
    if add:
        from fmrsflow.basis import systems
        from fmrsflow.basis.simulate import broad_fids

        lines = systems.MACROMOLECULES | systems.LIPIDS
        lines = {name: parts for name, parts in lines.items() if name not in options.exclude}
        more = tuple(lines)
        lines = broad_fids(lines, fids.frequency_mhz, fids.n_points, fids.dwell_s)
        names, signals = names + more, np.vstack([signals, lines])
    return names, signals


def _baseline(ppm: np.ndarray, options: FitOptions) -> smooth.Baseline:
    if options.baseline == "spline":
        return smooth.spline(ppm, options.baseline_knots_per_ppm)
    if options.baseline == "polynomial":
        return smooth.polynomial(ppm, options.baseline_order)
    return smooth.no_baseline(len(ppm))


def _limits(options: FitOptions, f0: float, broad: bool, shifting, steps) -> dict:
    """Lower limit, upper limit and SD of the prior of each nonlinear parameter."""
    none = np.inf
    reach = options.max_shift_ppm * f0
    phase1 = np.deg2rad(options.phase1_sd_deg_per_ppm)
    widest = options.max_fwhm_hz
    limits = {
        "phase0_rad": (-none, none, none),
        "phase1_rad_per_ppm": (-5 * phase1, 5 * phase1, phase1),
        "shift_hz": (-reach, reach, none),
        "lorentz_hz": (0.0, widest, none),
        "gauss_hz2": (0.0, widest**2, none),
        # Macromolecules share the shim; what is left is the uncertainty of their own lines.
        "broad_shift_hz": (-0.05 * f0, 0.05 * f0, 0.01 * f0) if broad else (0.0, 0.0, 1.0),
        "broad_lorentz_hz": (-0.1 * f0, 0.2 * f0, 0.03 * f0) if broad else (0.0, 0.0, 1.0),
    }
    own = options.metabolite_shift_sd_ppm * f0
    limits |= {f"shift_hz:{name}": (-5 * own, 5 * own, own) for name in shifting}
    limits |= {f"kernel:{step}": (0.0, 0.5, KERNEL_SD) for step in steps}
    return limits

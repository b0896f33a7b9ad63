"""Forward model of the fit: basis signals under shift, broadening and phase, with derivatives.

S(v) = exp(i (phi0 + v phi1)) [ sum_k a_k FT{ b_k(t) L_g(t) } + B(v) ],
L_g(t) = exp(2 pi i shift_g t - pi lorentz_g t - (pi gauss)^2 t^2 / (4 ln 2)),

in a range of chemical shift (docs/science.md#fit-model). v is counted from `PIVOT_PPM`; the
baseline B is smooth in the phased frame. Spectra are rows of (2, n_points): real part, imaginary
part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fmrsflow.basis import systems
from fmrsflow.basis.files import Basis
from fmrsflow.basis.simulate import broad_fids
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit import baseline as smooth
from fmrsflow.fit.band import Band, band_of
from fmrsflow.fit.broad import (
    BASIS_RATIOS,
    CREATINE_CH2,
    GROUPED,
    MINOR,
    RATIOS,
    Macromolecules,
    creatine_ch2,
    is_broad,
)
from fmrsflow.fit.options import FitOptions
from fmrsflow.metabolites import members

PIVOT_PPM = 3.0
"""Chemical shift (ppm) at which the first-order phase is zero: among the main lines."""

GAUSS = np.pi**2 / (4 * np.log(2))
"""Decay of a Gaussian line of FWHM g: exp(-GAUSS g^2 t^2)."""

TIED = {"PCr": "Cr", CREATINE_CH2: "Cr", "PCh": "GPC"}
"""Signals whose lines stand where another's do: they share its small shift."""

TIED_FREELY = {CREATINE_CH2: "Cr", "PCh": "GPC"}
"""The same where metabolites have widths of their own: what sets Cr and PCr apart is then a shift
and a width, and not an exchange of amplitudes."""

WIDTH_SD_HZ = 0.4 / np.pi
"""SD of a metabolite's own Lorentzian width about the common one (LCModel: 1/T2 known to 0.4 /s;
Provencher 1993, doi:10.1002/mrm.1910300604)."""

KERNEL_STEP_HZ = 1.5
KERNEL_REACH = 5
KERNEL_SD = 0.1
"""Free lineshape: neighbouring copies on either side, their spacing, SD of their prior."""

GRID = 8
MIN_DIMENSION_PER_PPM, MAX_DIMENSION_PER_PPM = 1.0, 5.0
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
    band : Band
        Axes of the fit.
    fids : complex array (n_names, n_time)
        Signals as samples of the band.
    broad : boolean array (n_names,)
        Macromolecules and lipids: own shift and broadening relative to the metabolites.
    frequency_mhz : float
    baseline : Baseline
    parameters : tuple of str
        Nonlinear parameters, in order: `COMMON`, `BROAD` (differences to the metabolites), one
        `shift_hz:<name>` and one `lorentz_hz:<name>` (difference to the common one) per metabolite
        where these are free, `kernel:<n>` of a free lineshape.
    lower, upper, prior_sd : arrays (n_parameters,)
        Limits, and the standard deviation of a Gaussian prior round 0 (inf for none).
    ratios : tuple of (row, column, ratio, sd)
        Soft ratios between amplitudes.
    shifts : array (n_shifts, n_names)
        1 for the signals that each shift of its own moves: a metabolite, or those whose lines
        stand at one place (`TIED`, `TIED_FREELY`).
    own_widths : bool
        Whether each of them has a Lorentzian width of its own too.
    kernel : complex array (n_kernel, n_time)
        Copies of a free lineshape.
    smoothness : float
        Of the baseline: given, or where the search starts.
    grid : array
        Smoothnesses that a criterion chooses from.
    """

    names: tuple[str, ...]
    band: Band
    fids: np.ndarray
    broad: np.ndarray
    frequency_mhz: float
    baseline: smooth.Baseline
    parameters: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    prior_sd: np.ndarray
    ratios: tuple[tuple[int, int, float, float], ...]
    shifts: np.ndarray
    own_widths: bool
    kernel: np.ndarray
    smoothness: float
    grid: np.ndarray

    @property
    def ppm(self) -> np.ndarray:
        """Range of the fit, (n_points,)."""
        return self.band.ppm

    @property
    def time_s(self) -> np.ndarray:
        """Times of the samples of the band, (n_time,)."""
        return self.band.time_s

    @property
    def n_data(self) -> float:
        """Real data points that carry noise of their own."""
        return 2 * len(self.ppm) / self.band.oversampling

    @property
    def offset_ppm(self) -> np.ndarray:
        """Chemical shift from the pivot of the first-order phase."""
        return self.ppm - PIVOT_PPM

    @cached_property
    def voigt(self) -> Model:
        """The model with the weights of a free lineshape held at zero."""
        kernel = np.array([name.startswith("kernel:") for name in self.parameters])
        return replace(self, upper=np.where(kernel, 0.0, self.upper))

    def with_kernel(self, theta: np.ndarray) -> np.ndarray:
        """Parameters of a Voigt line with a start for the weights of a free lineshape."""
        start = theta.copy()
        # From narrower lines: at the width that a Voigt line needed, no weight would help.
        start[4] *= 0.25
        start[len(theta) - len(self.kernel) :] = 0.5 * KERNEL_SD
        return start

    def is_voigt(self, theta: np.ndarray) -> bool:
        """Whether a free lineshape has no weight."""
        return not theta[len(theta) - len(self.kernel) :].any()

    def phase(self, theta: np.ndarray) -> np.ndarray:
        """Phase factor of the spectrum, complex (n_points,)."""
        return np.exp(1j * (theta[0] + theta[1] * self.offset_ppm))

    def damped(self, theta: np.ndarray) -> np.ndarray:
        """Basis under its lineshape, complex (n_names, n_time)."""
        _, _, shift, lorentz, gauss2, broad_shift, broad_lorentz = theta[:7]
        narrow = self.band.exponentials(2j * np.pi * shift - np.pi * lorentz)
        narrow = narrow * np.exp(-GAUSS * gauss2 * self.time_s**2)
        if not self.is_voigt(theta):
            weights = theta[len(theta) - len(self.kernel) :]
            narrow = narrow * (1.0 - weights.sum() + weights @ self.kernel)
        broad = narrow
        if self.broad.any():
            broad = narrow * self.band.exponentials(
                2j * np.pi * broad_shift - np.pi * broad_lorentz
            )
        signals = np.empty_like(self.fids)
        for fid, is_broad_one, signal in zip(self.fids, self.broad, signals):
            np.multiply(fid, broad if is_broad_one else narrow, out=signal)
        if len(self.shifts):
            n = len(self.shifts)
            rates = 2j * np.pi * theta[7 : 7 + n]
            if self.own_widths:
                rates = rates - np.pi * theta[7 + n : 7 + 2 * n]
            own = self.band.exponentials(rates)
            for turn, moved in zip(own, self.shifts):
                for row in np.flatnonzero(moved):
                    signals[row] *= turn
        return signals

    def spectrum(self, signals: np.ndarray) -> np.ndarray:
        """Signals of the band (..., n_time) as spectra in the range, (..., 2, n_points)."""
        return self.band.spectrum(signals)

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
        if len(self.shifts):
            rows[5:last] = (2j * np.pi * t) * ((self.shifts * a) @ damped)
        if self.own_widths:
            rows[last : last + len(self.shifts)] = 0.5j * rows[5:last]
            last += len(self.shifts)
        if len(self.kernel):
            weights = theta[len(theta) - len(self.kernel) :]
            plain = total / (1.0 - weights.sum() + weights @ self.kernel)
            rows[last:] = plain * (self.kernel - 1.0)
        return rows

    def value(self, theta: np.ndarray, name: str) -> float:
        """A parameter by its name."""
        return float(theta[self.parameters.index(name)])


def _summed(a: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Sum of complex signals (n, n_time) with real weights (n,)."""
    return (a @ np.ascontiguousarray(signals).view(float)).view(complex)


def make_model(
    fids: Fids,
    basis: Basis,
    options: FitOptions,
    macromolecules: Macromolecules = GROUPED,
    width_sd_hz: float = 0.0,
) -> Model:
    """The model of spectra on the axes of `fids`, with a set of macromolecules where these are
    lines (`own_lines`), and metabolites' own widths with a prior of SD `width_sd_hz` (0 for none;
    none without own shifts either).

    Raises
    ------
    DataError
        The basis does not belong to the data (field, dwell time, no creatine), or the range holds
        too few points.
    """
    _check_axes(fids, basis)
    names, signals = _signals(fids, basis, options, macromolecules)
    f0 = fids.frequency_mhz
    band = band_of(fids, options.range_low_ppm, options.range_high_ppm)
    ppm = band.ppm
    if len(ppm) < 2 * len(names) * band.oversampling:
        raise DataError(
            f"{len(ppm)} spectral points in {options.range_low_ppm:g} to "
            f"{options.range_high_ppm:g} ppm for {len(names)} signals: at least {2 * len(names)} "
            "are needed; the FID is too short or the spectral width too small"
        )
    broad = np.array([is_broad(name) for name in names])
    tied = TIED_FREELY if width_sd_hz > 0 else TIED
    shifts = _shift_groups(names, broad, tied) if options.metabolite_shift_sd_ppm > 0 else {}
    reach = np.arange(-KERNEL_REACH, KERNEL_REACH + 1)
    steps = reach[:0] if options.lineshape == "voigt" else reach[reach != 0]
    kernel = np.exp(2j * np.pi * KERNEL_STEP_HZ * np.outer(steps, band.time_s))
    baseline = _baseline(ppm, options)
    span = float(np.ptp(ppm))
    sizes = np.geomspace(MIN_DIMENSION_PER_PPM, MAX_DIMENSION_PER_PPM, GRID) * span
    broad_ratios = macromolecules.ratios if own_lines(basis, options) else BASIS_RATIOS
    own_widths = width_sd_hz > 0 and bool(shifts)
    limits = _limits(options, f0, bool(broad.any()), shifts, width_sd_hz, steps)
    return Model(
        names=names,
        band=band,
        fids=band.reduced(signals),
        broad=broad,
        frequency_mhz=f0,
        baseline=baseline,
        parameters=tuple(limits),
        lower=np.array([low for low, _, _ in limits.values()]),
        upper=np.array([high for _, high, _ in limits.values()]),
        prior_sd=np.array([sd for _, _, sd in limits.values()]),
        ratios=tuple(
            (names.index(one), names.index(other), ratio, sd)
            for one, other, ratio, sd in (*RATIOS, *MINOR, *broad_ratios)
            if options.soft_ratios and one in names and other in names
        ),
        shifts=np.array(list(shifts.values())).reshape(-1, len(names)),
        own_widths=own_widths,
        kernel=kernel,
        smoothness=baseline.smoothness_for(options.baseline_dimension_per_ppm * span),
        grid=np.array([baseline.smoothness_for(size) for size in sizes]),
    )


def _shift_groups(names: tuple[str, ...], broad: np.ndarray, tied) -> dict[str, np.ndarray]:
    """Signals that move together, by the name of the first of them."""
    groups: dict[str, np.ndarray] = {}
    for k, name in enumerate(names):
        if not broad[k]:
            first = tied.get(name, name)
            groups.setdefault(first if first in names else name, np.zeros(len(names)))[k] = 1.0
    return groups


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


def own_lines(basis: Basis, options: FitOptions) -> bool:
    """Whether macromolecules and lipids are lines of the fit: asked for, or the basis has none but
    those lines that the basis stage added."""
    broad = {name for name in basis.names if is_broad(name)}
    lines = broad <= set(basis.made.get("added", ()))
    return options.macromolecules == "parametric" or (options.macromolecules == "auto" and lines)


def _signals(fids: Fids, basis: Basis, options: FitOptions, macromolecules: Macromolecules):
    """Names and FIDs of all signals of the model."""
    left_out = set(options.exclude) | {"H2O"}
    lines = own_lines(basis, options)
    broad = {name for name in basis.names if is_broad(name)}
    standard = {*systems.MACROMOLECULES, *systems.LIPIDS}
    if lines or options.macromolecules == "none":
        left_out |= {name for name in basis.names if is_broad(name)}
    names = tuple(name for name in basis.names if name not in left_out)
    signals = basis.select(names).fids[:, : fids.n_points]
    if {"Cr", "PCr"} & set(names) and CREATINE_CH2 not in {*names, *left_out}:
        names += (CREATINE_CH2,)
        signals = np.vstack([signals, creatine_ch2(fids.frequency_mhz, fids.time_s)])
    if lines:
        chosen = {
            name: parts
            for name, parts in (macromolecules.lines | systems.LIPIDS).items()
            if name not in options.exclude and not (broad and name in standard - broad)
        }
        more = broad_fids(chosen, fids.frequency_mhz, fids.n_points, fids.dwell_s)
        names, signals = names + tuple(chosen), np.vstack([signals, more])
    return names, signals


def _baseline(ppm: np.ndarray, options: FitOptions) -> smooth.Baseline:
    if options.baseline == "spline":
        return smooth.spline(ppm, options.baseline_knots_per_ppm)
    if options.baseline == "polynomial":
        return smooth.polynomial(ppm, options.baseline_order)
    return smooth.no_baseline(len(ppm))


def _limits(options: FitOptions, f0: float, broad: bool, shifting, width_hz: float, steps) -> dict:
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
    if width_hz > 0:
        limits |= {
            f"lorentz_hz:{name}": (-5 * width_hz, 5 * width_hz, width_hz) for name in shifting
        }
    limits |= {f"kernel:{step}": (0.0, 0.5, KERNEL_SD) for step in steps}
    return limits

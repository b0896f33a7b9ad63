"""Forward model of the fit: basis signals under shift, broadening and phase, with derivatives.

S(v) = exp(i (phi0 + v phi1)) [ sum_k a_k FT{ b_k(t) L_g(t) } + B(v) ],
L_g(t) = exp(2 pi i shift_g t - pi lorentz_g t - (pi gauss)^2 t^2 / (4 ln 2)),

in a range of chemical shift (docs/science.md#fit-model). v is counted from `PIVOT_PPM`; the
baseline B is smooth in the phased frame. Spectra are rows of (2, n_points): real part, imaginary
part.
"""

from __future__ import annotations

from collections.abc import Sequence
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
GAUSS_AT = COMMON.index("gauss_hz2")
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
        start[GAUSS_AT] *= 0.25
        start[self.kernel_at :] = 0.5 * KERNEL_SD
        return start

    def in_kernel(self, theta: np.ndarray) -> np.ndarray:
        """Parameters of nearly the same line, three quarters of the Gaussian's square in the
        weights."""
        start = theta.copy()
        start[GAUSS_AT] *= 0.25
        steps = np.arange(-KERNEL_REACH, KERNEL_REACH + 1)
        # A Gaussian of FWHM g has the variance g^2 / (8 ln 2).
        variance = 3 * start[GAUSS_AT] / (8 * np.log(2))
        weights = np.exp(-((KERNEL_STEP_HZ * steps) ** 2) / (2 * max(variance, 1e-3)))
        start[self.kernel_at :] = (weights / weights.sum())[steps != 0]
        return start

    def is_voigt(self, theta: np.ndarray) -> bool:
        """Whether a free lineshape has no weight."""
        return not self._kernel_weights(theta).any()

    @property
    def n_moving(self) -> int:
        """Number of parameters, without the weights of a free lineshape where they are held."""
        free = len(self.kernel) and self.upper[-1] > self.lower[-1]
        return len(self.parameters) if free else self.kernel_at

    @property
    def kernel_at(self) -> int:
        """Place of the first weight of a free lineshape among the parameters."""
        return len(self.parameters) - len(self.kernel)

    def _kernel_weights(self, theta: np.ndarray) -> np.ndarray:
        return theta[self.kernel_at :]

    @cached_property
    def squared_s2(self) -> np.ndarray:
        """Squares of `time_s`."""
        return self.time_s**2

    @cached_property
    def envelopes(self) -> np.ndarray:
        """Number of each signal's envelope in `damped`, (n_names,)."""
        own = 2 + np.argmax(self.shifts, axis=0) if len(self.shifts) else 0
        return np.where(self.broad, 1, np.where(self.shifts.any(axis=0), own, 0))

    @cached_property
    def ratio_rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each soft ratio: numerator less expected numerator, the size of the denominator from
        all that are tied to it, both by amplitudes (n_ratios, n_names), and its SD."""
        off, size = np.zeros((2, len(self.ratios), len(self.names)))
        for row, (one, other, ratio, _) in enumerate(self.ratios):
            off[row, one], off[row, other] = 1.0, -ratio
            tied = [(i, r) for i, j, r, _ in self.ratios if j == other]
            # A denominator's own estimate is noisy, and a low one would weigh more than a high one.
            size[row, [other, *(i for i, _ in tied)]] = 1 / (1 + sum(r for _, r in tied))
        return off, size, np.array([sd for *_, sd in self.ratios])

    @cached_property
    def moved(self) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """First signal of each shift of its own, (n_shifts,); shift and signal of the others."""
        found = np.argwhere(self.shifts)
        _, first = np.unique(found[:, 0], return_index=True)
        return found[first, 1], [(int(x), int(k)) for x, k in np.delete(found, first, axis=0)]

    @cached_property
    def factors(self) -> np.ndarray:
        """What the derivatives by width, Gaussian and shift multiply a signal with, complex (3,
        n_time)."""
        t = self.time_s
        return np.stack([-np.pi * t, -GAUSS * t**2, 2j * np.pi * t])

    def phase(self, theta: np.ndarray) -> np.ndarray:
        """Phase factor of the spectrum, complex (n_points,)."""
        return np.exp(1j * (theta[0] + theta[1] * self.offset_ppm))

    def damped(self, theta: np.ndarray) -> np.ndarray:
        """Basis under its lineshape, complex (n_names, n_time)."""
        return self.fids * self.lineshapes(theta)[self.envelopes]

    def lineshapes(self, theta: np.ndarray) -> np.ndarray:
        """Envelopes of metabolites, of macromolecules and of each shift of its own, complex
        (2 + n_shifts, n_time)."""
        _, _, shift, lorentz, gauss2, broad_shift, broad_lorentz = theta[:7]
        last = 7 + len(self.shifts)
        shifts = shift + np.concatenate(([0.0, broad_shift], theta[7:last]))
        widths = np.full(len(shifts), lorentz)
        widths[1] += broad_lorentz
        if self.own_widths:
            widths[2:] += theta[last : last + len(self.shifts)]
        envelopes = self.band.exponentials(2j * np.pi * shifts - np.pi * widths)
        shape = np.exp(-GAUSS * gauss2 * self.squared_s2)
        if not self.is_voigt(theta):
            weights = self._kernel_weights(theta)
            shape = shape * (1.0 - weights.sum() + weights @ self.kernel)
        envelopes *= shape
        return envelopes

    def spectrum(self, signals: np.ndarray) -> np.ndarray:
        """Signals of the band (..., n_time) as spectra in the range, (..., 2, n_points)."""
        return self.band.spectrum(signals)

    def tangent_fids(self, theta: np.ndarray, damped: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Derivatives of the sum of signals in time by the parameters after the phases that move.

        Parameters
        ----------
        damped : complex array (n_names, n_time), of `damped`
        a : array (n_names,)

        Returns
        -------
        complex array (n_moving - 2, n_time)
        """
        width, gauss, shift = self.factors
        total = _summed(a, damped)
        rows = np.empty((self.n_moving - 2, len(width)), complex)
        rows[0], rows[1], rows[2] = shift * total, width * total, gauss * total
        rows[3:5] = _summed(np.where(self.broad, a, 0.0), damped)
        last = 5 + len(self.shifts)
        leading, tied = self.moved
        rows[5:last] = a[leading, None] * damped[leading]
        for group, row in tied:
            rows[5 + group] += a[row] * damped[row]
        rows[3] *= shift
        rows[4] *= width
        if self.own_widths:
            np.multiply(rows[5:last], width, out=rows[last : last + len(self.shifts)])
        rows[5:last] *= shift
        if len(rows) > self.kernel_at - 2:
            plain = self._without_kernel(theta, total)
            rows[self.kernel_at - 2 :] = plain * (self.kernel - 1.0)
        return rows

    def _without_kernel(self, theta: np.ndarray, total: np.ndarray) -> np.ndarray:
        weights = self._kernel_weights(theta)
        return total / (1.0 - weights.sum() + weights @ self.kernel)

    def along(
        self, theta: np.ndarray, damped: np.ndarray, a: np.ndarray, spectrum: np.ndarray
    ) -> np.ndarray:
        """Products of the derivatives of `tangent_fids` with one spectrum (2, n_points), without
        their spectra, (n_moving - 2,)."""
        dual = self.band.dual(spectrum)
        against = self.factors.conj() * dual
        each = a[:, None] * (damped.view(float) @ against.view(float).T)
        found = np.empty(self.n_moving - 2)
        found[1], found[2], found[0] = each.sum(axis=0)
        found[4], _, found[3] = self.broad @ each
        last = 5 + len(self.shifts)
        found[5:last] = self.shifts @ each[:, 2]
        if self.own_widths:
            found[last : last + len(self.shifts)] = self.shifts @ each[:, 0]
        if len(found) > self.kernel_at - 2:
            plain = self._without_kernel(theta, _summed(a, damped))
            found[self.kernel_at - 2 :] = ((self.kernel - 1.0) @ (plain * dual.conj())).real
        return found

    def value(self, theta: np.ndarray, name: str) -> float:
        """A parameter by its name."""
        return float(theta[self.parameters.index(name)])


def _summed(a: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Sums of complex signals (n, n_time) with real weights (..., n)."""
    return (a @ np.ascontiguousarray(signals).view(float)).view(complex)


@dataclass(frozen=True)
class Kind:
    """What models of the same spectra may differ in.

    Attributes
    ----------
    basis : Basis
    macromolecules : Macromolecules
        Where these are lines (`own_lines`).
    width_sd_hz : float
        SD of the prior of metabolites' own widths; 0 for none, and none without own shifts either.
    """

    basis: Basis
    macromolecules: Macromolecules = GROUPED
    width_sd_hz: float = 0.0


def make_model(fids: Fids, kind: Kind, options: FitOptions) -> Model:
    """The model of spectra on the axes of `fids`; raises as `make_models`."""
    return make_models(fids, [kind], options)[0]


def make_models(fids: Fids, kinds: Sequence[Kind], options: FitOptions) -> list[Model]:
    """Models of the same spectra; what they share is computed once.

    Raises
    ------
    DataError
        A basis does not belong to the data (field, dwell time, no creatine), or the range holds
        too few points.
    """
    for kind in kinds:
        _check_axes(fids, kind.basis)
    band = band_of(fids, options.range_low_ppm, options.range_high_ppm)
    chosen = [_chosen(kind.basis, options, kind.macromolecules) for kind in kinds]
    for names, more in chosen:
        _check_points(band, len(names) + len(more), options)
    baseline = _baseline(band.ppm, options)
    span = float(np.ptp(band.ppm))
    sizes = np.geomspace(MIN_DIMENSION_PER_PPM, MAX_DIMENSION_PER_PPM, GRID)
    sizes = np.append(sizes, options.baseline_dimension_per_ppm)
    *grid, smoothness = baseline.smoothness_for(sizes * span)
    lines = lines_in_band(fids, band, [one for _, more in chosen for one in more.values()])
    molecules = {}
    for kind, (names, _) in zip(kinds, chosen):
        if id(kind.basis) not in molecules:
            molecules[id(kind.basis)] = _molecules_in_band(fids, band, kind.basis, names)
    return [
        _model(
            kind,
            options,
            fids=np.vstack([molecules[id(kind.basis)], *(lines[one] for one in more.values())]),
            names=(*names, *more),
            frequency_mhz=fids.frequency_mhz,
            band=band,
            baseline=baseline,
            smoothness=float(smoothness),
            grid=np.array(grid),
        )
        for kind, (names, more) in zip(kinds, chosen)
    ]


def _model(
    kind: Kind, options: FitOptions, fids: np.ndarray, names: tuple[str, ...], **shared
) -> Model:
    band, f0 = shared["band"], shared["frequency_mhz"]
    broad = np.array([is_broad(name) for name in names])
    tied = TIED_FREELY if kind.width_sd_hz > 0 else TIED
    shifts = _shift_groups(names, broad, tied) if options.metabolite_shift_sd_ppm > 0 else {}
    reach = np.arange(-KERNEL_REACH, KERNEL_REACH + 1)
    steps = reach[:0] if options.lineshape == "voigt" else reach[reach != 0]
    kernel = np.exp(2j * np.pi * KERNEL_STEP_HZ * np.outer(steps, band.time_s))
    ratios = kind.macromolecules.ratios if own_lines(kind.basis, options) else BASIS_RATIOS
    limits = _limits(options, f0, bool(broad.any()), shifts, kind.width_sd_hz, steps)
    return Model(
        names=names,
        fids=fids,
        broad=broad,
        parameters=tuple(limits),
        lower=np.array([low for low, _, _ in limits.values()]),
        upper=np.array([high for _, high, _ in limits.values()]),
        prior_sd=np.array([sd for _, _, sd in limits.values()]),
        ratios=tuple(
            (names.index(one), names.index(other), ratio, sd)
            for one, other, ratio, sd in (*RATIOS, *MINOR, *ratios)
            if options.soft_ratios and one in names and other in names
        ),
        shifts=np.array(list(shifts.values())).reshape(-1, len(names)),
        own_widths=kind.width_sd_hz > 0 and bool(shifts),
        kernel=kernel,
        **shared,
    )


def _check_points(band: Band, n_names: int, options: FitOptions) -> None:
    n_points = len(band.ppm)
    if n_points < 2 * n_names * band.oversampling:
        raise DataError(
            f"{n_points} spectral points in {options.range_low_ppm:g} to "
            f"{options.range_high_ppm:g} ppm for {n_names} signals: at least {2 * n_names} "
            "are needed; the FID is too short or the spectral width too small: export all points"
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


def _chosen(
    basis: Basis, options: FitOptions, macromolecules: Macromolecules
) -> tuple[tuple[str, ...], dict[str, tuple]]:
    """Names of the signals that the basis has, the correction of creatine after them, and lines of
    those that the fit adds, by name."""
    left_out = set(options.exclude) | {"H2O"}
    lines = own_lines(basis, options)
    broad = {name for name in basis.names if is_broad(name)}
    standard = {*systems.MACROMOLECULES, *systems.LIPIDS}
    if lines or options.macromolecules == "none":
        left_out |= {name for name in basis.names if is_broad(name)}
    names = tuple(name for name in basis.names if name not in left_out)
    if {"Cr", "PCr"} & set(names) and CREATINE_CH2 not in {*names, *left_out}:
        names += (CREATINE_CH2,)
    more = {}
    if lines:
        more = {
            name: parts
            for name, parts in (macromolecules.lines | systems.LIPIDS).items()
            if name not in options.exclude and not (broad and name in standard - broad)
        }
    return names, more


def _molecules_in_band(fids: Fids, band: Band, basis: Basis, names: tuple[str, ...]) -> np.ndarray:
    """Signals of the basis, and the correction of creatine where it is named and not among them."""
    n = band.n_used - band.n_wrapped
    rows = [basis.index(name) for name in names if name in basis.names]
    signals = [band.reduced(basis.fids[rows, :n])]
    if len(rows) < len(names):
        signals.append(band.reduced(creatine_ch2(fids.frequency_mhz, fids.time_s[:n])[None]))
    return np.vstack(signals)


def lines_in_band(fids: Fids, band: Band, lines: Sequence[tuple]) -> dict[tuple, np.ndarray]:
    """Signals of Gaussian lines as samples of the band, by what describes them: tuples of (ppm,
    FWHM ppm, protons)."""
    lines = dict.fromkeys(lines)
    signals = np.zeros((len(lines), band.n_used - band.n_wrapped), complex)
    for parts, signal in zip(lines, signals):
        # After this time rounding is all that is left of them.
        narrowest = min(width for _, width, _ in parts) * fids.frequency_mhz
        gone_s = np.sqrt(np.log(1e16) / GAUSS) / narrowest if narrowest else np.inf
        n = int(min(gone_s / fids.dwell_s + 1, len(signal)))
        signal[:n] = broad_fids({"": parts}, fids.frequency_mhz, n, fids.dwell_s)[0]
    return dict(zip(lines, band.reduced(signals)))


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

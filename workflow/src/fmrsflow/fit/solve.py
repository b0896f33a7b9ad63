"""Fit of single spectra by variable projection.

Amplitudes (non-negative) and baseline are solved for exactly inside; phases, shifts and widths are
found outside by Levenberg-Marquardt steps with the derivative of the projected residual in the form
of Kaufman (1975; Golub & Pereyra 2003, doi:10.1088/0266-5611/19/2/201). Near the solution they are
quasi-Newton steps: that form leaves out what the residual adds to the second derivatives, and
measured spectra have a residual that is not noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import fft, ifft
from scipy.linalg import LinAlgError

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.coloured import coloured_products, cut_alike
from fmrsflow.fit.model import WIDTH_SD_HZ, Kind, Model, make_model
from fmrsflow.fit.nonnegative import solve_nonnegative
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult, Solution, failed_result, make_result
from fmrsflow.fit.step import bounded_step
from fmrsflow.noise import NoiseShape, noise_shape
from fmrsflow.quality import noise_sd

START_SINGLETS = {"NAA": 12.0, "Cr": 5.0, "PCr": 5.0, "GPC": 1.0, "PCh": 1.0, "Cho": 1.5}
"""Amplitudes of the template that finds frequency and phase."""

START_WIDTHS_HZ = ((2.5, 2.5), (5.0, 5.0), (10.0, 12.0))
"""Lorentzian and Gaussian FWHM of the starts."""

NEAR = 4.0
"""Gain of a step, in units of the residual's variance, below which secants follow the second
derivatives: it moves parameters by about two standard errors, over which they hardly change."""

MAX_STEPS = 60
NO_CONVERGENCE = "no convergence"
"""Start of the reason why a search stopped that did not end by itself."""

STEP_TOLERANCE = 1e-4
"""Predicted gain of a step, in units of the residual's variance, below which the fit stands: no
parameter would move by more than a hundredth of its standard error."""

MAX_REWEIGHTS = 25
"""Most times that priors are weighed anew by the residual."""

ROUGH = 1e4
"""Factor of the tolerance for the fit before the baseline's smoothness is chosen."""

LINESHAPE_GAIN = 2.0
"""What each weight of a free lineshape must take off the residual, in units of its variance (Akaike
1974, doi:10.1109/TAC.1974.1100705): weights that follow noise take 4 % off all amplitudes."""

FLOOR = 1e-16
"""Predicted gain of a step relative to the data (squares) that is rounding."""

AIC_FACTOR = 5.0
"""Weight of the effective dimension in the criterion `aic` (Wilson 2021)."""


@dataclass
class State:
    """A point of the search: parameters, their spectra, and what was solved inside.

    Attributes
    ----------
    theta : array (n_parameters,)
    damped : complex array (n_names, n_time)
    rows : array (n_names + 1, 2, n_points)
        Spectra of all signals, and last the data, in the phased frame.
    whole, inside : arrays (n_names + 1, n_names + 1), (n_names + 1, 2 n_columns)
        Products of the rows with each other and with the columns of the baseline.
    gram : array (n_names + 1, n_names + 1)
        Products with the baseline projected out.
    information : array (n_names, n_names)
        Of the amplitudes, soft ratios included.
    amplitudes, passive : arrays (n_names,)
        Amplitudes and which of them are not held at zero.
    misfit, cost : float
        Penalised sum of squares of the residual, without and with the priors.
    """

    theta: np.ndarray
    damped: np.ndarray
    rows: np.ndarray
    whole: np.ndarray
    inside: np.ndarray
    gram: np.ndarray
    information: np.ndarray
    amplitudes: np.ndarray
    passive: np.ndarray
    misfit: float
    cost: float


@dataclass(frozen=True)
class Target:
    """A spectrum to fit: scaled data in the range, and the variance by which priors are weighed."""

    spectrum: np.ndarray
    variance: float
    smoothness: float
    shares: np.ndarray
    ratios: np.ndarray


def fit_spectra(fids: Fids, basis: Basis, options: FitOptions | None = None) -> list[FitResult]:
    """Fit each transient of `fids` as a spectrum of its own.

    What spectra share is computed once; each is fitted from its own start, so that the result does
    not depend on its company.

    Parameters
    ----------
    fids : Fids
        One spectrum a transient, coils combined.
    basis : Basis
        On the axes of `fids`.
    options : FitOptions, optional

    Returns
    -------
    list of FitResult
        In the order of the transients; one that cannot be fitted has `status` "failed" and a
        reason.

    Raises
    ------
    DataError
        Basis and data do not belong together (field, dwell time, length).
    """
    options = options or FitOptions()
    fids, basis = cut_alike(fids, basis)
    model = make_model(fids, Kind(basis, width_sd_hz=WIDTH_SD_HZ), options)
    # One by one: vectorised over spectra, the last bits would depend on their number.
    return [_fit_one(model, options, fids.select([j])) for j in range(fids.n_transients)]


@dataclass(frozen=True)
class Spectrum:
    """A spectrum to fit.

    Attributes
    ----------
    whole : complex array (n_points,)
        In the range of the fit, in the unit of the FID.
    scale : float
        Its size, by which it is divided for the search.
    noise : float
        SD of the real part of `whole`.
    shape : NoiseShape
        Of the part of the FID that is fitted.
    """

    whole: np.ndarray
    scale: float
    noise: float
    shape: NoiseShape

    @property
    def scaled(self) -> np.ndarray:
        """The data of the search."""
        return self.whole / self.scale

    @property
    def scaled_noise(self) -> float:
        """SD of the real part of the data of the search."""
        return self.noise / self.scale


def prepared(model: Model, fids: Fids) -> Spectrum:
    """Spectrum of the first transient.

    Raises
    ------
    DataError
        It cannot be fitted.
    """
    one = fids.select([0])
    used, whole = model.band.used(one), model.band.spectra(one)[0]
    if not np.isfinite(whole).all():
        raise DataError("the FID holds NaN or infinite values")
    scale = float(np.abs(whole - whole.mean()).max())
    if not scale > 1e-12 * float(np.abs(whole).max()) or scale == 0.0:
        raise DataError("the spectrum is a flat line")
    return Spectrum(whole, scale, float(noise_sd(used)[0]), noise_shape(used))


def _fit_one(model: Model, options: FitOptions, fids: Fids) -> FitResult:
    try:
        data = prepared(model, fids)
        found = search(model, options, data)
    except (DataError, LinAlgError) as error:
        return failed_result(model, str(error))
    return make_result(solution(model, data, *found), data)


def solution(model: Model, data: Spectrum, state: State, target: Target, stop: str) -> Solution:
    """A finished search with what its errors need."""
    k, slopes = len(model.names), Tangents.of(model, state)
    white = _scatter(model, target, state, slopes)
    scatter = model.band.oversampling * white
    if not data.shape.white:
        rows = np.concatenate([state.rows[:k], slopes.rows])
        rows = rows - model.baseline.fitted(rows, target.smoothness)
        scatter = np.zeros_like(white)
        n = len(rows)
        scatter[:n, :n] = coloured_products(data.shape, model.band, rows)
    return Solution(
        model=model,
        target=target,
        state=state,
        stop=stop,
        slopes=products(model, target.shares, state, slopes),
        told=white,
        scatter=scatter,
    )


def _scatter(model: Model, target: Target, state: State, slopes: Tangents) -> np.ndarray:
    """Products J'(I - H)^2 J of the model's derivatives by amplitudes and nonlinear parameters, H
    the smoother of the baseline, (n, n)."""
    k = len(model.names)
    # The square of a smoother is one with shares 2 s - s^2.
    squared = 2 * target.shares - target.shares**2
    gram = state.whole[:k, :k] - (state.inside[:k] * squared) @ state.inside[:k].T
    own, cross = products(model, squared, state, slopes)
    return np.block([[gram, cross[:, :k].T], [cross[:, :k], own]])


def search(
    model: Model, options: FitOptions, data: Spectrum, smoothness: float | None = None
) -> tuple[State, Target, str]:
    """Start, fit with a moderate baseline, choose its smoothness, fit again.

    Parameters
    ----------
    smoothness : float, optional
        Where it was chosen before.

    Returns
    -------
    State, Target, str
        The solution, what it was fitted to, and why the search stopped.
    """
    whole = model
    if options.lineshape == "auto":
        model = model.voigt
    spectrum, variance = data.scaled, _variance(model, data)
    # From one start, whoever chose the smoothness: equal data have equal answers.
    first = model.smoothness
    target = make_target(model, spectrum, variance, first, None)
    state = min((evaluate(model, target, one) for one in starts(model, spectrum)), key=_cost)
    target = make_target(model, spectrum, variance, first, state)
    state, _ = minimise(model, target, solved_again(model, target, state), ROUGH)
    if smoothness is None:
        smoothness = first
        if options.baseline == "spline" and options.baseline_smoothness != "fixed":
            smoothness = choose_smoothness(model, target, state, options.baseline_smoothness)
    found = _settled(model, spectrum, smoothness, state)
    if model is whole:
        return found
    if _predicted_gain(whole, *found[:2]) < 0.5 * LINESHAPE_GAIN * len(whole.kernel):
        return found
    other = fitted_again(whole, data, smoothness, whole.with_kernel(found[0].theta))
    variance = other[0].cost / degrees_of_freedom(whole, smoothness, other[0])
    asked = found[0].misfit - other[0].misfit > LINESHAPE_GAIN * variance * len(whole.kernel)
    return other if asked else found


def _predicted_gain(model: Model, state: State, target: Target) -> float:
    """Gain of a free lineshape over a Voigt line in units of the residual's variance, foreseen from
    one step.

    A step that starts at the Voigt line would see nothing, since weights cannot take its width
    off; it starts at the same line made of a narrower one and weights. What it foresees is not less
    than what a search finds, but for lines of several peaks.
    """
    unit = state.cost / degrees_of_freedom(model, target.smoothness, state)
    start = evaluate(model, target, model.in_kernel(state.theta), state.passive)
    descent, curvature = slope(model, target, start), second_derivatives(model, target, start)
    _, gain = bounded_step(descent, curvature, start.theta, model.lower, model.upper, 1e-6)
    return gain / unit


def fitted_again(
    model: Model, data: Spectrum, smoothness: float, theta: np.ndarray
) -> tuple[State, Target, str]:
    """Fit from the parameters of another model's fit of the same spectrum, smoothness given."""
    if model.is_voigt(theta):
        model = model.voigt
    target = make_target(model, data.scaled, _variance(model, data), smoothness, None)
    state = evaluate(model, target, np.clip(theta, model.lower, model.upper))
    return _settled(model, data.scaled, smoothness, state)


def _variance(model: Model, data: Spectrum) -> float:
    # Squares of a zero-filled spectrum count its noise more than once.
    return data.scaled_noise**2 * model.band.oversampling


def _settled(model: Model, spectrum: np.ndarray, smoothness: float, state: State):
    """Minimum under priors that are weighed by the residual that they leave."""
    for _ in range(MAX_REWEIGHTS):
        variance = state.cost / degrees_of_freedom(model, smoothness, state)
        target = make_target(model, spectrum, variance, smoothness, state)
        state, stop = minimise(model, target, solved_again(model, target, state))
        # Without noise the priors' own pull is the residual: they fade out.
        if state.cost / degrees_of_freedom(model, target.smoothness, state) > 0.25 * variance:
            break
    return state, target, stop


def _cost(state: State) -> float:
    return state.cost


def make_target(
    model: Model,
    spectrum: np.ndarray,
    variance: float,
    smoothness: float,
    state: State | None,
) -> Target:
    """Data with priors on the scale of the noise; amplitudes of `state` scale the soft ratios."""
    k = len(model.names)
    ratios = np.zeros((k, k))
    if state is not None and model.ratios:
        off, tied, sd = model.ratio_rows
        spread = variance * np.linalg.inv(state.gram[:k, :k]).diagonal()
        size2 = (tied @ state.amplitudes) ** 2 + spread[[j for _, j, _, _ in model.ratios]]
        ratios = (off.T * (variance / (sd**2 * size2))) @ off
    return Target(
        spectrum=spectrum,
        variance=variance,
        smoothness=smoothness,
        # Once for the real part, once for the imaginary.
        shares=np.tile(model.baseline.shares(smoothness), 2),
        ratios=ratios,
    )


def starts(model: Model, spectrum: np.ndarray) -> list[np.ndarray]:
    """Starting parameters: frequency and phase from the correlation with the main singlets, a few
    widths."""
    weights = np.array([START_SINGLETS.get(name, 0.0) for name in model.names])
    theta = np.zeros(len(model.parameters))
    theta[3:5] = 6.0, 36.0
    template = model.spectrum(weights @ model.damped(theta))
    template = template[0] + 1j * template[1]
    # Correlation over frequency shifts: product in time of the two band-limited signals.
    n = 2 * len(spectrum)
    product = ifft(spectrum, n) * np.conj(ifft(template, n))
    step_hz = 1.0 / (model.band.step_s * len(model.time_s))
    correlation = fft(product)
    shifts = np.fft.fftfreq(n, 1.0 / n) * step_hz
    allowed = np.abs(shifts) <= min(model.upper[2], 0.99 * step_hz * len(spectrum) / 2)
    best = np.flatnonzero(allowed)[np.argmax(np.abs(correlation[allowed]))]
    found = []
    for lorentz, gauss in START_WIDTHS_HZ:
        theta = np.zeros(len(model.parameters))
        theta[0] = np.angle(correlation[best])
        theta[2:5] = shifts[best], lorentz, gauss**2
        found.append(np.clip(theta, model.lower, model.upper))
    return found


def evaluate(
    model: Model, target: Target, theta: np.ndarray, passive: np.ndarray | None = None
) -> State:
    """Solve amplitudes and baseline for given nonlinear parameters."""
    k = len(model.names)
    phased = target.spectrum * np.conj(model.phase(theta))
    damped = model.damped(theta)
    rows = np.empty((k + 1, 2, len(model.ppm)))
    model.band.spectrum(damped, rows[:k])
    rows[k, 0], rows[k, 1] = phased.real, phased.imag
    flat = rows.reshape(k + 1, -1)
    blank = np.empty(0)
    passive = np.ones(k, bool) if passive is None else passive
    state = State(
        theta, damped, rows, flat @ flat.T, in_columns(model, rows), blank, blank, blank, passive,
        0.0, 0.0,
    )  # fmt: skip
    return solved_again(model, target, state)


def solved_again(model: Model, target: Target, state: State) -> State:
    """Solve amplitudes and baseline of a state again, for another smoothness or other ratios."""
    k = len(model.names)
    gram = state.whole - (state.inside * target.shares) @ state.inside.T
    information = gram[:k, :k] + target.ratios
    a, passive = solve_nonnegative(information, gram[:k, k], state.passive)
    rest = np.append(-a, 1.0)
    misfit = max(float(rest @ gram @ rest), 0.0)
    prior = target.variance * float(np.sum((state.theta / model.prior_sd) ** 2))
    cost = misfit + float(a @ target.ratios @ a) + prior
    return replace(
        state, gram=gram, information=information, amplitudes=a, passive=passive, misfit=misfit,
        cost=cost,
    )  # fmt: skip


def in_columns(model: Model, rows: np.ndarray) -> np.ndarray:
    """Coefficients of rows (n, 2, n_points) on the columns of the baseline, (n, 2 n_columns)."""
    # As one matrix: a stack of two-row products would be an order slower.
    return (rows.reshape(2 * len(rows), -1) @ model.baseline.columns).reshape(len(rows), -1)


def tangents(model: Model, target: Target, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives J of the model by each nonlinear parameter, the baseline projected out.

    Returns
    -------
    own : array (n_parameters, n_parameters)
        J'J
    cross : array (n_parameters, n_names + 1)
        J' times the signals, and last times the data.
    """
    return products(model, target.shares, state, Tangents.of(model, state))


@dataclass(frozen=True)
class Tangents:
    """Derivatives of the model by each nonlinear parameter that moves, (n_moving, 2, n_points), and
    their coefficients on the columns of the baseline."""

    rows: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, model: Model, state: State) -> Tangents:
        """Those of a state."""
        rows = np.empty((model.n_moving, 2, len(model.ppm)))
        k = len(model.names)
        fitted = (state.amplitudes @ state.rows[:k].reshape(k, -1)).reshape(2, -1)
        rows[0] = -fitted[1], fitted[0]
        rows[1] = rows[0] * model.offset_ppm
        fids = model.tangent_fids(state.theta, state.damped, state.amplitudes)
        model.band.spectrum(fids, rows[2:])
        return cls(rows, in_columns(model, rows))


def products(model: Model, shares: np.ndarray, state: State, slopes: Tangents):
    """Products of derivatives with each other and with the rows of the state, the baseline taken
    off by those shares; zeros for parameters that do not move."""
    n, size = model.n_moving, len(model.parameters)
    flat = slopes.rows.reshape(n, -1)
    shared = slopes.inside * shares
    own, cross = np.zeros((size, size)), np.zeros((size, len(state.rows)))
    own[:n, :n] = flat @ flat.T - shared @ slopes.inside.T
    cross[:n] = flat @ state.rows.reshape(len(state.rows), -1).T - shared @ state.inside.T
    return own, cross


def minimise(
    model: Model, target: Target, state: State, looseness: float = 1.0
) -> tuple[State, str]:
    """Levenberg-Marquardt with limits from a state; the solution and why it stopped."""
    damping = 1e-3
    size = float(state.gram[-1, -1])
    stop = f"{NO_CONVERGENCE} in {MAX_STEPS} steps"
    dof = degrees_of_freedom(model, target.smoothness, state)
    descent, curvature = slope(model, target, state), second_derivatives(model, target, state)
    by_secant = False
    for _ in range(MAX_STEPS):
        unit = state.cost / dof
        step, predicted = bounded_step(
            descent, curvature, state.theta, model.lower, model.upper, damping
        )
        if abs(predicted) <= FLOOR * size:
            return state, "converged"
        gain = -np.inf
        if predicted > 0:
            theta = np.clip(state.theta + step, model.lower, model.upper)
            trial = evaluate(model, target, theta, state.passive)
            gain = state.cost - trial.cost
            if predicted <= looseness * STEP_TOLERANCE * unit:
                return trial if gain > 0 else state, "converged"
        if gain > 0:
            good = gain > 0.25 * predicted
            damping = max(damping * (0.2 if good else 2.0), 1e-9)
            moved, before = trial.theta - state.theta, descent
            state, descent = trial, slope(model, target, trial)
            by_secant = looseness == 1.0 and good and predicted < NEAR * unit
            if by_secant:
                curvature = with_secant(curvature, moved, before - descent)
            else:
                curvature = second_derivatives(model, target, state)
        else:
            damping *= 8.0
            if by_secant:
                by_secant, curvature = False, second_derivatives(model, target, state)
        if damping > 1e12:
            return state, "no step lowers the residual further"
    return state, stop


def slope(model: Model, target: Target, state: State) -> np.ndarray:
    """Direction of descent: minus half the derivative of the cost by the parameters.

    J'r of the projected residual r, priors included, without J: the residual is taken to the time
    domain, where derivatives are products with powers of time.
    """
    rest = np.append(-state.amplitudes, 1.0)
    residual = (rest @ state.rows.reshape(len(rest), -1)).reshape(2, -1)
    off = (rest @ state.inside) * target.shares
    residual -= off.reshape(2, -1) @ model.baseline.columns.T
    data = state.rows[-1]
    found = np.zeros(len(model.parameters))
    turned = data[0] * residual[1] - data[1] * residual[0]
    # The data carry the phases, noise and baseline too.
    found[:2] = turned.sum(), turned @ model.offset_ppm
    found[2 : model.n_moving] = model.along(state.theta, state.damped, state.amplitudes, residual)
    return found - target.variance / model.prior_sd**2 * state.theta


def second_derivatives(model: Model, target: Target, state: State) -> np.ndarray:
    """J'J of the projected residual, priors included: half those of the cost but for what the
    residual adds."""
    own, cross = tangents(model, target, state)
    chosen = np.flatnonzero(state.passive)
    part = cross[:, chosen]
    found = own - part @ np.linalg.solve(state.information[np.ix_(chosen, chosen)], part.T)
    return found + np.diag(target.variance / model.prior_sd**2)


def with_secant(curvature: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Second derivatives that agree with the change of slope over a step (BFGS: Nocedal & Wright
    2006, Numerical Optimization, 6.19); as they were where that is no minimum's."""
    told, known = float(step @ change), curvature @ step
    expected = float(step @ known)
    if not told > 1e-3 * expected > 0:
        return curvature
    return curvature + np.outer(change, change) / told - np.outer(known, known) / expected


def degrees_of_freedom(model: Model, smoothness: float, state: State) -> float:
    """Real data points less the parameters that were fitted, baseline included."""
    used = 2 * model.baseline.effective_dimension(smoothness)
    used += state.passive.sum() + np.sum(model.upper > model.lower)
    return max(model.n_data - used, 1.0)


def choose_smoothness(model: Model, target: Target, state: State, criterion: str) -> float:
    """Smoothness of the spline baseline that the criterion prefers, the shapes being given.

    `gcv`: generalised cross-validation (Craven & Wahba 1979); `aic`: log of the residual + 2 m
    (effective dimension) / n with m = 5 (Wilson 2021), stiffer.
    """
    k, n = len(model.names), model.n_data
    best = None
    for smoothness in model.grid:
        shares = np.tile(model.baseline.shares(smoothness), 2)
        gram = state.whole - (state.inside * shares) @ state.inside.T
        a, passive = solve_nonnegative(gram[:k, :k] + target.ratios, gram[:k, k], state.passive)
        rest = np.append(-a, 1.0)
        squares = rest @ state.whole @ rest
        squares -= np.sum((1 - (1 - shares) ** 2) * (rest @ state.inside) ** 2)
        squares = max(float(squares), np.finfo(float).tiny)
        used = shares.sum()
        if criterion == "gcv":
            value = np.log(squares) - 2 * np.log(1 - (used + passive.sum()) / n)
        else:
            value = np.log(squares) + 2 * AIC_FACTOR * used / n
        if best is None or value < best[0]:
            best = (value, smoothness)
    return best[1]

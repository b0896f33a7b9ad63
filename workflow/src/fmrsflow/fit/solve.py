"""Fit of single spectra by variable projection.

Amplitudes (non-negative) and baseline are solved for exactly inside; phases, shifts and widths are
found outside by Levenberg-Marquardt steps with the derivative of the projected residual in the form
of Kaufman (1975; Golub & Pereyra 2003, doi:10.1088/0266-5611/19/2/201).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.fft import fft, ifft
from scipy.linalg import LinAlgError

from fmrsflow.basis.files import Basis
from fmrsflow.fids import Fids
from fmrsflow.fit.coloured import coloured_covariance, cut_alike
from fmrsflow.fit.model import Model, make_model
from fmrsflow.fit.nonnegative import solve_nonnegative
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult, failed_result, make_result
from fmrsflow.fit.step import bounded_step
from fmrsflow.noise import noise_shape
from fmrsflow.quality import noise_sd

START_SINGLETS = {"NAA": 12.0, "Cr": 5.0, "PCr": 5.0, "GPC": 1.0, "PCh": 1.0, "Cho": 1.5}
"""Amplitudes of the template that finds frequency and phase."""

START_WIDTHS_HZ = ((2.5, 2.5), (5.0, 5.0), (10.0, 12.0))
"""Lorentzian and Gaussian FWHM of the starts."""

MAX_STEPS = 60
STEP_TOLERANCE = 1e-4
"""Predicted gain of a step, in units of the residual's variance, below which the fit stands: no
parameter would move by more than a hundredth of its standard error."""

MAX_REWEIGHTS = 12
"""Most times that priors are weighed anew by the residual."""

ROUGH = 1e4
"""Factor of the tolerance for the fit before the baseline's smoothness is chosen."""

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
    model = make_model(fids, basis, options)
    # One by one: vectorised over spectra, the last bits would depend on their number.
    return [_fit_one(model, options, fids.select([j])) for j in range(fids.n_transients)]


def _fit_one(model: Model, options: FitOptions, fids: Fids) -> FitResult:
    fid = fids.transients[0].astype(complex)
    fid[0] *= 0.5
    spectrum = fft(fid)[model.index]
    if not np.isfinite(spectrum).all():
        return failed_result(model, spectrum, "the FID holds NaN or infinite values")
    scale = float(np.abs(spectrum - spectrum.mean()).max())
    if not scale > 1e-12 * float(np.abs(spectrum).max()) or scale == 0.0:
        return failed_result(model, spectrum, "the spectrum is a flat line")
    noise = float(noise_sd(fids)[0])
    try:
        state, target, stop = search(model, options, spectrum / scale, noise / scale)
    except LinAlgError as error:
        return failed_result(model, spectrum, str(error))
    return make_result(
        model,
        spectrum,
        state,
        target,
        scale,
        noise,
        stop,
        tangents(model, target, state),
        degrees_of_freedom(model, target, state),
        _colouring(model, target, state, fids),
    )


def _colouring(model: Model, target: Target, state: State, fids: Fids):
    """What makes of the inverse information the covariance under the noise of `fids`; None where
    that is white."""
    shape = noise_shape(fids)
    if shape.white:
        return None
    rows = np.concatenate([state.rows[: len(model.names)], tangent_rows(model, state)])
    return partial(
        coloured_covariance,
        shape,
        model.index,
        (rows - model.baseline.fitted(rows, target.smoothness))[:, None],
        baseline=(model.baseline, target.smoothness),
        squares=state.cost,
    )


def search(
    model: Model, options: FitOptions, spectrum: np.ndarray, noise: float
) -> tuple[State, Target, str]:
    """Start, fit with a moderate baseline, choose its smoothness, fit again.

    Parameters
    ----------
    spectrum : complex array (n_points,)
    noise : float
        SD of its real part.

    Returns
    -------
    State, Target, str
        The solution, what it was fitted to, and why the search stopped.
    """
    smoothness = model.smoothness
    target = make_target(model, spectrum, noise**2, smoothness, None)
    state = min((evaluate(model, target, one) for one in starts(model, spectrum)), key=_cost)
    target = make_target(model, spectrum, noise**2, smoothness, state)
    state, stop = minimise(model, target, solved_again(model, target, state), ROUGH)
    if options.baseline == "spline" and options.baseline_smoothness != "fixed":
        smoothness = choose_smoothness(model, target, state, options.baseline_smoothness)
    for _ in range(MAX_REWEIGHTS):
        variance = state.cost / degrees_of_freedom(model, target, state)
        target = make_target(model, spectrum, variance, smoothness, state)
        state, stop = minimise(model, target, solved_again(model, target, state))
        # Without noise the priors' own pull is the residual: they fade out.
        if state.cost / degrees_of_freedom(model, target, state) > 0.25 * variance:
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
        amplitudes = state.amplitudes
        spread = variance * np.diag(np.linalg.inv(state.gram[:k, :k]))
    for one, other, ratio, sd in model.ratios if state is not None else ():
        # Size of the denominator from all that are tied to it: its own estimate is noisy, and a
        # low one would weigh more than a high one.
        tied = [(i, r) for i, j, r, _ in model.ratios if j == other]
        size = amplitudes[other] + sum(amplitudes[i] for i, _ in tied)
        size /= 1 + sum(r for _, r in tied)
        size2 = size**2 + spread[other]
        row = np.zeros(k)
        row[one], row[other] = 1.0, -ratio
        ratios += np.outer(row, row) * variance / (sd**2 * size2)
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
    step_hz = 1.0 / (model.dwell_s * len(model.time_s))
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
    rows[:k] = model.spectrum(damped)
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
    return products(model, target, state, tangent_rows(model, state))


def tangent_rows(model: Model, state: State) -> np.ndarray:
    """Derivatives of the model by each nonlinear parameter, (n_parameters, 2, n_points)."""
    fitted = np.tensordot(state.amplitudes, state.rows[: len(model.names)], 1)
    turned = np.stack([-fitted[1], fitted[0]])
    inner = model.spectrum(model.tangent_fids(state.theta, state.damped, state.amplitudes))
    return np.concatenate([[turned, turned * model.offset_ppm], inner])


def products(model: Model, target: Target, state: State, rows: np.ndarray):
    """Products of rows (n, 2, n_points) with each other and with those of the state."""
    flat = rows.reshape(len(rows), -1)
    inside = in_columns(model, rows)
    shared = inside * target.shares
    own = flat @ flat.T - shared @ inside.T
    cross = flat @ state.rows.reshape(len(state.rows), -1).T - shared @ state.inside.T
    return own, cross


def minimise(
    model: Model, target: Target, state: State, looseness: float = 1.0
) -> tuple[State, str]:
    """Levenberg-Marquardt with limits from a state; the solution and why it stopped."""
    damping = 1e-3
    size = float(state.gram[-1, -1])
    stop = f"no convergence in {MAX_STEPS} steps"
    dof = degrees_of_freedom(model, target, state)
    fresh = True
    for _ in range(MAX_STEPS):
        if fresh:
            gradient, hessian = _projected_normal(model, target, state)
        step, predicted = bounded_step(
            gradient, hessian, state.theta, model.lower, model.upper, damping
        )
        if predicted <= FLOOR * size:
            return state, "converged"
        theta = np.clip(state.theta + step, model.lower, model.upper)
        trial = evaluate(model, target, theta, state.passive)
        near = predicted <= looseness * STEP_TOLERANCE * state.cost / dof
        fresh = trial.cost < state.cost
        if fresh:
            good = state.cost - trial.cost > 0.25 * predicted
            damping = max(damping * (0.2 if good else 2.0), 1e-9)
            state = trial
        else:
            damping *= 8.0
        if near:
            return state, "converged"
        if damping > 1e12:
            return state, "no step lowers the residual further"
    return state, stop


def _projected_normal(model: Model, target: Target, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Descent direction J'r and J'J of the projected residual, priors included."""
    own, cross = tangents(model, target, state)
    rest = np.append(-state.amplitudes, 1.0)
    gradient = cross @ rest
    # The data carry the first-order phase, noise and baseline too; the other phase does not care.
    data = state.rows[-1]
    turned = np.stack([-data[1], data[0]]) * model.offset_ppm
    gradient[1] = (products(model, target, state, turned[None])[1] @ rest)[0]
    chosen = np.flatnonzero(state.passive)
    part = cross[:, chosen]
    hessian = own - part @ np.linalg.solve(state.information[np.ix_(chosen, chosen)], part.T)
    weight = target.variance / model.prior_sd**2
    return gradient - weight * state.theta, hessian + np.diag(weight)


def degrees_of_freedom(model: Model, target: Target, state: State) -> float:
    """Real data points less the parameters that were fitted, baseline included."""
    used = 2 * model.baseline.effective_dimension(target.smoothness)
    used += state.passive.sum() + np.sum(model.upper > model.lower)
    return max(2 * len(model.ppm) - used, 1.0)


def choose_smoothness(model: Model, target: Target, state: State, criterion: str) -> float:
    """Smoothness of the spline baseline that the criterion prefers, the shapes being given.

    `gcv`: generalised cross-validation (Craven & Wahba 1979); `aic`: log of the residual + 2 m
    (effective dimension) / n with m = 5 (Wilson 2021), stiffer.
    """
    k, n = len(model.names), 2 * len(model.ppm)
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

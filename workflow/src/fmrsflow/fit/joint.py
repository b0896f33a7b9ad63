"""All transients of a scan in one model.

Amplitude of metabolite k over transients = design x coefficients; Lorentzian width over transients
= base width + linewidth design x coefficients; phases, shifts, base widths and baseline are shared.

The model is linear in the transients but for the linewidth. Its effect is a power series in a small
number (a tenth of a hertz over tens of milliseconds), so that all transients enter through their
projections on few courses over time, design x powers of the linewidth's regressors: 64 or 320
transients become a handful of spectra, without loss where noise is white.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.broad import CREATINE_CH2
from fmrsflow.fit.change import JointResult, percent_changes
from fmrsflow.fit.coloured import coloured_products, cut_alike
from fmrsflow.fit.courses import (
    Courses,
    by_order,
    coefficient,
    constant_column,
    reduce_transients,
    slope,
)
from fmrsflow.fit.design import Design, check
from fmrsflow.fit.model import GAUSS, Model, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult, make_result
from fmrsflow.fit.solve import State, Target, prepared, search, solution
from fmrsflow.fit.step import bounded_step
from fmrsflow.noise import NoiseShape, noise_shape
from fmrsflow.quality import noise_sd

MAX_STEPS = 40
TOLERANCE = 1e-4
ALIGNMENTS = 40
ALIGNED_HZ, ALIGNED_RAD = 0.005, 0.001
"""Most rounds of fitting and realigning where frequency and phase of each transient are free, and
the changes below which they end."""


@dataclass
class _State:
    """A point of the search: parameters, the spectra they make, and what was solved inside.

    theta, delta : nonlinear parameters, linewidth coefficients; coefficients, active : (n_columns,
    n_names), (n_names,); damped : complex (n_names, n_time); spectra : (n_orders, n_names, 2,
    n_points), of all signals under each power of the width's derivative; mixing : (n_orders,
    n_courses, n_columns), the design in terms of the courses for each of them; gram : of the
    columns of the linear problem, the baseline projected out; size : squares of the data;
    residual : (n_courses, 2, n_points); cost : float.
    """

    theta: np.ndarray
    delta: np.ndarray
    coefficients: np.ndarray
    active: np.ndarray
    damped: np.ndarray
    spectra: np.ndarray
    mixing: np.ndarray
    gram: np.ndarray
    size: float
    residual: np.ndarray
    cost: float


def fit_joint(
    fids: Fids,
    basis: Basis,
    design: Design,
    linewidth: Design | None = None,
    options: FitOptions | None = None,
    responding: tuple[str, ...] = (),
) -> JointResult:
    """Fit all transients at once.

    Parameters
    ----------
    fids : Fids
        Corrected transients, those to be used only.
    basis : Basis
        On the axes of `fids`.
    design : Design
        A row a transient, with a column `constant`.
    linewidth : Design or None
        Courses of the Lorentzian width; None for a constant width. Under
        `options.joint_linewidth` "fixed" its first column times `joint_narrowing_hz` is taken as
        known.
    options : FitOptions, optional
    responding : tuple of str
        Metabolites with contrasts; empty for all. Macromolecules and lipids never have one; the
        constant and drifts belong to every signal.

    Raises
    ------
    DataError
        Basis and data do not belong together, a regressor is missing or dependent, or the average
        of the transients cannot be fitted.
    """
    return fit_joint_models(fids, basis, design, (linewidth,), options, responding)[0]


def fit_joint_models(
    fids: Fids,
    basis: Basis,
    design: Design,
    linewidths: Sequence[Design | None],
    options: FitOptions | None = None,
    responding: tuple[str, ...] = (),
) -> list[JointResult]:
    """`fit_joint` under several models of the linewidth; what they share is computed once."""
    options = options or FitOptions()
    fids, basis = cut_alike(fids, basis)
    model = make_model(fids, basis, options)
    average = None
    found = []
    for linewidth in linewidths:
        check(fids, design, linewidth)
        given, known = _without_known_width(fids, linewidth, options)
        noise = noise_sd(model.band.used(fids))
        if known or average is None:
            average = _average(model, options, given.mean())
        found.append(_fit(model, given, average, noise, design, linewidth, options, responding))
        average = None if known else average
    return found


@dataclass(frozen=True)
class _Solved:
    """A finished search: what was fitted, where it ended, and what it took off each transient."""

    model: Model
    target: Target
    design: Design
    widths: Design | None
    respond: np.ndarray
    aligned: bool
    spectra: np.ndarray
    courses: Courses
    state: _State
    stop: str
    shift_hz: np.ndarray
    phase_deg: np.ndarray
    shape: NoiseShape


def _fit(model, fids, fitted_average, noise, design, linewidth, options, responding) -> JointResult:
    """The joint fit from that of the average of the same transients."""
    average, start, target, scale = fitted_average
    known = linewidth is not None and options.joint_linewidth == "fixed"
    widths = None if known else linewidth
    data = fids.transients.copy()
    respond = _respond(model, design, responding)
    shift, phase = np.zeros(fids.n_transients), np.zeros(fids.n_transients)
    aligned = options.joint_alignment == "free"
    rounds = ALIGNMENTS if aligned else 1
    state = None
    for number in range(rounds):
        spectra = model.band.spectra(fids.with_data(data)) / scale
        courses = reduce_transients(spectra, design, widths)
        state, stop = _minimise(model, target, courses, respond, start, state)
        if number + 1 < rounds:
            change = _realign(model, target, state, spectra, design, widths)
            if np.abs(change[0]).max() < ALIGNED_RAD and np.abs(change[1]).max() < ALIGNED_HZ:
                break
            data *= np.exp(-1j * change[0][:, None] - 2j * np.pi * np.outer(change[1], fids.time_s))
            phase, shift = phase + np.rad2deg(change[0]), shift + change[1]
    solved = _Solved(
        model, target, design, widths, respond, aligned, spectra, courses, state, stop, shift,
        phase, noise_shape(model.band.used(fids)),
    )  # fmt: skip
    noise = float(np.sqrt(np.mean(noise**2)))
    kind = "none" if linewidth is None else "fixed" if known else "free"
    return _result(solved, average, scale, noise, kind)


def _without_known_width(fids: Fids, linewidth: Design | None, options: FitOptions):
    """Transients with a known narrowing undone exactly by broadening; whether that was asked."""
    if linewidth is None or options.joint_linewidth != "fixed":
        return fids, False
    narrower = linewidth.matrix[:, 0] * options.joint_narrowing_hz
    return fids.broadened(narrower - narrower.min(), 0.0), True


def _average(model: Model, options: FitOptions, mean: Fids):
    """Fit of the mean of all transients: its result, solution, target and scale."""
    try:
        data = prepared(model, mean)
        state, target, stop = search(model, options, data)
    except (DataError, LinAlgError) as error:
        raise DataError(f"the average of all transients: {error}") from None
    result = make_result(solution(model, data, state, target, stop), data)
    if result.status == "failed":
        raise DataError(f"the average of all transients: {result.reason}")
    return result, state, target, data.scale


def _respond(model: Model, design: Design, responding: tuple[str, ...]) -> np.ndarray:
    """Which column each signal has, boolean (n_columns, n_names)."""
    unknown = sorted(set(responding) - set(model.names))
    if unknown:
        raise DataError(f"joint_respond names {', '.join(unknown)}, which the basis lacks")
    may = [name in responding or (not responding and name != CREATINE_CH2) for name in model.names]
    may = np.array(may) & ~model.broad
    task = np.array([name in design.contrasts for name in design.names])
    return np.where(task[:, None], may[None], True)


def _derived(model: Model, damped: np.ndarray, n_orders: int) -> np.ndarray:
    """Spectra of all signals under each power of the width derivative, (n_orders, n_names, 2,
    n_points)."""
    aged = [damped]
    for _ in range(n_orders - 1):
        aged.append(aged[-1] * (-np.pi * model.time_s))
    return np.stack([model.spectrum(one) for one in aged])


def _without_baseline(model: Model, target: Target, rows: np.ndarray) -> np.ndarray:
    """Rows (..., 2, n_points) with the baseline projected out."""
    return model.baseline.remove(rows, model.baseline.taken(target.smoothness))


def _first_without_baseline(model: Model, target: Target, rows: np.ndarray) -> np.ndarray:
    """Rows (..., n_courses, 2, n_points) with the baseline projected out of the first course, which
    alone carries it."""
    rows = rows.copy()
    rows[..., 0, :, :] = _without_baseline(model, target, rows[..., 0, :, :])
    return rows


def _mixing(courses: Courses, factors: list[float]) -> np.ndarray:
    """Mixing matrices by order, (n_orders, n_courses, n_columns)."""
    summed = by_order(courses, factors)
    mixing = np.zeros((len(courses.powers[-1]) + 1, *courses.mixing.shape[1:]))
    for order, one in summed.items():
        mixing[order] = one
    return mixing


def _evaluate(model, target, courses, respond, theta, delta, active) -> _State:
    """Solve all coefficients for given nonlinear parameters.

    A column of the linear problem is a signal's spectrum times its course, summed over orders. No
    column is ever made: products of columns are products of spectra times products of courses.
    """
    damped = model.damped(theta)
    mixing = _mixing(courses, [coefficient(p, delta) for p in courses.powers])
    spectra = _derived(model, damped, len(mixing))
    columns, signals = np.nonzero(respond & active)
    phased = courses.spectra * np.conj(model.phase(theta))
    data = np.stack([phased.real, phased.imag], axis=1)
    data = _first_without_baseline(model, target, data)
    first = _without_baseline(model, target, spectra)
    gram = _column_products(
        mixing[:, 1:], _products(spectra, spectra), columns, signals
    ) + _column_products(mixing[:, :1], _products(first, first), columns, signals)
    product = _with_columns(mixing, data[None], spectra, first)[0, columns, signals]
    ratios = _ratio_information(target, courses, columns, signals, len(model.names))
    whole = gram + ratios
    scale = 1.0 / np.sqrt(np.diag(whole))
    solved = np.linalg.solve(whole * np.outer(scale, scale), product * scale) * scale
    coefficients = np.zeros(respond.shape)
    coefficients[columns, signals] = solved
    amplitudes = mixing @ coefficients
    residual = data - _summed(amplitudes, spectra)
    residual[0] = data[0] - np.tensordot(amplitudes[:, 0], first, 2)
    prior = target.variance * courses.n * np.sum((theta / model.prior_sd) ** 2)
    cost = float(np.sum(residual**2) + prior + solved @ ratios @ solved)
    return _State(
        theta, delta, coefficients, active, damped, spectra, mixing, whole, float(np.sum(data**2)),
        residual, cost,
    )  # fmt: skip


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Products of spectra (n_orders, n_names, 2, n_points), (n_orders, n_names, n_orders,
    n_names)."""
    left, right = (rows.reshape(rows.shape[0] * rows.shape[1], -1) for rows in (one, other))
    return (left @ right.T).reshape(*one.shape[:2], *other.shape[:2])


def _column_products(mixing, spectra, columns, signals) -> np.ndarray:
    """Products of columns over some courses: `mixing` (n_orders, some courses, n_columns),
    `spectra` products of spectra."""
    courses = np.einsum("ocx,pcy->oxpy", mixing, mixing)
    total = 0.0
    for o in range(len(mixing)):
        for p in range(len(mixing)):
            total = total + (
                courses[o][:, p][np.ix_(columns, columns)]
                * spectra[o][:, p][np.ix_(signals, signals)]
            )
    return total


def _with_columns(mixing, rows, spectra, first) -> np.ndarray:
    """Products of rows (n, n_courses, 2, n_points), whose first course has no baseline, with every
    column, (n, n_columns, n_names)."""
    n, count = rows.shape[:2]
    n_orders, n_names = spectra.shape[:2]
    flat = rows.reshape(n, count, -1)
    rest = flat[:, 1:].reshape(n * (count - 1), -1) @ spectra.reshape(n_orders * n_names, -1).T
    rest = rest.reshape(n, count - 1, n_orders, n_names)
    begin = flat[:, 0] @ first.reshape(n_orders * n_names, -1).T
    whole = np.concatenate([begin.reshape(n, 1, n_orders, n_names), rest], axis=1)
    return np.einsum("ocx,ncok->nxk", mixing, whole, optimize=True)


def _ratio_information(target, courses, columns, signals, n_names) -> np.ndarray:
    """Soft ratios act on the constants; the target's weights are for one spectrum of the mean."""
    chosen = np.zeros((n_names, len(signals)))
    constant = constant_column(courses)
    inside = columns == constant
    chosen[signals[inside], np.flatnonzero(inside)] = 1.0
    return courses.n * chosen.T @ target.ratios @ chosen


def _tangents(model, target, courses, state: _State) -> np.ndarray:
    """Derivatives of the projected model by nonlinear parameters and linewidth coefficients, (n,
    n_courses, 2, n_points)."""
    # Derivatives by width and shift are the next power of time, by the Gaussian the one after.
    spectra = _derived(model, state.damped, len(state.mixing) + 2)
    amplitudes = state.mixing @ state.coefficients  # (n_orders, n_courses, n_names)
    total = _summed(amplitudes, spectra)
    by_width = _summed(amplitudes, spectra[1:])
    by_gauss = -GAUSS / np.pi**2 * _summed(amplitudes, spectra[2:])
    by_broad = _summed(amplitudes * model.broad, spectra[1:])
    slopes = [_turned(by_width), by_width, by_gauss, _turned(by_broad), by_broad]
    for moved in model.shifts:
        rows = np.flatnonzero(moved)
        slopes.append(_turned(_summed(amplitudes[..., rows], spectra[1:, rows])))
    if len(model.kernel):
        slopes += _kernel_slopes(model, state, amplitudes)
    turned = np.stack([-total[:, 1], total[:, 0]], axis=1)
    rows = [turned, turned * model.offset_ppm, *slopes]
    for column in range(len(state.delta)):
        inner = _mixing(courses, [slope(p, state.delta, column) for p in courses.powers])
        rows.append(_summed(inner @ state.coefficients, state.spectra))
    return _first_without_baseline(model, target, np.stack(rows))


def _summed(amplitudes: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    """Spectra of each course, (n_courses, 2, n_points): sum over orders and signals of amplitudes
    (n_orders, n_courses, n_names) times as many of the spectra (n_orders or more, n_names, ...)."""
    n_orders, n_courses, n_names = amplitudes.shape
    flat = spectra[:n_orders].reshape(n_orders * n_names, -1)
    weights = np.moveaxis(amplitudes, 0, 1).reshape(n_courses, -1)
    return (weights @ flat).reshape(n_courses, *spectra.shape[2:])


def _turned(by_width: np.ndarray) -> np.ndarray:
    """Derivative by a shift, 2 pi i t, from that by a width, -pi t: times -2 i."""
    return np.stack([2 * by_width[:, 1], -2 * by_width[:, 0]], axis=1)


def _kernel_slopes(model: Model, state: _State, amplitudes: np.ndarray) -> list[np.ndarray]:
    """Derivatives by the weights of a free lineshape."""
    weights = state.theta[7 + len(model.shifts) :]
    decay = -np.pi * model.time_s[:, None]
    aged = decay ** np.arange(len(amplitudes))
    signals = np.einsum("ock,kt,to->ct", amplitudes, state.damped, aged, optimize=True)
    plain = signals / (1.0 - weights.sum() + weights @ model.kernel)
    return [model.spectrum(plain * (one - 1.0)) for one in model.kernel]


def _minimise(model, target, courses, respond, start: State, state: _State | None):
    """Levenberg-Marquardt from the fit of the average; the solution and why it stopped."""
    n_delta = 0 if len(courses.powers) == 1 else max(p[0] for p in courses.powers if p) + 1
    if state is None:
        theta, delta = start.theta.copy(), np.zeros(n_delta)
        active = _active(model, target, courses, respond, theta, delta, start.amplitudes > 0)
    else:
        theta, delta, active = state.theta, state.delta, state.active
    state = _evaluate(model, target, courses, respond, theta, delta, active)
    lower = np.concatenate([model.lower, np.full(n_delta, -np.inf)])
    upper = np.concatenate([model.upper, np.full(n_delta, np.inf)])
    damping, fresh = 1e-4, True
    dof = courses.n * model.n_data
    for _ in range(MAX_STEPS):
        if fresh:
            gradient, hessian = _projected_normal(model, target, courses, respond, state)
        point = np.concatenate([state.theta, state.delta])
        step, predicted = bounded_step(gradient, hessian, point, lower, upper, damping)
        moved = np.clip(point + step, lower, upper)
        if predicted <= 1e-15 * state.size:
            return state, "converged"
        trial = _evaluate(
            model, target, courses, respond, moved[: len(lower) - n_delta],
            moved[len(lower) - n_delta :], state.active,
        )  # fmt: skip
        near = predicted <= TOLERANCE * (state.cost + courses.energy) / dof
        fresh = trial.cost < state.cost
        damping = max(damping * 0.2, 1e-9) if fresh else damping * 8.0
        if fresh:
            state = trial
        if near:
            return state, "converged"
        if damping > 1e12:
            return state, "no step lowers the residual further"
    return state, f"no convergence in {MAX_STEPS} steps"


def _active(model, target, courses, respond, theta, delta, active) -> np.ndarray:
    """Signals that are there: the positive ones of the average, less those that turn negative."""
    constant = constant_column(courses)
    for _ in range(len(active)):
        state = _evaluate(model, target, courses, respond, theta, delta, active)
        negative = active & (state.coefficients[constant] < 0)
        if not negative.any():
            break
        active = active & ~negative
    return active


def _projected_normal(model, target, courses, respond, state: _State):
    slopes = _tangents(model, target, courses, state)
    columns, signals = np.nonzero(respond & state.active)
    first = _without_baseline(model, target, state.spectra)
    cross = _with_columns(state.mixing, slopes, state.spectra, first)[:, columns, signals]
    slopes = slopes.reshape(len(slopes), -1)
    gradient = slopes @ state.residual.ravel()
    hessian = slopes @ slopes.T
    scale = 1.0 / np.sqrt(np.diag(state.gram))
    inverse = np.linalg.inv(state.gram * np.outer(scale, scale)) * np.outer(scale, scale)
    hessian -= cross @ inverse @ cross.T
    weight = np.zeros(len(gradient))
    weight[: len(model.prior_sd)] = target.variance * courses.n / model.prior_sd**2
    gradient[: len(model.prior_sd)] -= weight[: len(model.prior_sd)] * state.theta
    return gradient, hessian + np.diag(weight)


def _predicted(model, state: _State, design, widths) -> np.ndarray:
    """Signal of each transient under the model, in time, complex (n_transients, n_time)."""
    amplitudes = design.matrix @ state.coefficients
    signals = amplitudes @ state.damped
    if widths is None:
        return signals
    centred = widths.matrix - widths.matrix.mean(axis=0)
    return signals * np.exp(-np.pi * np.outer(centred @ state.delta, model.time_s))


def _residuals(model, target, state: _State, spectra, signals) -> np.ndarray:
    """What model and shared baseline leave of each transient, (n_transients, 2, n_points)."""
    phased = spectra * np.conj(model.phase(state.theta))
    rest = np.stack([phased.real, phased.imag], axis=1) - model.spectrum(signals)
    return rest - model.baseline.fitted(rest.mean(axis=0), target.smoothness)


def _realign(model, target, state: _State, spectra, design, widths):
    """Phase (rad) and frequency (Hz) by which each transient is off the model."""
    signals = _predicted(model, state, design, widths)
    rest = _residuals(model, target, state, spectra, signals).reshape(len(spectra), -1)
    fitted = model.spectrum(signals)
    turned = np.stack([-fitted[:, 1], fitted[:, 0]], axis=1)
    moved = model.spectrum(2j * np.pi * model.time_s * signals)
    slopes = np.stack([turned, moved], axis=1).reshape(len(spectra), 2, -1)
    inner = slopes @ slopes.transpose(0, 2, 1)
    step = np.linalg.solve(inner, slopes @ rest[:, :, None])[..., 0]
    # The mean belongs to the shared phase and shift.
    step -= step.mean(axis=0)
    return step[:, 0], step[:, 1]


def _result(
    solved: _Solved, average: FitResult, scale: float, noise: float, linewidth_model: str
) -> JointResult:
    """Amplitudes, changes and narrowing with their errors, in the unit of the FIDs (`scale`)."""
    state, design = solved.state, solved.design
    covariance, variance = _covariance(solved)
    columns, signals = np.nonzero(solved.respond & state.active)
    names, base, base_se, change, spread = percent_changes(
        solved.model, design, state, columns, signals, covariance
    )
    course, course_se = _timecourse(solved, variance)
    last = len(covariance) - len(state.delta)
    return JointResult(
        names=names,
        baseline_amplitude=scale * base,
        baseline_se=scale * base_se,
        contrasts=design.contrasts,
        change_percent=change,
        change_se_percent=np.sqrt(np.einsum("cii->ci", spread)),
        change_covariance=spread,
        narrowing_hz=-state.delta,
        narrowing_se_hz=np.sqrt(np.diag(covariance)[last:]),
        linewidth_model=linewidth_model,
        timecourse=scale * course,
        timecourse_se=scale * course_se,
        fqn=float(variance * scale**2 / noise**2) if noise > 0 else float("inf"),
        shift_hz=solved.shift_hz,
        phase_deg=solved.phase_deg,
        average=average,
        stop_reason=solved.stop,
    )


def _covariance(solved: _Solved) -> tuple[np.ndarray, float]:
    """Covariance of coefficients, nonlinear parameters and linewidth coefficients under the noise
    that the residual shows, and its variance; parameters that may not move have zeros.

    A^-1 M A^-1 as in `result.covariances`.
    """
    model, target, courses, state = solved.model, solved.target, solved.courses, solved.state
    columns, signals = np.nonzero(solved.respond & state.active)
    slopes = _tangents(model, target, courses, state)
    slopes = slopes.reshape(len(slopes), -1)
    kernel = np.array([name.startswith("kernel:") for name in model.parameters])
    held = (model.upper <= model.lower) | (kernel & (state.theta <= model.lower + 1e-6))
    movable = np.concatenate([~held, np.ones(len(state.delta), bool)])
    jacobian = np.vstack([_columns(model, target, state, columns, signals), slopes])
    if solved.aligned:
        # Frequency and phase of each transient are free: what looks like them carries nothing.
        jacobian = _without_nuisance(jacobian, slopes[[0, 2]], len(courses.spectra))
        movable[[0, 2]] = False
    information = jacobian @ jacobian.T
    k = len(signals)
    information[:k, :k] += _ratio_information(target, courses, columns, signals, len(model.names))
    at = np.arange(k, k + len(model.prior_sd))
    information[at, at] += target.variance * courses.n / model.prior_sd**2
    inside = np.concatenate([np.ones(k, bool), movable])
    part = information[np.ix_(inside, inside)]
    size = 1.0 / np.sqrt(np.diag(part))
    inverse = np.zeros_like(information)
    inverse[np.ix_(inside, inside)] = np.linalg.inv(part * np.outer(size, size)) * np.outer(
        size, size
    )
    used = inside.sum() + 2 * model.baseline.effective_dimension(target.smoothness)
    used += 2 * courses.n if solved.aligned else 0
    squares = float(np.sum(state.residual**2)) + courses.energy
    variance = squares / (courses.n * model.n_data - used) / model.band.oversampling
    # Products above need the root of the projection, the noise the whole of it.
    rows = jacobian.reshape(len(jacobian), -1, 2, len(model.ppm))
    middle = _scatter(solved, _first_without_baseline(model, target, rows))
    return variance * inverse @ middle @ inverse, variance


def _scatter(solved: _Solved, rows: np.ndarray) -> np.ndarray:
    """Covariance that noise of variance one gives the products of rows (n, n_courses, 2, n_points)
    with spectra of the courses, (n, n)."""
    band = solved.model.band
    if solved.shape.white:
        flat = rows.reshape(len(rows), -1)
        return band.oversampling * (flat @ flat.T)
    return sum(coloured_products(solved.shape, band, one) for one in rows.swapaxes(0, 1))


def _columns(model, target, state: _State, columns, signals) -> np.ndarray:
    """Columns of the linear problem, as rows, (n, n_courses * 2 * n_points)."""
    rows = np.einsum(
        "ocn,onrp->ncrp", state.mixing[:, :, columns], state.spectra[:, signals], optimize=True
    )
    return _first_without_baseline(model, target, rows).reshape(len(rows), -1)


def _without_nuisance(jacobian: np.ndarray, nuisance: np.ndarray, n_courses: int) -> np.ndarray:
    """Jacobian with the directions of phase and frequency taken out of every course."""
    directions = nuisance.reshape(2, n_courses, -1)[:, 0]
    q, _ = np.linalg.qr(directions.T)
    parts = jacobian.reshape(len(jacobian), n_courses, -1)
    return (parts - (parts @ q) @ q.T).reshape(len(jacobian), -1)


def _timecourse(solved: _Solved, variance: float):
    """Amplitudes of single transients, (n_transients, n_names): those of the model, and what least
    squares on the shared shapes finds in the residual; and the error of one."""
    model, target, state = solved.model, solved.target, solved.state
    spectra, design = solved.spectra, solved.design
    signals = _predicted(model, state, design, solved.widths)
    rest = _residuals(model, target, state, spectra, signals)
    rows = model.spectrum(state.damped)
    taken = model.baseline.taken(target.smoothness)
    rows = model.baseline.remove(rows, taken).reshape(len(rows), -1)
    rest = model.baseline.remove(rest, taken).reshape(len(rest), -1)
    active = np.flatnonzero(state.active)
    inverse = np.linalg.inv(rows[active] @ rows[active].T)
    course = np.full((len(spectra), len(rows)), np.nan)
    course[:, active] = (design.matrix @ state.coefficients)[:, active]
    course[:, active] += rest @ rows[active].T @ inverse
    error = np.full(len(rows), np.nan)
    own = model.baseline.remove(rows[active].reshape(len(active), 1, 2, -1), taken)
    spread = inverse @ _scatter(solved, own) @ inverse
    error[active] = np.sqrt(variance * np.diag(spread))
    return course, error

"""All transients of a scan in one model.

Amplitude of metabolite k over transients = design x coefficients; Lorentzian width, and square of
the Gaussian width, over transients = those of the mean + linewidth design x coefficients; phases,
shifts and baseline are shared. The mean of the transients is fitted like any spectrum
(`solve.search`); how they differ from it is a linear problem in the directions of that fit
(`directions`, `linear`), solved twice, the second time round the widths that the first one found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.broad import CREATINE_CH2
from fmrsflow.fit.change import Coefficients, JointResult, percent_changes
from fmrsflow.fit.coloured import cut_alike
from fmrsflow.fit.design import CONSTANT, Design, check, check_courses
from fmrsflow.fit.directions import (
    GAIN,
    GAUSS2,
    LORENTZ,
    SHAPES,
    TURNS,
    Directions,
)
from fmrsflow.fit.gain import grid
from fmrsflow.fit.linear import Columns, Estimate, solve
from fmrsflow.fit.model import Kind, Model, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.plateaus import Plateaus, readings
from fmrsflow.fit.series import Series, make_series
from fmrsflow.metabolites import sums_of


def fit_joint(
    fids: Fids,
    basis: Basis,
    design: Design,
    linewidth: Design | None = None,
    options: FitOptions | None = None,
    responding: tuple[str, ...] = (),
    places: np.ndarray | None = None,
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
        Courses of the width, each of the Lorentzian and of the Gaussian part; None for a constant
        width. Under `options.joint_linewidth` "fixed" its first column times `joint_narrowing_hz`
        is taken as known, of the Lorentzian part.
    options : FitOptions, optional
    responding : tuple of str
        Metabolites with contrasts; empty for all. Macromolecules and lipids have one where
        `options.joint_macromolecules` is "free"; the constant and drifts belong to every signal.
    places : int array (n_transients,), optional
        Of the transients in the order of acquisition; by default without gaps.

    Raises
    ------
    DataError
        Basis and data do not belong together, a regressor is missing or dependent, or the average
        of the transients cannot be fitted.
    """
    return fit_joint_models(fids, basis, design, (linewidth,), options, responding, places)[0]


def fit_joint_models(
    fids: Fids,
    basis: Basis,
    design: Design,
    linewidths: Sequence[Design | None],
    options: FitOptions | None = None,
    responding: tuple[str, ...] = (),
    places: np.ndarray | None = None,
    common: Series | None = None,
    shapes: Mapping[str, Design] | None = None,
    nuisance: Design | None = None,
) -> list[JointResult]:
    """`fit_joint` under several models of the linewidth; what they share is computed once, or was
    before: `common`, of the same transients (`series.of_transients`).

    `shapes` are designs of one set of columns, with the response in other shapes: the first result
    holds the plateaus under each, round its own widths. `nuisance` has courses of gain and width
    that all signals follow; one that does not vary over the transients kept takes no part.
    """
    options = options or FitOptions()
    fids, basis = cut_alike(fids, basis)
    model = common.mean.directions.model if common else make_model(fids, Kind(basis), options)
    respond = signals_of(model, design, responding, options.joint_macromolecules == "free")
    fixed = options.joint_linewidth == "fixed"
    nuisance = nuisance and nuisance.moving
    for linewidth in linewidths:
        check(fids, design, linewidth, nuisance)
    every = [one for one in (design, *linewidths, nuisance) if one is not None]
    courses = np.concatenate([one.matrix for one in every], axis=1)
    found = []
    others = {
        name: (one, signals_of(model, one, responding, options.joint_macromolecules == "free"))
        for name, one in (shapes or {}).items()
    }
    for linewidth in linewidths:
        known = fixed and linewidth is not None
        if known:
            known_width = _broadened(fids, linewidth, options)
            series = make_series(model, known_width, courses, options, places)
        else:
            series = common = common or make_series(model, fids, courses, options, places)
        kind = "none" if linewidth is None else options.joint_linewidth
        free = None if known else linewidth
        found.append(_fit(series, design, free, nuisance, respond, kind, {} if found else others))
    return found


def _broadened(fids: Fids, linewidth: Design, options: FitOptions) -> Fids:
    """Transients with a known narrowing undone exactly by broadening."""
    narrower = linewidth.matrix[:, 0] * options.joint_narrowing_hz
    return fids.broadened(narrower - narrower.min(), 0.0)


def signals_of(
    model: Model, design: Design, responding: tuple[str, ...], broad: bool
) -> np.ndarray:
    """Which column each signal has, boolean (n_columns, n_names); `broad`: macromolecules and
    lipids may respond as well."""
    unknown = sorted(set(responding) - set(model.names))
    if unknown:
        raise DataError(f"joint_respond names {', '.join(unknown)}, which the basis lacks")
    may = [name in responding or (not responding and name != CREATINE_CH2) for name in model.names]
    may = np.where(model.broad, broad, may)
    task = np.array([name in design.contrasts for name in design.names])
    return np.where(task[:, None], may[None], True)


def columns_of(
    directions: Directions,
    design: Design,
    widths: Design | None,
    nuisance: Design | None,
    respond: np.ndarray,
) -> Columns:
    """A column for each signal and regressor but the constant, two for each of the width, three for
    each nuisance: gain and width."""
    constant = design.names.index(CONSTANT)
    others = [c for c in range(len(design.names)) if c != constant]
    matrix = design.matrix[:, others]
    chosen, signals = np.nonzero(respond[np.ix_(others, directions.active)])
    count = len(others)
    for more, moved in ((widths, SHAPES), (nuisance, (*SHAPES, GAIN))):
        if more is None:
            continue
        matrix = np.concatenate([matrix, more.matrix], axis=1)
        n = more.matrix.shape[1]
        chosen = np.concatenate([chosen, count + np.repeat(np.arange(n), len(moved))])
        places = [len(directions.rows) + one for one in moved]
        signals = np.concatenate([signals, np.tile(places, n)]).astype(int)
        count += n
    return Columns(matrix - matrix.mean(axis=0), chosen, signals)


def _fit(
    series: Series,
    design: Design,
    widths: Design | None,
    nuisance: Design | None,
    respond: np.ndarray,
    kind: str,
    shapes: Mapping[str, tuple[Design, np.ndarray]],
) -> JointResult:
    """The joint fit from that of the mean."""
    design = design.select(series.kept)
    widths, nuisance = (one and one.select(series.kept) for one in (widths, nuisance))
    nuisance = nuisance and nuisance.moving  # corrupted transients were cut
    check_courses(design, widths, nuisance)
    columns = columns_of(series.directions, design, widths, nuisance, respond)
    found, final, rest, products = solved(series, columns)
    result = _result(series, design, columns, found, final, rest, respond, kind)
    if not shapes:
        return result
    return replace(result, plateaus=_plateaus(series, shapes, widths, nuisance, products))


def solved(series: Series, columns: Columns) -> tuple[Estimate, np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of columns, how far they move each transient in each direction, what is left of
    the transients, and their products with the directions round the widths that were found."""
    directions, flat = series.directions, series.directions.flat
    products = series.rows @ flat.T
    first = solve(columns, directions, products, series.variance)
    # Anew round the widths that were found: their second order is a tenth of a point.
    change = columns.change(first.values, len(flat))
    moved = directions.moved(change)
    rest = series.rows - (moved - moved.mean(axis=0))
    products = rest @ flat.T + change @ directions.gram
    found = solve(columns, directions, products, series.variance, grid(), series.places)
    final = columns.change(found.values, len(flat))
    return found, final, rest - (final - change) @ flat, products


def _plateaus(
    series: Series,
    shapes: Mapping[str, tuple[Design, np.ndarray]],
    widths: Design | None,
    nuisance: Design | None,
    products: np.ndarray,
) -> Plateaus:
    """Changes and likelihood under each shape, from the products round the widths of the fit."""
    directions, names = series.directions, series.directions.model.names
    box = next(iter(shapes.values()))[0].select(series.kept)
    none = np.full((len(box.contrasts), len(names) + len(sums_of(names))), np.nan)
    empty = (none, none[:, :, None] * none[:, None], np.nan, (none[:, 0], none[:, 0]))
    fitted, reasons = [], []
    for whole, respond in shapes.values():
        design = whole.select(series.kept)
        try:
            check_courses(design, None, None)
            columns = columns_of(directions, design, widths, nuisance, respond)
            found = solve(columns, directions, products, series.variance, grid(), series.places)
        except DataError as failure:  # nothing is left of a response within a transient
            reasons.append(str(failure))
            fitted.append(empty)
            continue
        coefficients = _coefficients(series, design, columns, found, respond)
        _, _, _, percent, spread = percent_changes(names, design, coefficients)
        reasons.append("")
        fitted.append((percent, spread, found.log_likelihood, readings(box, design)))
    changes, spreads, likelihoods, read = zip(*fitted)
    return Plateaus(
        shapes=tuple(shapes),
        reasons=tuple(reasons),
        contrasts=box.contrasts,
        names=(*names, *sums_of(names)),
        change_percent=np.array(changes),
        covariance=np.array(spreads),
        log_likelihood=np.array(likelihoods),
        boxcar_reads=np.array([reads for reads, _ in read]),
        se_ratio=np.array([ratio for _, ratio in read]),
    )


def _result(
    series: Series,
    design: Design,
    columns: Columns,
    found: Estimate,
    change: np.ndarray,
    rest: np.ndarray,
    respond: np.ndarray,
    kind: str,
) -> JointResult:
    """Amplitudes, changes and narrowing with their errors, in the unit of the FIDs."""
    mean, directions = series.mean, series.directions
    model, state, scale = directions.model, directions.state, mean.scale
    coefficients = _coefficients(series, design, columns, found, respond)
    names, base, base_se, percent, spread = percent_changes(model.names, design, coefficients)
    narrowing, narrowing_se = _narrowing(state.theta, columns, found, len(directions.rows))
    course, course_se = _timecourse(series, change, rest)
    oversampling = model.band.oversampling
    squares, used = float(np.sum(rest**2)), len(found.values)
    if series.aligned:
        squares -= _taken(mean.directions, rest)
        used += len(TURNS) * (len(rest) - 1)
    freedom = (len(rest) - 1) * model.n_data - used
    variance = squares / freedom / oversampling
    return JointResult(
        names=names,
        baseline_amplitude=scale * base,
        baseline_se=scale * base_se,
        contrasts=tuple(design.reported),
        change_percent=percent,
        change_se_percent=np.sqrt(np.einsum("cii->ci", spread)),
        change_covariance=spread,
        narrowing_hz=narrowing,
        narrowing_se_hz=narrowing_se,
        linewidth_model=kind,
        timecourse=scale * course,
        timecourse_se=scale * course_se,
        fqn=float(variance * scale**2 / series.noise**2) if series.noise > 0 else float("inf"),
        gain_percent=100 * found.gain,
        kept=series.kept,
        shift_hz=series.shift_hz,
        phase_deg=series.phase_deg,
        average=mean.result,
        stop_reason=mean.stop,
    )


def _taken(directions: Directions, rest: np.ndarray) -> float:
    """Squares of rows in the directions of phase and frequency."""
    turns = directions.flat[list(TURNS)]
    products = rest @ turns.T
    return float(np.sum(products * np.linalg.solve(turns @ turns.T, products.T).T))


def _coefficients(series, design, columns, found, respond) -> Coefficients:
    """Coefficients of signals with those of the constant: the mean less what the other regressors
    make of it. Mean and differences of the transients are independent."""
    active, state = series.directions.active, series.directions.state
    k, constant = len(active), design.names.index(CONSTANT)
    others = [c for c in range(len(design.names)) if c != constant]
    inner = np.flatnonzero(columns.direction < k)
    course, signal = columns.course[inner], columns.direction[inner]
    size = float(design.matrix[0, constant])
    back = np.zeros((k, len(inner)))
    back[signal, np.arange(len(inner))] = -design.matrix[:, others].mean(axis=0)[course] / size
    values, spread = found.values[inner], found.covariance[np.ix_(inner, inner)]
    covariance = series.mean.result.covariance[np.ix_(active, active)] / series.mean.scale**2
    own = covariance / size**2 + back @ spread @ back.T
    return Coefficients(
        columns=np.concatenate([np.full(k, constant), np.array(others, int)[course]]),
        signals=np.concatenate([active, active[signal]]),
        values=np.concatenate([state.amplitudes[active] / size + back @ values, values]),
        covariance=np.block([[own, back @ spread], [spread @ back.T, spread]]),
    )


def _narrowing(theta, columns: Columns, found: Estimate, count: int):
    """What the line loses in width (Hz, FWHM) at 1 of each regressor of the width, and its error.

    By the slopes of the width of a Voigt line, 0.5346 l + sqrt(0.2166 l^2 + g^2) (Olivero &
    Longbothum 1977, doi:10.1016/0022-4073(77)90161-3).
    """
    lorentz, gauss2 = theta[3:5]
    root = np.sqrt(max(0.2166 * lorentz**2 + gauss2, np.finfo(float).tiny))
    slopes = {LORENTZ: 0.5346 + 0.2166 * lorentz / root, GAUSS2: 0.5 / root}
    values, errors = [], []
    widths = np.flatnonzero(columns.direction == count + LORENTZ)
    for course in columns.course[widths]:
        weight = np.zeros(len(found.values))
        for place, slope in slopes.items():
            weight[(columns.course == course) & (columns.direction == count + place)] = -slope
        values.append(weight @ found.values)
        errors.append(np.sqrt(weight @ found.covariance @ weight))
    return np.array(values), np.array(errors)


def _timecourse(series: Series, change: np.ndarray, rest: np.ndarray):
    """Amplitudes of single transients, (n_transients, n_names): those of the model, and what least
    squares on the shared shapes finds in the residual; and the error of one."""
    directions = series.directions
    active, state = directions.active, directions.state
    rows = directions.flat[: len(active)]
    inverse = np.linalg.pinv(rows @ rows.T, hermitian=True)
    course = np.full((len(rest), len(state.amplitudes)), np.nan)
    own = change[:, : len(active)] + rest @ rows.T @ inverse
    course[:, active] = state.amplitudes[active] + own
    error = np.full(len(state.amplitudes), np.nan)
    k = len(active)
    spread = inverse @ directions.scatter[:k, :k] @ inverse
    error[active] = np.sqrt(series.variance * np.diag(spread))
    return course, error

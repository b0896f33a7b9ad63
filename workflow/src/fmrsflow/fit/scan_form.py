"""What one scan contributes to a model of several.

The mean of its transients is fitted like any spectrum (`series`); near that fit, amplitudes and
parameters of lines cost a quadratic form (`form`). A scan with several conditions brings beside its
mean how they differ in it (`joint.solved`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.fids import Fids
from fmrsflow.fit import gain as gains
from fmrsflow.fit.directions import GAIN, SHAPES
from fmrsflow.fit.joint import solved
from fmrsflow.fit.linear import FAINTEST, Columns
from fmrsflow.fit.model import COMMON, MAX_DIMENSION_PER_PPM, Model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import inverted
from fmrsflow.fit.series import Series
from fmrsflow.fit.solve import (
    Spectrum,
    State,
    Target,
    degrees_of_freedom,
    evaluate,
    make_target,
    slope,
    solution,
    solved_again,
    tangents,
)
from fmrsflow.noise import NoiseShape, noise_shape
from fmrsflow.quality import voigt_fwhm

WIDTHS = [COMMON.index("lorentz_hz"), COMMON.index("gauss_hz2")]
"""Places of both widths among the parameters."""


@dataclass(frozen=True)
class ScanOfUnit:
    """A scan that takes part.

    Attributes
    ----------
    fids : Fids
        Its corrected transients, those to be used only.
    basis : Basis
        On their axes.
    courses : array (n_transients, n_contrasts)
        Of each contrast of the unit, 0 at rest.
    widths : array (n_transients, n_widths)
        Courses of the width within the scan.
    drifts : array (n_transients, n_drifts)
        Courses of every amplitude that are no response.
    places : int array (n_transients,) or None
        In the order of acquisition; None without gaps.
    nuisance : array (n_transients, n_nuisance) or None
        Courses that move gain and width of all signals together.
    """

    fids: Fids
    basis: Basis
    courses: np.ndarray
    widths: np.ndarray
    drifts: np.ndarray
    places: np.ndarray | None = None
    nuisance: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """All that its transients may follow, (n_transients, n_courses)."""
        every = (self.courses, self.widths, self.drifts, self.nuisance)
        return np.column_stack([one for one in every if one is not None])


@dataclass(frozen=True)
class Part:
    """A scan in the search: its spectrum in units of its own scale, variances in their square."""

    series: Series
    mean: Fids
    model: Model
    data: Spectrum
    target: Target
    noise: float
    size: float
    mean_courses: np.ndarray
    within: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None

    @property
    def variance(self) -> float:
        """By which squares of the residual are weighed."""
        return self.target.variance


@dataclass(frozen=True)
class Form:
    """A scan near a point: `at` (amplitudes, parameters), information and score there, the
    covariance of the score under noise, and the cost."""

    at: np.ndarray
    information: np.ndarray
    score: np.ndarray
    scatter: np.ndarray | None
    cost: float


def parts_of(
    found: Sequence[Series],
    cut: Sequence[Fids],
    scans: Sequence[ScanOfUnit],
    may: np.ndarray,
    options: FitOptions,
) -> list[Part]:
    """Scans for the search: one stiffness of the baseline for all, and one kind of line, so that
    what these get wrong is common to them.

    A criterion that chooses the stiffness sees the less of a baseline the more noise there is, and
    what it passes over differs from scan to scan: the baseline is as free as a criterion may make
    it.
    """
    models = [one.mean.directions.model for one in found]
    size = max(
        model.baseline.effective_dimension(one.mean.smoothness) for model, one in zip(models, found)
    )
    if options.baseline == "spline" and options.baseline_smoothness != "fixed":
        size = MAX_DIMENSION_PER_PPM * float(np.ptp(models[0].ppm))
    free = any(not one.directions.model.is_voigt(one.directions.state.theta) for one in found)
    parts = []
    for series, fids, scan in zip(found, cut, scans):
        whole, state = series.directions.model, series.directions.state
        model = whole if free else whole.voigt
        kept, scale = series.kept, series.mean.scale
        fids = fids.select(kept)
        shape = noise_shape(whole.band.used(fids))
        mean = fids.shifted(-series.shift_hz[kept]).rotated(-series.phase_deg[kept]).mean()
        spectrum = whole.band.spectra(mean)[0] / scale
        total = float(series.directions.gram[GAIN, GAIN])
        faintest = FAINTEST * total
        noise = float(np.sqrt(max(series.variance / kept.sum(), faintest)))
        data = Spectrum(scale * spectrum, scale, scale * noise, shape)
        own = whole.baseline.smoothness_for(size)
        target = make_target(model, spectrum, series.variance, float(own), state)
        cost = solved_again(model, target, state).cost
        variance = max(cost / degrees_of_freedom(model, float(own), state), faintest)
        target = make_target(model, spectrum, variance, float(own), state)
        courses = scan.courses[kept]
        parts.append(
            Part(
                series=series,
                mean=mean,
                model=model,
                data=data,
                target=target,
                noise=noise,
                size=total / noise**2,
                mean_courses=courses.mean(axis=0),
                within=_within(series, scan, may),
            )
        )
    return parts


def _within(series: Series, scan: ScanOfUnit, may: np.ndarray):
    """How conditions differ inside a scan: the signals that it tells of, the combinations of
    courses (n_courses, n_tasks) that it holds, their coefficients (n_courses n_signals,) and the
    inverse of these coefficients' covariance; None where it holds one condition."""
    kept = series.kept
    courses = scan.courses[kept] - scan.courses[kept].mean(axis=0)
    none = np.zeros((len(scan.courses), 0))
    others = (scan.drifts, scan.widths, none if scan.nuisance is None else scan.nuisance)
    drifts, widths, nuisance = (_varying(one[kept]) for one in others)
    turn, sizes, _ = np.linalg.svd(courses, full_matrices=False)
    turn = turn[:, sizes > 1e-6 * np.sqrt(len(courses))]
    m = turn.shape[1]
    if m == 0:
        return None
    active = series.directions.active
    told, last = np.flatnonzero(may[active]), len(series.directions.rows)
    course, direction, before = [], [], 0
    for courses_of, places in (
        (turn, told),
        (drifts, np.arange(len(active))),
        (widths, last + np.array(SHAPES)),
        (nuisance, last + np.array([*SHAPES, GAIN])),
    ):
        n = courses_of.shape[1]
        course.append(before + np.repeat(np.arange(n), len(places)))
        direction.append(np.tile(places, n))
        before += n
    columns = Columns(
        np.column_stack([turn, drifts, widths, nuisance]),
        np.concatenate(course),
        np.concatenate(direction),
    )
    estimate = solved(series, columns)[0]
    own = slice(0, m * len(told))
    weight = inverted(estimate.covariance[own, own])
    return active[told], turn.T @ courses, estimate.values[own], weight


def _varying(courses: np.ndarray) -> np.ndarray:
    """Courses less their mean, without those that are constant."""
    centred = courses - courses.mean(axis=0)
    return centred[:, np.abs(centred).max(axis=0, initial=0.0) > 1e-9]


def fwhm(theta: np.ndarray) -> float:
    """Width at half height of a line, Hz."""
    lorentz, gauss2 = theta[WIDTHS]
    return float(voigt_fwhm(lorentz, np.sqrt(gauss2)))


def matched(parts: Sequence[Part], point: np.ndarray, lines: np.ndarray) -> list[Part]:
    """Scans broadened to one Lorentzian and one Gaussian width, with the noise that is left."""
    widths = point[lines[:, WIDTHS]]
    return [_broadened(part, *more) for part, more in zip(parts, widths.max(axis=0) - widths)]


def _broadened(part: Part, lorentz_hz: float, gauss_hz2: float) -> Part:
    """A scan with wider lines."""
    if lorentz_hz == gauss_hz2 == 0.0:
        return part
    more, band, data = (lorentz_hz, np.sqrt(gauss_hz2)), part.model.band, part.data
    mean = part.mean.broadened(*more)
    ones = part.mean.with_data(np.ones_like(part.mean.data)).broadened(*more)
    power = data.shape.power * np.abs(band.used(ones).transients[0]) ** 2
    left = float(power.mean() / data.shape.power.mean())
    whole = band.spectra(mean)[0]
    shape = NoiseShape(power / power.mean(), white=False)
    return replace(
        part,
        mean=mean,
        data=Spectrum(whole, data.scale, data.noise * np.sqrt(left), shape),
        target=replace(part.target, spectrum=whole / data.scale),
        noise=part.noise * np.sqrt(left),
    )


def _state(part: Part, amplitudes: np.ndarray, theta: np.ndarray) -> State:
    """A scan with these amplitudes and parameters."""
    state = evaluate(part.model, part.target, theta, part.series.directions.state.passive)
    rest = np.append(-amplitudes, 1.0)
    misfit = max(float(rest @ state.gram @ rest), 0.0)
    return replace(state, amplitudes=amplitudes, misfit=misfit)


def form_at(part: Part, amplitudes, theta, scatter: bool) -> Form:
    """The quadratic form of a scan at a point."""
    state = _state(part, amplitudes, theta)
    k, variance, model = len(amplitudes), part.variance, part.model
    own, cross = tangents(model, part.target, state)
    gram = state.gram
    information = np.block([[gram[:k, :k], cross[:, :k].T], [cross[:, :k], own]]) / variance
    score = np.concatenate(
        [
            gram[:k, k] - gram[:k, :k] @ amplitudes,
            slope(model, part.target, state) + variance / model.prior_sd**2 * theta,
        ]
    )
    spread = None
    if scatter:
        end = solution(model, part.data, state, part.target, "")
        # Noise, and what the baselines of scans differ by where they are draws of what their
        # smoother takes for likely: J'(I - H)^2 J and J'(I - H) H J.
        baselines = model.band.oversampling * (variance * information - end.told)
        spread = (part.noise / variance) ** 2 * (end.scatter + baselines)
    at = np.concatenate([amplitudes, theta])
    return Form(at, information, score / variance, spread, state.misfit / variance)


@dataclass(frozen=True)
class GainScatter:
    """How the gains of a scan's transients scatter, relative.

    Attributes
    ----------
    sd : float
        Of one transient, mean over the grid of `gain`.
    of_mean : float
        What that leaves in the mean of all.
    """

    sd: float
    of_mean: float


def gain_scatter(series: Series) -> GainScatter:
    """Scatter of the gains of a scan's transients."""
    # A drift of the width is no gain.
    directions = series.directions.without(SHAPES)
    size = float(directions.gram[GAIN, GAIN])
    noise = max(series.variance * directions.model.band.oversampling, FAINTEST * size)
    course = (series.rows @ directions.flat[GAIN])[:, None]
    weights, sizes, of_mean = [], [], []
    apart = np.abs(np.subtract.outer(series.places, series.places))
    for point in gains.grid():
        weighting = gains.weighting(course, point, size / noise, series.places)
        left = float(weighting.products[0, 0]) / size / noise
        weights.append(np.log(point.prior) - 0.5 * (weighting.logdet + left))
        correlated = float(np.mean(point.correlation**apart)) if point.size else 0.0
        sizes.append(point.size)
        of_mean.append(point.size * np.sqrt(correlated))
    weights = np.exp(np.array(weights) - max(weights))
    weights /= weights.sum()
    return GainScatter(float(weights @ sizes), float(weights @ of_mean))

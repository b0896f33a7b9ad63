"""Generalised least squares of all transients in directions of their mean.

Column c of the model moves the transients by a course over time, X_c, in one direction d(c). With
q the products of the transients with the directions and G those of the directions with each other,
normal matrix and right side are (X'X) o G and X'q: no column is ever made. Everything is counted
from the mean of the transients, which has a fit of its own: what that one misses is common to all
of them and takes no part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from fmrsflow.errors import DataError
from fmrsflow.fit import gain as gains
from fmrsflow.fit.directions import GAIN, Directions

NEGLIGIBLE = 1e-6
"""Weight of a point of the grid that adds nothing to the covariance."""

FAINTEST = 1e-10
"""Least noise that is counted with, in squares of the spectrum: without any, a gain of a transient
would leave no information in its direction, where all signals respond no regressor either."""


@dataclass(frozen=True)
class Columns:
    """Columns of the model.

    Attributes
    ----------
    courses : array (n_transients, n_courses)
        Of mean zero.
    course, direction : int arrays (n_columns,)
        Which course and which direction each column has.
    """

    courses: np.ndarray
    course: np.ndarray
    direction: np.ndarray

    def change(self, values: np.ndarray, n_directions: int) -> np.ndarray:
        """Movement of each transient in each direction, (n_transients, n_directions)."""
        by_course = np.zeros((self.courses.shape[1], n_directions))
        by_course[self.course, self.direction] = values
        return self.courses @ by_course


@dataclass(frozen=True)
class Estimate:
    """Coefficients of the columns, their covariance, the gain's SD (mean over the grid), how likely
    each point of the grid is, and the log likelihood: that of the coefficients, mean over the grid,
    less what all columns share."""

    values: np.ndarray
    covariance: np.ndarray
    gain: float
    likely: tuple[tuple[gains.Gain, float], ...]
    log_likelihood: float


def solve(
    columns: Columns,
    directions: Directions,
    products: np.ndarray,
    variance: float,
    points: Iterable[gains.Gain] = (gains.NONE,),
    places: np.ndarray | None = None,
) -> Estimate:
    """Coefficients of the columns.

    Parameters
    ----------
    products : array (n_transients, n_directions)
        Of the transients, less their mean, with the directions.
    variance : float
        Of the noise of the spectrum.
    points : iterable of Gain
        What the gain of transients may be: coefficients are the mean over them by restricted
        likelihood and prior, their covariance holds the spread over them. `gain.grid()` where it is
        not known.
    places : int array (n_transients,), optional
        Of the transients in the order of acquisition, for the gain; by default without gaps.

    Raises
    ------
    DataError
        Columns depend on each other.
    """
    course, direction = columns.course, columns.direction
    gram = directions.gram
    oversampling = directions.model.band.oversampling
    size = float(gram[GAIN, GAIN])
    noise = max(variance * oversampling, FAINTEST * size)
    share = gram[GAIN] / size  # of each direction in that of the gain
    both = np.column_stack([columns.courses, products[:, GAIN]])
    count = columns.courses.shape[1]
    plain = columns.courses.T @ columns.courses
    pairs = np.ix_(course, course)
    normal = plain[pairs] * gram[np.ix_(direction, direction)]
    right = (columns.courses.T @ products)[course, direction]
    own = share[direction]
    found, likelihoods, largest = [], [], []
    for point in points:
        weighting = gains.weighting(both, point, size / noise, places)
        extra = weighting.products
        whole = normal + size * extra[:count, :count][pairs] * np.outer(own, own)
        side = right + extra[course, count] * own
        if not np.all(np.diag(whole) > 0):
            raise DataError("a regressor is zero over the transients kept")
        scale = 1.0 / np.sqrt(np.diag(whole))
        try:
            factor = cho_factor(whole * np.outer(scale, scale), lower=True)
        except LinAlgError:
            raise DataError("regressors depend on each other over the transients kept") from None
        values = scale * cho_solve(factor, scale * side)
        logdet = 2 * np.log(np.diag(factor[0]) / scale).sum()
        left = (extra[count, count] / size - side @ values) / noise
        largest.append(np.log(point.prior) - 0.5 * (weighting.logdet + left))
        likelihoods.append(np.log(point.prior) - 0.5 * (weighting.logdet + logdet + left))
        found.append((point, values, factor, scale, weighting))
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    weights /= weights.sum()
    mean = sum(weight * values for weight, (_, values, *_) in zip(weights, found))
    covariance = np.zeros((len(mean), len(mean)))
    for weight, (_, values, factor, scale, weighting) in zip(weights, found):
        if weight < NEGLIGIBLE:
            continue
        inverse = np.outer(scale, scale) * cho_solve(factor, np.eye(len(values)))
        off = values - mean
        covariance += weight * (noise * inverse + np.outer(off, off))
        if not directions.white:
            covariance += weight * _coloured(columns, directions, weighting, inverse, variance)
    gain_sd = sum(weight * point.size for weight, (point, *_) in zip(weights, found))
    likely = tuple((point, float(w)) for w, (point, *_) in zip(weights, found))
    likelihood = max(largest) + np.log(np.sum(np.exp(np.array(largest) - max(largest))))
    return Estimate(mean, covariance, float(gain_sd), likely, float(likelihood))


def _coloured(
    columns: Columns,
    directions: Directions,
    weighting: gains.Weighting,
    inverse: np.ndarray,
    variance: float,
) -> np.ndarray:
    """What noise that is not white adds to the covariance: inverse (C - C of white noise) inverse,
    C the covariance that noise gives the right side."""
    course, direction = columns.course, columns.direction
    excess = directions.scatter - directions.model.band.oversampling * directions.gram
    share = directions.gram[GAIN] / directions.gram[GAIN, GAIN]
    x, own = columns.courses, share[direction]
    y = weighting.applied[:, : x.shape[1]]
    pairs = np.ix_(course, course)
    cross = (x.T @ y)[pairs] * np.outer(excess[direction, GAIN], own)
    middle = (x.T @ x)[pairs] * excess[np.ix_(direction, direction)] + cross + cross.T
    middle += (y.T @ y)[pairs] * excess[GAIN, GAIN] * np.outer(own, own)
    return variance * inverse @ middle @ inverse

"""Amplitudes of single transients by the shapes that all of them share.

Each transient differs from the mean by a step in every direction of its fit (`directions`); least
squares gives the step of each signal, with phase and frequency free, and the width of both parts
where these are to be compared each with a width of its own. Nothing is assumed about who responds
or when, so that means of transients are plain means. Their errors are those of the noise, which is
independent from one to the next, and of the gain, which is not: its size and its correlation are
found in the scatter of the transients about conditions and drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.broad import CREATINE_CH2
from fmrsflow.fit.directions import GAIN, SHAPES, TURNS, Directions
from fmrsflow.fit.gain import correlation, grid
from fmrsflow.fit.linear import Columns, solve
from fmrsflow.fit.means import Means
from fmrsflow.fit.series import Series
from fmrsflow.metabolites import mixing, propagated


@dataclass(frozen=True)
class Singles:
    """Amplitudes of the transients of a series, as differences from their mean; units of the FIDs.

    Attributes as in `Means`, with a row for each transient that was kept.
    """

    names: tuple[str, ...]
    level: np.ndarray
    level_covariance: np.ndarray
    values: np.ndarray
    noise: np.ndarray
    gain: np.ndarray
    gain_covariance: np.ndarray

    def means(self, groups: Sequence[np.ndarray]) -> Means:
        """Means of groups of transients (rows of `values`), which together are all."""
        weights = np.zeros((len(groups), len(self.values)))
        for row, group in zip(weights, groups):
            row[group] = 1 / len(group)
        own = weights - 1 / len(self.values)
        return Means(
            self.names,
            self.level,
            self.level_covariance,
            np.array([len(group) for group in groups]),
            weights @ self.values,
            self.noise,
            self.gain,
            own @ self.gain_covariance @ own.T,
        )


def singles(series: Series, courses: np.ndarray, widths: np.ndarray) -> tuple[Singles, Singles]:
    """Amplitudes of the transients of a series, each with a width of its own, and all with that of
    the mean.

    Parameters
    ----------
    courses, widths : arrays (n_kept, n_courses), (n_kept, n_widths)
        Conditions and drift, and what the width follows: round these the problem is linear, and
        scatter about them is gain.

    Raises
    ------
    DataError
        Directions of the fit that depend on each other.
    """
    courses, widths = (_independent(one) for one in (courses, widths))
    turns = TURNS if series.aligned else ()
    free = series.mean.directions.without((*turns, *SHAPES))
    change, rest = _linear_about(series, courses, widths)
    products = rest @ free.flat.T + change @ free.gram
    spread = _gain(series, free, courses, products)
    plain = series.rows @ series.directions.flat.T
    return (
        _of(series, free, products, spread),
        _of(series, series.directions, plain, spread),
    )


def _free(directions: Directions) -> np.ndarray:
    """Signals, numbers among those with a direction, that may differ between transients: all but
    the correction of creatine's CH2, which is none of the tissue's."""
    names = [directions.model.names[k] for k in directions.active]
    return np.flatnonzero([name != CREATINE_CH2 for name in names])


def _independent(courses: np.ndarray) -> np.ndarray:
    """Courses less their mean, without those that the ones before them make, and no more than leave
    two transients to scatter."""
    centred = courses - courses.mean(axis=0)
    chosen: list[int] = []
    for j in range(centred.shape[1]):
        both = [*chosen, j]
        if len(both) < len(courses) - 2 and np.linalg.matrix_rank(centred[:, both]) == len(both):
            chosen = both
    return centred[:, chosen]


def _linear_about(series: Series, courses, widths) -> tuple[np.ndarray, np.ndarray]:
    """What the transients move by along the courses, and what they are beyond that: changes of
    width are not small enough for the first order."""
    directions, flat, own = series.directions, series.directions.flat, _free(series.directions)
    if not courses.shape[1] + widths.shape[1]:
        return np.zeros((len(series.rows), len(flat))), series.rows
    count = courses.shape[1]
    places = [len(directions.rows) + one for one in SHAPES]
    columns = Columns(
        np.concatenate([courses, widths], axis=1),
        np.concatenate(
            [
                np.repeat(np.arange(count), len(own)),
                count + np.repeat(np.arange(widths.shape[1]), len(SHAPES)),
            ]
        ),
        np.concatenate([np.tile(own, count), np.tile(places, widths.shape[1])]),
    )
    found = solve(columns, directions, series.rows @ flat.T, series.variance)
    change = columns.change(found.values, len(flat))
    moved = directions.moved(change)
    return change, series.rows - (moved - moved.mean(axis=0))


def _gain(series: Series, directions: Directions, courses, products) -> np.ndarray:
    """Covariance of the gains of the transients, (n_kept, n_kept), averaged over the grid."""
    (n, count), own = courses.shape, _free(directions)
    if not count:  # too few transients for any scatter, and for a gain
        return np.zeros((n, n))
    columns = Columns(courses, np.repeat(np.arange(count), len(own)), np.tile(own, count))
    found = solve(columns, directions, products, series.variance, grid(), series.places)
    spread = np.zeros((n, n))
    for point, likely in found.likely:
        spread += likely * point.size**2 * correlation(series.places, point.correlation)
    return spread


def _of(series: Series, directions: Directions, products, spread: np.ndarray) -> Singles:
    mean, own = series.mean, _free(directions)
    active = directions.active[own]
    rows = directions.flat[own]
    inverse = np.linalg.pinv(rows @ rows.T, hermitian=True)
    singles = directions.model.names
    names, matrix = mixing(singles)
    inner = matrix[:, active]
    # A signal that the mean holds at zero has no direction, and is not known to stay there.
    lost = ~inner.any(axis=1)
    noise = series.variance * inverse @ directions.scatter[np.ix_(own, own)] @ inverse
    values = mean.scale * products[:, own] @ inverse @ inner.T
    values[:, lost] = np.nan
    return Singles(
        names=names,
        level=matrix @ mean.result.amplitudes,
        level_covariance=propagated(matrix, mean.result.covariance),
        values=values - values.mean(axis=0),
        noise=mean.scale**2 * inner @ noise @ inner.T,
        gain=mean.scale * inner @ inverse @ directions.gram[own, GAIN],
        gain_covariance=spread,
    )

"""Least squares of all transients against the same with all columns made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fit.directions import GAIN, GAUSS2, LORENTZ, PHASE, SHIFT, TURNS, directions_of
from fmrsflow.fit.gain import Gain, correlation, grid, weighting
from fmrsflow.fit.linear import Columns, solve
from fmrsflow.fit.model import Kind, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.solve import prepared, search

N = 24
COURSES = np.random.default_rng(3).standard_normal((N, 3))
COURSES -= COURSES.mean(axis=0)


@pytest.fixture(scope="module")
def directions(noisy, basis):
    model = make_model(noisy(1, 200.0, 0), Kind(basis), FitOptions())
    data = prepared(model, noisy(1, 200.0, 0))
    state, target, _ = search(model, FitOptions(), data)
    return directions_of(model, target, state, data.shape)


@pytest.mark.parametrize("place", [LORENTZ, GAUSS2, 0, 3])
def test_directions_are_slopes(directions, place):
    """Of the model that is not linear, by central differences."""
    step = 1e-4
    change = np.zeros((2, len(directions.rows)))
    change[:, place] = step, -step
    up, down = directions.moved(change)
    np.testing.assert_allclose((up - down) / (2 * step), directions.flat[place], atol=1e-6)


@pytest.mark.parametrize(
    "place, turn", [(PHASE, lambda t: 1j + 0 * t), (SHIFT, lambda t: 2j * np.pi * t)]
)
def test_turns_are_slopes_of_phase_and_frequency(directions, place, turn):
    model, state = directions.model, directions.state
    signal = state.amplitudes @ state.damped
    slope = model.spectrum(signal * turn(model.time_s)).ravel()
    off = slope - directions.flat[place]
    # The phase turns the baseline too.
    assert np.linalg.norm(off) < (0.05 if place == PHASE else 1e-9) * np.linalg.norm(slope)


def test_no_signal_grows_without_limit(directions):
    """Noise may tell a width far below zero, and the end of the FID would explode."""
    change = np.zeros((1, len(directions.rows)))
    change[0, LORENTZ] = -100.0
    signal = directions.state.amplitudes @ directions.state.damped
    fitted = directions.model.spectrum(signal).ravel()
    assert np.linalg.norm(directions.moved(change)) < 25 * np.linalg.norm(fitted)


def test_directions_without_some_are_at_right_angles_to_them(directions):
    rest = directions.without(TURNS)
    turned = directions.flat[list(TURNS)]
    assert np.abs(rest.flat @ turned.T).max() < 1e-9 * np.abs(directions.gram).max()
    np.testing.assert_allclose(rest.flat @ rest.flat.T, rest.gram, atol=1e-9)
    np.testing.assert_allclose(directions.model.band.oversampling * rest.gram, rest.scatter)


GAPS = np.cumsum(np.random.default_rng(9).integers(1, 6, N))


@pytest.mark.parametrize("index", [np.arange(N), GAPS], ids=["every transient", "gaps"])
@pytest.mark.parametrize("size, rho", [(0.0025, 0.0), (0.02, 0.8), (0.1, 0.95)])
def test_weighting_is_that_of_the_whole_matrix(size, rho, index):
    """Two transients with k - 1 between them that take no part correlate by rho^k."""
    strength = 3e4
    correlated = np.where(np.eye(N), 1.0, rho ** np.abs(index[:, None] - index))
    np.testing.assert_array_equal(correlation(index, rho), correlated)
    whole = np.eye(N) + size**2 * strength * correlated
    inverse = np.linalg.inv(whole)
    ones = inverse.sum(axis=1)
    inverse -= np.outer(ones, ones) / ones.sum()
    found = weighting(COURSES, Gain(size, rho), strength, index)
    expected = COURSES.T @ inverse @ COURSES - COURSES.T @ COURSES
    np.testing.assert_allclose(found.products, expected, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(COURSES.T @ found.applied, expected, rtol=1e-8, atol=1e-9)
    logdet = np.linalg.slogdet(whole)[1] + np.log(ones.sum())
    assert found.logdet == pytest.approx(logdet)


@pytest.fixture(scope="module")
def columns(directions):
    """A course in each of three amplitudes, and one of the width."""
    places = np.array([0, 3, 5, len(directions.rows) + LORENTZ])
    return Columns(COURSES, np.array([0, 0, 1, 2]), places)


def made(columns, directions):
    """Every column, (n_columns, N, 2 n_points)."""
    return np.array(
        [
            np.outer(columns.courses[:, c], directions.flat[d])
            for c, d in zip(columns.course, columns.direction)
        ]
    )


def test_solve_is_least_squares(columns, directions):
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((N, directions.flat.shape[1]))
    rows -= rows.mean(axis=0)
    found = solve(columns, directions, rows @ directions.flat.T, 1.0)
    matrix = made(columns, directions).reshape(4, -1)
    expected = np.linalg.lstsq(matrix.T, rows.ravel(), rcond=None)[0]
    np.testing.assert_allclose(found.values, expected, rtol=1e-8)
    inverse = np.linalg.inv(matrix @ matrix.T) * directions.model.band.oversampling
    np.testing.assert_allclose(found.covariance, inverse, rtol=1e-8)


def test_errors_under_gain_are_those_of_the_whole_covariance(columns, directions):
    """Transients whose gain is by far the largest that is in them: the grid settles, and the error
    is that of generalised least squares with every row's covariance written out."""
    size, rho, variance = 0.05, 0.8, 1e-7
    index = np.arange(N)
    course = np.linalg.cholesky(rho ** np.abs(index[:, None] - index))
    gains = size * course @ np.random.default_rng(2).standard_normal(N)
    rows = np.outer(gains - gains.mean(), directions.flat[GAIN])
    found = solve(columns, directions, rows @ directions.flat.T, variance, grid())
    # In an orthonormal basis of the directions: the rest holds noise alone.
    q, _ = np.linalg.qr(directions.flat.T)
    matrix = (made(columns, directions) @ q).reshape(4, -1)
    own = q.T @ directions.flat[GAIN]
    noise = variance * directions.model.band.oversampling
    correlated = rho ** np.abs(index[:, None] - index)
    whole = noise * np.eye(matrix.shape[1]) + size**2 * np.kron(correlated, np.outer(own, own))
    # A free mean of all rows, as the fit of their mean has.
    mean = np.kron(np.ones(N), np.eye(len(own)))
    both = np.vstack([matrix, mean])
    expected = np.linalg.inv(both @ np.linalg.solve(whole, both.T))[:4, :4]
    # What the gain hides and what it does not differ by far more than the grid's steps.
    ratio = np.sqrt(np.diag(found.covariance) / np.diag(expected))
    assert ratio == pytest.approx(1.0, abs=0.25)
    assert found.gain == pytest.approx(size, rel=0.6)


def test_gaps_are_in_the_likelihood_of_a_gain(columns, directions):
    """A gain that runs on from one transient to the next is uncorrelated where ten lie between."""
    index = np.arange(10 * N)
    course = 0.03 * np.linalg.cholesky(0.8 ** np.abs(index[:, None] - index))
    gains = (course @ np.random.default_rng(8).standard_normal(10 * N))[::10]
    rows = np.outer(gains - gains.mean(), directions.flat[GAIN])
    products = rows @ directions.flat.T
    found = solve(columns, directions, products, 1e-7, grid(), places=10 * np.arange(N))
    close = solve(columns, directions, products, 1e-7, grid())

    def mean_correlation(estimate):
        return sum(weight * point.correlation for point, weight in estimate.likely)

    # Alone, they look like white noise; ten apart, correlations up to 0.8 do as well.
    assert mean_correlation(close) < 0.3 < mean_correlation(found)
    assert sum(weight for _, weight in found.likely) == pytest.approx(1.0)


def test_noise_that_is_not_white_is_counted_as_it_is(columns, directions):
    """Twice the covariance in all directions is twice the covariance of the answer."""
    rows = np.random.default_rng(5).standard_normal((N, directions.flat.shape[1]))
    products = (rows - rows.mean(axis=0)) @ directions.flat.T
    one = solve(columns, directions, products, 1.0)
    twice = replace(directions, scatter=2 * directions.scatter, white=False)
    other = solve(columns, twice, products, 1.0)
    np.testing.assert_allclose(other.covariance, 2 * one.covariance, rtol=1e-8)


def test_columns_that_depend_on_each_other_are_told(directions):
    twice = np.column_stack([COURSES[:, 0], COURSES[:, 0]])
    columns = Columns(twice, np.array([0, 1]), np.array([0, 0]))
    with pytest.raises(DataError, match="depend"):
        solve(columns, directions, np.zeros((N, len(directions.rows))), 1.0)

"""Smooth baselines as linear smoothers: penalised cubic B-splines and polynomials.

A baseline is described by orthonormal columns and a roughness per column (the basis of Demmler and
Reinsch), so that for any smoothness it is a matrix of small rank taken off the data, and the sum of
squares that the metabolites have to explain is known without solving for the baseline.
Penalised splines: Eilers & Marx 1996; for MRS Wilson 2021 (ABfit, doi:10.1002/mrm.28385).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HALVINGS = 32
"""Of 28 decades: a smoothness is found to eight digits."""


@dataclass(frozen=True)
class Baseline:
    """Columns of a baseline; real and imaginary part have their own coefficients.

    Attributes
    ----------
    columns : array (n_points, n_columns)
        Orthonormal.
    roughness : array (n_columns,)
        Of each column; 0 where it is not penalised.
    """

    columns: np.ndarray
    roughness: np.ndarray

    def shares(self, smoothness: np.ndarray | float) -> np.ndarray:
        """Share of each column that the baseline takes up, (..., n_columns): 1 / (1 + l
        roughness), l a number or (..., 1)."""
        return 1.0 / (1.0 + smoothness * self.roughness)

    def effective_dimension(self, smoothness: float) -> float:
        """Number of free parameters that each part of the smooth baseline is worth."""
        return float(self.shares(smoothness).sum())

    def smoothness_for(self, dimension: np.ndarray | float) -> np.ndarray | float:
        """Smoothness that gives an effective dimension, or one for each; limits where it is out of
        reach."""
        wanted = np.asarray(dimension, float)
        if not self.roughness.any():
            return np.zeros(wanted.shape)[()]
        low, high = np.full(wanted.shape, -12.0), np.full(wanted.shape, 16.0)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            flexible = self.shares(10.0 ** middle[..., None]).sum(axis=-1) > wanted
            low, high = np.where(flexible, middle, low), np.where(flexible, high, middle)
        return 10.0**high

    def taken(self, smoothness: float) -> np.ndarray:
        """Factor of each column in `remove`, (n_columns,)."""
        # (I - H)^(1/2): its square is the penalised sum of squares after solving the baseline.
        return 1.0 - np.sqrt(1.0 - self.shares(smoothness))

    def remove(self, rows: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """Rows (..., n_points) with the baseline projected out (square root of the smoother)."""
        if not self.columns.shape[1]:
            return rows
        # As one matrix: a stack of two-row products would be an order slower.
        flat = rows.reshape(-1, rows.shape[-1])
        return (flat - ((flat @ self.columns) * taken) @ self.columns.T).reshape(rows.shape)

    def fitted(self, rows: np.ndarray, smoothness: float) -> np.ndarray:
        """Baseline of rows (..., n_points)."""
        if not self.columns.shape[1]:
            return np.zeros_like(rows)
        return ((rows @ self.columns) * self.shares(smoothness)) @ self.columns.T


def no_baseline(n_points: int) -> Baseline:
    """A baseline of nothing."""
    return Baseline(np.zeros((n_points, 0)), np.zeros(0))


def polynomial(ppm: np.ndarray, order: int) -> Baseline:
    """Polynomial of that order, not penalised."""
    x = np.linspace(-1.0, 1.0, len(ppm))
    columns, _ = np.linalg.qr(np.polynomial.legendre.legvander(x, order))
    return Baseline(columns, np.zeros(order + 1))


def spline(ppm: np.ndarray, knots_per_ppm: float) -> Baseline:
    """Cubic B-spline with equidistant knots, penalised by squared second differences.

    Parameters
    ----------
    ppm : array (n_points,)
        Rising, equidistant.
    knots_per_ppm : float
    """
    intervals = max(4, int(round(knots_per_ppm * (ppm[-1] - ppm[0]))))
    intervals = min(intervals, len(ppm) // 3)
    design = _cubic_b_splines(np.linspace(0.0, intervals, len(ppm)), intervals)
    q, r = np.linalg.qr(design)
    differences = np.diff(np.eye(design.shape[1]), 2, axis=0)
    penalty = np.linalg.solve(r.T, (differences.T @ differences))
    penalty = np.linalg.solve(r.T, penalty.T)
    roughness, vectors = np.linalg.eigh(0.5 * (penalty + penalty.T))
    roughness[:2] = 0.0  # straight lines; what stands there is rounding
    return Baseline(np.ascontiguousarray(q @ vectors), roughness)


def _cubic_b_splines(x: np.ndarray, intervals: int) -> np.ndarray:
    """Uniform cubic B-splines with unit knot spacing on [0, intervals], (n, intervals + 3)."""
    distance = np.abs(x[:, None] - (np.arange(intervals + 3) - 1.0))
    near = 2.0 / 3.0 - distance * distance * (1.0 - 0.5 * distance)
    left = np.maximum(2.0 - distance, 0.0)
    return np.where(distance < 1.0, near, left * left * left / 6.0)

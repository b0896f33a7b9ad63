"""Steps within limits, against bounded least squares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from fmrsflow.fit.step import bounded_step


@pytest.mark.parametrize("seed", range(40))
def test_a_step_is_the_best_one_within_the_limits(seed):
    """Against the bounded least squares of scipy, with strongly correlated parameters, some of
    them on a limit and one held."""
    rng = np.random.default_rng(seed)
    n = 12
    common = rng.standard_normal((30, 1))
    slopes = rng.standard_normal((30, n)) + 3.0 * common
    residual = rng.standard_normal(30) + common[:, 0]
    point = rng.uniform(-0.3, 0.3, n)
    lower, upper = np.full(n, -0.4), np.full(n, 0.4)
    lower[:5] = point[:5]
    upper[5] = point[5]
    lower[6] = upper[6] = point[6]
    lower[7], upper[7] = -np.inf, np.inf
    gradient, hessian, damping = slopes.T @ residual, slopes.T @ slopes, 0.01
    step, gain = bounded_step(gradient, hessian, point, lower, upper, damping)
    free = np.arange(n) != 6
    damped = np.vstack([slopes, np.diag(np.sqrt(damping * np.diag(hessian)))])[:, free]
    wanted = lsq_linear(
        damped,
        np.append(residual, np.zeros(n)),
        ((lower - point)[free], (upper - point)[free]),
        method="bvls",
        tol=1e-14,
    ).x
    np.testing.assert_allclose(step[free], wanted, atol=1e-8)
    assert step[6] == 0.0
    assert gain == pytest.approx(residual @ residual - np.sum((residual - slopes @ step) ** 2))
    assert gain >= 0


def test_a_point_at_its_best_stays():
    hessian = np.array([[2.0, 1.0], [1.0, 2.0]])
    limits = np.zeros(2), np.ones(2)
    step, gain = bounded_step(np.array([-1.0, 0.0]), hessian, np.zeros(2), *limits, 0.0)
    np.testing.assert_array_equal(step, 0.0)
    assert gain == 0.0

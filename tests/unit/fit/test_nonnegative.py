"""Non-negative least squares on normal equations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import LinAlgError
from scipy.optimize import nnls

from fmrsflow.fit.nonnegative import solve_nonnegative


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("guess", ["all", "none", "random"])
def test_agrees_with_scipy_from_any_guess(seed, guess):
    rng = np.random.default_rng(seed)
    design = rng.standard_normal((60, 12)) + 0.5
    data = design @ np.maximum(rng.standard_normal(12), 0) + rng.standard_normal(60)
    expected, _ = nnls(design, data)
    first = {"all": np.ones(12), "none": np.zeros(12), "random": rng.random(12) > 0.5}[guess]
    found, passive = solve_nonnegative(design.T @ design, design.T @ data, first.astype(bool))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_array_equal(passive, found > 0)


def test_the_same_signal_twice_is_an_error():
    column = np.arange(1.0, 9.0)
    design = np.stack([column, column], axis=1)
    with pytest.raises(LinAlgError, match="dependent"):
        solve_nonnegative(design.T @ design, design.T @ column, np.ones(2, bool))

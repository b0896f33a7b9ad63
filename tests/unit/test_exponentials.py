"""Exponentials from two short tables against those of numpy."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.exponentials import exponentials


@pytest.mark.parametrize("n_points", [1, 2, 63, 64, 2048, 4097])
def test_equal_to_the_exponential_of_every_point(n_points):
    rate = np.array([[0.3j, -0.002 + 2.9j], [0.0, -0.01]])
    expected = np.exp(rate[..., None] * np.arange(n_points))
    found = exponentials(rate, n_points)
    assert found.shape == (2, 2, n_points)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    assert not np.iscomplexobj(exponentials(np.array([-0.1]), n_points))

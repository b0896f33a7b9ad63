"""Gain of the transients as a random course: autoregressive of first order (docs/science.md#joint).

All signals of a transient are a little larger or smaller together (motion, breathing, the
receiver), by an amount that runs on from one to the next, also over those that take no part.
Beside the noise the rows of data then have the covariance tau^2 C(rho) g g', g the spectrum of the
mean: it differs from white noise in one direction alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded

SIZES = (0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1)
CORRELATIONS = (0.0, 0.5, 0.8, 0.95)
"""Grid of the SD of the gain and of its correlation from one transient to the next."""


@dataclass(frozen=True)
class Gain:
    """A point of the grid; `prior` is its probability before the data."""

    size: float
    correlation: float
    prior: float = 1.0


NONE = Gain(0.0, 0.0)
"""No gain."""


def grid() -> Iterator[Gain]:
    """All points. No gain is as likely as some, of all points of which none is the likelier."""
    yield Gain(0.0, 0.0, 0.5)
    share = 0.5 / (len(SIZES) * len(CORRELATIONS))
    for size in SIZES:
        for correlation in CORRELATIONS:
            yield Gain(size, correlation, share)


def correlation(places: np.ndarray, rho: float) -> np.ndarray:
    """C(rho) of transients at these places in the order of acquisition, (n, n): rho^k where one is
    k after the other, whatever was left out between them."""
    return rho ** np.abs(np.subtract.outer(places, places)).astype(float)


@dataclass(frozen=True)
class Weighting:
    """Products of courses of mean zero under the inverse of W = I + s C(rho), a free mean projected
    out, less those under I.

    Attributes
    ----------
    products : array (n_courses, n_courses)
    applied : array (n, n_courses)
        The matrix between them times the courses.
    logdet : float
        Of W and of what the mean leaves of it.
    """

    products: np.ndarray
    applied: np.ndarray
    logdet: float


def weighting(
    courses: np.ndarray, gain: Gain, strength: float, places: np.ndarray | None = None
) -> Weighting:
    """Of courses (n, n_courses) of mean zero; `strength` is s over the square of the gain's SD: the
    information of a transient on its gain; `places` (n,) in the order of acquisition, rising; by
    default without gaps."""
    n = len(courses)
    if gain.size == 0.0:
        return Weighting(np.zeros((courses.shape[1],) * 2), np.zeros_like(courses), np.log(n))
    s = gain.size**2 * strength
    steps = np.ones(n - 1) if places is None else np.diff(places)
    rho = gain.correlation ** steps.astype(float)
    new = 1 - rho**2  # of the variance of each but the first, what the one before does not tell
    # C has an inverse T of three diagonals, and W^-1 = T (s I + T)^-1.
    main = np.ones(n)
    main[1:] += rho**2 / new
    main[:-1] += rho**2 / new
    side = -rho / new
    band = np.array([np.append(0.0, side), main + s])
    factor = cholesky_banded(band)
    both = np.column_stack([courses, np.ones(n)])
    inner = cho_solve_banded((factor, False), both)
    weighed = main[:, None] * inner
    weighed[1:] += side[:, None] * inner[:-1]
    weighed[:-1] += side[:, None] * inner[1:]
    ones = weighed[:, -1]
    total = ones.sum()
    applied = weighed[:, :-1] - np.outer(ones, courses.T @ ones) / total - courses
    logdet = 2 * np.log(factor[1]).sum() + np.log(new).sum()
    return Weighting(courses.T @ applied, applied, float(logdet + np.log(total)))

"""Transients of a scan reduced to the few courses over time that the joint model can make."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import factorial

import numpy as np

from fmrsflow.fit.design import Design

ORDER = 3
"""Powers of the linewidth change; the fourth is below 1e-4 of a line for changes under 1.5 Hz."""


@dataclass(frozen=True)
class Courses:
    """The transients reduced to courses over time.

    spectra : complex (n_courses, n_points), their projections; constant (n_courses,): the baseline
    in each; mixing : (n_series, n_courses, n_columns), design x powers of the linewidth regressors
    in terms of the courses; powers : tuple of tuples, the regressors in each product; energy:
    squares outside of the courses; n : number of transients.
    """

    spectra: np.ndarray
    constant: np.ndarray
    mixing: np.ndarray
    powers: tuple[tuple[int, ...], ...]
    energy: float
    n: int


def reduce_transients(spectra: np.ndarray, design: Design, widths: Design | None) -> Courses:
    """Project the transients on the courses that the model can make."""
    n = len(spectra)
    count = 0 if widths is None else widths.matrix.shape[1]
    powers = [
        p for order in range(ORDER + 1) for p in combinations_with_replacement(range(count), order)
    ]
    # Round the mean width: the series stays short, and the base width is that of the average.
    centred = np.zeros((n, 0)) if widths is None else widths.matrix - widths.matrix.mean(axis=0)
    series = np.stack(
        [design.matrix * np.prod(centred[:, list(p)], axis=1)[:, None] for p in powers]
    )
    wide = np.concatenate([np.ones((n, 1)), *series], axis=1)
    size = np.linalg.norm(wide, axis=0)
    left, singular, _ = np.linalg.svd(wide / np.where(size > 0, size, 1), full_matrices=False)
    q = left[:, singular > 1e-10 * singular[0]]
    # First course: the constant, which alone carries the baseline.
    first = np.full((n, 1), n**-0.5)
    rest = q - first @ (first.T @ q)
    left, singular, _ = np.linalg.svd(rest, full_matrices=False)
    q = np.concatenate([first, left[:, singular > 1e-8]], axis=1)
    projected = q.T @ spectra
    energy = np.sum(np.abs(spectra) ** 2) - np.sum(np.abs(projected) ** 2)
    return Courses(
        projected, q.sum(axis=0), np.einsum("jm,sjp->smp", q, series), tuple(powers),
        float(max(energy, 0.0)), n,
    )  # fmt: skip


def coefficient(power: tuple[int, ...], delta: np.ndarray) -> float:
    """Factor of a product of regressors in the power series."""
    value = 1.0
    for column in set(power):
        count = power.count(column)
        value *= delta[column] ** count / factorial(count)
    return value


def slope(power: tuple[int, ...], delta: np.ndarray, column: int) -> float:
    """Derivative of `coefficient` by one linewidth coefficient."""
    count = power.count(column)
    if not count:
        return 0.0
    value = delta[column] ** (count - 1) / factorial(count - 1)
    for other in set(power) - {column}:
        value *= delta[other] ** power.count(other) / factorial(power.count(other))
    return value


def by_order(courses: Courses, factors) -> dict[int, np.ndarray]:
    """Mixing matrices summed over products of the same order, (n_courses, n_columns) each."""
    summed: dict[int, np.ndarray] = {}
    for power, factor, mixing in zip(courses.powers, factors, courses.mixing):
        if factor:
            summed[len(power)] = summed.get(len(power), 0.0) + factor * mixing
    return summed


def constant_column(courses: Courses) -> int:
    """The design's column that is the first course alone."""
    first = courses.mixing[0][0]
    others = np.abs(courses.mixing[0][1:]).sum(axis=0)
    return int(np.argmax(np.abs(first) - 1e6 * others))

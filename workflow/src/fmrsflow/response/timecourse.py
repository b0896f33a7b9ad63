"""Amplitudes of one metabolite over blocks or conditions of a scan, and changes between them.

Where they come from one model of all transients, their covariance is known and everything follows
from it. Fits that were made apart (other engines) have errors, but nothing is known of how these
go together: a linear model with autocorrelated errors finds it in their scatter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.means import Means
from fmrsflow.response.change import Change, cannot, percent_change
from fmrsflow.response.course import separable, timecourse_changes
from fmrsflow.response.unit import UnitScan


@dataclass(frozen=True)
class Course:
    """Values of one metabolite, sum or ratio.

    Attributes
    ----------
    scan, metabolite : str
    conditions : tuple of str
    time_s, values : arrays (n,)
        In any unit.
    covariance : array (n, n)
        Of the differences between the values.
    level_variance : float
        Of what all values have in common.
    counts : array (n,) or None
        Transients behind each value, which all come from one model; None where the values were
        fitted apart and `covariance` is diagonal.
    """

    scan: str
    metabolite: str
    conditions: tuple[str, ...]
    time_s: np.ndarray
    values: np.ndarray
    covariance: np.ndarray
    level_variance: float = 0.0
    counts: np.ndarray | None = None

    @property
    def there(self) -> np.ndarray:
        """Which values have an error, boolean (n,)."""
        known = np.diag(self.covariance)
        apart = known > 0 if self.counts is None else known >= 0
        return np.isfinite(self.values) & np.isfinite(known) & apart

    def of(self, *conditions: str) -> np.ndarray:
        """Numbers of the values of these conditions, in the order of time."""
        mine = np.array([one in conditions for one in self.conditions], bool)
        return np.flatnonzero(mine & self.there)

    def weights(self, chosen: np.ndarray) -> np.ndarray:
        """Weights (n,) of the mean of some values."""
        found = np.zeros(len(self.values))
        # Gain is common to neighbours: it says nothing of which of them to believe.
        own = np.diag(self.covariance) ** -1.0 if self.counts is None else self.counts
        found[chosen] = own[chosen]
        return found / found.sum()

    def between(self, rest: str, task: str, interval: str) -> Change:
        """Percent change between two conditions."""
        if not self.there.any():
            return cannot("the fit of all transients holds none of it")
        for name in (rest, task):
            if not len(self.of(name)):
                return cannot(f"no transient of {name} was kept")
        return self.change(*(self.weights(self.of(name)) for name in (rest, task)), interval)

    def change(self, rest: np.ndarray, task: np.ndarray, interval: str = "fieller") -> Change:
        """Percent change between two weighted means, weights (n,) of sum one each."""
        used = (rest != 0) | (task != 0)
        if not self.there[used].all():
            return cannot("the fit gave no value with an error")
        pick = np.array([rest, task])[:, used]
        values = pick @ self.values[used]
        spread = pick @ self.covariance[np.ix_(used, used)] @ pick.T + self.level_variance
        return percent_change(*values, spread, interval=interval)


def by_condition(scan: UnitScan, name: str, matched: bool, over: str = "") -> Course | None:
    """A value for each condition of a scan whose transients have one model; `over` a name is the
    ratio to it."""
    means = Means.from_arrays(scan.means, "matched" if matched else "unmatched")
    conditions = tuple(str(one) for one in scan.means["conditions"])
    return _of_means(scan.key, means, name, over, conditions, np.arange(len(conditions)))


def courses(scan: UnitScan, over: str = "") -> dict[str, Course]:
    """Time course of each metabolite and sum of a scan, or of its ratio to `over`."""
    if scan.means is None:
        return _of_fits(scan, over)
    means = Means.from_arrays(scan.means, "blocks")
    conditions = tuple(str(one) for one in scan.means["block_conditions"])
    time_s = np.asarray(scan.means["block_time_s"], float)
    found = {
        name: _of_means(scan.key, means, name, over, conditions, time_s)
        for name in means.names
        if name != over
    }
    return {name: one for name, one in found.items() if one is not None}


def _of_means(scan, means: Means, name: str, over: str, conditions, time_s) -> Course | None:
    """Values relative to the mean of all transients; None where the basis lacks the name."""
    parts = [one for one in (name, over) if one]
    places = [means.names.index(one) if one in means.names else -1 for one in parts]
    if -1 in places:
        return None
    # Of what the mean of all holds none, there is no relative value.
    levels = np.where(means.level[places] > 0, means.level[places], np.nan)
    signs = np.array([1.0, -1.0])[: len(parts)]
    relative = 1 + means.values[:, places] / levels
    weights = signs / levels
    covariance = sum(
        a * b * means.covariance(one, other)
        for a, one in zip(weights, parts)
        for b, other in zip(weights, parts)
    )
    common = weights @ means.level_covariance[np.ix_(places, places)] @ weights
    values = np.prod(relative**signs, axis=1)
    return Course(
        scan, name, conditions, time_s, values, covariance, float(common), np.array(means.counts)
    )


def _of_fits(scan: UnitScan, over: str) -> dict[str, Course]:
    """From fits of blocks that were made apart."""
    rows: dict[str, list] = {}
    for row in scan.timecourse:
        rows.setdefault(row["metabolite"], []).append(row)
    found = {}
    for name, own in rows.items():
        values, errors = (np.array([row[key] for row in own]) for key in ("amplitude", "se"))
        if over:
            other = rows.get(over, ())
            if name == over or len(other) != len(own):
                continue
            base, base_se = (np.array([row[key] for row in other]) for key in ("amplitude", "se"))
            with np.errstate(divide="ignore", invalid="ignore"):
                errors = np.hypot(errors / base, values / base * base_se / base)
                values = values / base
        found[name] = Course(
            scan.key,
            name,
            tuple(row["condition"] for row in own),
            np.array([row["time_s"] for row in own]),
            values,
            np.diag(errors**2),
        )
    return found


def changes_over_time(
    course: Course, rest: str, tasks: Sequence[str], setting: Mapping
) -> list[Change]:
    """Percent change of each task by a linear model of conditions and drift over blocks."""
    order, interval = setting["drift_order"], setting["interval"]
    if course.counts is None:
        errors = np.sqrt(np.diag(course.covariance))
        return timecourse_changes(
            course.values, errors, course.conditions, course.time_s, rest, tasks, order, interval
        )
    absent = [name for name in (rest, *tasks) if not len(course.of(name))]
    if absent:
        return [cannot(f"no block of {', '.join(absent)} was fitted")] * len(tasks)
    design = separable(course.conditions, rest, tasks, course.time_s, order)
    coefficients, spread = _least_squares(course, design)
    # What regressors make of the mean of all transients is not rest.
    back = -(course.counts @ design[:, 1:]) / course.counts.sum()
    changes = []
    for k in range(len(tasks)):
        pick = np.array([back, back + np.eye(len(back))[k]])
        values = 1 + pick @ coefficients
        covariance = pick @ spread @ pick.T + course.level_variance
        changes.append(percent_change(*values, covariance, interval=interval))
    return changes


def _least_squares(course: Course, design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of all columns but the constant, which comes first, and their covariance, by
    generalised least squares."""
    # Any constant may be added to a covariance of differences: it is that of the constant.
    whole = course.covariance + np.trace(course.covariance)
    weighed = np.linalg.solve(whole, design)
    spread = np.linalg.inv(design.T @ weighed)
    return (spread @ weighed.T @ course.values)[1:], spread[1:, 1:]

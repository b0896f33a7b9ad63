"""Several analyses of the same people tested together (Simonsohn, Simmons & Nelson 2020, Nat Hum
Behav 4:1208), by flips of signs.

Where nothing changes in anybody, a person's changes under all analyses may as well have the
opposite sign, all of them at once: how analyses agree with each other stays in the data, whatever
it is. So the signs of whole persons are flipped, the same in all analyses, and what the analyses
say together is computed anew, without a fit. This needs that the errors of a person are symmetric
about zero where there is no change, and that what flips apart is independent: persons, where sites
have no effect of their own; else sites, with all persons who link them (docs/answer.md#joint-test).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

MOST_EXACT = 15
"""Up to so many units that flip every pattern is counted, beyond it a sample of `SAMPLED`."""

SAMPLED = 9999

CHUNK = 2048
"""Patterns that are computed at once."""

LEVEL = 0.05
"""Two-sided level at which one analysis counts as significant."""

STATISTICS = ("median", "share", "mean_t")


@dataclass(frozen=True)
class Joint:
    """What analyses say together.

    Attributes
    ----------
    n_units : int
        Units that flip.
    n_flips : int
        Patterns of signs that were counted; `exact`: each there is, a pattern and its opposite as
        one.
    smallest_p : float
        No p can be lower.
    means, t, counts : arrays (a,)
        Mean over persons of each analysis, in percent, its t, and how many persons have it.
    observed, p : dict
        Of `STATISTICS`: weighted median of the means; weighted share of analyses (0 to 1) that are
        significant with the same sign; weighted mean of t. Two-sided p of each.
    """

    n_units: int
    n_flips: int
    exact: bool
    smallest_p: float
    means: np.ndarray
    t: np.ndarray
    counts: np.ndarray
    observed: dict[str, float]
    p: dict[str, float]


def joint_test(changes: np.ndarray, weights: Sequence[float], units: Sequence, seed: int) -> Joint:
    """Test all analyses of the same people at once.

    Parameters
    ----------
    changes : array (p, a)
        Percent change of each person in each analysis, NaN where an analysis has none of a person:
        it takes no part there, before and after a flip.
    weights : sequence (a,)
        Of the analyses, above 0.
    units : sequence (p,)
        What flips together: persons of one label have one sign.
    seed : int
        Of the sample of patterns.

    Raises
    ------
    ValueError
        Fewer than 2 units, or an analysis with fewer than 2 persons.
    """
    changes = np.asarray(changes, float)
    labels, unit = np.unique(np.asarray(units), return_inverse=True)
    counts = np.isfinite(changes).sum(axis=0)
    if len(labels) < 2 or counts.min(initial=2) < 2:
        raise ValueError("it needs two that flip apart, and two persons in each analysis")
    weights = np.asarray(weights, float) / np.sum(weights)
    pooled = _Pooled(np.nan_to_num(changes), counts, weights)
    exact = len(labels) <= MOST_EXACT
    means, ts = pooled.means(np.ones((1, len(changes))))
    observed = pooled.statistics(means, ts)
    reached = dict.fromkeys(STATISTICS, 0)
    n_flips = 0
    for signs in _patterns(len(labels), exact, seed):
        n_flips += len(signs)
        found = pooled.statistics(*pooled.means(signs[:, unit]))
        for name in STATISTICS:
            least = abs(observed[name][0])
            # A flip that gives the same up to rounding is as far out, not less.
            reached[name] += int((np.abs(found[name]) >= least - 1e-9 * max(least, 1e-9)).sum())
    added = 0 if exact else 1
    return Joint(
        len(labels), n_flips, exact, 1 / (n_flips + added), means[0], ts[0], counts,
        {name: float(observed[name][0]) for name in STATISTICS},
        {name: (reached[name] + added) / (n_flips + added) for name in STATISTICS},
    )  # fmt: skip


def linked(persons: Sequence[str], sites: Sequence[str]) -> dict[str, str]:
    """Person -> name of the group of sites that flips as one: sites that share a person who
    travelled are one group, named by its first site.

    Parameters
    ----------
    persons, sites : sequences (n,)
        Who was measured where; a person may stand at several sites.
    """
    group = {site: site for site in sites}
    first: dict[str, str] = {}
    for person, site in zip(persons, sites):
        one, other = sorted((group[first.setdefault(person, site)], group[site]))
        group = {name: one if label == other else label for name, label in group.items()}
    return {person: group[site] for person, site in first.items()}


@dataclass(frozen=True)
class _Pooled:
    """Sums over persons; `counts` of them are known in each analysis, the others are 0."""

    changes: np.ndarray
    counts: np.ndarray
    weights: np.ndarray

    def means(self, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and t of each analysis under patterns of signs (s, p): arrays (s, a)."""
        means = signs @ self.changes / self.counts
        # Flips leave the squares of changes as they are.
        squares = (self.changes**2).sum(axis=0) - self.counts * means**2
        floor = 1e-12 * np.maximum((self.changes**2).sum(axis=0), 1e-300)
        error = np.sqrt(np.maximum(squares, floor) / (self.counts - 1) / self.counts)
        return means, means / error

    def statistics(self, means: np.ndarray, ts: np.ndarray) -> dict[str, np.ndarray]:
        """Each of `STATISTICS` under each pattern, with the sign of what it speaks for."""
        clear = np.abs(ts) > t.ppf(1 - LEVEL / 2, self.counts - 1)
        up, down = ((clear & (ts * sign > 0)) @ self.weights for sign in (1, -1))
        share = np.where(up >= down, up, -down)
        median = weighted_median(means, self.weights)
        return {"median": median, "share": share, "mean_t": ts @ self.weights}


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted median of each row: the middle of all values that have at most half of the weight on
    either side.

    Parameters
    ----------
    values : array (s, a)
    weights : array (a,)
        Of sum 1.
    """
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    below = np.cumsum(weights[order], axis=1)
    first = (below < 0.5 - 1e-12).sum(axis=1)
    last = np.minimum((below <= 0.5 + 1e-12).sum(axis=1), values.shape[1] - 1)
    rows = np.arange(len(values))
    return (ordered[rows, first] + ordered[rows, last]) / 2


def _patterns(n: int, exact: bool, seed: int) -> Iterator[np.ndarray]:
    """Patterns of signs, arrays (s, n) of +-1. All statistics are symmetric, so that the first unit
    keeps its sign where every pattern is counted."""
    if exact:
        total = 2 ** (n - 1)
        for start in range(0, total, CHUNK):
            number = np.arange(start, min(start + CHUNK, total))[:, None]
            yield 1.0 - 2.0 * (number >> np.arange(n) & 1)
        return
    rng = np.random.default_rng(seed)
    for start in range(0, SAMPLED, CHUNK):
        yield 1.0 - 2.0 * rng.integers(0, 2, (min(CHUNK, SAMPLED - start), n))

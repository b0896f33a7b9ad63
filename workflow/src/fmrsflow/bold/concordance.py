"""Does activity go the way of glutamate? Over people, with the errors of both.

That both are positive in most people says nothing of an accord: where BOLD and the change are
merely positive, their signs agree whatever they have to do with each other. So the null keeps what
each measure is in itself, in each place, and exchanges only which person's change stands beside
which person's BOLD.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations, product

import numpy as np

LEAST_PERSONS = 5
"""Persons that can be exchanged below which no p is given: of four there are 24 orders."""

EXACT = 5040
"""Up to so many orders every one is counted, beyond it a sample of `SAMPLED`."""

SAMPLED = 9999


@dataclass(frozen=True)
class Pair:
    """BOLD measure and percent change of one person in one place, with standard errors; `place`:
    site, region and session, the same for persons that were measured alike."""

    label: str
    person: str
    bold: float
    bold_se: float
    change_percent: float
    change_se: float
    place: str = ""

    @property
    def agreement(self) -> float:
        """Expected product of the two signs, -1 to 1, given the errors: near 0 where either sign
        is uncertain."""
        return _expected_sign(self.bold, self.bold_se) * _expected_sign(
            self.change_percent, self.change_se
        )

    @property
    def p_same_sign(self) -> float:
        """Probability that both true values have one sign, for normal errors and a flat prior."""
        return (1 + self.agreement) / 2


@dataclass(frozen=True)
class Concordance:
    """Accord over persons and places.

    Attributes
    ----------
    n, n_persons : int
    same_sign : int
        Pairs whose estimates have one sign.
    expected_share : float
        Mean probability of one sign given the errors.
    same_sign_by_chance : float
        Pairs of one sign on average where persons are exchanged: what the signs of both measures
        give by themselves.
    n_exchanged : int
        Persons with others who were measured at the same places.
    correlation : float
        Of both measures within places, over those persons; NaN where either does not vary.
    correlation_true : float
        The same without the scatter that the errors explain (Spearman 1904); NaN where they explain
        all of it.
    p_value : float
        Two-sided p of the correlation over exchanges of persons; NaN below `LEAST_PERSONS`.
    slope, slope_se : float
        Percent change per unit of BOLD, errors on both axes (York 2004); NaN for fewer than 3.
    """

    n: int
    n_persons: int
    same_sign: int
    expected_share: float
    same_sign_by_chance: float
    n_exchanged: int
    correlation: float
    correlation_true: float
    p_value: float
    slope: float
    slope_se: float


def concordance(pairs: Sequence[Pair], seed: int = 0) -> Concordance:
    """Test whether persons of more BOLD are those of more (or less) change.

    Whole persons are exchanged, with all their places, among those of the same places: means and
    signs of both measures in each place stay what they are, and so do regions of a person that go
    together.

    Raises
    ------
    ValueError
        No pair.
    """
    if not pairs:
        raise ValueError("no pair of BOLD and change")
    x, y, sx, sy = (
        np.array([getattr(one, name) for one in pairs], float)
        for name in ("bold", "change_percent", "bold_se", "change_se")
    )
    groups = _exchangeable(pairs)
    exchanged = sum(map(len, groups))
    slope, slope_se = _york(pairs) if len(pairs) >= 3 else (np.nan, np.nan)
    # Persons who cannot be exchanged are no part of a place's mean.
    dx, dy, losses = np.zeros_like(x), np.zeros_like(y), np.zeros_like(x)
    for group in groups:
        for column in np.transpose(group):
            dx[column], dy[column] = x[column] - x[column].mean(), y[column] - y[column].mean()
            losses[column] = 1 - 1 / len(column)
    norm = math.sqrt((dx @ dx) * (dy @ dy))
    correlation = float(dx @ dy / norm) if norm > 0 else math.nan
    left = (dx @ dx - losses @ sx**2, dy @ dy - losses @ sy**2)
    true = float(dx @ dy / math.sqrt(left[0] * left[1])) if min(left) > 0 else math.nan
    same = (x > 0) == (y > 0)
    by_chance, as_far, count = float(same.sum()), 0, 0
    if exchanged and norm > 0:
        orders = _orders(groups, len(pairs), seed)
        signs, limit = 0, abs(dx @ dy) * (1 - 1e-12)
        while len(some := np.array(list(islice(orders, 1000)))):
            count += len(some)
            signs += int(((x > 0) == (y[some] > 0)).sum())
            as_far += int((np.abs(dy[some] @ dx) >= limit).sum())
        by_chance = signs / count
    known = exchanged >= LEAST_PERSONS and count
    return Concordance(
        n=len(pairs),
        n_persons=len({one.person for one in pairs}),
        same_sign=int(same.sum()),
        expected_share=float(np.mean([one.p_same_sign for one in pairs])),
        same_sign_by_chance=by_chance,
        n_exchanged=exchanged,
        correlation=correlation,
        correlation_true=float(np.clip(true, -1, 1)),
        p_value=as_far / count if known else math.nan,
        slope=slope,
        slope_se=slope_se,
    )


def _exchangeable(pairs: Sequence[Pair]) -> list[np.ndarray]:
    """Groups of persons of the same places: arrays (persons, places) of numbers of pairs."""
    people: dict[str, list[int]] = {}
    for number, one in enumerate(pairs):
        people.setdefault(one.person, []).append(number)
    groups: dict[tuple, list[list[int]]] = {}
    for numbers in people.values():
        numbers = sorted(numbers, key=lambda j: (pairs[j].place, j))
        groups.setdefault(tuple(pairs[j].place for j in numbers), []).append(numbers)
    return [np.array(group) for group in groups.values() if len(group) > 1]


def _orders(groups: Sequence[np.ndarray], n: int, seed: int) -> Iterator[np.ndarray]:
    """Whose change stands beside each pair's BOLD, the observed order first."""
    total = math.prod(math.factorial(len(group)) for group in groups)
    if total <= EXACT:
        for chosen in product(*(permutations(range(len(group))) for group in groups)):
            yield _order(groups, chosen, n)
        return
    yield np.arange(n)
    rng = np.random.default_rng(seed)
    for _ in range(SAMPLED):
        yield _order(groups, [rng.permutation(len(group)) for group in groups], n)


def _order(groups: Sequence[np.ndarray], chosen: Sequence, n: int) -> np.ndarray:
    order = np.arange(n)
    for group, places in zip(groups, chosen):
        order[group] = group[list(places)]
    return order


def linewidth_narrowing(
    linewidth_hz: np.ndarray, task: np.ndarray, tr_s: float
) -> tuple[float, float]:
    """BOLD from spectra alone: how much the line narrows in the task, and its standard error, Hz.

    Parameters
    ----------
    linewidth_hz : array (n_transients,)
        FWHM of a line in each transient.
    task : array (n_transients,)
        1 in the task, 0 at rest.
    tr_s : float
        From one transient to the next. For the slow drift of the shim, which is modelled (cosines
        below 1/128 Hz), as is the autocorrelation of the rest.

    Raises
    ------
    ValueError
        Fewer than 8 transients of either kind.
    """
    from fmrsflow.bold import glm

    task = np.asarray(task, float)
    if min(task.sum(), (1 - task).sum()) < 8:
        raise ValueError("8 transients of task and of rest are needed for the linewidth's change")
    design = np.hstack([task[:, None], glm.nuisance(len(task), tr_s)])
    found = glm.fit(np.asarray(linewidth_hz, float)[:, None], design).contrast([1.0])
    return -float(found.effect[0]), float(np.sqrt(found.variance[0]))


def _expected_sign(value: float, se: float) -> float:
    from scipy.stats import norm

    if se == 0:
        return float(np.sign(value))
    return float(2 * norm.cdf(value / se) - 1)


def _york(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Straight line with independent errors on both axes: York 2004, table 1."""
    x, y = (np.array([getattr(p, name) for p in pairs]) for name in ("bold", "change_percent"))
    sx, sy = (np.array([getattr(p, name) for p in pairs]) for name in ("bold_se", "change_se"))
    tiny = 1e-9
    wx = 1 / np.maximum(sx, tiny * (np.ptp(x) or 1)) ** 2
    wy = 1 / np.maximum(sy, tiny * (np.ptp(y) or 1)) ** 2
    if np.ptp(x) == 0:
        return float("nan"), float("nan")
    slope = float(np.polyfit(x, y, 1)[0])
    for _ in range(200):
        w = wx * wy / (wx + slope**2 * wy)
        u, v = x - np.average(x, weights=w), y - np.average(y, weights=w)
        beta = w * (u / wy + slope * v / wx)
        new = float((w * beta * v).sum() / (w * beta * u).sum())
        done = abs(new - slope) < 1e-12 * max(1.0, abs(new))
        slope = new
        if done:
            break
    adjusted = np.average(x, weights=w) + beta
    spread = adjusted - np.average(adjusted, weights=w)
    return slope, float(1 / np.sqrt((w * spread**2).sum()))

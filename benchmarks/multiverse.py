"""Errors of the joint test of all analyses, and ComBat against neuroCombat and against the truth.

A person's vector of changes holds one value an analysis; these correlate by 0.9, as those of the
same spectra do, and analyses differ in their scatter. From fixed seeds. Where an assumption of the
test is broken (skew; sites with effects of their own, persons flipped all the same) the rate is
reported.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import t

from figure import Figure, skipped
from fmrsflow.sites.combat import harmonised
from fmrsflow.sites.sign_flips import joint_test

ANALYSES = 6
WEIGHTS = np.arange(1.0, ANALYSES + 1)
CORRELATION = 0.9

Draw = Callable[[np.random.Generator, int], np.ndarray]


def normal(rng: np.random.Generator, n: int) -> np.ndarray:
    """What a person and an analysis bring, of SD 1."""
    return rng.standard_normal((n, 1 + ANALYSES))


def heavy(rng: np.random.Generator, n: int) -> np.ndarray:
    """Symmetric with far outliers: t of 3 degrees of freedom."""
    return rng.standard_t(3, (n, 1 + ANALYSES))


def skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    """Of mean 0 and skewness 2."""
    return rng.exponential(1, (n, 1 + ANALYSES)) - 1


def vectors(rng: np.random.Generator, draw: Draw, n: int, missing: float = 0.0) -> np.ndarray:
    """Changes (n, a) of persons without any change."""
    parts = draw(rng, n)
    values = math.sqrt(CORRELATION) * parts[:, :1] + math.sqrt(1 - CORRELATION) * parts[:, 1:]
    values *= np.linspace(1, 2, ANALYSES)
    lost = rng.uniform(size=values.shape) < missing
    lost[:2] = False
    return np.where(lost, np.nan, values)


def figures(studies: int) -> Iterator[Figure]:
    """All figures over so many studies."""
    for n in (6, 12, 25):
        for draw in (normal, heavy):
            rates = _rates(studies, lambda rng, n=n, draw=draw: (vectors(rng, draw, n), range(n)))
            yield from _errors(f"{n} persons, {draw.__name__}", rates, studies)
    rates = _rates(studies, lambda rng: (vectors(rng, normal, 12, 0.2), range(12)))
    yield from _errors("12 persons, 20 % missing", rates, studies)
    for site_sd in (0.0, 1.0):
        rates = _rates(studies, lambda rng, sd=site_sd: _at_sites(rng, sd, whole=True))
        yield from _errors(f"8 sites x 4, sites, site SD {site_sd:g}", rates, studies)
    rates = _rates(studies, lambda rng: _at_sites(rng, 1.0, whole=False))
    yield _reported("8 sites x 4, persons, site SD 1", rates, studies)
    rates = _rates(studies, lambda rng: (vectors(rng, skewed, 12), range(12)))
    yield _reported("12 persons, skewness 2", rates, studies)
    rates = _rates(studies, lambda rng: (vectors(rng, normal, 12) + 1, range(12)))
    yield Figure("power, median: 12 persons, change 1, SDs 1 to 2 (%)", 100 * rates[0],
                 "reported", True, f"by the median; {studies} studies")  # fmt: skip
    yield _neurocombat(studies // 5)
    yield from _coverage(studies)


def _rates(studies: int, make: Callable) -> np.ndarray:
    """Share of studies with p <= 5 % by each statistic."""
    found = []
    for seed in range(studies):
        changes, units = make(np.random.default_rng([29, seed]))
        found.append([p <= 0.05 for p in joint_test(changes, WEIGHTS, units, seed).p.values()])
    return np.mean(found, axis=0)


def _at_sites(rng: np.random.Generator, site_sd: float, whole: bool) -> tuple[np.ndarray, list]:
    """Persons of eight sites with an effect of their own, the same in all analyses."""
    site = np.repeat(np.arange(8), 4)
    changes = vectors(rng, normal, 32) + rng.normal(0, site_sd, 8)[site][:, None]
    return changes, list(site) if whole else list(range(32))


def _errors(name: str, rates: np.ndarray, studies: int) -> Iterator[Figure]:
    """Type-I errors against the upper end of the band of 1,000 studies; fewer have a wider one."""
    error = math.sqrt(0.05 * 0.95 / studies)
    most = max(0.073, 0.05 + 3.29 * error)
    for what, rate in zip(("median", "share", "mean t"), rates):
        yield Figure(f"type I, {what}: {name} (%)", 100 * rate, "<= 7.3", rate <= most,
                     f"{studies} studies, +- {100 * error:.1f}")  # fmt: skip


def _reported(name: str, rates: np.ndarray, studies: int) -> Figure:
    return Figure(f"rejected, median: {name} (%)", 100 * float(rates[0]), "reported", True,
                  f"no change, but against what the test assumes; {studies} studies")  # fmt: skip


def _table(rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Metabolites of people at sites that shift and scale, of uneven sizes."""
    sizes = rng.integers(2, 12, rng.integers(2, 9))
    site = np.repeat(np.arange(len(sizes)), sizes)
    f = rng.integers(2, 12)
    shift = rng.normal(0, 1, (f, len(sizes)))[:, site] + rng.normal(0, 1, len(sizes))[site]
    values = rng.normal(3, 1.5, (f, len(site))) * rng.uniform(0.5, 2, len(sizes))[site] + shift
    return values, [f"s{j}" for j in site]


def _neurocombat(tables: int) -> Figure:
    name, target = "ComBat against neuroCombat, greatest difference", "<= 1e-6"
    if not all(importlib.util.find_spec(one) for one in ("neuroCombat", "pandas")):
        return skipped(name, target, "neuroCombat (PyPI, 0.2.12, needs pandas) is not installed; a "
                       "test holds numbers that it printed")  # fmt: skip
    import pandas
    from neuroCombat import neuroCombat

    worst = 0.0
    for seed in range(tables):
        values, sites = _table(np.random.default_rng([31, seed]))
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = neuroCombat(values.copy(), pandas.DataFrame({"site": sites}), "site")["data"]
        worst = max(worst, float(np.abs(harmonised(values, sites) - theirs).max()))
    return Figure(name, worst, target, worst <= 1e-6, f"{tables} tables")


def _coverage(studies: int) -> Iterator[Figure]:
    """The interval that ComBat's output gives as if there were no sites, against the truth."""
    for site_sd in (0.0, 0.8):
        hits = 0
        for seed in range(studies):
            rng = np.random.default_rng([37, seed])
            site = np.repeat(np.arange(6), 8)
            values = 3 + rng.normal(0, site_sd, (10, 6))[:, site] + rng.normal(0, 1.8, (10, 48))
            own = harmonised(values, [f"s{j}" for j in site])[0]
            half = t.ppf(0.975, 47) * own.std(ddof=1) / math.sqrt(48)
            hits += abs(own.mean() - 3) <= half
        yield Figure(f"coverage after ComBat, 6 sites x 8, site SD {site_sd:g} (%)",
                     100 * hits / studies, "reported", True, f"{studies} studies")  # fmt: skip

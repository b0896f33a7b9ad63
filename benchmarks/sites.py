"""Figures of the answer: meta-analysis, variance components, coverage and errors at table level.

A study is simulated as a table of percent changes (mean 3 %, SD between sites 0.8 %, between
participants 1.5 %, one scan 1.0 %), so that a thousand of them take minutes. The independent
implementation is a dense-matrix likelihood written here, in other terms than reml.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize

import group_designs
import multiverse
import planned
import whole_chain
from figure import Figure, held
from fmrsflow.sites import meta, reml
from fmrsflow.sites.answer import moderator_design, pool
from fmrsflow.sites.variance import Sample, decompose, site_means

MEAN, SITE_SD, PERSON_SD, SCAN_SE = 3.0, 0.8, 1.5, 1.0

# Colditz et al. 1994, JAMA 271:698: cases and non-cases, vaccinated and not (13 trials).
BCG = np.array(
    [
        (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619),
        (33, 5036, 47, 5761), (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892),
        (29, 7470, 45, 7232), (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ],
    float,
)  # fmt: skip


def figures(quick: bool) -> Iterator[Figure]:
    """All figures; quick: a fifth of the studies, wider bands by their own binomial error."""
    yield from _bcg()
    yield from _components(4 if quick else 20)
    studies = 200 if quick else 1000
    for sites in (4, 8, 12, 20):
        share = 100 * np.mean([_mean_covered(seed, sites) for seed in range(studies)])
        yield _within(f"coverage of the mean, {sites} sites (%)", share, 93, 97, studies)
    few = 80 if quick else 1000
    covered = 100 * np.mean([_share_covered(seed) for seed in range(few)])
    yield _within("coverage of the site share (profile), 12 sites (%)", covered, 92, 98, few)
    errors = np.array([_type_one(seed) for seed in range(500 if quick else 4000)])
    for k, name in enumerate(("sites differ", "protocols differ")):
        rate = 100 * errors[:, k].mean()
        yield _within(f'type-I error of "{name}" (%)', rate, 4, 6, len(errors))
    yield from _foreign()
    yield from group_designs.figures(40 if quick else 1000)
    yield from group_designs.group_figures(40 if quick else 1000)
    yield group_designs.share_at_zero(20 if quick else 1000)
    yield group_designs.odd_sites(40 if quick else 1000)
    yield from group_designs.many_tests(200 if quick else 1000)
    yield from group_designs.power_figures(15 if quick else 300)
    yield from multiverse.figures(100 if quick else 1000)
    yield from planned.figures(20, 4, 2) if quick else planned.figures(200, 80)
    yield from group_designs.not_there()
    yield _bootstrap_time(200 if quick else 1000)
    if not quick:
        yield from whole_chain.figures()


def _within(name: str, value: float, low: float, high: float, n: int) -> Figure:
    """A rate against its band; a small n widens the band by two binomial standard errors."""
    centre = (low + high) / 2
    slack = 0.0 if n >= 1000 else 200 * math.sqrt(centre / 100 * (1 - centre / 100) / n)
    reached = low - slack <= value <= high + slack
    error = 100 * math.sqrt(value / 100 * (1 - value / 100) / n)
    return Figure(name, float(value), f"{low}-{high}", reached, f"{n} studies, +- {error:.1f}")


def bcg_effects() -> tuple[np.ndarray, np.ndarray]:
    """Log risk ratios and their variances."""
    a, b, c, d = BCG.T
    effects = np.log(a / (a + b)) - np.log(c / (c + d))
    return effects, 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def _bcg() -> Iterator[Figure]:
    one = meta.random_effects(*bcg_effects())
    for name, value, target in (
        ("BCG estimate", one.mean, -0.7145),
        ("BCG tau^2", one.tau2, 0.3132),
        # metafor 3.8-1: rma(yi, vi, data = dat, test = "knha"), confint()
        ("BCG Hartung-Knapp low", float(one.low[0]), -1.1084),
        ("BCG Hartung-Knapp high", float(one.high[0]), -0.3206),
        ("BCG tau^2 Q-profile low", one.tau2_low, 0.1197),
        ("BCG tau^2 Q-profile high", one.tau2_high, 1.1115),
    ):
        yield Figure(name, value, f"{target}", round(value, 4) == target)
    yield Figure("BCG I^2 (%)", one.i2_percent, "92.2", round(one.i2_percent, 1) == 92.2)


def _foreign() -> Iterator[Figure]:
    """Covariates and groups against programs and data of others, which tests hold."""
    yield held("covariates, groups: t tests, regression, lme4's dyestuff", "1e-4",
               "tests/unit/sites/test_foreign.py")  # fmt: skip


def dense_fit(data: reml.Data) -> np.ndarray:
    """REML by the n x n matrix and log-variances, a simplex and its polish: nothing shared."""
    blocks = [np.equal.outer(index, index).astype(float) for _, index in data.factors]
    blocks.append(np.eye(len(data.y)))

    def deviance(logs):
        v = np.diag(data.known) + sum(math.exp(s) * block for s, block in zip(logs, blocks))
        inverse = np.linalg.inv(v)
        xvx = data.x.T @ inverse @ data.x
        projection = inverse - inverse @ data.x @ np.linalg.solve(xvx, data.x.T @ inverse)
        return np.linalg.slogdet(v)[1] + np.linalg.slogdet(xvx)[1] + data.y @ projection @ data.y

    start = np.full(len(blocks), math.log(np.var(data.y) / len(blocks)))
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20000, "maxfev": 20000, "adaptive": True}
    for _ in range(3):
        start = minimize(deviance, start, method="Nelder-Mead", options=options).x
    return np.exp(start)


def nested(seed: int) -> reml.Data:
    """Sites, participants within them, two sessions each; uneven."""
    rng = np.random.default_rng(seed)
    site = np.repeat(np.arange(8), rng.integers(6, 12, 8))
    person = np.arange(len(site)) // 2
    site = site[2 * person]
    y = rng.normal(3, 1, 8)[site] + rng.normal(0, 1.5, len(site))[person]
    y += rng.normal(0, 1, len(site))
    ones = np.ones((len(y), 1))
    return reml.Data(y, ones, np.zeros(len(y)), (("site", site), ("participant", person)))


def crossed(seed: int) -> reml.Data:
    """Six people who travelled to eight sites, some scans lost."""
    rng = np.random.default_rng(1000 + seed)
    site, person = (grid.ravel() for grid in np.mgrid[:8, :6])
    kept = rng.uniform(size=48) > 0.1
    site, person = site[kept], person[kept]
    y = rng.normal(3, 1, 8)[site] + rng.normal(0, 1.5, 6)[person] + rng.normal(0, 0.8, len(site))
    ones = np.ones((len(y), 1))
    return reml.Data(y, ones, np.zeros(len(y)), (("site", site), ("participant", person)))


def _components(count: int) -> Iterator[Figure]:
    for name, make in (("nested", nested), ("crossed", crossed)):
        worst = 0.0
        for seed in range(count):
            data = make(seed)
            ours, theirs = reml.fit(data).variances, dense_fit(data)
            scale = theirs.sum()
            worst = max(
                worst, float(np.max(np.abs(ours - theirs) / np.maximum(theirs, 0.1 * scale)))
            )
        yield Figure(
            f"{name} components against dense likelihood",
            worst,
            "<= 5e-5 (4 digits)",
            worst <= 5e-5,
            f"{count} data sets, greatest relative difference",
        )


def study(seed: int, sites: int, people: int = 8, site_sd: float = SITE_SD, uneven=True) -> Sample:
    """Percent changes of a consortium; a third of the people lost where uneven."""
    rng = np.random.default_rng([seed, sites])
    site = np.repeat(np.arange(sites), people)
    if uneven:
        kept = rng.uniform(size=len(site)) > 0.3
        kept[::people] = kept[1::people] = True
        site = site[kept]
    n = len(site)
    se = SCAN_SE * rng.uniform(0.7, 1.4, n)
    y = MEAN + rng.normal(0, site_sd, sites)[site] + rng.normal(0, PERSON_SD, n)
    y += rng.normal(size=n) * se
    labels = tuple(f"s{j:02d}" for j in site)
    return Sample(y, se, labels, ("one",) * n, tuple(f"p{j}" for j in range(n)))


def _answer(sample: Sample):
    parts = decompose(sample, intervals=False)
    return parts, site_means(sample, parts)


def _mean_covered(seed: int, sites: int) -> bool:
    sample = study(seed, sites)
    parts, means = _answer(sample)
    row = pool(sample, means, parts)
    return row["low_percent"] <= MEAN <= row["high_percent"]


def _share_covered(seed: int) -> bool:
    sample = study(seed, 12)
    one = decompose(sample).get("site")
    # True share of these scans: their own mean sampling variance, which is known.
    total = SITE_SD**2 + PERSON_SD**2 + float(np.mean(sample.se**2))
    return one.share_low <= SITE_SD**2 / total <= one.share_high


def _type_one(seed: int) -> tuple[bool, bool]:
    """Whether "sites differ" is said where they do not, and "protocols differ" where sites do."""
    _, means = _answer(study(seed, 12, site_sd=0.0))
    same = meta.random_effects(means.mean, means.variance, within_df=means.df)
    _, means = _answer(study(10_000_000 + seed, 12))
    x, _ = moderator_design(["standardised" if j % 2 else "own" for j in range(12)])
    protocols = meta.random_effects(means.mean, means.variance, x)
    return same.q_p < 0.05, protocols.p_value([1]) < 0.05


def _bootstrap_time(count: int) -> Figure:
    sample = study(1, 20, 20, uneven=False)
    start = time.process_time()
    decompose(sample, bootstraps=count, rng=np.random.default_rng(1), intervals=False)
    spent = (time.process_time() - start) * 1000 / count
    return Figure(
        "1,000 bootstraps, 20 sites x 20 participants (CPU s)", spent, "<= 60", spent <= 60
    )

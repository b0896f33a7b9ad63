"""Figures of 17 healthy brains, without truth: spread over persons, means, lost metabolites."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from figure import Figure, skipped
from fmrsflow.fit.average import at_limit
from fmrsflow.fit.flags import flags, implausible
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult
from measured_data import SEVEN, Brain, absent, published, ratios, specvis

RANGE = {"range_low_ppm": 0.55, "range_high_ppm": 3.95}
"""The spectra hold 0.50 to 4.00 ppm."""

LIMITS_CV = {"Glu": 8.0, "Gln": 20.0}
"""Largest coefficient of variation within vendor, %; the others are held against LCModel's."""

MAIN = ("tNAA", "tCho", "mI", "Glu")
ENGINES = ("LCModel", "Osprey", "Tarquin")
SEED = 1401
DRAWS = 4000


def figures() -> Iterator[Figure]:
    """Every figure of the brains; defaults but for the range."""
    if reason := absent("real-fit/specvis"):
        yield skipped("17 SpecVis brains", "see docs/measured.md", reason)
        return
    brains = specvis()
    results = fitted(brains)
    failed = [b.name for b, one in zip(brains, results) if one.status != "ok"]
    yield Figure("SpecVis: fits that failed", str(len(failed)), "0", not failed, ", ".join(failed))
    ours = np.array([ratios(one)[0] for one in results])
    theirs = engine_ratios(brains)
    vendors = np.array([one.vendor for one in brains])
    for k, name in enumerate(SEVEN):
        yield _spread(name, ours[:, k], theirs["LCModel"][:, k], vendors)
    for k, name in enumerate(SEVEN):
        yield _mean(name, ours[:, k], {engine: x[:, k] for engine, x in theirs.items()})
    for k, name in enumerate(SEVEN):
        r = float(np.corrcoef(ours[:, k], theirs["LCModel"][:, k])[0, 1])
        among = _among_engines([theirs[engine][:, k] for engine in ENGINES])
        yield Figure(f"SpecVis, {name}: r with LCModel", r, "reported", True, among)
    yield _lost(brains, ours, vendors)
    yield from _flagged(brains, results)


def fitted(brains: list[Brain]) -> list[FitResult]:
    """The default fit of each brain, in the range that its file holds."""
    options = FitOptions(**RANGE)
    return [one.fitted(options) for one in brains]


def engine_ratios(brains: list[Brain]) -> dict[str, np.ndarray]:
    """Published ratios to tCr of each engine, (n_brains, n_metabolites)."""
    table = published()
    return {
        engine: np.array([[table[b.vendor, b.subject, m][engine] for m in SEVEN] for b in brains])
        for engine in ENGINES
    }


def cv_within(values: np.ndarray, vendors: np.ndarray) -> float:
    """Root of the mean squared coefficient of variation within vendor, weighted by degrees of
    freedom, %."""
    groups = [values[vendors == vendor] for vendor in np.unique(vendors)]
    freedom = np.array([len(one) - 1 for one in groups])
    squares = np.array([(one.std(ddof=1) / one.mean()) ** 2 for one in groups])
    return float(100 * np.sqrt(freedom @ squares / freedom.sum()))


def paired_bootstrap(
    ours: np.ndarray, theirs: np.ndarray, vendors: np.ndarray, draws: int = DRAWS
) -> np.ndarray:
    """95 % interval of our CV less theirs: persons drawn anew within vendor, the same for both."""
    rng = np.random.default_rng(SEED)
    groups = [np.flatnonzero(vendors == vendor) for vendor in np.unique(vendors)]
    found = []
    for _ in range(draws):
        drawn = np.concatenate([rng.choice(group, len(group)) for group in groups])
        labels = vendors[drawn]
        found.append(cv_within(ours[drawn], labels) - cv_within(theirs[drawn], labels))
    return np.quantile(found, [0.025, 0.975])


def _spread(name: str, ours: np.ndarray, theirs: np.ndarray, vendors: np.ndarray) -> Figure:
    value, other = cv_within(ours, vendors), cv_within(theirs, vendors)
    low, high = paired_bootstrap(ours, theirs, vendors)
    groups = [ours[vendors == vendor] for vendor in np.unique(vendors)]
    each = ", ".join(
        f"{vendor} {100 * one.std(ddof=1) / one.mean():.1f}"
        for vendor, one in zip(np.unique(vendors), groups)
    )
    note = f"LCModel {other:.1f}; less LCModel's {low:+.1f} to {high:+.1f}; {each}"
    if name in LIMITS_CV:
        limit = LIMITS_CV[name]
        return Figure(
            f"SpecVis, {name}: CV within vendor %", value, f"<= {limit:g}", value <= limit, note
        )
    target = "no worse than LCModel's"
    return Figure(f"SpecVis, {name}: CV within vendor %", value, target, bool(low <= 0), note)


def _mean(name: str, ours: np.ndarray, theirs: dict[str, np.ndarray]) -> Figure:
    means = {engine: float(values.mean()) for engine, values in theirs.items()}
    value, low, high = float(ours.mean()), min(means.values()), max(means.values())
    note = ", ".join(f"{engine} {mean:.3f}" for engine, mean in means.items())
    held = bool(low <= value <= high)
    return Figure(f"SpecVis, {name}: mean ratio to tCr", value, f"{low:.3f}-{high:.3f}", held, note)


def _among_engines(values: list[np.ndarray]) -> str:
    pairs = [(0, 1), (0, 2), (1, 2)]
    words = [f"{np.corrcoef(values[i], values[j])[0, 1]:.2f}" for i, j in pairs]
    return f"the engines among themselves {', '.join(words)}"


def _flagged(brains: list[Brain], results: list[FitResult]) -> Iterator[Figure]:
    """Healthy brains outside of what a brain gives; those whose baseline ends at its limit, and of
    these the ones that are told so."""
    te_s = 0.035
    outside = [b.name for b, one in zip(brains, results) if implausible(one, te_s)]
    name = "SpecVis: brains that a range of plausibility flags"
    yield Figure(name, str(len(outside)), "0", not outside, ", ".join(outside))
    there = [one for one in results if at_limit(one)]
    told = sum(any("baseline bends" in text for text in flags(one, te_s)) for one in there)
    note = f"{len(there)} of {len(results)} end there"
    yield Figure("SpecVis: limit of the baseline told", str(told), "reported", True, note)


def _lost(brains: list[Brain], ours: np.ndarray, vendors: np.ndarray) -> Figure:
    """Main metabolites below a third of the median of their vendor; tCr by its ratio to tNAA."""
    columns = {name: ours[:, SEVEN.index(name)] for name in MAIN}
    columns["tCr"] = 1 / columns["tNAA"]
    lost = []
    for name, values in columns.items():
        for brain, value in zip(brains, values):
            if not value >= np.median(values[vendors == brain.vendor]) / 3:
                lost.append(f"{name} of {brain.name} ({value:.3f})")
    title = "SpecVis: main metabolites below a third of their median"
    return Figure(title, str(len(lost)), "0", not lost, "; ".join(lost))

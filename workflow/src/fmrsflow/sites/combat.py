"""ComBat beside the mixed model, to show what harmonisation hides.

ComBat (Johnson 2007, Biostatistics 8:118; in imaging Fortin 2018, NeuroImage 167:104) takes the
mean and the scatter of each site, in each of several features, for the scanner's alone and takes
them off, both drawn by empirical Bayes towards what the site does to all features. Here features
are metabolites, and a sample is a person at a site. What is left has no sites in it: its mean over
persons gets an error as if there were none, and whatever differs between sites for a reason, such
as protocol, field or who was scanned, is gone with them. It is shown for comparison, and no answer
takes from it (docs/answer.md#combat).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import t

from fmrsflow.question import KEYS

CONVERGED = 1e-4
"""Relative step at which the iteration ends, as in ComBat's own programs (sva, neuroCombat)."""

MOST_STEPS = 1000

LEAST = 2
"""Persons of a site below which its scatter is not known; with fewer it is left out."""

FEW = 3
"""Below so many a site's scatter is hardly known, which is told."""

MOST_LACKING = 0.2
"""Share of samples that may lack a metabolite; one that more lack is left out, else the sample."""

Rows = list[dict]


def harmonised(values: np.ndarray, sites: Sequence[str]) -> np.ndarray:
    """Values without the location and scale of their sites, by ComBat's parametric empirical Bayes,
    without covariates.

    Parameters
    ----------
    values : array (f, n)
        Features of samples, each finite and no feature constant within sites.
    sites : sequence (n,)

    Returns
    -------
    array (f, n)

    Raises
    ------
    ValueError
        Fewer than 2 features or sites, a site with fewer than `LEAST` samples, or one in which all
        features scatter alike, so that no prior of the scatter is known.
    """
    names, place = np.unique(np.asarray(sites), return_inverse=True)
    counts = np.bincount(place)
    if len(values) < 2 or len(names) < 2 or counts.min() < LEAST:
        raise ValueError(f"2 metabolites and 2 sites of {LEAST} persons each are needed")
    means = np.stack([values[:, place == j].mean(axis=1) for j in range(len(names))])
    grand = (counts / counts.sum()) @ means
    scale = np.sqrt(((values - means.T[:, place]) ** 2).mean(axis=1))
    standard = (values - grand[:, None]) / scale[:, None]
    result = np.empty_like(standard)
    for j in range(len(names)):
        own = place == j
        shift, spread = _posterior(standard[:, own])
        result[:, own] = (standard[:, own] - shift[:, None]) / np.sqrt(spread)[:, None]
    return result * scale[:, None] + grand[:, None]


def _posterior(own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shift and variance of each feature at a site, drawn towards those of all its features
    (Johnson 2007, section 3.2): a normal prior of the shift, an inverse gamma one of the variance,
    both by moments over features."""
    n, mean, variance = own.shape[1], own.mean(axis=1), own.var(axis=1, ddof=1)
    centre, spread = mean.mean(), mean.var(ddof=1)
    typical, scatter = variance.mean(), variance.var(ddof=1)
    if not scatter > 0 or not spread > 0:
        raise ValueError("the metabolites of a site shift or scatter alike")
    shape = (2 * scatter + typical**2) / scatter
    rate = (typical * scatter + typical**3) / scatter
    shift, found = mean, variance
    for _ in range(MOST_STEPS):
        new = (spread * n * mean + found * centre) / (spread * n + found)
        squares = ((own - new[:, None]) ** 2).sum(axis=1)
        variance_new = (0.5 * squares + rate) / (n / 2 + shape - 1)
        # A shift below zero counts as no step: so do sva and neuroCombat, with which this agrees.
        step = max(
            (np.abs(new - shift) / shift).max(), (np.abs(variance_new - found) / found).max()
        )
        shift, found = new, variance_new
        if step <= CONVERGED:
            break
    return shift, found


def comparison(
    responses: Sequence[Mapping],
    means: Sequence[Mapping],
    sites: Mapping[str, Mapping],
    chosen: tuple | None,
) -> Rows:
    """Rows of combat.tsv: each metabolite of the main question by the mixed model and by ComBat.

    Parameters
    ----------
    responses : rows of responses.tsv
    means : rows of meta.tsv
    sites : site -> mapping with `protocol`
    chosen : values of `KEYS` of the main answer, None where there is none
    """
    if chosen is None:
        return []
    rows = [row for row in responses if _alike(row, chosen) and row["used"]]
    metabolites, samples, values, note = _table(rows)
    main = dict(zip(KEYS, chosen))
    start = {"n": len(samples), "n_metabolites": len(metabolites)}
    places = [site for site, _ in samples]
    start["n_sites"] = len(set(places))
    try:
        after = harmonised(values, places)
    except ValueError as error:
        return [{**main, **start, "reason": f"cannot be estimated because {error}"}]
    found = []
    for metabolite, before, own in zip(metabolites, values, after):
        same = {**main, "metabolite": metabolite}
        found.append(
            {
                **same,
                **start,
                **_model(same, means),
                **_as_persons(own),
                "sites_before_percent": _between(before, places),
                "sites_after_percent": _between(own, places),
                "protocol_before_percent": _protocols(before, places, sites),
                "protocol_after_percent": _protocols(own, places, sites),
                "reason": note,
            }
        )
    for row in found:
        whole = row["high_percent"] - row["low_percent"]
        row["width_percent"] = (
            100 * (row["combat_high_percent"] - row["combat_low_percent"]) / whole
        )
    return found


def _alike(row: Mapping, chosen: tuple) -> bool:
    """Whether a row is on the main question, of whatever metabolite."""
    names = (name for name in KEYS if name != "metabolite")
    return all(row[name] == dict(zip(KEYS, chosen))[name] for name in names)


def _table(rows: Rows) -> tuple[list[str], list[tuple[str, str]], np.ndarray, str]:
    """Metabolites, samples (site, person), their changes (f, n), and what was left out of them."""
    cells: dict[tuple, list[float]] = {}
    for row in rows:
        if math.isfinite(row["change_percent"]):
            key = (row["metabolite"], row["site"], row["person"])
            cells.setdefault(key, []).append(row["change_percent"])
    metabolites = list(dict.fromkeys(metabolite for metabolite, *_ in cells))
    samples = list(dict.fromkeys((site, person) for _, site, person in cells))
    values = np.array(
        [
            [np.mean(cells.get((one, *sample), math.nan)) for sample in samples]
            for one in metabolites
        ]
    ).reshape(len(metabolites), len(samples))
    there = np.isfinite(values)
    kept = there.mean(axis=1) >= 1 - MOST_LACKING if len(samples) else np.zeros(0, bool)
    whole = there[kept].all(axis=0)
    sites = [site for site, _ in samples]
    counts = {site: sum(whole[j] for j, one in enumerate(sites) if one == site) for site in sites}
    enough = whole & np.array([counts[site] >= LEAST for site in sites], bool)
    notes = [f"without {one}" for one, stays in zip(metabolites, kept) if not stays]
    if lacking := int((~whole).sum()):
        notes.append(f"without {lacking} that lack a metabolite")
    for site, n in counts.items():
        if n < FEW:
            fate = "left out" if n < LEAST else "its scatter is hardly known"
            notes.append(f"{site} has {n}: {fate}")
    return (
        [one for one, stays in zip(metabolites, kept) if stays],
        [one for one, stays in zip(samples, enough) if stays],
        values[kept][:, enough],
        "; ".join(notes),
    )


def _model(same: Mapping, means: Sequence[Mapping]) -> dict:
    """The answer of meta.tsv on a metabolite."""
    row = next((one for one in means if all(one[name] == same[name] for name in KEYS)), {})
    names = ("change_percent", "low_percent", "high_percent", "tau_percent")
    return {name: row.get(name, math.nan) for name in names}


def _as_persons(values: np.ndarray) -> dict:
    """Mean and interval as of persons who know no sites, which is how ComBat's output is used."""
    mean, n = float(values.mean()), len(values)
    half = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return {
        "combat_percent": mean,
        "combat_low_percent": mean - half,
        "combat_high_percent": mean + half,
    }


def _site_means(values: np.ndarray, places: list[str]) -> dict[str, float]:
    labels = np.array(places)
    return {site: float(values[labels == site].mean()) for site in dict.fromkeys(places)}


def _between(values: np.ndarray, places: list[str]) -> float:
    """SD of site means."""
    return float(np.std(list(_site_means(values, places).values()), ddof=1))


def _protocols(values: np.ndarray, places: list[str], sites: Mapping[str, Mapping]) -> float:
    """Mean of sites with their own protocol less that of sites with the standardised one; NaN where
    there are not both."""
    found: dict[str, list[float]] = {"own": [], "standardised": []}
    for site, mean in _site_means(values, places).items():
        found[sites[site]["protocol"]].append(mean)
    if not all(found.values()):
        return math.nan
    return float(np.mean(found["own"]) - np.mean(found["standardised"]))

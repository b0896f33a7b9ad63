"""Tables of an edition from the outcomes of its runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from fmrsflow.mismatch.outcomes import Outcomes, StudyTruth
from fmrsflow.mismatch.scores import attribution, better, score
from fmrsflow.mismatch.variants import CONTESTANTS, DEFAULT, NOMINAL, Edition, Run
from fmrsflow.scan_figures import typical
from fmrsflow.tables.mismatch import ATTRIBUTION, CONCENTRATIONS, CURVES, QUALITY, SEEN

METABOLITES = ("Glu", "GABA", "tNAA", "tCr", "tCho", "mI")
"""Whose concentrations are scored."""


def score_tables(edition: Edition, runs: list[Run], root: Path) -> dict[str, tuple]:
    """Rows and data dictionary of every table of an edition that has run in `root`."""
    variants = {one.site: one for one in edition.variants()}
    truth = StudyTruth(root / "data" / "truth")
    changes, concentrations, seen = defaultdict(dict), defaultdict(dict), {}
    for run in runs:
        reader = Outcomes(root / run.name, truth)
        for variant in (variants[site] for site in run.sites):
            for analysis in run.analyses:
                # Where a step has the truth, its setting switches the step off.
                shown = "main" if variant.truth else analysis
                for one in (c for c in CONTESTANTS if c.analysis == shown):
                    found = reader.changes(variant, replace(one, analysis=analysis))
                    changes[variant.key].setdefault(one.name, []).extend(found)
                for name in METABOLITES:
                    found = reader.concentrations(variant, analysis, name)
                    concentrations[variant.key].setdefault((shown, name), []).extend(found)
            if "main" in run.analyses:
                seen.setdefault(variant.key, []).extend(reader.quality(variant))
    tables = {
        "curves": (_curves(changes, edition.seed), CURVES),
        "concentrations": (_concentrations(concentrations, edition.seed), CONCENTRATIONS),
        "quality": (_seen(seen), SEEN),
    }
    if edition.truths:
        rows = _attribution(changes, concentrations, edition.seed)
        tables["attribution"] = (rows, ATTRIBUTION)
    return tables


def _named(key: tuple) -> dict:
    return dict(zip(("field_t", "factor", "dose"), key))


def _plain(by_key: dict) -> Iterator[tuple]:
    """Without those where a step has the truth."""
    return ((key, found) for key, found in by_key.items() if not key[-1])


def _curves(changes: dict, seed: int) -> list[dict]:
    rows = []
    for key, by_name in _plain(changes):
        # Engines see one repetition of a variant, its first.
        fewest = min(len(outcomes) for outcomes in by_name.values())
        shared = {name: outcomes[:fewest] for name, outcomes in by_name.items()}
        all_saw = {name: one for name, one in by_name.items() if len(one) > fewest}
        on_shared, on_all = better(shared, seed), better(all_saw, seed)
        for name, outcomes in by_name.items():
            over = [
                other
                for other in by_name
                if other in (on_all if {name, other} <= on_all.keys() else on_shared)[name]
            ]
            nominal = changes[key[0], NOMINAL, None, ""][name][: len(outcomes)]
            rows.append(
                {
                    **_named(key),
                    "contestant": name,
                    **asdict(score(outcomes, seed)),
                    "rmse_nominal": score(nominal, seed).rmse,
                    "rmse_shared": score(shared[name], seed).rmse,
                    "better": "; ".join(over),
                    "rank": 1 + len(over),
                }
            )
    return rows


def _concentrations(concentrations: dict, seed: int) -> list[dict]:
    rows = []
    for key, by_name in _plain(concentrations):
        for (analysis, metabolite), outcomes in by_name.items():
            found = asdict(score(outcomes, seed))
            kept = {name: value for name, value in found.items() if name in CONCENTRATIONS}
            rows.append(_named(key) | {"analysis": analysis, "metabolite": metabolite, **kept})
    return rows


def _seen(seen: dict) -> list[dict]:
    rows = []
    for key, figures in _plain(seen):
        medians = {
            name: typical(name, [one[name] for one in figures if name in one]) for name in QUALITY
        }
        rows.append(_named(key) | medians)
    return rows


def _attribution(changes: dict, concentrations: dict, seed: int) -> list[dict]:
    rows = []
    for key, by_name in changes.items():
        if not key[-1]:
            continue
        before = (*key[:-1], "")
        n = len(by_name[DEFAULT])
        pairs = {
            "change of Glu": (changes[before][DEFAULT][:n], by_name[DEFAULT]),
            "concentration of Glu": (
                concentrations[before]["main", "Glu"][:n],
                concentrations[key]["main", "Glu"],
            ),
        }
        for outcome, (whole, truth) in pairs.items():
            named = {"field_t": key[0], "factor": key[1], "outcome": outcome, "step": key[-1]}
            rows.append(named | asdict(attribution(whole, truth, seed)))
    return rows

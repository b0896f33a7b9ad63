"""Coverage of the intervals of the group level and errors of its tests, over designs.

Each design is a table of percent changes with known components, answered as the workflow answers,
from fixed seeds. The test of no change is that of the interval, so its type-I error is what the
coverage leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from figure import Figure
from fmrsflow.question import KEYS
from fmrsflow.sites.answer import ends_of, pool, sample_of, variance_rows
from fmrsflow.sites.arms import with_regions
from fmrsflow.sites.power import ChangeSpread, power
from fmrsflow.sites.variance import decompose, site_means

MEAN, SITE_SD, PERSON_SD, SCAN_SE = 3.0, 0.8, 1.5, 1.0
QUESTION = dict(zip(KEYS, ("Glu", "joint", True, "molal", "task-rest", "")))


@dataclass(frozen=True)
class Design:
    """Sites of people; `travellers` of them go to every site; `regions` of each person; `uneven`:
    errors of scans from a half to twice the usual; `site_sd` as simulated."""

    sites: int
    people: int
    travellers: int = 0
    regions: int = 1
    uneven: bool = False
    site_sd: float = SITE_SD

    @property
    def name(self) -> str:
        """What it is, in words."""
        parts = [f"{self.sites} sites x {self.people} people"]
        parts += [f"{self.travellers} travelling"] if self.travellers else []
        parts += ["two regions, difference"] if self.regions == 2 else []
        parts += ["unequal errors"] if self.uneven else []
        parts += ["sites alike"] if self.site_sd == 0 else []
        return ", ".join(parts)


DESIGNS = (
    *(Design(k, n) for k in (3, 6, 15) for n in (3, 12)),
    *(Design(k, n, uneven=True) for k in (3, 15) for n in (3, 12)),
    *(Design(k, 3, regions=2) for k in (3, 6)),
    Design(10, 0, travellers=3),
    Design(6, 3, travellers=3),
    Design(3, 6, travellers=3),
    Design(6, 3, site_sd=0.0),
)


def study(design: Design, seed: int) -> tuple[list[dict], dict]:
    """Rows of responses and sites of one simulated study."""
    rng = np.random.default_rng([seed, design.sites, design.people, design.travellers])
    vendors = ("Siemens", "Philips", "GE")
    sites = {
        f"s{j:02d}": {
            "vendor": vendors[j % 3], "field_t": 3.0, "te_s": 0.03,
            "protocol": ("standardised", "own")[j % 2],
        }
        for j in range(design.sites)
    }  # fmt: skip
    travelling = rng.normal(0, PERSON_SD, (design.travellers, design.regions))
    rows = []
    for site in sites:
        effect = rng.normal(0, design.site_sd, design.regions)
        people = [(f"t{k}", own) for k, own in enumerate(travelling)]
        people += [
            (f"{site}/{k}", rng.normal(0, PERSON_SD) + rng.normal(0, 0.5, design.regions))
            for k in range(design.people)
        ]
        for person, own in people:
            for region in range(design.regions):
                se = SCAN_SE * (rng.uniform(0.5, 2.0) if design.uneven else 1.0)
                true = MEAN * (1 - region) + effect[region] + own[region]
                rows.append(
                    {
                        **QUESTION,
                        "region": "" if design.regions == 1 else ("acc", "pcc")[region],
                        "site": site,
                        "person": person,
                        "unit": f"{site}/{person}/{region}",
                        "change_percent": float(true + se * rng.standard_normal()),
                        "se_percent": float(se),
                        "used": True,
                        "reason": "",
                    }
                )
    return (with_regions(rows) if design.regions > 1 else rows), sites


def answered(design: Design, seed: int) -> dict:
    """Mean over sites of one study, as meta.tsv has it."""
    rows, sites = study(design, seed)
    if design.regions > 1:
        rows = [row for row in rows if row["region"] == "acc-pcc"]
    sample = sample_of(rows, sites)
    parts = decompose(sample, intervals=False)
    return pool(sample, site_means(sample, parts), parts)


def figures(studies: int) -> Iterator[Figure]:
    """Coverage of the mean in each design and over them."""
    covered = []
    for design in DESIGNS:
        rows = (answered(design, seed) for seed in range(studies))
        hits = sum(row["low_percent"] <= MEAN <= row["high_percent"] for row in rows)
        covered.append(100 * hits / studies)
        yield _within(f"coverage of the mean, {design.name} (%)", covered[-1], 92.7, 97.3, studies)
    whole = float(np.mean(covered))
    n = studies * len(DESIGNS)
    yield _within("coverage of the mean, mean over designs (%)", whole, 94.5, 95.5, n)


def power_figures(studies: int) -> Iterator[Figure]:
    """How often the interval of power holds the true one (change of 1 %, 6 sites x 8 people)."""
    design, inside, widths = Design(6, 8), 0, []
    true = power(1.0, 6, 8, ChangeSpread(SITE_SD, PERSON_SD, SCAN_SE))
    key = tuple(QUESTION.values())
    for seed in range(studies):
        rows, sites = study(design, seed)
        sample = sample_of(rows, sites)
        parts = decompose(sample)
        mean = QUESTION | pool(sample, site_means(sample, parts), parts)
        parts = variance_rows({"outcome": "change", **QUESTION}, parts, sample, "percent")
        ends = ends_of(parts, [mean], key)
        high, low = (power(1.0, 6, 8, end) for end in ends)
        inside += low <= true <= high
        widths.append(high - low)
    share = 100 * inside / studies
    yield Figure("power inside its interval, 6 sites x 8 people (%)", share, ">= 88", share >= 88,
                 f"{studies} studies, +- {100 * math.sqrt(0.09 / studies):.1f}; median width "
                 f"{np.median(widths):.2f}")  # fmt: skip


def _within(name: str, value: float, low: float, high: float, n: int) -> Figure:
    """A rate against its band, which is that of 1,000 studies; fewer have a wider one."""
    error = 100 * math.sqrt(0.05 * 0.95 / n)
    slack = max(0.0, 3.29 * (error - 100 * math.sqrt(0.05 * 0.95 / 1000))) if n < 1000 else 0.0
    reached = low - slack <= value <= high + slack
    return Figure(name, float(value), f"{low}-{high}", reached, f"{n} studies, +- {error:.1f}")

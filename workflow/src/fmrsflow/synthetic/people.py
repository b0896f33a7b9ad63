"""Who and what a synthetic study holds: identities, their true values, drawn by name.

Every random number comes from a generator seeded by the study's seed and the name of what it
belongs to, so that neither order nor number of processes, sites or people changes it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fmrsflow.concentration import SUMS
from fmrsflow.synthetic.normal import CONCENTRATIONS
from fmrsflow.synthetic.plan import Plan, Region, SitePlan, Spread

_TOGETHER = {part: total for total, parts in SUMS.items() if total != "Glx" for part in parts}
"""Pools that differ between people as one: a rich tNAA is rich in NAA and NAAG."""


@dataclass(frozen=True)
class Visit:
    """A person at a site: all sessions there."""

    site: SitePlan
    subject: str
    person: str
    age: float


@dataclass(frozen=True)
class Scan:
    """One measurement of a visit: `task` names it, `condition` is "" where events tell it."""

    visit: Visit
    session: str
    region: Region
    task: str
    condition: str

    @property
    def stem(self) -> str:
        """BIDS name without suffix."""
        entities = (
            ("sub", self.visit.subject),
            ("ses", self.session),
            ("task", self.task),
            ("acq", self.region.acq),
        )
        return "_".join(f"{name}-{label}" for name, label in entities if label)

    @property
    def folder(self) -> str:
        """Folder of the session below the data root."""
        session = [f"ses-{self.session}"] if self.session else []
        return "/".join([self.visit.site.name, f"sub-{self.visit.subject}", *session])


def generator(plan: Plan, *identity) -> np.random.Generator:
    """Random numbers of one thing of a study, by its name."""
    text = "\0".join(str(part) for part in identity)
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng([plan.seed, *np.frombuffer(digest, np.uint32).tolist()])


def draw(spread: Spread, rng: np.random.Generator) -> float:
    """A value of a spread, cut at 3 SD."""
    return spread.mean + spread.sd * float(np.clip(rng.standard_normal(), -3, 3))


def visits(plan: Plan) -> Iterator[Visit]:
    """Every person at every site, in the order of the sheets."""
    people = plan.participants
    for site in plan.sites:
        for number in range(1, people.per_site + people.travelling + 1):
            subject = f"{number:02d}"
            person = f"{site.name}/{subject}"
            if number > people.per_site:
                subject = f"travel{number - people.per_site:02d}"
                person = subject
            # Adults only, whatever the spread.
            age = round(max(18.0, draw(people.age, generator(plan, "age", person))), 1)
            yield Visit(site, subject, person.replace("/", ""), age)


def scans(plan: Plan, visit: Visit) -> Iterator[Scan]:
    """Every measurement of a visit."""
    many = plan.participants.sessions > 1
    for number in range(1, plan.participants.sessions + 1):
        session = str(number) if many else ""
        for region in plan.regions:
            if plan.design.kind == "blocks":
                yield Scan(visit, session, region, plan.design.task, "")
            else:
                yield Scan(visit, session, region, "rest", "rest")
                yield Scan(visit, session, region, plan.design.task, plan.design.task)


def true_changes(plan: Plan, scan: Scan) -> dict[str, float]:
    """Percent change at full response of each responding metabolite, in this session and region."""
    visit = scan.visit
    found = {}
    for name, response in plan.responses.items():
        by_region = f"{visit.subject}-{scan.region.acq}"
        fixed = response.fixed.get(by_region, response.fixed.get(visit.subject))
        if fixed is not None:
            found[name] = fixed
            continue
        levels = (
            (response.vendor_sd, ("vendor", visit.site.vendor)),
            (response.site_sd, ("site", visit.site.name)),
            (response.participant_sd, ("person", visit.person)),
            (response.session_sd, ("session", visit.site.name, visit.person, scan.session)),
        )
        found[name] = response.percent + sum(
            sd * generator(plan, "response", name, *identity).standard_normal()
            for sd, identity in levels
            if sd
        )
    return found


def true_concentrations(plan: Plan, scan: Scan) -> dict[str, float]:
    """Concentrations at rest, mmol per kg tissue water, in this session."""
    visit, c = scan.visit, plan.concentrations
    site = ("site", visit.site.name)
    person = ("person", visit.person)
    session = ("session", visit.site.name, visit.person, scan.session)
    found = {}
    for name, mean in {**CONCENTRATIONS, **c.mean_mmol_per_kg}.items():
        pool = _TOGETHER.get(name, name)
        # Vendors and sites differ half (in variance) by their calibration, which all share.
        half = math.sqrt(0.5)
        deviations = (
            (half * c.vendor_cv, "all", ("vendor", visit.site.vendor)),
            (half * c.vendor_cv, pool, ("vendor", visit.site.vendor)),
            (half * c.site_cv, "all", site),
            (half * c.site_cv, pool, site),
            (c.participant_cv, pool, person),
            (c.session_cv, pool, session),
        )
        deviation = sum(
            cv * generator(plan, "concentration", shared, *identity).standard_normal()
            for cv, shared, identity in deviations
            if cv
        )
        # Log-normal: no negative concentration at any spread.
        found[name] = float(mean * np.exp(deviation))
    return found

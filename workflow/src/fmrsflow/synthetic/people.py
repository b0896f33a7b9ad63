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

from fmrsflow.metabolites import SUMS
from fmrsflow.synthetic.normal import CONCENTRATIONS
from fmrsflow.synthetic.plan import Distribution, Participants, Plan, Region, SitePlan

_TOGETHER = {part: total for total, parts in SUMS.items() if total != "Glx" for part in parts}
"""Pools that differ between people as one: a rich tNAA is rich in NAA and NAAG."""


@dataclass(frozen=True)
class Visit:
    """A person at a site: all sessions there.

    `drawn` is whose random numbers the person has: their own, or those of the person that they
    mirror.
    """

    site: SitePlan
    subject: str
    person: str
    age: float
    drawn: str

    @property
    def mirrored(self) -> bool:
        """Whether the noise's sign is turned."""
        return self.drawn != self.person


@dataclass(frozen=True)
class PlannedScan:
    """One measurement of a visit: `task` names it, `condition` is "" where events give it."""

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


def place(plan: Plan, visit: Visit) -> str:
    """Whose random numbers the site has: its own, or, where sites are paired, those of many."""
    return visit.site.draws if plan.paired else visit.site.name


def identity(plan: Plan, scan: PlannedScan) -> tuple[str, ...]:
    """Name of a scan for its random numbers: site, person, session, region, task."""
    visit = scan.visit
    return (place(plan, visit), visit.drawn, scan.session, scan.region.acq, scan.task)


def draw(spread: Distribution, rng: np.random.Generator) -> float:
    """A value of a spread, cut at 3 SD."""
    return spread.mean + spread.sd * float(np.clip(rng.standard_normal(), -3, 3))


def visits(plan: Plan) -> Iterator[Visit]:
    """Every person at every site, in the order of the sheets."""
    people = plan.participants
    for site in plan.sites:
        for number in range(1, people.per_site + people.travelling + 1):
            subject, person = _label(people, site, number)
            drawn = person
            if people.mirrored and number % 2 == 0:
                _, drawn = _label(people, site, number - 1)
            # Adults only, whatever the spread.
            age = round(max(18.0, draw(people.age, generator(plan, "age", drawn))), 1)
            yield Visit(site, subject, person.replace("/", ""), age, drawn.replace("/", ""))


def _label(people: Participants, site: SitePlan, number: int) -> tuple[str, str]:
    """Label of the participant of that number at a site, and name across sites."""
    if number > people.per_site:
        label = f"travel{number - people.per_site:02d}"
        return label, label
    return f"{number:02d}", f"{site.name}/{number:02d}"


def scans(plan: Plan, visit: Visit) -> Iterator[PlannedScan]:
    """Every measurement of a visit."""
    many = plan.participants.sessions > 1
    for number in range(1, plan.participants.sessions + 1):
        session = str(number) if many else ""
        for region in plan.regions:
            if plan.design.kind == "blocks":
                yield PlannedScan(visit, session, region, plan.design.task, "")
            else:
                yield PlannedScan(visit, session, region, "rest", "rest")
                yield PlannedScan(visit, session, region, plan.design.task, plan.design.task)


def true_changes(plan: Plan, scan: PlannedScan) -> dict[str, float]:
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
            (response.site_sd, ("site", place(plan, visit))),
            (response.participant_sd, ("person", visit.drawn)),
            (response.session_sd, ("session", place(plan, visit), visit.drawn, scan.session)),
        )
        found[name] = response.percent + sum(
            sd * generator(plan, "response", name, *identity).standard_normal()
            for sd, identity in levels
            if sd
        )
    return found


def true_concentrations(plan: Plan, scan: PlannedScan) -> dict[str, float]:
    """Concentrations at rest, mmol per kg tissue water, in this session."""
    visit, c = scan.visit, plan.concentrations
    site = ("site", place(plan, visit))
    person = ("person", visit.drawn)
    session = ("session", place(plan, visit), visit.drawn, scan.session)
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

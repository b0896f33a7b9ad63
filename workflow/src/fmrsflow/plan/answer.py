"""The plan of a study: designs of a grid with their errors, the best one, people and sites."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fmrsflow.concentration import Tissue
from fmrsflow.constants import same_field
from fmrsflow.errors import DataError
from fmrsflow.plan.acquisition import POINTS, Protocol, Task, density
from fmrsflow.plan.grid import (
    SHAPES,
    Planned,
    design_rows,
    designs_of,
    error_rows,
    planned,
    ranked,
    worth,
)
from fmrsflow.plan.noise import TISSUE, Receiver, pooled, spread_of, typical
from fmrsflow.plan.people import Wish, fewest_sites
from fmrsflow.plan.sites import MeasuredScan, receiver_of, site_rows, tissue_of
from fmrsflow.sites.power import table
from fmrsflow.study import Site
from fmrsflow.tables import Row

Scans = Mapping[Site, Sequence[MeasuredScan]]


@dataclass(frozen=True)
class Asked:
    """What is to be planned.

    Attributes
    ----------
    fields_t, sequences, te_s, tr_s, volumes_ml
        Values of each option.
    tasks : sequence of functions of TR (s)
        Each gives a `Task`.
    metabolite, response : str
        Whose change is to be found, and the assumed shape of the response.
    wish : Wish
    sites, participants : list of int
        Numbers that power is told for.
    tissue : Tissue or None
        Of the voxel; None: that of the study's voxels, else `noise.TISSUE`.
    snr, fwhm_hz : sequence of float
        By field; empty: measured ones. The SNR is that of one transient at the first value of each
        option.
    """

    fields_t: Sequence[float]
    sequences: Sequence[str]
    te_s: Sequence[float]
    tr_s: Sequence[float]
    volumes_ml: Sequence[float]
    tasks: Sequence
    metabolite: str
    response: str
    wish: Wish
    sites: list[int]
    participants: list[int]
    tissue: Tissue | None = None
    snr: Sequence[float] = ()
    fwhm_hz: Sequence[float] = ()


@dataclass(frozen=True)
class Answer:
    """A plan.

    Attributes
    ----------
    asked : Asked
    found : list of Planned
        The best ones first.
    tissue : Tissue
        Of the voxel.
    scans : mapping
        Measured scans by site, of sites that the plan can simulate.
    left_out : mapping of str to str
        Other sites of the study, and why.
    """

    asked: Asked
    found: list[Planned]
    tissue: Tissue
    scans: Scans
    left_out: Mapping[str, str]

    @property
    def best(self) -> Planned:
        """The design that is recommended."""
        return self.found[0]

    @property
    def error(self) -> float:
        """Of one scan of the best design, in points of the plateau."""
        return self.best.plateau_error(self.asked.metabolite, self.asked.response)

    @property
    def wish(self) -> Wish:
        """With the error of the best design."""
        return self.asked.wish.with_scan(self.error)

    @cached_property
    def sites(self) -> int:
        """Number of sites that people are counted at."""
        if self.wish.spread is None:
            return 0
        return fewest_sites(self.wish, self.asked.sites, max(self.asked.participants))

    @cached_property
    def rows(self) -> list[Row]:
        """Of designs.tsv."""
        asked = self.asked
        return design_rows(self.found, asked.metabolite, asked.response, asked.wish, self.sites)

    @cached_property
    def power(self) -> list[Row]:
        """Power of the best design over sites and participants; empty without SDs."""
        wish, asked = self.wish, self.asked
        if wish.spread is None:
            return []
        return table(
            wish.effect_percent, asked.sites, asked.participants, wish.spread, wish.power, wish.ends
        )

    @cached_property
    def site_rows(self) -> list[Row]:
        """Of sites.tsv; empty without a study."""
        return site_rows(self.scans, self.best, self.asked.metabolite, self.asked.response)

    def tables(self) -> dict[str, list[Row]]:
        """Rows by the name of their table; those without a row are left out."""
        found = {
            "designs": self.rows,
            "errors": error_rows(self.found, self.asked.response),
            "plan": self.power,
            "sites": self.site_rows,
        }
        return {name: rows for name, rows in found.items() if rows}

    def worth(self) -> dict[str, list[tuple[object, float, float]]]:
        """See `grid.worth`."""
        return worth(self.found, self.asked.metabolite, self.asked.response, self.asked.wish)

    def by_shape(self) -> list[tuple[str, float, Planned, float]]:
        """For each shape of the response: the share that the best design holds, the design that
        would be the best, and the time that the best one takes over that of it."""
        name, wish = self.asked.metabolite, self.asked.wish
        rows = []
        for shape in SHAPES:
            first = ranked(self.found, name, shape, wish)[0]
            least, own = (one.effort(name, shape, wish) for one in (first, self.best))
            ratio = own / least if math.isfinite(least) else math.nan
            rows.append((shape, self.best.expected.reads[shape], first, ratio))
        return rows

    def noise_spread(self) -> tuple[float, float] | None:
        """Least and greatest noise of the scans that the typical one is from, over it; None where
        noise was measured at the study's sites, or given."""
        receiver, field = self.best.design.receiver, self.best.design.protocol.site.field_t
        return spread_of(field) if receiver == typical(field) else None


def make_plan(asked: Asked, scans: Scans) -> Answer:
    """The plan; `scans` of each site of a study, or none.

    Raises
    ------
    DataError
        No design that tells anything, or a field without constants.
    """
    scans, left_out = _simulated(scans)
    tissue = asked.tissue
    if tissue is None:
        every = [one for own in scans.values() for one in own]
        tissue = tissue_of(every) if every else TISSUE
    receivers = {
        field: _receiver(asked, place, tissue, scans) for place, field in enumerate(asked.fields_t)
    }
    designs = designs_of(
        receivers, asked.sequences, asked.te_s, asked.tr_s, asked.volumes_ml, tissue, asked.tasks
    )
    found = ranked(planned(designs), asked.metabolite, asked.response, asked.wish)
    if not math.isfinite(found[0].plateau_error(asked.metabolite, asked.response)):
        reasons = "; ".join(dict.fromkeys(one.reason for one in found if one.reason))
        raise DataError(f"no design tells anything of {asked.metabolite}: {reasons or 'too short'}")
    return Answer(asked, found, tissue, scans, left_out)


def _simulated(scans: Scans) -> tuple[Scans, dict[str, str]]:
    """Sites whose scans can be simulated, and the others with the reason."""
    kept, left_out = {}, {}
    for site, own in scans.items():
        try:
            typical(site.field_t)
            receiver_of(site, own)
        except DataError as error:
            left_out[site.name] = str(error)
            continue
        kept[site] = own
    return kept, left_out


def _receiver(asked: Asked, place: int, tissue: Tissue, scans: Scans) -> Receiver:
    """Of a field: given, else of the study's sites there, else typical."""
    field = asked.fields_t[place]
    own = {site: list(one) for site, one in scans.items() if same_field(site.field_t, field)}
    found = typical(field)
    if own:
        found = pooled([receiver_of(*one) for one in own.items()], [site.name for site in own])
    if asked.fwhm_hz:
        found = replace(
            found, fwhm_hz=asked.fwhm_hz[place], source=f"{found.source}; linewidth given"
        )
    if not asked.snr:
        return found
    site = Site("plan", "Siemens", field, asked.sequences[0], asked.te_s[0], asked.tr_s[0], "own")
    protocol = Protocol(site, asked.volumes_ml[0], found.fwhm_hz, tissue)
    given = density(protocol, asked.snr[place], POINTS * protocol.dwell_s)
    width = "linewidth given" if asked.fwhm_hz else f"linewidth of {found.source}"
    return Receiver(given, found.fwhm_hz, f"SNR given; {width}")


def blocks_of_minutes(block_s: float, rest_s: float | None, minutes: float):
    """Task of a scan of given length: blocks, each after a rest (by default as long)."""

    def task(tr_s: float) -> Task:
        """At a TR."""
        transients = max(1, math.floor(60 * minutes / tr_s + 1e-6))
        return Task(transients, block_s, rest_s or block_s, minutes=minutes)

    return task


def blocks_of_transients(block_s: float, rest_s: float | None, transients: int):
    """The same with a given number of transients."""

    def task(tr_s: float) -> Task:
        """At a TR."""
        return Task(transients, block_s, rest_s or block_s)

    return task


def listed_events(events: Sequence[Mapping], length):
    """Task of a table of events; `length` gives the transients at a TR."""

    def task(tr_s: float) -> Task:
        """At a TR."""
        return Task(length(tr_s), events=events)

    return task

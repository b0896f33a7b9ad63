"""Designs over a grid of protocols and tasks, what each of them costs, and the best one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from fmrsflow.concentration import Tissue
from fmrsflow.errors import DataError
from fmrsflow.fit.directions import Directions
from fmrsflow.fit.gain import Gain
from fmrsflow.fit.options import FitOptions
from fmrsflow.plan.acquisition import GAIN, Expected, Protocol, Task, expected, noise_sd, snr_of
from fmrsflow.plan.noise import Receiver
from fmrsflow.plan.people import Wish, participants
from fmrsflow.study import Site

SHAPES = ("boxcar", "hrf", "exponential_15s", "exponential_30s")
"""Of the response, that pages compare: as the fit has them."""

METABOLITES = ("Glu", "Gln", "Glx", "GABA", "Lac", "tNAA", "tCr", "tCho", "mI", "GSH")
"""Whose errors a plan tells."""

MOST_DESIGNS = 2000

OPTIONS = ("field_t", "sequence", "te_s", "tr_s", "volume_ml", "block_s", "rest_s", "minutes",
           "transients")  # fmt: skip
"""What designs differ in."""


@dataclass(frozen=True)
class Design:
    """A protocol and what is done in its scan."""

    protocol: Protocol
    task: Task
    receiver: Receiver

    @property
    def scan_min(self) -> float:
        """Length of a scan, minutes."""
        return self.task.transients * self.protocol.site.tr_s / 60

    def settings(self) -> dict:
        """Its options."""
        site, task = self.protocol.site, self.task
        return {
            "field_t": site.field_t,
            "sequence": site.sequence,
            "te_s": site.te_s,
            "tr_s": site.tr_s,
            "volume_ml": self.protocol.volume_ml,
            "block_s": task.block_s or math.nan,
            "rest_s": task.rest_s or math.nan,
            "minutes": task.minutes or math.nan,
            "transients": task.transients,
        }


def designs_of(
    receivers: Mapping[float, Receiver],
    sequences: Sequence[str],
    te_s: Sequence[float],
    tr_s: Sequence[float],
    volumes_ml: Sequence[float],
    tissue: Tissue,
    tasks: Iterable,
    vendor: str = "Siemens",
) -> list[Design]:
    """All of a grid.

    Parameters
    ----------
    receivers : mapping
        Field (T) -> what a scanner there gives.
    tasks : iterable of functions of TR (s)
        Each gives a `Task`.

    Raises
    ------
    DataError
        More than `MOST_DESIGNS`.
    """
    tasks = list(tasks)
    found = [
        Design(
            Protocol(
                Site("plan", vendor, field, name, te, tr, "standardised"),
                volume,
                receiver.fwhm_hz,
                tissue,
            ),
            task(tr),
            receiver,
        )
        for (field, receiver), name, te, tr, volume, task in product(
            receivers.items(), sequences, te_s, tr_s, volumes_ml, tasks
        )
    ]
    if len(found) > MOST_DESIGNS:
        raise DataError(
            f"{len(found)} designs, at most {MOST_DESIGNS} are compared: leave some out"
        )
    return found


class Directory:
    """Directions by protocol, voxel and noise aside: each is made once."""

    def __init__(self):
        self._made: dict[Protocol, Directions] = {}

    def of(self, protocol: Protocol) -> Directions:
        """Of a protocol."""
        key = replace(protocol, volume_ml=1.0)
        if key not in self._made:
            self._made[key] = key.directions(FitOptions())
        return self._made[key]

    def expected(self, design: Design, gain: Gain = GAIN) -> Expected:
        """Errors of a design, under each of `SHAPES`.

        Raises
        ------
        DataError
            A sequence that is not simulated, or a task that tells nothing.
        """
        tr_s = design.protocol.site.tr_s
        return expected(
            self.of(design.protocol),
            noise_sd(design.protocol, design.receiver.density),
            design.task.labels(tr_s),
            design.task.timing(tr_s),
            SHAPES,
            gain,
        )


@dataclass(frozen=True)
class Planned:
    """A design with what it gives; `expected` None where it tells nothing, for `reason`."""

    design: Design
    expected: Expected | None
    reason: str = ""

    def plateau_error(self, metabolite: str, shape: str) -> float:
        """Error of one scan in points of a plateau; infinite where the difference holds none."""
        if self.expected is None or not self.expected.reads[shape] > 0:
            return math.inf
        return self.expected.se_percent[metabolite] / self.expected.reads[shape]

    def effort(self, metabolite: str, shape: str, wish: Wish) -> float:
        """See `Wish.effort`."""
        return wish.effort(self.plateau_error(metabolite, shape), self.design.scan_min)


def planned(designs: Iterable[Design], gain: Gain = GAIN) -> list[Planned]:
    """Errors of designs, in their order."""
    made, found = Directory(), []
    for design in designs:
        try:
            found.append(Planned(design, made.expected(design, gain)))
        except DataError as error:
            found.append(Planned(design, None, str(error)))
    return found


def ranked(found: Iterable[Planned], metabolite: str, shape: str, wish: Wish) -> list[Planned]:
    """The best ones first."""
    return sorted(found, key=lambda one: one.effort(metabolite, shape, wish))


def design_rows(
    found: Sequence[Planned], metabolite: str, shape: str, wish: Wish, sites: int
) -> list[dict]:
    """Rows of designs.tsv, of ranked designs."""
    least = found[0].effort(metabolite, shape, wish)
    rows = []
    for rank, one in enumerate(found, start=1):
        error = one.plateau_error(metabolite, shape)
        told = one.expected
        shares = {f"reads_{name}": told.reads[name] if told else math.nan for name in SHAPES}
        rows.append(
            {
                "rank": rank,
                **{k: v for k, v in one.design.settings().items() if k != "minutes"},
                "scan_min": one.design.scan_min,
                "snr_tcr": snr_of(one.design.protocol, one.design.receiver.density)
                if told
                else math.nan,
                "fwhm_tcr_hz": one.design.receiver.fwhm_hz,
                "metabolite": metabolite,
                "response": shape,
                "se_percent": told.se_percent[metabolite] if told else math.nan,
                "reads": told.reads[shape] if told else math.nan,
                "se_as_plateau_percent": error,
                "se_fitted_plateau_percent": told.se_percent[metabolite] * told.se_ratio[shape]
                if told
                else math.nan,
                "relative_time": one.effort(metabolite, shape, wish) / least,
                **_people(wish.with_scan(error), one.design.scan_min, sites),
                **shares,
                "noise": one.design.receiver.source,
                "reason": one.reason or ("" if math.isfinite(error) else _nothing(shape)),
            }
        )
    return [
        {key: None if value == math.inf else value for key, value in row.items()} for row in rows
    ]


def _nothing(shape: str) -> str:
    return f"task less rest holds nothing of a plateau under {shape.replace('_', ' ')}"


def _people(wish: Wish, scan_min: float, sites: int) -> dict:
    """Participants and hours, at the SDs and at the unfavourable end of what is known of them."""
    found = {"sites": sites if wish.spread else None}
    for end, spread in (("", wish.spread), ("_high", wish.ends and wish.ends[1])):
        needed = None
        if spread is not None:
            needed = participants(wish.effect_percent, sites, spread, wish.power)
        found[f"participants{end}"] = needed
        hours = needed and needed * sites * wish.visit_min(scan_min) / 60
        found[f"hours{end}"] = math.nan if hours is None else hours
    return found


def error_rows(found: Sequence[Planned], shape: str) -> list[dict]:
    """Rows of errors.tsv: a design, by its rank, and a metabolite each."""
    return [
        {
            "rank": rank,
            "metabolite": name,
            "se_percent": one.expected.se_percent[name],
            "se_fitted_plateau_percent": one.expected.se_percent[name]
            * one.expected.se_ratio[shape],
        }
        for rank, one in enumerate(found, start=1)
        if one.expected
        for name in METABOLITES
        if name in one.expected.se_percent
    ]


def worth(
    found: Sequence[Planned], metabolite: str, shape: str, wish: Wish
) -> dict[str, list[tuple[object, float, float]]]:
    """What each option is worth: of the best design with another value of it, and of that alone,
    (value, error in points of the plateau, time relative to the best one)."""
    best = found[0]
    own, least = best.design.settings(), best.effort(metabolite, shape, wish)
    told = {}
    for name in OPTIONS:
        if name == "transients" and own["minutes"] == own["minutes"]:
            continue
        rows = [
            (
                one.design.settings()[name],
                one.plateau_error(metabolite, shape),
                one.effort(metabolite, shape, wish) / least,
            )
            for one in found
            if _same(one.design.settings(), own, name)
        ]
        if len(rows) > 1:
            told[name] = sorted(rows, key=lambda row: row[0])
    return told


def _same(settings: Mapping, own: Mapping, aside: str) -> bool:
    """Whether designs differ in one option at most: rest follows the block, and transients follow
    TR where the length of a scan is set."""
    free = {aside}
    if aside == "block_s":
        free.add("rest_s")
    if own["minutes"] == own["minutes"]:
        free.add("transients")
    return all(_equal(settings[name], own[name]) for name in OPTIONS if name not in free)


def _equal(one, other) -> bool:
    """Whether two values are equal, or both missing."""
    return one == other or (one != one and other != other)

"""People, sites and scanner time that a design takes for a wished power.

A response has a plateau, of which the observed difference of a design holds a share. People and
sites differ in the plateau; so everything counts in points of it here: the error of a scan is that
of the difference over the share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fmrsflow.sites.power import ChangeSpread, power

MOST_PEOPLE = 1000
"""Participants of a site beyond which a design counts as hopeless."""


@dataclass(frozen=True)
class Wish:
    """What a study is to find.

    Attributes
    ----------
    effect_percent : float
        True change at the plateau.
    power : float
    scans : int
        Of each participant, averaged.
    overhead_min : float
        Of each visit beside the scans: positioning, T1w, shim.
    spread : ChangeSpread or None
        SDs of the plateau between sites and people; its measurement error is not used. None where
        they are not known.
    ends : (narrow, wide) of ChangeSpread, or None
        The ends of what is known of the SDs.
    """

    effect_percent: float
    power: float
    scans: int
    overhead_min: float
    spread: ChangeSpread | None = None
    ends: tuple[ChangeSpread, ChangeSpread] | None = None

    def with_scan(self, error: float) -> Wish:
        """The same where one scan has this error, in points of the plateau."""

        def own(one: ChangeSpread | None) -> ChangeSpread | None:
            return one and replace(one, measurement=error, scans=self.scans)

        return replace(
            self,
            spread=own(self.spread),
            ends=self.ends and (own(self.ends[0]), own(self.ends[1])),
        )

    def visit_min(self, scan_min: float) -> float:
        """Scanner time of a participant."""
        return self.scans * scan_min + self.overhead_min

    def effort(self, error: float, scan_min: float) -> float:
        """What designs are ranked by: variance of a participant times the minutes that one takes.
        The time for a wished precision is in proportion to it, whatever the number of sites and
        the SD between them."""
        person = self.spread.participant if self.spread else 0.0
        return (person**2 + error**2 / self.scans) * self.visit_min(scan_min)


def participants(effect: float, sites: int, spread: ChangeSpread, wanted: float) -> int | None:
    """Fewest participants of each site that give the wanted power; None where no number does."""
    if not math.isfinite(spread.measurement):
        return None
    if power(effect, sites, MOST_PEOPLE, spread) < wanted:
        return None
    low, high = 0, MOST_PEOPLE
    while high - low > 1:
        middle = (low + high) // 2
        if power(effect, sites, middle, spread) >= wanted:
            high = middle
        else:
            low = middle
    return high


def fewest_sites(wish: Wish, sites: Sequence[int], most: int) -> int:
    """The smallest number of sites at which `most` participants of each are enough: at the
    unfavourable end of what is known of the SDs, else, where no number is enough there, at the SDs
    themselves; the largest where none is at either."""
    for spread in (wish.ends[1] if wish.ends else None, wish.spread):
        for count in sorted(sites) if spread else ():
            needed = participants(wish.effect_percent, count, spread, wish.power)
            if needed is not None and needed <= most:
                return count
    return max(sites)

"""Power of a study to come, over the number of sites and participants.

The mean over sites has the variance (site^2 + participant^2 / n) / k, n participants at each of k
sites, and is tested by t with k - 1 degrees of freedom, as the meta-analysis does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.stats import nct, t

from fmrsflow.words import count


@dataclass(frozen=True)
class ChangeSpread:
    """Standard deviations of percent change, in percent.

    `site`: between sites (scanner and vendor in it). `participant`: between participants of a
    site. `measurement`: error of one scan. `scans`: scans of each participant that are averaged.
    """

    site: float
    participant: float
    measurement: float = 0.0
    scans: int = 1

    def __post_init__(self):
        if min(self.site, self.participant, self.measurement) < 0 or self.scans < 1:
            raise ValueError(f"standard deviations and scans must not be negative: {self}")

    def of_mean(self, sites: int, participants: int) -> float:
        """Standard error of the mean over sites, percent."""
        person = self.participant**2 + self.measurement**2 / self.scans
        return math.sqrt((self.site**2 + person / participants) / sites)


def power(effect: float, sites: int, participants: int, spread: ChangeSpread) -> float:
    """Power of the two-sided 5 % test of a mean change against zero.

    Parameters
    ----------
    effect : float
        True mean change, percent.
    """
    if sites < 2 or participants < 1:
        given = f"{count(sites, 'site')} with {count(participants, 'participant')}"
        raise ValueError(f"{given}: two and one are needed")
    return _power(effect, spread.of_mean(sites, participants), sites - 1)


def power_of_difference(
    effect: float, sites: int, participants: int, spread: ChangeSpread
) -> float:
    """Power for a difference between two halves of the sites (protocols), `sites` in all."""
    if sites < 3:
        raise ValueError(f"{count(sites, 'site')}: three are needed for two groups")
    first = sites // 2
    single = spread.of_mean(1, participants)
    return _power(effect, single * math.sqrt(1 / first + 1 / (sites - first)), sites - 2)


def _power(effect: float, se: float, df: int) -> float:
    if se == 0:
        return 1.0 if effect else 0.05
    limit = float(t.ppf(0.975, df))
    shift = abs(effect) / se
    if shift > 30:
        return 1.0
    # The far tail is below 1e-6 beyond a shift of 4, where scipy's series gives no number.
    other = float(nct.cdf(-limit, df, shift)) if shift < 4 else 0.0
    return float(nct.sf(limit, df, shift)) + other


def minimal_effect(
    sites: int,
    participants: int,
    spread: ChangeSpread,
    wanted: float = 0.8,
    difference: bool = False,
) -> float:
    """Smallest true change (percent) that is found with the wanted power."""
    test = power_of_difference if difference else power
    high = 1e-6 + spread.of_mean(sites, participants)
    while test(high, sites, participants, spread) < wanted:
        high *= 2
    return float(
        brentq(lambda e: test(e, sites, participants, spread) - wanted, 0.0, high, xtol=1e-6)
    )


def table(
    effect: float,
    sites: list[int],
    participants: list[int],
    spread: ChangeSpread,
    wanted: float = 0.8,
    ends: tuple[ChangeSpread, ChangeSpread] | None = None,
) -> list[dict]:
    """Rows of power and minimal detectable effect over sites and participants a site.

    Parameters
    ----------
    ends : (narrow, wide), optional
        Least and greatest spread that agree with what the spread was estimated from: power then has
        its own interval, `power_low` to `power_high`.
    """
    rows = [
        {
            "sites": k,
            "participants": n,
            "effect_percent": effect,
            "power": power(effect, k, n, spread),
            "minimal_effect_percent": minimal_effect(k, n, spread, wanted),
            "minimal_difference_percent": (
                minimal_effect(k, n, spread, wanted, difference=True) if k > 2 else None
            ),
        }
        for k in sites
        for n in participants
    ]
    for row in rows if ends else ():
        for name, one in zip(("power_high", "power_low"), ends):
            row[name] = power(effect, row["sites"], row["participants"], one)
    return rows

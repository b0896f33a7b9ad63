"""People that a design takes, and what designs are ranked by."""

from __future__ import annotations

import math

import pytest

from fmrsflow.plan.people import Wish, fewest_sites, participants
from fmrsflow.sites.power import ChangeSpread, power

SPREAD = ChangeSpread(0.5, 1.5)


def wish(**changes) -> Wish:
    """A change of 3 % with a power of 0.8, visits of 20 minutes beside one scan."""
    given = {"effect_percent": 3.0, "power": 0.8, "scans": 1, "overhead_min": 20.0}
    return Wish(**(given | {"spread": SPREAD} | changes))


@pytest.mark.parametrize("sites, error", [(3, 2.0), (6, 4.0), (12, 6.0)])
def test_participants_are_the_fewest_with_that_power(sites, error):
    spread = ChangeSpread(0.5, 1.5, error)
    found = participants(3.0, sites, spread, 0.8)
    enough = [n for n in range(1, 200) if power(3.0, sites, n, spread) >= 0.8]
    assert found == enough[0]


def test_no_number_of_people_makes_up_for_sites_that_differ():
    assert participants(1.0, 3, ChangeSpread(3.0, 1.0, 1.0), 0.8) is None
    assert participants(3.0, 3, ChangeSpread(0.5, 1.0, math.inf), 0.8) is None


def test_fewest_sites_are_those_of_the_unfavourable_end():
    ends = ChangeSpread(0.0, 0.5), ChangeSpread(2.0, 3.0)
    known = wish(ends=ends).with_scan(2.0)
    assert known.ends[1] == ChangeSpread(2.0, 3.0, 2.0)
    found = fewest_sites(known, [2, 4, 6, 8, 12], 12)
    assert participants(3.0, found, known.ends[1], 0.8) <= 12
    assert fewest_sites(wish().with_scan(2.0), [2, 4, 6, 8, 12], 12) < found


def test_designs_are_ranked_as_the_time_for_a_precision_would_rank_them():
    # People for a standard error w beside sites: (p^2 + e^2) / w^2; each takes scan and overhead.
    one, other = (4.0, 5.0), (2.5, 15.0)
    effort = [wish().effort(*each) for each in (one, other)]
    hours = [(1.5**2 + e**2) / 0.3**2 * (minutes + 20.0) for e, minutes in (one, other)]
    assert effort[0] / effort[1] == pytest.approx(hours[0] / hours[1])


def test_more_scans_of_a_person_count_as_one_longer_scan():
    twice = wish(scans=2).effort(4.0, 5.0)
    assert twice == pytest.approx(wish().effort(4.0 / math.sqrt(2), 10.0))

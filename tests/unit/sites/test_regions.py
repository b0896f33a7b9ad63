"""Regions are no sessions: each answers by itself, and their difference is within people."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.question import KEYS, Question
from fmrsflow.sites.answer import changes
from fmrsflow.sites.arms import with_regions
from fmrsflow.sites.levels import agreement
from fmrsflow.sites.places import Box, box_problems

SAME = dict(zip(KEYS, ("Glu", "joint", True, "molal", "task-rest", "")))
SETTINGS = {
    "metabolite": "Glu",
    "estimator": "joint",
    "quantity": "molal",
    "bootstraps": 0,
    "equivalence_percent": 2.0,
    "effect_percent": 3.0,
    "power": 0.8,
}
SHEET = {name: {"vendor": "GE", "field_t": 3.0, "protocol": "own", "te_s": 0.03} for name in "ABCD"}
TRUE = {"left": 4.0, "right": 1.0}


def row(site, person, region, change, se=0.5, number=1):
    unit = f"{site}/sub-{person}_voi-{region}_{number}"
    return {
        **SAME, "site": site, "person": f"{site}/{person}", "unit": unit, "region": region,
        "change_percent": change, "se_percent": se, "low_percent": change - 1.96 * se,
        "high_percent": change + 1.96 * se, "used": True, "reason": "",
    }  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """4 sites of 8 people who differ by 2 points in both regions alike."""
    rng = np.random.default_rng(3)
    found = []
    for site in SHEET:
        for person in range(8):
            own = 2 * rng.standard_normal()
            for region, true in TRUE.items():
                found.append(row(site, person, region, true + own + 0.5 * rng.standard_normal()))
    return found


@pytest.fixture(scope="module")
def means(rows):
    found = changes(with_regions(rows), SHEET, SETTINGS)
    return {one["region"]: one for one in found["meta"]}


def test_each_region_has_its_answer_and_no_mean_holds_both(rows, means):
    assert set(means) == {"left", "right", "left-right"}
    for region, true in TRUE.items():
        mean = means[region]
        own = [one["change_percent"] for one in rows if one["region"] == region]
        # Balanced sites of equal errors: the mean over sites is that over scans.
        assert mean["change_percent"] == pytest.approx(np.mean(own), abs=0.15)
        assert abs(mean["change_percent"] - true) < 3 * mean["se_percent"]
        assert (mean["n"], mean["n_participants"]) == (32, 32)


def test_what_people_bring_to_both_regions_is_not_in_their_difference(rows, means):
    pair = means["left-right"]
    left, right = (
        np.array([one["change_percent"] for one in rows if one["region"] == region])
        for region in TRUE
    )
    # By hand: people are the same in both, so the difference is that of pairs.
    assert pair["change_percent"] == pytest.approx((left - right).mean(), abs=0.1)
    assert abs(pair["change_percent"] - 3.0) < 3 * pair["se_percent"]
    assert pair["se_percent"] < 0.6 * means["left"]["se_percent"]


def test_two_voxels_of_a_person_are_no_repeated_sessions(rows):
    (none,) = agreement(with_regions(rows), [])["agreement"]
    assert "nobody was measured twice" in none["reason"]
    again = [{**one, "unit": one["unit"] + "b"} for one in rows]
    rng = np.random.default_rng(5)
    for one in again:
        one["change_percent"] += 0.5 * rng.standard_normal()
    found = agreement([*rows, *again], [])["agreement"]
    assert [(one["region"], one["over"], one["n"]) for one in found] == [
        ("left", "sessions", 32),
        ("right", "sessions", 32),
    ]
    # True ICC: 4 of persons over 4 + 0.25 + noise of half of the second.
    assert all(one["icc21"] > 0.85 for one in found)


def test_two_protocols_of_a_person_are_no_repeated_sessions(rows):
    left = [one for one in rows if one["region"] == "left"]
    again = [{**one, "unit": one["unit"] + "b", "change_percent": 0.0} for one in left]
    acq = {one["unit"]: "press" for one in left} | {one["unit"]: "steam" for one in again}
    (none,) = agreement([*left, *again], [], acq)["agreement"]
    assert "nobody was measured twice" in none["reason"]


def test_the_setting_says_which_region_answers_and_starts_the_difference(rows):
    named = with_regions(rows, "right")
    assert {one["region"] for one in named} == {"left", "right", "right-left"}
    asked = Question.from_settings({**SETTINGS, "region": "right"})
    assert asked.best(named)["region"] == "right"
    assert Question.from_settings(SETTINGS).best(with_regions(rows))["region"] == "left"


def test_a_person_with_one_region_has_no_difference_and_says_so():
    rows = [row("A", 1, "left", 4.0), row("A", 2, "left", 4.0), row("A", 2, "right", 1.0)]
    first, second = with_regions(rows)[3:]
    assert not first["used"] and "region right" in first["reason"]
    assert second["used"] and second["change_percent"] == pytest.approx(3.0)
    assert second["se_percent"] == pytest.approx(np.sqrt(0.5))


def test_one_region_and_voxels_without_a_label_make_no_difference():
    rows = [row("A", 1, "left", 4.0), row("A", 1, "", 2.0)]
    assert with_regions(rows) == rows


def box(scan, person, region, centre, session=""):
    return Box("A", scan, person, session, region, centre)


def test_one_label_on_places_that_lie_apart_warns():
    boxes = [box("l", "1", "", (-45.0, -60.0, 30.0)), box("r", "1", "", (45.0, -60.0, 30.0))]
    ((site, item, text),) = box_problems(boxes)
    assert (site, item) == ("A", "A") and "90 mm apart" in text and "no region" in text
    near = [box(str(n), "1", "acc", (0.0, float(n), 0.0)) for n in (0, 19)]
    assert list(box_problems(near)) == []
    several = [box(str(n), str(n), "acc", (0.0, 0.0, float(n))) for n in range(5)]
    ((_, item, text),) = box_problems([*several, box("x", "9", "acc", (0.0, 40.0, 0.0))])
    assert item == "x" and "1 of 6 voxels" in text


def test_two_labels_on_one_box_warn_within_a_session_alone():
    one, two = box("a", "1", "acc", (0.0, 30.0, 10.0)), box("b", "1", "pcc", (0.0, 31.0, 10.0))
    ((_, item, text),) = box_problems([one, two])
    assert item == "b" and "two labels on one place" in text
    assert list(box_problems([one, box("b", "1", "pcc", (0.0, 31.0, 10.0), "2")])) == []

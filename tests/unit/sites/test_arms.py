"""Paired designs: arms are kept apart, each person gives one difference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmrsflow.question import KEYS, Question
from fmrsflow.sites.answer import changes
from fmrsflow.sites.arms import Place, with_arms

QUESTION = dict(zip(KEYS, ("Glu", "joint", True, "molal", "task-rest", "")))
SHEET = {"A": {"vendor": "GE", "field_t": 3.0, "protocol": "own", "te_s": 0.03}}
SETTINGS = {
    "metabolite": "Glu",
    "estimator": "joint",
    "quantity": "molal",
    "pair": "stimulus-control",
    "bootstraps": 0,
    "equivalence_percent": 2.0,
    "effect_percent": 3.0,
    "power": 0.8,
}


def row(unit, person, change, se=1.0, used=True, reason=""):
    same = {"site": "A", "unit": unit, "person": person, **QUESTION}
    numbers = {"low_percent": change - 1.96 * se, "high_percent": change + 1.96 * se}
    return {
        **same, "change_percent": change, "se_percent": se, **numbers, "used": used,
        "reason": reason,
    }  # fmt: skip


def study(n=20, effect=2.0, seed=1):
    """People who differ by 5 points in both sessions alike; measured to 1 point."""
    rng = np.random.default_rng(seed)
    own = 5 * rng.standard_normal(n)
    rows, places = [], {}
    for number in range(n):
        for arm in ("stimulus", "control"):
            change = own[number] + effect * (arm == "stimulus") + rng.standard_normal()
            rows.append(row(f"A/{number}-{arm}", str(number), change))
            places[rows[-1]["unit"]] = Place(arm)
    return rows, places


def test_what_people_bring_to_both_arms_is_not_in_their_difference():
    found = changes(with_arms(*study(), SETTINGS["pair"]), SHEET, SETTINGS)
    means = {one["contrast"]: one for one in found["meta"]}
    assert set(means) == {f"task-rest ({arm})" for arm in ("stimulus", "control", SETTINGS["pair"])}
    pair = means["task-rest (stimulus-control)"]
    assert pair["n"] == pair["n_participants"] == 20
    # 1.4 points of a difference over 20 people; of a single arm 5 points.
    assert pair["se_percent"] == pytest.approx(math.sqrt(2 / 20), rel=0.4)
    assert means["task-rest (control)"]["se_percent"] > 2 * pair["se_percent"]
    assert abs(pair["change_percent"] - 2.0) < 3 * pair["se_percent"]
    assert Question.from_settings(SETTINGS).best(found["meta"]) is pair


def test_the_interval_covers_the_true_difference():
    """300 studies know 95 % to 1.3 %."""
    held = 0
    for seed in range(300):
        rows = with_arms(*study(n=8, seed=seed), SETTINGS["pair"])
        pairs = [one for one in rows if one["contrast"].endswith("(stimulus-control)")]
        (mean,) = changes(pairs, SHEET, SETTINGS)["meta"]
        held += mean["low_percent"] < 2.0 < mean["high_percent"]
    assert 0.91 < held / 300 < 0.99


def test_a_difference_has_the_errors_of_both_and_names_its_units():
    rows = [row("u", "p", 5.0, 3.0), row("v", "p", 1.0, 4.0)]
    *_, pair = with_arms(rows, {"u": Place("a"), "v": Place("b")}, "a-b")
    assert (pair["change_percent"], pair["se_percent"]) == (4.0, 5.0)
    assert (pair["low_percent"], pair["high_percent"]) == pytest.approx(
        (4 - 9.8, 4 + 9.8), rel=1e-3
    )
    assert (pair["unit"], pair["contrast"]) == ("u v", "task-rest (a-b)")
    assert pair["used"] and not pair["reason"]


def test_several_units_of_an_arm_count_as_their_mean_and_regions_apart():
    rows = [row("u", "p", 4.0), row("v", "p", 6.0), row("w", "p", 1.0), row("x", "p", 9.0)]
    places = {"u": Place("a"), "v": Place("a"), "w": Place("b"), "x": Place("b", "left")}
    *_, pair, lone = with_arms(rows, places, "a-b")
    assert pair["change_percent"] == pytest.approx(4.0)
    assert pair["se_percent"] == pytest.approx(math.sqrt(0.5 + 1.0))
    assert not lone["used"] and "in arm a" in lone["reason"]


def test_an_excluded_scan_takes_its_pair_with_it():
    rows = [row("u", "p", 4.0), row("v", "p", 1.0, used=False, reason="excluded: too broad")]
    *_, pair = with_arms(rows, {"u": Place("a"), "v": Place("b")}, "a-b")
    assert not pair["used"] and pair["reason"] == "excluded: too broad"
    assert pair["change_percent"] == pytest.approx(3.0)  # shown all the same


def test_without_arms_nothing_changes():
    rows = [row("u", "p", 4.0)]
    assert with_arms(rows, {"u": Place("")}, "") == rows

"""What is said of a change follows its interval."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fmrsflow.question import Question
from fmrsflow.report.effect_words import effect_words, holds_zero, what_is_asked

CHANGE = Question("Glu", "joint", True, "molal", "task-rest", "")
ARMS = replace(CHANGE, contrast="task-rest (on-off)")
REGIONS = replace(CHANGE, region="acc-pcc")
BOTH = replace(ARMS, region="acc-pcc")
MOVES = r"\b(rose|fell|higher|lower|more|less than)\b"


@pytest.mark.parametrize("asked", [CHANGE, ARMS, REGIONS, BOTH])
@pytest.mark.parametrize(
    ("value", "low", "high"),
    [(2.0, -0.1, 4.1), (-2.0, -4.1, 0.1), (2.0, 0.0, 4.0), (-2.0, -4.0, 0.0), (0.0, -1.0, 1.0)],
)
def test_an_interval_that_holds_zero_shows_nothing(asked, value, low, high):
    words = effect_words(asked, value, low, high, "3 sites")
    assert holds_zero(low, high)
    assert "still possible" in words and "shown" in words
    assert not re.search(MOVES, words)


@pytest.mark.parametrize(
    ("asked", "up", "down"),
    [
        (CHANGE, "glutamate rose by 2.0 %", "glutamate fell by 2.0 %"),
        (ARMS, "2.0 points higher under on than under off", "2.0 points lower under on"),
        (REGIONS, "2.0 points higher in acc than in pcc", "2.0 points lower in acc than in pcc"),
        (BOTH, "each on less off, was 2.0 points higher in acc", "was 2.0 points lower in acc"),
    ],
)
def test_a_move_is_stated_in_the_direction_of_an_interval_without_zero(asked, up, down):
    words = effect_words(asked, 2.0, 1.0, 3.0, "3 sites")
    assert up in words and "leaves no" in words and "+1.0 to +3.0" in words
    words = effect_words(asked, -2.0, -3.0, -1.0, "3 sites")
    assert down in words and "leaves no" in words and "\u22123.0 to \u22121.0" in words


def test_a_difference_claims_no_rise_of_either_side():
    """Under on it may have fallen, by less than under off."""
    for asked in (ARMS, REGIONS, BOTH):
        assert "rose" not in effect_words(asked, 2.0, 1.0, 3.0, "3 sites")


def test_an_end_beside_zero_is_not_shown_as_zero():
    words = effect_words(CHANGE, 2.6, 0.03, 5.2, "4 sites")
    assert "+0.03 to +5.20" in words and "leaves no change out" in words
    assert "+0.0 to +5.2" in effect_words(CHANGE, 2.6, 0.0, 5.2, "4 sites")


def test_an_interval_of_no_number_holds_zero():
    assert holds_zero(float("nan"), float("nan"))


def test_captions_name_the_sides():
    assert what_is_asked(replace(CHANGE, region="acc")).startswith("Change of glutamate in acc")
    assert what_is_asked(BOTH).endswith("acc less pcc and on less off of the same person")

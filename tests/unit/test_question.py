"""Which row answers."""

from __future__ import annotations

import pytest

from fmrsflow.concentration import ABSOLUTE
from fmrsflow.question import KEYS, WATER_SCALED, Question, main_key, ways_to_answer

SETTINGS = {"metabolite": "Glu", "estimator": "blocks", "quantity": "molal"}


def row(
    metabolite="Glu",
    estimator="blocks",
    matched=True,
    quantity="molal",
    contrast="a-rest",
    region="",
):
    return dict(zip(KEYS, (metabolite, estimator, matched, quantity, contrast, region)))


def test_what_is_asked_for_answers():
    asked = Question.from_settings(SETTINGS)
    rows = [row("tCr"), row(estimator="joint"), row(matched=False), row()]
    assert asked.best(rows) is rows[3]
    assert [asked.answered_by(one) for one in rows] == [False, False, False, True]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (row(matched=False, quantity="raw"), row(estimator="joint")),
        (row(quantity="raw"), row(matched=False)),
        (row(estimator="joint", matched=False), row(estimator="timecourse")),
        (row(quantity="ratio_tcr"), row(quantity="raw")),
        (row(quantity="raw"), row(quantity="alpha_corrected")),
    ],
)
def test_estimator_goes_before_matching_and_matching_before_quantity(better, worse):
    asked = Question.from_settings(SETTINGS)
    assert asked.best([worse, better]) is better
    assert asked.best([better, worse]) is better


def test_another_estimator_or_quantity_asked_for_leads_its_order():
    asked = Question("Glu", "timecourse", True, "raw")
    rows = [row(), row(estimator="timecourse", matched=False), row(quantity="raw")]
    assert asked.best(rows) is rows[1]


def test_a_contrast_counts_only_where_one_is_asked_for():
    rows = [row(contrast="a-rest"), row(contrast="b-rest")]
    assert Question().best(rows) is rows[0]
    assert Question(contrast="b-rest").best(rows) is rows[1]
    assert not Question(contrast="b-rest").answered_by(rows[0])
    assert Question().answered_by(rows[1])


def test_no_row_on_the_metabolite_is_no_answer():
    assert Question("GABA").best([row()]) is None
    assert main_key([], SETTINGS) is None


def test_key_and_question_stand_for_each_other():
    keys = [tuple(row(estimator="joint").values()), tuple(row(matched=False).values())]
    assert main_key(keys, SETTINGS) == keys[1]
    assert Question(*keys[1]).answered_by(row(matched=False))


def test_the_question_has_words():
    assert Question("tNAA").words == "total NAA"


def test_a_pair_of_arms_is_asked_for_before_either_arm():
    asked = Question.from_settings({**SETTINGS, "pair": "on-off"})
    rows = [row(contrast=f"a-rest ({arms})") for arms in ("on", "off", "on-off")]
    assert asked.best(rows) is rows[2]
    assert asked.arms == ("on", "off")
    assert Question(**rows[2]).arms == ("on", "off")
    # A scan alone has changes without arms: they answer next best.
    assert asked.best([row()]) == row()
    assert Question.from_settings(SETTINGS).arms is None
    assert Question(**row()).arms is None
    assert Question(**rows[0]).arms is None


def test_a_scan_answers_a_pair_by_its_own_change_of_the_same_conditions():
    asked = Question("Glu", "blocks", True, "molal", "b-rest (on-off)")
    own = [row(contrast="a-rest"), row(contrast="b-rest")]
    assert asked.best(own) is own[1]


def test_a_region_that_is_asked_for_goes_before_everything_else():
    rows = [row(region="acc"), row(region="pcc", estimator="joint"), row(region="acc-pcc")]
    asked = Question.from_settings({**SETTINGS, "region": "pcc"})
    assert asked.best(rows) is rows[1]
    assert Question.from_settings(SETTINGS).best(rows[::-1]) is rows[0]  # the first by name
    pair = Question.from_settings({**SETTINGS, "region": "acc-pcc"})
    assert pair.best(rows) is rows[2] and pair.regions == ("acc", "pcc") and pair.points
    assert not Question(**rows[0]).answered_by(row(region=""))
    assert Question(**rows[0]).answered_by({k: v for k, v in row().items() if k != "region"})


def test_an_answer_says_where_it_is_not_what_was_asked():
    asked = Question.from_settings({**SETTINGS, "pair": "on-off", "region": "acc"})
    assert asked.differs(Question(**row(contrast="a-rest (on-off)", region="acc"))) == []
    assert asked.differs(Question(**row(estimator="joint", region="pcc"))) == [
        "estimator joint for blocks",
        "contrast a-rest for (on-off)",
        "region pcc for acc",
    ]


def test_the_curve_holds_no_answer_to_another_question():
    rows = [
        row(contrast=contrast, region=region, estimator=estimator) | {"main": False}
        for contrast in ("a-rest (on)", "a-rest (off)", "a-rest (on-off)")
        for region in ("acc", "pcc")
        for estimator in ("blocks", "joint")
    ]
    settings = {**SETTINGS, "pair": "on-off", "region": "pcc"}
    ways = ways_to_answer(rows, settings)
    assert {(one["contrast"], one["region"]) for one in ways} == {("a-rest (on-off)", "pcc")}
    assert len(ways) == 2
    rows[0]["main"] = True
    assert {(one["contrast"], one["region"]) for one in ways_to_answer(rows, settings)} == {
        ("a-rest (on)", "acc")
    }


def test_what_water_scales_has_a_formula_each():
    assert tuple(ABSOLUTE) == WATER_SCALED

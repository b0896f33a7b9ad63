"""What a page says of the plateau behind an observed difference."""

from __future__ import annotations

from fmrsflow.question import Question
from fmrsflow.report.plateau import plateau_words

ASKED = Question(contrast="task-rest")
SAME = {"metabolite": "Glu", "quantity": "raw", "contrast": "task-rest", "n": 12, "reason": ""}
NUMBERS = {"change_percent": 3.04, "low_percent": 2.1, "high_percent": 3.9}


OBSERVED = {"change_percent": 2.51}


def table(shown: bool, reason: str = "") -> list[dict]:
    weights = {"boxcar": 0.002, "hrf": 0.9, "exponential_15s": 0.098}
    rows = [
        {**SAME, **NUMBERS, "shape": name, "weight": weight} for name, weight in weights.items()
    ]
    rows[0] |= OBSERVED
    last = {**SAME, **NUMBERS, "shape": "weighed", "shown": shown, "reason": reason}
    return [*rows, last, {**last, "metabolite": "Lac", "change_percent": 99.0}]


def test_a_plateau_stands_with_its_interval_and_the_likely_shapes():
    said = plateau_words(table(True), ASKED)
    assert "by +3.0 % (95 % interval +2.1 to +3.9 %)" in said
    assert "task less rest is +2.5 % as observed" in said
    assert "12 scans" in said
    assert "(hrf 90 %, exponential 15s 10 %)" in said


def test_a_withheld_plateau_stands_as_its_reason_alone():
    said = plateau_words(table(False, "the design hardly sees it"), ASKED)
    assert said.endswith("No plateau behind it is stated: the design hardly sees it.")
    assert "3.0" not in said


def test_nothing_is_said_of_what_was_not_fitted():
    assert plateau_words([], ASKED) == ""

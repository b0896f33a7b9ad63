"""Events: what is no number of seconds, and what may be none."""

from __future__ import annotations

import pytest

from fmrsflow.errors import DataError
from fmrsflow.events import events_of, odd_timing, reference_of, without_strays

GOOD = {"onset": "16", "duration": "16", "trial_type": "task"}


def test_numbers_come_from_text_and_other_columns_stay():
    (event,) = events_of([{**GOOD, "stim_file": "a.png", "onset": " 1.6e1 "}], "e.tsv")
    assert event == {
        "onset": 16.0,
        "duration": 16.0,
        "trial_type": "task",
        "stim_file": "a.png",
    }


@pytest.mark.parametrize("column", ["onset", "duration"])
@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-Inf", "1e999", "16 s", "16,5"])
def test_what_is_no_number_of_seconds_is_refused_with_its_line(column, text):
    with pytest.raises(DataError, match=rf"e\.tsv line 3: {column} .* is no number of seconds"):
        events_of([GOOD, {**GOOD, column: text}], "e.tsv")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "e.tsv holds no event"),
        ([{"onset": "1", "trial_type": "a"}], "e.tsv has no column duration"),
        ([{**GOOD, "duration": "n/a"}], r"line 2: no duration \(n/a\)"),
        ([{**GOOD, "trial_type": ""}], r"line 2: no trial_type \(empty\)"),
        ([{**GOOD, "duration": "-1"}], "duration -1 s, and a duration is 0 or more"),
    ],
)
def test_what_is_missing_or_negative_is_refused(rows, words):
    with pytest.raises(DataError, match=words):
        events_of(rows, "e.tsv")


def blocks(first, length, distance, n, scale=1.0):
    return [
        {"onset": scale * (first + k * distance), "duration": scale * length, "trial_type": "task"}
        for k in range(n)
    ]


@pytest.mark.parametrize("tr_s", [1.5, 2.0, 3.0, 4.0, 5.0])
def test_onsets_in_transients_are_told_and_the_same_in_seconds_are_not(tr_s):
    """160 transients: rest and task by turns of 8."""
    (told,) = odd_timing(blocks(8, 8, 16, 10), 160 * tr_s, tr_s)
    assert "do the onsets count transients?" in told
    assert odd_timing(blocks(8, 8, 16, 10, scale=tr_s), 160 * tr_s, tr_s) == []


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (
            blocks(0, 16, 32, 10, scale=1e3),
            "9 of 10 events begin after the end of the scan (320 s)",
        ),
        (blocks(0.5, 1, 2, 10), "the events end at 19.5 s of a scan of 320 s"),
        (blocks(16, 16, 32, 12), "2 of 12 events begin after the end"),
    ],
)
def test_events_that_are_not_of_this_scan_are_told(events, words):
    assert any(words in one for one in odd_timing(events, 320, 2.0))


@pytest.mark.parametrize(
    "events",
    [
        blocks(107, 107, 107, 1),  # rest, task, rest in thirds
        blocks(0, 16, 32, 10),
        blocks(160, 160, 160, 1),
        blocks(0, 160, 160, 1),
        [],
    ],
)
@pytest.mark.parametrize("tr_s", [1.5, 2.0, 3.0])
def test_usual_designs_pass_in_silence(events, tr_s):
    assert odd_timing(events, 320, tr_s) == []


def spans(*names):
    return [{"onset": 8.0 * j, "duration": 8.0, "trial_type": n} for j, n in enumerate(names)]


@pytest.mark.parametrize("stray", [1, 3, 6])
def test_a_few_transients_outside_of_all_events_are_no_rest(stray):
    labels = ["baseline"] * 30 + ["task"] * 30 + ["rest"] * stray
    found, text = without_strays(labels, spans("baseline", "task"))
    assert found == ["baseline"] * 30 + ["task"] * 30 + [None] * stray
    assert f"{stray} transient" in text and "number 60" in text


@pytest.mark.parametrize(
    "labels, events",
    [
        (["rest"] * 7 + ["task"] * 93, spans("task")),
        (["rest"] * 2 + ["task"] * 10, spans("task")),
        (["rest"] * 4 + ["task"] * 60, spans("rest", "task")),
        (["baseline"] * 4 + ["task"] * 60, spans("baseline", "task")),
    ],
    ids=["more than a few", "a tenth of few", "rest is an event", "none"],
)
def test_rest_is_left_where_it_is_meant(labels, events):
    assert without_strays(labels, events) == (labels, "")


@pytest.mark.parametrize(
    "names, reference",
    [
        (["task", "rest"], "rest"),
        (["task", "baseline"], "baseline"),
        (["High", "Fixation"], "Fixation"),
        (["eyes", "hands"], "eyes"),
    ],
)
def test_changes_refer_to_the_condition_in_which_nothing_is_done(names, reference):
    assert reference_of(names) == reference
    assert reference_of([*names, "mine"], "mine") == "mine"


@pytest.mark.parametrize(("mark", "told"), [(",", "','"), (";", "';'"), ("   ", "'  '")])
def test_a_table_without_tabs_is_told(mark, told):
    row = {mark.join(GOOD): mark.join(GOOD.values())}
    with pytest.raises(DataError, match=f"e.tsv: its columns are parted by {told}"):
        events_of([row], "e.tsv")


def test_a_decimal_comma_is_told():
    with pytest.raises(DataError, match="'16,5' is no number of seconds; write a point"):
        events_of([{**GOOD, "onset": "16,5"}], "e.tsv")


def test_events_before_the_scan_are_told():
    (told,) = odd_timing(blocks(-4, 16, 32, 2), 64.0, 2.0)
    assert told.startswith("the first event begins 4 s before the scan")
    assert odd_timing(blocks(0, 16, 32, 2), 64.0, 2.0) == []

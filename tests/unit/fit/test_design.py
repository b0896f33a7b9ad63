"""Designs of the joint fit."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fit.design import (
    CHOSEN,
    Timing,
    combined,
    condition_design,
    given_design,
    linewidth_design,
    width_of_contrasts,
)

LABELS = ["rest"] * 4 + ["task"] * 4 + ["rest"] * 4


def test_boxcar_is_one_in_the_task():
    design = condition_design(LABELS, "rest")
    assert design.names == ("constant", "task", "drift_1")
    assert design.contrasts == ("task",)
    np.testing.assert_array_equal(design.matrix[:, 1], [0] * 4 + [1] * 4 + [0] * 4)


def test_drifts_have_mean_zero():
    design = condition_design(LABELS, "rest", drift_order=3)
    np.testing.assert_allclose(design.matrix[:, 2:].mean(axis=0), 0, atol=1e-12)


def timing(*spans, n=12, step=1.0, name="task"):
    events = [{"onset": a, "duration": d, "trial_type": name} for a, d in spans]
    return Timing(step * np.arange(n), events)


def test_fir_covers_its_window_in_seconds_beyond_the_block():
    made = timing((4.0, 4.0), (16.0, 4.0), n=12, step=2.0)
    labels = ["task" if j in (2, 3, 8, 9) else "rest" for j in range(12)]
    design = condition_design(labels, "rest", made, "fir", 0, fir_s=6.0)
    assert design.contrasts == ("task_0s", "task_2s", "task_4s")
    np.testing.assert_array_equal(np.flatnonzero(design.matrix[:, 3]), [4, 10])
    longest = condition_design(labels, "rest", made, "fir", 0)
    assert longest.contrasts[-1] == "task_14s"  # up to 16 s after an onset


def test_fir_puts_an_excitation_by_its_delay_from_the_onset():
    """Onsets between excitations: the first one after is within the first step."""
    made = timing((3.5, 1.0), n=12, step=2.0)
    labels = ["task" if j == 2 else "rest" for j in range(12)]
    design = condition_design(labels, "rest", made, "fir", 0, fir_s=4.0)
    assert [np.flatnonzero(column).tolist() for column in design.matrix[:, 1:].T] == [[2], [3]]


def test_a_response_follows_events_that_no_excitation_lies_in():
    """1 s stimuli between excitations 3 s apart: no boxcar over transients would see them."""
    made = timing((1.2, 1.0), (13.2, 1.0), n=8, step=3.0)
    labels = ["rest", "task", "rest", "rest", "rest", "task", "rest", "rest"]
    column = condition_design(labels, "rest", made, "exponential_3s", 0).matrix[:, 1]
    rise = 1 - np.exp(-1 / 3)
    assert column[1] == pytest.approx(rise * np.exp(-0.8 / 3))
    assert column[2] == pytest.approx(rise * np.exp(-3.8 / 3))
    assert column[0] == 0.0


def test_a_quadratic_drift_is_left_out_where_it_costs():
    """One long block in the middle of a scan is nearly a parabola, eight blocks are not."""
    slow = timing((100.0, 100.0), n=75, step=4.0)
    fast = timing(*((40.0 * k, 20.0) for k in range(8)), n=75, step=4.0)
    orders = []
    for made in (slow, fast):
        labels = ["rest"] * 75
        for onset, length in made.spans("task"):
            for j in range(75):
                if onset <= made.time_s[j] < onset + length:
                    labels[j] = "task"
        design = condition_design(labels, "rest", made, "boxcar", CHOSEN)
        orders.append(len(design.names) - 2)
    assert orders == [1, 2]


def test_drifts_follow_the_clock_of_uneven_transients():
    drift = Timing(np.array([0.0, 1.0, 4.0, 10.0]), ()).drifts(1)[:, 0]
    np.testing.assert_allclose(np.diff(drift), np.array([1.0, 3.0, 6.0]) / 5.0)


def test_runs_of_labels_are_events():
    made = Timing.of_labels(["rest", "task", "task", None, "rest"], 2.0 * np.arange(5))
    assert made.spans("task") == [(2.0, 4.0)]
    assert made.spans("rest") == [(0.0, 2.0), (8.0, 2.0)]


def test_the_width_follows_nested_events_alone():
    events = [
        {"onset": 4.0, "duration": 20.0, "trial_type": "task"},
        {"onset": 4.0, "duration": 4.0, "trial_type": "flicker"},
        {"onset": 16.0, "duration": 4.0, "trial_type": "flicker"},
    ]
    made = Timing(2.0 * np.arange(16), events)
    labels = ["task" if 2 <= j < 12 else "rest" for j in range(16)]
    width = linewidth_design(labels, "rest", made, "boxcar", ["flicker"])
    assert np.flatnonzero(width.matrix[:, 0]).tolist() == [2, 3, 8, 9]
    with pytest.raises(DataError, match="no event of trial type blink"):
        linewidth_design(labels, "rest", made, "hrf", ["blink"])


def test_sums_and_means_of_contrasts_have_names():
    design = condition_design([*LABELS, "rest", "other"], "rest", 1.0, "boxcar")
    made = combined(design, ["both = sum task other", "mean_of_all=mean *"])
    assert list(made.reported) == ["task", "other", "both", "mean_of_all"]
    np.testing.assert_array_equal(made.reported["both"], [0, 1, 1, 0])
    np.testing.assert_array_equal(made.reported["mean_of_all"], [0, 0.5, 0.5, 0])
    assert made.select([0, 5, 12]).combinations is made.combinations


@pytest.mark.parametrize(
    "text, words",
    [
        ("task other", "not of the form"),
        ("late = mean blink", "no contrast blink in task"),
        ("task = sum task", "is the name of"),
    ],
)
def test_combinations_that_mean_nothing_are_told(text, words):
    with pytest.raises(DataError, match=words):
        combined(condition_design(LABELS, "rest"), [text])


def test_a_given_design_lends_its_contrasts_to_the_width():
    rows = [{"a": t, "b": 1 - t if j > 1 else 0, "constant": 1, "drift_1": j * j}
            for j, t in enumerate((0, 0, 1, 0, 1, 0))]  # fmt: skip
    design, width = given_design([{k: str(v) for k, v in row.items()} for row in rows], 6)
    assert width is None
    width = width_of_contrasts(design, Timing(2.0 * np.arange(6), ()))
    np.testing.assert_array_equal(width.matrix[:, 0], [0, 0, 1, 1, 1, 1])
    np.testing.assert_allclose(width.matrix[:, 1], np.linspace(-1, 1, 6))


def test_a_response_in_time_needs_times():
    with pytest.raises(ValueError, match="response hrf needs the times"):
        condition_design(LABELS, "rest", shape="hrf")


def test_linewidth_takes_all_tasks_together():
    width = linewidth_design(["rest", "a", "b", None], "rest")
    assert width.names == ("bold", "drift_1")
    np.testing.assert_array_equal(width.matrix[:, 0], [0, 1, 1, 0])
    np.testing.assert_allclose(width.matrix[:, 1], [-1, -1 / 3, 1 / 3, 1])


@pytest.mark.parametrize("task", ["drifting", "drift", "cosine grating"])
def test_a_condition_that_is_called_as_a_drift_is_a_contrast(task):
    design = condition_design([task if one == "task" else one for one in LABELS], "rest")
    assert design.contrasts == (task,)
    assert list(design.reported) == [task]
    assert combined(design.select([0, 1]), [f"all = sum {task.split()[0]}*"]).contrasts == (task,)


@pytest.mark.parametrize("task", ["constant", "drift_1"])
def test_a_condition_with_the_name_of_another_column_is_refused(task):
    with pytest.raises(DataError, match=f"condition {task} has the name"):
        condition_design([task if one == "task" else one for one in LABELS], "rest")


def test_a_table_of_nilearn_is_read_with_its_drifts():
    rows = [
        {"task": str(t), "drift_1": str(d), "constant": "1.0", "linewidth_bold": str(t)}
        for t, d in zip((0, 0, 1, 1), (-0.5, -0.1, 0.1, 0.5))
    ]
    design, width = given_design(rows, 4)
    assert design.contrasts == ("task",)
    assert width.names == ("linewidth_bold",)


def test_a_word_that_begins_as_a_drift_is_a_contrast_of_a_table():
    names = ("constant", "drifting", "drift_1", "cosine00", "cosine")
    matrix = np.column_stack([np.ones(6), np.random.default_rng(1).standard_normal((6, 4))])
    rows = [{name: str(value) for name, value in zip(names, row)} for row in matrix]
    assert given_design(rows, 6)[0].contrasts == ("drifting",)


@pytest.mark.parametrize(
    "rows, words",
    [
        ([{"constant": "1"}] * 3, "3 rows"),
        ([{"task": "1"}] * 4, "no column constant"),
        ([{"constant": "1", "task": "x"}] * 4, "no number"),
        ([{"constant": "1", "task": "nan"}] * 4, "nan in column task, line 2: no number"),
        ([{"constant": "1", "task": "2"}] * 4, "task: the same in each transient"),
        ([{"constant": "1", "a": f"{j}", "b": f"{2 * j}"} for j in range(4)], "b: given by those"),
    ],
)
def test_a_bad_table_is_told(rows, words):
    with pytest.raises(DataError, match=words):
        given_design(rows, 4)

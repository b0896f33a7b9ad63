"""Designs of the joint fit."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fit.design import condition_design, convolved, given_design, linewidth_design

LABELS = ["rest"] * 4 + ["task"] * 4 + ["rest"] * 4


def test_boxcar_is_one_in_the_task():
    design = condition_design(LABELS, "rest")
    assert design.names == ("constant", "task", "drift_1")
    assert design.contrasts == ("task",)
    np.testing.assert_array_equal(design.matrix[:, 1], [0] * 4 + [1] * 4 + [0] * 4)


def test_drifts_have_mean_zero():
    design = condition_design(LABELS, "rest", drift_order=3)
    np.testing.assert_allclose(design.matrix[:, 2:].mean(axis=0), 0, atol=1e-12)


def test_fir_has_a_column_per_transient_after_the_onset():
    design = condition_design(LABELS, "rest", regressor="fir", drift_order=0)
    assert design.contrasts == ("task_0", "task_1", "task_2", "task_3")
    np.testing.assert_array_equal(design.matrix[4:8, 1:], np.eye(4))


def test_a_long_block_convolved_reaches_one_and_lags():
    course = convolved(np.r_[np.zeros(10), np.ones(40), np.zeros(20)], 2.0)
    assert course[:10].max() == 0.0
    assert course[10] < 0.1 < course[13]
    assert course[45] == pytest.approx(1.0, abs=0.01)
    assert course[50] > 0.8


def test_linewidth_takes_all_tasks_together():
    width = linewidth_design(["rest", "a", "b", None], "rest")
    assert width.names == ("bold", "drift_1")
    np.testing.assert_array_equal(width.matrix[:, 0], [0, 1, 1, 0])
    np.testing.assert_allclose(width.matrix[:, 1], [-1, -1 / 3, 1 / 3, 1])


def test_a_table_of_nilearn_is_read_with_its_drifts():
    rows = [
        {"task": str(t), "drift_1": str(d), "constant": "1.0", "linewidth_bold": str(t)}
        for t, d in zip((0, 0, 1, 1), (-0.5, -0.1, 0.1, 0.5))
    ]
    design, width = given_design(rows, 4)
    assert design.contrasts == ("task",)
    assert width.names == ("linewidth_bold",)


@pytest.mark.parametrize(
    "rows, words",
    [
        ([{"constant": "1"}] * 3, "3 rows"),
        ([{"task": "1"}] * 4, "no column constant"),
        ([{"constant": "1", "task": "x"}] * 4, "no number"),
        ([{"constant": "1", "task": "nan"}] * 4, "nan in column task, line 2: no number"),
        ([{"constant": "1", "task": "2"}] * 4, "depend"),
    ],
)
def test_a_bad_table_is_told(rows, words):
    with pytest.raises(DataError, match=words):
        given_design(rows, 4)

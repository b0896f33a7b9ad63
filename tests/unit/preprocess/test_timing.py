"""When transients were excited: several excitations each, water between them."""

from __future__ import annotations

import numpy as np

from fmrsflow.preprocess.timing import Timing


def test_one_excitation_each_is_a_repetition_time_apart():
    timing = Timing.of(3, [], 1, 2.0)
    assert timing.time_s(timing.rows).tolist() == [0.0, 2.0, 4.0]
    assert timing.labels(["rest", "rest", "task"], timing.rows) == ["rest", "rest", "task"]


def test_a_mean_of_eight_stands_in_their_middle():
    timing = Timing.of(2, [], 8, 2.0)
    assert timing.n_excitations == 16
    assert timing.time_s(timing.rows).tolist() == [7.0, 23.0]
    labels = timing.labels(["rest"] * 8 + ["task"] * 8, timing.rows)
    assert labels == ["rest", "task"]


def test_a_mean_over_an_edge_has_no_condition():
    timing = Timing.of(3, [], 4, 1.0)
    excited = ["rest"] * 6 + ["task"] * 6
    assert timing.labels(excited, timing.rows) == ["rest", None, "task"]


def test_water_takes_its_own_time():
    timing = Timing.of(4, [0, 3], 1, 2.0)
    assert timing.rows.tolist() == [1, 2, 4, 5] and timing.n_excitations == 6
    assert timing.time_s(timing.rows).tolist() == [2.0, 4.0, 8.0, 10.0]
    assert timing.time_s(timing.water).tolist() == [0.0, 6.0]
    assert np.all(timing.time_s(np.array([0.5])) == 1.0)

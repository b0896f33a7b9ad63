"""When transients were excited: several excitations each, water between them."""

from __future__ import annotations

from fmrsflow.preprocess.timing import Timing


def test_one_excitation_each_is_a_repetition_time_apart():
    timing = Timing.of(3, 1, 2.0)
    assert timing.scan_at.tolist() == [0.0, 1.0, 2.0] and timing.n_excitations == 3
    assert timing.labels(["rest", "rest", "task"]) == ["rest", "rest", "task"]


def test_a_mean_of_eight_stands_in_their_middle():
    timing = Timing.of(2, 8, 2.0)
    assert timing.n_excitations == 16
    assert timing.scan_at.tolist() == [3.5, 11.5]
    assert timing.labels(["rest"] * 8 + ["task"] * 8) == ["rest", "task"]


def test_a_mean_over_an_edge_has_no_condition():
    timing = Timing.of(3, 4, 1.0)
    assert timing.labels(["rest"] * 6 + ["task"] * 6) == ["rest", None, "task"]


def test_water_takes_its_own_time():
    timing = Timing.of(4, 1, 2.0, [0, 3])
    assert timing.scan.ravel().tolist() == [1, 2, 4, 5] and timing.n_excitations == 6
    assert timing.water_at.tolist() == [0.0, 3.0]
    excited = ["rest"] * 3 + ["task"] * 3
    assert timing.water_labels(excited) == ["rest", "task"]


def test_neighbouring_water_is_one_group():
    timing = Timing.of(4, 1, 2.0, [0, 1, 4])
    assert [one.tolist() for one in timing.water_groups] == [[0, 1], [2]]
    assert timing.water_at.tolist() == [0.5, 4.0]
    assert timing.water_labels(["rest", "task", "task", "task", "task", "rest", "rest"]) == [
        None,
        "task",
    ]


def test_water_before_each_phase_cycle_makes_it_longer():
    """Archibald 2020: 16 excitations after one of water, 17 repetition times in all."""
    timing = Timing.of(20, 16, 4.0, water_first=True)
    assert timing.n_excitations == 340
    assert timing.water_at.tolist() == [17.0 * j for j in range(20)]
    assert timing.scan_at[:2].tolist() == [8.5, 25.5]

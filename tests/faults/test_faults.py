"""The fault harness in small numbers; `python benchmarks/run.py scale` runs the full ones."""

from __future__ import annotations

import shutil

import pytest
import surroundings
from small_study import finished_study

import faults

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Scratch with the small study after an undisturbed run."""
    folder = tmp_path_factory.mktemp("faults")
    finished_study(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def without_harm(*found: faults.Fault) -> bool:
    print(*found, sep="\n")
    return all(fault.harmless for fault in found)


def test_three_kills_of_one_run_cost_no_scan_and_no_byte(work):
    counts = faults.kills(3, work, seed=1, per_run=3)
    print(counts)
    assert (counts.tried, counts.harm) == (3, ())


def test_mutated_inputs_give_no_crash_no_hang_and_no_silent_wrong_number(work):
    counts = faults.mutations(24, work, seed=1)
    print(counts)
    assert (counts.tried, counts.harm) == (24, ())


def test_a_disk_that_fills_up_is_told_and_the_run_resumes(work):
    try:
        assert without_harm(surroundings.full_disk(work))
    except surroundings.Unavailable as reason:
        pytest.skip(str(reason))


def test_results_that_cannot_be_written_are_told(work):
    try:
        assert without_harm(surroundings.read_only(work))
    except surroundings.Unavailable as reason:
        pytest.skip(str(reason))


def test_an_input_replaced_during_the_run_is_told_and_the_next_run_is_of_the_new_one(work):
    assert without_harm(surroundings.input_replaced(work))


def test_a_second_run_in_a_folder_is_refused_and_the_first_unharmed(work):
    assert without_harm(surroundings.two_runs(work))


def test_a_jump_of_the_clock_changes_no_byte(work):
    assert without_harm(*surroundings.clock(work, [("results", -1), ("data", 1)]))

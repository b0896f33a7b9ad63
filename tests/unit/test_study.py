"""Names of files, response units, conditions of transients."""

from __future__ import annotations

import pytest

from fmrsflow.errors import DataError
from fmrsflow.events import conditions
from fmrsflow.study import Scan, Site, Study, batches, directory

NAMES = {"preprocess": "robust", "basis": "sim", "fit": "spline", "concentration": "osprey"}


def make_study(*scans, participants=()):
    site = Site("A", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own")
    return Study({"results": "results", "data_root": "d"}, {"A": site}, scans, participants)


def scan(**columns):
    return Scan(**{"site": "A", "subject": "01", "mrs": "x.rda", **columns})


def blocks(*spans):
    return [{"onset": on, "duration": length, "trial_type": "task"} for on, length in spans]


def test_output_names_are_bids_names_under_the_settings_that_made_them():
    one = scan(session="2", task="visual", acq="lAG", run="1")
    path = make_study(one).record_path("fit", NAMES, one)
    assert str(path) == (
        "results/fit-robust-sim-spline/A/sub-01/ses-2/mrs/"
        "sub-01_ses-2_task-visual_acq-lAG_run-1_desc-fit_record.json"
    )


def test_analyses_that_share_a_preprocessing_share_its_folder():
    other = {**NAMES, "fit": "poly"}
    assert directory("preprocess", NAMES) == directory("preprocess", other)
    assert directory("fit", NAMES) != directory("fit", other)


def test_a_scan_with_events_is_a_unit_of_its_own():
    study = make_study(scan(task="a", events="e.tsv"), scan(task="b", events="e.tsv"))
    assert [unit.key for unit in study.units()] == ["A/sub-01_task-a", "A/sub-01_task-b"]


def test_scans_of_two_conditions_are_one_unit_per_voxel():
    study = make_study(
        scan(task="rest", acq="l", condition="rest"),
        scan(task="vis", acq="l", condition="task"),
        scan(task="rest", acq="r", condition="rest"),
    )
    assert [(unit.key, len(unit.scans)) for unit in study.units()] == [
        ("A/sub-01_acq-l", 2),
        ("A/sub-01_acq-r", 1),
    ]


def test_the_same_label_at_two_sites_is_two_people_unless_somebody_travelled():
    here, there = scan(), Scan(site="B", subject="01", mrs="y")
    assert make_study(here).person(here) != make_study(here).person(there)
    people = tuple({"site": site, "subject": "01", "person": "P7"} for site in "AB")
    study = make_study(here, participants=people)
    assert study.person(here) == study.person(there) == "P7"


def test_a_study_survives_its_json(tmp_path):
    study = make_study(scan(task="a", events="e.tsv"))
    path = tmp_path / "study.json"
    path.write_text(study.save_text())
    assert Study.load(path) == study


def test_conditions_follow_the_time_of_excitation():
    labels = conditions(blocks((4.0, 4.0)), n_transients=6, tr_s=2.0)
    assert labels == ["rest", "rest", "task", "task", "rest", "rest"]


def test_a_block_that_starts_between_excitations_takes_the_next():
    assert conditions(blocks((3.9, 2.0)), 4, 2.0) == ["rest", "rest", "task", "rest"]


def test_an_event_between_excitations_belongs_to_the_next():
    """1 s stimuli at TR 3 s: the response is read out after the stimulus."""
    labels = conditions(blocks((1.2, 1.0), (6.0, 1.0), (10.5, 1.0)), 6, 3.0)
    assert labels == ["rest", "task", "task", "rest", "task", "rest"]


def test_an_event_before_the_scan_or_behind_it_takes_no_transient():
    labels = conditions(blocks((-5.5, 1.0), (2.2, 1.5), (11.2, 0.5)), 4, 3.0)
    assert labels == ["rest", "task", "rest", "rest"]


def test_lag_leaves_out_transients_after_each_change():
    labels = conditions(blocks((4.0, 6.0)), 8, 2.0, lag_s=3.0)
    assert labels == ["rest", "rest", None, None, "task", None, None, "rest"]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (blocks((100.0, 4.0)), "no event lies within"),
        (blocks((0.0, 5.0), (4.0, 4.0)), "overlap"),
        (blocks((2.0, 0.0)), "no positive duration"),
        ([{"onset": 4.0, "duration": 4.0, "trial_type": "all"}], "condition all: so other"),
        ([{"onset": 4.0, "duration": 4.0, "trial_type": "x:matched"}], "condition x:matched: so"),
    ],
)
def test_events_that_make_no_sense_are_told(events, message):
    with pytest.raises(DataError, match=message):
        conditions(events, 8, 2.0)


def test_rounding_of_onsets_does_not_move_a_transient():
    """7 * 1.1 s is 7.700000000000001 in floating point; an onset of 7.7 s begins there."""
    labels = conditions(blocks((7.7, 2.2)), 10, 1.1)
    assert labels[6:9] == ["rest", "task", "task"]


def test_batches_keep_order_and_lose_nothing():
    assert batches(range(5), 2) == [(0, 1), (2, 3), (4,)]


def test_scans_that_the_sheet_names_as_one_unit_are_one_whatever_their_session_and_run():
    study = make_study(
        scan(session="1", task="rest", run="1", condition="rest", unit="pain"),
        scan(session="1", task="pain", run="2", events="e.tsv", unit="pain", arm="stimulus"),
        scan(session="1", task="pain", run="3", events="e.tsv"),
        scan(site="B", task="rest", condition="rest", unit="pain"),
    )
    assert [(unit.key, len(unit.scans)) for unit in study.units()] == [
        ("A/sub-01_unit-pain", 2),
        ("A/sub-01_ses-1_task-pain_run-3", 1),
        ("B/sub-01_unit-pain", 1),
    ]
    assert study.units()[0].members == [
        "A/sub-01_ses-1_task-rest_run-1",
        "A/sub-01_ses-1_task-pain_run-2",
    ]


def test_sessions_and_regions_of_a_person_are_never_mixed_up():
    study = make_study(
        *(
            scan(session=session, acq=acq, task=task, condition=task)
            for session in ("1", "2", "3")
            for acq in ("left", "right")
            for task in ("rest", "memory")
        )
    )
    assert len(study.units()) == 6
    for unit in study.units():
        assert {one.condition for one in unit.scans} == {"rest", "memory"}
        assert len({(one.session, one.acq) for one in unit.scans}) == 1

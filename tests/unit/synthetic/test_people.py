"""Identities and true values: spread as the plan says, whoever else is in the study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.concentration import Tissue
from fmrsflow.synthetic.acquisition import protocol_of
from fmrsflow.synthetic.normal import CONCENTRATIONS
from fmrsflow.synthetic.people import scans, true_changes, true_concentrations, visits
from fmrsflow.synthetic.plan import Concentrations, Participants, ResponsePlan, load_plan

STUDY = load_plan("standardised-3t")


def changes(plan) -> dict[tuple[str, str], float]:
    found = {}
    for visit in visits(plan):
        scan = next(scans(plan, visit))
        found[visit.site.name, visit.subject] = true_changes(plan, scan)["Glu"]
    return found


def test_true_values_do_not_depend_on_who_else_takes_part():
    few = replace(
        STUDY, sites=STUDY.sites[3:5][::-1], participants=replace(STUDY.participants, per_site=4)
    )
    everybody = changes(STUDY)
    for who, value in changes(few).items():
        assert everybody[who] == value


def test_another_seed_makes_other_people():
    assert changes(STUDY) != changes(replace(STUDY, seed=STUDY.seed + 1))


def test_variance_components_of_the_response_are_those_of_the_plan():
    big = replace(
        STUDY,
        sites=tuple(replace(STUDY.sites[0], name=f"s{n}") for n in range(200)),
        participants=Participants(per_site=10),
        responses={"Glu": ResponsePlan(2.5, site_sd=1.0, participant_sd=1.5)},
    )
    values = np.array(list(changes(big).values())).reshape(200, 10)
    within = values.var(axis=1, ddof=1).mean()
    between = values.mean(axis=1).var(ddof=1) - within / 10
    # Relative SE of a variance with n degrees of freedom: sqrt(2 / n).
    assert within == pytest.approx(1.5**2, rel=4 * np.sqrt(2 / 1800))
    assert between == pytest.approx(1.0, rel=4 * 1.3 * np.sqrt(2 / 199))
    assert values.mean() == pytest.approx(2.5, abs=4 * np.sqrt((1 + 0.225) / 200))


def test_concentrations_spread_by_their_coefficients_of_variation():
    big = replace(
        STUDY,
        sites=STUDY.sites[:1],
        participants=Participants(per_site=1500),
        concentrations=Concentrations(participant_cv=0.10),
    )
    rows = [true_concentrations(big, next(scans(big, visit))) for visit in visits(big)]
    logs = np.log([row["Glu"] for row in rows])
    assert logs.std() == pytest.approx(0.10, rel=4 / np.sqrt(2 * 1500))
    assert logs.mean() == pytest.approx(np.log(CONCENTRATIONS["Glu"]), abs=4 * 0.1 / np.sqrt(1500))
    ratio = {round(row["Cr"] / row["PCr"], 9) for row in rows}
    assert len(ratio) == 1, "Cr and PCr vary as one"


def test_sites_differ_half_by_their_calibration_and_half_by_metabolite():
    big = replace(
        STUDY,
        sites=tuple(replace(STUDY.sites[0], name=f"s{n}") for n in range(600)),
        participants=Participants(per_site=1),
        concentrations=Concentrations(site_cv=0.10, participant_cv=0.0),
    )
    rows = [true_concentrations(big, next(scans(big, visit))) for visit in visits(big)]
    logs = np.log([[row["Glu"], row["mI"]] for row in rows])
    assert logs.std(axis=0) == pytest.approx([0.10, 0.10], rel=4 / np.sqrt(2 * 600))
    # Standard error of a correlation of 0.5: (1 - 0.25) / sqrt(n).
    assert np.corrcoef(logs.T)[0, 1] == pytest.approx(0.5, abs=4 * 0.75 / np.sqrt(600))


def test_a_traveller_is_one_person_everywhere():
    plan = replace(STUDY, participants=Participants(per_site=1, travelling=1))
    travellers = [visit for visit in visits(plan) if visit.person == "travel01"]
    assert len(travellers) == len(plan.sites)
    assert len({visit.age for visit in travellers}) == 1
    plan = replace(plan, responses={"Glu": ResponsePlan(2.0, participant_sd=1.0)})
    assert len({true_changes(plan, next(scans(plan, visit)))["Glu"] for visit in travellers}) == 1


def test_korotkov_has_the_four_changes_in_rest_and_task_scans():
    plan = load_plan("korotkov2026")
    everything = [scan for visit in visits(plan) for scan in scans(plan, visit)]
    assert len(everything) == 8
    assert {scan.condition for scan in everything} == {"rest", "memory"}
    found = {
        (scan.visit.subject, scan.region.acq): true_changes(plan, scan)["Glu"]
        for scan in everything
    }
    assert found == {
        ("01", "left"): -6.6,
        ("01", "right"): -2.2,
        ("02", "left"): 6.9,
        ("02", "right"): 0.6,
    }


def test_rest_and_task_scans_of_a_voxel_differ_in_the_response_alone():
    plan = load_plan("korotkov2026")
    rest, task = list(scans(plan, next(visits(plan))))[:2]
    made = [protocol_of(plan, scan, Tissue(0.6, 0.3, 0.1), np.eye(4))[0] for scan in (rest, task)]
    assert (rest.condition, task.condition) == ("rest", "memory")
    assert made[0].amplitudes == made[1].amplitudes
    assert made[0].reference == made[1].reference
    assert not made[0].response.any() and made[1].response.all()
    assert made[1].changes_percent == {"Glu": -6.6}


def test_sessions_and_regions_give_scans_of_distinct_names():
    plan = replace(load_plan("korotkov2026"), participants=Participants(per_site=2, sessions=3))
    stems = [scan.stem for visit in visits(plan) for scan in scans(plan, visit)]
    assert len(stems) == len(set(stems)) == 2 * 3 * 2 * 2
    assert "sub-01_ses-2_task-memory_acq-left" in stems

"""Editions: valid studies and configurations, sites that differ by what they say."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import yaml

from fmrsflow.mismatch.factors import FACTORS
from fmrsflow.mismatch.variants import (
    CONTESTANTS,
    EDITIONS,
    EVERYTHING,
    FOREIGN,
    FOREIGN_SITE,
    LIMITS,
    NOMINAL,
    PUBLISHED,
    snr_of,
)
from fmrsflow.sheets import read_study
from fmrsflow.synthetic.consortium import write_sheets
from fmrsflow.synthetic.plan import parse_plan


@pytest.fixture(scope="module", params=sorted(EDITIONS))
def edition(request):
    return EDITIONS[request.param]


@pytest.fixture(scope="module")
def plan(edition):
    return parse_plan(yaml.safe_dump(edition.plan()))


def test_a_dose_changes_its_own_key_and_no_other(edition, plan):
    sites = {site.name: asdict(site) for site in plan.sites}
    keys = {one.name: one.key for one in FACTORS}
    for variant in edition.variants():
        nominal = sites[f"{NOMINAL}at{variant.field_t}T"]
        own = sites[variant.site]
        changed = {key for key in own if own[key] != nominal[key]} - {"name", "draws"}
        if variant.factor == FOREIGN:
            assert changed == set(FOREIGN_SITE[variant.field_t]), variant.site
        elif variant.factor in keys:
            assert changed == {keys[variant.factor]}, variant.site
        elif not variant.truth:
            assert changed == {keys[name] for name in variant.doses}, variant.site


def test_the_published_variant_has_the_perturbed_values_of_the_definition(edition, plan):
    """docs/science.md#perturbed: +2.0 Hz, 1.5 Hz, 5 degrees, 0.05 of the largest peak."""
    sites = {site.name: site for site in plan.sites}
    one, nominal = (sites[f"{name}at3T"] for name in (PUBLISHED, NOMINAL))
    assert one.lorentz_hz.mean - nominal.lorentz_hz.mean == 2.0
    assert (one.fixed_drift_hz, one.phase_offset_deg, one.baseline) == (1.5, 5.0, 0.05)
    assert (nominal.fixed_drift_hz, nominal.phase_offset_deg, nominal.baseline) == (0, 0, 0)


def test_decibels_are_ratios_of_amplitudes():
    assert snr_of(20) == 10.0 and snr_of(5) == pytest.approx(1.778, abs=1e-3)


def test_where_a_step_has_the_truth_nothing_is_left_to_correct():
    plan = parse_plan(yaml.safe_dump(EDITIONS["full"].plan()))
    sites = {site.name: site for site in plan.sites}
    still = sites[f"{EVERYTHING}truealignmentat7T"]
    names = ("fixed_drift_hz", "jump_hz", "phase_offset_deg", "movement_probability",
             "frequency_step_hz", "frequency_jitter_hz", "phase_jitter_deg")  # fmt: skip
    assert all(getattr(still, name) == 0 for name in names)
    assert sites[f"{EVERYTHING}truewaterat3T"].residual_water.mean == 0
    assert sites[f"{EVERYTHING}trueeddyat3T"].eddy_hz == 0
    assert sites[f"{EVERYTHING}truetissueat3T"].tissue_error == 0
    assert still.lorentz_hz == sites[f"{EVERYTHING}at7T"].lorentz_hz


def test_repetitions_differ_by_their_random_numbers_alone():
    edition = EDITIONS["full"]
    again = [one for one in edition.variants() if one.draw]
    combined = {NOMINAL, PUBLISHED, LIMITS, FOREIGN, EVERYTHING}
    assert {one.factor for one in again} == {*combined, "movement"}
    assert {one.dose for one in again} == {None, 0.05, 0.1}
    sites = {one["name"]: one for one in edition.plan()["sites"]}
    for one in again:
        first = next(v.site for v in edition.variants() if v.key == one.key and not v.draw)
        differ = {k for k, v in sites[one.site].items() if sites[first].get(k) != v}
        assert differ == {"name", "draws"}


def test_each_run_is_a_study_without_a_fault(edition, plan, tmp_path, monkeypatch):
    write_sheets(plan, tmp_path / "data" / "config")
    sites = {one.site for one in edition.variants()}
    for run in edition.runs(("fslmrs", "lcmodel")):
        (tmp_path / run.name).mkdir()
        monkeypatch.chdir(tmp_path / run.name)
        study = read_study(edition.config(run))
        assert set(study.sites) >= set(run.sites) and set(run.sites) <= sites
        assert {scan.site for scan in study.scans} == set(run.sites)
        assert set(study.config["analyses"]) == set(run.analyses)


def test_every_contestant_is_analysed_in_the_full_edition():
    runs = EDITIONS["full"].runs(("fslmrs", "lcmodel"))
    analysed = {analysis for run in runs for analysis in run.analyses}
    assert {one.analysis for one in CONTESTANTS} <= analysed


def test_an_absent_engine_is_left_out():
    assert "engines" not in {run.name for run in EDITIONS["full"].runs()}

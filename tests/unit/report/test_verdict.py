"""The verdict follows from records, limits and controls, and says why."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fmrsflow.report.pages import scan_page
from fmrsflow.report.verdict import broad_hz, verdict
from fmrsflow.report.words import control_told, controls_words


def with_record(results, stage, **changes):
    record = {**results.records[stage], **changes}
    return replace(results, records={**results.records, stage: record})


def test_a_good_scan_is_to_be_used_and_nothing_is_held_against_it(results):
    judged = verdict(results)
    assert (judged.kind, judged.reasons) == ("use", ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fwhm_tcr_hz": 9.5}, "broad lines: tCr 9.5 Hz wide (good below 9 Hz at this field)"),
        ({"snr_tcr": 12.0}, "weak signal: tCr SNR 12 (excluded below 10)"),
        ({"drift_hz": -14.0}, "frequency drifted by 14.0 Hz"),
        ({"n_kept": {"rest": 60}, "n_removed": {"rest": 20}}, "20 of 80 transients rejected"),
        ({"warnings": ["no water reference"]}, "no water reference"),
    ],
)
def test_what_is_near_a_limit_asks_for_care_and_is_named(results, changes, reason):
    judged = verdict(with_record(results, "preprocess", **changes))
    assert judged.kind == "care"
    assert any(reason in one for one in judged.reasons)


def test_an_uncertain_glutamate_asks_for_care(results):
    rows = [
        {**row, "se_percent": 31.0} if row["metabolite"] == "Glu" else row
        for row in results.concentrations
    ]
    judged = verdict(replace(results, concentrations=rows))
    assert judged.kind == "care"
    assert "glutamate is uncertain (rest: standard error 31 %)" in judged.reasons


def test_a_flagged_negative_control_asks_for_care(results):
    rows = [{**results.controls[0], "flag": "tCr changed by 4.1 %, more than its limit"}]
    judged = verdict(replace(results, controls=rows))
    assert judged.reasons == ("negative control: tCr changed by 4.1 %, more than its limit",)


CONTROL = {"control": "tCr change, blocks", "se": 1.0, "unit": "percent", "flag": ""}


@pytest.mark.parametrize(
    ("value", "limit", "flag", "told", "against"),
    [
        (0.5, 2.0, "", "inside its limit", False),
        (-3.0, 2.0, "", "above its limit of 2", True),
        (0.5, math.nan, "", "told only: it has no limit", False),
        (math.nan, 2.0, "cannot be estimated", "cannot be estimated", True),
        (math.nan, 2.0, "", "not computed", True),
        (math.nan, math.nan, "", "not computed", True),
    ],
)
def test_only_a_control_with_a_value_and_a_limit_is_called_inside_it(
    results, value, limit, flag, told, against
):
    control = {**CONTROL, "value": value, "limit": limit, "flag": flag}
    assert control_told(control) == (told, against)
    shown = replace(results, controls=[control])
    judged = verdict(shown)
    assert (judged.kind == "care") == against
    if against:
        assert judged.reasons == (f"negative control: tCr change, blocks {told}",)
    page = scan_page(shown)
    assert told in page and "in order" not in page


def test_how_many_controls_say_anything_is_told():
    rows = [
        {**CONTROL, "value": value, "limit": limit}
        for value, limit in ((0.5, 2.0), (0.1, 2.0), (0.5, math.nan), (math.nan, 2.0))
    ]
    assert controls_words(rows) == (
        "2 of 2 negative controls with a limit inside it; 1 without a limit; 1 could not be "
        "computed."
    )
    assert controls_words([]) == "No negative control was computed."


def test_a_flag_of_the_response_that_is_no_control_asks_for_care(results):
    told = with_record(results, "response", flags=["the scans' waters differ by 30 %"])
    assert verdict(told).reasons == ("flag of the response: the scans' waters differ by 30 %",)


def test_an_excluded_scan_tells_the_limit_it_broke(results):
    broad = {"fwhm_tcr_hz": 13.1, "fwhm_tcr_ppm": 13.1 / 127.7}
    judged = verdict(with_record(results, "preprocess", **broad))
    reason = "tCr FWHM 0.103 ppm (13.1 Hz) > 0.094 ppm (quality: max_fwhm_tcr_ppm)"
    assert (judged.kind, judged.reasons) == ("excluded", (reason,))


def test_a_failed_scan_tells_stage_and_reason(results):
    failed = with_record(
        results, "fit", status="failed", failed_at="preprocess", reason="no transient left"
    )
    judged = verdict(failed)
    assert (judged.kind, judged.reasons) == ("failed", ("preprocess: no transient left",))


def test_a_missing_t1w_is_no_failure_of_the_scan(results):
    without = with_record(
        results, "anatomy", status="failed", failed_at="anatomy", reason="scans.tsv names no T1w"
    )
    judged = verdict(without)
    assert judged.kind == "care"
    assert judged.reasons == ("no tissue fractions: scans.tsv names no T1w",)


def test_a_line_width_is_judged_by_the_field():
    class Scan:
        limits = {"max_fwhm_tcr_ppm": 0.094}

        def __init__(self, field_t):
            self.site = type("Site", (), {"field_t": field_t})

        def record(self, stage):
            return {}

    assert broad_hz(Scan(3.0)) == pytest.approx(0.07 * 127.7, rel=1e-3)
    assert broad_hz(Scan(7.0)) == pytest.approx(0.07 * 298.0, rel=1e-3)
    # A limit of exclusion below it takes its place.
    Scan.limits = {"max_fwhm_tcr_ppm": 0.06}
    assert broad_hz(Scan(3.0)) == pytest.approx(0.06 * 127.7, rel=1e-3)


def test_a_scan_at_rest_can_be_used_without_a_response(results):
    resting = with_record(
        results, "response", status="failed", failed_at="response", reason="one condition only"
    )
    judged = verdict(replace(resting, controls=()))
    assert judged.kind == "care"
    assert judged.reasons == ("no response to a task: one condition only",)


def test_a_scan_that_is_still_running_is_not_judged_good(results):
    records = {stage: r for stage, r in results.records.items() if stage in ("convert", "anatomy")}
    judged = verdict(replace(results, records=records))
    assert (judged.label, judged.reasons) == (
        "Not finished yet",
        ("preprocess has not run yet, or ended in a fault; the next run does it again",),
    )

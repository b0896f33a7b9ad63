"""Values that no brain has, and a scan that differs from its site."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.plausibility import (
    LEAST_SCANS,
    MOLAL,
    line_reports,
    molal_ranges,
    scale_doubts,
    scale_outliers,
    scale_reports,
    tissue_reports,
    unusual_scale,
    water_outliers,
)


@pytest.mark.parametrize("value", [4.5, 8.0, 13.0])
def test_what_brains_have_passes(value):
    assert scale_reports({"tCr": [value, value]}) == [] == scale_reports({})


@pytest.mark.parametrize(
    ("value", "told"), [(4.7, 1), (15.6, 1), (6.2, 1), (7.5, 0), (12.4, 0), (3.0, 0), (18.0, 0)]
)
def test_what_few_brains_have_is_told_and_kept(value, told):
    found = unusual_scale({"tCr": [value]})
    assert len(found) == told and all("water reference" in one for one in found)
    assert unusual_scale({}) == []


@pytest.mark.parametrize("value", [0.57, 2.9, 18.0, 359.0, float("nan")])
def test_what_no_brain_has_is_told(value):
    (told,) = scale_reports({"tCr": [value], "Glu": [1.3 * value]})
    assert f"tCr is {value:.3g} mmol/kg" in told and "not to be used" in told


@pytest.mark.parametrize(
    ("tcr", "averages", "whose"),
    [
        (0.5, (16, 64), "water reference"),
        (128, (None, 16), "scan"),
        (0.5, (2, 64), ""),
        (3, (), ""),
    ],
)
def test_a_sum_is_named_where_the_header_tells_as_many_averages(tcr, averages, whose):
    (told,) = scale_reports({"tCr": [tcr]}, averages)
    assert (f"the header of the {whose} tells 16 averages" in told) is bool(whose)


def test_one_substance_that_no_brain_has_is_told_by_name():
    (told,) = scale_reports({"tCr": [8.0], "Glu": [30.0], "mI": [6.0]})
    assert told.startswith("Glu is 30 mmol/kg, a brain has 4.6 to 22.4")


def test_molal_ranges_hold_every_healthy_value():
    for name, known in MOLAL.items():
        low, high = molal_ranges()[name]
        assert known.low < low < high < known.high


@pytest.mark.parametrize(
    ("fwhm_hz", "field_t", "told"),
    [(1.0, 3.0, True), (2.5, 3.0, False), (2.5, 7.0, True), (4.0, 7.0, False), (0.1, 5.0, False)],
)
def test_no_line_of_a_brain_is_narrower_than_its_t2(fwhm_hz, field_t, told):
    assert bool(line_reports(fwhm_hz, field_t)) is told
    assert line_reports(float("nan"), 3.0) == []


@pytest.mark.parametrize(
    ("total", "csf", "words"),
    [(0.98, 0.2, []), (0.8, 0.2, ["80 % of the voxel"]), (1.0, 0.7, ["70 % of the voxel are CSF"])],
)
def test_a_voxel_that_no_study_plans_is_told(total, csf, words):
    found = tissue_reports(total, csf)
    assert len(found) == len(words) and all(a in b for a, b in zip(words, found))


def test_a_reference_of_sixteen_times_the_water_stands_out_of_its_site():
    """Heads and coils differ by a factor of two between people, a sum by 16."""
    values = np.random.default_rng(4).uniform(1.0, 2.0, 8)
    values[3] *= 16
    waters = {("A", f"A/{n}"): value for n, value in enumerate(values)}
    ((place, scan, text),) = water_outliers(waters)
    assert (place, scan) == ("A", "A/3") and "signal per volume" in text
    two = water_outliers({("A", "A/0"): 1.0, ("A", "A/1"): 16.0})
    assert [scan for _, scan, _ in two] == ["A/0", "A/1"]  # which of the two, nobody knows
    assert water_outliers({("A", "A/0"): 1.0, ("A", "A/1"): 3.0, ("B", "B/0"): 90.0}) == []


def site(name: str, values) -> list[dict]:
    return [
        {"site": name, "scan": f"{name}/{n}", "metabolite": "tCr", "quantity": "molal", "value": v}
        for n, v in enumerate(values)
    ]


def test_a_scan_of_twice_the_scale_stands_out_of_its_site():
    """Six normal people with a CV of 10 %, one of them with half the receiver gain."""
    values = np.random.default_rng(2).normal(8, 0.8, 6)
    values[0] *= 2
    rows = site("A", values) + site("B", np.random.default_rng(3).normal(9, 0.9, 40))
    ((place, scan, text),) = scale_outliers(rows)
    assert (place, scan) == ("A", "A/0") and "receiver gain" in text


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([8.0, 8.5, 16.0], ["A/2"]),
        ([9.2, 4.6], ["A/0", "A/1"]),
        ([9.2], []),
        ([8.0, 11.0, 9.0, 10.0], []),
        ([9.0, 9.0, 9.0, 9.0, 18.0], []),  # of five the median tells
    ],
)
def test_few_scans_tell_of_a_doubt_and_withhold_nothing(values, told):
    assert [scan for _, scan, _ in scale_doubts(site("A", values))] == told
    assert len(values) >= LEAST_SCANS or scale_outliers(site("A", values)) == []


def test_people_seldom_differ_as_much_as_few_scans_are_told_for():
    """Pairs of people with an SD of an eighth each: three in a thousand (two-sided, of the
    logarithm: 1.7 is 3.0 SD); Monte Carlo error of 20,000 pairs 0.0004."""
    people = np.exp(np.random.default_rng(9).normal(0, 0.125, (20_000, 2)))
    told = sum(bool(scale_doubts(site("A", pair))) for pair in people) / len(people)
    assert told < 0.0027 + 4 * 0.0004

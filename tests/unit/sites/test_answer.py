"""The consortium's tables: known truth found, degenerate designs told one by one."""

import math

import numpy as np
import pytest

from fmrsflow.sites.answer import changes
from fmrsflow.sites.levels import agreement, levels, variation
from fmrsflow.sites.multiverse import choice_variance, specification
from fmrsflow.sites.variance import Sample
from fmrsflow.tables.sites import TABLES


def component(tables, name):
    return next(row for row in tables["variance"] if row["component"] == name)


def test_known_mean_and_components_lie_in_their_intervals(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(1), 20, 20)
    tables = changes(rows, make_sites(20), settings | {"bootstraps": 50})
    answer = tables["meta"][0]
    assert answer["low_percent"] < 3.0 < answer["high_percent"]
    assert answer["tau_low_percent"] < 0.8 < answer["tau_high_percent"]
    for name, sd in (("site", 0.8), ("participant", 1.5)):
        row = component(tables, name)
        assert row["sd_low"] < sd < row["sd_high"]
        share = 100 * sd**2 / (0.8**2 + 1.5**2 + 1.0)
        assert row["low_share_percent"] < share < row["high_share_percent"]
        assert row["boot_low_share_percent"] <= row["share_percent"]
        assert row["boot_high_share_percent"] >= row["share_percent"]
    assert component(tables, "measurement")["sd"] == pytest.approx(1.0)
    shares = [row["share_percent"] for row in tables["variance"]]
    assert np.nansum(shares) == pytest.approx(100)


def test_every_table_has_its_columns_described(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(2), 6, 4, sessions=2)
    tables = changes(rows, make_sites(6), settings) | agreement(rows, [])
    assert [name for name, found in tables.items() if not found] == ["bland_altman"]
    for name, found in tables.items():
        for row in found:
            assert set(row) <= set(TABLES[name]), name


def test_two_sessions_tell_sessions_from_participants(make_responses, make_sites, settings):
    rng = np.random.default_rng(3)
    rows = make_responses(rng, 12, 12, se=0.5, sessions=2)
    for row in rows:
        row["change_percent"] += rng.normal(0, 0.7)
    tables = changes(rows, make_sites(12), settings)
    assert component(tables, "session")["sd_low"] < 0.7 < component(tables, "session")["sd_high"]
    row = component(tables, "participant")
    assert row["sd_low"] < 1.5 < row["sd_high"]
    assert tables["meta"][0]["n_participants"] == 144


def test_travelling_participants_are_crossed_with_sites(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(4), 8, 6, se=0.5, travel=True)
    tables = changes(rows, make_sites(8), settings)
    answer = tables["meta"][0]
    assert answer["n_participants"] == 6
    assert "crossed" in answer["method"]
    row = component(tables, "participant")
    assert row["sd_low"] < 1.5 < row["sd_high"]
    # The people are the same at all sites, so more sites do not make their mean surer.
    assert answer["se_percent"] > 1.5 / math.sqrt(48)


def test_an_effect_of_the_protocol_is_found_and_not_equivalent(
    make_responses, make_sites, settings
):
    sites = make_sites(12)
    rows = make_responses(np.random.default_rng(5), 12, 12, site_sd=0.3)
    for row in rows:
        row["change_percent"] += 3.0 * (sites[row["site"]]["protocol"] == "own")
    tables = changes(rows, sites, settings)
    row = next(row for row in tables["moderators"] if row["moderator"] == "protocol")
    sign = 1 if row["term"].startswith("own") else -1
    assert row["low_percent"] < sign * 3.0 < row["high_percent"]
    assert row["p"] < 0.001
    assert tables["equivalence"][0]["verdict"] == "different"


def test_excluded_scans_take_no_part_but_stand_in_the_sensitivity(
    make_responses, make_sites, settings
):
    rows = make_responses(np.random.default_rng(6), 5, 6)
    rows[0] |= {"used": False, "change_percent": 1000.0}
    tables = changes(rows, make_sites(5), settings)
    assert tables["meta"][0]["n"] == 29
    by_scans = {row["scans"]: row for row in tables["sensitivity"]}
    assert by_scans["used"]["n"] == 29 and by_scans["with excluded"]["n"] == 30
    assert by_scans["with excluded"]["change_percent"] > 10


def test_a_site_with_all_scans_excluded_is_told(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(7), 4, 3)
    for row in rows:
        row["used"] = row["site"] != "s02"
    tables = changes(rows, make_sites(4), settings)
    row = next(row for row in tables["sites"] if row["site"] == "s02")
    assert row["n"] == 0
    assert row["reason"] == "cannot be estimated because none of its 3 scans can be used"
    assert tables["meta"][0]["n_sites"] == 3


def test_one_site_gives_the_mean_of_its_participants(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(8), 1, 12)
    tables = changes(rows, make_sites(1), settings)
    values = [row["change_percent"] for row in rows]
    answer = tables["meta"][0]
    assert answer["change_percent"] == pytest.approx(np.mean(values), rel=1e-6)
    assert answer["se_percent"] == pytest.approx(np.std(values, ddof=1) / 12**0.5, rel=1e-3)
    assert "there is one site" in answer["reason"]
    assert "tau_percent" not in answer
    assert component(tables, "site")["reason"].endswith("because there is one site")
    assert math.isfinite(component(tables, "participant")["sd"])
    assert "cannot be estimated" in tables["power"][0]["reason"]


def test_one_participant_a_site_tells_site_and_participant_apart_from_nothing(
    make_responses, make_sites, settings
):
    rows = make_responses(np.random.default_rng(9), 12, 1)
    tables = changes(rows, make_sites(12), settings)
    why = "no site has more than one participant"
    assert why in component(tables, "site")["reason"]
    assert why in component(tables, "participant")["reason"]
    answer = tables["meta"][0]
    # The mean has its t interval all the same.
    values = np.array([row["change_percent"] for row in rows])
    assert answer["se_percent"] == pytest.approx(values.std(ddof=1) / 12**0.5, rel=1e-3)


def test_one_scan_in_all_is_told(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(10), 1, 1)
    tables = changes(rows, make_sites(1), settings)
    answer = tables["meta"][0]
    assert answer["change_percent"] == rows[0]["change_percent"]
    assert "low_percent" not in answer
    assert answer["reason"].startswith("cannot be estimated because there is one site with one")


def test_no_usable_scan_is_told(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(11), 3, 2)
    for row in rows:
        row["used"] = False
    answer = changes(rows, make_sites(3), settings)["meta"][0]
    assert answer["reason"] == "cannot be estimated because none of 6 scans can be used"


def test_two_sites_have_a_mean_but_no_prediction(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(12), 2, 8)
    tables = changes(rows, make_sites(2), settings)
    answer = tables["meta"][0]
    assert math.isnan(answer["prediction_low_percent"])
    assert "three sites" in answer["reason"]
    assert tables["leave_one_out"] == []
    assert "1 site with the standardised and 1" in tables["equivalence"][0]["reason"]


def test_no_variance_between_sites_gives_zero_with_an_upper_end(
    make_responses, make_sites, settings
):
    rows = make_responses(np.random.default_rng(13), 6, 10, site_sd=0.0)
    level = {}
    for row in rows:
        level.setdefault(row["site"], []).append(row["change_percent"])
    for row in rows:  # every site has the same mean
        row["change_percent"] += 3.0 - np.mean(level[row["site"]])
    tables = changes(rows, make_sites(6), settings)
    assert tables["meta"][0]["tau_percent"] == 0
    site = component(tables, "site")
    assert (site["sd"], site["sd_low"]) == (0, 0) and site["sd_high"] > 0
    # Q of 0 leaves no tau at all: an empty interval, and no knowledge that sites are alike.
    assert math.isnan(tables["meta"][0]["tau_high_percent"])
    assert "no interval of tau" in tables["meta"][0]["reason"]
    assert tables["power"][0]["sd_site_high_percent"] == pytest.approx(site["sd_high"])


def test_a_site_sd_of_zero_plans_no_study(make_responses, make_sites, settings):
    """4 sites that happen to be alike: power at the estimate is high, at the end of the interval
    that this study leaves it is not, and the page names no design by the first."""
    from fmrsflow.question import Question
    from fmrsflow.report.answers import answers

    rng = np.random.default_rng(0)
    rows = make_responses(rng, 4, 3, site_sd=0.0, person_sd=1.0, se=0.5)
    for site in make_sites(4):  # site means made alike
        own = [row for row in rows if row["site"] == site]
        shift = 3.0 - np.mean([row["change_percent"] for row in own])
        for row in own:
            row["change_percent"] += float(shift)
        own[0]["change_percent"] += 0.9 * list(make_sites(4)).index(site)
    tables = changes(rows, make_sites(4), settings)
    (mean,) = tables["meta"]
    assert mean["tau_percent"] == 0 and mean["tau_high_percent"] > 0.2
    first = tables["power"][0]
    assert first["sd_site_percent"] == 0
    highest = max(mean["tau_high_percent"], component(tables, "site")["sd_high"])
    assert first["sd_site_high_percent"] == pytest.approx(highest)
    part = component(tables, "participant")
    assert first["sd_participant_high_percent"] == pytest.approx(part["sd_high"])
    assert all(row["power_low"] <= row["power"] for row in tables["power"])
    asked = Question("Glu", "blocks", "true", "molal", "task-rest", "")
    # (the rows of this file hold `matched` as text)
    told = {name: [_read(row) for row in tables[name]] for name in ("meta", "power")}
    found = answers(told, [], asked, {}, {})
    assert "(0 to" in found["power_words"]
    least = min(
        (row for row in tables["power"] if row["power_low"] >= 0.8),
        key=lambda row: row["sites"] * row["participants"],
        default=None,
    )
    said = (
        f"80 % power is reached by {least['sites']} sites with {least['participants']} people"
        if least
        else "no design of the table reaches 80 %"
    )
    assert said in found["power_words"]
    assert ("Between sites", "0 to") in [(name, value[:4]) for name, value, _ in found["tiles"]]


def test_one_stage_of_balanced_sites_is_the_mean_over_sites(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(31), 6, 8)
    (mean,) = changes(rows, make_sites(6), settings)["meta"]
    for end in ("", "_low", "_high"):
        own = mean[f"{end.strip('_') or 'change'}_percent"]
        assert mean[f"one_stage{end}_percent"] == pytest.approx(own, abs=0.05)
    travelled = make_responses(np.random.default_rng(32), 4, 3, travel=True)
    (mean,) = changes(travelled, make_sites(4), settings)["meta"]
    assert "one_stage_percent" not in mean  # it is the answer


def _read(row):
    """As a page has it: missing numbers are NaN."""
    return {"reason": "", "role": ""} | {
        key: math.nan if value is None else value for key, value in row.items()
    }


def test_a_component_estimated_as_zero_says_that_this_is_no_knowledge(
    make_responses, make_sites, settings
):
    rows = make_responses(np.random.default_rng(12), 6, 8, site_sd=0.0)
    row = component(changes(rows, make_sites(6), settings), "site")
    assert row["sd"] == 0 and "edge" in row["reason"] and row["sd_high"] > 0


def test_equal_values_everywhere_are_told(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(14), 3, 3)
    for row in rows:
        row["change_percent"] = 3.0
    tables = changes(rows, make_sites(3), settings)
    assert "all values are the same" in component(tables, "site")["reason"]
    assert "all site means are the same" in tables["meta"][0]["reason"]


def test_one_vendor_and_single_sites_of_vendors_are_told(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(15), 3, 4)
    tables = changes(rows, make_sites(3), settings)
    assert "no vendor has more than one site" in component(tables, "vendor")["reason"]
    sites = {name: one | {"vendor": "GE"} for name, one in make_sites(3).items()}
    tables = changes(rows, sites, settings)
    assert "all scanners are of one vendor" in component(tables, "vendor")["reason"]
    row = next(row for row in tables["moderators"] if row["moderator"] == "vendor")
    assert row["reason"] == "cannot be estimated because all sites have the same vendor"


def test_missing_cells_are_no_obstacle(make_responses, make_sites, settings):
    rng = np.random.default_rng(16)
    rows = make_responses(rng, 10, 10, travel=True)
    rows = [row for row in rows if rng.uniform() > 0.4]
    answer = changes(rows, make_sites(10), settings)["meta"][0]
    assert answer["n"] == len(rows)
    assert math.isfinite(answer["low_percent"])


def test_missing_standard_errors_are_filled_and_told(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(17), 4, 4)
    rows[0]["se_percent"] = math.nan
    assert "1 values without" in changes(rows, make_sites(4), settings)["meta"][0]["reason"]


def test_standard_errors_too_large_for_the_scatter_are_told(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(18), 8, 8, person_sd=0.0, se=1.0)
    for row in rows:
        row["se_percent"] = 4.0
    tables = changes(rows, make_sites(8), settings)
    assert "scatter less than their standard errors say" in tables["meta"][0]["reason"]
    assert component(tables, "measurement")["sd"] == pytest.approx(1.0, rel=0.25)


def _level_sample(rng, cv_between, cv_within, n_sites, n_people):
    site = np.repeat(np.arange(n_sites), n_people)
    value = 10 * (
        1 + rng.normal(0, cv_between, n_sites)[site] + rng.normal(0, cv_within, len(site))
    )
    labels = tuple(f"s{j}" for j in site)
    return Sample(
        value, np.full(len(site), 0.1), labels, labels, tuple(f"p{j}" for j in range(len(site)))
    )


def test_cv_intervals_hold_the_truth():
    row = variation(_level_sample(np.random.default_rng(19), 0.08, 0.12, 15, 10))
    assert row["low_within_percent"] < 12 < row["high_within_percent"]
    assert row["low_between_percent"] < 8 < row["high_between_percent"]


def test_cv_of_single_scans_is_told():
    row = variation(_level_sample(np.random.default_rng(20), 0.08, 0.12, 5, 1))
    assert "within: cannot be estimated" in row["reason"]
    assert "between: cannot be estimated" in row["reason"]


def test_concentrations_get_components_and_cv(make_sites):
    rng = np.random.default_rng(21)
    rows = [
        {
            "site": site,
            "person": f"{site}/{j}",
            "metabolite": "Glu",
            "quantity": "molal",
            "condition": "rest",
            "region": "",
            "value": float(rng.normal(10, 1)),
            "se": 0.3,
            "water_se": 0.0,
            "unit": "mmol/kg",
            "used": True,
        }
        for site in make_sites(4)
        for j in range(5)
    ]
    tables = levels(rows, make_sites(4))
    assert len(tables["cv"]) == 1 and len(tables["variance"]) == 5
    for name in ("cv", "variance"):
        assert all(set(row) <= set(TABLES[name]) for row in tables[name])


def test_levels_count_the_water_of_a_scan_as_its_own_error(make_sites):
    """Common to the conditions of a scan, but not to scans."""
    rng = np.random.default_rng(26)
    row = {"metabolite": "Glu", "quantity": "molal", "condition": "rest", "region": ""}
    row["unit"] = "mmol/kg"
    rows = [
        row
        | {"site": site, "person": f"{site}/{j}", "used": True, "se": 0.3, "water_se": 0.4}
        | {"value": float(rng.normal(10, 1))}
        for site in make_sites(4)
        for j in range(5)
    ]
    (part,) = (
        one for one in levels(rows, make_sites(4))["variance"] if one["component"] == "measurement"
    )
    assert part["sd"] == pytest.approx(0.5)


def test_an_error_that_all_scans_share_does_not_explain_away_what_people_differ_by(make_sites):
    """A model error of 2 moves all levels together; people differ by 1. REML is unbiased here, with
    a relative error of sqrt(1 / (2 x 76)) = 8 %."""
    rng = np.random.default_rng(27)
    shift = 2.0
    rows = [
        {
            **{"metabolite": "Glu", "quantity": "molal", "condition": "rest", "region": ""},
            **{"site": site, "person": f"{site}/{j}", "used": True, "unit": "mmol/kg"},
            **{"se": 0.3, "water_se": 0.1, "model_sd": shift, "total_se": math.hypot(0.3, shift)},
            "value": 10 + shift + float(rng.normal(0, 1) + rng.normal(0, math.hypot(0.3, 0.1))),
        }
        for site in make_sites(4)
        for j in range(20)
    ]
    found = {one["component"]: one for one in levels(rows, make_sites(4))["variance"]}
    assert found["participant"]["sd"] == pytest.approx(1.0, abs=3 * 0.09)
    assert found["participant"]["sd_low"] > 0.7


def test_a_site_without_molal_values_answers_by_ratios_and_says_so(
    make_responses, make_sites, settings
):
    rng = np.random.default_rng(27)
    molal = make_responses(rng, 3, 5)
    ratios = [row | {"quantity": "ratio_tcr"} for row in make_responses(rng, 4, 5)]
    tables = changes([*molal, *ratios], make_sites(4), settings)
    by = {(row["quantity"], row["site"]): row for row in tables["sites"]}
    assert by["molal", "s03"]["n"] == 0
    assert by["molal", "s03"]["reason"] == (
        "cannot be estimated because its scans have no molal changes; they answer by ratio_tcr"
    )
    assert by["ratio_tcr", "s03"]["n"] == 5 and not by["ratio_tcr", "s03"]["reason"]
    sizes = {row["quantity"]: row["n_sites"] for row in tables["meta"]}
    assert sizes == {"molal": 3, "ratio_tcr": 4}


def test_agreement_of_travellers_and_of_nobody(make_responses):
    rows = make_responses(np.random.default_rng(22), 3, 10, se=0.3, travel=True)
    tables = agreement(rows, [])
    assert [row["over"] for row in tables["agreement"]] == ["sites"]
    assert 0.5 < tables["agreement"][0]["icc31"] <= 1
    assert len(tables["bland_altman"]) == 3
    alone = make_responses(np.random.default_rng(23), 3, 4)
    assert agreement(alone, [])["agreement"] == [
        {"reason": "cannot be estimated because nobody was measured twice"}
    ]


def test_multiverse_finds_the_share_of_the_analysis_choice(make_responses, settings):
    rng = np.random.default_rng(24)
    rows = make_responses(rng, 10, 10, se=0.01)
    worlds = {}
    for k in range(8):
        shift = rng.normal(0, 0.6)
        worlds[f"a{k}"] = [
            row | {"change_percent": row["change_percent"] + shift + rng.normal(0, 0.3)}
            for row in rows
        ]
    found = {row["component"]: row for row in choice_variance(worlds, settings)}
    for name, sd in (("site", 0.8), ("participant", 1.5), ("analysis", 0.6), ("residual", 0.3)):
        assert found[name]["sd_low_percent"] < sd < found[name]["sd_high_percent"]
    one = choice_variance({"a0": worlds["a0"]}, settings)
    assert "there is one analysis" in one[-1]["reason"]


def test_specification_curve_is_sorted_and_names_its_choices(make_responses, make_sites, settings):
    rows = make_responses(np.random.default_rng(25), 4, 4)
    tables = changes(rows, make_sites(4), settings)["sensitivity"]
    choices = {"a": {"fit": "one"}, "b": {"fit": "two"}}
    lines = specification({"a": tables, "b": tables}, choices, settings, {"a": 3.0, "b": 1.0})
    assert [line["rank"] for line in lines] == list(range(1, len(lines) + 1))
    values = [line["change_percent"] for line in lines]
    assert values == sorted(values)
    assert {line["fit"] for line in lines} == {"one", "two"}

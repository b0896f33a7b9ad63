"""Tables of the sites stage become answers; what they lack is said, not made up."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

import report_fixture as made
from fmrsflow.question import Question
from fmrsflow.report import answers as tables
from fmrsflow.report.group_pages import answer, consortium_page, site_page
from fmrsflow.report.influence_words import influence_words
from fmrsflow.report.read import (
    read_consortium,
    read_group,
    read_scan,
    read_site,
)
from fmrsflow.report.verdict import verdict
from fmrsflow.results import Results
from fmrsflow.tables import columns_of, parse_table, table_bytes
from fmrsflow.tables.sites import TABLES

KEY = {
    "metabolite": "Glu",
    "estimator": "blocks",
    "matched": True,
    "quantity": "molal",
    "contrast": "task-rest",
    "region": "",
}
ASKED = Question(*KEY.values())


def row(table: str, **values) -> dict:
    """A row of a table of the sites stage as it is read: missing where nothing is given."""
    columns = TABLES[table]
    given = {k: v for k, v in KEY.items() if k in columns} | values
    return parse_table(table_bytes([given], columns), columns, table)[0]


def ends(change: float, half: float) -> dict[str, float]:
    return {
        "change_percent": change,
        "low_percent": change - half,
        "high_percent": change + half,
    }


def test_the_answer_is_that_of_the_main_question_and_no_other():
    rows = [
        row("meta", matched=False, n_sites=4, n=12, **ends(9.0, 1.0)),
        row("meta", n_sites=4, n=12, prediction_low_percent=1.0, **ends(3.0, 1.0)),
    ]
    found = tables.answers({"meta": rows}, [], ASKED, {}, {})
    assert (found["pooled"].value, found["pooled"].low, found["pooled"].high) == (3.0, 2.0, 4.0)
    assert found["pooled"].note == "4 sites and 12 scans"
    assert "prediction" not in found  # one of its ends is missing


def test_a_site_without_an_interval_takes_no_line_of_the_forest():
    rows = [row("sites", site="A", n=3, **ends(2.0, 1.0)), row("sites", site="B", n=0)]
    assert list(tables.site_effects({"sites": rows}, ASKED)) == ["A"]


def test_shares_are_those_of_the_change_and_an_open_end_stays_open():
    rows = [
        row("variance", outcome="change", component="site", share_percent=20.0),
        row("variance", outcome="change", component="session", reason="nobody twice"),
        row("variance", outcome="concentration", component="site", share_percent=70.0),
    ]
    ((name, share, low, high),) = tables.answers({"variance": rows}, [], ASKED, {}, {})["shares"]
    assert (name, share) == ("site", 20.0)
    assert low != low and high != high


def test_leaving_sites_out_and_equivalence_are_told_in_sentences():
    left = [
        row("leave_one_out", left_out=n, change_percent=v) for n, v in (("A", 2.0), ("B", -1.0))
    ]
    same = row(
        "equivalence",
        difference_percent=-0.5,
        low90_percent=-1.5,
        high90_percent=0.5,
        margin_percent=2,
        verdict="equivalent",
    )
    first, second = tables.answers(
        {"leave_one_out": left, "equivalence": [same]}, [], ASKED, {}, {}
    )["caveats"]
    assert first == "Whichever site is left out, the mean stays between −1.0 and +2.0 %."
    assert "−0.5 percentage points" in second and "equivalent within ± 2" in second


def test_a_site_that_carries_the_answer_or_is_unlike_the_others_is_told():
    left = [
        row("leave_one_out", left_out="A", outlier_z=-5.2, outlier_limit=3.4,
            verdict="unlike the others", shift=-0.9, weight_percent=20.0, **ends(2.0, 1.0)),
        row("leave_one_out", left_out="B", outlier_z=0.2, outlier_limit=3.4,
            verdict="the answer hangs on it", shift=0.3, weight_percent=30.0, **ends(1.0, 1.5)),
    ]  # fmt: skip
    found = tables.answers({"leave_one_out": left}, [], ASKED, {}, {})
    _, first, second = found["caveats"]
    assert "A lies further below the other sites than chance explains (5.2 SDs" in first
    assert "The answer hangs on B: without it the interval is −0.5 to +2.5, which holds" in second
    words = influence_words(found["left_out"])
    assert words[-1].startswith("A moves the mean most: by −0.9 standard errors")
    plain = [{**one, "verdict": ""} for one in found["left_out"]]
    assert influence_words(plain)[0].startswith("No site lies further")


def test_an_answer_on_something_else_than_the_settings_ask_is_told():
    rows = [row("meta", estimator="joint", n_sites=4, n=12, **ends(3.0, 1.0))]
    asked = Question(**KEY | {"estimator": "joint"})
    wanted = Question("Glu", "blocks", True, "molal", "(on-off)")
    (words,) = tables.answers({"meta": rows}, [], asked, {}, {}, wanted)["caveats"]
    assert "not quite what the settings ask for" in words
    assert "joint for blocks" in words and "task-rest for (on-off)" in words


@pytest.mark.parametrize(
    ("value", "low", "told"), [(3.05, 2.0, False), (4.0, 2.9, True), (3.0, -0.1, True)]
)
def test_a_one_stage_mean_is_told_where_it_is_another(value, low, told):
    one = {"one_stage_percent": value, "one_stage_low_percent": low, "one_stage_high_percent": 5.0}
    rows = [row("meta", n_sites=4, n=12, se_percent=0.5, **ends(3.0, 1.0), **one)]
    caveats = tables.answers({"meta": rows}, [], ASKED, {}, {})["caveats"]
    assert any("One model of all scans" in text for text in caveats) is told


def test_another_contrast_is_named_and_other_regions_answer_by_themselves():
    rows = [
        row("meta", region="acc", n_sites=4, n=12, **ends(3.0, 1.0)),
        row("meta", region="pcc", n_sites=4, n=9, **ends(0.5, 1.0)),
        row("meta", region="acc-pcc", n_sites=4, n=9, **ends(2.5, 1.0)),
        row("meta", region="hip", n_sites=0, n=0, reason="cannot be estimated because of this"),
        row("meta", region="acc", contrast="hard-rest", n_sites=4, n=9, **ends(2.5, 1.0)),
    ]
    asked = Question(**KEY | {"region": "acc"})
    found = tables.answers({"meta": rows}, [], asked, {}, {})
    assert found["pooled"].value == 3.0
    contrast, regions, *others = found["caveats"]
    assert "on task-rest" in contrast and "hard-rest" in contrast
    assert "never averaged" in regions
    assert "glutamate in pcc changed by +0.5 %" in others[0] and "9 scans" in others[0]
    assert "2.5 points higher in acc than in pcc" in others[1]
    assert others[2].startswith("Region hip: cannot be estimated")


@pytest.mark.parametrize(
    ("p", "adjusted", "told"), [(0.03, 0.06, True), (0.01, 0.02, False), (0.2, 0.4, False)]
)
def test_an_interval_without_zero_that_holm_does_not_bear_out_is_told(p, adjusted, told):
    rows = [row("meta", n_sites=4, n=12, p=p, p_holm=adjusted, **ends(3.0, 1.0))]
    tests = [row("tests", what="change", role=role, p=p) for role in ("main", "tested", "control")]
    caveats = tables.answers({"meta": rows, "tests": tests}, [], ASKED, {}, {})["caveats"]
    assert any("Adjusted for the 2 changes" in text for text in caveats) is told


def test_flags_of_the_responses_stand_with_the_answer():
    flags = [
        row("problems", site="A", item=f"A/sub-{n}", stage="response", kind="control", text=text)
        for n, text in enumerate(["tCr change is +4.1 percent, above 2", "waters differ by 30 %"])
    ]
    (words,) = tables.answers({"problems": flags}, [], ASKED, {}, {})["caveats"]
    assert words.startswith("2 responses with a flag") and "waters differ by 30 %" in words


def test_the_question_comes_from_the_record_and_before_that_from_the_settings():
    assert tables.question({"main": ["Lac", "joint", True, "raw", "a-b"]}, {}) == Question(
        "Lac", "joint", True, "raw", "a-b"
    )
    settings = {"metabolite": "GABA", "estimator": "joint", "quantity": "raw"}
    asked = tables.question({"main": None}, settings)
    assert (asked.metabolite, asked.words) == ("GABA", "GABA")
    assert asked == Question("GABA", "joint", True, "raw")


@pytest.mark.parametrize("n_subjects", [1, 2])
def test_a_study_of_which_nothing_is_left_still_has_its_pages(tmp_path, n_subjects):
    study = made.make_study(tmp_path, n_sites=2, n_subjects=n_subjects)
    for scan in study.scans:
        made.fail_scan(study, scan, "convert", "no file of that name below data_root")
    made.write_tables(study)
    group = read_group(Results(study), "main")
    results = read_consortium(Results(study), "main", group)
    assert "cannot be stated" in answer(results)
    page = consortium_page(results)
    assert "no file of that name below data_root" in page
    for name in study.sites:
        assert f"0 of {n_subjects} scans usable" in site_page(
            read_site(Results(study), "main", group, name)
        )


def test_one_scan_at_one_site_has_all_its_pages(tmp_path):
    from fmrsflow.report.pages import scan_page

    study = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    made.write_scan(study, study.scans[0], 5, picture=False)
    made.write_tables(study)
    group = read_group(Results(study), "main")
    assert "1 of 1 scans usable" in site_page(read_site(Results(study), "main", group, "siteA"))
    consortium_page(read_consortium(Results(study), "main", group))
    assert "No tissue fractions were measured" in scan_page(
        read_scan(Results(study), "main", study.scans[0], {})
    )


def test_pages_show_people_single_sites_and_norms_where_there_are_some(tmp_path):
    study = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    made.write_scan(study, study.scans[0], 5, picture=False)
    made.write_tables(study)
    group = read_group(Results(study), "main")
    results = read_consortium(Results(study), "main", group)
    site = read_site(Results(study), "main", group, "siteA")
    without = consortium_page(results) + site_page(site)
    for id_ in ("groups", "influence", "norms"):
        assert f'<section id="{id_}"' not in without
    cells = {"column": "group", "level": "a", "reference": "b", "term": "group a less b",
             "role": "main", "estimate": 1.0, "low": 0.5, "high": 1.5, "n": 12, "n_level": 6,
             "n_reference": 6, "n_persons": 12, "n_sites": 3}  # fmt: skip
    people = [row("covariates", **vars(results.asked) | {"region": ""} | cells)]
    left = [
        row("leave_one_out", left_out=name, outlier_z=0.1, outlier_limit=3.0, shift=0.2,
            weight_percent=30.0, **ends(1.0, 0.5))
        for name in ("siteA", "siteB", "siteC")
    ]  # fmt: skip
    page = consortium_page(replace(results, people=people, left_out=left))
    assert "was 1.00 points higher in a than in b (group)" in page
    assert "No site lies further" in page and '<section id="influence">' in page
    stands = row("standing", site="siteA", figure="snr_tcr", n=3, median=20.0, n_scans=40,
                 n_sites=4, vendor="GE", field_t=3.0, volume="10-20 ml",
                 place="in the lowest quarter", p25=25.0, p75=35.0)  # fmt: skip
    page = site_page(replace(site, standing=[stands]))
    assert "20 is worse than three of four scans of the norms" in page
    assert "40 scans of 4 sites, 3 T, GE, voxels 10-20 ml" in page


def test_the_curve_holds_every_analysis_and_agrees_with_the_table_of_the_multiverse(study, group):
    results = read_consortium(Results(study), "main", group)
    table = Results(study).multiverse().table("specification")
    told = [one["change_percent"] for one in table if math.isfinite(one["low_percent"])]
    assert sorted(effect.value for effect in results.multiverse) == told
    assert sum(results.primary) == 1
    assert {one["matched"] for one in results.choices} == {"yes", "no"}


def test_two_scans_of_one_session_share_their_response(tmp_path):
    from dataclasses import replace

    from fmrsflow.edge import Job
    from fmrsflow.report.pages import scan_page

    study = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    (one,) = study.scans
    both = tuple(
        replace(one, task=task, condition=task, events="", mrs=f"{task}.nii.gz")
        for task in ("rest", "math")
    )
    study = replace(study, scans=both)
    (unit,) = study.units()
    for seed, scan in enumerate(both):
        made.write_scan(study, scan, seed, picture=False)
    job = Job("response", study, unit, made.ANALYSIS)
    change = {k: v for k, v in KEY.items() if k != "region"}
    change |= {"rest": "rest", "task": "math", "contrast": "math-rest"}
    change |= {"change_percent": 4.0, "low_percent": 2.0, "high_percent": 6.0}
    job.save("change", [change], columns_of("response", "change"))
    job.finish("ok", None, None, {"rest": "rest", "tasks": ["math"]})
    for scan in both:
        results = read_scan(Results(study), "main", scan, {})
        assert [row["task"] for row in results.changes] == ["math"]
        assert verdict(results).kind in ("use", "care")
        assert "Glutamate, math against rest: +4.0 %" in scan_page(results)


def test_an_edited_table_is_shown_by_no_page(tmp_path, capsys):
    """A scan's page calls the stage failed; that of the analysis has no answer and says why, and
    the run does not end well."""
    from fmrsflow.report.pages import scan_page
    from fmrsflow.stages.report import write_group_pages
    from fmrsflow.stages.summary import complete

    study = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    (scan,) = study.scans
    made.write_scan(study, scan, 5, picture=False)
    made.write_tables(study)
    results = Results(study)
    change = results.of("response", made.ANALYSIS, study.units()[0]).place("change.tsv")
    change.write_text(change.read_text().replace("Glu", "Gln"))
    damaged = read_scan(results, "main", scan, {})
    assert damaged.changes == () and damaged.record("response") == {}
    assert verdict(damaged).kind != "use"
    assert f"{change.name} is not what was written" in scan_page(damaged)
    meta = results.group("sites", "main").place("meta.tsv")
    meta.write_text(meta.read_text().replace("\t1", "\t2"))
    write_group_pages(study, "main")
    index = (study.results / "main" / "report" / "index.html").read_text()
    assert "meta.tsv is not what was written (damaged or replaced)" in index
    assert "cannot be stated: a table of the answer is damaged" in index
    name = next(one for one in results.multiverse().names if one.endswith(".tsv"))
    several = results.multiverse().place(name)
    several.write_text(f"{several.read_text()} ")
    assert complete(study, tmp_path / "complete.json") == 1
    told = capsys.readouterr().out
    assert "meta.tsv is not what was written" in told
    assert f"{name} is not what was written" in told

"""A section with nothing to show draws nothing and says why."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fmrsflow.report import figures
from fmrsflow.report.group_pages import consortium_page, site_page
from fmrsflow.report.pages import scan_page
from fmrsflow.report.read import read_consortium, read_site
from fmrsflow.report.render import within
from fmrsflow.results import Results


def sections(page: str) -> dict[str, str]:
    """Text of each section of a page by its id."""
    found = re.findall(r'<section[^>]*id="([^"]*)"[^>]*>(.*?)</section>', page, re.S)
    return dict(found)


def silent(page: str) -> list[str]:
    """Sections that neither draw, list nor tell anything."""
    there = ("<table", 'class="chart', "<p", "<ul", "<ol", "<dl", "<img")
    return [name for name, body in sections(page).items() if not any(one in body for one in there)]


@pytest.fixture(scope="module")
def averaged(results):
    """The scan as a vendor that stores averages alone would leave it: one spectrum, one block."""
    record = {**results.records["preprocess"], "conditions": ["rest"], "n_removed": {"rest": 0}}
    return replace(
        results,
        records={**results.records, "preprocess": {**record, "n_kept": {"rest": 1}}},
        transients=results.transients[:1],
        corrected=results.corrected.select([0]),
        average=results.average.select([0]),
        matched=None,
        timecourse=[row for row in results.timecourse if row["block"] == 0],
        changes=(),
        controls=(),
        water=None,
    )


def test_an_averaged_file_gets_sentences_in_place_of_empty_charts(averaged):
    page = scan_page(averaged)
    own = sections(page)
    for name in ("transients", "stability"):
        assert "averaged before it was stored" in own[name]
    assert "one condition (rest)" in own["conditions"]
    assert "neither a task with rest nor a partner scan" in own["response"]
    assert "No water reference" in own["water"]
    for name in ("transients", "stability", "conditions", "response", "water"):
        assert 'class="chart' not in own[name], name
    assert 'class="chart' in own["spectrum"] and silent(page) == []
    tiles = re.sub(r"<[^>]*>", "|", own["verdict"])
    assert "1 of 1||averaged before it was stored" in tiles
    assert "outliers" not in tiles and "not seen in one average" in tiles


def test_what_is_there_is_drawn_and_no_sentence_stands_beside_it(results):
    page = scan_page(results)
    assert 'class="nothing"' not in page and silent(page) == []
    assert page.count('class="chart') >= 10


def test_a_course_of_one_block_is_no_course(averaged, results):
    own = sections(scan_page(replace(averaged, changes=results.changes)))
    assert "fitted as one block" in own["response"]
    assert "timecourse-chart" not in own["response"]


def test_a_stage_that_failed_is_named_where_its_section_stood(results):
    failed = {"status": "failed", "reason": "no events", "failed_at": "response"}
    gone = replace(results, records={**results.records, "response": failed}, changes=())
    assert "No change was computed: no events." in sections(scan_page(gone))["response"]


def test_without_molal_values_the_table_stays_and_the_chart_goes(results):
    rows = [row for row in results.concentrations if row["quantity"] != "molal"]
    own = sections(scan_page(replace(results, concentrations=rows)))["concentrations"]
    assert "No value in mmol per kg is shown" in own and "<table" in own
    assert 'class="chart' not in own


def test_a_change_that_two_estimators_share_is_drawn_once(results):
    rows = [row for row in results.changes if row["quantity"] == "molal"]
    own = [row for row in rows if row["estimator"] == "blocks" and row["matched"]]
    twice = [*own, *({**row, "matched": False} for row in own)]
    (trace,) = figures.changes(twice, "molal")["data"]
    assert trace["name"] == "blocks, linewidths matched = blocks, not matched"
    assert len(trace["x"]) == len(own)
    apart = [{**row, "change_percent": row["change_percent"] + 0.1} for row in twice[len(own) :]]
    assert len(figures.changes([*own, *apart], "molal")["data"]) == 2


def test_a_study_of_one_scan_has_no_chart_of_one_point(study, group):
    whole = read_consortium(Results(study), "main", group)
    one = replace(
        whole,
        scans=whole.scans[:1],
        effects=whole.effects[:1],
        shares=(),
        multiverse=whole.multiverse[:1],
        power=(),
        power_words="",
    )
    own = sections(consortium_page(one))
    for name in ("forest", "people", "shares", "curve", "power"):
        assert 'class="nothing"' in own[name] and 'class="chart' not in own[name], name
    site = read_site(Results(study), "main", group, "siteA")
    own = sections(site_page(replace(site, scans=site.scans[:1], others={})))
    assert "needs two scans" in own["time"] and "fewer than three scans" in own["against"]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((5.0, 4.0, 6.0), "5 (4 to 6)"),
        ((float("nan"),) * 3, "–"),
        ((5.0, float("nan"), 6.0), "5"),
        ((5.0, None, None), "5"),
    ],
)
def test_an_interval_that_is_not_known_is_not_written(numbers, text):
    assert within(*numbers) == text

"""Pages as text: escaped, self-contained, small, and there for every scan."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fmrsflow.report.group_pages import answer, consortium_page, flow, protocol_rows, site_page
from fmrsflow.report.pages import scan_page, view_page
from fmrsflow.report.read import read_consortium, read_scan, read_site
from fmrsflow.report.render import PLOTLY, figure_packed, short
from fmrsflow.report.results import Effect, View
from fmrsflow.report.words import headline
from fmrsflow.results import Results

MARKUP = '<img src=x onerror="alert(1)"><b>bold</b>'


class Elements(HTMLParser):
    """Start tags of a page with their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def pages(study, results, group):
    return {
        "scan": scan_page(results),
        "failed scan": scan_page(read_scan(Results(study), "main", study.scans[-1], {})),
        "site": site_page(read_site(Results(study), "main", group, "siteA")),
        "consortium": consortium_page(read_consortium(Results(study), "main", group)),
        "view": view_page(View("svs.nii.gz", results.corrected)),
    }


@pytest.mark.parametrize("name", ["scan", "failed scan", "site", "consortium", "view"])
def test_a_page_asks_for_nothing_from_outside(pages, name):
    for tag, attributes in Elements(pages[name]).found:
        for key in ("src", "href", "action"):
            address = attributes.get(key, "")
            assert not re.match(r"(?i)\s*(https?:|//|ftp:|javascript:)", address), (tag, address)
    assert "default-src 'none'" in pages[name]


def test_a_page_says_what_its_curves_are_where_the_answer_is_a_mean(pages):
    assert "the amplitudes of the tables are means over 9 models" in pages["scan"]
    assert "means over" not in pages["failed scan"]


@pytest.mark.parametrize("name", ["scan", "failed scan", "site", "consortium", "view"])
def test_a_page_has_one_title_one_main_heading_and_named_pictures(pages, name):
    found = Elements(pages[name]).found
    tags = [tag for tag, _ in found]
    assert tags.count("h1") == 1 and tags.count("title") == 1 and tags.count("main") == 1
    assert all(a.get("alt") for tag, a in found if tag == "img")
    assert all(a.get("aria-label") for _, a in found if a.get("role") == "img")
    ids = [a["id"] for _, a in found if "id" in a]
    assert len(ids) == len(set(ids))
    inner = [a["href"][1:] for tag, a in found if tag == "a" and a.get("href", "").startswith("#")]
    assert set(inner) <= set(ids)


def test_a_scan_page_can_be_mailed(pages):
    assert len(pages["scan"].encode()) <= 1_400_000


def test_a_failed_scan_has_a_page_that_says_why(pages):
    assert "Not usable: processing failed" in pages["failed scan"]
    assert "svs.nii.gz is truncated; copy it again" in pages["failed scan"]


def test_markup_from_sheets_and_headers_shows_as_text(study, results):
    scan = replace(results.scan, site=MARKUP, subject=MARKUP)
    site = replace(results.site, name=MARKUP, vendor=MARKUP, sequence=MARKUP)
    rows = [{**row, "metabolite": MARKUP, "condition": MARKUP} for row in results.concentrations]
    changes = [{**row, "task": MARKUP} for row in results.changes]
    convert = {**results.records["convert"], "warnings": [MARKUP]}
    page = scan_page(
        replace(
            results,
            scan=scan,
            site=site,
            concentrations=[*results.concentrations, *rows],
            changes=changes,
            records={**results.records, "convert": convert},
        )
    )
    found = Elements(page).found
    assert not any(attributes.get("src") == "x" for _, attributes in found)
    assert not any("onerror" in attributes for _, attributes in found)
    assert page.count("&lt;img src=x") >= 4


def test_text_in_a_chart_cannot_end_its_script_element():
    coded = figure_packed({"data": [{"name": "</script><script>alert(1)</script>"}], "layout": {}})
    assert "<" not in coded
    text = gzip.decompress(base64.b64decode(coded))
    assert json.loads(text)["data"][0]["name"] == "</script><script>alert(1)</script>"


def test_a_chart_with_a_number_that_json_lacks_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        figure_packed({"data": [float("nan")]})


def test_the_chart_library_is_the_version_that_its_name_says():
    from importlib.resources import files

    text = gzip.decompress((files("fmrsflow.report") / "templates" / PLOTLY).read_bytes())
    name = re.search(r"plotly-(\w+)-([\d.]+)\.min", PLOTLY)
    assert f"plotly.js ({name[1]} - minified) v{name[2]}".encode() in text[:400]
    assert b"MIT license" in text[:400]


def test_the_headline_is_glutamate_with_line_widths_matched(results):
    row = headline(results.changes, results.asked)
    assert (row["metabolite"], row["estimator"], row["matched"], row["quantity"]) == (
        *("Glu", "blocks", True, "molal"),
    )


def test_the_flow_loses_each_scan_once_and_says_why(group):
    steps = flow([one for own in group.scans.values() for one in own])
    assert [step["scans"] for step in steps] == [4, 3, 3, 3, 3, 3, 3]
    assert steps[1]["lost"] == [
        {"scans": 1, "why": "convert: svs.nii.gz is truncated; copy it again"}
    ]
    assert (
        steps[0]["scans"] - sum(loss["scans"] for step in steps for loss in step["lost"])
        == steps[-1]["scans"]
    )


def test_the_answer_is_one_sentence_with_its_interval(study, group):
    results = read_consortium(Results(study), "main", group)
    pooled = replace(results.pooled, value=3.04, low=1.96, high=4.1)
    words = answer(replace(results, pooled=pooled))
    assert "glutamate rose by 3.0 % (95 % interval +2.0 to +4.1 %) over 2 sites" in words
    below = replace(results, pooled=replace(pooled, value=-1.2, low=-2.0, high=-0.4))
    assert "fell by 1.2 % (95 % interval \u22122.0 to \u22120.4 %)" in answer(below)
    across = replace(results, pooled=replace(pooled, low=-1.0))
    assert "no change at all is still possible" in answer(across)
    assert "cannot be stated" in answer(replace(results, pooled=None))


def test_a_site_whose_interval_holds_zero_shows_nothing_alone(study, group):
    site = read_site(Results(study), "main", group, "siteA")
    effect = Effect("siteA", 2.0, 1.0, 3.0, note="4 scans")
    page = site_page(replace(site, effect=effect))
    assert "mean of the site: +2.0 %" in page and "no change is shown" not in page
    page = site_page(replace(site, effect=replace(effect, low=-1.0)))
    assert "At this site alone no change is shown" in page
    asked = replace(site.asked, contrast="task-rest (on-off)")
    page = site_page(replace(site, effect=replace(effect, low=-1.0), asked=asked))
    assert "+2.0 points" in page and "At this site alone no difference is shown" in page


def test_a_protocol_that_differs_from_its_promise_is_told(study, group):
    site = read_site(Results(study), "main", group, "siteA")
    assert all(row["agrees"] in (True, None) for row in protocol_rows(site))
    longer = replace(site, site=replace(site.site, te_s=0.035))
    (row,) = (row for row in protocol_rows(longer) if row["name"].startswith("Echo"))
    assert (row["promised"], row["measured"], row["agrees"]) == ("35", "30", False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "–"),
        (None, "–"),
        ("12.3456", "12.3"),
        (1234.5, "1,234"),
        (0.0001234, "0.000123"),
        (-0.14, "\u22120.14"),
        (float("nan"), "–"),
        (0, "0"),
    ],
)
def test_numbers_are_shown_in_three_digits(value, text):
    assert short(value) == text

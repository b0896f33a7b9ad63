"""The checklist tells what is known, how many scans differ, and what the site must fill in."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from fmrsflow.report.mrsinmrs import MISSING, Item, checklist, to_markdown, to_rows
from fmrsflow.study import Site

SITE = Site("A|<b>", "Siemens", 3.0, "press", 0.03, 2.0, "own")
LIMITS = {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0}


def record(**changes):
    known = {
        "vendor": "Siemens",
        "model": "Prisma",
        "software": "XA30",
        "sequence": "svs_se",
        "voxel_mm": [20.0, 20.0, 30.0],
        "tr_s": 2.0,
        "te_s": 0.03,
        "n_transients": 128,
        "n_coils": 1,
        "n_points": 1024,
        "spectral_width_hz": 2000.0,
        "reference": {"n_transients": 4},
    }
    return known | changes


def items(converted, sidecars=({},), preprocessed=()):
    made = checklist(SITE, converted, sidecars, preprocessed, [], [], {"Name": "fmrsflow"}, LIMITS)
    return {item.item: item.value for item in made}


def test_values_come_from_the_headers_with_their_units():
    found = items([record()])
    assert found["Echo time"] == "30 ms"
    assert found["Volume of interest, size"] == "20 × 20 × 30 mm"
    assert found["Model"] == "Prisma"
    assert found["Mixing time"] == "none (press)"


@pytest.mark.parametrize("missing", [None, "", "n/a"])
def test_a_blank_header_is_left_to_the_site(missing):
    assert items([record(software=missing)])["Software version"] is None


def test_scans_that_differ_are_counted():
    found = items([record(), record(), record(te_s=0.035), record(te_s=None)], [{}] * 4)
    assert found["Echo time"] == "30 ms (2 scans); 35 ms (1 scan); unknown (1 scan)"


def test_header_fields_are_found_under_their_nifti_mrs_names():
    found = items([record()], [{"RxCoil": "HeadNeck_64"}])
    assert found["Receive coil"] == "HeadNeck_64"


def test_quality_is_given_as_mean_and_standard_deviation():
    quality = [{"snr_tcr": snr, "fwhm_tcr_hz": 6.0} for snr in (40.0, 50.0, 60.0)]
    assert items([record()], preprocessed=quality)["SNR (tCr), mean ± SD"] == "50 ± 10"


@pytest.mark.parametrize(
    ("quantified", "responded", "measure"),
    [
        ([{}], [], "ratios to tCr and tNAA"),
        (
            [{"water": {"a": 1}, "constants": "x"}, {}],
            [{}],
            "molal concentration (mmol per kg tissue water) (1 scan of 2), ratios to tCr and tNAA, "
            "percent change of task against rest (1 scan of 2)",
        ),
        ([], [], None),
    ],
)
def test_the_output_measure_is_what_came_out(quantified, responded, measure):
    made = checklist(SITE, [], [], [], [], quantified, {}, LIMITS, responded)
    assert {item.item: item.value for item in made}["Output measure"] == measure


def test_the_region_of_the_voxel_is_that_of_the_sheet():
    for regions, told in ((["pcc", "acc"], "region acc, pcc (as scans.tsv names it)"), ([], None)):
        made = checklist(SITE, [], [], [], [], [], {}, LIMITS, [], regions)
        assert {one.item: one.value for one in made}["Volume of interest, location"] == told


def test_rows_and_markdown_mark_what_is_missing_and_keep_markup_as_text():
    made = checklist(SITE, [record()], [{}], [], [], [], {}, LIMITS)
    rows = to_rows(made)
    assert {row["value"] for row in rows if row["item"].startswith("Shim")} == {MISSING}
    signs = "A|<b> ![](http://tracker.test/x.png) | b |\n| c |"
    text = to_markdown(signs, [Item("Hardware", "Field strength", signs, "")])
    page = MarkdownIt("commonmark").enable("table").render(text)
    assert "<b>" not in page and "<img" not in page and page.count("<tr>") == 2
    assert page.count("A|&lt;b&gt; ![](http://tracker.test/x.png) | b | | c |") == 2
    text = to_markdown("A", made)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == len(made) + 2
    assert all(line.count("|") == 4 for line in table)

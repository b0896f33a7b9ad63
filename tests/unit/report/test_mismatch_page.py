"""The page of the mismatch benchmark and the words on a site's page."""

from __future__ import annotations

import json
import math

import pytest

from fmrsflow.files import write_json
from fmrsflow.mismatch.benchmark import BENCHMARK, Tables, read_benchmark
from fmrsflow.mismatch.factors import FACTORS
from fmrsflow.mismatch.markdown import markdown
from fmrsflow.mismatch.page import STEPS, dose_chart, mismatch_page, words
from fmrsflow.mismatch.variants import CONTESTANTS, DEFAULT, EVERYTHING, NOMINAL, PUBLISHED
from fmrsflow.report.results import ScanResults
from fmrsflow.stages import report as stage
from fmrsflow.stages.report import write_group_pages
from fmrsflow.tables import columns_of, write_table


def row(factor, dose, contestant=DEFAULT, field=3, **more):
    cells = {
        "field_t": field, "factor": factor, "dose": dose, "contestant": contestant, "n": 8,
        "failures": 0, "bias": 0.05, "bias_se": 0.02, "sd": 1.0, "rmse": 1.0, "rmse_low": 0.8,
        "rmse_high": 1.2, "coverage": 1.0, "flagged": 0.1, "cpu_s": 0.9, "rank": 1,
        "rmse_nominal": 0.5, "rmse_shared": 1.1, "better": "",
    }  # fmt: skip
    cells |= more
    cells |= {"bias_low": cells["bias"] - 0.1, "bias_high": cells["bias"] + 0.1}
    return cells


@pytest.fixture
def tables():
    named = [c.name for c in CONTESTANTS[:6]]
    curves = [
        row(name, math.nan, one, field)
        for name in (NOMINAL, PUBLISHED, EVERYTHING)
        for field in (3, 7)
        for one in named
    ]
    for factor in FACTORS:
        for field in (3, 7):
            for step, dose in enumerate(factor.doses):
                bias = 0.5 * step if factor.name == "drift" else 0.05
                curves += [row(factor.name, dose, one, field, bias=bias) for one in named]
    share = {"field_t": 3, "factor": EVERYTHING, "outcome": "change of Glu", "step": "model",
             "share": -0.02, "low": -0.1, "high": 0.3, "rmse": 1.1}  # fmt: skip
    glu = row(NOMINAL, math.nan) | {"analysis": "main", "metabolite": "Glu"}
    seen = [
        {"field_t": 3, "factor": "drift", "dose": dose, "drift_hz": dose,
         "snr_tcr": 100.0, "fwhm_tcr_hz": 99.0, "rejected_percent": 99.0}
        for dose in FACTORS[1].doses
    ]  # fmt: skip
    made = {"edition": "full", "date": "2026-01-01", "variants": "9", "scans": "72"}
    return Tables(curves, [glu], [share], seen, made)


def test_the_page_has_every_curve_and_where_the_default_stands(tables):
    page = mismatch_page(tables, home="index.html")
    assert "first or tied for first in 6 of 6 cases" in page
    assert all(f'id="{factor.name}"' in page and factor.title in page for factor in FACTORS)
    assert 'href="index.html"' in page and "\u22122 %" in page


def test_a_curve_is_told_in_a_sentence_with_its_numbers(tables):
    drift = words(FACTORS[1], tables.curves, [3])
    assert drift.startswith(
        "At 3 T up to 1.5 Hz it holds, at 3 Hz the default breaks (bias +0.50 (+0.40 to +0.60)"
    )
    held = words(FACTORS[0], tables.curves, [3, 7])
    assert held.count("holds at every dose") == 2


def test_where_noise_hides_the_bias_the_sentence_says_so(tables):
    loud = [row(FACTORS[1].name, dose) | {"bias_low": -1.5, "bias_high": 1.6} for dose in (1, 3)]
    assert words(FACTORS[1], loud, [3]) == (
        "At 3 T at 1 Hz these scans leave it open (bias +0.05 (\u22121.50 to +1.60) points)."
    )


def test_the_tables_of_the_documentation_are_those_of_the_scores(tables):
    text = markdown(tables)
    assert f"| {DEFAULT} | 1.00 (1) | 1.00 (1) |" in text and f"| {DEFAULT} | 1.10 |" in text
    assert f"| {EVERYTHING} 3T | {STEPS['model']} | -2 % (-10 to 30) | – |" in text
    assert (BENCHMARK / "tables.md").read_text() == markdown(read_benchmark(BENCHMARK))


def test_each_analysis_is_told_with_the_keys_that_make_it(tables):
    page = mismatch_page(tables)
    assert "preprocess: align: restricted; estimator joint, with matched line widths" in page


def test_charts_are_valid_and_noise_runs_from_quiet_to_loud(tables):
    validator = pytest.importorskip("plotly.graph_objects")
    for factor in FACTORS:
        chart = dose_chart(factor, tables.curves, [3, 7])
        validator.Figure(json.loads(json.dumps(chart)))
        main = next(one for one in chart["data"] if one["name"] == DEFAULT)
        assert len(main["x"]) == 1 + len(factor.doses)
    snr = dose_chart(FACTORS[5], tables.curves, [3])
    assert snr["layout"]["xaxis"]["autorange"] == "reversed"


def test_a_drifting_site_is_led_to_what_its_drift_costs(tables, tmp_path, monkeypatch, study):
    folder = tmp_path / "benchmark"
    for name in ("curves", "concentrations", "attribution", "quality"):
        columns = columns_of("mismatch", name)
        rows = [{key: row[key] for key in columns if key in row} for row in getattr(tables, name)]
        write_table(folder / f"{name}.tsv", rows, columns)
    write_json(folder / "made.json", dict(tables.made))
    monkeypatch.setattr(stage, "BENCHMARK", folder)
    figures = ScanResults.figures.fget

    def drifting(results):
        found = figures(results)
        first = results.site.name == next(iter(study.sites))
        return found | ({"drift_hz": -3.5 if first else 0.2} if found else {})

    monkeypatch.setattr(ScanResults, "figures", property(drifting))
    write_group_pages(study, "main")
    report = study.results / "main" / "report"
    first, second, *_ = study.sites
    assert 'href="mismatch.html#drift"' in (report / f"site-{first}.html").read_text()
    assert "drift over the scan, 3 Hz" in (report / f"site-{first}.html").read_text()
    assert "#drift" not in (report / f"site-{second}.html").read_text()
    assert (report / "mismatch.html").exists()

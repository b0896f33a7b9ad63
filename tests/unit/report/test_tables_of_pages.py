"""Tables of pages: captions, scopes, numbers with their errors, units in the head."""

from __future__ import annotations

import math
import re

import pytest

from fmrsflow.mismatch.benchmark import BENCHMARK, read_benchmark
from fmrsflow.mismatch.page import mismatch_page
from fmrsflow.report.group_pages import consortium_page, site_page
from fmrsflow.report.pages import scan_page
from fmrsflow.report.read import read_consortium, read_site
from fmrsflow.report.render import plus_minus
from fmrsflow.results import Results


@pytest.fixture(scope="module")
def tables(study, results, group):
    pages = (
        scan_page(results),
        site_page(read_site(Results(study), "main", group, "siteB")),
        consortium_page(read_consortium(Results(study), "main", group)),
        mismatch_page(read_benchmark(BENCHMARK)),
    )
    return [one for page in pages for one in re.findall(r"<table.*?</table>", page, re.S)]


def test_every_table_has_a_caption_and_its_heads_a_scope(tables):
    assert len(tables) > 20
    for table in tables:
        assert re.search(r"<caption>[^<]+</caption>", table), table[:200]
        assert not re.search(r"<th(?![^>]*scope=)[ >]", table), table[:300]


def test_no_column_is_an_error_alone_beside_its_number_or_called_told(tables):
    heads = [re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table) for table in tables]
    names = {name for own in heads for name in own}
    assert "Told" not in names and "SE" not in names
    assert "Value ± SE of the level (mmol/kg)" in names


def test_rows_are_as_wide_as_their_heads(tables):
    """The choice of columns hides cells by their place."""
    for table in tables:
        rows = [len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table)]
        assert len(set(rows)) == 1, table[:200]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (12.3456, 0.234, "12.35 ± 0.23"),
        (-0.1, 12.4, "\u22120 ± 12"),
        (2.02e-7, 3.9e-9, "(2.020 ± 0.039) × 10^\u22127"),
        (0.0, 0.5, "0.00 ± 0.50"),
        (1234.0, 250.0, "1234 ± 250"),
        (3.0, None, "3"),
        (3.0, math.nan, "3"),
        (math.nan, 1.0, "–"),
    ],
)
def test_a_number_and_its_error_end_at_the_same_digit(value, error, text):
    assert plus_minus(value, error) == text

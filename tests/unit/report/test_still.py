"""Still pictures of charts: well-formed, from the same numbers, nothing outside its axes."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from fmrsflow.report import figures, group_figures, spectrum_figures
from fmrsflow.report.pages import _scan_charts
from fmrsflow.report.plot import axis, layout
from fmrsflow.report.results import Effect
from fmrsflow.report.still import _png, svg


def drawn(figure: dict) -> ElementTree.Element:
    return ElementTree.fromstring(svg(figure, "a chart"))


def test_every_chart_of_a_scan_has_a_picture_with_its_words(results):
    charts = _scan_charts(results, ["all", "rest", "task"], ["molal", "ratio_tcr", "raw"])
    for name, chart in charts.items():
        if chart is None:
            continue
        root = drawn(chart)
        assert root.get("aria-label") == "a chart"
        words = {one.text for one in root.iter("text")}
        for key, one in chart["layout"].items():
            if key[1:5] == "axis" and one["title"]["text"]:
                assert one["title"]["text"] in words, name
        marks = [one for tag in ("polyline", "path", "image", "rect") for one in root.iter(tag)]
        image = chart["data"][0]["type"] == "heatmap"
        assert len(marks) >= (1 if image else 4), name
    text = svg(charts["spectrum"], "")
    assert all(f">{part}</text>" in text for part in ("NAA", "Glu", "GABA"))


def test_a_point_lies_where_its_axes_say():
    chart = {
        "data": [{"type": "scatter", "mode": "markers", "x": [0.0, 5.0, 20.0], "y": [0, 1, 1]}],
        "layout": layout(300, xaxis=axis(range=[10, 0]), yaxis=axis(range=[0, 2])),
    }
    (dots,) = re.findall(r'd="([^"]*h0)"', svg(chart, ""))
    # 760 wide with 96 and 14 to the sides, 300 high with 52 and 46; the third point is outside.
    assert dots == "M746.0 254.0h0M421.0 153.0h0"


def test_bars_of_error_end_at_the_axis():
    rows = [Effect("a", 0.0, -1.0, 1.0, kind="use"), Effect("b", 2.0, -900.0, 900.0, kind="use")]
    chart = group_figures.ranked(rows, None)
    chart["layout"]["yaxis"]["range"] = [-5, 5]
    (path,) = re.findall(r'd="(M[^"]*V[^"]*)"', svg(chart, ""))
    ends = [float(one) for pair in re.findall(r" ([\d.]+)V([\d.]+)", path) for one in pair]
    assert min(ends) == 52 and max(ends) == 360 - 46 and len(ends) == 4


def test_markup_in_a_chart_stays_text():
    rows = [Effect("<b>x</b><script>", 0, -1, 1), Effect("b", 1, 0, 2)]
    text = svg(group_figures.forest(rows, Effect("all", 0.5, 0, 1)), '"><script>')
    assert "<script" not in text
    assert "<b>" not in text and "All sites" in text
    ElementTree.fromstring(text)


def test_an_image_holds_its_values_in_sixteen_steps():
    from matplotlib.image import imread

    values = np.linspace(0, 1, 15).reshape(3, 5)
    black_to_white = ((0, 0, 0), (255, 255, 255))
    image = imread(io.BytesIO(_png(values, black_to_white)))
    assert image.shape[:2] == (3, 5)
    assert np.max(np.abs(image[..., 0] - values)) <= 0.5 / 15 + 0.5 / 255


def test_a_heat_map_runs_from_high_to_low_shift_like_its_axis(results):
    time = np.array([row["time_s"] for row in results.transients])
    chart = spectrum_figures.transients(results.corrected, time, ())
    from matplotlib.image import imread

    coded = re.search(r"base64,([^\"]*)", svg(chart, ""))[1]
    image = imread(io.BytesIO(base64.b64decode(coded))).sum(axis=(0, 2))
    ppm = np.linspace(4.2, 0.2, len(image))
    assert ppm[np.argmax(image)] == pytest.approx(2.01, abs=0.05)


def test_the_same_chart_gives_the_same_picture(results):
    chart = figures.courses(results.transients, results.blocks)
    assert svg(chart, "") == svg(figures.courses(results.transients, results.blocks), "")
    assert svg(chart, "").count("<rect") == 2  # task blocks

"""Charts: valid for plotly, ppm right to left, values as given, text that stays text."""

from __future__ import annotations

import base64

import numpy as np
import plotly.graph_objects as go
import pytest

from fmrsflow.fids import Fids
from fmrsflow.report import figures, fit_figures, group_figures, spectrum_figures
from fmrsflow.report.pages import _scan_charts
from fmrsflow.report.plot import packed, plain
from fmrsflow.report.render import figure_packed
from fmrsflow.report.results import Effect


def unpacked(spec: dict) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(spec["bdata"]), np.dtype(spec["dtype"]))
    return values.reshape([int(n) for n in spec["shape"].split(",")]) if "shape" in spec else values


@pytest.fixture(scope="module")
def charts(results):
    drawn = _scan_charts(results, ["all", "rest", "task"], ["molal", "ratio_tcr", "raw"])
    return {name: chart for name, chart in drawn.items() if chart}


def test_every_chart_of_a_scan_is_drawn_and_obeys_plotlys_own_schema(charts):
    assert set(charts) == {
        *(
            "spectrum",
            "correlations",
            "conditions",
            "response",
            "timecourse",
            "before",
            "after",
            "courses",
        ),
        *("water", "concentrations"),
    }
    for chart in charts.values():
        assert go.Figure(chart).data  # raises ValueError on an unknown or wrong property


def test_every_chart_of_a_group_obeys_plotlys_own_schema(group):
    scans = [one for own in group.scans.values() for one in own if one.quality]
    effects = [
        Effect("A", 2.0, 1.0, 3.0, "3 scans", "site-A.html", "own"),
        Effect("B", 4.0, 2.0, 6.0, "3 scans", "site-B.html", "standardised"),
    ]
    choices = [{"fit": "spline"}, {"fit": "polynomial"}]
    power = [{"sites": 4, "participants": 8, "power": 0.6, "power_low": 0.2}]
    specifications = [Effect("A", 2, 1, 3), Effect("B", 3, 2, 4)]
    for chart in (
        group_figures.forest(effects, Effect("all", 3, 2, 4), (0.5, 5.5)),
        group_figures.ranked([Effect("A", 2, 1, 3, kind="use")], 2.0),
        group_figures.shares([("site", 20.0, 5.0, 40.0), ("residual", 80.0, 60.0, 95.0)]),
        group_figures.curve(specifications, choices, [True, False]),
        group_figures.by_site(scans, {}),
        group_figures.over_time(scans),
        group_figures.against_others(scans, {"snr_tcr": [10.0, 20.0]}, "snr_tcr"),
        group_figures.power(power),
    ):
        assert go.Figure(chart).data  # raises ValueError on an unknown or wrong property


@pytest.mark.parametrize("name", ["spectrum", "conditions", "before", "after"])
def test_the_chemical_shift_runs_right_to_left(charts, name):
    left, right = charts[name]["layout"]["xaxis"]["range"]
    assert (left, right) == (4.2, 0.2)


def test_a_packed_spectrum_holds_the_data_within_a_rounding_step(results):
    chart = fit_figures.spectrum(results.fit, "all")
    (trace,) = (t for t in chart["data"] if t["meta"] == {"group": "all", "part": "data"})
    inside = (results.fit["ppm"] >= 0.2) & (results.fit["ppm"] <= 4.2)
    data = np.real(results.fit["data"][0])[inside]
    scale = spectrum_figures.FULL_SCALE / np.abs(data).max()
    assert np.max(np.abs(unpacked(trace["y"]) - data * scale)) <= 0.5
    ppm = trace["x0"] + trace["dx"] * np.arange(inside.sum())
    assert np.allclose(ppm, results.fit["ppm"][inside], atol=1e-9)


def test_the_largest_fit_to_be_expected_leaves_room_on_its_page():
    """7 T, 4 kHz in 8192 points: 2,440 points in the range; 7 spectra of 30 metabolites."""
    ppm = np.linspace(0.1, 4.3, 2500)
    rng = np.random.default_rng(0)
    spectra = rng.normal(size=(7, 2500)) * 100
    fit = {
        "ppm": ppm,
        "spectra": np.array([f"s{n}" for n in range(7)]),
        **{name: spectra for name in ("data", "fit", "baseline", "residual")},
        "names": np.array([f"m{n}" for n in range(30)]),
        "metabolites": np.repeat(spectra[:, None], 30, axis=1),
    }
    assert len(figure_packed(fit_figures.spectrum(fit))) < 750_000


def test_thinning_keeps_the_shape_of_a_line():
    ppm = np.linspace(0.2, 4.2, 2400)
    line = 10_000 / (1 + ((ppm - 2.0) / 0.015) ** 2)
    thin = spectrum_figures.thinned(ppm, line, spectrum_figures.METABOLITE_POINTS)
    x = thin["x0"] + thin["dx"] * np.arange(spectrum_figures.METABOLITE_POINTS)
    assert x[0] == 0.2 and x[-1] == pytest.approx(4.2)
    assert np.max(np.abs(np.interp(x, ppm, line) - unpacked(thin["y"]))) <= 0.5
    assert unpacked(thin["y"]).max() > 0.95 * line.max()


def test_only_the_chosen_spectrum_shows_at_first(results):
    chart = fit_figures.spectrum(results.fit, "rest")
    shown = [t for t in chart["data"] if t["visible"]]
    assert {t["meta"]["group"] for t in shown} == {"rest"}
    assert {t["meta"]["part"] for t in shown if "rise" not in t["meta"]} == {
        *("data", "fit", "baseline", "residual", "broad"),
    }
    stacked = {t["meta"]["part"] for t in shown if "rise" in t["meta"]}
    assert stacked == {*(set(fit_figures.FIRST_SHOWN) & set(results.fit["names"])), "MM09"}


def components(chart: dict, group: str) -> dict[str, dict]:
    return {
        t["meta"]["part"]: t
        for t in chart["data"]
        if t["meta"]["group"] == group and "rise" in t["meta"]
    }


def test_stacked_components_keep_their_height_and_clear_of_each_other(results):
    chart = fit_figures.spectrum(results.fit, "all")
    rows = [t for t in components(chart, "all").values() if t["visible"]]
    ends = [t["meta"]["shift"] + unpacked(t["y"]) for t in rows]
    for above, below in zip(ends, ends[1:]):
        assert above.min() > below.max()
    assert chart["layout"]["yaxis"]["ticktext"] == [t["name"] for t in rows]
    assert chart["layout"]["yaxis"]["tickvals"] == [t["meta"]["shift"] for t in rows]
    low, high = chart["layout"]["yaxis"]["range"]
    assert low < ends[-1].min() and high > spectrum_figures.FULL_SCALE
    inside = (results.fit["ppm"] >= 0.2) & (results.fit["ppm"] <= 4.2)
    scale = spectrum_figures.FULL_SCALE / np.abs(np.real(results.fit["data"][0])[inside]).max()
    glu = list(results.fit["names"]).index("Glu")
    tallest = np.real(results.fit["metabolites"][0, glu])[inside].max() * scale
    assert components(chart, "all")["Glu"]["meta"]["rise"] == pytest.approx(tallest, abs=1)


def test_macromolecules_and_baseline_are_sums_of_their_own(results):
    fit = {**results.fit, "names": results.fit["names"].copy()}
    fit["names"][list(fit["names"]).index("Lac")] = "MM12"
    chart = fit_figures.spectrum(fit, "all")
    own = components(chart, "all")
    whole, parts = unpacked(own["MM"]["y"]), (unpacked(own[n]["y"]) for n in ("MM09", "MM12"))
    assert np.max(np.abs(whole - sum(np.asarray(one, int) for one in parts))) <= 1.5
    broad, baseline = (
        next(t for t in chart["data"] if t["meta"] == {"group": "all", "part": part})
        for part in ("broad", "baseline")
    )
    rest = np.asarray(unpacked(broad["y"]), int) - unpacked(baseline["y"])
    assert np.max(np.abs(rest - whole)) <= 1.5
    assert own["row baseline"]["meta"]["rise"] > 0


def test_the_band_of_a_residual_is_twice_the_noise_that_the_fit_was_judged_by():
    """Residual of unit noise fitted under noise of SD 2: a fit quality number of 1/4."""
    ppm = np.linspace(0.2, 4.2, 4000)
    noise = np.random.default_rng(1).normal(size=(2, 1, 4000))
    residual = noise[0] + 1j * noise[1]
    data = 100 * np.exp(-(((ppm - 2) / 0.05) ** 2))[None] + residual
    fit = {
        **{"ppm": ppm, "spectra": np.array(["all"]), "data": data, "fit": data - residual},
        **{"baseline": 0 * data, "residual": residual, "names": np.array(["NAA"])},
        "metabolites": np.real(data - residual)[:, None],
    }
    fqn = {"all": float(np.mean(np.abs(residual) ** 2) / 2 / 4)}
    assert fit_figures.noise_of(fit, 0, fqn["all"]) == pytest.approx(2.0)
    chart = fit_figures.spectrum(fit, "all", fqn)
    band = next(t for t in chart["data"] if t["meta"]["part"] == "noise")
    scale = spectrum_figures.FULL_SCALE / np.abs(np.real(data)).max()
    left = next(t for t in chart["data"] if t["meta"]["part"] == "residual")
    times = int(left["name"].split("× ")[1].split()[0])
    assert max(band["y"]) - min(band["y"]) == pytest.approx(8 * scale * times)
    drawn = unpacked(left["y"])
    assert drawn.max() < max(band["y"]) and drawn.min() > min(band["y"])  # within 4 of its SD
    assert np.ptp(drawn) > 0.5 * np.ptp(band["y"])
    assert "noise" not in {t["meta"]["part"] for t in fit_figures.spectrum(fit, "all")["data"]}
    ((name, ratios),) = fit_figures.misfit(fit, fqn)
    assert name == "all" and ratios[0] == pytest.approx(fqn["all"], rel=1e-3)
    # 800 complex points of noise of SD 1 beside 2: a quarter, within 4 standard errors.
    assert all(ratio == pytest.approx(0.25, rel=4 / 500**0.5) for ratio in ratios)
    hidden = {**fit, "residual": residual + 20 * (np.abs(ppm - 3.03) < 0.01)}
    fqn = {"all": float(np.mean(np.abs(hidden["residual"]) ** 2) / 2 / 4)}
    ((_, ratios),) = fit_figures.misfit(hidden, fqn)
    assert max(ratios) == ratios[2] > 5 * ratios[1]


def test_the_matrix_of_correlations_is_that_of_the_covariance(results):
    fit = {**results.fit, "covariance": results.fit["covariance"].copy()}
    a, b = (list(fit["names"]).index(name) for name in ("Cr", "PCr"))
    own = fit["covariance"][0]
    own[a, b] = own[b, a] = -0.8 * np.sqrt(own[a, a] * own[b, b])
    names, matrix = fit_figures.correlation(fit, "all")
    assert matrix[names.index("Cr"), names.index("PCr")] == pytest.approx(-0.8)
    chart = fit_figures.correlations(fit, "all")
    shown = unpacked(chart["data"][0]["z"])
    assert np.max(np.abs(shown - 100 * matrix)) <= 0.5
    assert fit_figures.strongest(fit, "all", 1) == [("Cr", "PCr", pytest.approx(-0.8))]
    fit["covariance"][0] = np.nan
    assert fit_figures.correlations(fit, "all") is None


def signals(chart: dict) -> list[str]:
    """Colours of the curves that lie over each other when a chart opens."""
    return [
        t["line"]["color"]
        for t in chart["data"]
        if t.get("visible", True) is True
        and t["type"] == "scatter"
        and "lines" in t["mode"]
        and t.get("line", {}).get("width")
        and t.get("yaxis", "y") == "y"
        and "rise" not in (t.get("meta") or {})
    ]


def test_no_two_curves_over_each_other_have_one_colour(charts, results):
    found = {
        name: signals(chart) for name, chart in charts.items() if "yaxis2" not in chart["layout"]
    }
    assert len(found["spectrum"]) == 5 and len(found["timecourse"]) > 1
    five = results.average.select([0, 1, 0, 1, 0])
    found["five"] = signals(spectrum_figures.conditions(five, None, ["r", "a", "b", "c", "d"]))
    for name, colours in found.items():
        assert len(set(colours)) == len(colours) <= 8, name


def test_rejected_transients_carry_their_cause(results):
    chart = figures.courses(results.transients, results.blocks)
    rejected = [row for row in results.transients if not row["kept"]]
    assert rejected
    crosses = next(t for t in chart["data"] if t["name"] == "rejected")
    assert crosses["x"] == [float(row["time_s"]) for row in rejected]
    assert all("z = 4.2" in text for text in crosses["text"])


def test_task_blocks_are_shaded_where_the_events_say(results):
    chart = figures.courses(results.transients, results.blocks)
    assert [(s["x0"], s["x1"]) for s in chart["layout"]["shapes"]] == [(64, 128), (192, 256)]


def test_the_image_before_alignment_puts_the_measured_shift_back():
    time = np.arange(1024) / 2000
    singlet = np.exp(2j * np.pi * (2.01 - 4.65) * 127.7 * time - np.pi * 4 * time)
    straight = Fids(np.repeat(singlet[None, None], 3, axis=0), 1 / 2000, 127.7)
    rows = [{"shift_hz": shift, "phase_deg": 0.0, "kept": True} for shift in (-20.0, 0.0, 20.0)]

    class Scan:
        corrected, transients = straight, rows

    from fmrsflow.report.pages import unaligned

    bent = unaligned(Scan)
    peaks = bent.frequency_hz[np.argmax(np.abs(bent.spectra[:, 0]), axis=1)]
    step = 2000 / 1024
    assert np.allclose(np.diff(peaks), 20.0, atol=step)


def test_the_difference_of_conditions_is_task_minus_rest_magnified():
    time = np.arange(1024) / 2000
    line = np.exp(2j * np.pi * (2.35 - 4.65) * 127.7 * time - np.pi * 6 * time)
    fids = Fids(np.stack([line, 1.1 * line])[:, None], 1 / 2000, 127.7)
    chart = spectrum_figures.conditions(fids, None, ["rest", "task"], magnify=5.0)
    by_name = {t["name"]: unpacked(t["y"]) for t in chart["data"] if "bdata" in str(t["y"])}
    difference = by_name["task − rest, × 5"]
    rise = difference.max() - np.median(difference)
    assert rise == pytest.approx(5 * 0.1 / 1.1 * spectrum_figures.FULL_SCALE, rel=0.02)


def test_a_water_reference_is_known_by_its_water_and_by_its_header():
    time = np.arange(1024) / 2000
    water = 1000 * np.exp(-np.pi * 8 * time)
    naa = np.exp(2j * np.pi * (2.01 - 4.65) * 127.7 * time - np.pi * 5 * time)
    assert spectrum_figures.is_reference(Fids((water + naa)[None, None], 1 / 2000, 127.7))
    assert not spectrum_figures.is_reference(
        Fids((water / 1000 + naa)[None, None], 1 / 2000, 127.7)
    )
    told = Fids((water + naa)[None, None], 1 / 2000, 127.7, header={"WaterSuppressed": True})
    assert not spectrum_figures.is_reference(told)


def test_the_forest_places_each_site_and_leads_to_its_page():
    effects = [Effect("<b>A</b>", 2.0, 1.0, 3.5, "3 scans", "site-A.html", "own")]
    chart = group_figures.forest(effects, Effect("all", 2.0, 1.0, 3.5))
    marker = chart["data"][0]
    assert marker["x"] == [2.0]
    assert marker["error_x"]["array"] == [1.5] and marker["error_x"]["arrayminus"] == [1.0]
    assert marker["customdata"] == ["site-A.html"]
    assert chart["layout"]["yaxis"]["ticktext"][0] == "&lt;b&gt;A&lt;/b&gt;"


def test_the_specification_curve_is_sorted_and_marks_only_choices_that_differ():
    effects = [Effect(n, value, value - 1, value + 1) for n, value in zip("abc", (3, 1, 2))]
    choices = [{"fit": fit, "basis": "same"} for fit in ("spline", "poly", "spline")]
    chart = group_figures.curve(effects, choices, [True, False, False])
    others, first, poly, spline = chart["data"]
    assert first["x"] == [3] and first["y"] == [3.0]
    assert others["x"] == [1, 2] and others["y"] == [1.0, 2.0]
    assert chart["layout"]["yaxis2"]["ticktext"] == ["fit: poly", "fit: spline"]
    assert (poly["x"], spline["x"]) == ([1], [2, 3])


@pytest.mark.parametrize("dtype", [None, "i2", "u1"])
def test_packing_keeps_values_and_shape(dtype):
    values = np.array([[0.0, 3.0, 250.0], [7.0, 8.0, 9.0]])
    assert np.array_equal(unpacked(packed(values, dtype)), values)


def test_labels_with_markup_are_shown_letter_by_letter():
    assert plain("<b>x</b> & y") == "&lt;b&gt;x&lt;/b&gt; &amp; y"

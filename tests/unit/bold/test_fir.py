"""Response and area: against curves known in closed form, and a real localiser."""

from __future__ import annotations

import csv

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.bold import fir, glm
from fmrsflow.bold.blocks import blocks_of, timing_warnings
from fmrsflow.bold.mask import with_data
from fmrsflow.errors import DataError
from fmrsflow.events import events_of

TR_S = 2.0


def blocks(onsets: dict, duration_s: float = 12.0) -> dict:
    return {
        name: np.column_stack([one, np.full(len(one), duration_s)]) for name, one in onsets.items()
    }


def known_curve(lag_s):
    """A response that rises, dips below zero and is over after 28 s."""
    curve = np.sin(np.pi * lag_s / 14) * np.exp(-lag_s / 9)
    return np.where((lag_s >= 0) & (lag_s <= 28), curve, 0.0)


SPREAD = {"a": [10.0, 97.0, 184.0, 271.0], "b": [53.0, 140.0, 228.0, 315.0]}


def series_of(design_blocks, heights, times):
    percent = np.zeros((len(times), len(next(iter(heights.values())))))
    for name, one in design_blocks.items():
        for onset, _ in one:
            percent += known_curve(times - onset)[:, None] * heights[name]
    return percent


@pytest.mark.parametrize("noise_model", ["ols", "ar1"])
def test_area_of_a_noise_free_response_is_the_trapezoid_of_the_true_curve(noise_model):
    times = (np.arange(190) + 0.5) * TR_S
    own = blocks(SPREAD)
    rng = np.random.default_rng(1)
    heights = {"a": rng.uniform(-2, 2, 7), "b": rng.uniform(-2, 2, 7)}
    base = rng.uniform(500, 2000, 7)
    data = base * (1 + series_of(own, heights, times) / 100)
    design = fir.fir_design(times, own, glm.nuisance(190, TR_S))
    assert len(design.lags_s) == 31
    found = fir.areas(data, design, noise_model)
    true = np.trapezoid(known_curve(np.arange(31.0)), dx=1.0)
    expected = np.array([true * heights["a"], true * heights["b"]])
    np.testing.assert_allclose(found.area[:2], expected, atol=1e-6)
    np.testing.assert_allclose(found.area[2], expected.sum(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.baseline, base, rtol=1e-9)


def test_mean_response_is_the_true_curve_and_its_area_the_mean_of_the_areas():
    times = (np.arange(190) + 0.5) * TR_S
    own = blocks(SPREAD)
    heights = {"a": np.array([1.0, -0.4]), "b": np.array([0.2, 0.6])}
    data = 1000 * (1 + series_of(own, heights, times) / 100)
    design = fir.fir_design(times, own, glm.nuisance(190, TR_S))
    found = fir.areas(data, design)
    mean = fir.mean_response(data, found.baseline, design)
    np.testing.assert_allclose(mean.percent[0], 0.3 * known_curve(np.arange(31.0)), atol=1e-8)
    np.testing.assert_allclose(mean.area, found.area.mean(axis=1), atol=1e-6)


def test_a_stimulus_without_duration_has_the_same_height_as_any_other():
    times = np.arange(100) * 1.0
    found = fir.fir_columns(times, [10.0, 60.0], np.arange(31.0))
    np.testing.assert_array_equal(found.sum(axis=0), 2 * np.ones(31))
    np.testing.assert_array_equal(found[10:41], np.eye(31))


def test_a_scan_between_two_lags_counts_for_both():
    found = fir.fir_columns(np.array([10.25, 11.25]), [10.0], np.arange(3.0))
    np.testing.assert_allclose(found, [[0.75, 0.25, 0.0], [0.0, 0.75, 0.25]])


def test_no_scan_before_the_onset_or_after_the_window_counts():
    found = fir.fir_columns(np.array([9.5, 12.5]), [10.0], np.arange(3.0))
    assert not found.any()


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_error_of_the_area_is_its_spread_over_noise(rho):
    from scipy.signal import lfilter

    rng = np.random.default_rng(2)
    n, n_series = 190, 3000
    noise = lfilter([1.0], [1.0, -rho], rng.standard_normal((n + 50, n_series)), axis=0)[50:]
    times = (np.arange(n) + 0.5) * TR_S
    design = fir.fir_design(times, blocks(SPREAD), glm.nuisance(n, TR_S))
    found = fir.areas(1000 + 5 * noise, design, "ar1")
    # z values of nothing: SD 1 but for what estimating rho itself costs (about 2 %).
    for z in found.z:
        assert 0.95 < z.std() < 1.07
    spread = found.area[2].std()
    stated = np.sqrt(found.variance[2].mean())
    assert stated == pytest.approx(spread, rel=0.06)


def test_autocorrelation_is_found_under_a_design_of_many_columns():
    from scipy.signal import lfilter

    rng = np.random.default_rng(3)
    n = 200
    design = np.hstack([rng.standard_normal((n, 60)), np.ones((n, 1))])
    noise = lfilter([1.0], [1.0, -0.5], rng.standard_normal((n + 50, 800)), axis=0)[50:]
    found = glm.fit(noise, design).labels
    # SE of the mean over 800 series of about 0.075 each: 0.003.
    assert found.mean() == pytest.approx(0.5, abs=0.015)


def test_close_blocks_warn_and_their_error_grows():
    near = blocks({"a": list(np.arange(10, 300, 24.0))})
    far = blocks({"a": list(np.arange(10, 700, 55.0))})
    assert any("less than the window" in text for text in timing_warnings(near, 30.0))
    assert not timing_warnings(far, 30.0)

    def growth(own, n, window_s):
        # The run ends with its last window: little baseline beside the gaps.
        times, nuisance = (np.arange(n) + 0.5) * TR_S, glm.nuisance(n, TR_S, None, 0.0)
        return fir.fir_design(times, own, nuisance, window_s, 2.0).error_growth

    assert growth(far, 370, 30.0) < 1.3
    assert 1.5 < growth(near, 160, 22.0) < 5


def test_a_block_longer_than_the_window_warns():
    assert any("window" in text for text in timing_warnings(blocks({"a": [10.0]}, 25.0), 30.0))


def test_lags_fall_back_to_the_repetition_time_where_onsets_do_not_sample_finer():
    times = (np.arange(200) + 0.5) * TR_S
    own = blocks({"a": list(np.arange(10.0, 330, 44.0))})
    design = fir.fir_design(times, own, glm.nuisance(200, TR_S), spacing_s=1.0)
    assert np.diff(design.lags_s) == pytest.approx(np.full(len(design.lags_s) - 1, TR_S))
    # Volumes lie 1 s after even seconds.
    assert design.lags_s[0] == pytest.approx(1.0)


def test_responses_that_cannot_be_told_apart_are_refused():
    times = (np.arange(100) + 0.5) * TR_S
    own = blocks({"a": list(np.arange(0.0, 200, 12.0))})
    with pytest.raises(DataError, match="cannot be told apart"):
        fir.fir_design(times, own, glm.nuisance(100, TR_S), 30.0, 2.0)


def test_too_few_volumes_are_refused():
    times = (np.arange(50) + 0.5) * TR_S
    own = blocks({"a": [5.0, 50.0], "b": [28.0, 73.0]})
    with pytest.raises(DataError, match="50 volumes cannot hold"):
        fir.fir_design(
            times, own, glm.nuisance(50, TR_S, np.random.default_rng(0).random((50, 24))), 30.0, 2.0
        )


def test_density_has_unit_area_for_each_condition():
    rng = np.random.default_rng(0)
    edges, heights = fir.density([rng.normal(0, 1, 300), rng.normal(2, 1, 200)])
    np.testing.assert_allclose(heights @ np.diff(edges), 1.0)


def test_stimuli_in_a_row_are_one_block_and_rest_is_none():
    rows = [{"onset": str(10 + i), "duration": "0.9", "trial_type": "face"} for i in range(8)] + [
        {"onset": "40", "duration": "10", "trial_type": "rest"},
        {"onset": "60", "duration": "5", "trial_type": "face"},
    ]
    found = blocks_of(events_of(rows, "e.tsv"), rest=("rest",))
    np.testing.assert_allclose(found["face"], [[10, 7.9], [60, 5]])


def localiser(folder):
    image = nib.load(folder / "sub-02_task-oneback_desc-cropDown_bold.nii.gz")
    with (folder / "sub-02_task-oneback_events.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return image.get_fdata(dtype=np.float32), events_of(rows, "events.tsv")


def test_real_localiser_shows_its_task_with_z_above_10(shared_data):
    series, rows = localiser(shared_data / "bold-localiser")
    data = series[with_data(series)].T
    n = len(data)
    for name in (None, "task"):
        own = blocks_of([{**row, "trial_type": name or row["trial_type"]} for row in rows])
        # Blocks of 16 s begin every 24 s: a longer window would overlap the next block's.
        design = fir.fir_design(
            (np.arange(n) + 0.5) * TR_S, own, glm.nuisance(n, TR_S), window_s=22.0, spacing_s=2.0
        )
        found = fir.areas(data, design)
        assert found.z[-1].max() >= 10
    # The best voxel rises within 4 to 12 s, and is back near its baseline at the end.
    best = int(np.argmax(found.z[-1]))
    curve = fir.mean_response(data[:, [best]], found.baseline[[best]], design).percent[0]
    assert 4 <= design.lags_s[np.argmax(curve)] <= 18
    assert curve[0] < 0.5 * curve.max() and curve[-1] < 0.6 * curve.max()

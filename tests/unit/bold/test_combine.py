"""Several runs as one result: against nilearn's fixed effects, a stacked model, known areas."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from nilearn.glm.contrasts import compute_fixed_effects
from scipy.signal import lfilter
from test_fir import SPREAD, TR_S, blocks, known_curve, localiser, series_of

from fmrsflow.bold import combine, connectivity, fir, glm
from fmrsflow.bold.blocks import blocks_of
from fmrsflow.bold.mask import with_data
from fmrsflow.events import events_of

N = 190
TIMES = (np.arange(N) + 0.5) * TR_S
SHIFTED = {"a": [12.0, 100.0, 187.0, 275.0], "b": [56.0, 143.0, 230.0, 318.0]}
TRUE = np.trapezoid(known_curve(np.arange(31.0)))


def noise(rng, sd, n_series, rho=0.3):
    fresh = rng.standard_normal((N + 50, n_series)) * np.sqrt(1 - rho**2)
    return sd * lfilter([1.0], [1.0, -rho], fresh, axis=0)[50:]


def run_of(rng, sd, onsets, heights):
    own = blocks(onsets)
    percent = series_of(own, heights, TIMES)
    data = 1000 * (1 + (percent + noise(rng, sd, percent.shape[1])) / 100)
    return data, fir.fir_design(TIMES, own, glm.nuisance(N, TR_S))


def areas_of(seed, sds, n_series, height=0.0):
    rng = np.random.default_rng(seed)
    heights = {"a": np.full(n_series, height), "b": np.full(n_series, -height / 2)}
    runs = [run_of(rng, sd, one, heights) for sd, one in zip(sds, (SPREAD, SHIFTED, SPREAD))]
    return [fir.areas(data, design) for data, design in runs]


def test_one_series_is_nilearns_precision_weighted_fixed_effect():
    for runs in (
        [one.select([k, k]) for one in areas_of(0, (0.5, 1.0, 2.0), 4, 1.0)] for k in range(4)
    ):
        found = combine.combined_areas(runs)
        effect, variance, _, z = compute_fixed_effects(
            [image(one.area[-1]) for one in runs],
            [image(one.variance[-1]) for one in runs],
            image(np.ones(2, np.uint8)),
            precision_weighted=True,
            dofs=[one.dof for one in runs],
        )
        np.testing.assert_allclose(found.area[-1], effect.get_fdata().ravel(), rtol=1e-6)
        np.testing.assert_allclose(found.variance[-1], variance.get_fdata().ravel(), rtol=1e-6)
        np.testing.assert_allclose(found.z[-1], z.get_fdata().ravel(), rtol=1e-4)


def test_runs_of_one_median_noise_are_nilearns_unweighted_fixed_effect():
    runs = areas_of(0, (1.0, 1.0), 60, 1.0)
    scale = np.median(runs[0].variance[-1]) / np.median(runs[1].variance[-1])
    runs[1] = replace(runs[1], variance=scale * runs[1].variance)
    found = combine.combined_areas(runs)
    effect, variance, *_ = compute_fixed_effects(
        [image(one.area[-1]) for one in runs],
        [image(one.variance[-1]) for one in runs],
        image(np.ones(60, np.uint8)),
        precision_weighted=False,
    )
    np.testing.assert_allclose(found.area[-1], effect.get_fdata().ravel(), rtol=1e-6)
    np.testing.assert_allclose(found.variance[-1], variance.get_fdata().ravel(), rtol=1e-6)
    # One share of a run for all conditions: their sum stays their sum.
    np.testing.assert_allclose(found.area[:-1].sum(axis=0), found.area[-1], rtol=1e-12)


def image(values):
    """Values of voxels in a row."""
    return nib.Nifti1Image(np.asarray(values).reshape(-1, 1, 1), np.eye(4))


def test_runs_of_one_design_and_noise_give_the_estimate_of_a_stacked_model():
    rng = np.random.default_rng(1)
    own = blocks(SPREAD)
    design = fir.fir_design(TIMES, own, glm.nuisance(N, TR_S))
    whole = connectivity.orthonormal(design.matrix)
    left = glm.residualised(rng.standard_normal((N, 8)), whole)
    # Two runs whose residuals differ in sign alone have one variance, so equal shares.
    data = [
        1000 + 10 * series_of(own, {"a": np.full(8, a), "b": np.full(8, b)}, TIMES) + sign * left
        for a, b, sign in ((1.0, 0.5, 1), (2.0, -0.3, -1))
    ]
    found = combine.combined_areas([fir.areas(one, design, "ols") for one in data])
    p, q = design.n_columns, design.nuisance.shape[1]
    apart = np.zeros((N, q))
    stacked = np.block([[design.fir, design.nuisance, apart], [design.fir, apart, design.nuisance]])
    contrast = glm.fit(np.concatenate(data), stacked, "ols").contrast(
        design.weights("a", fir.trapezoid(design.lags_s))
    )
    np.testing.assert_allclose(found.area[0], contrast.effect / 10, rtol=1e-9)
    # The stacked model also tests that the runs have one response: its residuals hold what the
    # runs differ by. Without that part, the variances differ by their degrees of freedom.
    rss = 2 * (left**2).sum(axis=0)
    unit = contrast.variance / (
        ((np.concatenate(data) - _fitted(stacked, np.concatenate(data))) ** 2).sum(axis=0)
        / (2 * N - p - 2 * q)
    )
    np.testing.assert_allclose(found.variance[0], unit * rss / (2 * (N - p - q)) / 100, rtol=1e-9)


def _fitted(design, data):
    return design @ np.linalg.lstsq(design, data, rcond=None)[0]


@pytest.mark.parametrize("height", [0.0, 1.0])
def test_errors_over_two_runs_of_one_noise_are_those_told(height):
    found = combine.combined_areas(areas_of(6, (1.0, 1.0), 1500, height))
    z = (found.area[-1] - TRUE * height / 2) / np.sqrt(found.variance[-1])
    # Weights of each series' own variance would give 1.06.
    assert 0.95 < z.std() < 1.05 and abs(z.mean()) < 0.1


@pytest.mark.parametrize("height", [0.0, 1.0])
def test_errors_over_three_runs_of_unlike_noise_are_those_told(height):
    runs = areas_of(2, (0.5, 1.0, 2.0), 1500, height)
    found = combine.combined_areas(runs)
    true = TRUE * height * np.array([1.0, -0.5, 0.5])
    z = (found.area - true[:, None]) / np.sqrt(found.variance)
    # 1500 series: SE of the mean 0.026, of the SD 0.018; estimating rho costs about 2 %.
    assert np.abs(z.mean(axis=1)).max() < 0.08
    assert ((z.std(axis=1) > 0.95) & (z.std(axis=1) < 1.08)).all()
    inside = (np.abs(z) < 1.96).mean()
    assert 0.93 < inside < 0.965
    # Precision: 1 / sum of 1 / variance beats the mean of the runs by more than half.
    equal = np.mean([one.area[-1] for one in runs], axis=0)
    assert found.area[-1].std() < 0.7 * equal.std()


def test_a_run_that_samples_coarsely_is_combined_on_its_lags():
    rng = np.random.default_rng(3)
    even = {"a": [10.0, 98.0, 186.0, 274.0], "b": [54.0, 142.0, 230.0, 318.0]}
    heights = {"a": np.full(400, 1.0), "b": np.full(400, 0.5)}
    runs = [run_of(rng, 0.2, one, heights) for one in (SPREAD, even)]
    designs = [design for _, design in runs]
    lags = combine.common_lags(designs)
    assert np.diff(designs[0].lags_s)[0] == 1.0 and np.diff(lags)[0] == TR_S
    areas = [fir.areas(data, design, "ols", lags) for data, design in runs]
    true = np.trapezoid(known_curve(lags), lags)
    for one in areas:
        se = np.sqrt(one.variance[0].mean() / 400)
        assert one.area[0].mean() == pytest.approx(true, abs=4 * se + 0.02 * true)
    means = [
        fir.mean_response(data, area.baseline, design, "ols", lags)
        for (data, design), area in zip(runs, areas)
    ]
    both = combine.combined_responses(means, np.array([0.5, 0.5]))
    np.testing.assert_allclose(both.percent[0], known_curve(lags), atol=0.04)
    assert both.area_se[-1] < min(one.area_se[-1] for one in means)


def test_one_run_is_left_as_it_is():
    (run,) = areas_of(4, (1.0,), 5)
    assert combine.combined_areas([run]) is run
    assert combine.agreement([3.0], [1.0]) is None


def test_q_of_runs_that_differ_by_noise_alone_is_chi_squared():
    rng = np.random.default_rng(5)
    variances = np.array([1.0, 4.0, 9.0])
    found = [
        combine.agreement(rng.standard_normal(3) * np.sqrt(variances), variances)
        for _ in range(2000)
    ]
    # Mean of chi-squared of 2 degrees of freedom: 2 +- 2 / sqrt(2000).
    assert np.mean([one.q for one in found]) == pytest.approx(2, abs=0.15)
    assert np.mean([one.p_value < 0.05 for one in found]) == pytest.approx(0.05, abs=0.015)
    assert combine.agreement([10.0, -10.0], [1.0, 1.0]).p_value < 1e-6


def test_connectivity_matrices_keep_their_empty_diagonal():
    effect = np.array([[np.nan, 1.0], [2.0, np.nan]])
    one = connectivity.RoiMatrix(("x", "y"), effect, np.ones((2, 2)), effect, 100.0)
    other = connectivity.RoiMatrix(("x", "y"), 3 * effect, np.full((2, 2), 3.0), effect, 100.0)
    found = combine.combined_matrices([one, other])
    np.testing.assert_allclose(found.effect, 1.5 * effect)
    np.testing.assert_allclose(found.variance, 0.75)
    assert np.isnan(found.z.diagonal()).all() and found.dof == 200


def test_halves_of_a_real_run_combine_to_what_the_whole_gives(shared_data):
    series, rows = localiser(shared_data / "bold-localiser")
    data = series[with_data(series)].T
    own = blocks_of([{**row, "trial_type": "task"} for row in events_of(_texts(rows), "events")])

    def areas(data, onsets):
        times = (np.arange(len(data)) + 0.5) * TR_S
        inside = {"task": np.array([one for one in onsets if 0 <= one[0] < len(data) * TR_S])}
        return fir.areas(data, fir.fir_design(times, inside, glm.nuisance(len(data), TR_S), 22, 2))

    whole = areas(data, own["task"])
    half = len(data) // 2
    # The volume of the cut is a whole one, so the second half's clock starts there.
    later = own["task"] - np.array([half * TR_S, 0])
    both = combine.combined_areas([areas(data[:half], own["task"]), areas(data[half:], later)])
    # The halves have baselines and drifts of their own, so that the same noise gives them another
    # estimate, within the error of either.
    z = (both.area[0] - whole.area[0]) / np.sqrt(whole.variance[0])
    assert np.sqrt(np.mean(z**2)) < 1 and np.mean(np.abs(z) < 1.96) > 0.95
    best = np.argsort(whole.z[0])[-50:]
    assert both.z[0][best].mean() > 0.8 * whole.z[0][best].mean()
    ratio = np.sqrt(both.variance[0] / whole.variance[0])
    assert 0.9 < np.median(ratio) < 1.25


def _texts(rows):
    return [{name: str(value) for name, value in row.items()} for row in rows]

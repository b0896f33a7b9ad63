"""gPPI: what it finds where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.bold import connectivity as ppi
from fmrsflow.bold import glm
from fmrsflow.bold.blocks import blocks_of, boxcar
from fmrsflow.errors import DataError
from fmrsflow.synthetic.bold import BoldTruth, block_design, region_series

TIMING = ppi.Timing(200, 2.0, 1.0)


def test_convolution_of_constant_activity_is_that_activity():
    neural = np.full(len(TIMING.neural_times_s), 2.5)
    np.testing.assert_allclose(TIMING.convolve(neural), 2.5, rtol=2e-3)


def test_a_step_covers_the_share_of_it_that_lies_in_a_block():
    found = boxcar(np.array([0.5, 1.5, 2.5]), 1.0, np.array([[1.25, 1.0]]))
    np.testing.assert_allclose(found, [0, 0.75, 0.25])


def test_eigenvariate_of_like_voxels_is_their_series():
    rng = np.random.default_rng(0)
    series = rng.standard_normal(100)
    series -= series.mean()
    np.testing.assert_allclose(ppi.eigenvariate(np.repeat(series[:, None], 30, 1)), series)
    noisy = series[:, None] + 0.5 * rng.standard_normal((100, 400))
    assert np.corrcoef(ppi.eigenvariate(noisy), series)[0, 1] > 0.99
    # Sign of the mean, whatever the SVD says.
    assert np.corrcoef(ppi.eigenvariate(-noisy), series)[0, 1] < -0.99


def slow_activity(rng, timing):
    times = timing.neural_times_s
    return sum(
        rng.standard_normal() * np.sin(2 * np.pi * times / period + 6 * rng.random())
        for period in (16, 20, 27, 35, 60)
    )


def test_deconvolution_gives_the_activity_that_the_response_lets_through():
    rng = np.random.default_rng(1)
    neural = slow_activity(rng, TIMING)
    nuisance = glm.nuisance(200, 2.0, None, 0.0)
    bold = TIMING.convolve(neural)
    noisy = bold + 0.05 * bold.std() * rng.standard_normal(200)
    found, ratio = ppi.Deconvolution(TIMING, nuisance).neural(glm.residualised(noisy, nuisance))
    inner = slice(200, -100)
    assert np.corrcoef(found[inner], neural[inner])[0, 1] > 0.97
    assert found[inner].std() == pytest.approx(neural[inner].std(), rel=0.1)
    assert ratio > 0


def test_deconvolution_of_noise_gives_next_to_nothing():
    rng = np.random.default_rng(2)
    nuisance = glm.nuisance(200, 2.0, None, 0.0)
    deconvolution = ppi.Deconvolution(TIMING, nuisance)
    noise = glm.residualised(rng.standard_normal(200), nuisance)
    signal = TIMING.convolve(slow_activity(rng, TIMING))
    signal = glm.residualised(signal / signal.std(), nuisance)
    fitted = [TIMING.convolve(deconvolution.neural(one)[0]).std() for one in (noise, signal)]
    assert fitted[0] < 0.5 * fitted[1]


def pair(seed, contrast_ppi=0.0, co_activation=0.0, n_each=8, hrf_delay_s=6.0):
    """Seed voxels and a target, percent, one run of two conditions."""
    rng = np.random.default_rng(seed)
    events = block_design(("a", "b"), n_each, 20.0, 44.0)
    n = int((events[-1]["onset"] + 60) / 2)
    truth = BoldTruth(
        peak_percent={"a": co_activation, "b": 0.3 * co_activation},
        shared_percent=0.5,
        ppi={"a": contrast_ppi},
        target_ratio={"a": 1.0, "b": 1.0},
        hrf_delay_s=hrf_delay_s,
        target_hrf_delay_s=hrf_delay_s,
    )
    series = region_series(rng, events, n, 2.0, truth)
    seeds = series.seed[:, None] + 0.5 * rng.standard_normal((n, 100))
    target = series.target + 0.1 * rng.standard_normal(n)
    return ppi.Timing(n, 2.0, 1.0), blocks_of(events), seeds, target


def estimate(timing, blocks, seeds, target):
    nuisance = glm.nuisance(timing.n_scans, timing.tr_s)
    other = ppi.orthonormal(ppi.task_space(timing, blocks), nuisance)
    seed = ppi.eigenvariate(glm.residualised(seeds, other))
    design = ppi.ppi_design(
        glm.residualised(seed, other), timing, blocks, other, ppi.Deconvolution(timing, other)
    )
    found = glm.fit(target[:, None], design.matrix).contrast(design.weights({"a": 1, "b": -1}))
    return found.effect[0], np.sqrt(found.variance[0])


def test_co_activation_does_not_move_the_estimate():
    for delay_s in (6.0, 8.0):
        without, strong = (
            estimate(*pair(3, co_activation=level, hrf_delay_s=delay_s)) for level in (1e-9, 5.0)
        )
        # What the last lags do not hold of a late undershoot is all that differs.
        assert strong[0] == pytest.approx(without[0], abs=0.2 * without[1])


def test_an_interaction_is_found_with_its_size():
    found = np.array([estimate(*pair(100 + seed, 0.6)) for seed in range(20)])
    error = found[:, 0].std(ddof=1) / np.sqrt(20)
    assert found[:, 0].mean() == pytest.approx(0.6, abs=3 * error)
    assert error < 0.06
    # The stated error is the spread.
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(ddof=1), rel=0.4)


@pytest.mark.parametrize("start_s", [0.0, 1.0, 1.9])
def test_task_space_holds_any_response_of_its_length(start_s):
    _, blocks, *_ = pair(0)
    timing = ppi.Timing(380, 2.0, start_s)
    space = ppi.orthonormal(ppi.task_space(timing, blocks))
    shape = np.random.default_rng(5).standard_normal(21)
    evoked = np.zeros(timing.n_scans)
    for onset, _ in blocks["a"]:
        first = int(np.ceil((onset - start_s) / 2))
        evoked[first : first + 21] += shape
    assert np.abs(glm.residualised(evoked, space)).max() < 1e-9


def test_task_space_interpolates_where_onsets_fall_at_two_phases():
    events = block_design(("a", "b"), 6, 14.0, 43.0)
    timing, blocks = ppi.Timing(300, 2.0, 1.0), blocks_of(events)
    space = ppi.orthonormal(ppi.task_space(timing, blocks))
    truth = BoldTruth({"a": 1.0, "b": 0.5}, shared_percent=1e-9, own_percent=1e-9)
    evoked = region_series(np.random.default_rng(0), events, 300, 2.0, truth).seed
    assert np.abs(glm.residualised(evoked, space)).max() < 0.03


def test_natural_contrasts_and_those_named():
    assert ppi.parse_contrasts([], ["a"]) == {"a": {"a": 1.0}}
    assert ppi.parse_contrasts([], ["a", "b"]) == {"a-b": {"a": 1.0, "b": -1.0}}
    three = ppi.parse_contrasts([], ["a", "b", "c"])
    assert three["b-others"] == {"a": -0.5, "b": 1.0, "c": -0.5}
    assert ppi.parse_contrasts(["b-a"], ["a", "b"]) == {"b-a": {"b": 1.0, "a": -1.0}}
    assert ppi.parse_contrasts(["x-y - z"], ["x-y", "z"]) == {"x-y-z": {"x-y": 1.0, "z": -1.0}}
    with pytest.raises(DataError, match="the BOLD run has a, b"):
        ppi.parse_contrasts(["a-c"], ["a", "b"])


def test_regions_that_interact_stand_out_in_the_matrix():
    timing, blocks, seeds, target = pair(7, 1.5, n_each=10)
    rng = np.random.default_rng(8)
    series = np.column_stack([seeds.mean(axis=1), target, rng.standard_normal((timing.n_scans, 2))])
    other = ppi.orthonormal(
        ppi.task_space(timing, blocks), glm.nuisance(timing.n_scans, timing.tr_s)
    )
    found = ppi.roi_to_roi(
        series, ["seed", "target", "n1", "n2"], timing, blocks, other, {"a": 1, "b": -1}
    )
    assert found.z[0, 1] == np.nanmax(found.z) > 4
    assert np.isnan(np.diag(found.effect)).all()
    np.testing.assert_allclose(found.symmetric, found.symmetric.T)

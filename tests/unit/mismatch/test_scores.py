"""Scores against errors whose bias, spread and rank are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmrsflow.mismatch.scores import Outcome, attribution, better, score


def outcomes(errors, truth: float = 3.0, half: float = 1.0, flagged: bool = False):
    """Scans in pairs with these errors."""
    return [
        Outcome(n // 2, truth, truth + e, truth + e - half, truth + e + half, flagged, 1.0 + n)
        for n, e in enumerate(errors)
    ]


def mirrored(rng, n_pairs: int, bias: float, sd: float) -> np.ndarray:
    """Errors whose noise cancels within a pair."""
    noise = sd * rng.standard_normal(n_pairs)
    return bias + np.column_stack([noise, -noise]).ravel()


def test_bias_is_known_better_than_the_spread_of_the_scans_says():
    found = score(outcomes(mirrored(np.random.default_rng(1), 6, 0.2, 2.0)))
    assert found.bias == pytest.approx(0.2)
    assert found.bias_se == pytest.approx(0.0, abs=1e-12)
    assert found.sd > 1


def test_the_error_of_the_bias_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(400):
        errors = mirrored(rng, 30, 0.5, 1.0) + 0.3 * rng.standard_normal(60)
        found = score(outcomes(errors))
        inside += abs(found.bias - 0.5) < 1.96 * found.bias_se
    # 30 pairs: t instead of normal quantiles, 94 %; 3 SD of a binomial of 400.
    assert 0.94 - 0.036 < inside / 400 < 0.94 + 0.036


def test_rmse_coverage_flags_and_cpu_are_those_of_the_scans():
    errors = [0.5, -0.5, 2.0, -2.0]
    own = outcomes(errors, flagged=True)[:2] + outcomes(errors)[2:]
    found = score(own)
    assert found.rmse == pytest.approx(math.sqrt(np.mean(np.square(errors))))
    assert (found.coverage, found.flagged, found.cpu_s) == (0.5, 0.5, 2.5)


def test_no_answer_counts_as_no_change_and_as_a_failure():
    lost = Outcome(1, 3.0, math.nan, math.nan, math.nan, True, math.nan)
    found = score([*outcomes([0.0, 0.0]), lost])
    assert found.failures == 1 and found.n == 3
    assert found.rmse == pytest.approx(math.sqrt(9 / 3))
    assert found.bias == 0.0 and found.coverage == 1.0


def test_a_worse_analysis_ranks_behind_and_equal_ones_share_a_rank():
    rng = np.random.default_rng(3)
    good = mirrored(rng, 20, 0.0, 1.0)
    same = good + 0.01 * rng.standard_normal(40)
    found = better({"bad": outcomes(good + 3.0), "good": outcomes(good), "same": outcomes(same)})
    assert found == {"good": (), "same": (), "bad": ("good", "same")}


def test_silence_never_ranks_before_an_answer():
    rng = np.random.default_rng(6)
    lost = [Outcome(n // 2, 3.0, math.nan, math.nan, math.nan, True, 1.0) for n in range(40)]
    assert better({"silent": lost, "noisy": outcomes(mirrored(rng, 20, 0.0, 20.0))}) == {
        "noisy": (), "silent": ("noisy",),
    }  # fmt: skip


@pytest.mark.parametrize("n_pairs", [4, 20])
def test_chance_alone_seldom_breaks_a_tie(n_pairs):
    rng = np.random.default_rng(4)
    broken = 0
    for _ in range(400):
        pair = {name: outcomes(mirrored(rng, n_pairs, 0.0, 1.0)) for name in ("one", "two")}
        broken += any(better(pair).values())
    # At most 5 % by design, and 2 SD of a binomial of 400.
    assert broken / 400 < 0.05 + 0.022


@pytest.mark.parametrize("n_pairs", [4, 20])
def test_the_interval_of_a_bias_holds_the_truth_as_often_as_it_says(n_pairs):
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(400):
        errors = mirrored(rng, n_pairs, 0.5, 1.0) + 0.3 * rng.standard_normal(2 * n_pairs)
        found = score(outcomes(errors))
        inside += found.bias_low < 0.5 < found.bias_high
    assert 0.95 - 0.033 < inside / 400 < 0.95 + 0.033  # 3 SD of a binomial of 400


def test_of_few_pairs_no_interval_of_the_rmse_is_told():
    rng = np.random.default_rng(9)
    assert math.isnan(score(outcomes(mirrored(rng, 4, 0.0, 1.0))).rmse_low)
    found = score(outcomes(mirrored(rng, 20, 0.0, 1.0)))
    assert found.rmse_low <= found.rmse <= found.rmse_high


def test_the_share_of_a_step_is_the_error_that_its_truth_takes_away():
    rng = np.random.default_rng(5)
    noise, step = (mirrored(rng, 200, 0.0, sd) for sd in (1.0, 2.0))
    found = attribution(outcomes(noise + step), outcomes(noise))
    assert found.low < 0.8 < found.high
    assert found.rmse == pytest.approx(math.sqrt(np.mean(noise**2)))

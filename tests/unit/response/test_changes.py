"""Percent change: intervals that cover, errors that match scatter, controls that speak."""

import math

import numpy as np
import pytest

from fmrsflow.response.blocks import change_per_block, habituation, halves_of_rest
from fmrsflow.response.change import percent_change, ratio_of_changes
from fmrsflow.response.controls import control, mean_difference
from fmrsflow.response.course import (
    block_bootstrap,
    block_length,
    condition_columns,
    glm_ar1,
    timecourse_changes,
)
from fmrsflow.response.timecourse import Course, changes_over_time


def test_fieller_covers_where_rest_is_as_uncertain_as_the_task():
    rng = np.random.default_rng(1)
    # True change +30 % of a small metabolite (lactate) measured to 10 %.
    rest = rng.normal(1.0, 0.1, 4000)
    task = rng.normal(1.3, 0.1, 4000)
    spread = np.diag([0.01, 0.01])
    found = [percent_change(a, b, spread) for a, b in zip(rest, task)]
    covered = np.mean([one.low <= 30 <= one.high for one in found])
    # Four binomial standard errors.
    assert covered == pytest.approx(0.95, abs=0.014)


@pytest.mark.parametrize("interval", ["fieller", "log_ratio"])
def test_precise_values_give_the_first_order_interval(interval):
    spread = np.diag([0.03**2, 0.04**2])
    one = percent_change(10.0, 10.3, spread, interval=interval)
    se = 100 * math.hypot(0.04, 1.03 * 0.03) / 10
    assert one.percent == pytest.approx(3.0)
    assert one.se == pytest.approx(se)
    assert (one.low, one.high) == pytest.approx((3 - 1.96 * se, 3 + 1.96 * se), abs=0.005)


def test_errors_common_to_both_conditions_cancel():
    common = np.full((2, 2), 1.0) + np.diag([1e-6, 1e-6])
    assert percent_change(10.0, 10.0, common).se < 0.02


def test_interval_is_open_where_rest_is_not_different_from_zero():
    one = percent_change(0.1, 0.2, np.diag([0.01, 0.01]))
    assert (one.low, one.high) == (-math.inf, math.inf)


def test_nothing_at_rest_is_told():
    one = percent_change(0.0, 1.0, np.eye(2))
    assert math.isnan(one.percent)
    assert one.reason == "cannot be estimated because the fit found nothing at rest"


def test_nothing_during_the_task_is_a_change_of_minus_100_by_fieller():
    spread = np.diag([0.01, 0.01])
    one = percent_change(1.0, 0.0, spread)
    assert one.percent == -100 and one.low < -100 < one.high
    assert "logarithm" in percent_change(1.0, 0.0, spread, interval="log_ratio").reason


def test_change_of_a_ratio_is_that_of_both_parts():
    one = ratio_of_changes(5.0, 2.0, np.diag([1.0, 1.0]))
    assert one.percent == pytest.approx(100 * (1.05 / 1.02 - 1))
    assert one.se == pytest.approx(math.hypot(1 / 1.02, 1.05 / 1.02**2))
    # A change of tCr that is an error of both alike vanishes.
    same = ratio_of_changes(2.0, 2.0, np.ones((2, 2)))
    assert (same.percent, same.se) == pytest.approx((0.0, 0.0), abs=1e-6)


def _course(rng, n, rho, change, drift=0.0, sd=0.3):
    labels = ["task" if (j // 4) % 2 else "rest" for j in range(n)]
    noise = np.zeros(n)
    for j in range(n):
        noise[j] = (
            rho * noise[j - 1] + rng.normal(0, sd * math.sqrt(1 - rho**2))
            if j
            else (rng.normal(0, sd))
        )
    task = np.array([label == "task" for label in labels])
    return 10 * (1 + change * task) + drift * np.linspace(-1, 1, n) + noise, labels


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_timecourse_interval_covers_with_autocorrelated_errors(rho):
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(300):
        y, labels = _course(rng, 40, rho, 0.03, drift=0.4)
        one = timecourse_changes(y, np.full(40, 0.3), labels, np.arange(40.0), "rest", ["task"])[0]
        covered.append(one.low <= 3 <= one.high)
    # Four standard errors of 300 are 5 %; AR(1) with rho from 40 points may cost 2 % more.
    assert 0.88 <= np.mean(covered) <= 0.99


def test_rho_is_recovered():
    rng = np.random.default_rng(3)
    y, labels = _course(rng, 2000, 0.5, 0.0)
    design = condition_columns(labels, "rest", ["task"], np.arange(2000.0), 1)
    glm = glm_ar1(y, np.full(2000, 0.3), design)
    assert glm.rho == pytest.approx(0.5, abs=0.08)


def test_a_linear_drift_does_not_pass_for_a_change():
    y, labels = _course(np.random.default_rng(4), 40, 0.0, 0.0, drift=5.0, sd=1e-3)
    one = timecourse_changes(y, np.full(40, 1e-3), labels, np.arange(40.0), "rest", ["task"])[0]
    assert abs(one.percent) < 0.05


def test_few_blocks_take_the_errors_of_the_fit():
    one = timecourse_changes(
        np.array([10.0, 10.3]), np.array([0.1, 0.1]), ["rest", "task"], np.arange(2.0), "rest",
        ["task"],
    )[0]  # fmt: skip
    assert one.percent == pytest.approx(3.0)
    assert one.se == pytest.approx(100 * math.hypot(0.1, 0.103) / 10)


def test_a_condition_without_blocks_is_told():
    one = timecourse_changes(
        np.ones(3), np.ones(3), ["rest"] * 3, np.arange(3.0), "rest", ["task"]
    )[0]
    assert "no block of task" in one.reason


@pytest.mark.parametrize("rho, drift", [(0.0, 0.0), (0.6, 3.0)])
def test_block_bootstrap_gives_the_scatter_of_repeated_scans(rho, drift):
    rng = np.random.default_rng(5)
    n = 128
    changes, errors = [], []
    for _ in range(150):
        y, labels = _course(rng, n, rho, 0.03, drift)
        design = condition_columns(labels, "rest", ["task"], np.arange(n * 1.0), 1)
        b = np.linalg.lstsq(design, y, rcond=None)[0]
        changes.append(100 * b[1] / b[0])
        errors.append(block_bootstrap(y, design, 1, 200, rng)[0])
    scatter = np.std(changes)
    # 150 scans tell their scatter to 6 %; blocks shorten the memory of rho = 0.6 by some more.
    assert np.mean(errors) == pytest.approx(scatter, rel=0.2)


def test_blocks_grow_with_the_correlation():
    rng = np.random.default_rng(6)
    white = rng.normal(size=200)
    slow = np.convolve(rng.normal(size=240), np.ones(20) / 20, "valid")[:200]
    assert block_length(white) < block_length(slow)


def course_of(values, labels, covariance, level_variance=0.0, counts=None) -> Course:
    times = np.arange(len(values), dtype=float)
    return Course(
        "", "Glu", tuple(labels), times, np.asarray(values), covariance, level_variance, counts
    )


def test_halves_of_rest_show_a_drift_and_nothing_else():
    labels, spread = ["rest", "task"] * 8, 0.01 * np.eye(16)
    flat, rising = np.full(16, 10.0), np.linspace(9.5, 10.5, 16)
    assert halves_of_rest(course_of(flat, labels, spread), "rest").percent == 0
    assert halves_of_rest(course_of(rising, labels, spread), "rest").percent > 4
    one = halves_of_rest(course_of(flat[:2], labels[:2], np.eye(2)), "rest")
    assert one.reason == "cannot be estimated because rest has one block"


def test_habituation_is_the_slope_over_task_blocks():
    labels = ["rest", "task"] * 4
    values = np.array([10, 10.8, 10, 10.6, 10, 10.4, 10, 10.2])
    course = course_of(values, labels, 0.05**2 * np.eye(8))
    blocks = change_per_block(course, "rest")
    assert [one.change.percent for one in blocks] == pytest.approx([8, 6, 4, 2])
    slope = habituation(course, "rest", "task")
    assert slope.percent == pytest.approx(-2.0, abs=0.01)
    # Of a line through four points of 0.5 %: sd / sqrt(sum of (x - mean)^2).
    assert slope.se == pytest.approx(0.5 / math.sqrt(5.0))


COUNTS = np.full(8, 16)
BLOCKS = ["rest", "task"] * 4


def gains(rho: float, size: float) -> np.ndarray:
    """Covariance of the gain of 128 transients."""
    index = np.arange(128)
    return size**2 * rho ** np.abs(index[:, None] - index)


@pytest.mark.parametrize("rho", [0.0, 0.8, 0.98])
def test_errors_of_blocks_of_one_model_are_their_scatter(rho):
    """Noise and a gain that runs on over all transients: changes, the slope over blocks, one block
    and halves of rest, each against the scatter of 2,000 courses."""
    rng = np.random.default_rng(8)
    gain, noise, level = gains(rho, 0.02), 0.05**2, 0.01**2
    mean = np.kron(np.eye(8), np.full(16, 1 / 16)) - 1 / 128
    covariance = mean @ (gain + noise * np.eye(128)) @ mean.T
    root = mean @ np.linalg.cholesky(gain + noise * np.eye(128))
    truth = np.where(np.array(BLOCKS) == "task", 1.03, 1.0)
    truth -= truth.mean() - 1
    setting = {"drift_order": 1, "interval": "fieller"}
    found = []
    for _ in range(2000):
        # The level is off in all alike.
        values = 1 + (truth - 1 + root @ rng.standard_normal(128)) / (1 + 0.01 * rng.normal())
        course = course_of(values, BLOCKS, covariance, level, COUNTS)
        (change,) = changes_over_time(course, "rest", ["task"], setting)
        plain = course.between("rest", "task", "fieller")
        (block, *_) = change_per_block(course, "rest")
        others = (habituation(course, "rest", "task"), halves_of_rest(course, "rest"))
        found.append([(one.percent, one.se) for one in (change, plain, block.change, *others)])
    values, errors = np.moveaxis(np.array(found), 2, 0)
    ratio = values.std(axis=0) / np.sqrt(np.mean(errors**2, axis=0))
    # 2,000 courses tell a scatter to 1.6 %; four of these, and the second order of 3 %.
    np.testing.assert_allclose(ratio, 1.0, atol=0.08)
    np.testing.assert_allclose(values[:, :2].mean(axis=0), 3.046, atol=0.2)


def test_a_drift_that_blocks_cannot_separate_is_left_out():
    spread = 1e-4 * np.array([[1, -1], [-1, 1]])
    course = course_of([1.0, 1.03], ["rest", "task"], spread, 0.0, np.full(2, 16))
    setting = {"drift_order": 2, "interval": "fieller"}
    (change,) = changes_over_time(course, "rest", ["task"], setting)
    assert change.percent == pytest.approx(100 * 0.03 / 1.0, abs=0.1)
    assert change.se == pytest.approx(2.0, rel=0.05)


def test_what_all_blocks_share_is_in_no_change():
    """A level that is uncertain by 10 % of itself makes a change uncertain by 10 % of itself."""
    covariance = 1e-8 * (np.eye(8) - 1 / 8)
    truth = np.where(np.array(BLOCKS) == "task", 1.05, 1.0)
    course = course_of(truth, BLOCKS, covariance, 0.1**2, COUNTS)
    assert course.between("rest", "task", "fieller").se == pytest.approx(0.5, rel=0.01)


def test_a_control_is_flagged_in_words_only_beyond_its_limit():
    small = control("tCr change", 0.8, 0.2, "percent", 1.0, "the water moved")
    assert small.flag == "" and small.limit == 1.0
    noisy = control("tCr change", 3.0, 2.0, "percent", 1.0, "the water moved")
    assert noisy.flag == "" and noisy.limit == pytest.approx(3.92, abs=0.01)
    large = control("tCr change", 5.0, 2.0, "percent", 1.0, "the water moved")
    assert large.flag == "tCr change is +5 percent, above 3.9: the water moved"
    unknown = control("tCr change", math.nan, 1.0, "percent", 1.0, "the water moved")
    assert unknown.flag == "tCr change cannot be estimated"


def test_difference_of_a_random_walk_is_not_significant_most_of_the_time():
    rng = np.random.default_rng(7)
    labels = ["task" if (j // 16) % 2 else "rest" for j in range(128)]
    z = []
    for _ in range(200):
        walk = np.cumsum(rng.normal(size=128))
        difference, se = mean_difference(walk, labels, "rest", "task")
        z.append(abs(difference) / se)
    assert np.mean(np.array(z) > 1.96) < 0.1

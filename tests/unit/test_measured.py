"""Statistics of the benchmark `measured` against closed forms and draws of known spread."""

from __future__ import annotations

import numpy as np
import pytest

import measured
import measured_data
from measured_brains import cv_within, paired_bootstrap
from measured_known import main_sums, scale_of, single_errors
from measured_scans import holds, pooled_rms, told_over_scatter

DRAWS = 400
COVERAGE_SE = (0.05 * 0.95 / DRAWS) ** 0.5


def test_the_cv_weighs_vendors_by_their_degrees_of_freedom():
    """Variances over squared means: 1/2 with one degree of freedom, 0 with two."""
    values = np.array([1.0, 3.0, 10.0, 10.0, 10.0])
    vendors = np.array(["a", "a", "b", "b", "b"])
    assert cv_within(values, vendors) == pytest.approx(100 * (0.5 / 3) ** 0.5)


def test_the_cv_does_not_see_differences_between_vendors():
    vendors = np.repeat(["a", "b"], 4)
    values = np.tile([0.9, 1.0, 1.0, 1.1], 2)
    moved = values * np.where(vendors == "a", 1.0, 3.0)
    assert cv_within(moved, vendors) == pytest.approx(cv_within(values, vendors))


def test_the_bootstrap_is_paired():
    """Ratios that differ by a factor alone have the same CV in every draw."""
    rng = np.random.default_rng(3)
    vendors = np.repeat(["a", "b", "c"], 6)
    values = rng.normal(1.0, 0.1, 18)
    assert paired_bootstrap(values, 2 * values, vendors, 200) == pytest.approx([0.0, 0.0])
    assert paired_bootstrap(1 + 3 * (values - 1), values, vendors, 200)[0] > 0


def test_the_interval_of_split_halves_holds_the_truth():
    """White noise of known variance, means of halves, the true variance told: 95 % coverage."""
    rng = np.random.default_rng(5)
    n, inside = 16, 0
    for _ in range(DRAWS):
        transients = rng.normal(size=n)
        orders = [rng.permutation(n) for _ in range(60)]
        found = [transients[o[: n // 2]].mean() - transients[o[n // 2 :]].mean() for o in orders]
        _, low, high = told_over_scatter(np.array(found), np.full(60, 4 / n), n)
        inside += low <= 1 <= high
    # Sixty splits in place of all add 3 % to the error of the ratio.
    assert inside / DRAWS == pytest.approx(0.95, abs=3 * COVERAGE_SE + 0.01)


def test_the_interval_over_scans_holds_the_truth():
    """Nine scans whose z has 14 degrees of freedom each."""
    rng = np.random.default_rng(7)
    squares = rng.chisquare(14, (DRAWS, 9)) / 14
    intervals = np.array([pooled_rms(one)[1:] for one in squares])
    inside = np.mean((intervals[:, 0] <= 1) & (intervals[:, 1] >= 1))
    # The mean square is skewed, which the t interval does not know: up to two points.
    assert inside == pytest.approx(0.95, abs=3 * COVERAGE_SE + 0.02)


@pytest.mark.parametrize(
    ("interval", "right"),
    [((1.0, 0.8, 1.2), True), ((1.2, 1.1, 1.3), False), ((1.5, 0.9, 2.0), False)],
)
def test_an_interval_and_its_point_both_count(interval, right):
    assert holds(*interval) is right


def test_the_truth_of_the_challenge_has_no_error(shared_data):
    sets = measured_data.challenge()
    own = {v: k for k, v in measured_data.TRUTH_NAMES.items()}
    names = [name for name in sets[0].basis.names if own.get(name, name) in sets[0].truth_mm]
    found = [{name: one.truth_mm[own.get(name, name)] for name in names} for one in sets]
    sums, truth = main_sums(sets, found)
    assert sums == pytest.approx(truth, rel=1e-4)
    assert scale_of(1.02 * truth, truth) == pytest.approx(1.02)
    errors = single_errors(sets, found)
    assert len(errors) == 20
    assert max(map(max, errors.values())) == 0


def test_without_data_every_figure_is_skipped_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(measured_data, "DATA", tmp_path)
    found = list(measured.measured_figures(quick=True))
    assert len(found) == 9
    for figure in found:
        assert figure.reached is None
        assert "SKIPPED" in str(figure) and "../shared/data" in figure.note

"""Distances of samples against closed forms, and the page of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fmrsflow.synthetic.compare import (
    ComparedScan,
    distance,
    distances,
    kolmogorov,
    page,
    wasserstein,
)


def test_distances_agree_with_scipy():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 23), rng.normal(0.7, 2, 31)
    assert wasserstein(a, b) == pytest.approx(stats.wasserstein_distance(a, b))
    assert kolmogorov(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_a_shift_is_its_own_wasserstein_distance():
    a = np.array([1.0, 4.0, 6.0])
    assert wasserstein(a, a + 2.5) == pytest.approx(2.5)


def test_exact_p_of_two_separate_samples():
    # Of the 20 splits of six values into threes, the two extreme ones are as far apart.
    assert distance("x", [1, 2, 3], [11, 12, 13]).p_value == pytest.approx(2 / 20)
    assert distance("x", [1, 2, 3], [1, 2, 3]).p_value == 1.0


def test_p_is_uniform_where_both_samples_come_from_one_distribution():
    rng = np.random.default_rng(5)
    found = [
        distance("x", *rng.normal(size=(2, 15)), seed=k, permutations=199).p_value
        for k in range(300)
    ]
    # Standard error of a share of 300.
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=4 * np.sqrt(0.0475 / 300))
    assert np.mean(found) == pytest.approx(0.5, abs=4 / np.sqrt(12 * 300))


def test_an_empty_sample_is_refused():
    with pytest.raises(ValueError, match="empty"):
        distance("x", [], [1.0])


def scans(shift: float, extra: dict) -> list[ComparedScan]:
    ppm = np.linspace(0, 5, 200)
    rng = np.random.default_rng(1)
    return [
        ComparedScan(
            f"s{n}", {"snr_tcr": 50 + shift + rng.normal(), "fqn": np.nan, **extra}, ppm, ppm * 0
        )
        for n in range(8)
    ]


def test_only_what_both_sets_have_is_compared_and_drawn():
    synthetic, measured = scans(5, {"drift_hz": 1.0}), scans(0, {"Glu:molal": 9.0})
    found = distances(synthetic, measured)
    assert [one.quantity for one in found] == ["snr_tcr"]
    assert found[0].wasserstein == pytest.approx(5, abs=0.2)
    figure = page(synthetic, measured, found)
    spectra = figure.subfigs[0].axes[0]
    assert spectra.get_xlim() == (4.2, 0.2)
    assert len(spectra.lines) == 16

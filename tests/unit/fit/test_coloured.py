"""Errors of the fit where an export filtered or zero-filled the FIDs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.fit.design import condition_design, linewidth_design
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.solve import fit_spectra

MAIN = ("tNAA", "tCr", "tCho", "mI", "Glu", "Gln", "GSH")
DRAWS = 60
OPTIONS = FitOptions(baseline_smoothness="fixed")


def filters(time_s):
    return {
        "exponential": np.exp(-np.pi * 5 * time_s),
        "gaussian": np.exp(-((np.pi * 4 * time_s) ** 2) / (4 * np.log(2))),
        "hann": np.cos(np.pi / 2 * time_s / (time_s[-1] + time_s[1])) ** 2,
    }


def stated_over_scatter(results, names=MAIN):
    """Root mean squared standard error over the scatter of the amplitudes, mean over names."""
    rows = [one.with_sums() for one in results if one.status == "ok"]
    assert len(rows) > 0.95 * len(results)
    places = [rows[0][0].index(name) for name in names]
    amplitudes = np.array([row[1][places] for row in rows])
    variances = np.array([np.diag(row[2])[places] for row in rows])
    return np.mean(np.sqrt(variances.mean(axis=0)) / amplitudes.std(axis=0, ddof=1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exponential", "gaussian", "hann"])
def test_errors_are_right_under_a_filter(clean, basis, noisy, name):
    fids = noisy(DRAWS, 40.0, 11)
    filtered = fids.with_data(fids.transients * filters(clean.time_s)[name])
    ratio = stated_over_scatter(fit_spectra(filtered, basis, OPTIONS))
    # 0.9 to 1.1, widened by two Monte Carlo errors: 1 / sqrt(2 draws) for one metabolite, and
    # seven that depend on each other are worth about three.
    assert ratio == pytest.approx(1.0, abs=0.1 + 2 / np.sqrt(2 * DRAWS * 3))


def test_zero_filled_fids_have_the_errors_of_the_measured_ones(clean, basis, noisy):
    fids = noisy(3, 40.0, 12)
    filled = fids.with_data(np.pad(fids.transients, ((0, 0), (0, fids.n_points))))
    long = replace(basis, fids=np.pad(basis.fids, ((0, 0), (0, fids.n_points))))
    for one, other in zip(fit_spectra(fids, basis), fit_spectra(filled, long)):
        np.testing.assert_array_equal(one.amplitudes, other.amplitudes)
        np.testing.assert_array_equal(one.covariance, other.covariance)


def test_the_errors_of_white_noise_are_those_of_the_fisher_information(noisy, basis):
    """The sandwich is for coloured noise alone, and near the other under a filter that does next
    to nothing."""
    fids = noisy(1, 40.0, 13)
    mild = fids.with_data(fids.transients * np.exp(-np.pi * 0.8 * fids.time_s))
    plain, filtered = (fit_spectra(one, basis, OPTIONS)[0] for one in (fids, mild))
    k = plain.with_sums()[0].index("tCr")
    errors = [
        np.sqrt(one.with_sums()[2][k, k]) / one.with_sums()[1][k] for one in (plain, filtered)
    ]
    assert errors[1] == pytest.approx(errors[0], rel=0.2)


@pytest.mark.slow
def test_errors_of_the_joint_fit_are_right_under_a_filter(clean, basis, noisy):
    labels = (["rest"] * 4 + ["task"] * 4) * 2
    design, width = condition_design(labels, "rest"), linewidth_design(labels, "rest")
    shape = filters(clean.time_s)["exponential"]
    changes, errors = [], []
    for seed in range(40):
        fids = noisy(len(labels), 20.0, 100 + seed)
        fids = fids.with_data(fids.transients * shape)
        one = fit_joint(fids, basis, design, width, OPTIONS)
        changes.append(one.change_percent[0])
        errors.append(one.change_se_percent[0])
    places = [one.names.index(name) for name in ("tNAA", "tCr", "tCho", "mI", "Glu")]
    stated = np.sqrt(np.mean(np.square(errors), axis=0))[places]
    ratio = np.mean(stated / np.std(changes, axis=0, ddof=1)[places])
    assert ratio == pytest.approx(1.0, abs=0.1 + 2 / np.sqrt(2 * 40 * 3))

"""The direct REML against a dense-matrix likelihood, closed forms, and lme4's answers."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fmrsflow.sites import reml
from sites import crossed, dense_fit, nested


@pytest.mark.parametrize("make", [nested, crossed])
@pytest.mark.parametrize("seed", range(3))
def test_components_agree_with_a_dense_likelihood_to_four_digits(make, seed):
    data = make(seed)
    theirs = dense_fit(data)
    ours = reml.fit(data).variances
    assert ours == pytest.approx(theirs, rel=5e-5, abs=5e-6 * theirs.sum())


def test_balanced_one_way_layout_gives_the_anova_estimates():
    rng = np.random.default_rng(2)
    site = np.repeat(np.arange(12), 8)
    y = 3 + rng.normal(0, 1.0, 12)[site] + rng.normal(0, 1.5, 96)
    means = y.reshape(12, 8).mean(axis=1)
    between, within = 8 * means.var(ddof=1), y.reshape(12, 8).var(axis=1, ddof=1).mean()
    data = reml.Data(y, np.ones((96, 1)), np.zeros(96), (("site", site),))
    fitted = reml.fit(data)
    assert fitted.variances == pytest.approx([(between - within) / 8, within], rel=1e-5)
    assert fitted.coefficients[0] == pytest.approx(y.mean())
    assert fitted.covariance[0, 0] == pytest.approx(between / 96, rel=1e-5)


def test_known_variances_are_taken_from_the_residual():
    rng = np.random.default_rng(3)
    y = rng.normal(0, 2, 400)
    data = reml.Data(y, np.ones((400, 1)), np.ones(400), ())
    assert reml.fit(data).variances[0] == pytest.approx(y.var(ddof=1) - 1, rel=1e-5)


@pytest.mark.parametrize("theta", [(0.3, 0.6, 2.0), (0.0, 0.2, 1.0), (0.1, 0.0, 0.5)])
def test_gradient_is_that_of_the_deviance(theta):
    data = crossed(1)
    likelihood, theta = reml.Likelihood(data), np.array(theta)
    _, gradient = likelihood.deviance(theta, data.y)
    numeric = []
    for step in 1e-6 * np.eye(3):
        ahead, behind = (
            likelihood.deviance(np.maximum(theta + sign * step, 0), data.y, gradient=False)
            for sign in (1, -1)
        )
        width = np.sum(np.maximum(theta + step, 0) - np.maximum(theta - step, 0))
        numeric.append((ahead - behind) / width)
    assert gradient == pytest.approx(numeric, rel=1e-3)


def test_profile_ends_lie_where_the_deviance_is_up_by_the_chi_square_point():
    data = nested(3)
    fitted = reml.fit(data)
    low, high = reml.profile_share(data, fitted, "site")
    assert 0 < high < 1
    for share in (low, high):
        # Brute force: the best deviance with that share of the site, on a grid of the two others.
        best = np.inf
        likelihood = reml.Likelihood(data)
        for person in np.linspace(0.5, 5, 46):
            for rest in np.linspace(0.5, 2, 31):
                site = share / (1 - share) * (person + rest)
                theta = np.array([site, person, rest])
                best = min(best, likelihood.deviance(theta, data.y, gradient=False))
        if share > 0:
            assert best - fitted.deviance == pytest.approx(reml.CUT95, abs=0.05)
        else:
            assert best - fitted.deviance < reml.CUT95


def test_simulated_data_have_the_components_they_were_made_from():
    data = nested(2)
    fitted = reml.fit(data)
    y = reml.simulate(data, fitted, np.random.default_rng(1), 4000)
    total = fitted.variances.sum()
    # Variance of an observation over 4,000 sets: standard error sqrt(2 / 4000) of it.
    assert y.var(axis=0).mean() == pytest.approx(total, rel=0.02)
    same = data.factors[1][1]
    pairs = [(j, j + 1) for j in range(len(same) - 1) if same[j] == same[j + 1]]
    shared = np.mean([np.cov(y[:, j], y[:, k])[0, 1] for j, k in pairs])
    assert shared == pytest.approx(fitted.variances[:2].sum(), rel=0.05)


def test_the_dispersion_is_the_same_to_the_last_bit_in_every_process():
    """A sum over a set of names has another order under each hash seed of Python."""
    code = (
        "import numpy as np; from fmrsflow.sites.variance import Sample, _dispersion\n"
        "rng = np.random.default_rng(1); sites = tuple(f'site{n % 20:02d}' for n in range(500))\n"
        "value = rng.standard_normal(500) / 3; se = rng.uniform(0.9, 1.1, 500)\n"
        "sample = Sample(value, se, sites, ('GE',) * 500, tuple(map(str, range(500))))\n"
        "print(repr(_dispersion(sample, se**2)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "1234"
    }
    (value,) = told
    assert 0 < float(value) < 1

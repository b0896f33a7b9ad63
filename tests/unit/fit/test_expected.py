"""Expected errors against closed forms, and what the joint fit tells of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.design import Timing, condition_design, linewidth_design
from fmrsflow.fit.directions import LORENTZ
from fmrsflow.fit.expected import expected_errors, known_directions
from fmrsflow.fit.gain import Gain
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.linear import Columns, solve
from fmrsflow.fit.options import FitOptions

MHZ, DWELL_S, POINTS = 127.74, 5e-4, 2048
PLAIN = FitOptions(macromolecules="none")


def singlets(**ppm: float) -> Basis:
    """Lines that do not decay, at shifts (ppm)."""
    time_s = DWELL_S * np.arange(POINTS)
    hertz = (np.array(list(ppm.values())) - 4.65) * MHZ
    fids = np.exp(2j * np.pi * np.outer(hertz, time_s))
    return Basis(tuple(ppm), fids, DWELL_S, MHZ, 0.03, 4.65)


def labels(n: int, share: float, blocks: int = 1) -> list[str]:
    """Rest and task, `blocks` of each, a share of the transients in the task."""
    one = n // blocks
    task = round(share * one)
    return (["rest"] * (one - task) + ["task"] * task) * blocks


@pytest.mark.parametrize("share", [0.125, 0.25, 0.5])
def test_error_of_a_line_is_that_of_least_squares(share):
    # A line a exp(-l t) under noise of variance s^2 a part: var(a) = 2 l s^2 dt a transient, and
    # the difference of two means has 1 / (n p (1 - p)) of that.
    width_hz, a, sd, n = 6.0, 8.0, 0.3, 64
    directions = known_directions(singlets(Cr=3.03), {"Cr": a}, width_hz, 0.0, PLAIN)
    design = condition_design(labels(n, share), "rest", 2.0, drift_order=0)
    found = expected_errors(directions, sd, design, None, options=PLAIN)["task"]["Cr"]
    variance = 2 * math.pi * width_hz * sd**2 * DWELL_S / (n * share * (1 - share))
    assert found == pytest.approx(100 * math.sqrt(variance) / a, rel=0.02)


def test_a_free_width_doubles_the_variance_of_a_line():
    # With its decay unknown in each condition, var(a) = 4 l s^2 dt.
    directions = known_directions(singlets(Cr=3.03), {"Cr": 8.0}, 6.0, 0.0, PLAIN)
    design = condition_design(labels(64, 0.5), "rest", 2.0, drift_order=0)
    course = design.matrix[:, 1:]
    plain = expected_errors(directions, 0.3, design, None, options=PLAIN)["task"]["Cr"]
    # Of the Lorentzian part alone: no Gaussian one to be told apart from it.
    k = len(directions.rows)
    columns = Columns(course - course.mean(), np.array([0, 0]), np.array([0, k + LORENTZ]))
    variance = 0.3**2 * (directions.model.band.n_used - 0.75)
    both = solve(columns, directions, np.zeros((64, k)), variance).covariance
    assert 100 * math.sqrt(both[0, 0]) / 8.0 == pytest.approx(plain * math.sqrt(2), rel=0.02)


def test_error_falls_with_the_root_of_the_transients_and_grows_with_the_noise():
    directions = known_directions(singlets(Cr=3.03, NAA=2.01), {"Cr": 8, "NAA": 12}, 4, 4, PLAIN)

    def error(n: int, tr_s: float, sd: float = 0.3) -> float:
        """Blocks of 64 s, four of each."""
        timing = Timing.of_labels(labels(n, 0.5, 4), tr_s * np.arange(n))
        design = condition_design(labels(n, 0.5, 4), "rest", timing)
        return expected_errors(directions, sd, design, None, options=PLAIN)["task"]["Cr"]

    once = error(128, 4.0)
    assert error(512, 1.0) == pytest.approx(once / 2, rel=0.01)
    assert error(128, 4.0, 0.9) == pytest.approx(3 * once, rel=1e-9)


def test_a_gain_costs_and_one_below_the_noise_costs_nothing():
    basis = singlets(Cr=3.03, NAA=2.01)
    directions = known_directions(basis, {"Cr": 8.0, "NAA": 12.0}, 4.0, 4.0, PLAIN)
    design = condition_design(labels(64, 0.5, 4), "rest", 2.0)
    errors = [
        expected_errors(directions, 0.3, design, None, Gain(size, 0.8), PLAIN)["task"]["Cr"]
        for size in (0.0, 1e-6, 0.015, 0.05)
    ]
    assert errors[1] == pytest.approx(errors[0], rel=1e-6)
    assert errors[0] < errors[2] < errors[3]


def test_error_is_what_the_joint_fit_tells_of_a_scan():
    # Two signals apart, noise of a known seed: the fit's own error differs by its estimate of the
    # noise and by the gain that it cannot rule out.
    basis = singlets(Cr=3.03, NAA=2.01, Cho=3.2)
    amplitudes = {"Cr": 8.0, "NAA": 12.0, "Cho": 2.0}
    n, sd = 64, 0.3
    rng = np.random.default_rng(3)
    total = np.array(list(amplitudes.values())) @ basis.fids
    clean = Fids(np.tile(total, (n, 1, 1)), DWELL_S, MHZ, 0.03, 2.0).broadened(4.0, 4.0)
    noise = sd * rng.standard_normal((n, 1, POINTS, 2)).view(complex)[..., 0]
    fids = clean.with_data(clean.data + noise)
    timing = Timing.of_labels(labels(n, 0.5, 4), 2.0 * np.arange(n))
    design = condition_design(labels(n, 0.5, 4), "rest", timing)
    width = linewidth_design(labels(n, 0.5, 4), "rest", timing, "hrf")
    told = fit_joint(fids, basis, design, width, PLAIN)
    directions = known_directions(basis, amplitudes, 4.0, 4.0, PLAIN)
    expected = expected_errors(directions, sd, design, width, options=PLAIN)["task"]
    for name in amplitudes:
        own = told.change_se_percent[0, told.names.index(name)]
        assert own == pytest.approx(expected[name], rel=0.12)


def test_a_design_that_tells_nothing_is_refused():
    directions = known_directions(singlets(Cr=3.03), {"Cr": 8.0}, 4.0, 4.0, PLAIN)
    design = condition_design(labels(64, 0.5), "rest", 2.0)
    still = design.select(np.arange(64) < 20)  # rest alone
    with pytest.raises(DataError, match="the same in each transient"):
        expected_errors(directions, 0.3, still, None, options=PLAIN)

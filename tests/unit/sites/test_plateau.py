"""Shapes of a response weighed over a study."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmrsflow.sites.plateau import plateaus, timing, weighed, withheld
from fmrsflow.tables.sites import TABLES, WEIGHED

SHAPES = {"boxcar": (1.0, 2.0, 0.0), "hrf": (0.8, 2.5, math.log(3.0) / 8)}
"""Share read, plateau, log likelihood of each of eight scans."""


def rows(reads=0.8, se=0.5):
    made = []
    for site in "ab":
        for person in range(4):
            for shape, (_, plateau, likelihood) in SHAPES.items():
                made.append(
                    {
                        "site": site,
                        "person": f"{site}{person}",
                        "used": True,
                        "scan": f"{site}/sub-{person}",
                        "metabolite": "Glu",
                        "quantity": "raw",
                        "contrast": "task-rest",
                        "shape": shape,
                        "change_percent": plateau + 0.1 * (person - 1.5) + 0.2 * (site == "b"),
                        "se_percent": se,
                        "log_likelihood": likelihood,
                        "boxcar_reads": reads if shape == "hrf" else 1.0,
                        "se_ratio": 1.0,
                        "reason": "",
                    }
                )
    return made


SITES = {name: {"vendor": "GE"} for name in "ab"}


def test_likelihoods_of_scans_multiply():
    """Three times as likely in one scan, 27 times in three."""
    likelihood = np.tile([0.0, math.log(3.0)], (3, 1))
    found = weighed(np.tile([1.0, 2.0], (3, 1)), np.ones((3, 2)), likelihood)
    np.testing.assert_allclose(found.weight, [1 / 28, 27 / 28])
    np.testing.assert_allclose(found.change_percent, (1 + 2 * 27) / 28)
    assert found.between_percent == pytest.approx(math.sqrt(27) / 28)


def test_the_plateau_of_a_study_holds_the_spread_between_shapes():
    table = plateaus(rows(), SITES)
    # The stage adds the region, since a table is of one.
    assert set(table[0]) | {"region"} == set(TABLES["plateau"])
    box, hrf, whole = table
    assert (whole["shape"], whole["n"], whole["n_sites"]) == (WEIGHED, 8, 2)
    assert hrf["weight"] == pytest.approx(0.75)
    assert whole["change_percent"] == pytest.approx(0.25 * 2.0 + 0.75 * 2.5 + 0.1)
    between = 0.5 * math.sqrt(0.25 * 0.75)
    assert whole["se_percent"] == pytest.approx(math.hypot(hrf["se_percent"], between))
    assert whole["shown"] is True


def test_a_scan_that_is_not_used_takes_no_part():
    made = rows()
    for row in made[:2]:
        row |= {"used": False, "log_likelihood": 50.0}
    assert plateaus(made, SITES)[-1]["n"] == 7


def test_a_scan_without_a_shape_takes_no_part_and_is_told():
    made = rows()
    gone = {
        "change_percent": math.nan,
        "log_likelihood": math.nan,
        "reason": "task: of no transient",
    }
    made[1] |= gone
    box, hrf, whole = plateaus(made, SITES)
    assert (box["n"], hrf["n"], whole["n"]) == (7, 7, 7)
    assert whole["shown"] is True
    assert whole["reason"] == "1 scan without a part (hrf: task: of no transient)"
    for row in made:
        row |= gone if row["shape"] == "hrf" else {}
    box, hrf, whole = plateaus(made, SITES)
    assert (box["n"], hrf["n"], whole["n"]) == (8, 0, 0)
    assert box["change_percent"] == pytest.approx(2.1)
    assert whole["shown"] is False
    assert math.isnan(whole["change_percent"])
    assert whole["reason"].startswith("8 scans without a part (hrf")


@pytest.mark.parametrize(
    "reads, se, words",
    [(0.4, 0.5, "holds 0.40 of it"), (0.8, 1.8, "standard error of 1.8 points")],
)
def test_a_plateau_that_the_design_hardly_sees_is_withheld(reads, se, words):
    whole = plateaus(rows(reads, se), SITES)[-1]
    assert whole["shown"] is False
    assert words in whole["reason"]


def test_time_constants_are_means_over_their_grid():
    shapes = ("boxcar", "exponential_10s", "exponential_30s", "exponential_30s_delay_4s")
    found = timing(shapes, np.array([0.2, 0.4, 0.2, 0.2]))
    assert found["time_constant_s"] == pytest.approx(20.0)
    assert found["time_constant_sd_s"] == pytest.approx(10.0)
    assert found["delay_s"] == pytest.approx(1.0)
    assert found["delay_sd_s"] == pytest.approx(math.sqrt(3.0))
    assert all(math.isnan(one) for one in timing(shapes, np.array([0.97, 0.03, 0, 0])).values())


def test_what_is_not_known_is_withheld():
    assert withheld(math.nan, 1.0)
    assert not withheld(0.5, 1.5)

"""Sums of metabolites: one rule for all who give them."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.metabolites import SUMS, in_words, members, mixing, propagated, sums_of, with_sums

NAMES = ("Cr", "Glu", "NAA", "NAAG")


def test_a_sum_is_of_the_members_that_are_there():
    assert sums_of(NAMES) == {"tNAA": ("NAA", "NAAG"), "tCr": ("Cr",), "Glx": ("Glu",)}
    assert sums_of(("mI",)) == {}


def test_a_name_stands_for_itself_or_for_its_members():
    assert members("Glu", NAMES) == ("Glu",)
    assert members("tCr", NAMES) == ("Cr",)
    assert members("tCho", NAMES) == ()
    assert members("Lac", NAMES) == ()


def test_sums_follow_their_members_with_value_and_error():
    covariance = np.array([[1.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 3.0, -0.5], [0, 0, -0.5, 4.0]])
    names, values, spread = with_sums(NAMES, np.array([8.0, 9.0, 10.0, 2.0]), covariance)
    assert names == (*NAMES, "tNAA", "tCr", "Glx")
    assert dict(zip(names, values))["tNAA"] == 12.0
    assert spread[names.index("tNAA"), names.index("tNAA")] == pytest.approx(6.0)
    k, single = names.index("tCr"), names.index("Cr")
    assert values[k] == values[single]
    assert np.array_equal(spread[k], spread[single])


def test_without_sums_the_matrix_is_that_of_the_substances():
    labels, matrix = mixing(("mI", "Lac"))
    assert labels == ("mI", "Lac")
    assert np.array_equal(matrix, np.eye(2))


def test_every_sum_has_words():
    assert all(in_words(name) != name for name in SUMS)
    assert in_words("Scyllo") == "Scyllo"


def test_an_unknown_error_stays_with_what_it_is_part_of():
    covariance = np.diag([4.0, np.nan, 9.0])
    mixing = np.array([[1.0, 0, 0], [1, 0, 1], [1, 1, 0]])
    found = propagated(mixing, covariance)
    assert np.allclose(found[:2, :2], [[4, 4], [4, 13]])
    assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()
    known = np.array([[2.0, 0.5, 0], [0.5, 1, 0], [0, 0, 3]])
    assert np.array_equal(propagated(mixing, known), mixing @ known @ mixing.T)

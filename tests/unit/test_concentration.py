"""Concentrations against the formulas and numbers of docs/science.md#concentration."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.concentration import (
    TISSUES,
    Relaxation,
    Tissue,
    Water,
    alpha_corrected,
    constants,
    molal,
    molar,
    quantities,
    set_names,
)
from fmrsflow.errors import DataError

TISSUE = Tissue(0.55, 0.30, 0.15)
UNRELAXED = {x: 1.0 for x in TISSUES}


def test_molar_water_is_that_of_the_challenge():
    """Fitting challenge: GM 60 %, WM 40 %, T2 110 and 80 ms, TE 30, no saturation: 29,697 mM."""
    water = {
        "gm": Relaxation(1e-9, 0.110).factor(0.03, 1.0),
        "wm": Relaxation(1e-9, 0.080).factor(0.03, 1.0),
        "csf": 1.0,
    }
    # S_m/S_w = 1/2 with two protons of water: the formula's water concentration comes out.
    assert molar(0.5, Tissue(0.6, 0.4, 0.0), water, 1.0) == pytest.approx(29697, abs=1)


def test_molar_divisor_is_one_minus_the_csf_volume():
    value = molar(1.0, TISSUE, UNRELAXED, 1.0)
    expected = 2 * 55.51e3 * (0.55 * 0.78 + 0.30 * 0.65 + 0.15 * 0.97) / 0.85
    assert value == pytest.approx(expected)


def test_molal_divisor_is_the_water_mole_fraction():
    """Dividing by 1 - v_CSF instead gives 4.6 % less at v_CSF 0.15."""
    tissue = Tissue(0.50, 0.35, 0.15)
    right = molal(1.0, tissue, UNRELAXED, 1.0)
    wrong = 2 * 55.51e3 / (1 - tissue.csf)
    assert wrong / right - 1 == pytest.approx(-0.046, abs=0.003)


def test_pure_grey_matter_without_relaxation_needs_no_tissue():
    assert molal(1.0, Tissue(1, 0, 0), UNRELAXED, 1.0) == pytest.approx(2 * 55.51e3)


@pytest.mark.parametrize(
    ("name", "metabolite", "percent"),
    [
        ("spant", "Glu", -7.0),
        ("fsl-mrs", "Glu", -19.5),
        ("osprey-2023", "Glu", -3.5),
        ("osprey-2023", "GABA", -17.0),
        ("osprey-2023", "NAA", 6.5),
    ],
)
def test_sets_differ_as_told(name, metabolite, percent):
    """docs/science.md#relaxation, 3T, TE 35; its tissue is not given there: 3 points of play."""

    def value(which):
        chosen = constants(which, 3.0)
        water = {x: chosen.water_factor(x, 0.035, 2.0) for x in TISSUES}
        tissue = Tissue(0.6, 0.35, 0.05)
        factor = chosen.metabolite_factor(metabolite, tissue, 0.035, 2.0)
        return molal(1.0, tissue, water, factor)

    assert 100 * (value(name) / value("osprey") - 1) == pytest.approx(percent, abs=3.0)


@pytest.mark.parametrize("field_t", [2.89, 3.0, 7.0])
@pytest.mark.parametrize("name", set_names())
def test_every_set_has_both_fields(name, field_t):
    assert constants(name, field_t).label.startswith(name)


def test_a_field_without_constants_is_told():
    with pytest.raises(DataError, match="1.5 T"):
        constants("osprey", 1.5)


def test_alpha_correction():
    assert alpha_corrected(10.0, Tissue(0.5, 0.4, 0.1)) == pytest.approx(10 / 0.7)


def test_fractions_that_are_none_are_told():
    with pytest.raises(DataError, match="sum to"):
        Tissue(0.5, 0.1, 0.1)
    with pytest.raises(DataError, match="CSF"):
        Tissue(0.0, 0.0, 1.0)


def test_errors_of_sums_and_ratios_agree_with_a_million_draws():
    names = ("Cr", "PCr", "Glu", "NAA")
    amplitudes = np.array([4.0, 4.0, 9.0, 11.0])
    spread = np.diag([0.3, 0.3, 0.2, 0.1]) ** 2
    spread[0, 1] = spread[1, 0] = -0.8 * 0.3 * 0.3
    found = {
        (one.metabolite, one.quantity): one
        for one in quantities(names, amplitudes, spread, 0.03, 2.0)
    }
    rng = np.random.default_rng(7)
    draws = rng.multivariate_normal(amplitudes, spread, size=1_000_000)
    total = draws[:, 0] + draws[:, 1]
    # The standard error of a standard deviation from n draws is its value / sqrt(2 n).
    for key, sample in {
        ("tCr", "raw"): total,
        ("Glu", "ratio_tcr"): draws[:, 2] / total,
        ("Glu", "ratio_tnaa"): draws[:, 2] / draws[:, 3],
    }.items():
        assert found[key].se == pytest.approx(sample.std(), rel=0.005)
        assert found[key].value == pytest.approx(sample.mean(), rel=0.002)
    assert found["tCr", "ratio_tcr"].se == pytest.approx(0.0, abs=1e-12)


def test_a_sum_weights_its_parts_by_their_own_relaxation():
    chosen = constants("osprey", 3.0)
    found = {
        (one.metabolite, one.quantity): one.value
        for one in quantities(
            ("NAA", "NAAG"),
            np.array([10.0, 2.0]),
            np.eye(2),
            0.03,
            2.0,
            Water(1e5, 0.03, 10.0),
            TISSUE,
            chosen,
        )
    }
    for quantity in ("molal", "molar"):
        assert found["tNAA", quantity] == pytest.approx(
            found["NAA", quantity] + found["NAAG", quantity]
        )


def test_without_water_there_are_ratios_only():
    found = quantities(("Cr", "Glu"), np.array([8.0, 9.0]), np.eye(2), 0.03, 2.0)
    assert {one.quantity for one in found} == {"raw", "ratio_tcr"}

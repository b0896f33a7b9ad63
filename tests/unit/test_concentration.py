"""Concentrations against the formulas and numbers of docs/science.md#concentration."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.concentration import (
    ABSOLUTE,
    FIELD_RANGES,
    SETS_VERSION,
    TISSUES,
    WATER_DENSITY,
    NoConstants,
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


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("fsl-mrs", "fsl-mrs-1.5T"),
        ("spant", "spant-1.5T"),
        ("osprey", "literature-1.5T"),
        ("osprey-2023", "literature-1.5T"),
    ],
)
def test_a_set_that_lacks_a_field_is_replaced_under_another_name(name, label):
    assert constants(name, 1.5).label == f"{label}-v{SETS_VERSION}"


@pytest.mark.parametrize(
    ("field_t", "words"),
    [
        (4.0, "at 4 T .no source for the T1 of metabolites."),
        (9.4, "at 9.4 T .no source for the T2 of water in tissue."),
        (5.0, "at 5 T; there are some at 1.5T, 3T, 7T"),
    ],
)
def test_a_field_without_constants_says_what_is_lacking(field_t, words):
    with pytest.raises(NoConstants, match=words):
        constants("osprey", field_t)


def test_an_unknown_set_is_named_with_those_that_there_are():
    with pytest.raises(
        DataError, match="'osprei'; name one of fsl-mrs, osprey, osprey-2023, spant"
    ):
        constants("osprei", 3.0)


def test_fields_do_not_overlap():
    ends = [end for ends in FIELD_RANGES.values() for end in ends]
    assert ends == sorted(ends)


@pytest.mark.parametrize("name", ["osprey", "spant", "fsl-mrs"])
def test_relaxation_slows_with_the_field_where_sources_agree(name):
    """T1 of water in GM and WM grows with the field, its T2 falls (Rooney 2007, Cox 2010)."""
    for x in ("gm", "wm"):
        water = [constants(name, field_t).water[x] for field_t in (1.5, 3.0, 7.0)]
        assert water[0].t1_s < water[1].t1_s < water[2].t1_s
        assert water[2].t2_s < min(water[0].t2_s, water[1].t2_s)


def test_alpha_correction_by_hand():
    """Water in GM .39, in WM .26, in CSF .097 of .747; v_GM + v_WM / 2 = .7."""
    water = {"gm": 0.5, "wm": 0.6, "csf": 0.9}
    relaxed = (0.39 * 0.5 + 0.26 * 0.6 + 0.097 * 0.9) / 0.747
    expected = 1e-4 * 2 * 55.51e3 * relaxed / 0.8 / 0.7
    value = alpha_corrected(1e-4, Tissue(0.5, 0.4, 0.1), water, 0.8)
    assert value == pytest.approx(expected)
    # 11.102 times .4383 / .747 = .58675 is 6.5141; over .56 that is
    assert value == pytest.approx(11.632, abs=1e-3)


@pytest.mark.parametrize("csf", [0.1, 0.2, 0.3])
def test_alpha_correction_corrects_for_csf_once(csf):
    """A tissue with twice as much in GM as in WM, and CSF beside it: what CSF adds to the water of
    the voxel is all that is left; dividing by the share of tissue water would count it twice."""
    tissue, without = Tissue(0.6 * (1 - csf), 0.4 * (1 - csf), csf), Tissue(0.6, 0.4, 0.0)

    def value(voxel: Tissue) -> float:
        amount = 2 * voxel.gm + voxel.wm
        in_water = sum(getattr(voxel, x) * WATER_DENSITY[x] for x in TISSUES)
        return alpha_corrected(amount / in_water, voxel, UNRELAXED, 1.0)

    density = 0.6 * 0.78 + 0.4 * 0.65
    expected = density / ((1 - csf) * density + csf * 0.97)
    assert value(tissue) / value(without) == pytest.approx(expected)
    assert 0.9 < expected < 1.0


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


def test_five_hundredths_from_wm_to_csf_are_five_percent():
    """docs/science.md#concentration-errors: 4.8 %, at TE 35 and TR 2 in the voxel of
    docs/anatomy.md."""
    tissue, chosen = Tissue(0.54, 0.42, 0.04), constants("osprey", 3.0)
    water = {x: chosen.water_factor(x, 0.035, 2.0) for x in TISSUES}
    before, after = (
        molal(1.0, one, water, chosen.metabolite_factor("Glu", one, 0.035, 2.0))
        for one in (tissue, tissue.moved("wm", "csf", 0.05))
    )
    assert 100 * (after / before - 1) == pytest.approx(4.8, abs=0.1)


def _scaled(tissue: Tissue, water: Water) -> dict:
    amplitudes, spread = np.array([8.0, 9.0, 3.0]), 0.01 * np.eye(3)
    found = quantities(
        ("Cr", "Glu", "Gln"),
        amplitudes,
        spread,
        0.035,
        2.0,
        water,
        tissue,
        constants("osprey", 3.0),
    )
    return {(one.metabolite, one.quantity): one for one in found}


def test_errors_of_water_and_tissue_agree_with_draws():
    """Fractions of SD 0.004 each that sum to 1: three normal deviates less their mean, whose SD is
    sqrt(2 / 3) of theirs. Small, so that the formulas are straight over them."""
    sd, n = 0.004, 4000
    centre = np.array([0.55, 0.30, 0.15])
    found = _scaled(Tissue(*centre, sd=sd), Water(1e5, 0.035, 2.0, se=600.0))
    rng = np.random.default_rng(11)
    deviates = sd * np.sqrt(1.5) * rng.standard_normal((n, 3))
    fractions = centre + deviates - deviates.mean(axis=1, keepdims=True)
    assert fractions.std(axis=0) == pytest.approx(sd, rel=0.04)
    drawn = [_scaled(Tissue(*row), Water(1e5, 0.035, 2.0)) for row in fractions]
    for key in (("Glu", "molal"), ("Glx", "molar"), ("Glx", "alpha_corrected"), ("tCr", "molal")):
        values = np.array([one[key].value for one in drawn])
        # The SD of n draws is known to 1 / sqrt(2 n) = 1.1 %: three of it.
        assert found[key].tissue_se == pytest.approx(values.std(), rel=0.035)
        assert found[key].water_se == pytest.approx(0.006 * found[key].value)
        assert found[key].total_se == pytest.approx(
            np.sqrt(found[key].se ** 2 + found[key].water_se ** 2 + values.var()), rel=0.035
        )


@pytest.mark.parametrize("fractions", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.02, 0.0, 0.98)])
def test_tissue_errors_are_finite_at_the_edge_of_what_fractions_can_be(fractions):
    found = _scaled(Tissue(*fractions, sd=0.05), Water(1e5, 0.035, 2.0))
    assert all(np.isfinite(one.tissue_se) for one in found.values())
    assert all(one.tissue_se > 0 for key, one in found.items() if key[1] in ABSOLUTE)


def test_ratios_and_raw_amplitudes_have_the_error_of_the_fit_alone():
    found = _scaled(Tissue(0.55, 0.30, 0.15, sd=0.05), Water(1e5, 0.035, 2.0, se=600.0))
    for (_, quantity), one in found.items():
        if quantity not in ABSOLUTE:
            assert one.water_se == one.tissue_se == 0
            assert one.total_se == pytest.approx(one.se)


def test_the_creatine_pair_of_the_challenge_gives_10_82_mm(shared_data):
    """Its water is a Lorentzian that starts at 0.9238 of what the formula wants for 10 mM; the
    metabolite is exact (docs/fit.md). Tissue, water content and T2 are those that come with it."""
    from fmrsflow.convert.reader import read
    from fmrsflow.fit.options import FitOptions
    from fmrsflow.fit.solve import fit_spectra
    from fmrsflow.stages.basis import make
    from fmrsflow.study import Site
    from fmrsflow.water_amplitude import water_amplitude

    folder = shared_data / "fitting-challenge" / "cr-10mM"
    site = Site("challenge", "Siemens", 3.0, "PRESS", 0.03, 20.0, "own", te1_s=0.011)
    stem = "Cr_10mM_test_water_scaling"
    fids, reference = (read(folder / f"{stem}_{one}.txt", site).fids for one in ("WS", "nWS"))
    basis = make(site, {"metabolites": ["Cr", "PCr", "NAA", "Glu", "GPC", "mI"]}, folder)
    basis = basis.resampled(fids.dwell_s, fids.n_points, fids.frequency_mhz)
    (result,) = fit_spectra(fids, basis, FitOptions())
    creatine = sum(result.amplitudes[result.names.index(name)] for name in ("Cr", "PCr"))
    water = water_amplitude(reference)
    relaxed = {x: Relaxation(1e-9, t2).factor(0.03, 1.0) for x, t2 in (("gm", 0.11), ("wm", 0.08))}
    metabolite = Relaxation(1e-9, 0.16).factor(0.03, 1.0)
    scale = (Tissue(0.6, 0.4, 0.0), {**relaxed, "csf": 1.0}, metabolite)
    assert molar(creatine / water.value, *scale) == pytest.approx(10 / 0.9238, rel=1e-3)
    assert water.se + water.model_sd < 1e-3 * water.value


def test_without_water_there_are_ratios_only():
    found = quantities(("Cr", "Glu"), np.array([8.0, 9.0]), np.eye(2), 0.03, 2.0)
    assert {one.quantity for one in found} == {"raw", "ratio_tcr"}

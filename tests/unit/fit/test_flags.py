"""Flags of fits that a spectroscopist would not believe."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import simulate, with_macromolecules
from fmrsflow.fids import from_nifti
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.design import condition_design
from fmrsflow.fit.flags import flags, joint_flags
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.solve import fit_spectra


def test_a_good_fit_has_none(noisy, basis):
    for one in fit_spectra(noisy(5, 60.0, 2), basis):
        assert flags(one, 0.028) == []


def test_a_lost_metabolite_is_named(noisy, basis):
    (one,) = fit_spectra(noisy(1, 60.0, 2), basis)
    values = one.amplitudes.copy()
    values[one.names.index("mI")] = 0.0
    lost = replace(one, amplitudes=values)
    assert [text for text in flags(lost, 0.028) if text.startswith("mI is lost: 0.00 of tCr")]
    assert flags(lost, 0.144) == []  # T2 has moved the ratios


def test_what_the_model_lacks_is_found_in_its_band(clean, noisy, basis):
    """A pyruvate-like singlet at 2.36 ppm, of half the height of tCr."""
    turn = np.exp(2j * np.pi * clean.hz_at(2.36) * clean.time_s - np.pi * 6 * clean.time_s)
    source = clean.with_data(clean.transients + 12.0 * turn)
    (one,) = fit_spectra(noisy(1, 100.0, 2, source), basis)
    assert any("glutamate and glutamine, 2.2-2.7 ppm" in text for text in flags(one, 0.028))


@pytest.mark.parametrize("cut", [1, 2])
def test_a_point_that_was_cut_off_is_told(noisy, basis, cut):
    """22 and 44 degrees per ppm: more than the fit's prior allows."""
    source = noisy(1, 60.0, 2)
    late = source.with_data(source.data[..., cut:])
    (one,) = fit_spectra(late, basis.resampled(late.dwell_s, late.n_points, late.frequency_mhz))
    assert any("first points were cut off" in text for text in flags(one, 0.028))


def test_a_search_that_did_not_end_is_told(noisy, basis, monkeypatch):
    monkeypatch.setattr("fmrsflow.fit.solve.MAX_STEPS", 1)
    (one,) = fit_spectra(noisy(1, 60.0, 2), basis)
    assert one.status == "ok"
    assert any("no convergence in 1 steps" in text for text in flags(one, 0.028))


def test_an_engine_without_curves_is_judged_by_its_ratios(noisy, basis):
    """What `engines.fit_with_engine` gives: amplitudes, and NaN for curves and figures."""
    (one,) = fit_spectra(noisy(1, 60.0, 2), basis)
    values = one.amplitudes.copy()
    values[one.names.index("mI")] = 0.0
    nan = float("nan")
    theirs = replace(
        one, amplitudes=values, residual=nan * one.residual, residual_sd=nan, noise_sd=nan,
        baseline_dimension_per_ppm=nan, stop_reason="by lcmodel",
    )  # fmt: skip
    assert flags(theirs, 0.028) == ["mI is lost: 0.00 of tCr (a healthy brain has 0.3 to 1.8)"]


def test_a_baseline_at_its_limit_is_told_of_one_model(noisy, basis):
    (one,) = fit_spectra(noisy(1, 60.0, 2), basis)
    bent = replace(one, baseline_dimension_per_ppm=5.0)
    assert any("bends as far as it may" in text for text in flags(bent, 0.028))


def test_a_limit_of_the_baseline_is_told_where_it_decides_an_average(clean, noisy, basis):
    """What the model lacks is a line of 40 Hz every 0.22 ppm: the baseline goes to its limit, and
    the answer is another one if it may go on. With half of them it goes there too, and no answer
    depends on it."""
    rng = np.random.default_rng(3)
    extra = sum(
        rng.normal()
        * np.exp(2j * np.pi * clean.hz_at(ppm) * clean.time_s - np.pi * 40 * clean.time_s)
        for ppm in np.arange(0.4, 4.2, 0.22)
    )
    found = []
    for size in (8.0, 16.0):
        source = clean.with_data(clean.transients + size * extra)
        (one,) = fit_average(noisy(1, 80.0, 2, source), basis)
        assert one.baseline_dimension_per_ppm > 4.9 and one.limit_shift is not None
        found.append([text for text in flags(one, 0.028) if "bends as far" in text])
    assert found[0] == []
    (told,) = found[1]
    assert "that limit decides: at 7.5, " in told and "model error" in told


@pytest.mark.parametrize("name", ["p01", "p05", "p11"])
@pytest.mark.parametrize("phase_deg", [0.0, -113.0])
def test_a_phantom_is_no_brain(shared_data, name, phase_deg):
    """Creatine, lactate and acetate in cold water, fitted as a brain, are refused with a reason."""
    path = shared_data / "real-nulls" / "ge-phantom" / f"{name}_svs.nii.gz"
    fids = from_nifti(nib.load(path)).mean().rotated(phase_deg)
    metabolites = simulate(sequence("PRESS", 0.03), fids.frequency_mhz)
    basis = with_macromolecules(metabolites, "separate")
    basis = basis.resampled(fids.dwell_s, fids.n_points, fids.frequency_mhz)
    (one,) = fit_spectra(fids, basis)
    assert (one.status, flags(one, 0.03)) == ("failed", [])
    assert one.reason


@pytest.mark.parametrize("name", ["Siemens_S01", "GE_S03", "Philips_S07"])
def test_a_healthy_brain_loses_no_main_metabolite(shared_data, name):
    fids = from_nifti(nib.load(shared_data / "real-fit" / "specvis" / f"{name}.nii.gz"))
    metabolites = simulate(sequence("PRESS", 0.035), fids.frequency_mhz)
    basis = with_macromolecules(metabolites, "separate")
    basis = basis.resampled(fids.dwell_s, fids.n_points, fids.frequency_mhz)
    (one,) = fit_spectra(fids, basis)
    found = " ".join(flags(one, 0.035))
    assert not any(f"{name} is lost" in found for name in ("tNAA", "tCho", "mI", "Glu"))


def test_a_joint_fit_that_leaves_out_many_transients_is_told(noisy, basis):
    """Nine of 32 turned, weakened and shifted by amounts of their own; without them, no flag."""
    labels = (["rest"] * 8 + ["task"] * 8) * 2
    fids = noisy(32, 30.0, 4)
    rng = np.random.default_rng(7)
    bad = rng.choice(32, 9, replace=False)
    data = fids.transients.copy()
    turn = np.exp(2j * np.pi * np.outer(rng.uniform(3, 12, 9), fids.time_s) + 1j)
    data[bad] = data[bad] * turn * rng.uniform(0.4, 0.8, 9)[:, None]
    design = condition_design(labels, "rest")
    whole = fit_joint(fids, basis, design)
    assert joint_flags(whole) == []
    moved = fit_joint(fids.with_data(data), basis, design)
    assert not moved.kept[bad].any()
    (flag,) = joint_flags(moved)
    assert flag.startswith("the joint fit leaves out ") and " of 32 transients" in flag
    wild = replace(whole, gain_percent=9.5, stop_reason="no convergence in 60 steps")
    assert [one.split(" ")[1] for one in joint_flags(wild)] == ["gain", "search"]

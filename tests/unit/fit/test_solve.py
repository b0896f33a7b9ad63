"""The fit of single spectra against known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit import solve
from fmrsflow.fit.broad import LOW
from fmrsflow.fit.model import WIDTH_SD_HZ, Kind, make_model, make_models
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.solve import (
    evaluate,
    fit_spectra,
    make_target,
    minimise,
    prepared,
    search,
    slope,
    tangents,
    with_secant,
)


@pytest.mark.parametrize("shift_hz, phase_deg, lorentz_hz", [(0, 0, 0), (10, 60, 5), (-10, -60, 8)])
def test_noise_free_amplitudes_return_from_far_starts(
    clean, basis, truth, of_basis, shift_hz, phase_deg, lorentz_hz
):
    moved = clean.shifted(shift_hz).rotated(phase_deg).broadened(lorentz_hz, 0.0)
    result = fit_spectra(moved, basis)[0]
    assert result.status == "ok"
    np.testing.assert_allclose(of_basis(result), truth, rtol=1e-4)
    assert result.parameters["shift_hz"] == pytest.approx(
        shift_hz, abs=0.01
    )  # shares with own ones
    assert result.parameters["lorentz_hz"] == pytest.approx(3.0 + lorentz_hz, abs=1e-2)
    assert np.sqrt(result.parameters["gauss_hz2"]) == pytest.approx(4.0, abs=1e-2)


def test_a_first_order_phase_is_found(clean, basis, truth, of_basis):
    options = FitOptions(baseline="none")
    model = make_model(clean, Kind(basis), options)
    ramp = np.exp(1j * np.deg2rad(4.0) * (clean.ppm - 3.0))
    spectrum = clean.spectra[0, 0] * ramp
    fid = np.fft.ifft(np.fft.ifftshift(spectrum))
    fid[0] *= 2
    result = fit_spectra(clean.with_data(fid[None]), basis, options)[0]
    found = np.rad2deg(result.parameters["phase1_rad_per_ppm"])
    assert found == pytest.approx(4.0, abs=0.01)
    # GPC and PCh share what the ramp, which is no whole number of points, leaves.
    np.testing.assert_allclose(of_basis(result), truth, rtol=2e-3)
    assert model.parameters[1] == "phase1_rad_per_ppm"


@pytest.mark.parametrize("width_sd_hz", [0.0, 0.5])
@pytest.mark.parametrize(
    "options", [FitOptions(), FitOptions(metabolite_shift_sd_ppm=0.0, lineshape="voigt")]
)
def test_derivatives_are_those_of_finite_differences(clean, basis, options, width_sd_hz):
    """The slope of the cost must be that of the cost itself, and that of the derivatives."""
    model = make_model(clean, Kind(basis, width_sd_hz=width_sd_hz), options)
    rng = np.random.default_rng(5)
    theta = np.zeros(len(model.parameters))
    theta[:7] = 0.1, 0.01, 1.0, 4.0, 9.0, 0.3, -0.5
    theta[7:] = 0.02 * np.abs(rng.standard_normal(len(theta) - 7))
    spectrum = model.band.spectra(clean)[0] / 100
    spectrum = spectrum + 0.01 * rng.standard_normal(len(spectrum))
    target = make_target(model, spectrum, 1e-8, model.smoothness, None)
    state = evaluate(model, target, theta)
    found = -2 * slope(model, target, state)
    _, cross = tangents(model, target, state)
    expected = -2 * cross @ np.append(-state.amplitudes, 1.0)
    expected += 2 * target.variance * theta / model.prior_sd**2
    # The first-order phase turns noise and baseline too: its slope is that of the data.
    others = np.arange(len(theta)) != model.parameters.index("phase1_rad_per_ppm")
    np.testing.assert_allclose(found[others], expected[others], atol=1e-9 * abs(found).max())
    for number, name in enumerate(model.parameters):
        step = np.zeros(len(theta))
        step[number] = 1e-5 * max(1.0, abs(theta[number]))
        ahead, behind = (evaluate(model, target, theta + s * step).cost for s in (1, -1))
        numeric = (ahead - behind) / (2 * step[number])
        assert found[number] == pytest.approx(numeric, rel=2e-3, abs=1e-7 * state.cost), name


def test_a_secant_tells_the_curvature_along_its_step():
    """Of a quadratic cost; where the slope tells of no minimum, nothing is learnt."""
    rng = np.random.default_rng(6)
    root = rng.standard_normal((5, 5))
    true, guess, step = root @ root.T + np.eye(5), np.diag(np.arange(1.0, 6.0)), np.ones(5)
    found = with_secant(guess, step, true @ step)
    np.testing.assert_allclose(found @ step, true @ step)
    np.testing.assert_allclose(found, found.T)
    assert np.linalg.eigvalsh(found).min() > 0
    np.testing.assert_array_equal(with_secant(guess, step, -true @ step), guess)


def test_a_search_ends_at_the_minimum(noisy, basis):
    """Searched on with derivatives alone, no amplitude moves by 2 % of its standard error."""
    fids = noisy(6, 40.0, 21)
    options = FitOptions(lineshape="voigt")
    model = make_model(fids, Kind(basis, width_sd_hz=WIDTH_SD_HZ), options)
    for j, one in enumerate(fit_spectra(fids, basis, options)):
        state, target, _ = search(model, options, prepared(model, fids.select([j])))
        for _ in range(5):
            # Loose enough to take derivatives anew at each step, and to take one.
            state, _ = minimise(model, target, state, 1.0 + 1e-9)
        moved = prepared(model, fids.select([j])).scale * state.amplitudes - one.amplitudes
        assert (np.abs(moved) < 0.02 * np.sqrt(np.diag(one.covariance))).all()


@pytest.mark.parametrize("split_hz", [0.0, 2.0, 4.0, 7.0])
def test_one_step_foresees_whether_a_free_lineshape_pays(
    clean, noisy, basis, monkeypatch, split_hz
):
    """The same lineshapes as if each were searched for: of a line, and of two at these distances,
    one with a quarter of the area."""
    turn = 0.75 + 0.25 * np.exp(2j * np.pi * split_hz * clean.time_s)
    source = clean.with_data(clean.transients * turn)
    spectra = [noisy(3, snr, seed, source) for seed, snr in ((31, 25.0), (32, 100.0))]
    foreseen = [one.amplitudes for fids in spectra for one in fit_spectra(fids, basis)]
    monkeypatch.setattr(solve, "_predicted_gain", lambda *_: np.inf)
    searched = [one.amplitudes for fids in spectra for one in fit_spectra(fids, basis)]
    np.testing.assert_array_equal(foreseen, searched)


def test_models_made_together_are_those_made_alone(clean, basis):
    names = [name for name in basis.names if not name.startswith("MM")]
    other = replace(basis, fids=1.1 * basis.fids)
    kinds = [Kind(basis), Kind(basis.select(names), LOW), Kind(other)]
    for one, together in zip(kinds, make_models(clean, kinds, FitOptions())):
        alone = make_model(clean, one, FitOptions())
        assert together.names == alone.names
        np.testing.assert_array_equal(together.fids, alone.fids)
        np.testing.assert_array_equal(together.grid, alone.grid)


def test_batch_gives_what_single_fits_give(noisy, basis):
    fids = noisy(4, 20.0, 3)
    together = fit_spectra(fids, basis)
    for j, one in enumerate(together):
        alone = fit_spectra(fids.select([j]), basis)[0]
        np.testing.assert_array_equal(one.amplitudes, alone.amplitudes)
        np.testing.assert_array_equal(one.covariance, alone.covariance)


def test_errors_are_the_spread_of_repeated_measurements(noisy, basis, truth, of_basis):
    """SD over realisations equals the mean Cramer-Rao error; 120 of them know it to 6.5 %."""
    results = fit_spectra(noisy(120, 40.0, 11), basis)
    values = np.array([one.amplitudes for one in results])
    errors = np.array([np.sqrt(np.diag(one.covariance)) for one in results])
    for name in ("Glu", "NAA", "mI", "GSH"):
        k = basis.names.index(name)
        ratio = values[:, k].std(ddof=1) / errors[:, k].mean()
        assert 0.8 < ratio < 1.2, name
        held = np.mean(np.abs(values[:, k] - truth[k]) < 1.96 * errors[:, k])
        assert held > 0.89, name  # 95 % less three standard errors


def test_sums_take_their_error_from_the_covariance(noisy, basis):
    result = fit_spectra(noisy(1, 30.0, 2), basis)[0]
    names, values, covariance = result.with_sums()
    i, j = (basis.names.index(name) for name in ("NAA", "NAAG"))
    k = names.index("tNAA")
    assert values[k] == pytest.approx(result.amplitudes[i] + result.amplitudes[j])
    c = result.covariance
    assert covariance[k, k] == pytest.approx(c[i, i] + c[j, j] + 2 * c[i, j])
    # NAA and NAAG overlap: their sum is better known than either part's error suggests.
    assert c[i, j] < 0
    assert result.correlation("NAA", "NAAG") < 0


def test_residual_of_the_true_model_is_noise(noisy, basis):
    results = fit_spectra(noisy(20, 30.0, 4), basis)
    assert np.mean([one.fqn for one in results]) == pytest.approx(1.0, abs=0.1)


def test_a_curved_baseline_does_not_become_glutamate(clean, noisy, basis, truth):
    hump = np.exp(-0.5 * ((clean.ppm - 2.4) / 0.45) ** 2) * 0.15 * clean.spectra.real.max()
    fid = np.fft.ifft(np.fft.ifftshift(hump))
    fid[0] *= 2
    fids = noisy(30, 60.0, 8, clean.with_data(clean.transients + fid))
    results = fit_spectra(fids, basis)
    k = basis.names.index("Glu")
    values = np.array([one.amplitudes[k] for one in results])
    error = np.mean([np.sqrt(one.covariance[k, k]) for one in results])
    assert abs(values.mean() - truth[k]) < error


def test_amplitudes_are_never_negative(noisy, basis):
    results = fit_spectra(noisy(30, 8.0, 9), basis)
    assert min(one.amplitudes.min() for one in results) >= 0.0


def test_parametric_macromolecules_stand_in_for_those_of_the_basis(clean, basis, truth):
    names = [name for name in basis.names if not name.startswith("MM")]
    result = fit_spectra(clean, basis.select(names), FitOptions(exclude=("Lip09", "Lip20")))[0]
    k = result.names.index("Glu")
    assert "MM09" in result.names
    assert result.amplitudes[k] == pytest.approx(truth[names.index("Glu")], rel=0.02)


def test_small_shifts_of_single_metabolites_are_found(clean, basis, truth):
    moved = truth @ basis.fids
    k = basis.names.index("mI")
    turn = np.exp(2j * np.pi * 0.4 * clean.time_s)
    moved = moved + truth[k] * basis.fids[k] * (turn - 1)
    fids = clean.with_data(moved[None]).broadened(3.0, 4.0)
    plain = fit_spectra(fids, basis, FitOptions(metabolite_shift_sd_ppm=0.0))[0]
    shifting = fit_spectra(fids, basis)[0]
    found = {name: value for name, value in shifting.parameters.items() if "shift_hz:" in name}
    own = found.pop("shift_hz:mI") - np.median(list(found.values()))
    assert own == pytest.approx(0.4, abs=0.05)
    assert abs(shifting.amplitudes[k] - truth[k]) < abs(plain.amplitudes[k] - truth[k])


def test_small_widths_of_single_metabolites_are_found(clean, basis, truth):
    """Myo-inositol 0.4 Hz broader than the others: three SD of the prior, without noise."""
    k = basis.names.index("mI")
    signals = truth @ basis.fids
    decay = np.exp(-np.pi * 0.4 * clean.time_s)
    signals = signals + truth[k] * basis.fids[k] * (decay - 1)
    fids = clean.with_data(signals[None]).broadened(3.0, 4.0)
    common = fit_spectra(fids, basis, FitOptions(metabolite_shift_sd_ppm=0.0))[0]
    found = fit_spectra(fids, basis)[0]
    own = {name: value for name, value in found.parameters.items() if "lorentz_hz:" in name}
    assert own.pop("lorentz_hz:mI") - np.median(list(own.values())) == pytest.approx(0.4, abs=0.05)
    assert abs(found.amplitudes[k] / truth[k] - 1) < 2e-3
    assert abs(common.amplitudes[k] / truth[k] - 1) > 2e-2


def test_creatine_and_phosphocreatine_may_stand_apart(clean, basis, truth):
    """A shift of one of them is no change of either (0.4 Hz; tied, they would trade amplitudes)."""
    pair = [basis.names.index(name) for name in ("Cr", "PCr")]
    signals = truth @ basis.fids
    turn = np.exp(2j * np.pi * 0.4 * clean.time_s)
    signals = signals + truth[pair[1]] * basis.fids[pair[1]] * (turn - 1)
    found = fit_spectra(clean.with_data(signals[None]).broadened(3.0, 4.0), basis)[0]
    np.testing.assert_allclose(found.amplitudes[pair], truth[pair], rtol=5e-3)


def test_a_free_lineshape_fits_a_split_line_better(clean, basis):
    turn = 0.5 * (1 + np.exp(2j * np.pi * 6.0 * clean.time_s))
    split = clean.with_data(clean.transients * turn)
    voigt = fit_spectra(split, basis, FitOptions(lineshape="voigt"))[0]
    free = fit_spectra(split, basis)[0]
    assert free.residual_sd < 0.5 * voigt.residual_sd


FLAT = np.zeros((1, 1024), complex)


def _bad(clean: Fids, noisy) -> dict:
    rng = np.random.default_rng(1)
    white = rng.standard_normal((1, 1024)) + 1j * rng.standard_normal((1, 1024))
    broken = clean.transients.copy()
    broken[0, 77] = np.nan
    water = 3e4 * np.exp((-np.pi * 8 + 0.3j) * clean.time_s)
    return {
        "flat": clean.with_data(FLAT),
        "noise": clean.with_data(white),
        "not a number": clean.with_data(broken),
        "inverted": noisy(1, 30.0, 1).rotated(180.0),
        "negative": clean.with_data(-clean.transients),
        "reversed": clean.with_data(clean.transients.conj()),
        "huge water": clean.with_data(clean.transients + water),
        "displaced": clean.shifted(60.0),
        "too broad": clean.broadened(80.0, 0.0),
    }


@pytest.mark.parametrize(
    "kind, words",
    [
        ("flat", "flat line"),
        ("noise", "no creatine"),
        ("not a number", "NaN"),
        ("inverted", "inverted"),
        ("negative", "inverted"),
        ("reversed", "no creatine"),
        ("huge water", ""),
        ("displaced", ""),
        ("too broad", "linewidth"),
    ],
)
def test_what_cannot_be_fitted_fails_with_its_reason(clean, noisy, basis, kind, words):
    result = fit_spectra(_bad(clean, noisy)[kind], basis)[0]
    assert result.status == "failed"
    assert words in result.reason
    assert np.isnan(result.amplitudes).all()


def test_noise_never_passes_for_a_spectrum(clean, basis):
    rng = np.random.default_rng(2)
    white = rng.standard_normal((100, 1024)) + 1j * rng.standard_normal((100, 1024))
    results = fit_spectra(clean.with_data(white), basis)
    assert [one.status for one in results] == ["failed"] * 100


def test_a_spectrum_without_creatine_fails(clean, noisy, basis, truth):
    without = truth * [name not in ("Cr", "PCr") for name in basis.names]
    fids = clean.with_data((without @ basis.fids)[None]).broadened(3.0, 4.0)
    result = fit_spectra(noisy(1, 30.0, 6, fids), basis)[0]
    assert result.status == "failed"
    assert "creatine" in result.reason


def test_a_failed_spectrum_leaves_its_neighbours(clean, noisy, basis):
    good = noisy(1, 30.0, 6)
    both = clean.with_data(np.concatenate([FLAT, good.transients]))
    first, second = fit_spectra(both, basis)
    assert (first.status, second.status) == ("failed", "ok")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda b, f: (replace(b, frequency_mhz=297.2), f), "297.2"),
        (lambda b, f: (replace(b, dwell_s=2.5e-4), f), "resample"),
        (lambda b, f: (b.select([n for n in b.names if n not in ("Cr", "PCr")]), f), "neither Cr"),
        (lambda b, f: (b, f.with_data(f.transients[:, :2])), "2 points"),
        (lambda b, f: (b, f.with_data(f.transients[:, :100])), "spectral points"),
    ],
)
def test_what_does_not_belong_together_is_told(clean, basis, change, words):
    wrong, fids = change(basis, clean)
    with pytest.raises(DataError, match=words):
        fit_spectra(fids, wrong)


def test_challenge_spectra_are_fitted_to_the_noise(shared_data):
    from fmrsflow.basis.formats import read_basis

    folder = shared_data / "fitting-challenge"
    basis = read_basis(folder / "basis" / "press3T_30ms.BASIS").resampled(250e-6, 2048, 123.22)
    text = (folder / "jmrui" / "dataset1_WS.txt").read_text()
    lines = text.split("Signal 1 out of 1 in file")[1].split("\n")[1:]
    values = np.array([[float(x) for x in line.split()[:2]] for line in lines if line.strip()])
    fids = Fids((values[:, 0] + 1j * values[:, 1])[None, None], 250e-6, 123.22, 0.03, 10.0)
    result = fit_spectra(fids, basis)[0]
    assert result.status == "ok"
    # Simulated with the same basis and Lorentzian lines: nothing but noise may be left.
    assert result.fqn == pytest.approx(1.0, abs=0.3)
    assert result.parameters["gauss_hz2"] < 4.0

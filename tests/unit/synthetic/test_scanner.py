"""The scanner against closed forms and against its own truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.basis.files import Basis
from fmrsflow.fids import to_spectrum
from fmrsflow.synthetic import ingredients as ing
from fmrsflow.synthetic.scanner import Protocol, boxcar, haemodynamic, simulate

LINES = {"NAA": (2.01, 3), "Cr": (3.03, 3), "GPC": (3.20, 9), "Glu": (2.35, 2), "MM09": (0.91, 3)}
N, DWELL_S, MHZ = 2048, 5e-4, 127.7
TIME_S = np.arange(N) * DWELL_S


def singlets(n_points: int = N) -> Basis:
    time_s = np.arange(n_points) * DWELL_S
    fids = [k * np.exp(2j * np.pi * (ppm - 4.65) * MHZ * time_s) for ppm, k in LINES.values()]
    return Basis(tuple(LINES), np.array(fids), DWELL_S, MHZ, te_s=0.03)


def protocol(**changed) -> Protocol:
    amplitudes = {"NAA": 10.0, "Cr": 8.0, "GPC": 1.5, "Glu": 9.0, "MM09": 4.0}
    return replace(Protocol(singlets(), amplitudes, n_transients=8, tr_s=2.0), **changed)


EVERYTHING = {
    "walk": ing.Walk(2.0, 0.1, 0.5, 0.2, 2.0, 1, 3.0, 10.0),
    "eddy": ing.EddyCurrent(5.0),
    "residual_water": ing.WaterResidue(1e-3),
    "baseline": ing.BaselineHumps(0.05),
    "lipid_burst": ing.LipidBurst(0.5),
    "echo": ing.Echo(0.5),
    "noise": ing.Noise(12.0),
    "coils": ing.Coils(4),
    "adc": ing.Adc(1.2),
    "reference": ing.WaterReference(8e4, 0.03, 2.0),
}


def test_a_singlet_is_the_voigt_fid_of_its_amplitude():
    shape = ing.Lineshape(lorentz_hz=3.0, gauss_hz=4.0)
    scan = simulate(protocol(amplitudes={"Cr": 8.0}, lineshape=shape), seed=1)
    hz = (3.03 - 4.65) * MHZ
    gauss = (np.pi * 4.0 * TIME_S) ** 2 / (4 * np.log(2))
    expected = 24 * np.exp(2j * np.pi * hz * TIME_S - np.pi * 3.0 * TIME_S - gauss)
    assert np.allclose(scan.truth.fids, expected, rtol=0, atol=1e-12)
    assert np.allclose(scan.fids.transients, expected, rtol=0, atol=1e-5)


def test_gaussian_and_lorentzian_width_are_full_widths_at_half_maximum():
    basis = singlets(65536)
    for shape in (ing.Lineshape(5.0, 0.0), ing.Lineshape(0.0, 5.0)):
        one = protocol(basis=basis, amplitudes={"Cr": 1.0}, n_transients=1, lineshape=shape)
        spectrum = to_spectrum(simulate(one, 1).truth.fids[0]).real
        above = np.sum(spectrum > spectrum.max() / 2)
        resolution_hz = 1 / (65536 * DWELL_S)
        assert above * resolution_hz == pytest.approx(5.0, abs=2 * resolution_hz)


def test_skew_keeps_the_mean_frequency_and_moves_the_tail():
    upwards = protocol(
        basis=singlets(32768),
        amplitudes={"Cr": 1.0},
        lineshape=ing.Lineshape(2.0, 1.0, skew_hz=3.0),
    )
    fid = simulate(upwards, 1).truth.fids[0]
    # The mean frequency is the slope of the phase at t = 0.
    slope = np.angle(fid[1] / fid[0]) / (2 * np.pi * DWELL_S)
    assert slope == pytest.approx((3.03 - 4.65) * MHZ, abs=0.05)
    hz = np.fft.fftshift(np.fft.fftfreq(32768, DWELL_S)) - (3.03 - 4.65) * MHZ
    spectrum = to_spectrum(fid).real
    assert hz[np.argmax(spectrum)] < -0.5
    assert spectrum[np.argmin(abs(hz - 10))] > 1.5 * spectrum[np.argmin(abs(hz + 10))]


def test_noise_has_the_variance_that_the_signal_to_noise_ratio_says():
    one = protocol(n_transients=400, noise=ing.Noise(10.0))
    scan = simulate(one, seed=2)
    noise = scan.fids.transients - scan.truth.fids
    n_values = noise.size
    for part in (noise.real, noise.imag):
        # Relative SE of a variance is sqrt(2 / n).
        assert part.var() / scan.truth.noise_sd**2 == pytest.approx(
            1, abs=4 * np.sqrt(2 / n_values)
        )
    spectrum = to_spectrum(scan.truth.fids[0]).real
    tcr = spectrum[(scan.fids.ppm > 2.9) & (scan.fids.ppm < 3.1)].max()
    sd = to_spectrum(noise).real.std()
    assert tcr / sd == pytest.approx(10.0, rel=4 / np.sqrt(2 * n_values))


def test_noise_is_white():
    scan = simulate(protocol(n_transients=200, noise=ing.Noise(10.0)), seed=3)
    noise = scan.fids.transients - scan.truth.fids
    lag = np.mean(noise[:, 1:] * np.conj(noise[:, :-1])) / np.mean(abs(noise) ** 2)
    assert abs(lag) < 5 / np.sqrt(noise.size)


def test_ideal_combination_of_coils_gives_the_truth_and_the_stated_noise():
    scan = simulate(
        protocol(n_transients=64, noise=ing.Noise(10.0), coils=ing.Coils(8, correlation=0.3)), 4
    )
    weights = scan.truth.coil_weights
    noise = scan.fids.data - weights[:, None] * scan.truth.fids[:, None, :]
    flat = np.moveaxis(noise, 1, 0).reshape(8, -1)
    covariance = (flat @ flat.conj().T) / flat.shape[1]
    ideal = np.linalg.solve(covariance, weights)
    ideal /= np.vdot(ideal, weights).conj()
    combined = np.einsum("c,tcp->tp", ideal.conj(), scan.fids.data) - scan.truth.fids
    assert combined.real.std() == pytest.approx(scan.truth.noise_sd, rel=0.02)
    neighbour = abs(covariance[0, 1]) / np.sqrt(covariance[0, 0] * covariance[1, 1]).real
    assert neighbour == pytest.approx(0.3, abs=0.02)


def test_linear_fit_of_noise_free_fids_gives_the_true_amplitudes():
    response = boxcar([4.0], [6.0], 8, 2.0)
    shape = ing.Lineshape(3.0, 3.0, narrowing_hz=0.2)
    walk = ing.Walk(drift_hz=3.0, step_hz=0.3, step_deg=2.0, jitter_hz=0.2, jitter_deg=5.0)
    one = protocol(
        changes_percent={"Glu": 3.0}, response=response, lineshape=shape, walk=walk,
        eddy=ing.EddyCurrent(4.0, 0.03), amplitude_drift_percent=1.0,
    )  # fmt: skip
    scan = simulate(one, 5)
    truth = scan.truth
    eddy = 2 * np.pi * 4.0 * 0.03 * (1 - np.exp(-TIME_S / 0.03))
    for j in range(8):
        phase = 2 * np.pi * truth.shift_hz[j] * TIME_S + np.deg2rad(truth.phase_deg[j]) + eddy
        width = np.pi * truth.lorentz_hz[j] * TIME_S + (np.pi * 3.0 * TIME_S) ** 2 / (4 * np.log(2))
        columns = (one.basis.fids * np.exp(1j * phase - width)).T
        found = np.linalg.lstsq(columns, truth.fids[j], rcond=None)[0]
        assert np.allclose(found, truth.amplitudes[j], rtol=1e-6)


def test_true_change_is_that_of_the_condition_means():
    response = boxcar([4.0], [6.0], 8, 2.0)
    assert response.tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    one = protocol(changes_percent={"Glu": 3.0, "NAA": 0.0}, response=response)
    assert simulate(one, 1).truth.change_percent == pytest.approx({"Glu": 3.0, "NAA": 0.0})
    slow = replace(one, response=np.array([0, 0, 0.6, 1, 0.8, 0.2, 0, 0]))
    glu = simulate(slow, 1).truth.change_percent["Glu"]
    assert glu == pytest.approx(100 * ((1 + 0.03 * 0.8) / (1 + 0.03 * 0.04) - 1))


def test_the_lines_narrow_while_the_bold_response_is_up():
    shape = ing.Lineshape(3.0, 3.0, narrowing_hz=0.46)
    one = protocol(lineshape=shape, bold=np.array([0, 0, 0.5, 1, 1, 0.5, 0, 0]))
    truth = simulate(one, 1).truth
    assert truth.lorentz_hz == pytest.approx([3, 3, 2.77, 2.54, 2.54, 2.77, 3, 3])
    assert abs(truth.fids[3, 500]) > abs(truth.fids[0, 500])


def test_haemodynamic_response_reaches_its_plateau_late_and_undershoots():
    course = haemodynamic([30.0], [60.0], 120, 1.0)
    assert abs(course[:30]).max() == 0
    assert course[33] < 0.5 < course[37]
    assert course[75] == pytest.approx(1.0, abs=0.02)
    assert course[90:].min() < -0.05


def test_switching_one_ingredient_off_leaves_the_others_alone():
    everything = simulate(protocol(**EVERYTHING), 7)
    quiet = simulate(protocol(**{**EVERYTHING, "lipid_burst": None, "noise": None}), 7)
    assert np.array_equal(everything.truth.shift_hz, quiet.truth.shift_hz)
    assert np.array_equal(everything.truth.echoes, quiet.truth.echoes)
    calm = ~everything.truth.bursts
    assert calm.any() and not calm.all()
    assert np.allclose(everything.truth.fids[calm], quiet.truth.fids[calm])


def test_the_same_seed_gives_the_same_scan_and_another_seed_another():
    first, again, other = (simulate(protocol(**EVERYTHING), seed) for seed in (1, 1, 2))
    assert np.array_equal(first.fids.data, again.fids.data)
    assert np.array_equal(first.reference.data, again.reference.data)
    assert not np.allclose(first.fids.data, other.fids.data)


def test_eddy_currents_are_common_to_water_and_metabolites():
    water = ing.WaterReference(1e4, 0.03, 2.0, transients=1)
    off = simulate(protocol(reference=water), 1)
    on = simulate(protocol(reference=water, eddy=ing.EddyCurrent(8.0, 0.05)), 1)
    phase = np.unwrap(np.angle(on.reference.data[0, 0, :1000]))
    expected = 2 * np.pi * 8.0 * 0.05 * (1 - np.exp(-TIME_S[:1000] / 0.05))
    assert np.allclose(phase, expected, atol=1e-4)
    corrected = on.truth.fids[0, :1000] * np.exp(-1j * phase)
    assert np.allclose(corrected, off.truth.fids[0, :1000], atol=0.02)


def test_water_reference_starts_at_its_amplitude_with_its_own_times():
    water = ing.WaterReference(8e4, te_s=0.035, tr_s=10.0, transients=3)
    reference = simulate(protocol(reference=water), 1).reference
    assert reference.data.shape == (3, 1, N)
    assert abs(reference.data[0, 0, 0]) == pytest.approx(8e4, rel=1e-6)
    assert (reference.te_s, reference.tr_s) == (0.035, 10.0)


def test_residual_water_is_its_fraction_of_the_water_and_stands_near_4_65_ppm():
    water = ing.WaterReference(8e4, 0.03, 2.0)
    quiet = ing.WaterResidue(1e-2, fluctuation=0.0)
    bare = protocol(amplitudes={}, reference=water, residual_water=quiet)
    scan = simulate(bare, 3)
    assert abs(scan.truth.fids[:, 0]) == pytest.approx(800 * np.ones(8), rel=1e-9)
    spectrum = abs(to_spectrum(scan.truth.fids[0]))
    assert scan.fids.ppm[np.argmax(spectrum)] == pytest.approx(4.65, abs=0.15)


def test_water_is_wider_than_the_metabolites_by_its_own_width():
    water = ing.WaterReference(1e4, 0.03, 2.0, transients=1, width_hz=2.0)
    scan = simulate(protocol(amplitudes={"Cr": 1.0}, reference=water), 1)
    ratio = abs(scan.reference.data[0, 0]) / 1e4 / (abs(scan.truth.fids[0]) / 3)
    assert np.allclose(ratio[:500], np.exp(-np.pi * 2.0 * TIME_S[:500]), rtol=1e-4)


def test_single_metabolites_can_be_displaced_and_wider():
    plain = simulate(protocol(amplitudes={"Cr": 1.0, "NAA": 1.0}), 1).truth.fids[0]
    both = protocol(
        amplitudes={"Cr": 1.0, "NAA": 1.0}, shifts_hz={"Cr": 0.4}, natural_widths_hz={"Cr": 1.5}
    )
    creatine = simulate(protocol(amplitudes={"Cr": 1.0}), 1).truth.fids[0]
    moved = creatine * (np.exp(np.pi * (0.8j - 1.5) * TIME_S) - 1)
    assert np.allclose(simulate(both, 1).truth.fids[0] - plain, moved, atol=1e-12)


def test_scalp_lipid_has_its_area_near_1_3_ppm_in_every_transient():
    lipid = ing.ScalpLipid(0.5, shift_ppm=0.1)
    with_it, without = (simulate(protocol(scalp_lipid=one), 2).truth.fids for one in (lipid, None))
    added = with_it - without
    assert np.allclose(added, added[0])
    # NAA has 3 x 10 protons; methylene, methyl and allyl weigh 1, 0.25 and 0.1.
    assert abs(added[0, 0]) == pytest.approx(0.5 * 30 * 1.35)
    ppm = 4.65 + np.fft.fftshift(np.fft.fftfreq(N, DWELL_S)) / MHZ
    assert ppm[np.argmax(abs(to_spectrum(added[0])))] == pytest.approx(1.3, abs=0.3)


def test_baseline_has_its_share_of_the_largest_peak():
    scan, bare = (simulate(protocol(baseline=b), 3) for b in (ing.BaselineHumps(0.05), None))
    inside = (scan.fids.ppm > 0.2) & (scan.fids.ppm < 4.2)
    added = to_spectrum(scan.truth.fids[0] - bare.truth.fids[0]).real[inside]
    largest = to_spectrum(bare.truth.fids[0]).real[inside].max()
    assert abs(added).max() / largest == pytest.approx(0.05, rel=1e-6)


def test_a_digitiser_that_is_too_small_clips():
    fids = simulate(protocol(adc=ing.Adc(0.5, bits=12)), 1).fids.data.view(np.float32)
    open_wide = simulate(protocol(), 1).fids.data.view(np.float32)
    limit = 0.5 * max(abs(open_wide).max(), 0)
    assert abs(fids).max() == pytest.approx(limit, rel=1e-5)
    steps = fids / (limit / 2**11)
    assert np.allclose(steps, np.rint(steps), atol=2e-3)
    inside = abs(open_wide) < limit
    assert abs(fids - open_wide)[inside].max() <= limit / 2**11


def test_a_spurious_echo_stands_at_its_time():
    echo = ing.Echo(probability=1.0, time_s=0.3, width_s=0.02)
    with_echo, without = (simulate(protocol(echo=e), 1).truth.fids[0] for e in (echo, None))
    assert TIME_S[np.argmax(abs(with_echo - without))] == pytest.approx(0.3, abs=DWELL_S)


def test_drift_is_linear_over_the_scan():
    shift = simulate(protocol(walk=ing.Walk(drift_hz=7.0)), 1).truth.shift_hz
    assert np.allclose(shift, np.linspace(-3.5, 3.5, 8))


def test_unknown_metabolites_and_courses_of_another_length_are_refused():
    with pytest.raises(ValueError, match="no GABA"):
        protocol(amplitudes={"GABA": 1.0})
    with pytest.raises(ValueError, match="one value a transient"):
        protocol(response=np.zeros(5))
    with pytest.raises(ValueError, match="reference"):
        protocol(residual_water=ing.WaterResidue(1e-3))

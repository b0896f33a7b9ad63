"""Alignment against known shifts and phases, and on a scan that drifted."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fmrsflow.preprocess.align import align, distance_weights, median_distance, register
from fmrsflow.preprocess.water import residual_water


def errors(found, scan):
    """Errors of shift and phase about their medians: the common target's place is free."""
    shift = found.shift_hz - scan.shift_hz
    shift = shift - np.median(shift)
    phase = found.phase_deg - scan.phase_deg
    phase = (phase - np.median(phase) + 180) % 360 - 180
    return shift, phase


# A target that is itself estimated costs about 1/n; the window of the restricted form costs more.
@pytest.mark.parametrize("method, limit", [("robust", 1.25), ("restricted", 1.6)])
@pytest.mark.parametrize("snr", [5, 25])
def test_errors_are_near_the_cramer_rao_bound(sim, method, limit, snr):
    scan = sim.scan(n=160, snr=snr, drift_hz=8)
    _, found = align(scan.fids, method)
    shift, phase = errors(found, scan)
    bound_shift, bound_phase = scan.bounds()
    assert np.std(shift) < limit * bound_shift
    assert np.std(phase) < limit * bound_phase
    # No transient is lost to a side maximum.
    assert np.abs(shift).max() < 5 * limit * bound_shift


@pytest.mark.parametrize("frequency_mhz", [63.9, 123.2, 297.2])
def test_alignment_recovers_a_13_hz_drift(sim, frequency_mhz):
    scan = sim.scan(n=40, snr=20, drift_hz=13, frequency_mhz=frequency_mhz, dwell_s=2.5e-4)
    aligned, found = align(scan.fids)
    shift, _ = errors(found, scan)
    assert np.std(scan.shift_hz) > 3
    assert np.std(shift) < 1.3 * scan.bounds()[0]
    # The average is the clean spectrum again: narrower than without alignment.
    assert np.abs(aligned.mean().transients).sum() > 1.1 * np.abs(scan.fids.mean().transients).sum()


def test_registration_is_the_least_squares_solution(sim):
    scan = sim.scan(n=4, snr=8, drift_hz=6)
    used = 400
    time, target = scan.clean.time_s[:used], scan.clean.transients[0, :used]
    data = scan.fids.transients[:, :used]
    shift, phase = register(data, target, time, 30.0)

    def cost(parameters, row):
        turn = np.exp(-1j * (2 * np.pi * parameters[0] * time + parameters[1]))
        return np.sum(np.abs(row * turn - target) ** 2)

    for j, row in enumerate(data):
        start = [scan.shift_hz[j], np.deg2rad(scan.phase_deg[j])]
        best = minimize(cost, start, args=(row,), method="Nelder-Mead", options={"xatol": 1e-6})
        assert shift[j] == pytest.approx(best.x[0], abs=1e-3)
        assert phase[j] == pytest.approx(best.x[1], abs=1e-3)


@pytest.mark.parametrize("snr", [5, 25])
def test_unstable_residual_water_does_not_bias_the_alignment(sim, snr):
    scan = sim.scan(n=120, snr=snr, water=20)
    fids, total = scan.fids, None
    for _ in range(2):
        fids, found = align(fids, water=residual_water(fids).fids)
        total = found if total is None else found.after(total)
    shift, phase = errors(total, scan)
    bound_shift, bound_phase = scan.bounds()
    # Without taking the water out, the errors are degrees and hertz times ten.
    assert np.std(shift) < 1.5 * bound_shift
    assert np.std(phase) < 1.5 * bound_phase
    _, naive = align(scan.fids)
    assert np.std(errors(naive, scan)[1]) > 5 * np.std(phase)


def test_spoilt_transients_do_not_pull_the_others(sim):
    scan = sim.scan(n=60, snr=15)
    rng = np.random.default_rng(3)
    spoilt = np.arange(60) % 10 == 4
    data = scan.fids.transients.copy()
    lipid = np.exp(2j * np.pi * (1.3 - 4.65) * 123.2 * scan.clean.time_s)
    lipid *= np.exp(-np.pi * 20 * scan.clean.time_s)
    data[spoilt] += 200 * np.exp(2j * np.pi * rng.random(spoilt.sum()))[:, None] * lipid
    _, found = align(scan.fids.with_data(data))
    shift, phase = errors(found, scan)
    assert np.std(shift[~spoilt]) < 1.3 * scan.bounds()[0]
    assert np.std(phase[~spoilt]) < 1.3 * scan.bounds()[1]
    assert found.weights[spoilt].max() < 0.2 * np.median(found.weights[~spoilt])


def test_none_leaves_the_transients_alone(sim):
    scan = sim.scan(n=8)
    aligned, found = align(scan.fids, "none")
    assert aligned is scan.fids
    assert not found.shift_hz.any() and not found.phase_deg.any()
    assert found.weights.sum() == pytest.approx(1)


def test_one_transient_has_nothing_to_be_aligned_to(sim):
    scan = sim.scan(n=1)
    aligned, found = align(scan.fids)
    assert np.array_equal(aligned.data, scan.fids.data)
    assert found.weights.tolist() == [1.0]


def test_median_distance_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(5, 30)) + 1j * rng.normal(size=(5, 30))
    expected = [
        np.median([np.sum((data[j].real - data[k].real) ** 2) / 30 for k in range(5) if k != j])
        for j in range(5)
    ]
    assert median_distance(data) == pytest.approx(expected)
    weights = distance_weights(median_distance(data))
    assert weights == pytest.approx(np.array(expected) ** -2.0 / np.sum(np.array(expected) ** -2.0))


def test_an_unknown_method_is_a_mistake_of_the_caller(sim):
    with pytest.raises(ValueError, match="'rats'"):
        align(sim.scan(n=2).fids, "rats")


def peak_hz(fids, low_ppm, high_ppm):
    """Place of the highest point of each magnitude spectrum in a window, zero-filled 16 times."""
    n = 16 * fids.n_points
    padded = np.zeros((fids.n_transients, 1, n), complex)
    padded[..., : fids.n_points] = fids.broadened(3.0).data
    wide = fids.with_data(padded)
    inside = np.flatnonzero((wide.ppm > low_ppm) & (wide.ppm < high_ppm))
    return wide.frequency_hz[inside[np.argmax(np.abs(wide.spectra[:, 0, inside]), axis=1)]]


def test_the_drift_series_comes_into_line(drift_series):
    fids, total = drift_series, None
    for _ in range(2):
        fids, found = align(fids, water=residual_water(fids).fids)
        total = found if total is None else found.after(total)
    before = drift_series.with_data(drift_series.transients - residual_water(drift_series).fids)
    after = fids.with_data(fids.transients - residual_water(fids).fids)
    slope = np.polyfit(np.arange(40), total.shift_hz, 1)[0]
    assert 39 * abs(slope) == pytest.approx(13, abs=1.5)
    # Independent of the registration: where the tCr peak stands, editing on and off alike.
    assert np.std(peak_hz(before, 2.75, 3.15)) > 3
    assert np.std(peak_hz(after, 2.75, 3.15)) < 1.0
    # Sharper average: higher line at the same area.
    inside = (fids.ppm > 2.75) & (fids.ppm < 3.15)
    height = [np.abs(x.mean().spectra[0, 0, inside]).max() for x in (before, after)]
    assert height[1] > 1.3 * height[0]

"""Coil combination against the closed form of the best possible weights."""

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.preprocess import coils


def array_of_coils(rng, n=8):
    sensitivity = rng.normal(size=n) + 1j * rng.normal(size=n)
    sensitivity /= np.linalg.norm(sensitivity)
    mixing = np.eye(n) + 0.3 * (rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    return sensitivity, mixing @ mixing.conj().T, mixing


def received(sim, rng, fids, sensitivity, mixing, sd):
    """FIDs as the coils see them; noise covariance 2 sd^2 mixing mixing^H."""
    shape = (fids.n_transients, len(sensitivity), fids.n_points)
    noise = mixing @ sim.noise(rng, shape, sd)
    return fids.with_data(sensitivity[:, None] * fids.data + noise)


def variance_of(weights, covariance):
    return (weights @ covariance @ weights.conj()).real


@pytest.mark.parametrize("source", ["water", "metabolites"])
def test_weights_come_within_one_percent_of_the_least_possible_noise(sim, source):
    rng = np.random.default_rng(1)
    sensitivity, covariance, mixing = array_of_coils(rng)
    scan = sim.scan(n=48, snr=1e6, drift_hz=10)
    sd = sim.noise_of(scan.clean, 10)
    seen = received(sim, rng, scan.fids, sensitivity, mixing, sd)
    if source == "water":
        water = scan.clean.with_data(3e4 * np.exp(-np.pi * 8 * scan.clean.time_s)[None])
        reference = received(sim, rng, water, sensitivity, mixing, sd)
        found = coils.coil_weights(reference, coils.noise_covariance(seen))
    else:
        found = coils.coil_weights(seen)
    # Closed form: no weights of unit signal have less noise than 1 / (s^H Psi^-1 s).
    least = 1 / (sensitivity.conj() @ np.linalg.solve(covariance, sensitivity)).real
    signal = abs(found.weights @ sensitivity)
    assert variance_of(found.weights, covariance) / signal**2 < 1.01 * least
    assert signal == pytest.approx(1, abs=0.01)
    best = np.max(np.abs(sensitivity) ** 2 / covariance.diagonal().real)
    assert found.gain == pytest.approx(np.sqrt(1 / least / best), rel=0.02)


def test_combination_gives_the_signal_back(sim):
    rng = np.random.default_rng(2)
    sensitivity, _, mixing = array_of_coils(rng)
    scan = sim.scan(n=16, snr=1e6)
    seen = received(sim, rng, scan.fids, sensitivity, mixing, 1e-4)
    combined = coils.combine(seen, coils.coil_weights(seen))
    ratio = combined.transients / scan.fids.transients
    assert np.allclose(np.abs(ratio[:, :50]), 1, atol=1e-3)
    # One phase for all: relative phases of transients are left to the alignment.
    assert np.ptp(np.angle(ratio[:, :50])) < 1e-2


def test_noise_covariance_is_that_of_the_noise(sim):
    rng = np.random.default_rng(3)
    sensitivity, covariance, mixing = array_of_coils(rng)
    for n in (4, 64):
        scan = sim.scan(n=n, snr=1e6)
        seen = received(sim, rng, scan.fids, sensitivity, mixing, 0.5)
        found = coils.noise_covariance(seen)
        samples = n * seen.n_points * 3 / 16
        error = np.linalg.norm(found - 0.5 * covariance) / np.linalg.norm(0.5 * covariance)
        # Sampling error of a covariance; second differences keep 18/35 of the samples' worth.
        assert error < 4 * np.sqrt(len(covariance) / samples)


def test_chunks_do_not_change_the_result(sim, monkeypatch):
    rng = np.random.default_rng(4)
    sensitivity, _, mixing = array_of_coils(rng)
    seen = received(sim, rng, sim.scan(n=9).fids, sensitivity, mixing, 0.1)
    whole = coils.combine(seen, coils.coil_weights(seen)).data
    monkeypatch.setattr(coils, "CHUNK_BYTES", 2.5 * seen.data[0].nbytes)
    assert np.allclose(coils.combine(seen, coils.coil_weights(seen)).data, whole, rtol=1e-10)


def test_a_dead_coil_is_named(sim):
    rng = np.random.default_rng(5)
    sensitivity, _, mixing = array_of_coils(rng)
    seen = received(sim, rng, sim.scan(n=9).fids, sensitivity, mixing, 0.1)
    seen.data[:, 3] = 0
    with pytest.raises(DataError, match=r"coil\(s\) \[3\]"):
        coils.coil_weights(seen)


def test_weights_of_another_coil_are_refused(sim):
    rng = np.random.default_rng(6)
    sensitivity, _, mixing = array_of_coils(rng)
    seen = received(sim, rng, sim.scan(n=9).fids, sensitivity, mixing, 0.1)
    with pytest.raises(DataError, match="7 coils, but the scan that gives the weights has 8"):
        coils.combine(seen.with_data(seen.data[:, :7]), coils.coil_weights(seen))


def test_combination_never_copies_the_scan(sim, monkeypatch):
    import tracemalloc

    rng = np.random.default_rng(7)
    sensitivity, _, mixing = array_of_coils(rng, 32)
    seen = received(sim, rng, sim.scan(n=32).fids, sensitivity, mixing, 0.1)
    seen = seen.with_data(seen.data.astype(np.complex64))
    monkeypatch.setattr(coils, "CHUNK_BYTES", seen.data.nbytes / 16)
    tracemalloc.start()
    combined = coils.combine(seen, coils.coil_weights(seen))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The result itself, and a few chunks at a time.
    assert peak < combined.data.nbytes + seen.data.nbytes / 2

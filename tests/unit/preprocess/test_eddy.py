"""Eddy-current correction against a known phase."""

import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.preprocess.eddy import correct_eddy, eddy_phase


def eddy(time):
    """Phase (rad) of an eddy current of 40 ms that begins with 15 Hz, and a 20 degree offset."""
    return 2 * np.pi * 15 * 0.04 * (1 - np.exp(-time / 0.04)) + np.deg2rad(20)


def water_and_phase(sim, snr, seed=0):
    clean = sim.clean()
    time = clean.time_s
    rng = np.random.default_rng(seed)
    water = 1e4 * np.exp(-np.pi * 7 * time + 1j * eddy(time))
    noise = sim.noise(rng, water.shape, 1e4 / snr)
    return clean, clean.with_data((water + noise)[None])


def test_a_known_eddy_phase_is_taken_off(sim):
    clean, water = water_and_phase(sim, snr=1e5)
    turned = clean.with_data(clean.transients * np.exp(1j * eddy(clean.time_s)))
    corrected = correct_eddy(turned, eddy_phase(water))
    # Phase noise of the reference: sd / magnitude; its product with the FID bounds the error.
    bound = 5 * np.abs(clean.transients[0]) * 0.1 / np.abs(water.transients[0])
    error = np.abs(corrected.transients[0] - clean.transients[0])
    assert np.mean(error < bound + 1e-6) > 0.99


def test_every_transient_gets_the_same_correction(sim):
    scan = sim.scan(n=5)
    _, water = water_and_phase(sim, snr=1e4)
    phase = eddy_phase(water)
    many = correct_eddy(scan.fids, phase).transients
    for j in range(5):
        assert np.array_equal(many[j], correct_eddy(scan.fids.select([j]), phase).transients[0])


def test_the_noise_of_a_weak_reference_does_not_reach_the_tail(sim):
    _, water = water_and_phase(sim, snr=300)
    found = eddy_phase(water)
    time = water.time_s
    assert 0.1 < found.trusted_s < 0.5
    trusted = time < found.trusted_s
    measured = found.phase_rad - eddy(time)
    measured -= 2 * np.pi * np.round(measured[0] / 2 / np.pi)
    assert np.abs(measured[trusted]).max() < 1.0
    # A straight line from there on: no second difference.
    assert np.abs(np.diff(found.phase_rad[~trusted], n=2)).max() < 1e-9
    # Its slope is the water's frequency, which eddy currents of 40 ms no longer move.
    hz = np.polyfit(time[~trusted], measured[~trusted], 1)[0] / 2 / np.pi
    assert abs(hz) < 0.5


def test_a_scan_without_water_is_no_reference(sim):
    rng = np.random.default_rng(0)
    empty = sim.clean()
    empty = empty.with_data(sim.noise(rng, (1, empty.n_points), 1.0))
    with pytest.raises(DataError, match="no unsuppressed water"):
        eddy_phase(empty)


def test_a_reference_that_is_too_short_is_refused(sim):
    clean, water = water_and_phase(sim, snr=1e4)
    phase = eddy_phase(water.with_data(water.data[:, :, :1024]))
    with pytest.raises(DataError, match="1024 points, the scan 2048"):
        correct_eddy(clean, phase)

"""Residual water: what is left of it, and what else is lost."""

import numpy as np
import pytest

from fmrsflow.convert.reader import read
from fmrsflow.preprocess.align import align
from fmrsflow.preprocess.water import (
    UNSUPPRESSED,
    remove_water,
    residual_water,
    times_metabolites,
)
from fmrsflow.study import Site


def rms(fids, low, high):
    inside = (fids.ppm > low) & (fids.ppm < high)
    return np.sqrt(np.mean(np.abs(fids.spectra[:, 0, inside]) ** 2))


def watery(sim, n, snr, water, frequency_mhz=123.2, seed=0, steady=False):
    """Metabolites with and without noise and unstable water of two non-Lorentzian lines."""
    rng = np.random.default_rng(seed)
    clean = sim.clean(frequency_mhz=frequency_mhz, dwell_s=2.5e-4 if frequency_mhz > 200 else 4e-4)
    t = clean.time_s
    size = np.ones(n) if steady else rng.normal(1, 0.2, n) * np.exp(1j * rng.normal(0, 0.5, n))
    line = np.exp(-np.pi * 6 * t - (np.pi * 5 * t) ** 2 / (4 * np.log(2)) + 2j * np.pi * 2 * t)
    line = line + 0.3 * np.exp(-np.pi * 15 * t - 2j * np.pi * 6 * t + 1j)
    noise = sim.noise(rng, (n, len(t)), sim.noise_of(clean, snr))
    signal = 36 * water * size[:, None] * line
    return clean, clean.with_data(clean.transients + noise), signal


@pytest.mark.parametrize("frequency_mhz", [63.9, 123.2, 297.2])
@pytest.mark.parametrize("n", [1, 64])
def test_water_goes_below_the_noise_and_metabolites_stay(sim, frequency_mhz, n):
    clean, without, signal = watery(sim, n, 20, 30, frequency_mhz)
    done, _ = remove_water(without.with_data(without.transients + signal))
    # In the average, where the noise is sqrt(n) lower than in what is decomposed.
    average, expected = done.mean(), without.mean()
    noise = expected.with_data(expected.transients - clean.transients)
    left = average.with_data(average.transients - expected.transients)
    before = without.with_data(signal).mean()
    assert rms(left, 4.3, 4.8) < 2 * rms(noise, 4.3, 4.8)
    assert rms(left, 4.3, 4.8) < 0.01 * rms(before, 4.3, 4.8)
    # From 4.1 ppm down, the error is a fraction of the noise.
    assert rms(left, 0.5, 4.1) < 0.35 * rms(noise, 0.5, 4.1)


def test_unstable_water_is_removed_from_each_transient(sim):
    _, without, signal = watery(sim, 64, 10, 30)
    done, found = remove_water(without.with_data(without.transients + signal))
    # Complex amplitude of one line shape: the mean and one component.
    assert 2 <= found.n_components <= 4
    left = done.with_data(done.transients - without.transients)
    noise = without.with_data(without.transients - sim.clean().transients)
    assert rms(left, 4.3, 4.8) < 0.5 * rms(noise, 4.3, 4.8)


def test_one_transient_agrees_with_hlsvd_of_the_whole_fid(sim):
    import hlsvdpropy

    _, without, signal = watery(sim, 1, 30, 10, steady=True)
    fids = without.with_data(without.transients + signal)
    fid = fids.transients[0]
    result = hlsvdpropy.hlsvdpro(fid, 25)
    poles = np.exp(np.array(result[3]) + 2j * np.pi * np.array(result[2]))
    amplitudes = np.array(result[4]) * np.exp(1j * np.array(result[5]))
    ppm = 4.65 + np.array(result[2]) / fids.dwell_s / fids.frequency_mhz
    inside = (ppm >= 4.2) & (ppm <= 4.9)
    direct = amplitudes[inside] @ np.vander(poles[inside], len(fid), increasing=True)
    ours = residual_water(fids).fids[0]
    noise = np.sqrt(2) * sim.noise_of(sim.clean(), 30)
    assert np.sqrt(np.mean(np.abs(ours - direct) ** 2)) < 0.2 * noise
    assert np.abs(direct[0]) > 100 * noise


def test_without_water_nothing_is_taken(sim):
    clean, without, signal = watery(sim, 32, 20, 0)
    done, _ = remove_water(without)
    noise = without.with_data(without.transients - clean.transients).mean()
    left = done.with_data(done.transients - without.transients).mean()
    assert rms(left, 0.5, 4.1) < 0.3 * rms(noise, 0.5, 4.1)


def test_a_narrow_window_leaves_what_stands_outside(sim):
    clean = sim.clean()
    line = 50 * np.exp((2j * np.pi * (4.3 - 4.65) * 123.2 - np.pi * 6) * clean.time_s)
    rng = np.random.default_rng(0)
    fids = clean.with_data(clean.transients + line + sim.noise(rng, line.shape, 0.1))
    wide, _ = remove_water(fids)
    narrow, _ = remove_water(fids, (4.6, 4.8))
    taken = fids.with_data(fids.transients - wide.transients)
    assert rms(taken, 4.2, 4.4) == pytest.approx(
        rms(clean.with_data(line[None]), 4.2, 4.4), rel=0.02
    )
    assert rms(narrow, 4.2, 4.4) == pytest.approx(rms(fids, 4.2, 4.4), rel=0.01)


def test_an_empty_fid_is_left_empty(sim):
    clean = sim.clean()
    assert not residual_water(clean.with_data(0 * clean.data)).fids.any()


def test_the_drift_series_loses_its_water(drift_series):
    done, _ = remove_water(drift_series)
    assert rms(done, 4.3, 4.9) < 0.02 * rms(drift_series, 4.3, 4.9)
    # tCr of each transient stands as high over its neighbourhood as before.
    assert rms(done, 2.7, 3.2) < rms(drift_series, 2.7, 3.2)


@pytest.mark.parametrize(
    ("name", "unsuppressed"),
    [
        ("philips-press-3t/sub-01_PRESS_35_act.sdat", False),
        ("philips-press-3t/sub-01_PRESS_35_ref.sdat", True),
        ("real-nulls/ge-phantom/p05_svs.nii.gz", False),
        ("real-nulls/ge-phantom/p05_mrsref.nii.gz", True),
    ],
)
def test_unsuppressed_water_stands_far_above_the_metabolites(shared_data, name, unsuppressed):
    site = Site("north", "Philips", 3.0, "PRESS", 0.035, 2.0, "own")
    fids = align(read(shared_data / name, site).fids)[0]
    clean, found = remove_water(fids)
    times = times_metabolites(fids.with_data(found.fids), clean)
    assert (times > UNSUPPRESSED) is unsuppressed

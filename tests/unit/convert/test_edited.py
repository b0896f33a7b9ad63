"""Series of edited spectra by their data: a real MEGA series, simulated states, real series
without editing."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.convert.edited import edited_states, turning
from fmrsflow.fids import Fids, from_nifti

TURNS = {"MEGA": [1, 0], "pairs": [1, 1, 0, 0], "HERMES": [1, 0, 0, 1]}


def series(naa, seed=0, snr=15.0, n=32) -> Fids:
    """Transients of NAA (share of its height in each), tCr and tCho, 5 Hz wide, drifting by 12 Hz
    under any phase; noise so that tCr stands `snr` SD above it under a matched filter."""
    rng = np.random.default_rng(seed)
    time = np.arange(1024) * 5e-4
    line = np.exp(2j * np.pi * (np.array([2.01, 3.03, 3.22]) - 4.65)[:, None] * 127.7 * time)
    size = np.stack([1.5 * np.resize(naa, n), np.ones(n), 0.8 * np.ones(n)], axis=1)
    signal = size @ line * np.exp(-5 * np.pi * time)
    drift = np.exp(2j * np.pi * np.linspace(-6, 6, n)[:, None] * time)
    phase = np.exp(1j * rng.uniform(-np.pi, np.pi, (n, 1)))
    sd = np.sqrt(np.sum(np.exp(-10 * np.pi * time))) / snr
    noise = sd * (rng.normal(size=(n, 1024)) + 1j * rng.normal(size=(n, 1024)))
    return Fids((signal * drift * phase + noise)[:, None], 5e-4, 127.7)


def test_a_real_mega_series_is_found_without_a_header(shared_data):
    fids = from_nifti(nib.load(shared_data / "drift-series/spant_mpress_drift.nii.gz"))
    assert "odd and even transients differs by a factor of 2." in edited_states(fids)
    assert turning(fids)
    for state in (fids.select(slice(first, None, 2)) for first in (0, 1)):
        assert not edited_states(state) and not turning(state)
    halves = np.r_[0:40:2, 1:40:2]
    assert "first and the second half" in edited_states(fids.select(halves))


@pytest.mark.parametrize("turns", TURNS.values(), ids=TURNS)
@pytest.mark.parametrize("seed", range(3))
def test_states_that_take_turns_are_found(turns, seed):
    assert edited_states(series(np.array(turns) * 0.9 + 0.1, seed))


@pytest.mark.parametrize("size", [4, 10, 16])
def test_blocks_of_on_and_off_are_found_in_whatever_order(size):
    """4 on, 4 off; unequal blocks, the last mixed. A task of the same order that takes a third of
    NAA is none."""
    rng = np.random.default_rng(size)
    on = np.repeat([1, 0], size)
    order = np.concatenate([np.resize(on, 40 - size), rng.integers(0, 2, size)])
    assert edited_states(series(0.1 + 0.9 * order, size, n=40))
    assert not edited_states(series(0.65 + 0.35 * order, size, n=40))
    scattered = np.random.default_rng(3).uniform(0.1, 1.0, 40)  # a voxel that moves
    assert not edited_states(series(scattered, size, n=40))


def gsh(share, n=32, water=0.0, seed=1, snr=60.0) -> Fids:
    """A series with lines at 2.55, 2.67 and 2.95 ppm (aspartyl of NAA, GSH) that an editing pulse
    inverts in every other transient, `share` of tCr each, and residual water that takes turns."""
    fids = series([1.0], seed, snr, n)
    decay = np.exp(-7 * np.pi * fids.time_s)
    lines = sum(
        np.exp(2j * np.pi * fids.hz_at(ppm) * fids.time_s) * decay for ppm in (2.55, 2.67, 2.95)
    )
    wet = np.exp(2j * np.pi * fids.hz_at(4.6) * fids.time_s - 30 * fids.time_s)
    turn = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    # Along with each transient's own phase and shift, as of tCr.
    clean = series([1.0], seed, 1e9, n)
    own = clean.data[:, 0] / series([1.0], seed, 1e9, 1).data[0, 0]
    added = turn[:, None] * (share * lines + water * wet) * own
    return fids.with_data(fids.data + added[:, None])


def test_editing_that_leaves_naa_alone_is_told():
    assert "odd and even transients differ by" in turning(gsh(0.25))
    assert not edited_states(gsh(0.25))


@pytest.mark.parametrize("water", [0.0, 1.0, 20.0])
def test_turns_of_water_and_changes_of_a_task_are_no_editing(water):
    """Phase cycles turn the residual water; a task changes a line by a few percent."""
    assert turning(gsh(0.01, water=water)) == ""


@pytest.mark.parametrize("snr", [1.0, 3.0, 15.0, 60.0])
@pytest.mark.parametrize("seed", range(5))
def test_drift_noise_and_changes_of_a_tenth_are_no_editing(snr, seed):
    """At an SNR of 1 the heights are noise."""
    naa = np.where(np.arange(32) % 8 < 4, 0.9, 1.0)
    assert not edited_states(series(naa, seed, snr))


@pytest.mark.parametrize(
    "name", ["steam-7t/nmt_metab_raw", *(f"ge-phantom/p{n:02d}_svs" for n in range(1, 20, 2))]
)
def test_real_series_without_editing_pass(shared_data, name):
    fids = from_nifti(nib.load(shared_data / f"real-nulls/{name}.nii.gz"))
    assert not edited_states(fids) and not turning(fids)

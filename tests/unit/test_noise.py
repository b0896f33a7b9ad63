"""The shape of the noise: filters found and described, raw scans left alone."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from fmrsflow.convert.reader import load
from fmrsflow.fids import Fids, to_fid
from fmrsflow.noise import (
    STEPS_OF_NOISE,
    in_steps_of_noise,
    noise_shape,
    noise_under_signals,
    used_points,
    without_zeros,
)
from fmrsflow.preprocess.coils import coil_weights, combine

N, DWELL_S, MHZ = 1024, 5e-4, 123.25
TIME = np.arange(N) * DWELL_S
FILTERS = {
    "exponential 2 Hz": np.exp(-np.pi * 2 * TIME),
    "exponential 5 Hz": np.exp(-np.pi * 5 * TIME),
    "Gaussian 4 Hz": np.exp(-((np.pi * 4 * TIME) ** 2) / (4 * np.log(2))),
    "Hann": np.cos(np.pi / 2 * np.arange(N) / N) ** 2,
    "Hamming": 0.54 + 0.46 * np.cos(np.pi * np.arange(N) / N),
    "rising": np.exp(np.pi * 1.5 * TIME),
}
DECAY = np.exp(-np.pi * 3 * TIME - (np.pi * 4 * TIME) ** 2 / (4 * np.log(2)))
"""Of a line at 3T: where along the FID noise harms."""


def noise(n_transients=1, seed=0, n=N):
    rng = np.random.default_rng(seed)
    shape = (n_transients, n)
    return Fids(
        (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))[:, None], DWELL_S, MHZ
    )


def spectrum_with_signal(fids, height=300.0):
    """Noise with lines, a broad one among them, and residual water of 30 times the size."""
    lines = [(2.01, 1.0, 0), (3.03, 0.7, 0), (3.22, 0.4, 0), (0.9, 1.0, 60.0), (4.67, 30.0, 6.0)]
    turn = [
        a * np.exp(2j * np.pi * (ppm - 4.65) * MHZ * TIME - np.pi * width * TIME) * DECAY
        for ppm, a, width in lines
    ]
    return fids.with_data(fids.transients + height * np.sum(turn, axis=0))


def test_white_noise_is_left_alone():
    for seed in range(300):
        assert noise_shape(noise(seed=seed)).white
    for seed in range(20):
        assert noise_shape(noise(64, seed)).white
        assert noise_shape(spectrum_with_signal(noise(seed=seed))).white


def test_kept_samples_lose_what_lies_far_below_the_noise():
    """Rounding to steps s adds a white error of SD s / sqrt(12) (Bennett 1948)."""
    scan = spectrum_with_signal(noise(4, seed=5))
    scan = scan.with_data(scan.data * np.array([1.0, 3.7e-6, 900.0, 0.0])[:, None, None])
    kept = in_steps_of_noise(scan)
    for given, rounded, scale in zip(scan.transients, kept.transients, (1.0, 3.7e-6, 900.0)):
        error = np.concatenate([(rounded - given).real, (rounded - given).imag]) / scale
        step = np.abs(error).max() * 2
        assert 1 / STEPS_OF_NOISE / 2.2 <= step <= 1.05 / STEPS_OF_NOISE
        assert error.std() == pytest.approx(step / np.sqrt(12), rel=0.05)
        assert abs(np.corrcoef(error[1:], error[:-1])[0, 1]) < 4 / np.sqrt(len(error))
    assert np.array_equal(kept.data[3], scan.data[3])
    assert np.array_equal(in_steps_of_noise(kept).data, kept.data)
    # Squares of such sizes run out of single precision.
    for scale in (1e30, 1e-29):
        single = scan.with_data((scale * scan.data).astype(np.complex64))
        error = in_steps_of_noise(single).data[0] / scale - scan.data[0]
        assert 0 < np.abs(error).max() < 1.05 / STEPS_OF_NOISE / np.sqrt(2)
    # They are exact in single precision, as files have them, and compress.
    single = kept.data.astype(np.complex64)
    assert np.array_equal(single, kept.data)
    before = len(zlib.compress(scan.data[0].astype(np.complex64).tobytes()))
    assert len(zlib.compress(single[0].tobytes())) < 0.7 * before


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_found_with_its_shape(name):
    """The variance of the noise where a line has its signal, over its mean, is that of the filter:
    what the error of an amplitude hangs on."""
    shape = FILTERS[name]
    weight = np.abs(DECAY * shape) ** 2
    true = np.average(shape**2, weights=weight) / np.mean(shape**2)
    found = []
    for seed in range(40):
        fids = spectrum_with_signal(noise(seed=seed))
        estimate = noise_shape(fids.with_data(fids.transients * shape))
        # The mildest is found in most of single averages, the others in all.
        if not estimate.white:
            found.append(np.average(estimate.power, weights=weight))
    assert len(found) > 30
    assert np.mean(found) == pytest.approx(true, rel=0.1)


def test_many_transients_give_the_shape_closely():
    shape = FILTERS["exponential 5 Hz"]
    fids = noise(64, 1)
    found = noise_shape(fids.with_data(fids.transients * shape)).power
    true = shape**2 / np.mean(shape**2)
    early = TIME < 0.3
    np.testing.assert_allclose(found[early], true[early], rtol=0.15)


def test_the_direction_is_reported():
    falling = noise().with_data(noise().transients * FILTERS["exponential 2 Hz"])
    rising = noise().with_data(noise().transients * FILTERS["rising"])
    assert noise_shape(falling).end_to_start < 0.5 < 1.5 < noise_shape(rising).end_to_start


def test_products_are_those_of_the_noise_itself():
    """Against the covariance of 20,000 filtered draws."""
    shape = FILTERS["exponential 5 Hz"][:64:2]
    n = len(shape)
    rng = np.random.default_rng(3)
    drawn = (rng.standard_normal((20_000, n)) + 1j * rng.standard_normal((20_000, n))) * shape
    spectra = np.fft.fft(drawn, axis=1)
    index = np.arange(5, 20)
    rows = rng.standard_normal((3, 15)) + 1j * rng.standard_normal((3, 15))
    projected = (spectra[:, index] @ rows.conj().T).real
    expected = np.cov(projected.T) / (n * np.mean(shape**2))
    from fmrsflow.noise import NoiseShape

    products = NoiseShape(shape**2 / np.mean(shape**2), False).products(rows, index)
    # SE of a variance of 20,000 draws: 1 %.
    np.testing.assert_allclose(products, expected, atol=0.04 * np.diag(expected).max())


def test_appended_zeros_are_cut_and_zeros_inside_stay():
    fids = noise(3)
    filled = fids.with_data(np.pad(fids.transients, ((0, 0), (0, 500))))
    filled.data[0, 0, 900:] = 0  # one transient ends sooner
    assert used_points(filled) == N
    assert without_zeros(filled).data.shape == (3, 1, N)
    # Phased in the spectrum afterwards, in single precision.
    phased = np.fft.ifft(np.fft.fft(filled.data).astype(np.complex64) * np.exp(0.3j))
    assert used_points(filled.with_data(phased)) == N
    assert used_points(filled.with_data(np.where(filled.data == 0, np.nan, filled.data))) == N + 500
    decaying = fids.with_data(np.exp(-40 * np.arange(N) / N)[None] + 0j)
    assert used_points(decaying) == N
    inside = fids.with_data(np.where(np.arange(N) % 2, fids.transients, 0))
    assert used_points(inside) == N
    assert used_points(fids.with_data(0 * fids.data)) == N


def test_a_filter_in_frequency_is_found():
    """Noise halved outside of the range of metabolites, as in spectra put together from parts."""
    fids = noise(8, 2)
    outside = np.clip(np.abs(fids.ppm - 2.5) - 2.0, 0, 0.5)
    changed = fids.with_data(to_fid(fids.spectra * (1 - outside)))
    assert noise_under_signals(changed) == pytest.approx(2.0, rel=0.1)
    other = fids.with_data(to_fid(fids.spectra * (0.5 + outside)))
    assert noise_under_signals(other) == pytest.approx(0.5, rel=0.1)


def test_white_noise_is_the_same_under_the_signals():
    for seed in range(100):
        assert noise_under_signals(spectrum_with_signal(noise(seed=seed))) == 1.0


MEASURED = (
    "real-nulls/steam-7t/nmt_metab_raw.nii.gz",
    "drift-series/spant_mpress_drift.nii.gz",
    "phantoms/ge_P1751_svs.nii.gz",
    "real-nulls/ge-phantom/p01_svs.nii.gz",
    "real-nulls/ge-phantom/p17_svs.nii.gz",
)


@pytest.mark.parametrize("name", MEASURED)
def test_measured_scans_are_white(shared_data, name):
    fids = load(shared_data / name)
    if fids.n_coils > 1:
        fids = combine(fids, coil_weights(fids))
    assert noise_shape(fids).white
    assert noise_under_signals(fids) == 1.0
    assert noise_shape(fids.mean()).white


def test_measured_macromolecules_were_filtered(shared_data):
    fids = load(shared_data / "macromolecules" / "7T_MM_human_STEAM_CMRR.nii.gz")
    assert noise_shape(fids).end_to_start < 0.1


def test_spectra_put_together_from_parts_are_reported(shared_data):
    """Their noise beside 0.5-4 ppm was made up (README of the data)."""
    found = [
        noise_under_signals(load(path))
        for path in sorted((shared_data / "real-fit" / "specvis").glob("*.nii.gz"))
    ]
    reported = [ratio for ratio in found if ratio != 1]
    assert len(found) == 17 and len(reported) >= 5
    assert all(0.6 < ratio < 0.8 for ratio in reported)

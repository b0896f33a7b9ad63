"""Samples that no receiver measured, whatever the header says."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.convert.samples import check_samples, clipped_fids
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids


def water(coils: int = 1, hz: float = 7.0) -> np.ndarray:
    """Two FIDs of water beside the carrier, with noise, (2, coils, 1024)."""
    rng = np.random.default_rng(3)
    time_s = np.arange(1024) * 5e-4
    fid = 1000 * np.exp((2j * np.pi * hz - 25) * time_s + 0.4j)
    noise = rng.normal(size=(2, coils, 1024)) + 1j * rng.normal(size=(2, coils, 1024))
    return fid + noise


def fids(data: np.ndarray) -> Fids:
    return Fids(data, 5e-4, 123.2)


def clip(data: np.ndarray, share: float) -> np.ndarray:
    limit = share * max(np.abs(data.real).max(), np.abs(data.imag).max())
    return np.clip(data.real, -limit, limit) + 1j * np.clip(data.imag, -limit, limit)


@pytest.mark.parametrize("share", [0.9, 0.5])
@pytest.mark.parametrize("phase", [0.0, 0.7, 1.6, 3.0])
def test_clipped_water_is_found(share, phase):
    clipped = fids(clip(water(coils=2) * np.exp(1j * phase), share))
    assert clipped_fids(clipped) > 0
    with pytest.raises(DataError, match="a.nii.gz: .* ran into its limit"):
        check_samples(clipped, "a.nii.gz")


@pytest.mark.parametrize("hz", [0.0, 7.0, 60.0])
@pytest.mark.parametrize("bits", [None, 16, 12, 4])
def test_whole_numbers_and_slow_water_are_not_clipped(hz, bits):
    data = water(hz=hz)
    if bits:
        step = np.abs(data).max() / 2.0 ** (bits - 1)
        data = step * (np.round(data.real / step) + 1j * np.round(data.imag / step))
    assert clipped_fids(fids(data.astype(np.complex64))) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:0], "holds no transient"),
        (lambda x: x[..., :32], "32 points are no FID"),
        (lambda x: x.real + 0j, "a real or an imaginary part only"),
        (lambda x: 1j * x.imag, "a real or an imaginary part only"),
        (lambda x: np.append(x[..., :-1], np.full((2, 1, 1), 1e6), axis=-1), "far above"),
    ],
)
def test_what_no_receiver_gives_is_refused(change, words):
    with pytest.raises(DataError, match=words):
        check_samples(fids(change(water())), "a.nii.gz")


def test_one_value_at_all_points_is_no_measurement():
    with pytest.raises(DataError, match="a.SDAT: every FID holds one and the same value"):
        check_samples(fids(np.full((4, 1, 1024), 1 + 0.5j)), "a.SDAT")

"""Scan and water reference: real pairs, swapped, the scan as its own reference."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fmrsflow.convert.pairs import (
    check_onset,
    check_pair,
    noise_ratio,
    noisier,
    quieter,
    same_data,
    water_ratio,
)
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.headers import Told
from fmrsflow.study import Site

SITE = Site("north", "Philips", 3.0, "PRESS", 0.03, 2.0, "own", spectral_width_hz=4000.0)
PHILIPS = "philips-press-3t/sub-01_ses-01_PRESS"
CREATINE = "fitting-challenge/cr-10mM/Cr_10mM_test_water_scaling"
PAIRS = [
    (f"{PHILIPS}_raw-act_noID.SDAT", f"{PHILIPS}_raw-ref_noID.SDAT"),
    (
        f"{PHILIPS}-Inverted_TI-600_raw-act_noID.SDAT",
        f"{PHILIPS}-Inverted_TI-600_raw-ref_noID.SDAT",
    ),
    ("hostile/press35_sub02_act.sdat", "hostile/press35_sub02_ref.sdat"),
    ("drift-series/philips_spar_sdat_WS.SDAT", "drift-series/philips_spar_sdat_W.SDAT"),
    ("phantoms/ge_P1751_svs.nii.gz", "phantoms/ge_P1751_ref.nii.gz"),
    (f"{CREATINE}_WS.txt", f"{CREATINE}_nWS.txt"),
    ("fitting-challenge/lcmodel/dataset1.RAW", "fitting-challenge/lcmodel/dataset1.H2O"),
    ("real-nulls/steam-7t/nmt_metab_raw.nii.gz", "real-nulls/steam-7t/nmt_quant_raw.nii.gz"),
]


@pytest.mark.parametrize("names", PAIRS)
def test_real_pairs_pass_and_are_refused_swapped_and_as_one(shared_data, names):
    fids, reference = (read(shared_data / name, SITE).fids for name in names)
    check_onset(reference)
    check_pair(reference, fids)
    with pytest.raises(DataError, match="columns mrs and ref seem to be swapped"):
        check_pair(fids, reference)
    for one in (fids, reference):
        with pytest.raises(DataError, match="same data as the scan"):
            check_pair(one.with_data(3j * one.data), one, suppressed=False)


def test_a_second_scan_as_reference_is_refused(shared_data):
    """Two suppressed scans of two people: neither is water."""
    one = read(shared_data / "philips-press-3t/sub-01_PRESS_35_act.sdat", SITE).fids
    other = read(shared_data / "hostile/press35_sub02_act.sdat", SITE).fids
    assert not same_data(one, other)
    with pytest.raises(DataError, match=r"times the residual water .* more than 5 times; mend"):
        check_pair(one, other)


def test_without_suppression_both_hold_the_same_water(shared_data):
    """The reference with the metabolites added, as metabolite cycling leaves them."""
    fids, reference = (read(shared_data / name, SITE).fids for name in PAIRS[0])
    cycled = fids.with_data(fids.data + reference.data)
    assert not same_data(reference, cycled)
    assert water_ratio(reference, cycled) == pytest.approx(1, abs=0.01)
    check_pair(reference, cycled, suppressed=False)
    with pytest.raises(DataError, match="water_suppressed of sites.tsv"):
        check_pair(reference, cycled)


def test_the_group_delay_of_a_digital_filter_is_found(shared_data):
    """As Bruker leaves it: 68 points of a rise, here of a raised cosine, before the signal."""
    reference = read(shared_data / PAIRS[0][1], SITE).fids
    rise = reference.data[..., :1] * (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 68)))
    delayed = reference.with_data(np.concatenate([rise, reference.data], axis=-1))
    with pytest.raises(DataError, match="rises for 6. points"):
        check_onset(delayed)


def noisy(size: float, noise: float, seed: int, n: int = 16, coils: int = 2) -> Fids:
    """Water 100 Hz off the carrier under noise that is `noise` times the unit in each part."""
    time = np.arange(1024) * 5e-4
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(2, n, coils, 1024))
    water = size * np.exp(2j * np.pi * 100 * time - 12 * time)
    return Fids(water + noise * (parts[0] + 1j * parts[1]), 5e-4, 123.2)


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0, 4.0])
def test_noise_tells_the_gain_of_a_reference(gain):
    """Gain multiplies water and noise alike; water of 1e5 times the noise does not count."""
    fids, reference = noisy(10.0, 1.0, 1), noisy(1e5 * gain, gain, 2, n=2)
    assert noise_ratio(reference, fids) == pytest.approx(gain, rel=0.1)
    assert bool(noisier(reference, fids, 1)) == (gain >= 2)
    assert noisier(reference, fids, None) == []


def test_water_far_from_the_carrier_is_no_noise():
    """Protocols with the carrier at NAA at 7T: water at 740 Hz, of CSF, that has not decayed."""
    time = np.arange(1024) * 2.5e-4
    rng = np.random.default_rng(8)
    parts = rng.normal(size=(2, 5, 2, 1024))
    noise = parts[0] + 1j * parts[1]
    water = 3e4 * np.exp(2j * np.pi * 740 * time - 12 * time)
    fids = Fids(noise[1:] + 1e-4 * water, 2.5e-4, 297.2, carrier_ppm=2.16)
    reference = fids.with_data(noise[:1] + water)
    assert noise_ratio(reference, fids) == pytest.approx(1.0, rel=0.1)
    assert noisier(reference, fids, 1) == []


@pytest.mark.parametrize(
    ("each", "sums", "told"), [(1, 1, 0), (16, 1, 0), (64, 1, 0), (64, 16, 1), (1, 4, 1)]
)
def test_a_reference_of_fewer_excitations_is_as_noisy_as_it_may_be(each, sums, told):
    """A scan's mean of `each` has less noise than one excitation of its reference; `sums` of them
    added up have more, and are known where the scan is raw."""
    fids = noisy(10.0, each**-0.5, 3, n=1 if each > 1 else 16)
    reference = noisy(1e4 * sums, sums**0.5, 4, n=1)
    assert len(noisier(reference, fids, each)) == told


def test_noise_that_is_of_rounding_or_too_short_tells_nothing():
    fids, reference = noisy(10.0, 1.0, 5), noisy(1e5, 1.0, 6)
    assert noise_ratio(reference, fids.with_data(fids.data[..., :200])) is None
    step = 4.0
    whole = step * (
        np.round(reference.data.real / step) + 1j * np.round(reference.data.imag / step)
    )
    assert noise_ratio(reference.with_data(whole), fids) is None


@pytest.mark.parametrize(
    ("names", "excitations"), [(PAIRS[0], 48), (PAIRS[2], 64), (PAIRS[4], 1), (PAIRS[7], 1)]
)
def test_measured_pairs_have_the_noise_of_one_receiver(shared_data, names, excitations):
    fids, reference = (read(shared_data / name, SITE).fids for name in names)
    ratio = noise_ratio(reference, fids)
    assert 0.9 < ratio < 1.1 * np.sqrt(excitations)
    assert noisier(reference, fids, excitations) == []
    if excitations == 1:
        assert noisier(reference.with_data(2 * reference.data), fids, 1)


@pytest.mark.parametrize("points", [3, 4, 8])
def test_a_reference_that_rises_is_refused(points):
    """As a receiver's filter leaves the start; the second point may be the largest."""
    water = noisy(1e4, 1.0, 7, n=2)
    ramp = np.ones(water.n_points)
    ramp[:points] = np.hanning(2 * points + 1)[1 : points + 1]
    with pytest.raises(DataError, match="rise or group delay"):
        check_onset(water.with_data(water.data * ramp))
    ramp[:] = 1.0
    ramp[1] = 1.06
    check_onset(water.with_data(water.data * ramp))


def pair(gain: float, **told) -> tuple[Fids, Fids]:
    """Water and a scan with the same noise, the water then of another gain."""
    rng, time = np.random.default_rng(5), np.arange(1024) * 5e-4
    noise = rng.normal(size=(2, 8, 1, 1024)) + 1j * rng.normal(size=(2, 8, 1, 1024))
    water = 1e4 * np.exp((30j - 20) * time) + noise[0]
    scan = 10 * np.exp((-2000j - 20) * time) + noise[1]
    reference = Fids(gain * water, 5e-4, 123.2, told=Told(**told))
    return reference, Fids(scan, 5e-4, 123.2)


@pytest.mark.parametrize("told", [{"averages": 1.0}, {"excitations": 8}])
def test_less_noise_than_one_excitation_has_is_another_gain(told):
    (words,) = quieter(*pair(0.5, **told), 1)
    ratio = float(re.match("the noise of the water reference is ([0-9.]+) times", words)[1])
    assert ratio == pytest.approx(0.5, rel=0.2)  # 2,048 points, six times differenced
    assert quieter(*pair(1.0, **told), 1) == quieter(*pair(2.0, **told), 1) == []


@pytest.mark.parametrize("told", [{}, {"averages": 4.0}, {"excitations": 32}])
def test_a_reference_that_may_be_a_mean_is_not_blamed_for_less_noise(told):
    assert quieter(*pair(0.5, **told), 1) == []
    assert quieter(*pair(0.5, averages=1.0), 4) == quieter(*pair(0.5, averages=1.0), None) == []


@pytest.mark.parametrize("hz", [0.0, 60.0, -700.0])
def test_water_of_numbers_that_ran_over_is_refused(hz):
    time = np.arange(1024) * 5e-4
    water = np.exp((2j * np.pi * hz - 20) * time + 0.3j)
    whole = Fids(water[None, None], 5e-4, 123.2)
    check_onset(whole)
    parts = [
        np.round(40_000 * part).astype(np.int64).astype(np.int16)
        for part in (water.real, water.imag)
    ]
    over = parts[0].astype(float) + 1j * parts[1]
    with pytest.raises(DataError, match="jumps by .* whole numbers of the export ran over"):
        check_onset(whole.with_data(over[None]))


def test_a_coil_or_transient_of_noise_alone_is_no_jump():
    rng, time = np.random.default_rng(9), np.arange(1024) * 5e-4
    noise = rng.normal(size=(4, 3, 1024)) + 1j * rng.normal(size=(4, 3, 1024))
    water = 1e3 * np.exp((40j - 20) * time) + noise
    water[:, 2], water[1] = noise[:, 2], noise[1]
    check_onset(Fids(water, 5e-4, 123.2))

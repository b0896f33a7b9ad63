"""The foreign family against closed forms, its lines against the spectrum they come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.basis.sequences import slaser
from fmrsflow.basis.simulate import signal
from fmrsflow.basis.systems import Part
from fmrsflow.fids import to_spectrum
from fmrsflow.synthetic.foreign import Course, Foreign, Setup, draw, draw_series, uneven_delays_s
from fmrsflow.synthetic.foreign_lines import lines_of, scattered, tables_of
from fmrsflow.synthetic.normal import MACROMOLECULES, MM_RELAXATION

PRESS = Setup("PRESS", 0.035)
PLAIN = Foreign(
    setups=(PRESS,),
    tables=("challenge",),
    points=1024,
    snr_tcr=None,
    area_cv=0.0,
    line_shift_ppm=0.0,
    skew_ppm=0.0,
    own_t2=False,
    shift_ppm=0.0,
    baseline=0.0,
    phase_rad=0.0,
    offset_ppm=0.0,
    gain_cv=0.0,
    narrowing_hz=0.0,
    width_drift_hz=0.0,
)
"""Everything off that can be off."""

CREATINE = ((3.027, 3.0), (3.913, 2.0))
"""Its singlets: ppm and protons (Govindaraju 2000)."""


def decay(time_s: np.ndarray, lorentz_hz: float, gauss_hz: float) -> np.ndarray:
    """Of a Voigt line."""
    gauss = (np.pi * gauss_hz * time_s) ** 2 / (4 * np.log(2))
    return np.exp(-np.pi * lorentz_hz * time_s - gauss)


def doubled_creatine(family: Foreign, seed: int = 3):
    """Scan of two transients, creatine twice as much in the second."""
    course = Course(np.array([0.0, 1.0]), np.zeros(2), {"Cr": 100.0})
    return draw_series(3, seed, course, family)


@pytest.mark.parametrize("own_t2", [False, True])
def test_what_responds_is_its_lines_under_the_lineshape_of_the_draw(own_t2):
    scan = doubled_creatine(replace(PLAIN, own_t2=own_t2))
    first, second = scan.fids.transients
    time_s, mhz = scan.fids.time_s, scan.fids.frequency_mhz
    lines = sum(n * np.exp(2j * np.pi * (ppm - 4.65) * mhz * time_s) for ppm, n in CREATINE)
    # T2 of creatine 0.156 s, the longest (NAA) 0.3005 s: docs/science.md#relaxation, osprey at 3T.
    own_hz = (1 / 0.156 - 1 / 0.3005) / np.pi if own_t2 else 0.0
    shape = decay(time_s, scan.made["lorentz_hz"] + own_hz, scan.made["gauss_hz"])
    expected = scan.amplitudes["Cr"] * lines * shape
    assert np.allclose(second - first, expected, rtol=0, atol=1e-9 * abs(expected[0]))
    share = scan.amplitudes["Cr"] / scan.amplitudes["tCr"]
    assert scan.change_percent["Cr"] == pytest.approx(100)
    assert scan.change_percent["tCr"] == pytest.approx(100 * share)
    assert scan.change_percent["Glu"] == 0


def test_macromolecules_stand_with_the_areas_of_their_table():
    one, other = (draw(3, 1, replace(PLAIN, tables=(name,))) for name in ("challenge", "inversion"))
    amplitude = MACROMOLECULES["MM09"] * MM_RELAXATION[3].factor(PRESS.te_s, PRESS.tr_s)
    protons = lines_of("challenge")[:, 2].sum() - lines_of("inversion")[:, 2].sum()
    difference = one.fids.transients[0, 0] - other.fids.transients[0, 0]
    assert difference == pytest.approx(amplitude * protons)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_bold_effect_narrows_the_lorentzian_or_the_gaussian_part(share):
    family = replace(PLAIN, narrowing_hz=0.4, lorentzian_share=share)
    scan = draw_series(3, 5, Course(np.zeros(2), np.array([0.0, 1.0])), family)
    rest, task = scan.fids.transients
    time_s, width = scan.fids.time_s, scan.made
    wide = decay(time_s, width["lorentz_hz"], width["gauss_hz"])
    narrow = decay(time_s, width["lorentz_hz"] - 0.4 * share, width["gauss_hz"] - 0.4 * (1 - share))
    assert np.allclose(task * wide, rest * narrow, rtol=0, atol=1e-12 * abs(rest[0]))


def test_gains_scatter_and_hold_on_from_one_transient_to_the_next():
    n, rho = 4000, 0.8
    family = replace(PLAIN, points=256, gain_cv=0.02, gain_correlation=rho)
    fids = draw_series(3, 8, Course(np.zeros(n), np.zeros(n)), family).fids
    gains = (fids.transients[:, 0] / fids.transients[0, 0]).real
    gains = gains / gains.mean() - 1
    # Variance of a mean square under AR(1): 2 (1 + rho^2) / (1 - rho^2) / n of its square.
    inflation = (1 + rho**2) / (1 - rho**2)
    assert gains.std() == pytest.approx(0.02, rel=4 * np.sqrt(inflation / (2 * n)))
    lag = np.corrcoef(gains[:-1], gains[1:])[0, 1]
    assert lag == pytest.approx(rho, abs=4 * np.sqrt((1 - rho**2) / n))


def test_noise_has_the_ratio_that_is_asked_for():
    clean, noisy = draw(3, 2, PLAIN).fids, draw(3, 2, replace(PLAIN, snr_tcr=50.0)).fids
    ppm = clean.ppm
    height = clean.spectra[0, 0].real[(ppm >= 2.9) & (ppm <= 3.1)].max()
    noise = to_spectrum(noisy.transients - clean.transients)[0]
    sd = np.sqrt(np.mean(np.abs(noise) ** 2) / 2)
    assert height / sd == pytest.approx(50, rel=4 / np.sqrt(4 * len(noise)))


def test_a_baseline_is_smooth_and_leaves_the_rest_of_the_draw_alone():
    plain, humps = draw(3, 4, PLAIN).fids, draw(3, 4, replace(PLAIN, baseline=0.05)).fids
    difference = (humps.transients - plain.transients)[0]
    # A Gaussian of 1.0 ppm FWHM, the narrowest of them, is below 1e-9 after 20 ms at 3T.
    assert np.abs(difference[0]) > 0
    assert np.abs(difference[humps.time_s > 0.02]).max() < 1e-8 * np.abs(difference[0])


def test_a_seed_is_a_draw():
    family = replace(PLAIN, snr_tcr=60.0, skew_ppm=0.008, shift_ppm=0.003, area_cv=0.15)
    one, same, other = (draw(3, seed, family) for seed in (1, 1, 2))
    assert np.array_equal(one.fids.data, same.fids.data)
    assert one.amplitudes == same.amplitudes
    assert abs(one.amplitudes["Glu"] / other.amplitudes["Glu"] - 1) > 1e-3


def test_scatter_has_the_size_that_is_asked_for():
    lines = np.tile([[2.0, 0.1, 3.0]], (4000, 1))
    found = scattered(lines, 0.15, 0.005, np.random.default_rng(1))
    reach = 4 / np.sqrt(2 * len(lines))
    assert np.log(found[:, 2] / 3).std() == pytest.approx(0.15, rel=reach)
    assert found[:, 0].std() == pytest.approx(0.005, rel=reach)
    assert np.array_equal(found[:, 1], lines[:, 1])


@pytest.mark.parametrize("share", [-0.15, 0.2])
def test_unequally_spaced_pulses_still_refocus_every_shift(share):
    for ppm in (0.9, 2.0, 3.9):
        spin = Part("spin", np.array([ppm]), np.zeros((1, 1)), {})
        even, uneven = (
            signal(spin, steps, 297.2).amplitude.sum()
            for steps in (slaser(0.036), slaser(0.036, uneven_delays_s(0.036, share)))
        )
        assert uneven == pytest.approx(even, abs=1e-12)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no measured macromolecules of 1.5 T"):
        draw(1.5, 1)
    with pytest.raises(KeyError, match="no table of macromolecules 'mine'"):
        lines_of("mine")
    with pytest.raises(KeyError, match="Xyz not simulated"):
        draw_series(3, 1, Course(np.zeros(2), np.zeros(2), {"Xyz": 1.0}), PLAIN)


def test_no_table_is_that_of_another_field():
    assert set(tables_of(2.89)).isdisjoint(tables_of(6.98))


@pytest.mark.slow
@pytest.mark.parametrize("field_t", [3, 7])
def test_a_default_draw_has_the_singlets_of_a_brain_in_their_places(field_t):
    family = Foreign(snr_tcr=None, phase_rad=0.0, offset_ppm=0.0)
    scan = draw(field_t, 1, family)
    ppm, spectrum = scan.fids.ppm, scan.fids.spectra[0, 0].real
    for where in (2.01, 3.03, 3.21):
        near = np.abs(ppm - where) < 0.1
        # Own shifts of 0.003 ppm, a skew of up to 0.04 ppm, and the raster.
        assert abs(ppm[near][np.argmax(spectrum[near])] - where) < 0.03
    assert scan.made["setup"].bandwidth_hz


def test_the_lines_of_the_challenge_make_its_spectrum(shared_data):
    text = (shared_data / "fitting-challenge" / "basis" / "Mac.RAW").read_text()
    values = np.array(text.split("$END")[1].split(), float).reshape(-1, 2)
    # The file's frequency falls: conjugated it rises as ours does.
    measured = to_spectrum(values[:, 0] - 1j * values[:, 1])
    mhz, dwell_s = 123.22, 250e-6
    time_s = np.arange(len(values)) * dwell_s
    ppm = 4.65 + np.fft.fftshift(np.fft.fftfreq(len(values), dwell_s)) / mhz
    fid = sum(
        area * np.exp(2j * np.pi * (at - 4.65) * mhz * time_s) * decay(time_s, 0.0, width * mhz)
        for at, width, area in lines_of("challenge")
    )
    inside = (ppm > 0.5) & (ppm < 4.2)
    y, x = measured.real[inside], to_spectrum(fid).real[inside]
    design = np.column_stack([x, np.ones_like(x)])
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    # 1.5 % of the highest peak when the lines were fitted; the table is rounded.
    assert rest.std() < 0.02 * y.max()

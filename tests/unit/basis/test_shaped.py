"""Shaped pulses: profiles, the four compartments of PRESS, and a brute-force grid of positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from fmrsflow.basis import shaped
from fmrsflow.basis import simulate as sim
from fmrsflow.basis.operators import offsets_hz
from fmrsflow.basis.pulses import ShapedPulse, goia_wurst, refocusing, rotations
from fmrsflow.basis.sequences import Delay, Pulse, Sequence, press, slaser, steam
from fmrsflow.basis.systems import Part
from fmrsflow.errors import DataError
from fmrsflow.fids import CARRIER_PPM, to_spectrum

MHZ_7T = 297.2


def refocused(pulse, position_hz, offset_hz=0.0, scale=1.0):
    """Share of the magnetisation that the pulse refocuses between crushers."""
    scaled = ShapedPulse(
        pulse.name, pulse.rf_hz * scale, pulse.gradient, pulse.dwell_s, pulse.bandwidth_hz
    )
    _, beta = rotations(scaled, np.full_like(position_hz, offset_hz), position_hz, slice(None))
    return np.abs(beta) ** 2


def pair(ppm, j):
    return Part("ax", np.array(ppm), np.array([[0, j], [0, 0.0]]), {})


@pytest.mark.parametrize("bandwidth_hz", [1200.0, 2500.0])
def test_the_refocusing_pulse_selects_a_slice_of_its_bandwidth(bandwidth_hz):
    pulse = refocusing(bandwidth_hz)
    assert pulse.duration_s == pytest.approx(6 / bandwidth_hz)
    position = np.linspace(-2, 2, 1001) * bandwidth_hz
    profile = refocused(pulse, position)
    assert profile.sum() * (position[1] - position[0]) == pytest.approx(bandwidth_hz, rel=0.03)
    assert profile[np.abs(position) < 0.3 * bandwidth_hz].min() > 0.98
    assert profile[np.abs(position) > 0.8 * bandwidth_hz].max() < 0.01


def test_the_adiabatic_pulse_inverts_its_slice_at_four_fifths_of_its_amplitude_too():
    pulse = goia_wurst()
    position = np.linspace(-8000, 8000, 81)
    for scale in (0.8, 1.0, 1.3):
        assert refocused(pulse, position, scale=scale).min() > 0.97
    assert refocused(pulse, np.array([-14000.0, 14000.0])).max() < 0.02


def test_a_singlet_keeps_its_protons_and_phase_wherever_it_stands():
    for sequence in (press(0.035, 0.015), slaser(0.035)):
        pulses = sim.shaped_pulses(sequence, None)
        for name, protons in (("Gly", 2), ("sI", 6)):
            lines = sim.metabolite_lines(name, sequence, MHZ_7T, pulses)
            assert lines.amplitude.sum() == pytest.approx(protons, rel=0.03)


@pytest.mark.parametrize("te_s", [0.05, 0.1, 0.144])
@pytest.mark.parametrize("displaced_share", [0.2, 0.5])
def test_the_four_compartments_of_press_change_the_doublet_as_the_textbook_says(
    te_s, displaced_share
):
    # Lange 2006 (AJNR 27:895), Kaiser 2008 (J Magn Reson 195:67): a spin's partner is
    # refocused by both pulses, by one of them, or by none; a pulse that misses it turns J's sign.
    j, te1_s, ppm = 7.0, 0.02, (1.32, 4.10)  # lactate
    sequence, pulse = press(te_s, te1_s), refocusing(16e3, 24)
    mhz = displaced_share * pulse.bandwidth_hz / (ppm[1] - ppm[0])
    pulses = {"refocus": pulse}
    lines = sim.signal(pair(ppm, j), sequence, mhz, pulses)
    near = lines.frequency_hz < (2.8 - CARRIER_PPM) * mhz  # the doublet at 1.32 ppm
    measured = (lines.amplitude[near].sum() / sim.reference(sequence, mhz, pulses)).real
    position = np.arange(-3, 3, 0.003) * pulse.bandwidth_hz
    own, partner = (refocused(pulse, position + shift * mhz) for shift in (0, ppm[1] - ppm[0]))
    both = (own * partner).sum() / own.sum()
    one = 1 - both
    expected = (
        both**2 * np.cos(np.pi * j * te_s)
        + both * one * (np.cos(np.pi * j * te1_s) + np.cos(np.pi * j * (te_s - te1_s)))
        + one**2
    )
    # Partial flips at the edges (here 6 % of the slice) also pass coherence between the spins.
    assert measured == pytest.approx(expected, abs=0.03)
    assert abs(measured - np.cos(np.pi * j * te_s)) > 0.1


def test_sharper_slices_come_closer_to_the_ideal_signal():
    sequence, part = press(0.035, 0.015), pair((1.32, 4.10), 7.0)

    def fid(pulses):
        scale = sim.reference(sequence, MHZ_7T, pulses)
        return sim.signal(part, sequence, MHZ_7T, pulses).fid(256, 2.5e-4) / scale

    # At 60 kHz nothing is displaced; what stays are the partial flips at the slice's edges.
    apart = [np.abs(fid({"refocus": refocusing(60e3, tb)}) - fid(None)).max() for tb in (6, 12, 24)]
    assert apart[2] < apart[1] < apart[0] < 0.2 * 2
    assert apart[2] < 0.1 * 2


def test_a_propagator_is_that_of_matrix_exponentials_sample_by_sample(monkeypatch):
    part = pair((2.0, 2.6), 15.0)
    pulse = refocusing(1200.0)
    positions = np.array([-500.0, 0.0, 350.0])
    offsets = offsets_hz(part, MHZ_7T, 2.8)[0]
    exact = np.array([_propagator(part, pulse, offsets, one) for one in positions])

    def error():
        return np.abs(shaped.propagator(part, pulse, offsets, positions) - exact).max()

    # Couplings act between segments of 0.5 ms: J t = 0.0075 cycles in each, an error of (J t)^2
    # in each of ten, times 2 pi; it falls with the square of a segment's length.
    coarse = error()
    assert coarse < 2 * np.pi * 10 * 0.0075**2
    monkeypatch.setattr(shaped, "SEGMENT_S", shaped.SEGMENT_S / 4)
    assert error() < coarse / 12


@pytest.mark.parametrize("sequence", [press(0.035, 0.0165), slaser(0.032)])
@pytest.mark.parametrize("mhz", [123.25, MHZ_7T])
def test_a_grid_of_four_times_the_points_in_place_and_time_gives_the_same_spectra(
    monkeypatch, sequence, mhz
):
    def spectra(pulses):
        time = np.arange(2048) / 4000
        return [
            to_spectrum(
                sim.metabolite_lines(name, sequence, mhz, pulses).fid(2048, 1 / 4000)
                * np.exp(-3 * np.pi * time)
            )
            for name in ("Lac", "Asp", "Glu")
        ]

    pulses = sim.shaped_pulses(sequence, None)
    usual = spectra(pulses)
    monkeypatch.setattr(shaped, "SEGMENT_S", shaped.SEGMENT_S / 4)
    fine = {
        shape: replace(pulse, positions_per_slice=4 * pulse.positions_per_slice)
        for shape, pulse in pulses.items()
    }
    for one, other in zip(usual, spectra(fine)):
        product = np.vdot(one, other).real / np.linalg.norm(one) / np.linalg.norm(other)
        assert product > 0.9999


def _operators():
    x, y, z = (
        np.array([[0, 0.5], [0.5, 0]]),
        np.array([[0, -0.5j], [0.5j, 0]]),
        np.diag([0.5, -0.5]),
    )
    one = np.eye(2)
    return [[np.kron(axis, one), np.kron(one, axis)] for axis in (x, y, z)]


def _propagator(part, pulse, offsets, position):
    x, y, z = _operators()
    coupling = part.couplings_hz[0, 1] * sum(axis[0] @ axis[1] for axis in (x, y, z))
    whole = np.eye(4, dtype=complex)
    for rf, gradient in zip(pulse.rf_hz, pulse.gradient):
        h = coupling + rf.real * (x[0] + x[1]) + rf.imag * (y[0] + y[1])
        h = h + sum((offset + gradient * position) * one for offset, one in zip(offsets, z))
        whole = expm(-2j * np.pi * h * pulse.dwell_s) @ whole
    return whole


def test_projection_along_each_axis_equals_a_grid_of_positions():
    """Density matrices at each of the grid's points, coherence orders chosen by crusher angles."""
    part = pair((1.6, 3.4), 12.0)
    pulse = refocusing(1200.0)
    sequence = press(0.04, 0.018)
    lines = sim.signal(part, sequence, MHZ_7T, {"refocus": pulse})
    offsets = offsets_hz(part, MHZ_7T, 2.8)[0]
    x, y, z = _operators()
    h = 2 * np.pi * sum(offset * one for offset, one in zip(offsets, z))
    h = h + 2 * np.pi * part.couplings_hz[0, 1] * sum(axis[0] @ axis[1] for axis in (x, y, z))
    positions, spacing = shaped._positions(pulse, offsets)
    positions, spacing = positions[::2], 2 * spacing  # 60 Hz: coarse, yet fine for the profile
    pulses = np.array([_propagator(part, pulse, offsets, p) for p in positions])
    half = pulse.duration_s / 2
    waits = [expm(-1j * h * t) for t in (0.009 - half, 0.020 - 2 * half, 0.011 - half)]
    fz = np.diag(z[0] + z[1]).real
    order = fz[:, None] - fz[None, :]
    start = np.diag(fz).astype(complex)
    excite = expm(-0.5j * np.pi * (x[0] + x[1]))
    start = np.where(order == -1, excite @ start @ excite.conj().T, 0)
    start = waits[0] @ start @ waits[0].conj().T
    total = np.zeros((4, 4), complex)
    for one in pulses:  # first axis
        rho = np.where(order == 1, one @ start @ one.conj().T, 0)
        rho = waits[1] @ rho @ waits[1].conj().T
        for other in pulses:  # second axis
            rho2 = np.where(order == -1, other @ rho @ other.conj().T, 0)
            total += waits[2] @ rho2 @ waits[2].conj().T
    raising = (x[0] + 1j * y[0]) + (x[1] + 1j * y[1])
    first_point = np.trace(total @ raising) * spacing**2
    assert abs(lines.amplitude.sum() - first_point) < 0.01 * abs(first_point)


def test_pulses_of_one_axis_act_on_the_same_position():
    """Two adiabatic pulses cancel each other's phase over the slice; one alone loses the signal."""
    spin = Part("spin", np.array([2.8]), np.zeros((1, 1)), {})
    pulses = {"adiabatic": goia_wurst()}
    lone = (
        Pulse(90, -1),
        Delay(0.01),
        Pulse(180, +1, "y", "adiabatic"),
        Delay(0.02),
        Pulse(180, -1, "z", "adiabatic"),
        Delay(0.01),
    )
    alone = sim.signal(spin, Sequence("pairs apart", 0.04, lone), MHZ_7T, pulses)
    together = sim.signal(spin, slaser(0.04), MHZ_7T, pulses)
    assert abs(alone.amplitude.sum()) < 0.25 * abs(together.amplitude.sum())


def test_pulses_that_do_not_fit_and_sequences_without_any_are_refused():
    with pytest.raises(DataError, match="no room for shaped pulses of 5 ms"):
        sim.simulate(
            press(0.020, 0.004), 123.2, 64, 4000.0, ["Cr"], sim.shaped_pulses(press(0.02), None)
        )
    with pytest.raises(DataError, match="STEAM has no refocusing pulse"):
        sim.shaped_pulses(steam(0.02), None)

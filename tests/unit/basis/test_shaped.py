"""Shaped pulses: profiles, the four compartments of PRESS, and a brute-force grid of positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from fmrsflow.basis import shaped
from fmrsflow.basis import simulate as sim
from fmrsflow.basis.operators import offsets_hz
from fmrsflow.basis.pulses import excitation, goia_wurst, refocusing, rotations
from fmrsflow.basis.sequences import (
    Delay,
    Pulse,
    Sequence,
    press,
    pulse_acquire,
    slaser,
    special,
    steam,
)
from fmrsflow.basis.systems import Part
from fmrsflow.errors import DataError
from fmrsflow.fids import CARRIER_PPM, to_spectrum

MHZ_7T = 297.2


def refocused(pulse, position_hz, offset_hz=0.0, scale=1.0):
    """Share of the magnetisation that the pulse refocuses between crushers."""
    scaled = replace(pulse, rf_hz=pulse.rf_hz * scale)
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


@pytest.mark.parametrize("bandwidth_hz", [2400.0, 4000.0])
def test_the_excitation_pulse_excites_a_slice_of_its_bandwidth_in_phase(bandwidth_hz):
    pulse = excitation(bandwidth_hz)
    position = np.linspace(-2, 2, 1001) * bandwidth_hz
    alpha, beta = rotations(pulse, np.zeros_like(position), position, slice(None))
    # Magnetisation of a spin that was at equilibrium, once its slice's gradient is undone.
    excited = 2 * alpha.conj() * beta * np.exp(-2j * np.pi * position * pulse.half_s)
    size = np.abs(excited)
    assert (size > 0.5).sum() * (position[1] - position[0]) == pytest.approx(bandwidth_hz, rel=0.02)
    assert size[np.abs(position) < 0.3 * bandwidth_hz].min() > 0.98
    assert size[np.abs(position) > 0.8 * bandwidth_hz].max() < 0.01
    assert np.abs(excited.sum()) > 0.99 * size.sum()
    # A symmetric pulse acts at its middle, but for what it turns on its way: a few per cent.
    assert pulse.half_s == pytest.approx(pulse.duration_s / 2, rel=0.06)


def test_the_adiabatic_pulse_inverts_its_slice_at_four_fifths_of_its_amplitude_too():
    pulse = goia_wurst()
    position = np.linspace(-8000, 8000, 81)
    for scale in (0.8, 1.0, 1.3):
        assert refocused(pulse, position, scale=scale).min() > 0.97
    assert refocused(pulse, np.array([-14000.0, 14000.0])).max() < 0.02


def test_a_singlet_keeps_its_protons_and_phase_wherever_it_stands():
    for sequence in (press(0.035, 0.015), slaser(0.035), steam(0.008, 0.032), special(0.0085)):
        pulses = sim.shaped_pulses(sequence, None)
        for ppm in (1.3, 2.0, 3.03, 3.92):
            spin = Part("spin", np.array([ppm]), np.zeros((1, 1)), {})
            amplitude = sim.signal(spin, sequence, MHZ_7T, pulses).amplitude.sum()
            share = amplitude / sim.reference(sequence, MHZ_7T, pulses)
            # An adiabatic pulse with a low gradient at its middle loses a little off its centre.
            assert share == pytest.approx(1, abs=0.02 if sequence.name == "sLASER" else 1e-3)


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


@pytest.mark.parametrize("sequence", [press(0.035, 0.0165), slaser(0.032), steam(0.008, 0.032)])
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


def test_shaped_steam_equals_a_grid_of_positions_in_three_directions():
    """As above, with gradients before and after each pulse that undo its own."""
    part = pair((1.6, 3.4), 12.0)
    pulse = excitation(2400.0)
    sequence = steam(0.016, 0.011)
    lines = sim.signal(part, sequence, MHZ_7T, {"excite": pulse})
    offsets = offsets_hz(part, MHZ_7T, 2.8)[0]
    x, y, z = _operators()
    h = 2 * np.pi * sum(offset * one for offset, one in zip(offsets, z))
    h = h + 2 * np.pi * part.couplings_hz[0, 1] * sum(axis[0] @ axis[1] for axis in (x, y, z))
    positions, spacing = shaped._positions(pulse, offsets)
    positions, spacing = positions[::2], 2 * spacing  # 300 Hz, below 1 / 2.5 ms
    fz = np.diag(z[0] + z[1]).real
    undo = np.exp(2j * np.pi * pulse.half_s * positions[:, None] * fz)
    pulses = np.array([_propagator(part, pulse, offsets, p) for p in positions])
    pulses = undo[:, :, None] * pulses * undo[:, None, :]
    half = pulse.half_s
    waits = [expm(-1j * h * t) for t in (0.008 - 2 * half, 0.011 - 2 * half, 0.008 - half)]
    order = fz[:, None] - fz[None, :]
    rho = np.diag(fz).astype(complex)
    for keep, wait in zip((+1, 0, -1), waits):
        # All points of the axes so far, times those of this one.
        turned = pulses @ rho.reshape(-1, 1, 4, 4) @ np.swapaxes(pulses.conj(), 1, 2)
        rho = wait @ np.where(order == keep, turned, 0) @ wait.conj().T
    raising = (x[0] + 1j * y[0]) + (x[1] + 1j * y[1])
    first_point = np.trace(rho.reshape(-1, 4, 4).sum(axis=0) @ raising) * spacing**3
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


def test_a_given_bandwidth_that_leaves_no_room_is_refused():
    pulses = sim.shaped_pulses(press(0.02), 1200.0)
    with pytest.raises(DataError, match="no room for shaped pulses of 5 ms"):
        sim.simulate(press(0.020, 0.004), 123.2, 64, 4000.0, ["Cr"], pulses)


@pytest.mark.parametrize(
    ("sequence", "shape", "duration_s"),
    [
        (press(0.030), "refocus", 0.005),  # 6 / 1200 Hz
        (press(0.008), "refocus", 0.004),  # TE1 / 2 holds half of it: 4 ms
        (special(0.003), "refocus", 0.003),
        (steam(0.020), "excite", 0.0025),
        (slaser(0.028), "adiabatic", 0.0045),
        (slaser(0.016), "adiabatic", 0.004),  # TE / 8 holds half of it
    ],
)
def test_the_usual_pulse_is_shorter_where_its_sequence_is(sequence, shape, duration_s):
    (pulse,) = sim.shaped_pulses(sequence, None).values()
    assert pulse.duration_s == pytest.approx(duration_s)
    made = sim.simulate(sequence, 123.2, 64, 4000.0, ["Cr"], {shape: pulse})
    assert abs(made.fids[0, 0]) == pytest.approx(5, rel=0.05)


def test_a_sequence_without_localisation_has_no_shaped_pulse():
    assert sim.shaped_pulses(pulse_acquire(), None) == {}
    made = sim.simulate(pulse_acquire(), 123.2, 64, 4000.0, ["Cr"], {})
    assert made.made["pulses"] == "ideal"

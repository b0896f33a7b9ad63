"""Exact simulation of spin systems by their density matrix, and the basis made of it.

A part of n protons has a density matrix of 2^n rows in the basis of products of single spins.
Delays are exact (eigenvectors of the whole Hamiltonian, strong coupling included); ideal pulses
turn all spins alike; gradients keep one coherence order. What is detected is a sum of lines, so a
FID of any length costs no more propagation. Couplings with 31P and 14N are constants of motion:
each state of those nuclei shifts the protons, and the signals are averaged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from fmrsflow.basis import systems
from fmrsflow.basis.files import Basis
from fmrsflow.basis.operators import Lines, hamiltonians, lines, operators, rotation
from fmrsflow.basis.pulses import (
    SHORTEST_ADIABATIC_S,
    ShapedPulse,
    excitation,
    goia_wurst,
    refocusing,
)
from fmrsflow.basis.sequences import Delay, Pulse, Sequence
from fmrsflow.basis.shaped import PULSE_CENTRE_PPM, room_s, shaped_signal
from fmrsflow.basis.systems import Part
from fmrsflow.definitions import Package
from fmrsflow.fids import CARRIER_PPM


def signal(
    part: Part,
    sequence: Sequence,
    frequency_mhz: float,
    pulses: Mapping[str, ShapedPulse] | None = None,
) -> Lines:
    """Signal of one part under a sequence.

    With ideal pulses a spin that is only excited and detected has amplitude 1; losses of the
    sequence (one half in STEAM) are in it, and so is the phase. With shaped pulses the amplitude
    is an integral over the slices (Hz for each axis; see `reference`). The part's weight is not in
    it.

    Parameters
    ----------
    part, sequence, frequency_mhz
    pulses : mapping of `Pulse.shape` to ShapedPulse, optional
        Pulses of other shapes, and all where None, are ideal.
    """
    if pulses:
        return shaped_signal(part, sequence, frequency_mhz, pulses)
    energies, vectors = np.linalg.eigh(hamiltonians(part, frequency_mhz))
    _, order, _ = operators(part.n_spins)
    coherence = order[:, None] - order[None, :]
    back = np.swapaxes(vectors, 1, 2)
    density = np.broadcast_to(np.diag(order).astype(complex), vectors.shape)
    for step in sequence.steps:
        if isinstance(step, Delay):
            phases = np.exp(-1j * energies * step.duration_s)
            turned = back @ density @ vectors
            turned = turned * phases[:, :, None] * phases[:, None, :].conj()
            density = vectors @ turned @ back
        else:
            operator = rotation(part.n_spins, step.flip_deg)
            density = operator @ density @ operator.conj().T
            if step.keep is not None:
                density = np.where(coherence == step.keep, density, 0)
    return lines(density, energies, vectors)


def reference(
    sequence: Sequence, frequency_mhz: float, pulses: Mapping[str, ShapedPulse] | None = None
) -> complex:
    """Signal at t = 0 of one uncoupled spin at the pulses' centre: what the sequence leaves of it,
    and its phase."""
    spin = Part("spin", np.array([PULSE_CENTRE_PPM]), np.zeros((1, 1)), {})
    return complex(signal(spin, sequence, frequency_mhz, pulses).amplitude.sum())


def metabolite_lines(
    name: str,
    sequence: Sequence,
    frequency_mhz: float,
    pulses: Mapping[str, ShapedPulse] | None = None,
) -> Lines:
    """Lines of a metabolite per molecule: a singlet of n protons has amplitude n, phase zero."""
    scale = reference(sequence, frequency_mhz, pulses)
    parts = systems.metabolite(name)
    found = [signal(part, sequence, frequency_mhz, pulses) for part in parts]
    return Lines(
        np.concatenate([one.frequency_hz for one in found]),
        np.concatenate([one.amplitude * part.weight / scale for one, part in zip(found, parts)]),
    )


def broad_fids(
    lines: dict[str, tuple], frequency_mhz: float, n_points: int, dwell_s: float
) -> np.ndarray:
    """FIDs of Gaussian lines given as (ppm, FWHM ppm, protons), one row a name."""
    time = np.arange(n_points) * dwell_s
    fids = np.zeros((len(lines), n_points), complex)
    for row, components in enumerate(lines.values()):
        for ppm, width, protons in components:
            decay = (np.pi * width * frequency_mhz * time) ** 2 / (4 * np.log(2))
            turn = 2j * np.pi * (ppm - CARRIER_PPM) * frequency_mhz * time
            fids[row] += protons * np.exp(turn - decay)
    return fids


def with_macromolecules(basis: Basis, mm: str) -> Basis:
    """The basis with the macromolecules and lipids that it lacks.

    Parameters
    ----------
    basis : Basis
    mm : str
        ``separate``: MM09 to MM37 and Lip09 to Lip20, each by itself; ``single``: one `MM` (the
        macromolecules in the ratios of docs/science.md#soft-ratios) and the lipids. Those that are
        there stay as they are; where one spectrum `MM` is there, macromolecules are not added.
    """
    if mm not in ("separate", "single"):
        raise ValueError(f"mm is {mm!r}; it may be separate or single")
    wanted = systems.LIPIDS if "MM" in basis.names else systems.MACROMOLECULES | systems.LIPIDS
    wanted = {name: lines for name, lines in wanted.items() if name not in basis.names}
    fids = broad_fids(wanted, basis.frequency_mhz, basis.n_points, basis.dwell_s)
    rows = dict(zip(basis.names, basis.fids)) | dict(zip(wanted, fids))
    if mm == "single" and "MM" not in rows:
        rows["MM"] = sum(rows[name] for name in systems.MACROMOLECULES)
        rows = {name: fid for name, fid in rows.items() if name not in systems.MACROMOLECULES}
    return Basis(
        names=tuple(rows),
        fids=np.array(list(rows.values())),
        dwell_s=basis.dwell_s,
        frequency_mhz=basis.frequency_mhz,
        te_s=basis.te_s,
        carrier_ppm=basis.carrier_ppm,
        made={**basis.made, "mm": mm, "added": list(wanted)},
    )


MAKERS = {"excite": excitation, "refocus": refocusing, "adiabatic": goia_wurst}
"""What makes a pulse of each shape, from its bandwidth (Hz) or of the usual one."""


def shaped_pulses(sequence: Sequence, bandwidth_hz: float | None) -> dict[str, ShapedPulse]:
    """The pulses of `fmrsflow.basis.pulses` for a sequence; none for one without localisation.

    Parameters
    ----------
    sequence : Sequence
    bandwidth_hz : float or None
        None takes the usual one, wider where the sequence has no room for a pulse of its length.
    """
    shapes = {step.shape for step in sequence.steps if isinstance(step, Pulse)} & set(MAKERS)
    if bandwidth_hz is not None:
        return {shape: MAKERS[shape](bandwidth_hz) for shape in shapes}
    return {shape: _usual(sequence, shape) for shape in shapes}


def _usual(sequence: Sequence, shape: str) -> ShapedPulse:
    """The usual pulse of a shape; where it is too long a shorter one, of wider slice or, if it is
    adiabatic, of less margin."""
    usual, room = MAKERS[shape](), room_s(sequence, {shape})
    share = 2 * usual.half_s / room
    if share <= 1:
        return usual
    if shape == "adiabatic":
        return goia_wurst(duration_s=max(room, SHORTEST_ADIABATIC_S))
    return MAKERS[shape](usual.bandwidth_hz * share)


def simulate(
    sequence: Sequence,
    frequency_mhz: float,
    n_points: int = 8192,
    spectral_width_hz: float = 6000.0,
    metabolites=systems.METABOLITES,
    pulses: Mapping[str, ShapedPulse] | None = None,
    receiver_hz: float | None = None,
) -> Basis:
    """Basis of metabolites.

    Parameters
    ----------
    sequence : Sequence
    frequency_mhz : float
    n_points, spectral_width_hz
        Time axis; lines do not decay, so it should outlast the scan's own.
    metabolites : iterable of str
        Names of the table (KeyError otherwise).
    pulses : mapping, optional
        Shaped pulses (see `shaped_pulses`); ideal ones where there are none.
    receiver_hz : float, optional
        Spectral width of the scans where it is narrower: lines outside of it (amide protons at
        7T) are left out, as the scanner's filter does, so that none folds in.
    """
    names = tuple(metabolites)
    dwell_s = 1 / spectral_width_hz
    width_hz = min(spectral_width_hz, receiver_hz or spectral_width_hz)
    fids = [
        metabolite_lines(name, sequence, frequency_mhz, pulses)
        .within(width_hz)
        .fid(n_points, dwell_s)
        for name in names
    ]
    return Basis(
        names=names,
        fids=np.array(fids),
        dwell_s=dwell_s,
        frequency_mhz=frequency_mhz,
        te_s=sequence.te_s,
        made={
            "source": "simulate",
            "sequence": sequence.name,
            **dict(sequence.times),
            "pulses": "shaped" if pulses else "ideal",
            "pulse_shapes": {shape: pulse.describe() for shape, pulse in (pulses or {}).items()},
            "systems": systems.digest(),
            "citations": systems.citations(names),
            "receiver_hz": width_hz,
            "digest": digest(
                sequence,
                frequency_mhz,
                n_points,
                spectral_width_hz,
                metabolites,
                pulses,
                receiver_hz,
            ),
        },
    )


def digest(
    sequence, frequency_mhz, n_points, spectral_width_hz, metabolites, pulses, receiver_hz
) -> str:
    """SHA-256 of everything that a simulated basis depends on: the arguments of `simulate`, the
    table of spin systems and the code that they reach."""
    shapes = {
        shape: [
            pulse.describe(),
            *(hashlib.sha256(one.tobytes()).hexdigest() for one in (pulse.rf_hz, pulse.gradient)),
        ]
        for shape, pulse in sorted((pulses or {}).items())
    }
    axis = (frequency_mhz, n_points, spectral_width_hz, receiver_hz)
    parts = (sequence, axis, tuple(metabolites), shapes)
    return hashlib.sha256(repr((parts, systems.digest(), _code())).encode()).hexdigest()


@cache
def _code() -> str:
    return Package(Path(__file__).parents[1]).digest((__name__, "simulate"))

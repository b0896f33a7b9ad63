"""Shaped pulses: the signal integrated over the slices, one axis after the other.

Crushers leave one coherence order after each pulse, whatever the position, and the position along
one axis matters to the pulses of that axis only. So the density matrix after an axis is the mean
over its positions, and the next axis starts from that mean: a voxel of 100^2 points costs 200
(coherence-order projection, Zhang, An, Shen 2017, Med Phys 44:4169-4178, doi:10.1002/mp.12375).
Where coupled spins stand in different slices (the four compartments of PRESS) follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fmrsflow.basis.operators import (
    Lines,
    coupling_matrix,
    hamiltonians,
    lines,
    offsets_hz,
    operators,
    rotation,
)
from fmrsflow.basis.pulses import ShapedPulse, rotations
from fmrsflow.basis.sequences import Delay, Pulse, Sequence
from fmrsflow.basis.systems import Part
from fmrsflow.errors import DataError
from fmrsflow.fids import CARRIER_PPM

PULSE_CENTRE_PPM = 2.8
"""Chemical shift that the pulses are tuned to: the middle of the metabolites, as scanners set it
(Siemens -2.3 ppm of water, Philips 2.0 to 3.0 ppm)."""

SEGMENT_S = 2.5e-4
"""Within a pulse, couplings act between segments of this length (s); rotations are exact."""

POSITIONS_PER_SLICE = 40
"""Points over the width of a slice."""


def shaped_signal(
    part: Part, sequence: Sequence, frequency_mhz: float, pulses: Mapping[str, ShapedPulse]
) -> Lines:
    """Signal of a part, integrated over position: the unit is Hz for each shaped axis.

    Raises
    ------
    DataError
        The pulses are too long for the delays.
    """
    steps = timeline(sequence, pulses)
    _, order, _ = operators(part.n_spins)
    coherence = order[:, None] - order[None, :]
    matrices = hamiltonians(part, frequency_mhz, PULSE_CENTRE_PPM)
    energies, vectors = np.linalg.eigh(matrices)
    densities = []
    for state, offsets in enumerate(offsets_hz(part, frequency_mhz, PULSE_CENTRE_PPM)):
        density = np.diag(order).astype(complex)
        propagators: dict[str, np.ndarray] = {}
        for step in steps:
            if isinstance(step, Delay):
                density = _evolve(density, energies[state], vectors[state], step.duration_s)
                continue
            pulse = pulses.get(step.shape)
            if pulse is None:
                operator = rotation(part.n_spins, step.flip_deg)
            else:
                positions, spacing = _positions(pulse, offsets)
                if step.shape not in propagators:
                    propagators[step.shape] = propagator(part, pulse, offsets, positions)
                operator = propagators[step.shape]
            density = operator @ density @ np.swapaxes(operator.conj(), -1, -2)
            if step.keep is not None:
                density = density * (coherence == step.keep)
            if isinstance(step, _Last):
                density = spacing * density.sum(axis=0)
        densities.append(density)
    found = lines(np.array(densities), energies, vectors)
    centre_hz = (PULSE_CENTRE_PPM - CARRIER_PPM) * frequency_mhz
    return Lines(found.frequency_hz + centre_hz, found.amplitude)


@dataclass(frozen=True)
class _Last(Pulse):
    """The last pulse of its axis: positions are summed after it."""


def timeline(sequence: Sequence, pulses: Mapping[str, ShapedPulse]) -> list[Delay | Pulse]:
    """Steps of a sequence, delays shortened by the pulses' own lengths.

    Raises
    ------
    DataError
        A delay is too short for them.
    """
    steps = list(sequence.steps)
    shaped = [n for n, one in enumerate(steps) if isinstance(one, Pulse) and one.shape in pulses]
    for n in shaped:
        duration = pulses[steps[n].shape].duration_s
        for neighbour in (n - 1, n + 1):
            steps[neighbour] = Delay(steps[neighbour].duration_s - duration / 2)
    if min(step.duration_s for step in steps if isinstance(step, Delay)) < 0:
        raise DataError(
            f"{sequence.name} at TE {1e3 * sequence.te_s:g} ms has no room for shaped pulses of "
            f"{1e3 * pulses[steps[shaped[0]].shape].duration_s:g} ms: raise pulse_bandwidth_hz, "
            "give te1_s, or set pulses to ideal in the basis setting"
        )
    for axis in {steps[n].axis for n in shaped}:
        n = max(n for n in shaped if steps[n].axis == axis)
        one = steps[n]
        steps[n] = _Last(one.flip_deg, one.keep, one.axis, one.shape)
    return steps


def propagator(
    part: Part, pulse: ShapedPulse, offsets: np.ndarray, positions: np.ndarray
) -> np.ndarray:
    """Operator of a shaped pulse at each position, complex (n_positions, 2^n, 2^n).

    Parameters
    ----------
    part : Part
    offsets : array (n,)
        Of the protons from the pulse's centre, Hz.
    positions : array (n_positions,)
        Hz at full gradient.
    """
    n = part.n_spins
    size = 2**n
    count = len(pulse.rf_hz)
    segments = max(1, round(pulse.duration_s / SEGMENT_S)) if part.couplings_hz.any() else 1
    edges = np.linspace(0, count, segments + 1).round().astype(int)
    energies, vectors = np.linalg.eigh(coupling_matrix(part))
    whole = np.broadcast_to(np.eye(size, dtype=complex), (len(positions), size, size)).copy()
    # Half a segment of coupling, rotation, half a segment: the halves of neighbours are merged.
    pending = 0.0
    for first, last in zip(edges[:-1], edges[1:]):
        half = (last - first) * pulse.dwell_s / 2
        if segments > 1:
            whole = _coupled(energies, vectors, pending + half) @ whole
        alpha, beta = rotations(pulse, offsets, positions[:, None], slice(first, last))
        for spin in range(n):
            view = whole.reshape(len(positions), 2**spin, 2, -1)
            up, down = view[:, :, 0], view[:, :, 1]
            a, b = alpha[:, spin, None, None], beta[:, spin, None, None]
            whole = np.stack([a * up - b.conj() * down, b * up + a.conj() * down], axis=2)
        whole = whole.reshape(len(positions), size, size)
        pending = half
    return _coupled(energies, vectors, pending) @ whole if segments > 1 else whole


def _coupled(energies, vectors, duration_s) -> np.ndarray:
    return (vectors * np.exp(-1j * energies * duration_s)) @ vectors.T


def _evolve(density, energies, vectors, duration_s) -> np.ndarray:
    operator = _coupled(energies, vectors, duration_s)
    return operator @ density @ operator.conj().T


def _positions(pulse: ShapedPulse, offsets: np.ndarray) -> tuple[np.ndarray, float]:
    """Positions (Hz) that cover the slices of all protons, and their spacing."""
    spacing = pulse.bandwidth_hz / POSITIONS_PER_SLICE
    # Where the gradient is low at the pulse's middle, an offset moves the slice further.
    stretch = 1 / np.sqrt(pulse.gradient.min() * pulse.gradient.max())
    reach = 0.85 * pulse.bandwidth_hz
    low = -reach - stretch * max(offsets.max(), 0)
    high = reach - stretch * min(offsets.min(), 0)
    return np.arange(np.floor(low / spacing), np.ceil(high / spacing) + 1) * spacing, spacing

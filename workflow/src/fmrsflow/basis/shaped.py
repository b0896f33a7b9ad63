"""Shaped pulses: the signal integrated over the slices, one axis after the other.

Crushers leave one coherence order after each pulse, whatever the position, and the position along
one axis matters to the pulses of that axis only. So the density matrix after an axis is the mean
over its positions, and the next axis starts from that mean: a voxel of 100^2 points costs 200
(coherence-order projection, Zhang, An, Shen 2017, Med Phys 44:4169-4178, doi:10.1002/mp.12375).
Where coupled spins stand in different slices (the four compartments of PRESS) follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cache
from itertools import product

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

SEGMENT_S = 5e-4
"""Within a pulse, couplings act between segments of this length (s); rotations are exact."""


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
    matrices = hamiltonians(part, frequency_mhz, PULSE_CENTRE_PPM)
    offsets = offsets_hz(part, frequency_mhz, PULSE_CENTRE_PPM)
    densities = [_density(part, steps, pulses, *one) for one in zip(offsets, matrices)]
    found = lines(np.array(densities), *np.linalg.eigh(matrices))
    centre_hz = (PULSE_CENTRE_PPM - CARRIER_PPM) * frequency_mhz
    return Lines(found.frequency_hz + centre_hz, found.amplitude)


def _density(part: Part, steps, pulses, offsets: np.ndarray, hamiltonian: np.ndarray) -> np.ndarray:
    """Density matrix (2^n, 2^n) after a sequence, of one state of the other nuclei."""
    n = part.n_spins
    density, held = np.diag(operators(n)[1]).astype(complex), 0
    made = {shape: _in_its_slice(part, pulse, offsets) for shape, pulse in pulses.items()}
    for step in steps:
        if isinstance(step, Delay):
            density = _evolved(density, block_propagator(n, hamiltonian, step.duration_s), held)
            continue
        operator, spacing = made.get(step.shape) or (rotation(n, step.flip_deg), 1.0)
        density, held = _turned(density, operator, held, step.keep), step.keep
        if isinstance(step, _Last):
            density = spacing * density.sum(axis=0)
    return density


def _in_its_slice(part: Part, pulse: ShapedPulse, offsets: np.ndarray) -> tuple[np.ndarray, float]:
    """Operators of a pulse over its slice, between gradients that undo its own before and after the
    moment at which it acts (a refocusing pulse needs none: they cancel); spacing in Hz."""
    positions, spacing = _positions(pulse, offsets)
    undo = np.exp(2j * np.pi * pulse.half_s * positions[:, None] * operators(part.n_spins)[1])
    whole = propagator(part, pulse, offsets, positions)
    return undo[:, :, None] * whole * undo[:, None, :], spacing


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
    waits = {n for n, one in enumerate(steps) if isinstance(one, Delay)}
    for n in shaped:
        for neighbour in {n - 1, n + 1} & waits:
            left_s = steps[neighbour].duration_s - pulses[steps[n].shape].half_s
            # What a default pulse may be too long by in the last digit.
            steps[neighbour] = Delay(0.0 if abs(left_s) < 1e-9 else left_s)
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


def room_s(sequence: Sequence, shapes: Set[str]) -> float:
    """Length (s) of the longest pulses of these shapes that the delays of a sequence hold."""
    steps = sequence.steps
    room = []
    for n, one in enumerate(steps):
        around = steps[max(n - 1, 0) : n + 2]
        sharing = sum(isinstance(step, Pulse) and step.shape in shapes for step in around)
        if isinstance(one, Delay) and sharing:
            room.append(2 * one.duration_s / sharing)
    return min(room)


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
    count = len(pulse.rf_hz)
    segments = max(1, round(pulse.duration_s / SEGMENT_S)) if part.couplings_hz.any() else 1
    edges = np.linspace(0, count, segments + 1).round().astype(int)
    coupling = coupling_matrix(part)
    whole = np.broadcast_to(np.eye(2**n, dtype=complex), (len(positions), 2**n, 2**n))
    # Half a segment of coupling, rotation, half a segment: the halves of neighbours are merged.
    pending = 0.0
    for first, last in zip(edges[:-1], edges[1:]):
        half = (last - first) * pulse.dwell_s / 2
        if segments > 1:
            whole = _through_blocks(block_propagator(n, coupling, pending + half), whole)
        whole = _rotated(whole, *rotations(pulse, offsets, positions[:, None], slice(first, last)))
        pending = half
    if segments == 1:
        return whole
    return _through_blocks(block_propagator(n, coupling, pending), whole)


def _rotated(whole: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Each spin turned by Cayley-Klein parameters (n_positions, n); two halves of the spins, each
    as one product, since numpy is slow at many small ones."""
    count, size = len(whole), whole.shape[-1]
    one = np.stack([np.stack([alpha, -beta.conj()], -1), np.stack([beta, alpha.conj()], -1)], -2)
    spins = alpha.shape[1]
    left, right = _product(one[:, : spins // 2]), _product(one[:, spins // 2 :])
    whole = right[:, None] @ whole.reshape(count, left.shape[-1], right.shape[-1], size)
    whole = left @ whole.reshape(count, left.shape[-1], right.shape[-1] * size)
    return whole.reshape(count, size, size)


def _product(each: np.ndarray) -> np.ndarray:
    """Kronecker product over the spins of matrices (n_positions, n, 2, 2)."""
    whole = np.ones((len(each), 1, 1), complex)
    for spin in range(each.shape[1]):
        size = 2 * whole.shape[-1]
        whole = np.einsum("pij,pkl->pikjl", whole, each[:, spin]).reshape(-1, size, size)
    return whole


@cache
def levels(n: int) -> tuple[tuple[np.ndarray, float], ...]:
    """States of n spins of equal magnetic quantum number, and that number, highest first.

    Couplings and shifts leave the number as it is, so that matrices fall into blocks: of 2^21
    products for seven spins, 2^17 remain.
    """
    order = operators(n)[1]
    return tuple((np.nonzero(order == m)[0], m) for m in np.unique(order)[::-1])


def _pairs(n: int, order: int | None):
    """Levels (rows, columns) that a coherence order joins; all where it is None."""
    every = product(levels(n), levels(n))
    return [(a, b) for (a, high), (b, low) in every if order is None or high - low == order]


def block_propagator(n: int, hamiltonian: np.ndarray, duration_s: float) -> list[np.ndarray]:
    """exp(-i H t) of a Hamiltonian (rad/s) that keeps the magnetic quantum number, level by
    level."""
    found = []
    for states, _ in levels(n):
        energies, vectors = np.linalg.eigh(hamiltonian[np.ix_(states, states)])
        found.append((vectors * np.exp(-1j * energies * duration_s)) @ vectors.T)
    return found


def _through_blocks(blocks: list[np.ndarray], whole: np.ndarray) -> np.ndarray:
    """Product of an operator of blocks with matrices (n_positions, 2^n, 2^n)."""
    found = np.empty_like(whole)
    for block, (states, _) in zip(blocks, levels(len(blocks) - 1)):
        found[:, states] = block @ whole[:, states]
    return found


def _evolved(density: np.ndarray, blocks: list[np.ndarray], order: int | None) -> np.ndarray:
    """Density matrices (..., 2^n, 2^n) of one coherence order after free precession."""
    n = len(blocks) - 1
    by_states = {id(states): block for block, (states, _) in zip(blocks, levels(n))}
    found = np.zeros_like(density)
    for a, b in _pairs(n, order):
        inner = by_states[id(a)] @ density[..., a[:, None], b] @ by_states[id(b)].conj().T
        found[..., a[:, None], b] = inner
    return found


def _turned(density, operator: np.ndarray, before: int | None, after: int | None) -> np.ndarray:
    """U rho U+ of matrices (..., 2^n, 2^n), from one coherence order to another."""
    n = int(np.log2(density.shape[-1]))
    back = np.swapaxes(operator.conj(), -1, -2)
    shape = np.broadcast_shapes(density.shape, operator.shape)
    half, found = np.zeros(shape, complex), np.zeros(shape, complex)
    for a, b in _pairs(n, before):
        half[..., a, :] = density[..., a[:, None], b] @ back[..., b, :]
    for a, b in _pairs(n, after):
        found[..., a[:, None], b] = operator[..., a, :] @ half[..., :, b]
    return found


def _positions(pulse: ShapedPulse, offsets: np.ndarray) -> tuple[np.ndarray, float]:
    """Positions (Hz) that cover the slices of all protons, and their spacing."""
    spacing = pulse.bandwidth_hz / pulse.positions_per_slice
    # Where the gradient is low at the pulse's middle, an offset moves the slice further.
    stretch = 1 / np.sqrt(pulse.gradient.min() * pulse.gradient.max())
    reach = 0.85 * pulse.bandwidth_hz
    low = -reach - stretch * max(offsets.max(), 0)
    high = reach - stretch * min(offsets.min(), 0)
    return np.arange(np.floor(low / spacing), np.ceil(high / spacing) + 1) * spacing, spacing

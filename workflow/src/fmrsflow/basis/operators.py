"""Spin operators, Hamiltonians and what is detected, in the basis of product states.

Bit k of a state's number, from the left, is spin k: 0 is up (+1/2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from fmrsflow.basis.systems import HETERO_STATES, Part
from fmrsflow.fids import CARRIER_PPM


@dataclass(frozen=True)
class Lines:
    """A signal as undamped lines: sum of amplitude * exp(2 pi i frequency_hz t)."""

    frequency_hz: np.ndarray
    amplitude: np.ndarray

    def within(self, width_hz: float) -> Lines:
        """The lines that a receiver of that width, centred on the carrier, passes."""
        passed = np.abs(self.frequency_hz) < width_hz / 2
        return Lines(self.frequency_hz[passed], self.amplitude[passed])

    def fid(self, n_points: int, dwell_s: float) -> np.ndarray:
        """The FID, complex (n_points,)."""
        # exp(i w (64 a + b) dwell) factorises: a product of two small tables in place of one large.
        block = 64
        coarse = np.arange(-(-n_points // block)) * block * dwell_s
        fine = np.arange(block) * dwell_s
        turn = 2j * np.pi * self.frequency_hz[:, None]
        table = (self.amplitude[:, None] * np.exp(turn * coarse)).T @ np.exp(turn * fine)
        return table.ravel()[:n_points]


@cache
def operators(n: int):
    """Of n spins, in the basis of product states: magnetic quantum numbers of the spins in each
    state (2^n, n), their sums (2^n,), and the raising operator F+ (2^n, 2^n)."""
    states = np.arange(2**n)
    bits = (states[:, None] >> np.arange(n - 1, -1, -1)) & 1
    spins = 0.5 - bits
    raising = np.zeros((2**n, 2**n))
    for spin in range(n):
        flip = 1 << (n - 1 - spin)
        down = states[bits[:, spin] == 1]
        raising[down ^ flip, down] = 1.0
    return spins, spins.sum(axis=1), raising


def offsets_hz(part: Part, frequency_mhz: float, centre_ppm: float = CARRIER_PPM) -> np.ndarray:
    """Offset from a centre (Hz) of each proton, one row for each state of the part's other
    nuclei (31P, 14N); all states are equally likely."""
    offsets = [(part.shifts_ppm - centre_ppm) * frequency_mhz]
    for nucleus, coupling in part.hetero_hz.items():
        states = HETERO_STATES[nucleus]
        offsets = [offset + m * coupling for offset in offsets for m in states]
    return np.array(offsets)


def coupling_matrix(part: Part) -> np.ndarray:
    """Sum of J I.S in full, rad/s, real (2^n, 2^n)."""
    n = part.n_spins
    spins, _, _ = operators(n)
    product = np.zeros((2**n, 2**n))
    for i, j in zip(*np.nonzero(part.couplings_hz)):
        coupling = part.couplings_hz[i, j]
        product[np.diag_indices(2**n)] += coupling * spins[:, i] * spins[:, j]
        # The flip-flop term joins states in which the two spins are opposite.
        flip = (1 << (n - 1 - i)) | (1 << (n - 1 - j))
        opposite = np.nonzero(spins[:, i] * spins[:, j] < 0)[0]
        product[opposite, opposite ^ flip] += coupling / 2
    return 2 * np.pi * product


def hamiltonians(part: Part, frequency_mhz: float, centre_ppm: float = CARRIER_PPM) -> np.ndarray:
    """Hamiltonians in the frame of a centre, rad/s, real (n_states, 2^n, 2^n), one for each row
    of `offsets_hz`."""
    spins, _, _ = operators(part.n_spins)
    shifts = 2 * np.pi * offsets_hz(part, frequency_mhz, centre_ppm) @ spins.T
    return coupling_matrix(part) + np.eye(2**part.n_spins) * shifts[:, None, :]


def rotation(n: int, flip_deg: float, phase_deg: float = 0.0) -> np.ndarray:
    """Operator (2^n, 2^n) of a pulse that turns all n spins about (cos phase, sin phase, 0)."""
    half, phase = np.deg2rad(flip_deg) / 2, np.deg2rad(phase_deg)
    one = np.array(
        [
            [np.cos(half), -1j * np.exp(-1j * phase) * np.sin(half)],
            [-1j * np.exp(1j * phase) * np.sin(half), np.cos(half)],
        ]
    )
    whole = np.ones((1, 1))
    for _ in range(n):
        whole = np.kron(whole, one)
    return whole


def lines(density, energies, vectors) -> Lines:
    """Signal of density matrices (n_states, 2^n, 2^n) in product states, averaged over them, with
    the eigenvalues (rad/s) and eigenvectors of their Hamiltonians."""
    n = int(np.log2(density.shape[-1]))
    _, _, raising = operators(n)
    back = np.swapaxes(vectors, 1, 2)
    seen = back @ raising @ vectors
    amplitude = (back @ density @ vectors) * np.swapaxes(seen, 1, 2)
    amplitude = amplitude / len(density) / 2 ** (n - 2)
    frequency = (energies[:, None, :] - energies[:, :, None]) / (2 * np.pi)
    large = np.abs(amplitude) > 1e-9 * np.abs(amplitude).max(initial=1e-30)
    return Lines(frequency[large], amplitude[large])

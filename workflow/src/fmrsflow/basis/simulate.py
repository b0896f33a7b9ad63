"""Exact simulation of spin systems by their density matrix, and the basis made of it.

A part of n protons has a density matrix of 2^n rows in the basis of products of single spins.
Delays are exact (eigenvectors of the whole Hamiltonian, strong coupling included); ideal pulses
turn all spins alike; gradients keep one coherence order. What is detected is a sum of lines, so a
FID of any length costs no more propagation. Couplings with 31P and 14N are constants of motion:
each state of those nuclei shifts the protons, and the signals are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from fmrsflow.basis import systems
from fmrsflow.basis.files import Basis
from fmrsflow.basis.sequences import Delay, Sequence
from fmrsflow.basis.systems import Part
from fmrsflow.fids import CARRIER_PPM

GYROMAGNETIC_MHZ_PER_T = 42.577
"""Proton gyromagnetic ratio over 2 pi, MHz/T (CODATA)."""


@dataclass(frozen=True)
class Lines:
    """A signal as undamped lines: sum of amplitude * exp(2 pi i frequency_hz t)."""

    frequency_hz: np.ndarray
    amplitude: np.ndarray

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
def _operators(n: int):
    """Magnetic quantum number of each product state, and F- = sum of I- of n spins (2^n rows)."""
    states = np.arange(2**n)
    bits = (states[:, None] >> np.arange(n - 1, -1, -1)) & 1
    spins = 0.5 - bits
    raising = np.zeros((2**n, 2**n))
    for spin in range(n):
        flip = 1 << (n - 1 - spin)
        down = states[bits[:, spin] == 1]
        raising[down ^ flip, down] = 1.0
    return spins, spins.sum(axis=1), raising


def hamiltonian(part: Part, frequency_mhz: float) -> tuple[np.ndarray, np.ndarray]:
    """Hamiltonians (rad/s) for each state of the part's other nuclei.

    Returns
    -------
    array (n_states, 2^n, 2^n), real
        In the frame of the carrier, with J I.S in full.
    array (n_states,)
        Share of each state.
    """
    n = part.n_spins
    offsets = [(part.shifts_ppm - CARRIER_PPM) * frequency_mhz]
    for nucleus, coupling in part.hetero_hz.items():
        states = systems.HETERO_STATES[nucleus]
        offsets = [offset + m * coupling for offset in offsets for m in states]
    spins, _, _ = _operators(n)
    product = np.zeros((2**n, 2**n))
    for i, j in zip(*np.nonzero(part.couplings_hz)):
        coupling = part.couplings_hz[i, j]
        product[np.diag_indices(2**n)] += coupling * spins[:, i] * spins[:, j]
        # The flip-flop term joins states in which the two spins are opposite.
        flip = (1 << (n - 1 - i)) | (1 << (n - 1 - j))
        opposite = np.nonzero(spins[:, i] * spins[:, j] < 0)[0]
        product[opposite, opposite ^ flip] += coupling / 2
    matrices = np.array([product + np.diag(spins @ offset) for offset in offsets])
    return 2 * np.pi * matrices, np.full(len(offsets), 1 / len(offsets))


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


def signal(part: Part, sequence: Sequence, frequency_mhz: float) -> Lines:
    """Signal of one part under a sequence of ideal pulses.

    A spin that is only excited and detected has amplitude 1; losses of the sequence (one half in
    STEAM) are in it, and so is the phase. The part's weight is not.
    """
    matrices, shares = hamiltonian(part, frequency_mhz)
    energies, vectors = np.linalg.eigh(matrices)
    n = part.n_spins
    _, order, raising = _operators(n)
    coherence = order[:, None] - order[None, :]
    back = np.swapaxes(vectors, 1, 2)
    density = np.broadcast_to(np.diag(order).astype(complex), matrices.shape)
    for step in sequence.steps:
        if isinstance(step, Delay):
            phases = np.exp(-1j * energies * step.duration_s)
            turned = back @ density @ vectors
            turned = turned * phases[:, :, None] * phases[:, None, :].conj()
            density = vectors @ turned @ back
        else:
            operator = rotation(n, step.flip_deg)
            density = operator @ density @ operator.conj().T
            if step.keep is not None:
                density = np.where(coherence == step.keep, density, 0)
    return _lines(density, energies, vectors, shares, raising)


def _lines(density, energies, vectors, shares, raising) -> Lines:
    back = np.swapaxes(vectors, 1, 2)
    n = int(np.log2(density.shape[-1]))
    seen = back @ raising @ vectors
    amplitude = (back @ density @ vectors) * np.swapaxes(seen, 1, 2)
    amplitude = amplitude * shares[:, None, None] / 2 ** (n - 2)
    frequency = (energies[:, None, :] - energies[:, :, None]) / (2 * np.pi)
    large = np.abs(amplitude) > 1e-9
    return Lines(frequency[large], amplitude[large])


def reference(sequence: Sequence, frequency_mhz: float) -> complex:
    """Signal at t = 0 of one uncoupled spin: what the sequence leaves of it, and its phase."""
    spin = Part("spin", np.array([CARRIER_PPM]), np.zeros((1, 1)), {})
    return complex(signal(spin, sequence, frequency_mhz).amplitude.sum())


def metabolite_lines(name: str, sequence: Sequence, frequency_mhz: float) -> Lines:
    """Lines of a metabolite per molecule: a singlet of n protons has amplitude n, phase zero."""
    scale = reference(sequence, frequency_mhz)
    frequency, amplitude = [], []
    for part in systems.metabolite(name):
        lines = signal(part, sequence, frequency_mhz)
        frequency.append(lines.frequency_hz)
        amplitude.append(lines.amplitude * part.weight / scale)
    return Lines(np.concatenate(frequency), np.concatenate(amplitude))


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
        ``separate``: MM09 to MM20 and Lip09 to Lip20, each by itself; ``single``: one `MM` (the
        macromolecules in the ratios of science.md section 3) and the lipids. Components that are
        there stay as they are; where one spectrum `MM` is there, macromolecules are not added.
    """
    if mm not in ("separate", "single"):
        raise ValueError(f"mm is {mm!r}; it may be separate or single")
    wanted = systems.LIPIDS if "MM" in basis.names else systems.MACROMOLECULES | systems.LIPIDS
    wanted = {name: lines for name, lines in wanted.items() if name not in basis.names}
    fids = broad_fids(wanted, basis.frequency_mhz, basis.n_points, basis.dwell_s)
    rows = dict(zip(basis.names, basis.fids)) | dict(zip(wanted, fids))
    if mm == "single" and "MM" not in rows:
        rows["MM"] = sum(ratio * rows[name] for name, ratio in systems.MM_RATIOS.items())
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


def simulate(
    sequence: Sequence,
    frequency_mhz: float,
    n_points: int = 8192,
    spectral_width_hz: float = 6000.0,
    metabolites=systems.METABOLITES,
) -> Basis:
    """Basis of metabolites under ideal pulses.

    Parameters
    ----------
    sequence : Sequence
    frequency_mhz : float
    n_points, spectral_width_hz
        Time axis; lines do not decay, so it should outlast the scan's own.
    metabolites : iterable of str
        Names of the table (KeyError otherwise).
    """
    names = tuple(metabolites)
    dwell_s = 1 / spectral_width_hz
    fids = [
        metabolite_lines(name, sequence, frequency_mhz).fid(n_points, dwell_s) for name in names
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
            "pulses": "ideal",
            "systems": systems.digest(),
            "citations": systems.citations(names),
        },
    )

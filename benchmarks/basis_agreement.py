"""Simulated bases against real ones, and the time that a simulation takes.

`python benchmarks/basis_agreement.py` prints the table of docs/basis.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from figure import Figure
from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import read_basis
from fmrsflow.basis.sequences import Sequence, press, slaser
from fmrsflow.basis.simulate import shaped_pulses, simulate
from fmrsflow.basis.systems import METABOLITES
from fmrsflow.fids import to_spectrum

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

SETS: dict[str, tuple[str, Sequence]] = {
    "fitting challenge, PRESS TE 30": (
        "fitting-challenge/basis/press3T_30ms.BASIS",
        press(0.03, 0.011),
    ),
    "FSL-MRS, sLASER TE 28": ("slaser-3t/basis", slaser(0.028)),
}

RANGE_PPM = (0.5, 4.2)
LINEWIDTH_HZ = 4.0
AGREEMENT = 0.98


def inner_product(real: Basis, ours: Basis, name: str) -> float:
    """Real part of the normalised inner product of two complex spectra of a metabolite.

    Range 0.5-4.2 ppm, both lines 4 Hz wide. Files hold lines of a width of their own, which may
    differ between metabolites: the width that fits best (0 to 4 Hz) counts as theirs.
    """
    time_s = np.arange(real.n_points) * real.dwell_s
    inside = (real.ppm > RANGE_PPM[0]) & (real.ppm < RANGE_PPM[1])

    def spectrum(basis, width_hz):
        fid = basis.fids[basis.index(name)] * np.exp(-np.pi * width_hz * time_s)
        one = to_spectrum(fid)[inside]
        return one / np.linalg.norm(one)

    own = spectrum(ours, LINEWIDTH_HZ)
    widths = np.arange(0, LINEWIDTH_HZ + 0.1, 0.25)
    return max(float(np.vdot(spectrum(real, LINEWIDTH_HZ - w), own).real) for w in widths)


def agreement(path: Path, sequence: Sequence, shaped: bool = False) -> dict[str, float]:
    """Inner product of each metabolite that a real set and the table of systems share."""
    real = read_basis(path)
    names = [name for name in METABOLITES if name in real.names]
    pulses = shaped_pulses(sequence, None) if shaped else None
    ours = simulate(
        sequence, real.frequency_mhz, real.n_points, 1 / real.dwell_s, names, pulses=pulses
    )
    return {name: inner_product(real, ours, name) for name in names}


def figures(quick: bool) -> Iterator[Figure]:
    """Agreement with the real sets, and CPU seconds of a basis of 22 metabolites."""
    for title, (path, sequence) in SETS.items():
        if not (DATA / path).exists():
            yield Figure(f"agreement with {title}", "no data", ">= 17 metabolites", False)
            continue
        found = agreement(DATA / path, sequence)
        good = sum(value >= AGREEMENT for value in found.values())
        poor = {name: value for name, value in found.items() if value < AGREEMENT}
        yield Figure(
            f"metabolites at >= {AGREEMENT} of {title}",
            f"{good} of {len(found)}",
            ">= 17",
            good >= 17,
            "below: " + ", ".join(f"{name} {value:.3f}" for name, value in poor.items())
            if poor
            else f"lowest {min(found.values()):.4f}",
        )
    names = (*METABOLITES, "H2O")
    start = time.process_time()
    simulate(press(0.03), 123.25, 2048, 4000.0, names)
    spent = time.process_time() - start
    yield Figure(f"ideal basis, {len(names)} metabolites, s CPU", spent, "<= 10", spent <= 10)
    for mhz in (123.25,) if quick else (123.25, 297.2):
        for sequence in (press(0.03), slaser(0.028)):
            start = time.process_time()
            simulate(sequence, mhz, 2048, 4000.0, names, shaped_pulses(sequence, None))
            spent = time.process_time() - start
            yield Figure(
                f"shaped {sequence.name} at {mhz:.0f} MHz, {len(names)} metabolites, s CPU",
                spent,
                "<= 600",
                spent <= 600,
            )


def table() -> str:
    """Agreement of each metabolite with each set, as a Markdown table."""
    columns = {title: agreement(DATA / path, sequence) for title, (path, sequence) in SETS.items()}
    lines = ["| metabolite | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in METABOLITES:
        cells = [f"{found[name]:.4f}" if name in found else "" for found in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
    for one in figures(quick=False):
        print(one)

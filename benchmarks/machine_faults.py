"""Faults of the machine while scans are converted: how many are recorded as faults of the data."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from figure import Figure

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("faults", "chain", "")]


def figures(quick: bool = False) -> Iterator[Figure]:
    """Figures of the faults of tests/faults/machine.py; `quick` leaves out killed converters."""
    import machine
    from counts import Counts

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        counts = Counts.of(machine.quick(work)) if quick else machine.machine_faults(work)
    wrong = counts.number(machine.DATA_FAULT)
    note = f"{counts.tried} faults"
    yield Figure("machine faults recorded as data faults", wrong, "0", wrong == 0, note)
    lost = len(counts.harm) - wrong
    note = "; ".join(str(fault)[:200] for fault in counts.harm)
    yield Figure("machine faults not reported or not resumed", lost, "0", lost == 0, note)

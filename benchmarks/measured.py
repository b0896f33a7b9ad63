"""Figures of the fit on measured spectra, and on spectra that the fit's own model did not make.

Skips, with the reason, what needs ../shared/data where that is absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import measured_brains
import measured_known
import measured_scans
from figure import Figure, skipped
from fmrsflow.fit.solve import fit_spectra
from measured_data import DATA, specvis
from measured_fit import fit_average


def figures(quick: bool) -> Iterator[Figure]:
    """Every figure of the issue; quick: fewer splits, relabellings and scans."""
    yield from measured_brains.figures()
    yield from measured_known.challenge_figures()
    yield from measured_known.lcmodel_figures()
    yield from measured_scans.baseline_figures()
    yield from measured_scans.split_figures(quick)
    yield from measured_scans.null_figures(quick)
    yield from _speed(3 if quick else 10)


def _speed(repeats: int) -> Iterator[Figure]:
    """CPU time of the fit of a brain, preparation of the model included."""
    cases = (("one spectrum, one model", fit_spectra, 25.0), ("average over models", fit_average, 250.0))  # fmt: skip  # noqa: E501
    for name, function, limit in cases:
        title, target = f"{name}, CPU ms", f"<= {limit:g}"
        if not DATA.is_dir():
            yield skipped(title, target, "no ../shared/data")
            continue
        brain = specvis()[0]
        spent = 1e3 * _cpu(lambda f=function, b=brain: f(b.fids, b.basis), repeats)
        note = f"{len(brain.basis.names)} signals, {brain.fids.n_points} points"
        yield Figure(title, spent, target, spent <= limit, note)


def _cpu(function: Callable, repeats: int) -> float:
    """Smallest CPU time of a call, s."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)

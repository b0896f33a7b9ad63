"""Figures of the fit on measured spectra, and on spectra that the fit's own model did not make.

Skips, with the reason, what needs ../shared/data where that is absent.
"""

from __future__ import annotations

from collections.abc import Iterator

import fit
import measured_brains
import measured_known
import measured_scans
import measured_simulated
from figure import Figure, skipped
from fmrsflow.fit.solve import fit_spectra
from measured_data import absent, specvis


def figures(quick: bool) -> Iterator[Figure]:
    """Every figure; quick: fewer splits, relabellings and draws."""
    yield from measured_figures(quick)
    yield from measured_simulated.figures(quick)


def measured_figures(quick: bool) -> Iterator[Figure]:
    """Those of measured spectra and of the challenge; all skipped where the data are absent."""
    yield from measured_brains.figures()
    yield from measured_known.challenge_figures()
    yield from measured_known.lcmodel_figures()
    yield from measured_scans.baseline_figures()
    yield from measured_scans.split_figures(quick)
    yield from measured_scans.null_figures(quick)
    yield from _speed(3 if quick else 10)


def _speed(repeats: int) -> Iterator[Figure]:
    """CPU time of the fit of a brain, preparation of the model included."""
    reason = absent("real-fit/specvis")
    brain = None if reason else specvis()[0]
    for name, function, limit in (
        ("one spectrum, one model", lambda: fit_spectra(brain.fids, brain.basis), 25.0),
        ("one spectrum, average over models", lambda: brain.fitted(), 250.0),
    ):
        title, target = f"{name}, CPU ms", f"<= {limit:g}"
        if brain is None:
            yield skipped(title, target, reason)
            continue
        spent = 1e3 * fit.cpu_s(function, repeats)
        note = f"{len(brain.basis.names)} signals, {brain.fids.n_points} points"
        yield Figure(title, spent, target, spent <= limit, note)

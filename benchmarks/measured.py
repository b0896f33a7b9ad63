"""Figures of the fit on measured spectra, and on spectra that the fit's own model did not make.

Skips, with the reason, what needs ../shared/data where that is absent.
"""

from __future__ import annotations

from collections.abc import Iterator

import measured_brains
import measured_known
from figure import Figure


def figures(quick: bool) -> Iterator[Figure]:
    """Every figure of the issue; quick: fewer splits, relabellings and scans."""
    yield from measured_brains.figures()
    yield from measured_known.challenge_figures()
    yield from measured_known.lcmodel_figures()

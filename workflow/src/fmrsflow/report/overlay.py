"""Rest and task as two scans: their averages over each other, as those of one scan's conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import Fids
from fmrsflow.preprocess.align import align
from fmrsflow.preprocess.linewidth import match_linewidths


@dataclass(frozen=True)
class Overlay:
    """Averages of the scans of one unit.

    Attributes
    ----------
    average, matched : Fids
        One transient a scan, aligned; `matched` with the line widths of the broadest.
    names : tuple of str
        Conditions, rest first.
    scaled : bool
        Whether each scan is on the scale of its own water.
    """

    average: Fids
    matched: Fids
    names: tuple[str, ...]
    scaled: bool


def overlay(
    scans: Sequence[Fids], names: Sequence[str], waters: Sequence[float | None]
) -> Overlay | None:
    """The averages of several scans on one scale, aligned and with matched line widths.

    Parameters
    ----------
    scans : sequence of Fids
        One transient each; the first is the one that others are compared with.
    names : sequence of str
        Condition of each.
    waters : sequence of float or None
        Water amplitude of each; receivers and loads of two scans differ, water tells by how much.

    Returns
    -------
    Overlay or None
        None where the scans were sampled unlike each other.
    """
    first = scans[0]
    for one in scans[1:]:
        same = one.n_points == first.n_points and np.isclose(one.dwell_s, first.dwell_s)
        if not (same and abs(one.frequency_mhz / first.frequency_mhz - 1) < 1e-3):
            return None
    scaled = all(water is not None and water > 0 for water in waters)
    gains = [waters[0] / water for water in waters] if scaled else [1.0] * len(scans)
    stack = first.with_data(
        np.concatenate([gain * one.data for gain, one in zip(gains, scans)], axis=0)
    )
    aligned, _ = align(stack)
    matched, _ = match_linewidths(aligned, tuple(names), np.ones(len(scans)))
    return Overlay(aligned, matched, tuple(names), scaled)

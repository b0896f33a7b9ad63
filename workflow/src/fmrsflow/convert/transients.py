"""Transients of one scan that come as parts: put together, and seen to be of one kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids

STRONGER = 5.0
"""Water without suppression is at least that many times as strong as a scan with it: suppression
leaves 2 % and less of the water, and metabolites are a thousandth of it."""


def levels(fids: Fids) -> np.ndarray:
    """Root mean square of each transient's first eighth, over coils, shape (n_transients,)."""
    first = fids.data[:, :, : max(8, fids.n_points // 8)]
    return np.sqrt((np.abs(first) ** 2).mean(axis=(1, 2)))


def references(fids: Fids) -> np.ndarray:
    """Transients without water suppression among those with it, boolean (n_transients,).

    Those before the first or after the last usual one that are `STRONGER` times as strong as the
    usual one of the weaker half: sequences measure references at either end, and a single strong
    transient within is a movement. Never all of them.
    """
    strength = levels(fids)
    usual = np.median(strength[strength <= np.median(strength)])
    if not usual > 0:
        return np.zeros(len(strength), bool)
    weak = np.flatnonzero(strength <= STRONGER * usual)
    number = np.arange(len(strength))
    return (number < weak[0]) | (number > weak[-1])


def stack(parts: Sequence[Fids], name: str) -> Fids:
    """Parts of one scan as one, in their order, with the header of the first.

    Raises
    ------
    DataError
        They differ in points, dwell time, coils, frequency, times or voxel.
    """
    first = parts[0]
    for number, part in enumerate(parts[1:], start=2):
        if what := _difference(first, part):
            raise DataError(
                f"{name}: part {number} of {len(parts)} differs from the first in {what}; put "
                "one scan into each folder or file"
            )
    if len(parts) == 1:
        return first
    return replace(first, data=np.concatenate([part.data for part in parts]))


def _difference(one: Fids, other: Fids) -> str:
    if one.data.shape[1:] != other.data.shape[1:]:
        return "coils or points"
    if not np.isclose(one.dwell_s, other.dwell_s, rtol=1e-4):
        return "dwell time"
    if not np.isclose(one.frequency_mhz, other.frequency_mhz, rtol=1e-4):
        return "frequency"
    for name, what in (("te_s", "echo time"), ("tr_s", "repetition time")):
        values = getattr(one, name), getattr(other, name)
        if None not in values and not np.isclose(*values, rtol=1e-3):
            return what
    if one.affine is not None and other.affine is not None:
        return "" if np.allclose(one.affine, other.affine, atol=0.1) else "voxel"
    return ""

"""Whether two scans are one measurement, whatever their files: noise never repeats.

A scan exported twice, as RDA and IMA or as SDAT and NIfTI-MRS, has other bytes, scale, phase or
sign of frequency, and the same noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fmrsflow.fids import Fids

START_S, END_S, POINTS = 0.04, 0.25, 48
"""Part of the FID, and points of it, whose magnitudes are kept: behind its start the noise is a
percent of the signal and more even in phantoms of an SNR of 200, and rounding of any export is a
thousandth of that."""

SAME = 1e-3
"""Median difference of logarithms of magnitudes up to which two scans are one. Exports of one
measured scan (IMA and RDA, jMRUI and RAW) have none in five digits; the two halves of a phantom's
scan 0.019, two scans of that phantom 0.08 and more, of brains 0.14."""

DECIMALS = 5

FEWEST = 12
"""Magnitudes by which two scans can be told apart, those to 90 ms: halves of a phantom's scan of an
SNR of 244 then differ by ten times `SAME` (`tests/unit/test_fingerprint.py`)."""


def fingerprint(fids: Fids) -> list[float]:
    """Logarithms of the magnitude of the mean FID at fixed times, less their median, (POINTS,) or
    as many as the FID has before its end or its first zero.

    Free of scale, phase and sign; coils by the root of their summed squares. Empty with less than
    `FEWEST`.
    """
    index = np.round(np.linspace(START_S, END_S, POINTS) / fids.dwell_s).astype(int)
    index = index[index < fids.n_points]
    mean = fids.data[:, :, index].mean(axis=0, dtype=complex)
    size = np.sqrt((np.abs(mean) ** 2).sum(axis=0))
    unusable = ~(np.isfinite(size) & (size > 0))
    size = size[: int(np.argmax(unusable)) if unusable.any() else None]
    if len(size) < FEWEST:
        return []
    logs = np.log(size)
    return np.round(logs - np.median(logs), DECIMALS).tolist()


def twins(prints: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Scans that are one measurement with another: name -> the first other one.

    Parameters
    ----------
    prints : mapping
        Name of a scan -> its `fingerprint`; empty ones are left out. Two of different length are
        compared over the shorter.
    """
    found: dict[str, str] = {}
    for length in sorted({len(one) for one in prints.values() if len(one) >= FEWEST}):
        names = [name for name, one in prints.items() if len(one) >= length]
        values = np.array([prints[name][:length] for name in names])
        values -= np.median(values, axis=1, keepdims=True)
        shortest = np.array([len(prints[name]) == length for name in names])
        for one, other in _pairs(values):
            if shortest[one] or shortest[other]:
                found.setdefault(names[one], names[other])
                found.setdefault(names[other], names[one])
    return found


def _pairs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Rows that are one but for rounding."""
    order = np.argsort(values[:, 0], kind="stable")
    firsts = values[order, 0]
    for place, row in enumerate(order):
        # One point alone may be noisier than the median; rounding never takes it so far.
        end = np.searchsorted(firsts, firsts[place] + 50 * SAME)
        others = order[place + 1 : end]
        apart = np.median(np.abs(values[others] - values[row]), axis=1)
        yield from ((int(row), int(other)) for other in others[apart < SAME])

"""Whether two scans are one measurement, whatever their files: noise never repeats.

A scan exported twice, as RDA and IMA or as SDAT and NIfTI-MRS, has other bytes, scale, phase or
sign of frequency, and the same noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def fingerprint(fids: Fids) -> list[float]:
    """Logarithms of the magnitude of the mean FID at fixed times, less their median, (POINTS,).

    Free of scale, phase and sign; coils by the root of their summed squares. Empty where the FID is
    too short or holds zeros there.
    """
    index = np.round(np.linspace(START_S, END_S, POINTS) / fids.dwell_s).astype(int)
    if index[-1] >= fids.n_points:
        return []
    mean = fids.data[:, :, index].mean(axis=0, dtype=complex)
    size = np.sqrt((np.abs(mean) ** 2).sum(axis=0))
    if not (np.isfinite(size).all() and (size > 0).all()):
        return []
    logs = np.log(size)
    return np.round(logs - np.median(logs), DECIMALS).tolist()


def twins(prints: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Scans that are one measurement with another: name -> the first other one.

    Parameters
    ----------
    prints : mapping
        Name of a scan -> its `fingerprint`; empty ones are left out.
    """
    names = [name for name, one in prints.items() if len(one) == POINTS]
    values = np.array([prints[name] for name in names]).reshape(-1, POINTS)
    found: dict[str, str] = {}
    order = np.argsort(values[:, 0], kind="stable")
    firsts = values[order, 0]
    for place, row in enumerate(order):
        # One point alone may be noisier than the median; rounding never takes it so far.
        end = np.searchsorted(firsts, firsts[place] + 50 * SAME)
        others = order[place + 1 : end]
        apart = np.median(np.abs(values[others] - values[row]), axis=1)
        for other in others[apart < SAME]:
            found.setdefault(names[row], names[other])
            found.setdefault(names[other], names[row])
    return found

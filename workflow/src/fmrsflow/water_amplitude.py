"""Amplitude of the water reference with its errors (docs/science.md#water-amplitude)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids

SKIP_S = 1e-3
SKIP_POINTS = 2
"""Start of the FID that is left out, the longer of the two: the receiver's filter settles there,
and overshoots by 5.7 % in the second point of 0.5 ms of a Philips scan."""

ORDER, USED_SHARE = 3, 0.3
"""Order of the polynomial; the FID is used until its magnitude falls below this share of its
largest value."""

OTHERS = ((2, 0.5), (3, 0.5), (4, 0.3), (4, 0.15))
"""Other orders and shares that a reasonable person could take, each with no more of the FID than
a polynomial of its order follows; the spread over them is the model error."""

MAX_S = 0.06


@dataclass(frozen=True)
class WaterAmplitude:
    """Amplitude of water at t = 0, and what it is uncertain by, all on the scale of the FIDs.

    Attributes
    ----------
    value : float
        Two protons times molecules.
    se : float
        Standard error from the noise.
    model_sd : float
        Root mean square deviation from it of the values that other orders and ends give.
    """

    value: float
    se: float
    model_sd: float


def water_amplitude(reference: Fids) -> WaterAmplitude:
    """Amplitude of water at t = 0 on the scale of the FIDs.

    The logarithm of the magnitude of the averaged FID is a straight line for a Lorentzian, a
    parabola for a Gaussian, and a smooth curve for whatever the shim made of it; a cubic through
    its first tens of milliseconds, weighted by the signal, is followed back to t = 0. No phase, no
    frequency and no lineshape enters.

    Raises
    ------
    DataError
        No signal, not finite, or too short to be followed.
    """
    signal = np.abs(reference.transients.mean(axis=0))
    if not np.isfinite(signal).all() or not signal.max() > 0:
        raise DataError(
            "the water reference holds no signal, or values that are not finite: export it again, "
            "or name none"
        )
    # A dwell time of 0.5 ms is stored as 0.0005 or as 0.00049999: both leave two points out.
    first = max(math.ceil(SKIP_S / reference.dwell_s - 1e-3), SKIP_POINTS)
    ways = ((ORDER, USED_SHARE), *OTHERS)
    found, *others = (_followed_back(signal, reference, first, *way) for way in ways)
    if found is None or not any(others):
        stop = _stop(signal, reference, first, USED_SHARE)
        raise DataError(
            f"the water reference decays within {1e3 * stop * reference.dwell_s:.1f} ms: its "
            "amplitude cannot be found; name the right file in column ref of scans.tsv, or none"
        )
    deviations = [other[0] - found[0] for other in others if other is not None]
    return WaterAmplitude(*found, float(np.sqrt(np.mean(np.square(deviations)))))


def _stop(signal: np.ndarray, reference: Fids, first: int, share: float) -> int:
    """Where the magnitude falls below a share of its largest value, or the time is up."""
    below = np.flatnonzero(signal[first:] < share * signal[first : first + 8].max())
    stop = first + (below[0] if len(below) else len(signal) - first)
    return min(stop, int(MAX_S / reference.dwell_s) + 1)


def _followed_back(
    signal: np.ndarray, reference: Fids, first: int, order: int, share: float
) -> tuple[float, float] | None:
    """Magnitude at t = 0 and its standard error, from a polynomial in the logarithm; None where
    the FID decays within fewer points than it takes.

    The logarithm of a magnitude s has the error sigma / s for noise of SD sigma in each part of
    the FID, so that weights s make all residuals equally uncertain; sigma is theirs.
    """
    stop = _stop(signal, reference, first, share)
    if stop - first < 3 * (order + 1):
        return None
    time = reference.time_s[first:stop] / reference.time_s[stop - 1]
    weights = signal[first:stop]
    design = np.vander(time, order + 1, increasing=True) * weights[:, None]
    target = np.log(weights) * weights
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    residual = target - design @ solution
    variance = float(residual @ residual) / (len(target) - order - 1)
    variance *= np.linalg.inv(design.T @ design)[0, 0]
    value = float(np.exp(solution[0]))
    return value, value * math.sqrt(variance)

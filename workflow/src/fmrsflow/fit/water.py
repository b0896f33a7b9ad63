"""Amplitude of the water reference (docs/science.md#water-amplitude)."""

from __future__ import annotations

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids

SKIP_S = 0.5e-3
"""Start of the FID that is left out: filters of the receiver settle there."""

USED_SHARE = 0.3
"""The FID is used until its magnitude falls below this share of its largest value."""

MAX_S = 0.06
ORDER = 3


def water_amplitude(reference: Fids) -> float:
    """Amplitude of water at t = 0: two protons times molecules, on the scale of the FIDs.

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
        raise DataError("the water reference holds no signal, or values that are not finite")
    first = int(np.ceil(SKIP_S / reference.dwell_s))
    below = np.flatnonzero(signal[first:] < USED_SHARE * signal[first : first + 8].max())
    stop = first + (below[0] if len(below) else len(signal) - first)
    stop = min(stop, int(MAX_S / reference.dwell_s) + 1)
    if stop - first < 3 * (ORDER + 1):
        raise DataError(
            f"the water reference decays within {1e3 * stop * reference.dwell_s:.1f} ms: its "
            "amplitude cannot be found; check the file"
        )
    time = reference.time_s[first:stop] / reference.time_s[stop - 1]
    design = np.vander(time, ORDER + 1, increasing=True)
    weights = signal[first:stop]
    solution = np.linalg.lstsq(
        design * weights[:, None], np.log(signal[first:stop]) * weights, rcond=None
    )[0]
    return float(np.exp(solution[0]))

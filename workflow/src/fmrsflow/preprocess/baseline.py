"""Linear baseline: a straight line under the whole spectrum, taken off before peaks are integrated.

The optional step v of Korotkov 2026. The fit models its own baseline, in whose span a straight line
lies, so that it does not need the step and is hardly moved by it; a peak's integral is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import CARRIER_PPM, Fids, to_fid, to_spectrum
from fmrsflow.quality import EDGE_PPM, NOISE_PPM

_ABOVE = tuple(2 * CARRIER_PPM - ppm for ppm in reversed(NOISE_PPM))
BANDS_PPM = (NOISE_PPM, _ABOVE)
"""Bands without signal, one on either side: that of the noise, and its mirror image about water, so
that the tails of water weigh alike in both."""

LEAST_PPM = 0.5
"""What must have been acquired of each band."""


@dataclass(frozen=True)
class Levelled:
    """FIDs without the line of each transient's spectrum.

    Attributes
    ----------
    fids : Fids
    bands_ppm : tuple of (low, high)
        Where the line was found.
    """

    fids: Fids
    bands_ppm: tuple[tuple[float, float], ...]


def level(fids: Fids) -> Levelled | None:
    """Take the least-squares line through the bands without signal off each spectrum.

    Real and imaginary part have a line each. The step is linear: the average of levelled transients
    is the levelled average.

    Returns
    -------
    Levelled or None
        None where a band of `BANDS_PPM` was not acquired.
    """
    ppm = fids.ppm
    ends = (ppm[0] + EDGE_PPM, ppm[-1] - EDGE_PPM)
    bands = tuple((max(low, ends[0]), min(high, ends[1])) for low, high in BANDS_PPM)
    if any(high - low < LEAST_PPM for low, high in bands):
        return None
    inside = np.logical_or.reduce([(ppm >= low) & (ppm <= high) for low, high in bands])
    line = np.column_stack([np.ones(len(ppm)), ppm - ppm[inside].mean()])
    spectra = to_spectrum(fids.transients)
    found = np.linalg.lstsq(line[inside], spectra[:, inside].T, rcond=None)[0]
    return Levelled(fids.with_data(to_fid(spectra - (line @ found).T)), bands)

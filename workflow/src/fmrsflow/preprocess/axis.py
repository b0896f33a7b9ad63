"""Whether the scale of the frequency axis is right: by the distance of creatine from NAA."""

from __future__ import annotations

import math

from fmrsflow.constants import SINGLETS_PPM
from fmrsflow.fids import Fids
from fmrsflow.preprocess.reference import line_offset

USUAL_STRETCH = 0.0025
"""Distance of tCr from NAA over that of their nominal places, less 1: -0.003 to 0.006 of 24
averages of brains (three vendors, 1.5T to 7T) in which it is known to 0.2 %."""

MOST_STRETCH = 0.009
"""How far from the usual it lies in an axis that is right: twice the spread of these."""

LARGEST_SE = 0.0025
LEAST_T = 4.0


def stretched(whole: Fids) -> list[str]:
    """What the places of NAA and tCr say of dwell time and spectrometer frequency, a sentence or
    none: an error in either stretches the axis about the carrier.

    Parameters
    ----------
    whole : Fids
        Average of the scan, its lines at their places.
    """
    naa, tcr = SINGLETS_PPM[:2]
    apart_hz = (tcr - naa) * whole.frequency_mhz
    (one, one_se), (other, other_se) = (line_offset(whole, line) for line in (naa, tcr))
    error = math.hypot(one_se, other_se) / apart_hz
    away = (other - one) / apart_hz - USUAL_STRETCH
    if error > LARGEST_SE or abs(away) < max(MOST_STRETCH, LEAST_T * error):
        return []
    return [
        f"creatine stands {(1 + away) * (tcr - naa):.3f} ppm from NAA, where a brain has "
        f"{tcr - naa:.2f}: dwell time, spectral width or spectrometer frequency in the header or "
        f"the sheet are wrong by {abs(away):.1%}, or the sample is no brain; its lines lie beside "
        "those of the basis, and amplitudes are off"
    ]

"""FIDs whose first points are missing: the phase of a line then grows with its frequency.

A delay d turns a line at frequency f by 360 d f degrees, so that NAA falls behind tCr, which stands
1.02 ppm nearer to the carrier; what multiplets and baseline lose cannot be brought back.
"""

from __future__ import annotations

from fmrsflow.constants import SINGLETS_PPM
from fmrsflow.errors import DataError
from fmrsflow.preprocess.reference import Reference

USUAL_ROLL_DEG = 15.0
"""What NAA's phase is before that of tCr in whole FIDs, by what stands beside the lines: 3 to 27
degrees in 29 averages of three vendors (PRESS TE 30 to 68, STEAM TE 11, 3T and 7T)."""

LEAST_ROLL_DEG = -25.0
"""Roll below which points are missing: 40 degrees of delay, 0.85 ms at 3T, which took a fifth and
more of Glu in measured scans. Less is in reach of the fit, which flags its first-order phase."""

FARTHEST_ROLL_DEG = -150.0
"""Roll beyond which a line is inverted (metabolite nulling) rather than late."""

LARGEST_SE_DEG = 5.0
"""Standard error of the roll above which NAA or tCr is too weak to tell."""


def check_start(reference: Reference, frequency_mhz: float, dwell_s: float) -> None:
    """Refuse a scan whose FIDs begin late.

    Parameters
    ----------
    reference : Reference
        Of the average of the scan.
    frequency_mhz, dwell_s : float
        Of the scan; tell the delay and how many points it is.

    Raises
    ------
    DataError
        NAA's phase is behind that of tCr by more than whole FIDs show.
    """
    roll, error = reference.roll_deg, reference.roll_se_deg
    if error > LARGEST_SE_DEG or roll + 3 * error > LEAST_ROLL_DEG or roll < FARTHEST_ROLL_DEG:
        return
    apart_hz = (SINGLETS_PPM[1] - SINGLETS_PPM[0]) * frequency_mhz
    delay_s = (USUAL_ROLL_DEG - roll) / 360 / apart_hz
    raise DataError(
        f"the FIDs begin about {1e3 * delay_s:.1f} ms late (NAA's phase is {-roll:.0f} degrees "
        f"behind that of tCr): about {max(1, round(delay_s / dwell_s))} first points were cut off, "
        "or acquisition began after a delay, which no basis here has; export the whole FIDs"
    )

"""Eddy-current correction with the phase of the water reference (Klose 1990)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.noise import used_points
from fmrsflow.quality import quiet_points

TRUSTED_SNR = 5.0
"""Magnitude over noise SD below which the phase of the reference is no longer measured: at 5 its
own SD is 0.2 rad. From there on the phase goes on in a straight line, which is a frequency offset;
the bare formula would multiply the tail of every transient with one and the same random phase."""


@dataclass(frozen=True)
class EddyPhase:
    """Phase of the water reference.

    Attributes
    ----------
    phase_rad : float array (n_points,)
        Unwrapped.
    trusted_s : float
        Time (s) up to which it is measured; a straight line goes on from there.
    """

    phase_rad: np.ndarray
    trusted_s: float


def eddy_phase(reference: Fids) -> EddyPhase:
    """Phase of an averaged water reference with combined coils, one transient.

    Raises
    ------
    DataError
        The reference has no signal.
    """
    fid = reference.transients.mean(axis=0)
    # A window of 2 ms: the magnitude at the limit must not flicker with the noise.
    width = max(1, round(2e-3 / reference.dwell_s))
    power = np.convolve(np.abs(fid) ** 2, np.full(width, 1 / width), mode="same")
    # Zeros that an export appended hold neither phase nor noise.
    used = used_points(reference)
    noise = np.mean(np.abs(np.diff(fid[quiet_points(used)], n=2)) ** 2) / 6
    low = np.flatnonzero(power[:used] < TRUSTED_SNR**2 * noise / 2)
    trusted = int(low[low > width][0]) if np.any(low > width) else used
    if trusted < max(16, round(0.02 / reference.dwell_s)):
        raise DataError(
            f"the water reference sinks into noise after {1e3 * trusted * reference.dwell_s:.1f} ms"
            ": it is no unsuppressed water scan; name the right file in column ref of scans.tsv, "
            "or none"
        )
    phase = np.unwrap(np.angle(fid))
    if trusted < len(fid):
        start = trusted * 2 // 3
        points = np.arange(len(fid))
        weight = np.abs(fid[start:trusted])
        slope, offset = np.polyfit(points[start:trusted], phase[start:trusted], 1, w=weight)
        phase[trusted:] = offset + slope * points[trusted:]
    return EddyPhase(phase, trusted * reference.dwell_s)


def correct_eddy(fids: Fids, phase: EddyPhase) -> Fids:
    """Multiply each transient by exp(-i phase).

    Raises
    ------
    DataError
        The reference is shorter than the scan.
    """
    if len(phase.phase_rad) < fids.n_points:
        raise DataError(
            f"the water reference has {len(phase.phase_rad)} points, the scan {fids.n_points}: "
            "acquire or export the reference with at least as many, or name none in column ref"
        )
    return fids.with_data(fids.data * np.exp(-1j * phase.phase_rad[: fids.n_points]))

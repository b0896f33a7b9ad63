"""The water of a scan over its time: amplitude, linewidth, T2*, frequency and eddy currents.

Water measured between the transients follows what changes while the scan runs: the receiver, the
head, the shim, and the BOLD effect in the voxel itself, which makes its line narrower (Zhu & Chen
2001, Magn Reson Med 46:841).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.preprocess.align import align
from fmrsflow.preprocess.eddy import correct_eddy, eddy_phase
from fmrsflow.preprocess.timing import Timing
from fmrsflow.quality import half_height_width
from fmrsflow.water_amplitude import SKIP_S, USED_SHARE, water_amplitude


@dataclass(frozen=True)
class WaterCourse:
    """Water in groups of neighbouring transients.

    Attributes
    ----------
    number : int array (n_groups,)
        Of each group among all that were measured (`Timing.water_groups`); those without water
        are left out.
    at, sizes : arrays (n_groups,)
        Mean number of the excitations of each group, and its number of transients.
    fids : Fids
        Mean of each group, aligned with the others, without eddy currents, (n_groups, 1, n_points).
    phases : tuple of EddyPhase
        Eddy currents at the time of each group.
    shift_hz : array (n_groups,)
        Frequency before the alignment, relative to the mean.
    """

    number: np.ndarray
    at: np.ndarray
    sizes: np.ndarray
    fids: Fids
    phases: tuple
    shift_hz: np.ndarray

    def nearest(self, at: np.ndarray) -> np.ndarray:
        """Group that stands nearest to each excitation number, the earlier one of two, (n,)."""
        return np.abs(np.asarray(at)[:, None] - self.at).argmin(axis=1)

    def corrected(self, fids: Fids, at: np.ndarray) -> Fids:
        """Transients excited then less the eddy currents of the group nearest to each."""
        near = self.nearest(at)
        data = np.empty(fids.data.shape, complex)
        for group in np.unique(near):
            mine = near == group
            data[mine] = correct_eddy(fids.select(mine), self.phases[group]).data
        return fids.with_data(data)

    def amplitudes(self) -> tuple[np.ndarray, np.ndarray]:
        """Water of each group at t = 0 over their mean, and its error, (n_groups,) each."""
        found = [water_amplitude(self.fids.select([j])) for j in range(self.fids.n_transients)]
        values = np.array([one.value for one in found])
        return values / values.mean(), np.array([one.se for one in found]) / values.mean()

    def scaled(self, fids: Fids, at: np.ndarray) -> Fids:
        """Transients over the water at their time, that of the groups before and after in
        proportion; on the scale of the mean water."""
        relative, _ = self.amplitudes()
        return fids.with_data(fids.data / np.interp(at, self.at, relative)[:, None, None])

    def rows(self, tr_s: float | None, labels: list) -> list[dict]:
        """Rows of water.tsv; `labels` are the conditions of all groups that were measured."""
        relative, errors = self.amplitudes()
        return [
            {
                "group": self.number[j],
                "time_s": None if tr_s is None else self.at[j] * tr_s,
                "condition": labels[self.number[j]],
                "n_transients": self.sizes[j],
                "amplitude_percent": 100 * relative[j],
                "se_percent": 100 * errors[j],
                "linewidth_hz": half_height_width(self.fids.select([j])),
                "t2star_ms": 1e3 * t2star_s(self.fids.select([j])),
                "shift_hz": self.shift_hz[j],
            }
            for j in range(self.fids.n_transients)
        ]


def water_course(reference: Fids, timing: Timing, kept: np.ndarray) -> WaterCourse:
    """Groups of a reference that was measured over the scan.

    Parameters
    ----------
    reference : Fids
        Coils combined, a transient for each of `timing.water`.
    kept : bool array (n_water,)
        Transients to use (`water_reference.like_the_others`).

    Raises
    ------
    DataError
        No group holds water that can be followed.
    """
    aligned, alignment = align(reference.select(kept))
    place = np.cumsum(kept) - 1  # of each transient among those kept
    found, refused = [], None
    for number, group in enumerate(timing.water_groups):
        own = group[kept[group]]
        if not len(own):
            continue
        mean = aligned.select(place[own]).mean()
        try:
            phase = eddy_phase(mean)
            clean = correct_eddy(mean, phase)
            water_amplitude(clean)
        except DataError as error:
            refused = error
            continue
        shift = alignment.shift_hz[place[own]].mean()
        at = timing.water[own].mean()
        found.append((number, at, len(own), clean.transients[0], phase, shift))
    if not found:
        raise refused or DataError(
            "no group of water transients holds water: empty column water_transients, or name "
            "another ref"
        )
    numbers, places, sizes, fids, phases, shifts = zip(*found)
    shift = np.array(shifts)
    return WaterCourse(
        np.array(numbers),
        np.array(places),
        np.array(sizes),
        aligned.with_data(np.stack(fids)),
        phases,
        shift - shift.mean(),
    )


def t2star_s(fid: Fids) -> float:
    """Time (s) by which the magnitude of an averaged water FID falls to 1/e: from the straight line
    through its logarithm until it falls below `USED_SHARE` of its start.

    Weighted by the squared magnitude, as the logarithm of one of size s has an error that goes with
    1/s. NaN where it does not fall.
    """
    size = np.abs(fid.transients.mean(axis=0))
    first = max(2, int(np.ceil(SKIP_S / fid.dwell_s - 1e-3)))
    low = np.flatnonzero(size[first:] < USED_SHARE * size[first])
    stop = first + (int(low[0]) if len(low) else len(size) - first)
    if stop - first < 4:
        return float("nan")
    slope = np.polyfit(fid.time_s[first:stop], np.log(size[first:stop]), 1, w=size[first:stop])[0]
    return float(-1 / slope) if slope < 0 else float("nan")

"""The water of a scan over its time: amplitude, linewidth, T2*, frequency and eddy currents.

Water measured between the transients follows what changes while the scan runs: the receiver, the
head, the shim, and the BOLD effect in the voxel itself, which makes its line narrower (Zhu & Chen
2001, Magn Reson Med 46:841).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fids import Fids
from fmrsflow.preprocess.align import align
from fmrsflow.preprocess.eddy import correct_eddy, eddy_phase
from fmrsflow.quality import half_height_width
from fmrsflow.water_amplitude import SKIP_S, USED_SHARE, water_amplitude


@dataclass(frozen=True)
class WaterCourse:
    """Water in groups of neighbouring transients.

    Attributes
    ----------
    places : tuple of int arrays
        Those of each group in the series.
    fids : Fids
        Mean of each group, aligned with the others, without eddy currents, (n_groups, 1, n_points).
    phases : tuple of EddyPhase
        Eddy currents at the time of each group.
    shift_hz : array (n_groups,)
        Frequency before the alignment, relative to the mean.
    """

    places: tuple[np.ndarray, ...]
    fids: Fids
    phases: tuple
    shift_hz: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """Mean place of each group, (n_groups,)."""
        return np.array([one.mean() for one in self.places])

    def nearest(self, places: np.ndarray) -> np.ndarray:
        """Group that stands nearest to each place, the earlier one of two, (n,)."""
        return np.abs(np.asarray(places)[:, None] - self.middle).argmin(axis=1)

    def corrected(self, fids: Fids, places: np.ndarray) -> Fids:
        """Transients at these places less the eddy currents of the group nearest to each."""
        near = self.nearest(places)
        data = np.empty(fids.data.shape, complex)
        for group in np.unique(near):
            mine = near == group
            data[mine] = correct_eddy(fids.select(mine), self.phases[group]).data
        return fids.with_data(data)

    def amplitudes(self) -> tuple[np.ndarray, np.ndarray]:
        """Water of each group at t = 0 over their mean, and its standard error, (n_groups,) each.

        Raises
        ------
        DataError
            A group has no water that can be followed to t = 0.
        """
        found = [water_amplitude(self.fids.select([j])) for j in range(self.fids.n_transients)]
        values = np.array([one.value for one in found])
        return values / values.mean(), np.array([one.se for one in found]) / values.mean()

    def scaled(self, fids: Fids, places: np.ndarray) -> Fids:
        """Transients over the water at their time, that of the groups before and after in
        proportion; on the scale of the mean water."""
        relative, _ = self.amplitudes()
        return fids.with_data(fids.data / np.interp(places, self.middle, relative)[:, None, None])

    def rows(self, time_s: np.ndarray | None, labels: list) -> list[dict]:
        """Rows of water.tsv; `labels` and `time_s` are those of the groups."""
        relative, errors = self.amplitudes()
        return [
            {
                "group": j,
                "time_s": None if time_s is None else time_s[j],
                "condition": labels[j],
                "n_transients": len(self.places[j]),
                "amplitude_percent": 100 * relative[j],
                "se_percent": 100 * errors[j],
                "linewidth_hz": half_height_width(self.fids.select([j])),
                "t2star_ms": 1e3 * t2star_s(self.fids.select([j])),
                "shift_hz": self.shift_hz[j],
            }
            for j in range(self.fids.n_transients)
        ]


def water_course(reference: Fids, places: np.ndarray) -> WaterCourse:
    """Groups of a reference that was measured over the scan.

    Parameters
    ----------
    reference : Fids
        Coils combined, a transient for each place.
    places : int array (n_water,)

    Raises
    ------
    DataError
        A group holds no water.
    """
    runs = np.split(np.arange(len(places)), np.flatnonzero(np.diff(places) > 1) + 1)
    aligned, alignment = align(reference)
    means = aligned.with_data(np.stack([aligned.transients[run].mean(axis=0) for run in runs]))
    phases = tuple(eddy_phase(means.select([j])) for j in range(len(runs)))
    clean = [correct_eddy(means.select([j]), one).transients[0] for j, one in enumerate(phases)]
    shift = np.array([alignment.shift_hz[run].mean() for run in runs])
    return WaterCourse(
        tuple(np.asarray(places)[run] for run in runs),
        means.with_data(np.stack(clean)),
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

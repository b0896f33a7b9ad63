"""Means of groups of transients, with the errors of their differences.

Groups are the conditions of a scan or its blocks. Their amplitudes are linear in those of single
transients (`singles`), so that everything which they have in common has no part in what they
differ by, and what neighbours have in common is counted as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Means:
    """Amplitudes of groups of transients, as differences from the mean of all.

    Attributes
    ----------
    names : tuple of str
        Signals, then sums (`metabolites.mixing`); NaN stands for one that the mean of all
        transients does not hold.
    level, level_covariance : arrays (n_names,), (n_names, n_names)
        Of the mean of all; no part of a difference.
    counts : array (n_groups,)
        Transients in each group; together these are all.
    values : array (n_groups, n_names)
    noise : array (n_names, n_names)
        Covariance that noise gives the amplitudes of one transient.
    gain : array (n_names,)
        What they change by per unit of its gain.
    gain_covariance : array (n_groups, n_groups)
        Of the groups' gains, less that of all.
    """

    names: tuple[str, ...]
    level: np.ndarray
    level_covariance: np.ndarray
    counts: np.ndarray
    values: np.ndarray
    noise: np.ndarray
    gain: np.ndarray
    gain_covariance: np.ndarray

    def covariance(self, name: str, other: str | None = None) -> np.ndarray:
        """Covariance (n_groups, n_groups) between the differences of one name and of another, by
        default itself."""
        i, j = self.names.index(name), self.names.index(other or name)
        white = np.diag(1 / self.counts) - 1 / self.counts.sum()
        return self.noise[i, j] * white + self.gain[i] * self.gain[j] * self.gain_covariance

    def of_group(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Differences of a group from the mean of all, (n_names,), and their covariance."""
        white = 1 / self.counts[group] - 1 / self.counts.sum()
        own = self.gain_covariance[group, group] * np.outer(self.gain, self.gain)
        return self.values[group], white * self.noise + own

    def amplitudes(self) -> np.ndarray:
        """Of each group, (n_groups, n_names)."""
        return self.level + self.values

    def errors(self) -> np.ndarray:
        """Standard errors of the differences, (n_groups, n_names)."""
        white = 1 / self.counts - 1 / self.counts.sum()
        gain = np.outer(np.diag(self.gain_covariance), self.gain**2)
        return np.sqrt(np.outer(white, np.diag(self.noise)) + gain)

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays for a file."""
        return {f"{prefix}_{key}": np.array(value) for key, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Means:
        """From those of a file."""
        own = {key: arrays[f"{prefix}_{key}"] for key in cls.__dataclass_fields__}
        return cls(**own | {"names": tuple(str(name) for name in own["names"])})

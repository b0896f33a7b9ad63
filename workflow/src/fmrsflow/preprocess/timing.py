"""When the transients of a scan were excited, and what was done then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Numbers of the excitations, in the series that the scanner ran.

    Attributes
    ----------
    scan, water : int arrays (n_transients, each), (n_water, each or 1)
        Of each transient, and of each one without water suppression between them.
    tr_s : float or None
    """

    scan: np.ndarray
    water: np.ndarray
    tr_s: float | None = None

    @classmethod
    def of(
        cls,
        n_transients: int,
        each: int = 1,
        tr_s: float | None = None,
        water: Sequence[int] = (),
        water_first: bool = False,
    ) -> Timing:
        """Transients of `each` excitations one after the other.

        Parameters
        ----------
        water : sequence of int
            Places in that series without water suppression.
        water_first : bool
            Whether one excitation without water suppression comes before each transient.
        """
        places = np.arange(n_transients + len(water))
        length = each + water_first
        excited = places[:, None] * length + water_first + np.arange(each)
        if water_first:
            return cls(excited, places[:, None] * length, tr_s or None)
        water = np.asarray(water, int)
        return cls(excited[np.setdiff1d(places, water)], excited[water], tr_s or None)

    @property
    def each(self) -> int:
        """Excitations of a transient."""
        return self.scan.shape[1]

    @property
    def n_excitations(self) -> int:
        """Of the whole series."""
        return int(max(self.scan.max(), self.water.max(initial=0))) + 1

    @cached_property
    def scan_at(self) -> np.ndarray:
        """Mean number of the excitations of each transient, (n_transients,)."""
        return self.scan.mean(axis=1)

    @cached_property
    def water_groups(self) -> list[np.ndarray]:
        """Water transients with no other between them, numbers from 0."""
        before = np.searchsorted(self.scan_at, self.water.mean(axis=1))
        return np.split(np.arange(len(before)), np.flatnonzero(np.diff(before)) + 1)

    @cached_property
    def water_at(self) -> np.ndarray:
        """Mean number of the excitations of each group of water, (n_groups,)."""
        return np.array([self.water[group].mean() for group in self.water_groups])

    def labels(self, excited: Sequence[str | None]) -> list[str | None]:
        """Condition of each transient from that of each excitation; None for one whose excitations
        lie in more than one."""
        return [_one(excited, row) for row in self.scan]

    def water_labels(self, excited: Sequence[str | None]) -> list[str | None]:
        """The same of each group of water."""
        return [_one(excited, self.water[group].ravel()) for group in self.water_groups]


def _one(excited: Sequence[str | None], numbers: np.ndarray) -> str | None:
    there = {excited[number] for number in numbers}
    return there.pop() if len(there) == 1 else None

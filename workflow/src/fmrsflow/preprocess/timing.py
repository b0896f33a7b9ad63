"""When the transients of a scan were excited, and what was done then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Places of a scan's transients in the series that the scanner ran.

    Attributes
    ----------
    rows, water : int arrays (n_transients,), (n_water,)
        Places of the transients, and of those without water suppression between them.
    each : int
        Excitations of a place, one repetition time apart.
    tr_s : float or None
    """

    rows: np.ndarray
    water: np.ndarray
    each: int = 1
    tr_s: float | None = None

    @classmethod
    def of(cls, n_transients: int, water: Sequence[int], each: int, tr_s: float | None) -> Timing:
        """Of transients that fill the places which the water left."""
        water = np.asarray(water, int)
        return cls(
            np.setdiff1d(np.arange(n_transients + len(water)), water), water, each, tr_s or None
        )

    @property
    def n_excitations(self) -> int:
        """Of the whole series."""
        return self.each * (len(self.rows) + len(self.water))

    def time_s(self, places: np.ndarray) -> np.ndarray:
        """Mean time of the excitations of some places from the first of the series, s."""
        return (self.each * np.asarray(places) + (self.each - 1) / 2) * self.tr_s

    def labels(self, excited: Sequence[str | None], places: np.ndarray) -> list[str | None]:
        """Condition of some places from that of each excitation; None for a place whose excitations
        lie in more than one."""
        found = []
        for place in places:
            there = set(excited[self.each * place : self.each * (place + 1)])
            found.append(there.pop() if len(there) == 1 else None)
        return found

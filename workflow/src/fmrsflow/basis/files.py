"""Basis sets: the noise-free FID of each metabolite under one protocol, and their file formats."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import CARRIER_PPM


@dataclass(frozen=True)
class Basis:
    """Noise-free FIDs per molecule: a singlet of n protons starts at n.

    Attributes
    ----------
    names : tuple of str
    fids : complex array, shape (n_metabolites, n_points), sign convention of `fmrsflow.fids`
    dwell_s, frequency_mhz, te_s, carrier_ppm : float
    made : dict
        How the basis was made: sequence, pulses, spin-system sources, file.
    """

    names: tuple[str, ...]
    fids: np.ndarray
    dwell_s: float
    frequency_mhz: float
    te_s: float | None = None
    carrier_ppm: float = CARRIER_PPM
    made: dict = field(default_factory=dict)

    @property
    def n_points(self) -> int:
        """Number of points of each FID."""
        return self.fids.shape[1]

    def index(self, name: str) -> int:
        """Row of a metabolite; DataError where the basis lacks it."""
        if name not in self.names:
            raise DataError(f"the basis has no {name}; it has {', '.join(self.names)}")
        return self.names.index(name)

    def select(self, names) -> Basis:
        """The basis of these metabolites only, in this order."""
        rows = [self.index(name) for name in names]
        return replace(self, names=tuple(names), fids=self.fids[rows])

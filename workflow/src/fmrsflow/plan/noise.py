"""Noise and linewidth that a plan counts with: of measured scans, of a study's sites, or given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from fmrsflow.concentration import Tissue
from fmrsflow.errors import DataError
from fmrsflow.plan.acquisition import Protocol, density
from fmrsflow.study import Site

TISSUE = Tissue(0.6, 0.3, 0.1)
"""Of a voxel in the cortex, where nothing says better."""


@dataclass(frozen=True)
class Receiver:
    """What a scanner of a field gives.

    Attributes
    ----------
    density : float
        Noise, see `acquisition.density`.
    fwhm_hz : float
        Of the tCr line.
    source : str
        Where both are from.
    """

    density: float
    fwhm_hz: float
    source: str


@dataclass(frozen=True)
class Measured:
    """A public scan of a healthy brain, measured by this program (docs/plan.md#noise).

    Attributes
    ----------
    name : str
        Repository of the file.
    vendor, field_t, sequence, te_s, tr_s
        Protocol.
    volume_ml : float
    excitations : int
        That the average holds.
    readout_s : float
        Length of the FID.
    snr_tcr, fwhm_hz : float
        Of the average (docs/science.md#quality).
    """

    name: str
    vendor: str
    field_t: float
    sequence: str
    te_s: float
    tr_s: float
    volume_ml: float
    excitations: int
    readout_s: float
    snr_tcr: float
    fwhm_hz: float

    def density(self) -> float:
        """Noise of the receiver, from the SNR of one excitation."""
        site = Site(
            self.name, self.vendor, self.field_t, self.sequence, self.te_s, self.tr_s, "own"
        )
        protocol = Protocol(site, self.volume_ml, self.fwhm_hz, TISSUE)
        return density(protocol, self.snr_tcr / math.sqrt(self.excitations), self.readout_s)


MEASURED = (
    Measured("schorschinho/osprey", "Philips", 3.0, "PRESS", 0.030, 2.0, 20.28, 48, 1.024,
             103.7, 5.41),
    Measured("schorschinho/osprey", "Philips", 3.0, "PRESS", 0.035, 2.0, 27.0, 64, 1.024,
             81.3, 6.85),
    Measured("martin3141/spant", "Philips", 3.0, "PRESS", 0.030, 2.0, 8.0, 128, 0.512, 38.1, 6.22),
    Measured("openmrslab/suspect", "Siemens", 3.0, "PRESS", 0.030, 2.0, 16.0, 64, 0.853,
             81.8, 8.25),
    Measured("wtclarke/nifti_mrs_tools", "Siemens", 7.0, "STEAM", 0.011, 5.0, 8.0, 16, 0.341,
             47.8, 12.2),
)  # fmt: skip

DENSITIES = (1.190, 1.817, 2.617, 1.063, 0.645)
"""`Measured.density` of each of them, kept because a basis takes seconds; a test makes them anew.
The scan at 7T is of four elements of a coil only."""


def _own(field_t: float) -> list[tuple[Measured, float]]:
    """Scans of a field, and their noise."""
    return [
        (one, noise)
        for one, noise in zip(MEASURED, DENSITIES)
        if (one.field_t > 5) == (field_t > 5)
    ]


def typical(field_t: float) -> Receiver:
    """Mean of the measured scans of a field, by the logarithm.

    Raises
    ------
    DataError
        Another field than 3T and 7T.
    """
    if not (2.5 <= field_t <= 3.5 or 6 <= field_t <= 8):
        raise DataError(
            f"no plan at {field_t:g} T: relaxation of metabolites and macromolecules is known at 3 "
            "and 7 T"
        )
    own = _own(field_t)
    names = ", ".join(dict.fromkeys(one.name for one, _ in own))
    scans = f"{len(own)} public scans" if len(own) > 1 else "one public scan"
    return Receiver(
        geometric_mean(noise for _, noise in own),
        geometric_mean(one.fwhm_hz for one, _ in own),
        f"{scans} ({names})",
    )


def spread_of(field_t: float) -> tuple[float, float]:
    """Least and greatest noise of the measured scans over their mean."""
    own = [noise for _, noise in _own(field_t)]
    mean = geometric_mean(own)
    return min(own) / mean, max(own) / mean


def pooled(found: Sequence[Receiver], names: Sequence[str]) -> Receiver:
    """Mean over sites, by the logarithm."""
    return Receiver(
        geometric_mean(one.density for one in found),
        geometric_mean(one.fwhm_hz for one in found),
        f"measured at {', '.join(names)}",
    )

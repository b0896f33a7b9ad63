"""What measured sites would get of a design, and whether the plan holds of their scans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np

from fmrsflow.concentration import Tissue
from fmrsflow.constants import same_field
from fmrsflow.errors import DataError
from fmrsflow.fit.design import Timing
from fmrsflow.fit.directions import Directions
from fmrsflow.fit.gain import Gain
from fmrsflow.fit.options import FitOptions
from fmrsflow.plan.acquisition import GAIN, Protocol, density, expected, noise_sd, snr_of
from fmrsflow.plan.grid import Design, Planned, planned
from fmrsflow.plan.noise import Receiver
from fmrsflow.study import Site


@dataclass(frozen=True)
class MeasuredScan:
    """A scan of a study.

    Attributes
    ----------
    snr_tcr, fwhm_hz : float
        Of the average of its kept transients.
    excitations : int
        That the average holds.
    readout_s : float
        Length of the FID.
    volume_ml : float
    tissue : Tissue
    labels, time_s
        Condition and time of excitation of each transient that was fitted.
    gain : float
        SD of the gain of its transients, that the joint fit found.
    told : mapping of str to float
        Standard error of the percent change of each metabolite by the joint fit.
    """

    snr_tcr: float
    fwhm_hz: float
    excitations: int
    readout_s: float
    volume_ml: float
    tissue: Tissue
    labels: Sequence[str | None]
    time_s: np.ndarray
    gain: float
    told: Mapping[str, float]

    def protocol(self, site: Site) -> Protocol:
        """Of its site."""
        return Protocol(site, self.volume_ml, self.fwhm_hz, self.tissue)

    def density(self, site: Site) -> float:
        """Noise of one excitation."""
        snr = self.snr_tcr / math.sqrt(self.excitations)
        return density(self.protocol(site), snr, self.readout_s)

    def expected(self, site: Site, metabolite: str) -> float:
        """Standard error that the plan gives for it; NaN where its conditions tell nothing."""
        protocol = self.protocol(site)
        per_transient = math.sqrt(self.excitations / len(self.labels))
        sd = noise_sd(protocol, self.density(site)) / per_transient
        timing = Timing.of_labels(self.labels, self.time_s)
        try:
            found = expected(
                _directions(protocol), sd, self.labels, timing, ("boxcar",),
                Gain(self.gain, GAIN.correlation),
            )  # fmt: skip
        except DataError:
            return math.nan
        return found.se_percent[metabolite]


def _directions(protocol: Protocol) -> Directions:
    return protocol.directions(FitOptions())


def receiver_of(site: Site, scans: Sequence[MeasuredScan]) -> Receiver:
    """Noise and linewidth of a site, the median of its scans."""
    return Receiver(
        median(one.density(site) for one in scans),
        median(one.fwhm_hz for one in scans),
        f"measured at {site.name}",
    )


def tissue_of(scans: Sequence[MeasuredScan]) -> Tissue:
    """Mean tissue of the voxels."""
    shares = [fmean(getattr(one.tissue, name) for one in scans) for name in ("gm", "wm", "csf")]
    return Tissue(*(share / sum(shares) for share in shares))


def site_rows(
    measured: Mapping[Site, Sequence[MeasuredScan]], best: Planned, metabolite: str, shape: str
) -> list[dict]:
    """Rows of sites.tsv: what a scan of each site told, what the plan gives for it, and for the
    best design there."""
    rows = []
    for site, scans in measured.items():
        told = [one.told[metabolite] for one in scans if metabolite in one.told]
        own = [one.expected(site, metabolite) for one in scans]
        receiver = receiver_of(site, scans)
        there = _there(site, receiver, best.design)
        rows.append(
            {
                "site": site.name,
                "field_t": site.field_t,
                "n": len(scans),
                "snr_tcr": median(one.snr_tcr / math.sqrt(one.excitations) for one in scans),
                "fwhm_tcr_hz": receiver.fwhm_hz,
                "volume_ml": median(one.volume_ml for one in scans),
                "se_told_percent": median(told) if told else math.nan,
                "se_expected_percent": median(own),
                "planned_snr_tcr": snr_of(there.design.protocol, receiver.density)
                if there
                else math.nan,
                "planned_se_percent": there.expected.se_percent[metabolite] if there else math.nan,
                "planned_se_as_plateau_percent": there.plateau_error(metabolite, shape)
                if there
                else math.nan,
            }
        )
    return rows


def _there(site: Site, receiver: Receiver, design: Design) -> Planned | None:
    """A design under the noise and linewidth of a site; None at another field."""
    own = design.protocol.site
    if not same_field(site.field_t, own.field_t):
        return None
    as_there = replace(own, vendor=site.vendor, frequency_mhz=site.frequency_mhz)
    protocol = replace(design.protocol, site=as_there, fwhm_hz=receiver.fwhm_hz)
    (found,) = planned([replace(design, protocol=protocol, receiver=receiver)])
    return found

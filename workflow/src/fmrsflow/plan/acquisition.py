"""What a protocol gives: spectrum of a normal brain, its noise, and the error of a percent change.

The signal is the basis that the workflow would fit, under the amplitudes of a normal adult at TE
and TR; the noise that of a receiver, which neither TE nor voxel changes
(docs/science.md#expected-error).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.basis.simulate import shaped_pulses, simulate, with_macromolecules
from fmrsflow.basis.site import steps_of
from fmrsflow.concentration import WATER_DENSITY, Tissue, constants
from fmrsflow.errors import DataError
from fmrsflow.events import conditions
from fmrsflow.fids import Fids
from fmrsflow.fit.design import BOXCAR, Timing
from fmrsflow.fit.directions import Directions
from fmrsflow.fit.expected import expected_errors, known_directions
from fmrsflow.fit.foreseen import foreseen
from fmrsflow.fit.gain import Gain
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import designs
from fmrsflow.quality import TCR_PPM, voigt_fwhm
from fmrsflow.study import Site
from fmrsflow.synthetic.normal import CONCENTRATIONS, LIPIDS, MACROMOLECULES, MM_RELAXATION

POINTS = 2048
SPECTRAL_WIDTH_HZ = {3: 2000.0, 7: 4000.0}
"""Axes of the scans, by nominal field: the SNR of a transient is told of these. A longer readout
lowers it and changes no error, since the fit looks at the first half second."""

NOMINAL_T = 5.0
"""Above this a field counts as 7T, below as 3T."""

LIPID_SHARE = 0.2
"""Lipids of the voxel relative to `normal.LIPIDS`, as synthetic scans have them."""

CONSTANTS = "osprey"

GAIN = Gain(0.015, 0.8)
"""Of transients, as large as measured ones scatter (docs/science.md#joint)."""

TASK, REST = "task", "rest"


@dataclass(frozen=True)
class Protocol:
    """How a scan is measured.

    Attributes
    ----------
    site : Site
        Field, vendor, sequence and times of its row of sites.tsv.
    volume_ml : float
    fwhm_hz : float
        Of the tCr line, half Lorentzian and half Gaussian by width.
    tissue : Tissue
    """

    site: Site
    volume_ml: float
    fwhm_hz: float
    tissue: Tissue

    @property
    def nominal(self) -> int:
        """Nominal field, T."""
        return 7 if self.site.field_t > NOMINAL_T else 3

    @property
    def part_hz(self) -> float:
        """FWHM of the Lorentzian part, and of the Gaussian."""
        return self.fwhm_hz / voigt_fwhm(1.0, 1.0)

    @property
    def tissue_water(self) -> float:
        """Tissue water of the voxel in mL of pure water: what molal amounts refer to."""
        shares = ((self.tissue.gm, "gm"), (self.tissue.wm, "wm"))
        return self.volume_ml * sum(share * WATER_DENSITY[name] for share, name in shares)

    @property
    def dwell_s(self) -> float:
        """Time from one point of the FID to the next."""
        return 1 / SPECTRAL_WIDTH_HZ[self.nominal]

    def basis(self) -> Basis:
        """The basis that the workflow would simulate, macromolecules and lipids in it.

        Raises
        ------
        DataError
            A sequence that is not simulated, or impossible times.
        """
        steps = steps_of(self.site)
        return _basis(steps, self.site.mhz, SPECTRAL_WIDTH_HZ[self.nominal])

    def amplitudes(self) -> dict[str, float]:
        """Of a normal adult at TE and TR, for a mL of tissue water."""
        te_s, tr_s = self.site.te_s, self.site.tr_s
        relaxation = constants(CONSTANTS, self.site.field_t)
        found = {
            name: value * relaxation.metabolite_factor(name, self.tissue, te_s, tr_s)
            for name, value in CONCENTRATIONS.items()
        }
        broad = MM_RELAXATION[self.nominal].factor(te_s, tr_s)
        found |= {name: broad * value for name, value in MACROMOLECULES.items()}
        found |= {name: LIPID_SHARE * broad * value for name, value in LIPIDS.items()}
        names = self.basis().names
        return {name: value for name, value in found.items() if name in names}

    def tcr_height(self) -> float:
        """Height of the noise-free tCr of a mL of tissue water, per Hz."""
        basis, amplitudes = self.basis(), self.amplitudes()
        total = np.array([amplitudes.get(name, 0.0) for name in basis.names]) @ basis.fids
        fid = Fids(total[None, None], basis.dwell_s, basis.frequency_mhz, basis.te_s, None)
        fid = fid.broadened(self.part_hz, self.part_hz)
        inside = (fid.ppm >= TCR_PPM[0]) & (fid.ppm <= TCR_PPM[1])
        return float(fid.spectra[0, 0, inside].real.max() * basis.dwell_s)

    def directions(self, options: FitOptions) -> Directions:
        """Of the joint fit of such a scan, for a mL of tissue water."""
        return known_directions(
            self.basis(), self.amplitudes(), self.part_hz, self.part_hz, options
        )


@cache
def _basis(steps, mhz: float, width_hz: float) -> Basis:
    simulated = simulate(steps, mhz, POINTS, width_hz, pulses=shaped_pulses(steps, None))
    return with_macromolecules(simulated, "separate")


def density(protocol: Protocol, snr_tcr: float, readout_s: float) -> float:
    """Noise of a receiver from the SNR of one excitation (docs/science.md#quality): SD of the real
    part of a FID sample times the root of the dwell time, where a mmol of one proton in a kg of
    tissue water and a mL has the amplitude 1.

    The height of a line over its noise falls with the root of the length of the FID, `readout_s`.
    """
    height = protocol.tcr_height() * protocol.tissue_water
    return height / (snr_tcr * math.sqrt(readout_s))


def snr_of(protocol: Protocol, noise: float) -> float:
    """SNR of tCr of one transient of `POINTS` points under a noise density."""
    return density(protocol, noise, POINTS * protocol.dwell_s)


@dataclass(frozen=True)
class Task:
    """What is done in a scan.

    Attributes
    ----------
    transients : int
    block_s, rest_s : float
        Blocks of the task, each after as long a rest; 0 with `events`.
    events : sequence of mapping
        `onset`, `duration`, `trial_type` (`events.events_of`) in place of blocks.
    minutes : float
        Length that was asked for, where transients follow from it and TR; else 0.
    """

    transients: int
    block_s: float = 0.0
    rest_s: float = 0.0
    events: Sequence[Mapping] = field(default=(), compare=False)
    minutes: float = 0.0

    def timing(self, tr_s: float) -> Timing:
        """Excitations and events."""
        return Timing(tr_s * np.arange(self.transients), self.events or self._blocks(tr_s))

    def _blocks(self, tr_s: float) -> list[dict]:
        period, end = self.rest_s + self.block_s, self.transients * tr_s
        onsets = np.arange(self.rest_s, end, period)
        return [
            {"onset": float(one), "duration": self.block_s, "trial_type": TASK} for one in onsets
        ]

    def labels(self, tr_s: float) -> list[str | None]:
        """Condition of each transient.

        Raises
        ------
        DataError
            Events that cannot be read, or none within the scan.
        """
        return conditions(self.timing(tr_s).events, self.transients, tr_s, rest=REST)


@dataclass(frozen=True)
class Expected:
    """What a scan will tell of a task.

    Attributes
    ----------
    se_percent : mapping of str to float
        Standard error of the observed difference of each metabolite and sum, percent change.
    reads, se_ratio : mapping of str to float
        By shape of the response: share of its plateau that the difference holds, and the standard
        error of the plateau over that of the difference.
    """

    se_percent: Mapping[str, float]
    reads: Mapping[str, float]
    se_ratio: Mapping[str, float]


def expected(
    directions: Directions,
    noise_sd: float,
    labels: Sequence[str | None],
    timing: Timing,
    shapes: Sequence[str],
    gain: Gain = GAIN,
    options: FitOptions | None = None,
) -> Expected:
    """Errors of the joint fit of a scan, of its first condition that is not rest.

    Parameters
    ----------
    noise_sd : float
        Of a FID, in the unit of the signal that `directions` were made of.
    shapes : sequence of str
        Of the response (`shapes.Shape.named`).

    Raises
    ------
    DataError
        No two conditions, or a design that tells nothing.
    """
    options = options or FitOptions()
    there = np.array([label is not None for label in labels])
    design, width = designs(labels, timing, options)
    design, width = design.select(there), width.select(there)
    if len(design.matrix) < design.matrix.shape[1] + 2:
        raise DataError(f"{len(design.matrix)} transients are too few")
    (contrast, *_) = design.contrasts
    errors = expected_errors(directions, noise_sd, design, width, gain, options)[contrast]
    own = tuple(shape for shape in shapes if shape not in (BOXCAR, "hrf"))
    read = {BOXCAR: (1.0, 1.0)}
    read |= foreseen(labels, timing, FitOptions(joint_shapes=own))[contrast]
    return Expected(
        errors,
        {shape: read[shape][0] for shape in shapes},
        {shape: read[shape][1] for shape in shapes},
    )


def noise_sd(protocol: Protocol, noise: float) -> float:
    """SD of a FID sample under a noise density, for the signal of a mL of tissue water."""
    return noise / math.sqrt(protocol.dwell_s) / protocol.tissue_water

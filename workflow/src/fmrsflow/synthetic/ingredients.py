"""What a synthetic scan may hold beside its metabolites: one frozen class an ingredient.

Each is switched off by leaving it out (None) of a `scanner.Protocol`. Widths are full widths at
half maximum.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lineshape:
    """Voigt line, optionally with a skewed distribution of B0, narrowed by the BOLD effect.

    Attributes
    ----------
    lorentz_hz, gauss_hz : float
        Lorentzian and Gaussian FWHM.
    skew_hz : float
        Scale of an exponential distribution of B0 offsets about its mean: a tail towards higher
        (positive) or lower (negative) frequency, as an imperfect shim leaves it.
    narrowing_hz : float
        Lorentzian FWHM lost at full BOLD response (`constants.NARROWING_HZ`).
    """

    lorentz_hz: float = 4.0
    gauss_hz: float = 3.0
    skew_hz: float = 0.0
    narrowing_hz: float = 0.0


@dataclass(frozen=True)
class Walk:
    """Frequency and phase from transient to transient.

    Attributes
    ----------
    drift_hz : float
        Linear B0 drift over the whole scan.
    step_hz, step_deg : float
        SD of the random-walk step of frequency and phase, per transient.
    jitter_hz, jitter_deg : float
        SD about the walk, independent between transients (breathing, motion of the table).
    motions : int
        Sudden movements of the head, at random times.
    motion_hz, motion_deg : float
        SD of the jump of frequency and phase that each movement leaves.
    jump_hz : float
        One step of frequency, at a random moment in the middle half of the scan.
    offset_deg : float
        Phase of all transients against the water reference.
    """

    drift_hz: float = 0.0
    step_hz: float = 0.0
    step_deg: float = 0.0
    jitter_hz: float = 0.0
    jitter_deg: float = 0.0
    motions: int = 0
    motion_hz: float = 0.0
    motion_deg: float = 0.0
    jump_hz: float = 0.0
    offset_deg: float = 0.0


@dataclass(frozen=True)
class Movement:
    """The head moves while a transient is measured, and is back for the next.

    Attributes
    ----------
    probability : float
        Per transient.
    loss : float
        Largest share of its signal that such a transient loses (uniform from 0).
    shift_hz, phase_deg : float
        SD of what it leaves in frequency and phase.
    reverse : bool
        Whether the last transient comes first; blocks of rest and task change places then.
    """

    probability: float
    loss: float = 0.7
    shift_hz: float = 5.0
    phase_deg: float = 40.0
    reverse: bool = False


@dataclass(frozen=True)
class EddyCurrent:
    """Phase 2 pi A tau (1 - exp(-t/tau)) of an exponential B0 offset, in water and metabolites.

    `offset_hz` is A, the offset at the start of the FID; `decay_s` is tau.
    """

    offset_hz: float
    decay_s: float = 0.05


@dataclass(frozen=True)
class WaterResidue:
    """What water suppression leaves.

    Attributes
    ----------
    fraction : float
        Amplitude at t = 0 relative to the unsuppressed water.
    fluctuation : float
        SD of its complex amplitude between transients, relative to its mean.
    width_hz : float
        Lorentzian FWHM of its lines beyond the common lineshape.
    spread_hz : float
        SD of the positions of its lines about that of water.
    lines : int
        Number of lines, each with a phase of its own.
    """

    fraction: float
    fluctuation: float = 0.1
    width_hz: float = 4.0
    spread_hz: float = 6.0
    lines: int = 3


@dataclass(frozen=True)
class BaselineHumps:
    """Smooth broad signal under the metabolites.

    Attributes
    ----------
    amplitude : float
        Largest real value of it within 0.2-4.2 ppm over the largest metabolite peak.
    components : int
        Number of broad Gaussian humps, of either sign.
    low_ppm, high_ppm : float
        Range of the FWHM of the humps.
    """

    amplitude: float
    components: int = 4
    low_ppm: float = 0.5
    high_ppm: float = 1.5


@dataclass(frozen=True)
class LipidBurst:
    """Subcutaneous lipid that a movement brings into single transients.

    Attributes
    ----------
    probability : float
        Per transient.
    amplitude : float
        Mean area of the burst at 1.3 ppm, in units of the NAA singlet's area.
    """

    probability: float
    amplitude: float = 3.0


@dataclass(frozen=True)
class ScalpLipid:
    """Lipid from outside the voxel, the same in all transients, of one random phase.

    Attributes
    ----------
    amplitude : float
        Its area at 1.3 ppm, in units of the NAA singlet's area.
    shift_ppm : float
        SD of its displacement: its field is not that of the voxel.
    """

    amplitude: float
    shift_ppm: float = 0.15


@dataclass(frozen=True)
class Echo:
    """Spurious echo of unspoiled water from outside the voxel.

    Attributes
    ----------
    probability : float
        Per transient.
    time_s, width_s : float
        Centre and FWHM of its Gaussian envelope in the FID.
    offset_hz : float
        Its frequency relative to the carrier.
    amplitude : float
        Its height relative to the largest metabolite signal of the FID.
    """

    probability: float
    time_s: float = 0.15
    width_s: float = 0.02
    offset_hz: float = -60.0
    amplitude: float = 0.2


@dataclass(frozen=True)
class Noise:
    """Complex white noise.

    `snr_tcr` is that of one transient after ideal coil combination: height of the noise-free
    spectrum (metabolites, macromolecules and lipids) in 2.9-3.1 ppm over the SD of the real noise
    of the spectrum, one SD (docs/science.md#quality). `sign` -1 turns every random number round.
    """

    snr_tcr: float
    sign: int = 1


@dataclass(frozen=True)
class Coils:
    """Receive array: random phases, unequal sensitivities, correlated and unequal noise.

    Attributes
    ----------
    number : int
    correlation : float
        Correlation of the noise of neighbouring coils; falls off as its powers round the ring.
    spread : float
        SD of the logarithm of the sensitivities, and half of it for those of the noise levels.
    """

    number: int
    correlation: float = 0.2
    spread: float = 0.5


@dataclass(frozen=True)
class Adc:
    """Digitiser: real and imaginary part are clipped and rounded.

    Attributes
    ----------
    full_scale : float
        Largest value it holds, relative to the largest value of the signal; below 1 it clips.
    bits : int
    """

    full_scale: float
    bits: int = 16


@dataclass(frozen=True)
class WaterReference:
    """Scan without water suppression.

    Attributes
    ----------
    amplitude : float
        |FID| at t = 0 (two protons a molecule), in the units of the metabolites' amplitudes.
    te_s, tr_s : float
    transients : int
    width_hz : float
        Lorentzian FWHM beyond the common lineshape (water's T2 is shorter than metabolites').
    """

    amplitude: float
    te_s: float
    tr_s: float
    transients: int = 4
    width_hz: float = 0.0

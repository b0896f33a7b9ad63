"""Spectra whose model is not that of the fit: the family `foreign` (docs/science.md#foreign).

A fit that is judged on data of its own model is judged on noise alone. Here macromolecules are
lines that were measured elsewhere, pulses are shaped, TE1 is not the one that the fit assumes, the
field is skewed, each metabolite has a T2 and a shift of its own, and a wide baseline lies beneath;
in a series, gain and width wander and the BOLD effect narrows the Lorentzian or the Gaussian part.
All is drawn anew for each seed, each ingredient from a stream of its own, so that switching one off
leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.basis.pulses import ShapedPulse
from fmrsflow.basis.sequences import Sequence, sequence
from fmrsflow.basis.simulate import MAKERS, broad_fids, shaped_pulses, simulate
from fmrsflow.concentration import Tissue, constants
from fmrsflow.constants import NARROWING_HZ
from fmrsflow.fids import Fids, to_spectrum
from fmrsflow.metabolites import mixing
from fmrsflow.study import spectrometer_mhz
from fmrsflow.synthetic.foreign_lines import lines_of, scattered, tables_of
from fmrsflow.synthetic.normal import (
    CONCENTRATIONS,
    MACROMOLECULES,
    MM_RELAXATION,
    natural_widths_hz,
)

TISSUE = Tissue(0.6, 0.4, 0.0)
"""Of the voxel: its shares weigh the relaxation times."""

CONSTANTS = "osprey"
"""Set of relaxation times of the metabolites (docs/science.md#relaxation)."""

WIDTHS_HZ = {3: (3.0, 4.0), 7: (4.0, 7.0)}
"""Lorentzian and Gaussian FWHM by nominal field, beyond the metabolites' own; 10 % of scatter."""

SPECTRAL_WIDTH_HZ = {3: 2000.0, 7: 4000.0}

TCR_PPM, METABOLITE_PPM = (2.9, 3.1), (0.2, 4.2)
"""Ranges whose highest point defines the SNR, and the scale of the baseline."""


@dataclass(frozen=True)
class Setup:
    """A protocol of the family's scanner.

    Attributes
    ----------
    sequence : str
    te_s, tr_s : float
    te1_s : float or None
        Of PRESS.
    spacing : float
        Of semi-LASER: pulses of the first pair stand further apart by this share, those of the
        second pair nearer.
    bandwidth_hz : float or None
        Of the refocusing pulses; None for ideal pulses.
    """

    sequence: str
    te_s: float
    tr_s: float = 2.0
    te1_s: float | None = None
    spacing: float = 0.0
    bandwidth_hz: float | None = None

    def steps(self) -> Sequence:
        """The sequence with its delays."""
        delays_s = uneven_delays_s(self.te_s, self.spacing) if self.spacing else None
        return sequence(self.sequence, self.te_s, self.te1_s, delays_s=delays_s)

    def pulses(self) -> dict[str, ShapedPulse] | None:
        """Shaped pulses, those that refocus of the setup's bandwidth; None for ideal ones."""
        if not self.bandwidth_hz:
            return None
        usual = shaped_pulses(self.steps(), None)
        own = {"refocus", "adiabatic"} & set(usual)
        return usual | {shape: MAKERS[shape](self.bandwidth_hz) for shape in own}


SETUPS = {
    3: (
        Setup("PRESS", 0.035, te1_s=0.011, bandwidth_hz=1500.0),
        Setup("PRESS", 0.035, te1_s=0.014, bandwidth_hz=1000.0),
        Setup("PRESS", 0.035, te1_s=0.0165, bandwidth_hz=1200.0),
    ),
    7: (
        Setup("sLASER", 0.036, spacing=-0.15, bandwidth_hz=20000.0),
        Setup("sLASER", 0.036, spacing=0.05, bandwidth_hz=16000.0),
        Setup("sLASER", 0.036, spacing=0.2, bandwidth_hz=20000.0),
    ),
}
"""Protocols of each nominal field, one drawn for each seed."""

UNSTATED_TE1_S, UNSTATED_SPACING = 0.0165, 0.15
"""First echo time of PRESS, and spacing of semi-LASER, that no sheet states."""


@dataclass(frozen=True)
class Foreign:
    """What a draw of the family holds; 0 switches an ingredient off.

    Attributes
    ----------
    setups : tuple of Setup
        Protocols to draw from; empty for `SETUPS` of the field.
    tables : tuple of str
        Tables of macromolecules to draw from; empty for those of the field
        (`foreign_lines.TABLES`).
    points : int
    snr_tcr : float or None
        Height of the noise-free tCr of one transient over one SD of the real noise
        (docs/science.md#quality); None without noise.
    concentration_cv : float
        SD of the logarithm of each concentration of `normal.CONCENTRATIONS`.
    area_cv, line_shift_ppm : float
        Scatter of the macromolecule lines, and of their common level by the same share.
    skew_ppm : float
        Scale of the two side groups of B0 (its sign is drawn).
    own_t2 : bool
        Each metabolite has the Lorentzian width of its T2.
    shift_ppm : float
        SD of the metabolites' own shifts.
    baseline : float
        SD of the height of each of three broad lines over the largest metabolite peak.
    phase_rad, offset_ppm : float
        SD of the phase and frequency of the whole spectrum.
    gain_cv, gain_correlation : float
        Of a series: SD of the gain of transients and its correlation from one to the next.
    narrowing_hz : float or None
        FWHM lost at full BOLD response; None for `constants.NARROWING_HZ`.
    lorentzian_share : float or None
        Share of the narrowing that the Lorentzian part takes, the Gaussian part the rest; None
        draws 0 or 1.
    width_drift_hz : float
        SD of the linear change of width over a series.
    visit : int
        Another scan of the same voxel, with a noise, baseline, width, phase, frequency, gain and
        drift of its own (`_OF_A_VISIT`).
    """

    setups: tuple[Setup, ...] = ()
    tables: tuple[str, ...] = ()
    points: int = 2048
    snr_tcr: float | None = 60.0
    concentration_cv: float = 0.10
    area_cv: float = 0.15
    line_shift_ppm: float = 0.005
    skew_ppm: float = 0.008
    own_t2: bool = True
    shift_ppm: float = 0.003
    baseline: float = 0.04
    phase_rad: float = 0.1
    offset_ppm: float = 0.008
    gain_cv: float = 0.015
    gain_correlation: float = 0.8
    narrowing_hz: float | None = None
    lorentzian_share: float | None = None
    width_drift_hz: float = 0.2
    visit: int = 0


@dataclass(frozen=True)
class ForeignScan:
    """A draw of the family.

    Attributes
    ----------
    fids : Fids
    amplitudes : dict
        True amplitude at rest of each metabolite, per molecule and after relaxation, and of the
        sums of `metabolites.SUMS`.
    change_percent : dict
        Change of each at full response; empty for a single spectrum.
    made : dict
        What was drawn: setup, table of macromolecules, widths (Hz), narrowing.
    """

    fids: Fids
    amplitudes: dict[str, float]
    change_percent: dict[str, float]
    made: dict


@dataclass(frozen=True)
class Course:
    """What happens over the transients of a series.

    Attributes
    ----------
    response, bold : arrays (n_transients,)
        Metabolic and haemodynamic response, 0 at rest and 1 at full response.
    change_percent : mapping of name to float
        Change of the metabolites that respond.
    """

    response: np.ndarray
    bold: np.ndarray
    change_percent: Mapping[str, float] = field(default_factory=dict)


def draw(field_t: float, seed: int, family: Foreign | None = None) -> ForeignScan:
    """One spectrum.

    Parameters
    ----------
    field_t : float
        3 or 7 T (ValueError for a field without measured macromolecules).
    seed : int
    family : Foreign, optional
    """
    rest = Course(np.zeros(1), np.zeros(1))
    still = replace(family or Foreign(), gain_cv=0.0, width_drift_hz=0.0, narrowing_hz=0.0)
    scan = draw_series(field_t, seed, rest, still)
    return replace(scan, change_percent={})


def draw_series(
    field_t: float, seed: int, course: Course, family: Foreign | None = None
) -> ForeignScan:
    """The transients of one scan; a seed gives the voxel that it gives to `draw`.

    Parameters
    ----------
    field_t, seed, family
        As of `draw`.
    course : Course
        KeyError where it names a metabolite that is not simulated.
    """
    family = family or Foreign()
    voxel = _voxel(field_t, seed, family)
    shapes, made = _shapes(voxel, course)
    clean = _signals(voxel, course) * shapes
    height, largest = _heights(voxel)
    clean += largest * _baseline(voxel)
    clean *= _gains(voxel, len(clean))[:, None] * _turn(voxel)
    if family.snr_tcr:
        # The spectrum's first point is halved: n - 3/4 points' worth of noise.
        sd = height / family.snr_tcr / np.sqrt(family.points - 0.75)
        parts = voxel.streams["noise"].standard_normal((*clean.shape, 2))
        clean += sd * parts.view(complex)[..., 0]
    fids = Fids(
        data=clean[:, None, :],
        dwell_s=voxel.basis.dwell_s,
        frequency_mhz=voxel.basis.frequency_mhz,
        te_s=voxel.setup.te_s,
        tr_s=voxel.setup.tr_s,
    )
    amplitudes, changes = _truth(voxel, course)
    return ForeignScan(fids, amplitudes, changes, {**voxel.made, **made})


def uneven_delays_s(te_s: float, share: float) -> tuple[float, ...]:
    """Delays of a semi-LASER (s) whose first pair of pulses is `share` wider than even and whose
    second pair is narrower: they sum to TE, and to zero with alternating signs, as even ones do."""
    eighths = (1 + share, 2 * (1 + share), 2.0, 2 * (1 - share), 1 - share)
    return tuple(te_s / 8 * one for one in eighths)


def unstated(name: str, te_s: float, te1_s: float | None = None) -> Sequence:
    """What a site of this family plays while its sheet states the echo time alone: PRESS with
    `UNSTATED_TE1_S` unless a TE1 (s) is given, semi-LASER spaced by `UNSTATED_SPACING`."""
    kind = sequence(name, te_s, te1_s).name
    if kind == "PRESS" and te1_s is None:
        return sequence(name, te_s, min(UNSTATED_TE1_S, te_s / 2))
    delays_s = uneven_delays_s(te_s, UNSTATED_SPACING) if kind == "sLASER" else None
    return sequence(name, te_s, te1_s, delays_s=delays_s)


@lru_cache(maxsize=16)
def setup_basis(setup: Setup, mhz: float, points: int, width_hz: float) -> Basis:
    """Metabolites under a setup, simulated once."""
    return simulate(setup.steps(), mhz, points, width_hz, pulses=setup.pulses())


@dataclass(frozen=True)
class _Voxel:
    """All that a seed fixes: `amplitudes` (n_names,), `metabolites` (n_names, n_points) with own
    shifts and T2, `macromolecules` (n_points,), widths in Hz."""

    family: Foreign
    streams: dict[str, np.random.Generator]
    nominal: int
    setup: Setup
    basis: Basis
    amplitudes: np.ndarray
    metabolites: np.ndarray
    macromolecules: np.ndarray
    lorentz_hz: float
    gauss_hz: float
    made: dict

    @property
    def time_s(self) -> np.ndarray:
        return np.arange(self.basis.n_points) * self.basis.dwell_s


_STREAMS = (
    "setup", "table", "lines", "concentrations", "widths", "skew", "shifts", "baseline", "turn",
    "noise", "gain", "drift", "narrowing",
)  # fmt: skip

_OF_A_VISIT = ("widths", "baseline", "turn", "noise", "gain", "drift")
"""What another scan of a voxel draws anew; the voxel is what the other streams give."""


def _voxel(field_t: float, seed: int, family: Foreign) -> _Voxel:
    tables = family.tables or tables_of(field_t)
    nominal = 7 if field_t > 5 else 3
    roots = np.random.default_rng((seed, nominal)).spawn(len(_STREAMS))
    streams = dict(zip(_STREAMS, roots))
    if family.visit:
        again = np.random.default_rng((seed, nominal, family.visit)).spawn(len(_OF_A_VISIT))
        streams |= zip(_OF_A_VISIT, again)
    setup = _one_of(family.setups or SETUPS[nominal], streams["setup"])
    table = _one_of(tables, streams["table"])
    mhz = spectrometer_mhz("Siemens", nominal)
    basis = setup_basis(setup, mhz, family.points, SPECTRAL_WIDTH_HZ[nominal])
    lorentz, gauss = WIDTHS_HZ[nominal] * np.exp(0.1 * streams["widths"].standard_normal(2))
    voxel = _Voxel(
        family=family,
        streams=streams,
        nominal=nominal,
        setup=setup,
        basis=basis,
        amplitudes=np.zeros(0),
        metabolites=basis.fids,
        macromolecules=np.zeros(0),
        lorentz_hz=float(lorentz),
        gauss_hz=float(gauss),
        made={"setup": setup, "table": table, "lorentz_hz": float(lorentz)},
    )
    return replace(
        voxel,
        amplitudes=_amplitudes(voxel),
        metabolites=_metabolites(voxel),
        macromolecules=_macromolecules(voxel, table),
        made={**voxel.made, "gauss_hz": float(gauss)},
    )


def _one_of(choices: tuple, rng):
    return choices[int(rng.integers(len(choices)))]


def _amplitudes(voxel: _Voxel) -> np.ndarray:
    """Concentrations of a person under the relaxation of the protocol."""
    relaxation = constants(CONSTANTS, voxel.nominal)
    scatter = voxel.streams["concentrations"].standard_normal(len(voxel.basis.names))
    setup = voxel.setup
    factors = [
        relaxation.metabolite_factor(name, TISSUE, setup.te_s, setup.tr_s)
        for name in voxel.basis.names
    ]
    normal = [CONCENTRATIONS[name] for name in voxel.basis.names]
    return np.array(normal) * factors * np.exp(voxel.family.concentration_cv * scatter)


def _metabolites(voxel: _Voxel) -> np.ndarray:
    names = voxel.basis.names
    relaxation = constants(CONSTANTS, voxel.nominal)
    widths = natural_widths_hz(relaxation, names) if voxel.family.own_t2 else {}
    own_hz = np.array([widths.get(name, 0.0) for name in names])
    hertz = voxel.family.shift_ppm * voxel.basis.frequency_mhz
    shifts_hz = hertz * voxel.streams["shifts"].standard_normal(len(names))
    return voxel.basis.fids * np.exp(np.pi * np.outer(2j * shifts_hz - own_hz, voxel.time_s))


def _macromolecules(voxel: _Voxel, table: str) -> np.ndarray:
    family, rng = voxel.family, voxel.streams["lines"]
    level = np.exp(family.area_cv * rng.standard_normal())
    lines = scattered(lines_of(table), family.area_cv, family.line_shift_ppm, rng)
    basis, setup = voxel.basis, voxel.setup
    (fid,) = broad_fids({"MM": lines}, basis.frequency_mhz, basis.n_points, basis.dwell_s)
    relaxation = MM_RELAXATION[voxel.nominal].factor(setup.te_s, setup.tr_s)
    return MACROMOLECULES["MM09"] * relaxation * level * fid


def _signals(voxel: _Voxel, course: Course) -> np.ndarray:
    """Metabolites and macromolecules of each transient, (n_transients, n_points)."""
    change = voxel.amplitudes * _changes(voxel, course) / 100
    still = voxel.amplitudes @ voxel.metabolites + voxel.macromolecules
    return still + np.outer(course.response, change @ voxel.metabolites)


def _changes(voxel: _Voxel, course: Course) -> np.ndarray:
    unknown = sorted(set(course.change_percent) - set(voxel.basis.names))
    if unknown:
        raise KeyError(f"{', '.join(unknown)} not simulated; there are {voxel.basis.names}")
    return np.array([course.change_percent.get(name, 0.0) for name in voxel.basis.names])


def _truth(voxel: _Voxel, course: Course) -> tuple[dict[str, float], dict[str, float]]:
    """Amplitudes at rest, and changes in percent, of metabolites and sums."""
    names, matrix = mixing(voxel.basis.names)
    rest = matrix @ voxel.amplitudes
    change = matrix @ (voxel.amplitudes * _changes(voxel, course)) / rest
    return dict(zip(names, rest.tolist())), dict(zip(names, change.tolist()))


def _shapes(voxel: _Voxel, course: Course) -> tuple[np.ndarray, dict]:
    """Lineshape of each transient as a factor of its FID, (n_transients, n_points)."""
    family, streams = voxel.family, voxel.streams
    share = family.lorentzian_share
    if share is None:
        share = float(streams["narrowing"].integers(2))
    narrowing = family.narrowing_hz
    if narrowing is None:
        narrowing = NARROWING_HZ[voxel.nominal]
    drift = family.width_drift_hz * float(streams["drift"].standard_normal())
    lost = narrowing * course.bold - drift * np.linspace(-0.5, 0.5, len(course.bold))
    lorentz_hz = voxel.lorentz_hz - share * lost
    gauss_hz = voxel.gauss_hz - (1 - share) * lost
    time_s = voxel.time_s
    # Components of B0 are wider than the common Gaussian part by fixed amounts.
    narrower = np.exp(-_decay(time_s) * (gauss_hz**2 - voxel.gauss_hz**2)[:, None])
    shapes = _field(voxel) * np.exp(-np.pi * np.outer(lorentz_hz, time_s)) * narrower
    return shapes, {"narrowing_hz": narrowing, "lorentzian_share": share, "width_drift_hz": drift}


def _decay(time_s: np.ndarray) -> np.ndarray:
    """A Gaussian line of FWHM g decays as exp(-g^2 times this)."""
    return (np.pi * time_s) ** 2 / (4 * np.log(2))


def _field(voxel: _Voxel) -> np.ndarray:
    """B0 over the voxel: a Gaussian group and two side groups, further off and wider."""
    decay = _decay(voxel.time_s)
    if not voxel.family.skew_ppm:
        return np.exp(-decay * voxel.gauss_hz**2)
    rng = voxel.streams["skew"]
    sign = 2 * int(rng.integers(2)) - 1
    weights = np.array([rng.uniform(0.15, 0.35), rng.uniform(0.05, 0.15)])
    far = np.array([0.0, rng.uniform(1.0, 2.5), rng.uniform(3.0, 5.0)])
    offsets_hz = sign * far * voxel.family.skew_ppm * voxel.basis.frequency_mhz
    widths_hz = voxel.gauss_hz * np.array([1.0, 1.3, 1.8])
    turn = 2j * np.pi * np.outer(offsets_hz, voxel.time_s)
    return np.r_[1 - weights.sum(), weights] @ np.exp(turn - np.outer(widths_hz**2, decay))


def _heights(voxel: _Voxel) -> tuple[float, float]:
    """Real heights of the spectrum at rest: of tCr, and of the largest peak of all."""
    fid = voxel.amplitudes @ voxel.metabolites + voxel.macromolecules
    shape = _field(replace(voxel, family=replace(voxel.family, skew_ppm=0.0)))
    spectrum = to_spectrum(fid * shape * np.exp(-np.pi * voxel.lorentz_hz * voxel.time_s)).real
    ppm = voxel.basis.ppm
    return tuple(
        float(spectrum[(ppm >= low) & (ppm <= high)].max())
        for low, high in (TCR_PPM, METABOLITE_PPM)
    )


def _baseline(voxel: _Voxel) -> np.ndarray:
    """Three broad lines of either sign, heights in units of the largest peak, (n_points,)."""
    rng, basis = voxel.streams["baseline"], voxel.basis
    centres = np.array([4.5, 2.6, 1.2]) + 0.3 * rng.standard_normal(3)
    widths = rng.uniform(1.0, 1.6, 3)
    heights = voxel.family.baseline * rng.standard_normal(3)
    lines = np.column_stack([centres, widths, np.ones(3)])
    fids = broad_fids(
        {n: (line,) for n, line in enumerate(lines)},
        basis.frequency_mhz,
        basis.n_points,
        basis.dwell_s,
    )
    tops = to_spectrum(fids).real.max(axis=1)
    return (heights / tops) @ fids


def _gains(voxel: _Voxel, n: int) -> np.ndarray:
    """Gain of each transient: 1 and an autoregressive process of first order, (n,)."""
    rho = voxel.family.gain_correlation
    steps = voxel.streams["gain"].standard_normal(n)
    course = np.empty(n)
    course[0] = steps[0]
    for j in range(1, n):
        course[j] = rho * course[j - 1] + np.sqrt(1 - rho**2) * steps[j]
    return 1 + voxel.family.gain_cv * course


def _turn(voxel: _Voxel) -> np.ndarray:
    """Phase and frequency of the whole spectrum, (n_points,)."""
    phase, offset = voxel.streams["turn"].standard_normal(2)
    hertz = voxel.family.offset_ppm * voxel.basis.frequency_mhz * offset
    return np.exp(1j * (voxel.family.phase_rad * phase + 2 * np.pi * hertz * voxel.time_s))

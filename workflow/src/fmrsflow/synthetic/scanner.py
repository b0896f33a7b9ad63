"""One scan: the forward model of docs/science.md#synthetic, with its truth.

A transient is the sum of the basis with the true amplitudes of its moment, under a common Voigt
lineshape, plus baseline, residual water and the rarer ingredients; then frequency, phase and eddy
currents; then coils, noise and digitiser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.fids import Fids, to_spectrum
from fmrsflow.haemodynamics import kernel
from fmrsflow.synthetic import ingredients as ing

WATER_PPM = 4.65
TCR_PPM = (2.9, 3.1)
"""Range (ppm) of the peak that defines the signal-to-noise ratio."""

_CHUNK = 32  # transients whose coil signals are in the cache at once


@dataclass(frozen=True)
class Protocol:
    """All that makes a scan, but for the seed.

    Attributes
    ----------
    basis : Basis
        Metabolites, macromolecules and lipids, on the time axis of the scan.
    amplitudes : mapping of name to float
        At rest, per molecule; names of the basis that are left out are absent from the voxel.
    n_transients : int
    tr_s : float
    changes_percent : mapping of name to float
        Change of the amplitude at full response.
    response : array (n_transients,) or None
        Metabolic response, 0 at rest and 1 at full response.
    bold : array (n_transients,) or None
        Haemodynamic response, which narrows the lines; None stands for `response`.
    amplitude_drift_percent : float
        Linear change of all amplitudes from the first to the last transient.
    natural_widths_hz, shifts_hz : mappings of name to float
        Lorentzian width of single metabolites beyond the common one (short T2), and their
        displacement (temperature, pH).
    lineshape, walk, eddy, residual_water, baseline, scalp_lipid, lipid_burst, echo, noise, coils
    adc
        Ingredients; None switches one off.
    reference : WaterReference or None
    affine, header
        As in `Fids`.
    """

    basis: Basis
    amplitudes: Mapping[str, float]
    n_transients: int
    tr_s: float
    changes_percent: Mapping[str, float] = field(default_factory=dict)
    response: np.ndarray | None = None
    bold: np.ndarray | None = None
    amplitude_drift_percent: float = 0.0
    natural_widths_hz: Mapping[str, float] = field(default_factory=dict)
    shifts_hz: Mapping[str, float] = field(default_factory=dict)
    lineshape: ing.Lineshape = field(default_factory=ing.Lineshape)
    walk: ing.Walk | None = None
    eddy: ing.EddyCurrent | None = None
    residual_water: ing.WaterResidue | None = None
    baseline: ing.BaselineHumps | None = None
    scalp_lipid: ing.ScalpLipid | None = None
    lipid_burst: ing.LipidBurst | None = None
    movement: ing.Movement | None = None
    echo: ing.Echo | None = None
    noise: ing.Noise | None = None
    coils: ing.Coils | None = None
    adc: ing.Adc | None = None
    reference: ing.WaterReference | None = None
    affine: np.ndarray | None = None
    header: dict = field(default_factory=dict)

    def __post_init__(self):
        for names in (
            self.amplitudes,
            self.changes_percent,
            self.natural_widths_hz,
            self.shifts_hz,
        ):
            for name in names:
                self.basis.index(name)
        for name in ("response", "bold"):
            course = getattr(self, name)
            if course is not None and np.shape(course) != (self.n_transients,):
                raise ValueError(
                    f"{name} has shape {np.shape(course)}, not ({self.n_transients},): "
                    "one value a transient"
                )
        if self.residual_water and not self.reference:
            raise ValueError("residual water is a fraction of the water of a reference: give one")


@dataclass(frozen=True)
class ScanTruth:
    """What the analysis should find.

    Attributes
    ----------
    names : tuple of str
    amplitudes : array (n_transients, n_names)
    fids : complex array (n_transients, n_points)
        Noise-free, before coils and digitiser, everything else in.
    shift_hz, phase_deg, lorentz_hz : arrays (n_transients,)
    bursts, echoes : boolean arrays (n_transients,)
    change_percent : dict
        Mean change of each responding metabolite between the transients of response > 0.5 and
        those below; empty where there is only one of the two.
    noise_sd : float
        Of the real (and of the imaginary) part of a combined FID; 0 without noise.
    tcr_height : float
        Height of the noise-free spectrum in 2.9-3.1 ppm.
    coil_weights : complex array (n_coils,)
    """

    names: tuple[str, ...]
    amplitudes: np.ndarray
    fids: np.ndarray
    shift_hz: np.ndarray
    phase_deg: np.ndarray
    lorentz_hz: np.ndarray
    bursts: np.ndarray
    echoes: np.ndarray
    change_percent: dict[str, float]
    noise_sd: float
    tcr_height: float
    coil_weights: np.ndarray


@dataclass(frozen=True)
class SimulatedScan:
    """A scan, its water reference (None where the protocol has none) and its truth."""

    fids: Fids
    reference: Fids | None
    truth: ScanTruth


def simulate(protocol: Protocol, seed: int | np.random.Generator) -> SimulatedScan:
    """Acquire one scan.

    Each ingredient draws from a random stream of its own, so that switching one on or off leaves
    the others as they were.

    Parameters
    ----------
    protocol : Protocol
    seed : int or Generator
    """
    streams = dict(zip(_STREAMS, np.random.default_rng(seed).spawn(len(_STREAMS))))
    p, basis = protocol, protocol.basis
    time_s = np.arange(basis.n_points) * basis.dwell_s
    amplitudes = _amplitudes(p)
    lorentz_hz = _lorentz(p)
    shapes = _decay(time_s, lorentz_hz, p.lineshape)
    widths, offsets = (
        np.array([table.get(name, 0.0) for name in basis.names])
        for table in (p.natural_widths_hz, p.shifts_hz)
    )
    metabolites = basis.fids * np.exp(np.pi * np.outer(2j * offsets - widths, time_s))
    clean = (amplitudes @ metabolites) * shapes
    height, largest = _heights(p, clean)
    if p.baseline:
        clean += _baseline(p, time_s, largest, streams["baseline"])
    if p.scalp_lipid:
        clean += _scalp_lipid(p, time_s, streams["scalp"])
    bursts = _happens(p.lipid_burst, p.n_transients, streams["lipid"])
    if bursts.any():
        clean[bursts] += _bursts(p, time_s, int(bursts.sum()), streams["lipid"])
    if p.residual_water:
        clean += _residual_water(p, time_s, streams["water"]) * shapes
    shift_hz, phase_deg = _walk(p.walk, p.n_transients, streams["walk"])
    if p.movement:
        _move(p.movement, clean, shift_hz, phase_deg, streams["movement"])
    clean *= np.exp(
        1j * (2 * np.pi * np.outer(shift_hz, time_s) + np.deg2rad(phase_deg)[:, None])
        + 1j * _eddy_phase(p.eddy, time_s)
    )
    echoes = _happens(p.echo, p.n_transients, streams["echo"])
    if echoes.any():
        clean[echoes] += _echo(p, time_s, amplitudes, int(echoes.sum()), streams["echo"])
    noise_sd = 0.0
    if p.noise:
        # The spectrum's first point is halved: n - 3/4 points' worth of noise.
        noise_sd = p.noise.sign * height / p.noise.snr_tcr / np.sqrt(basis.n_points - 0.75)
    weights, mixing = _array(p.coils, streams["coils"])
    data = _receive(clean, weights, mixing, noise_sd, p.adc, streams["noise"])
    truth = ScanTruth(
        names=basis.names,
        amplitudes=amplitudes,
        fids=clean,
        shift_hz=shift_hz,
        phase_deg=phase_deg,
        lorentz_hz=lorentz_hz,
        bursts=bursts,
        echoes=echoes,
        change_percent=_true_change(p, amplitudes),
        noise_sd=abs(float(noise_sd)),
        tcr_height=float(height),
        coil_weights=weights,
    )
    reference = _reference(p, time_s, weights, mixing, noise_sd, streams["reference"])
    return SimulatedScan(_fids(p, data, basis.te_s, p.tr_s), reference, truth)


_STREAMS = (
    "baseline", "lipid", "water", "walk", "echo", "coils", "noise", "reference", "scalp",
    "movement",
)  # fmt: skip


def boxcar(onsets_s, durations_s, n_transients: int, tr_s: float) -> np.ndarray:
    """1 for each transient excited within a block, else 0; shape (n_transients,)."""
    # A microsecond of tolerance against the rounding of j * tr_s.
    time_s = np.arange(n_transients) * tr_s + 1e-6
    inside = np.zeros(n_transients)
    for onset, duration in zip(onsets_s, durations_s):
        inside[(time_s >= onset) & (time_s < onset + duration)] = 1.0
    return inside


def haemodynamic(onsets_s, durations_s, n_transients: int, tr_s: float) -> np.ndarray:
    """Blocks convolved with the haemodynamic response, plateau 1; shape (n_transients,)."""
    fine_s = 0.1
    n_fine = int(np.ceil(n_transients * tr_s / fine_s)) + 1
    blocks = boxcar(onsets_s, durations_s, n_fine, fine_s)
    course = np.convolve(blocks, kernel(fine_s))[:n_fine]
    return np.interp(np.arange(n_transients) * tr_s, np.arange(n_fine) * fine_s, course)


def _amplitudes(p: Protocol) -> np.ndarray:
    """True amplitudes, (n_transients, n_names)."""
    rest = np.array([p.amplitudes.get(name, 0.0) for name in p.basis.names])
    change = np.array([p.changes_percent.get(name, 0.0) for name in p.basis.names]) / 100
    response = np.zeros(p.n_transients) if p.response is None else np.asarray(p.response, float)
    drift = np.linspace(0, p.amplitude_drift_percent / 100, p.n_transients)
    return rest * (1 + np.outer(response, change)) * (1 + drift)[:, None]


def _true_change(p: Protocol, amplitudes: np.ndarray) -> dict[str, float]:
    if p.response is None:
        return {}
    task = np.asarray(p.response) > 0.5
    if task.all() or not task.any():
        return {}
    rows = [p.basis.index(name) for name in p.changes_percent]
    at_rest = amplitudes[~task][:, rows].mean(axis=0)
    at_task = amplitudes[task][:, rows].mean(axis=0)
    return {
        name: float(100 * (high - low) / low)
        for name, high, low in zip(p.changes_percent, at_task, at_rest)
        if low > 0
    }


def _lorentz(p: Protocol) -> np.ndarray:
    """Lorentzian FWHM of each transient, Hz."""
    bold = p.bold if p.bold is not None else p.response
    bold = np.zeros(p.n_transients) if bold is None else np.asarray(bold, float)
    return p.lineshape.lorentz_hz - p.lineshape.narrowing_hz * bold


def _decay(time_s: np.ndarray, lorentz_hz: np.ndarray, shape: ing.Lineshape) -> np.ndarray:
    """Common lineshape of each transient as a factor of its FID, (n_transients, n_points)."""
    gauss = (np.pi * shape.gauss_hz * time_s) ** 2 / (4 * np.log(2))
    decay = np.exp(-np.pi * np.outer(lorentz_hz, time_s) - gauss)
    if not shape.skew_hz:
        return decay
    # Characteristic function of an exponential distribution, its mean taken off.
    angle = 2 * np.pi * shape.skew_hz * time_s
    return decay * (np.exp(-1j * angle) / (1 - 1j * angle))


def _heights(p: Protocol, clean: np.ndarray) -> tuple[float, float]:
    """Real heights of the first transient's spectrum: in 2.9-3.1 ppm, and the largest of all."""
    ppm = _ppm(p.basis)
    spectrum = to_spectrum(clean[0]).real
    return (
        float(spectrum[_between(ppm, *TCR_PPM)].max()),
        float(spectrum[_between(ppm, 0.2, 4.2)].max()),
    )


def _ppm(basis: Basis) -> np.ndarray:
    frequency = np.fft.fftshift(np.fft.fftfreq(basis.n_points, basis.dwell_s))
    return basis.carrier_ppm + frequency / basis.frequency_mhz


def _between(ppm: np.ndarray, low: float, high: float) -> np.ndarray:
    return (ppm >= low) & (ppm <= high)


def _line(basis: Basis, time_s: np.ndarray, ppm: float, gauss_ppm: float) -> np.ndarray:
    """Gaussian line of unit area, (n_points,)."""
    width_hz = gauss_ppm * basis.frequency_mhz
    offset_hz = (ppm - basis.carrier_ppm) * basis.frequency_mhz
    gauss = (np.pi * width_hz * time_s) ** 2 / (4 * np.log(2))
    return np.exp(2j * np.pi * offset_hz * time_s - gauss)


def _baseline(p: Protocol, time_s: np.ndarray, largest: float, rng) -> np.ndarray:
    b = p.baseline
    centres = rng.uniform(0.2, 4.2, b.components)
    widths = rng.uniform(b.low_ppm, b.high_ppm, b.components)
    areas = rng.standard_normal(b.components) * widths
    fid = sum(
        area * _line(p.basis, time_s, centre, width)
        for centre, width, area in zip(centres, widths, areas)
    )
    spectrum = to_spectrum(fid).real[_between(_ppm(p.basis), 0.2, 4.2)]
    return fid * (b.amplitude * largest / np.abs(spectrum).max())


def _happens(ingredient, n: int, rng) -> np.ndarray:
    """Transients that a rare event hits, boolean (n,)."""
    return rng.random(n) < (ingredient.probability if ingredient else 0.0)


def _bursts(p: Protocol, time_s: np.ndarray, n: int, rng) -> np.ndarray:
    areas = _naa(p) * p.lipid_burst.amplitude * rng.exponential(1.0, n)
    return np.outer(areas * np.exp(2j * np.pi * rng.random(n)), _fat(p.basis, time_s))


def _scalp_lipid(p: Protocol, time_s: np.ndarray, rng) -> np.ndarray:
    area = _naa(p) * p.scalp_lipid.amplitude * np.exp(2j * np.pi * rng.random())
    shift_ppm = p.scalp_lipid.shift_ppm * float(rng.standard_normal())
    return area * _fat(p.basis, time_s, shift_ppm)


def _naa(p: Protocol) -> float:
    """Area of the NAA singlet."""
    return 3.0 * p.amplitudes.get("NAA", 1.0)


def _fat(basis: Basis, time_s: np.ndarray, shift_ppm: float = 0.0) -> np.ndarray:
    """Methylene, methyl and allylic group of subcutaneous fat, broad in its poor field."""
    lines = ((1.30, 0.22, 1.0), (0.90, 0.20, 0.25), (2.05, 0.25, 0.10))
    return sum(area * _line(basis, time_s, ppm + shift_ppm, width) for ppm, width, area in lines)


def _residual_water(p: Protocol, time_s: np.ndarray, rng) -> np.ndarray:
    w = p.residual_water
    centre_hz = (WATER_PPM - p.basis.carrier_ppm) * p.basis.frequency_mhz
    offsets = centre_hz + w.spread_hz * rng.standard_normal(w.lines)
    widths = w.width_hz * rng.uniform(0.5, 1.5, w.lines)
    # One line leads, the others are a quarter of it or so, of any phase.
    parts = 0.25 * (rng.standard_normal((w.lines, 2)) @ np.array([1, 1j]))
    parts[0] = 1.0
    parts *= np.exp(2j * np.pi * rng.random()) / np.abs(parts.sum())
    lines = np.exp((2j * np.pi * offsets - np.pi * widths)[:, None] * time_s)
    noise = rng.standard_normal((p.n_transients, w.lines, 2)) @ np.array([1, 1j]) / np.sqrt(2)
    amplitude = w.fraction * p.reference.amplitude
    return amplitude * ((parts * (1 + w.fluctuation * noise)) @ lines)


def _walk(walk: ing.Walk | None, n: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Frequency (Hz) and phase (degrees) of each transient; mean zero but for jitter, offset."""
    if walk is None:
        return np.zeros(n), np.zeros(n)
    steps = rng.standard_normal((2, n))
    jitter = rng.standard_normal((2, n))
    moved = np.zeros((2, n))
    for at in rng.integers(0, n, walk.motions):
        moved[:, at:] += rng.standard_normal((2, 1))
    shift = walk.drift_hz * np.linspace(-0.5, 0.5, n)
    shift = shift + walk.step_hz * np.cumsum(steps[0]) + walk.motion_hz * moved[0]
    if walk.jump_hz:
        shift[rng.integers(n // 4, max(n // 4 + 1, 3 * n // 4)) :] += walk.jump_hz
    phase = walk.step_deg * np.cumsum(steps[1]) + walk.motion_deg * moved[1]
    shift, phase = shift - shift.mean(), phase - phase.mean()
    phase = phase + walk.offset_deg
    return shift + walk.jitter_hz * jitter[0], phase + walk.jitter_deg * jitter[1]


def _move(movement: ing.Movement, clean, shift_hz, phase_deg, rng) -> None:
    """Spoil single transients, in place."""
    n = len(clean)
    # All are drawn, so that a higher probability adds transients and changes none.
    hit = rng.random(n) < movement.probability
    left = 1 - movement.loss * rng.random(n)
    turned = rng.standard_normal((2, n))
    if movement.reverse:
        hit, left, turned = hit[::-1], left[::-1], turned[:, ::-1]
    clean[hit] *= left[hit, None]
    shift_hz[hit] += movement.shift_hz * turned[0, hit]
    phase_deg[hit] += movement.phase_deg * turned[1, hit]


def _eddy_phase(eddy: ing.EddyCurrent | None, time_s: np.ndarray) -> np.ndarray:
    if eddy is None:
        return np.zeros_like(time_s)
    return 2 * np.pi * eddy.offset_hz * eddy.decay_s * -np.expm1(-time_s / eddy.decay_s)


def _echo(p: Protocol, time_s: np.ndarray, amplitudes: np.ndarray, n: int, rng) -> np.ndarray:
    e = p.echo
    envelope = np.exp(-4 * np.log(2) * ((time_s - e.time_s) / e.width_s) ** 2)
    height = e.amplitude * np.abs(amplitudes[0] @ p.basis.fids).max()
    phases = np.exp(2j * np.pi * rng.random(n))
    return height * np.outer(phases, envelope * np.exp(2j * np.pi * e.offset_hz * time_s))


def _array(coils: ing.Coils | None, rng) -> tuple[np.ndarray, np.ndarray]:
    """Complex sensitivities (n_coils,) and the factor L of the noise covariance L L^T.

    Scaled so that ideal combination has unit gain and unit noise: w^H (L L^T)^-1 w = 1.
    """
    if coils is None:
        return np.ones(1, complex), np.eye(1)
    n = coils.number
    phases = 2 * np.pi * rng.random(n)
    weights = np.exp(coils.spread * rng.standard_normal(n) + 1j * phases)
    levels = np.exp(0.5 * coils.spread * rng.standard_normal(n))
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    covariance = coils.correlation ** np.minimum(apart, n - apart) * np.outer(levels, levels)
    gain = np.vdot(weights, np.linalg.solve(covariance, weights)).real
    return weights / np.sqrt(gain), np.linalg.cholesky(covariance)


def _receive(
    clean: np.ndarray,
    weights: np.ndarray,
    mixing: np.ndarray,
    noise_sd: float,
    adc: ing.Adc | None,
    rng,
) -> np.ndarray:
    """Signals of all coils with noise, (n_transients, n_coils, n_points) complex64."""
    n_transients, n_points = clean.shape
    data = np.empty((n_transients, len(weights), n_points), np.complex64)
    clean = clean.astype(np.complex64)
    weights = weights.astype(np.complex64)
    mixing = (noise_sd * mixing).astype(np.float32)
    for start in range(0, n_transients, _CHUNK):
        part = data[start : start + _CHUNK]
        np.multiply(weights[:, None], clean[start : start + _CHUNK, None, :], out=part)
        if noise_sd:
            white = rng.standard_normal((*part.shape[:2], 2 * n_points), dtype=np.float32)
            part += (mixing @ white if len(weights) > 1 else mixing[0, 0] * white).view(
                np.complex64
            )
    return _digitise(data, clean, weights, adc) if adc else data


def _digitise(data, clean, weights, adc: ing.Adc) -> np.ndarray:
    largest = max(np.abs(clean.real).max(), np.abs(clean.imag).max()) * np.abs(weights).max()
    limit = np.float32(adc.full_scale * largest)
    step = np.float32(limit / 2 ** (adc.bits - 1))
    parts = data.view(np.float32)
    np.clip(parts, -limit, limit, out=parts)
    np.multiply(np.rint(parts / step), step, out=parts)
    return data


def _reference(p: Protocol, time_s, weights, mixing, noise_sd: float, rng) -> Fids | None:
    r = p.reference
    if r is None:
        return None
    lorentz_hz = np.full(r.transients, p.lineshape.lorentz_hz + r.width_hz)
    shape = _decay(time_s, lorentz_hz, p.lineshape)
    centre_hz = (WATER_PPM - p.basis.carrier_ppm) * p.basis.frequency_mhz
    phase = 2 * np.pi * centre_hz * time_s + _eddy_phase(p.eddy, time_s)
    data = _receive(r.amplitude * shape * np.exp(1j * phase), weights, mixing, noise_sd, p.adc, rng)
    return _fids(p, data, r.te_s, r.tr_s)


def _fids(p: Protocol, data: np.ndarray, te_s: float | None, tr_s: float) -> Fids:
    return Fids(
        data=data,
        dwell_s=p.basis.dwell_s,
        frequency_mhz=p.basis.frequency_mhz,
        te_s=te_s,
        tr_s=tr_s,
        affine=p.affine,
        carrier_ppm=p.basis.carrier_ppm,
        header=dict(p.header),
    )

"""Simulated figures of the benchmark `measured`: recipes that others published, foreign spectra.

Each function gives the figures of one row. Seeds are fixed here; short runs take few draws and
print their Monte Carlo errors, and a band counts as held within two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

import fit
import foreign
from figure import Figure, skipped
from fmrsflow.basis import systems
from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import read_basis
from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import broad_fids
from fmrsflow.basis.simulate import simulate as simulate_basis
from fmrsflow.fids import Fids, to_spectrum
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.broad import is_broad
from fmrsflow.fit.change import JointResult
from fmrsflow.fit.design import condition_design, linewidth_design
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.solve import fit_spectra
from fmrsflow.synthetic import ingredients as ing
from fmrsflow.synthetic.scanner import Protocol, boxcar, haemodynamic, simulate

PUBLISHED = fit.CHALLENGE.parent / "slaser-3t" / "basis"
"""Basis of the scans of Wilson, Finney & Clarke 2026 at 3T."""

RECIPE_SEED, NULL_SEED, RESPONSE_SEED = 41_000, 42_000, 43_000

SNR_PPM = (0.5, 4.0)
"""Range whose highest point is the signal of the published recipes' SNR (spant,
add_noise_spec_snr)."""

RECIPE = {60.0: 0.36, 100.0: 0.17}
"""SNR of the recipe of Wilson 2025, and the largest squared error relative to a fit without own
shifts."""

SHIFT_PPM, WIDTH_HZ, WIDTH_SD_HZ, GAUSS_HZ = 0.004, 0.78, 0.156, 4.0
"""Of the recipe of Wilson 2025 (doi:10.1002/mrm.30462): SD of the signals' own shifts, mean and SD
of their Lorentzian widths, and the common Gaussian width."""

BEDNARIK = {
    "Asc": 0.96, "Asp": 3.58, "Cr": 4.22, "GABA": 1.03, "Glc": 0.62, "Gln": 2.79, "GSH": 1.09,
    "Glu": 8.59, "GPC": 0.54, "mI": 6.08, "Lac": 1.01, "NAA": 11.9, "NAAG": 1.32, "PCh": 0.40,
    "PCr": 3.34, "PE": 0.93, "sI": 0.27, "Tau": 1.27, "Ala": 0.0, "Gly": 0.0,
}  # fmt: skip
"""Visual cortex (Bednarik 2015, table 1), as Wilson, Finney & Clarke 2026 simulate it."""

NULL_LINES = {
    "MM09": ((0.91, 0.14, 3.0),),
    "MM12": ((1.21, 0.15, 2.0),),
    "MM14": ((1.43, 0.17, 2.0),),
    "MM17": ((1.67, 0.15, 2.0),),
    "MM20": ((2.08, 0.15, 1.33), (2.25, 0.20, 0.33), (1.95, 0.15, 0.33), (3.00, 0.20, 0.40)),
}
"""Their macromolecules (ppm, FWHM ppm, protons), each with an amplitude of `NULL_LEVEL`."""

NULL_LEVEL = 4.0

JUDGED = (
    "Asc", "Asp", "GABA", "Glc", "Gln", "Glu", "GSH", "mI", "Lac", "PE", "sI", "Tau", "tCho",
    "tCr", "tNAA", "Glx",
)  # fmt: skip
"""The sixteen whose false changes they average."""

RESPONSES = {"Glu": 3.3, "Lac": 29.6, "Glc": -16.0, "Asp": -5.4}
"""Changes that Bednarik 2015 reports, percent."""


@dataclass(frozen=True)
class Series:
    """A scan of Wilson, Finney & Clarke 2026: semi-LASER TE 28 ms, two blocks of 320 s.

    Attributes
    ----------
    mhz, tr_s, snr, gauss_hz, narrowing_hz : float
    n : int
        Transients.
    most : float
        Largest mean absolute false change (points) that the issue allows; theirs in `theirs`.
    constant, constant_all : float
        False change of Glu (%) where the fit holds the width constant and lets metabolites
        respond, or macromolecules too.
    """

    mhz: float
    tr_s: float
    n: int
    snr: float
    gauss_hz: float
    narrowing_hz: float
    most: float
    theirs: float
    constant: float
    constant_all: float


SERIES = {
    "3T": Series(123.0, 2.5, 640, 45.0, 6.0, 0.20, 0.25, 1.30, 2.55, 3.34),
    "7T": Series(297.0, 5.0, 320, 80.0, 11.0, 0.46, 0.09, 0.42, 1.88, 2.44),
}

ONSETS_S, BLOCK_S = (320.0, 960.0), 320.0
POINTS, SPECTRAL_WIDTH_HZ, TE_S = 2048, 6000.0, 0.028

FAR_STARTS = [
    (shift_hz, phase_deg, width_hz)
    for shift_hz in (-10.0, 10.0)
    for phase_deg in (-60.0, 60.0)
    for width_hz in (0.0, 5.0)
]
"""What is done to a noise-free spectrum before it is fitted."""


def figures(quick: bool) -> Iterator[Figure]:
    """All simulated figures; quick: those of the recipe, the BOLD null and far starts."""
    for row in ROWS:
        if quick and row in LONG:
            title = (row.__doc__ or "").splitlines()[0].rstrip(".")
            yield skipped(title, "see the whole benchmark", LONG[row])
        else:
            yield from row(quick)


def recipe(quick: bool) -> list[Figure]:
    """Recipe of Wilson 2025 on our own semi-LASER basis at 3T."""
    n = 15 if quick else 1000
    return [figure for snr, most in RECIPE.items() for figure in _recipe(snr, most, n)]


def bold_null(quick: bool) -> list[Figure]:
    """No metabolite changes while the lines narrow (Wilson, Finney & Clarke 2026)."""
    pairs = 2 if quick else 64
    return [figure for field in SERIES for figure in _null(field, pairs)]


def responses(quick: bool) -> list[Figure]:
    """Changes of Bednarik 2015 in the same scans."""
    n = 12 if quick else 1000
    return [figure for field in SERIES for figure in _responses(field, n)]


def old_figures(quick: bool) -> list[Figure]:
    """The fit on its own scanner, as before."""
    return [*fit.noise_free(), *fit.realisations(50 if quick else 1000)]


def far_starts(quick: bool) -> list[Figure]:
    """Noise-free spectra moved, turned and broadened: all ways to the one solution."""
    return [_far(field) for field in fit.FIELDS]


ROWS = (
    recipe,
    bold_null,
    responses,
    old_figures,
    far_starts,
    foreign.family,
    foreign.wrong_macromolecules,
)
"""The functions of this file and of `foreign`, a row of the table each."""

LONG = {
    responses: "left out of --quick",
    old_figures: "left out of --quick; run.py fit has a quick form",
    foreign.family: "left out of --quick; run.py foreign has a quick form",
    foreign.wrong_macromolecules: "left out of --quick; run.py foreign has a quick form",
}
"""What takes over a minute even with few draws, and where it is measured."""


def noisy(fids: Fids, snr: float, rng) -> Fids:
    """Noise by the SNR of the published recipes, the same in every transient: highest point of the
    first spectrum in `SNR_PPM` over one SD."""
    inside = (fids.ppm >= SNR_PPM[0]) & (fids.ppm <= SNR_PPM[1])
    height = to_spectrum(fids.transients[0]).real[inside].max()
    # The spectrum's first point is halved: n - 3/4 points' worth of noise.
    sd = height / snr / np.sqrt(fids.n_points - 0.75)
    parts = rng.standard_normal((*fids.transients.shape, 2))
    return fids.with_data(fids.transients + sd * parts.view(complex)[..., 0])


def recipe_spectrum(snr: float, seed: int) -> Fids:
    """A spectrum whose signals, macromolecules too, have shifts and widths of their own."""
    rng = np.random.default_rng(seed)
    basis, amplitudes = fit.basis_of("3T"), fit.amplitudes_of("3T")
    shifts_hz = SHIFT_PPM * basis.frequency_mhz * rng.standard_normal(len(basis.names))
    widths_hz = np.maximum(WIDTH_HZ + WIDTH_SD_HZ * rng.standard_normal(len(basis.names)), 0.0)
    clean = Protocol(
        basis,
        amplitudes,
        n_transients=1,
        tr_s=fit.TR_S,
        natural_widths_hz=dict(zip(basis.names, widths_hz)),
        shifts_hz=dict(zip(basis.names, shifts_hz)),
        lineshape=ing.Lineshape(0.0, GAUSS_HZ),
    )
    scan = simulate(clean, seed)
    return noisy(scan.fids.with_data(scan.truth.fids), snr, rng)


def _recipe(snr: float, most: float, n: int) -> list[Figure]:
    basis, truth = fit.basis_of("3T"), fit.amplitudes_of("3T")
    spectra = [recipe_spectrum(snr, RECIPE_SEED + number) for number in range(n)]
    together = spectra[0].with_data(np.concatenate([one.transients for one in spectra]))
    fixed = FitOptions(metabolite_shift_sd_ppm=0.0, lineshape="voigt")

    # Shifts are draws here: what their prior leaves open counts.
    def total(one):
        return one.covariance + one.model_covariance

    squares, held = _squares(fit_spectra(together, basis), truth, total)
    without, held_without = _squares(fit_spectra(together, basis, fixed), truth, total)
    averaged, held_averaged = _squares(fit_average(together, basis), truth, total)
    name = f"recipe of Wilson 2025, SNR {snr:g}"
    ratio, ratio_se = _ratio(squares, without)
    told = f"{squares.mean():.2f} against {without.mean():.2f} without shifts, {n} draws"
    coverage, coverage_se = _share(held)
    return [
        Figure(
            f"{name}: squared error, one model",
            ratio,
            f"<= {most:g}",
            ratio - 2 * ratio_se <= most,
            f"+- {ratio_se:.3f}; {told}",
        ),
        Figure(
            f"{name}: coverage %, one model",
            coverage,
            "93-97",
            93 - 2 * coverage_se <= coverage <= 97 + 2 * coverage_se,
            f"+- {coverage_se:.1f}; {100 * held_without.mean():.0f} without shifts",
        ),
        Figure(
            f"{name}: squared error, average over models",
            _ratio(averaged, without)[0],
            "reported",
            True,
            f"coverage by the total error {100 * held_averaged.mean():.0f} %",
        ),
    ]


def _squares(results, truth: dict[str, float], spread) -> tuple[np.ndarray, np.ndarray]:
    """Squared error summed over the metabolites of each spectrum, (n_spectra,), and whether each
    95 % interval by the covariance that `spread` gives holds its truth, (n_spectra,
    n_metabolites)."""
    squares, held = [], []
    for result in results:
        kept = [k for k, name in enumerate(result.names) if not is_broad(name)]
        error = result.amplitudes[kept] - [truth.get(result.names[k], 0.0) for k in kept]
        squares.append(float(error @ error))
        held.append(np.abs(error) < 1.96 * np.sqrt(np.diag(spread(result))[kept]))
    return np.array(squares), np.array(held)


def _ratio(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Ratio of the means of paired draws and its standard error, to first order."""
    ratio = one.mean() / other.mean()
    se = (one - ratio * other).std(ddof=1) / other.mean() / len(one) ** 0.5
    return float(ratio), float(se)


def _share(held: np.ndarray) -> tuple[float, float]:
    """Share of True in percent and its standard error; the rows are the independent draws."""
    each = 100 * held.mean(axis=1)
    return float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5)


@cache
def series_basis(field: str) -> Basis:
    """Basis of the published scans: theirs where it is at hand (3T), else ours of their sequence
    with their macromolecules."""
    if field == "3T" and PUBLISHED.is_dir():
        theirs = read_basis(PUBLISHED).resampled(1 / SPECTRAL_WIDTH_HZ, POINTS, SERIES[field].mhz)
        return theirs.select([name for name in theirs.names if not name.startswith("Lip")])
    names = [name for name in systems.METABOLITES if name in BEDNARIK]
    steps = sequence("sLASER", TE_S)
    made = simulate_basis(steps, SERIES[field].mhz, POINTS, SPECTRAL_WIDTH_HZ, names)
    lines = broad_fids(NULL_LINES, made.frequency_mhz, POINTS, made.dwell_s)
    return replace(made, names=(*names, *NULL_LINES), fids=np.concatenate([made.fids, lines]))


def with_responding_macromolecules(basis: Basis) -> Basis:
    """Macromolecules under names of which the joint fit does not know that they may not respond."""
    return replace(
        basis, names=tuple(f"other {name}" if is_broad(name) else name for name in basis.names)
    )


@cache
def series_scan(field: str, changing: bool) -> Fids:
    """Noise-free transients, with or without the metabolites' responses."""
    series = SERIES[field]
    durations = (BLOCK_S,) * len(ONSETS_S)
    protocol = Protocol(
        series_basis(field),
        {**BEDNARIK, **dict.fromkeys(NULL_LINES, NULL_LEVEL)},
        n_transients=series.n,
        tr_s=series.tr_s,
        changes_percent=RESPONSES if changing else {},
        response=boxcar(ONSETS_S, durations, series.n, series.tr_s),
        bold=haemodynamic(ONSETS_S, durations, series.n, series.tr_s),
        # The haemodynamic response overshoots by a tenth: no width is negative.
        lineshape=ing.Lineshape(
            1.2 * series.narrowing_hz, series.gauss_hz, 0.0, series.narrowing_hz
        ),
    )
    scan = simulate(protocol, 1)
    return scan.fids.with_data(scan.truth.fids)


def joint(fids: Fids, field: str, width: bool = True, responding: bool = False) -> JointResult:
    """The joint fit with the recipe's own macromolecules."""
    series, basis = SERIES[field], series_basis(field)
    box = boxcar(ONSETS_S, (BLOCK_S,) * len(ONSETS_S), series.n, series.tr_s)
    labels = ["task" if one > 0.5 else "rest" for one in box]
    options = FitOptions(macromolecules="basis")
    regressor = options.joint_linewidth_regressor
    return fit_joint(
        fids,
        with_responding_macromolecules(basis) if responding else basis,
        condition_design(labels, "rest", series.tr_s),
        linewidth_design(labels, "rest", series.tr_s, regressor) if width else None,
        options,
    )


def _changes(result: JointResult, names) -> np.ndarray:
    """Percent change of some metabolites and its standard error, (2, n_names)."""
    rows = [result.names.index(name) for name in names]
    return np.stack([result.change_percent[0, rows], result.change_se_percent[0, rows]])


def _null(field: str, pairs: int) -> list[Figure]:
    """Scans come in pairs of opposite noise, whose first-order effects cancel in the mean."""
    series, clean = SERIES[field], series_scan(field, changing=False)
    found = []
    for number in range(pairs):
        scan = noisy(clean, series.snr, np.random.default_rng(NULL_SEED + number))
        mirrored = clean.with_data(2 * clean.transients - scan.transients)
        found.append([_changes(joint(one, field), JUDGED)[0] for one in (scan, mirrored)])
    each = np.mean(found, axis=1)
    false = float(np.abs(each.mean(axis=0)).mean())
    se = float(each.std(axis=0, ddof=1).mean() / pairs**0.5)
    name = f"BOLD null of Wilson, Finney & Clarke 2026, {field}"
    worst = JUDGED[int(np.argmax(np.abs(each.mean(axis=0))))]
    return [
        Figure(
            f"{name}: mean false change of 16, points",
            false,
            f"<= {series.most:g} (theirs {series.theirs:g})",
            false - 2 * se <= series.most,
            f"+- {se:.3f} of each, {2 * pairs} scans; most in {worst}",
        ),
        *(
            _constant(f"{name}: Glu, constant width, {who} respond %", expected, field, all_of_them)
            for who, expected, all_of_them in (
                ("metabolites", series.constant, False),
                ("all", series.constant_all, True),
            )
        ),
    ]


def _constant(name: str, expected: float, field: str, responding: bool) -> Figure:
    """False change of Glu without noise where the model holds the width constant."""
    target = f"{expected:g} +- 10 %"
    if field == "3T" and not PUBLISHED.is_dir():
        return skipped(name, target, "it belongs to the published basis, which is not here")
    result = joint(series_scan(field, changing=False), field, width=False, responding=responding)
    value = float(_changes(result, ["Glu"])[0, 0])
    good = abs(value / expected - 1) <= 0.1
    return Figure(name, value, target, good, "noise-free")


def _responses(field: str, n: int) -> list[Figure]:
    series, clean = SERIES[field], series_scan(field, changing=True)
    found = []
    for number in range(n):
        scan = noisy(clean, series.snr, np.random.default_rng(RESPONSE_SEED + number))
        found.append(_changes(joint(scan, field), RESPONSES))
    values, told = np.moveaxis(found, 1, 0)
    figures = []
    for k, (name, truth) in enumerate(RESPONSES.items()):
        figures += _response(f"response of {name}, {field}", values[:, k], told[:, k], truth)
    return figures


def _response(title: str, values: np.ndarray, told: np.ndarray, truth: float) -> list[Figure]:
    n = len(values)
    bias, se = values.mean() - truth, values.std(ddof=1) / n**0.5
    held = float(100 * np.mean(np.abs(values - truth) < 1.96 * told))
    reach = 200 * (0.05 * 0.95 / n) ** 0.5
    return [
        Figure(
            f"{title}: bias, standard errors of the mean",
            float(bias / se),
            "within +-2",
            bool(abs(bias) <= 2 * se),
            f"{bias:+.3f} points of {truth:g} %; a scan's SE {told.mean():.2f}, {n} scans",
        ),
        Figure(
            f"{title}: coverage %",
            held,
            "93-97",
            93 - reach <= held <= 97 + reach,
            f"SD / SE {values.std(ddof=1) / told.mean():.2f}",
        ),
    ]


def _far(field: str) -> Figure:
    scan = simulate(fit.protocol(field, 1, None, baseline=None), 1)
    clean = scan.fids.with_data(scan.truth.fids)
    moved = [
        clean.shifted(shift).rotated(phase).broadened(width).transients
        for shift, phase, width in FAR_STARTS
    ]
    results = fit_spectra(clean.with_data(np.concatenate(moved)), fit.basis_of(field))
    truth = fit.amplitudes_of(field)
    worst = max(fit.worst_error(one, truth) for one in results)
    name = f"noise-free from {len(FAR_STARTS)} far starts, {field}: worst error"
    return Figure(name, worst, "<= 1e-4", worst <= 1e-4)

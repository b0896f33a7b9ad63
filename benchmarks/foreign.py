"""Figures of the fit on the family `foreign`, whose model is not the fit's, beside the same figures
on the fit's own scanner (docs/science.md#foreign).

Seeds are fixed here; a short run prints its Monte Carlo errors, and a band counts as held when it
does so within two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

import fit
from figure import Figure
from fmrsflow.basis.files import Basis
from fmrsflow.basis.simulate import with_macromolecules
from fmrsflow.basis.site import alternatives, complete
from fmrsflow.fids import Fids
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.design import condition_design, linewidth_design
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.options import FitOptions
from fmrsflow.metabolites import with_sums
from fmrsflow.stages.basis import make
from fmrsflow.study import Site
from fmrsflow.synthetic.foreign import (
    SETUPS,
    SPECTRAL_WIDTH_HZ,
    Course,
    Foreign,
    Setup,
    draw,
    draw_series,
    setup_basis,
)
from fmrsflow.synthetic.scanner import boxcar, haemodynamic, simulate

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "scratch" / "basis"
"""Simulated bases, each under the digest of all that it depends on."""

DRAWS, QUICK_DRAWS = 1000, 12
FAMILY_SEED, OWN_SEED, MACROMOLECULE_SEED, SERIES_SEED = 31_000, 32_000, 33_000, 34_000

SERIES, QUICK_SERIES = 1000, 10
TRANSIENTS, SERIES_SNR = 64, 30.0
SERIES_TRUTH = {"Glu": 3.0, "tCr": 0.0}
"""Of the foreign series, in blocks of `fit.BLOCK_S`: scans, transients, their SNR, true changes
(percent)."""

BIAS_LIMITS = {
    "Glu": 4.0,
    "tNAA": 4.0,
    "tCr": 4.0,
    "tCho": 4.0,
    "mI": 4.0,
    "GSH": 20.0,
    "Gln": 20.0,
}
"""Largest mean bias of each, percent of its truth."""

LEAST_COVERAGE, MOST_ERROR = 93.0, 1.5
"""Of a 95 % interval by the total error (percent), and of its median over the error that is."""

IDEAL = {3: Setup("PRESS", 0.035), 7: Setup("sLASER", 0.036)}
"""Protocols of the fit's own model, where macromolecules alone are foreign."""

ONLY_MACROMOLECULES = {"skew_ppm": 0.0, "own_t2": False, "shift_ppm": 0.0, "baseline": 0.0}


def figures(quick: bool) -> Iterator[Figure]:
    """All figures of the family."""
    yield from family(quick)
    yield from wrong_macromolecules(quick)
    yield from series(quick)


@dataclass(frozen=True)
class Errors:
    """Relative errors of one metabolite over draws, and the total errors that came with them.

    Attributes
    ----------
    error, told : arrays (n_fitted,)
        Estimate over truth minus 1, and its standard error over truth.
    failed : int
        Draws without an answer: none of them covers its truth.
    """

    error: np.ndarray
    told: np.ndarray
    failed: int

    @property
    def n(self) -> int:
        """Number of draws."""
        return len(self.error) + self.failed

    @property
    def bias(self) -> float:
        """Mean error, percent."""
        return float(100 * self.error.mean())

    @property
    def bias_se(self) -> float:
        """Monte Carlo error of the bias, percent."""
        return float(100 * self.error.std(ddof=1) / len(self.error) ** 0.5)

    @property
    def coverage(self) -> float:
        """Draws whose 95 % interval holds the truth, percent."""
        return float(100 * np.sum(np.abs(self.error) < 1.96 * self.told) / self.n)

    @property
    def size(self) -> float:
        """Median total error over the root mean square of the errors."""
        return float(np.median(self.told) / np.sqrt(np.mean(self.error**2)))

    @property
    def size_se(self) -> float:
        """Monte Carlo error of `size`: that of a root mean square of normal deviates."""
        return self.size / (2 * len(self.error)) ** 0.5

    def __str__(self) -> str:
        return f"bias {self.bias:+.1f} +- {self.bias_se:.1f} %, coverage {self.coverage:.0f} %"


def family(quick: bool) -> list[Figure]:
    """Bias, coverage and size of the total error, foreign and own, 3T and 7T."""
    n = QUICK_DRAWS if quick else DRAWS
    found = []
    for field_t in SETUPS:
        foreign = errors_of(foreign_draw, field_t, FAMILY_SEED, n)
        own = errors_of(own_draw, field_t, OWN_SEED, n)
        for name, limit in BIAS_LIMITS.items():
            title = f"foreign family, {field_t}T, {name}"
            found += judged(title, foreign[name], limit, f"own scanner: {own[name]}")
    return found


def wrong_macromolecules(quick: bool) -> list[Figure]:
    """Glu where macromolecules alone are foreign: lines that the fit does not have."""
    n = QUICK_DRAWS if quick else DRAWS
    found = []
    for field_t in SETUPS:
        errors = errors_of(macromolecule_draw, field_t, MACROMOLECULE_SEED, n)["Glu"]
        found += judged(f"wrong macromolecules, {field_t}T, Glu", errors, 2.0, "")[:2]
    # A published table with nothing between its lines is no spectrum of a brain: no target.
    errors = errors_of(partial(macromolecule_draw, table="bell"), 7, MACROMOLECULE_SEED, n)["Glu"]
    name = "wrong macromolecules, 7T, Glu, nine lines of Bell 2024: bias %"
    return [*found, Figure(name, errors.bias, "reported", True, str(errors))]


def series(quick: bool) -> list[Figure]:
    """Change of Glu and of tCr, which does not change, by the joint fit of foreign series; the same
    design on the fit's own scanner is `fit`'s response."""
    n = QUICK_SERIES if quick else SERIES
    found = []
    for field_t in SETUPS:
        scans = [_joint_changes(field_t, SERIES_SEED + number) for number in range(n)]
        for k, name in enumerate(SERIES_TRUTH):
            error, told = np.array([one[k] for one in scans]).T
            se = error.std(ddof=1) / n**0.5
            held = 100 * np.mean(np.abs(error) < 1.96 * told)
            found.append(
                Figure(
                    f"foreign series, {field_t}T, {name}: bias of the joint change, points",
                    float(error.mean()),
                    "reported",
                    True,
                    f"+- {se:.2f}, {n} scans; SD / SE {error.std(ddof=1) / told.mean():.2f}, "
                    f"coverage {held:.0f} %",
                )
            )
    return found


def _joint_changes(field_t: int, seed: int) -> list[tuple[float, float]]:
    """Error and standard error (points) of each change of `SERIES_TRUTH` in one series."""
    onsets = np.arange(fit.BLOCK_S, TRANSIENTS * fit.TR_S, 2 * fit.BLOCK_S)
    blocks = (onsets, np.full(len(onsets), fit.BLOCK_S), TRANSIENTS, fit.TR_S)
    box = boxcar(*blocks)
    course = Course(box, haemodynamic(*blocks), {"Glu": SERIES_TRUTH["Glu"]})
    scan = draw_series(field_t, seed, course, Foreign(snr_tcr=SERIES_SNR))
    labels = ["task" if one > 0.5 else "rest" for one in box]
    options = FitOptions()
    result = fit_joint(
        scan.fids,
        site_bases(field_t)[0].resampled(*axes(scan.fids)),
        condition_design(labels, "rest", fit.TR_S),
        linewidth_design(labels, "rest", fit.TR_S, options.joint_linewidth_regressor),
        options,
    )
    rows = [result.names.index(name) for name in SERIES_TRUTH]
    errors = result.change_percent[0, rows] - list(SERIES_TRUTH.values())
    return list(zip(errors, result.change_se_percent[0, rows]))


def judged(title: str, errors: Errors, limit: float, beside: str) -> list[Figure]:
    """The three figures of one metabolite."""
    n, bias = errors.n, errors.bias
    reach = 2 * errors.bias_se
    lost = f", {errors.failed} without answer" if errors.failed else ""
    note = f"+- {errors.bias_se:.2f}, {n} draws{lost}; {beside}".rstrip("; ")
    least = LEAST_COVERAGE - 200 * (0.93 * 0.07 / n) ** 0.5
    most = MOST_ERROR + 2 * errors.size_se
    return [
        Figure(f"{title}: bias %", bias, f"<= {limit:g}", abs(bias) <= limit + reach, note),
        Figure(
            f"{title}: coverage by the total error %",
            errors.coverage,
            f">= {LEAST_COVERAGE:g}",
            errors.coverage >= least,
            f"held from {least:.1f} with {n} draws",
        ),
        Figure(
            f"{title}: median total error / RMS error",
            errors.size,
            f"<= {MOST_ERROR:g}",
            errors.size <= most,
            f"+- {errors.size_se:.2f}",
        ),
    ]


Drawn = tuple[Fids, tuple[Basis, ...], dict[str, float]]
"""A spectrum, its basis and those that are as reasonable, and its true amplitudes."""


def errors_of(
    draws: Callable[[int, int], Drawn], field_t: int, seed: int, n: int
) -> dict[str, Errors]:
    """Errors of each metabolite of `BIAS_LIMITS` over `n` draws of consecutive seeds."""
    kept: dict[str, list[tuple[float, float]]] = {name: [] for name in BIAS_LIMITS}
    for number in range(n):
        fids, (basis, *others), truth = draws(field_t, seed + number)
        (result,) = fit_average(fids, basis, alternatives=others)
        if result.status == "failed":
            continue
        names, amplitudes, covariance = result.total_with_sums()
        told = np.sqrt(np.diag(covariance))
        for name, pairs in kept.items():
            k = names.index(name)
            pairs.append((amplitudes[k] / truth[name] - 1, told[k] / truth[name]))
    found = {name: np.reshape(pairs, (-1, 2)) for name, pairs in kept.items()}
    return {name: Errors(*rows.T, n - len(rows)) for name, rows in found.items()}


def foreign_draw(field_t: int, seed: int) -> Drawn:
    """A spectrum of the family with the bases that the workflow would make for its site."""
    scan = draw(field_t, seed)
    bases = tuple(one.resampled(*axes(scan.fids)) for one in site_bases(field_t))
    return scan.fids, bases, scan.amplitudes


def macromolecule_draw(field_t: int, seed: int, table: str = "") -> Drawn:
    """A spectrum whose macromolecules alone are foreign, and the exact basis of the rest."""
    tables = (table,) if table else ()
    family = Foreign(setups=(IDEAL[field_t],), tables=tables, **ONLY_MACROMOLECULES)
    scan = draw(field_t, seed, family)
    dwell_s, points, mhz = axes(scan.fids)
    exact = setup_basis(IDEAL[field_t], mhz, points, 1 / dwell_s)
    return scan.fids, (with_macromolecules(exact, "separate"),), scan.amplitudes


def own_draw(field_t: int, seed: int) -> Drawn:
    """A spectrum of the fit's own model, as the old figures have it."""
    name = f"{field_t}T"
    scan = simulate(fit.protocol(name, 1, Foreign().snr_tcr), seed)
    basis, amplitudes = fit.basis_of(name), fit.amplitudes_of(name)
    values = np.array([amplitudes.get(one, 0.0) for one in basis.names])
    names, sums, _ = with_sums(basis.names, values, np.zeros((len(values),) * 2))
    return scan.fids, (basis,), dict(zip(names, sums))


def axes(fids: Fids) -> tuple[float, int, float]:
    """Dwell time (s), points and frequency (MHz), as `Basis.resampled` takes them."""
    return fids.dwell_s, fids.n_points, fids.frequency_mhz


@cache
def site_bases(field_t: int) -> tuple[Basis, ...]:
    """Bases by the workflow's default settings for a site of the family's sequence and TE that does
    not state its TE1, pulses and spacing: the assumed one, and those as reasonable."""
    setup = SETUPS[field_t][0]
    site = Site(
        name="foreign",
        vendor="Siemens",
        field_t=float(field_t),
        sequence=setup.sequence,
        te_s=setup.te_s,
        tr_s=setup.tr_s,
        protocol="own",
        spectral_width_hz=SPECTRAL_WIDTH_HZ[field_t],
    )
    sites = [site, *alternatives(site, complete({}))]
    return tuple(make(one, {}, ROOT, CACHE) for one in sites)

"""Figures of the joint fit under designs and troubles of a scan whose truth is known.

Two families: spectra of the fit's own model (its basis, its macromolecules, Voigt lines), and those
of the family `foreign`, fitted with the basis that the workflow would make. In both the Lorentzian
part of the line narrows, the Gaussian, or both, and the width drifts. Seeds are fixed here; a
figure counts as reached where its band, widened by two Monte Carlo errors, holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

import fit
import foreign
import pairs
import rejection
from figure import ROOT, Figure, skipped
from fmrsflow.basis.files import Basis
from fmrsflow.fids import Fids
from fmrsflow.fit.change import JointResult
from fmrsflow.fit.design import Timing
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import Transients, designs, fit_scan, fit_together
from fmrsflow.fit.scan_means import means_of_scan, plain_designs, series_of_scan
from fmrsflow.response.change import Change
from fmrsflow.response.timecourse import by_condition, changes_over_time, courses
from fmrsflow.response.unit import UnitScan
from fmrsflow.synthetic.foreign import Course, Foreign, draw_series
from fmrsflow.synthetic.scanner import boxcar, haemodynamic

DRAWS, QUICK_DRAWS = 1000, 10
SEED = 41_000
TR_S, BLOCK_S, TRANSIENTS, SNR = 4.0, 64.0, 64, 30.0
GLU, WIDTH_DRIFT_HZ = 3.0, 0.2
"""True change (percent), SD of the drift of the width over a scan."""

SHAPES = {"Lorentzian": 1.0, "Gaussian": 0.0, "mixed": 0.5}
"""Share of the narrowing that the Lorentzian part takes."""

MOST_BIAS = 0.2


@dataclass(frozen=True)
class Scan:
    """A scan to draw.

    Attributes
    ----------
    foreign : bool
        Of that family; else of the fit's own model.
    field : "3T" or "7T"
    lorentzian_share : float
    glu : float
        Change, percent.
    n : int
    block_s, snr : float
    gain_cv, gain_correlation : float
    corrupted : float
        Share of the transients that are turned, shifted, broadened and weakened at random.
    hz_per_min, jitter_hz : float
        Frequency that no one aligned: drift, and SD from one transient to the next.
    sign : 1 or -1
        Of noise, gain and drift of the width of the own model: two scans of one seed and opposite
        signs are mirror images, and their mean error is the bias without most of its scatter.
    """

    foreign: bool = False
    field: str = "7T"
    lorentzian_share: float = 0.5
    glu: float = GLU
    n: int = TRANSIENTS
    block_s: float = BLOCK_S
    snr: float = SNR
    gain_cv: float = 0.0
    gain_correlation: float = 0.0
    corrupted: float = 0.0
    hz_per_min: float = 0.0
    jitter_hz: float = 0.0
    sign: int = 1

    def courses(self) -> tuple[np.ndarray, np.ndarray]:
        """Response of the metabolites and of the width, (n,) each: rest and task in turn."""
        onsets = np.arange(self.block_s, self.n * TR_S, 2 * self.block_s)
        blocks = (onsets, np.full(len(onsets), self.block_s), self.n, TR_S)
        return boxcar(*blocks), haemodynamic(*blocks)

    def draw(self, seed: int) -> tuple[Fids, Basis]:
        """Transients and the basis to fit them with."""
        make = _foreign if self.foreign else _own
        fids, basis = make(self, seed)
        return _troubled(self, fids, seed), basis

    @property
    def labels(self) -> list[str]:
        """Condition of each transient."""
        return ["task" if one > 0.5 else "rest" for one in self.courses()[0]]

    def transients(self, seed: int) -> tuple[Transients, Basis]:
        """A draw as the fit stage gets it."""
        fids, basis = self.draw(seed)
        every, time_s = np.ones(self.n, bool), TR_S * np.arange(self.n)
        labels = tuple(self.labels)
        return Transients(fids, labels, every, every.astype(float), time_s), basis

    def compare(self, seed: int) -> dict[tuple[str, str], Change]:
        """Changes of Glu and tCr by `blocks` and by `timecourse`, default settings."""
        given, basis = self.transients(seed)
        options = FitOptions()
        plain = plain_designs(given.labels, _timing(given), options)
        series = series_of_scan(given, basis, options, plain)
        means = means_of_scan(given, series, _timing(given), options).arrays()
        unit = UnitScan("", {}, {}, (), (), means=means)
        over_time, setting = courses(unit), {"drift_order": 1, "interval": "fieller"}
        found = {}
        for name in ("Glu", "tCr"):
            one = by_condition(unit, name, True)
            found["blocks", name] = one.between("rest", "task", "fieller")
            (change,) = changes_over_time(over_time[name], "rest", ["task"], setting)
            found["timecourse", name] = change
        return found

    def fit(self, seed: int) -> JointResult:
        """Joint fit of a draw by the default settings."""
        fids, basis = self.draw(seed)
        options = FitOptions()
        return fit_joint(fids, basis, *designs(self.labels, TR_S, options), options)


TROUBLES = {
    "gain 2 %, white": Scan(gain_cv=0.02),
    "gain 2 %, AR .8": Scan(gain_cv=0.02, gain_correlation=0.8),
    "10 % corrupted": Scan(corrupted=0.1),
    "0.5 Hz/min": Scan(hz_per_min=0.5),
    "SNR / 3": Scan(snr=SNR / 3),
    "16 transients": Scan(n=16, block_s=16.0),
    "400 transients": Scan(n=400),
    "all at once": Scan(
        gain_cv=0.02, gain_correlation=0.8, corrupted=0.06, hz_per_min=0.5, jitter_hz=0.3
    ),
}


def figures(quick: bool) -> Iterator[Figure]:
    """Figures of one scan and of several in one model."""
    n = QUICK_DRAWS if quick else DRAWS
    seeds = (range(first, first + n) for first in count(SEED, 10_000))
    for family in (False, True):
        for field in fit.FIELDS:
            name = f"{'foreign' if family else 'own'} {field}"
            for shape, share in SHAPES.items():
                yield from judged(f"{name}, {shape}", Scan(family, field, share), next(seeds))
            yield from _null(f"{name}, null", Scan(family, field, glu=0.0), next(seeds))
    for title, scan in TROUBLES.items():
        yield from _covered(f"own 7T, mixed, {title}", scan, next(seeds))
    for family in (False, True):
        for field in fit.FIELDS:
            name = f"{'foreign' if family else 'own'} {field}"
            six = Scan(family, field, n=96)
            yield from _means(f"{name}, 6 blocks", six, next(seeds))
            null = replace(six, block_s=32.0, glu=0.0)
            yield from _means(f"{name}, 12 blocks, null", null, next(seeds))
    gain = Scan(n=96, block_s=32.0, gain_cv=0.02, gain_correlation=0.8)
    yield from _means("own 7T, 12 blocks, gain 2 %, AR .8", gain, next(seeds))
    for title, scan in TROUBLES.items():
        null = replace(scan, glu=0.0)
        yield from _null(f"own 7T, mixed, {title}, null", null, next(seeds))
    foreign_one = replace(TROUBLES["all at once"], foreign=True)
    yield from _covered("foreign 7T, mixed, all at once", foreign_one, next(seeds))
    for one in (Scan(corrupted=0.1), Scan(foreign=True, field="3T", corrupted=0.1)):
        name = f"{'foreign' if one.foreign else 'own'} {one.field}"
        for line in rejection.figures(one, TR_S, quick):
            yield replace(line, name=f"{name}, {line.name}")
    yield from _speed()
    yield from pairs.figures(quick)


@dataclass(frozen=True)
class Errors:
    """Errors of a change over draws, and the standard errors that came with them (points)."""

    error: np.ndarray
    told: np.ndarray

    @property
    def bias_se(self) -> float:
        """Monte Carlo error of the bias."""
        return float(self.error.std(ddof=1) / len(self.error) ** 0.5)

    @property
    def coverage(self) -> float:
        """Draws whose 95 % interval holds the truth, percent."""
        return float(100 * np.mean(np.abs(self.error) < 1.96 * self.told))

    @property
    def ratio(self) -> float:
        """SD of the errors over their root mean squared standard error."""
        return float(self.error.std(ddof=1) / np.sqrt(np.mean(self.told**2)))


def drawn(scan: Scan, seeds: range) -> tuple[dict[str, Errors], str]:
    """Errors of Glu and tCr over draws, and what else is worth a note."""
    truth = {"Glu": scan.glu, "tCr": 0.0}
    fits = [scan.fit(seed) for seed in seeds]
    found = {}
    for name, change in truth.items():
        rows = [one.names.index(name) for one in fits]
        error = np.array([one.change_percent[0, k] - change for one, k in zip(fits, rows)])
        told = np.array([one.change_se_percent[0, k] for one, k in zip(fits, rows)])
        found[name] = Errors(error, told)
    kept = 100 * np.mean([one.kept.mean() for one in fits])
    return found, f"{len(seeds)} scans, kept {kept:.1f} %"


def judged(title: str, scan: Scan, seeds: range) -> Iterator[Figure]:
    """Bias, coverage and size of the errors of a kind of scan."""
    found, note = drawn(scan, seeds)
    for name, one in found.items():
        yield _bias(f"{title}, {name}: bias, points", one, note)
        yield _coverage(f"{title}, {name}: coverage %", one, 93.0)
        yield _size(f"{title}, {name}: SD / SE", one, 1.05)


def _means(title: str, scan: Scan, seeds: range) -> Iterator[Figure]:
    """Errors of `blocks` and `timecourse`; where nothing changes, their mean as well."""
    truth = {"Glu": scan.glu, "tCr": 0.0}
    found = [scan.compare(seed) for seed in seeds]
    for estimator, name in found[0]:
        changes = [one[estimator, name] for one in found]
        error = np.array([change.percent - truth[name] for change in changes])
        one = Errors(error, np.array([change.se for change in changes]))
        named, note = f"{title}, `{estimator}`, {name}", f"{len(seeds)} scans"
        if not scan.glu:
            yield _bias(f"{named}: mean change, points", one, note)
        note = f"bias {one.error.mean():+.2f} +- {one.bias_se:.2f}, {note}"
        yield replace(_coverage(f"{named}: coverage %", one, 93.0), note=note)
        yield _size(f"{named}: SD / SE", one, 1.08)


def _null(title: str, scan: Scan, seeds: range) -> Iterator[Figure]:
    found, note = drawn(scan, seeds)
    for name, one in found.items():
        yield _bias(f"{title}, {name}: mean change, points", one, note)


def _covered(title: str, scan: Scan, seeds: range) -> Iterator[Figure]:
    found, note = drawn(scan, seeds)
    for name, one in found.items():
        size = f"{note}; bias {one.error.mean():+.2f} +- {one.bias_se:.2f}, SD / SE {one.ratio:.2f}"
        yield replace(_coverage(f"{title}, {name}: coverage %", one, 92.0), note=size)


def _bias(name: str, errors: Errors, note: str) -> Figure:
    bias = float(errors.error.mean())
    good = abs(bias) <= MOST_BIAS + 2 * errors.bias_se
    return Figure(name, bias, f"within +-{MOST_BIAS:g}", good, f"+- {errors.bias_se:.2f}, {note}")


def _coverage(name: str, errors: Errors, least: float) -> Figure:
    reach = 200 * (0.95 * 0.05 / len(errors.error)) ** 0.5
    good = least - reach <= errors.coverage <= 97 + reach
    return Figure(name, errors.coverage, f"{least:g}-97", good)


def _size(name: str, errors: Errors, most: float) -> Figure:
    """Whether the errors are as large as they are said to be."""
    reach = 2 / (2 * len(errors.error)) ** 0.5
    good = 0.95 - reach <= errors.ratio <= most + reach
    note = f"SD {errors.error.std(ddof=1):.2f}"
    return Figure(name, errors.ratio, f"0.95-{most:g}", bool(good), note)


def configuration(page: str, setting: str) -> str:
    """The YAML in a page of the docs that has a setting."""
    text = (ROOT / "docs" / page).read_text()
    (block,) = (one for one in text.split("```yaml")[1:] if setting in one.split("```")[0])
    return block.split("```")[0].strip()


def ten_lines(design: str, page: str, setting: str) -> Figure:
    """Whether the docs need ten lines of configuration for a design, and no more."""
    n = len(configuration(page, setting).splitlines())
    return Figure(f"{design}: lines of YAML in docs/{page}", str(n), "<= 10", n <= 10)


def _speed() -> Iterator[Figure]:
    for n, limit in ((64, 0.15), (320, 0.25)):
        scan = Scan(n=n)
        fids, basis = scan.draw(SEED)
        both = designs(scan.labels, TR_S, FitOptions())
        spent = fit.cpu_s(lambda f=fids, b=basis, d=both: fit_joint(f, b, *d), 3)
        yield Figure(f"joint fit, {n} transients, CPU s", spent, f"<= {limit:g}", spent <= limit)
    yield skipped(
        "joint fit averaged over models, 64 transients, CPU s",
        "<= 0.6",
        "there is none: what a model gets wrong is common to both conditions",
    )
    scan = Scan()
    given, basis = scan.transients(SEED)
    spent = fit.cpu_s(lambda: _whole_stage(given, basis), 3)
    name = f"all fits of a scan of {scan.n} transients, CPU s"
    yield Figure(name, spent, "<= 1", spent <= 1.0)


def _timing(given: Transients) -> Timing:
    return Timing.of_labels(given.labels, given.time_s)


def _whole_stage(given: Transients, basis: Basis) -> None:
    """Averages of conditions, means and joint fit, as the stage makes them."""
    options, names = FitOptions(), ["rest", "task"]
    rows = [np.array([label == name for label in given.labels]) for name in names]
    average = given.fids.with_data(np.concatenate([given.mean(one).data for one in rows]))
    fit_scan(given, names, average, None, basis, options)
    plain = plain_designs(given.labels, _timing(given), options)
    series = series_of_scan(given, basis, options, plain)
    means_of_scan(given, series, _timing(given), options)
    fit_together(given, *plain, basis, options, series)


def _own(scan: Scan, seed: int) -> tuple[Fids, Basis]:
    """Transients of the fit's own model, a person each seed."""
    rng = np.random.default_rng((seed, 1))
    basis, normal = fit.basis_of(scan.field), fit.amplitudes_of(scan.field)
    _, _, te_s, lorentz, gauss, narrowing = fit.FIELDS[scan.field]
    response, bold = scan.courses()
    person = np.array([normal.get(name, 0.0) for name in basis.names])
    person *= np.exp(0.1 * rng.standard_normal(len(person)))
    amplitudes = np.tile(person, (scan.n, 1))
    amplitudes[:, basis.names.index("Glu")] *= 1 + scan.glu / 100 * response
    drift = scan.sign * WIDTH_DRIFT_HZ * rng.standard_normal()
    lost = narrowing * bold - drift * np.linspace(-0.5, 0.5, scan.n)
    axes = (basis.dwell_s, basis.frequency_mhz, te_s, TR_S)
    rest = Fids((person @ basis.fids)[None, None], *axes).broadened(lorentz, gauss)
    height = rest.spectra[0, 0, (rest.ppm > 2.9) & (rest.ppm < 3.1)].real.max()
    fids = Fids((amplitudes @ basis.fids)[:, None], *axes).broadened(
        lorentz - scan.lorentzian_share * lost, gauss - (1 - scan.lorentzian_share) * lost
    )
    data = fids.transients * _gains(scan, rng)[:, None]
    noise = rng.standard_normal((*data.shape, 2)).view(complex)[..., 0]
    # The spectrum's first point is halved: n - 3/4 points' worth of noise.
    sd = height / scan.snr / np.sqrt(basis.n_points - 0.75)
    return fids.with_data(data + scan.sign * sd * noise), basis


def _gains(scan: Scan, rng: np.random.Generator) -> np.ndarray:
    steps, rho = rng.standard_normal(scan.n), scan.gain_correlation
    course = steps.copy()
    for j in range(1, scan.n):
        course[j] = rho * course[j - 1] + np.sqrt(1 - rho**2) * steps[j]
    return 1 + scan.sign * scan.gain_cv * course


def _foreign(scan: Scan, seed: int) -> tuple[Fids, Basis]:
    """Transients of the family, which has a gain of its own."""
    response, bold = scan.courses()
    family = Foreign(
        snr_tcr=scan.snr,
        lorentzian_share=scan.lorentzian_share,
        width_drift_hz=WIDTH_DRIFT_HZ,
    )
    course = Course(response, bold, {"Glu": scan.glu})
    made = draw_series(int(scan.field[0]), seed, course, family)
    fids = replace(made.fids, tr_s=TR_S)
    basis = foreign.site_bases(int(scan.field[0]))[0]
    return fids, basis.resampled(*foreign.axes(fids))


def _troubled(scan: Scan, fids: Fids, seed: int) -> Fids:
    """Transients as an alignment and a rejection would leave them that did nothing."""
    rng = np.random.default_rng((seed, 2))
    minutes = np.arange(scan.n) * TR_S / 60
    hertz = scan.hz_per_min * minutes + scan.jitter_hz * rng.standard_normal(scan.n)
    size, phase, width = np.ones(scan.n), np.zeros(scan.n), np.zeros(scan.n)
    bad = rng.choice(scan.n, round(scan.corrupted * scan.n), replace=False)
    size[bad] += rng.uniform(-0.5, 0.1, len(bad))
    phase[bad] = rng.uniform(-1.5, 1.5, len(bad))
    hertz[bad] += rng.normal(0.0, 8.0, len(bad))
    width[bad] = rng.uniform(0.0, 15.0, len(bad))
    turned = np.outer(2j * np.pi * hertz - np.pi * width, fids.time_s) + 1j * phase[:, None]
    return fids.with_data(fids.transients * size[:, None] * np.exp(turned))

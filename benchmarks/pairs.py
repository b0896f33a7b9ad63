"""Figures of the joint fit of two scans, rest and task, whose truth is known.

Two families as in `designs`: spectra of the fit's own model, and those of the family `foreign` with
the basis that the workflow would make. Each scan has a width, phase, frequency and baseline of its
own; in the second one lines are narrower as BOLD makes them, and the receiver has another gain,
which the waters tell to 1 % each. A pair is judged under both scalings, beside separate fits of the
two averages, and once more as if the gain were known: what the waters bring is common to both fits.
The means of conditions (`blocks`) are judged by the waters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

import fit
import foreign
from figure import Figure
from fmrsflow.basis.files import Basis
from fmrsflow.basis.simulate import broad_fids
from fmrsflow.fids import Fids, to_spectrum
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.pair import Scaling, UnitFit, fit_unit
from fmrsflow.fit.scan_form import ScanOfUnit
from fmrsflow.metabolites import with_sums
from fmrsflow.synthetic.foreign import Course, Foreign, draw_series

DRAWS, NULL_DRAWS, QUICK_DRAWS = 1000, 300, 10
"""Pairs where coverage is judged, where a mean is, and of either in the quick form."""

SEED = 46_000
TR_S, TRANSIENTS, SNR = 4.0, 64, 30.0
GLU = 3.0
WATER = 0.01
"""Standard error of each water amplitude, relative."""

WIDTH_CV, PHASE_RAD, OFFSET_HZ, BASELINE, GAIN_CV = 0.1, 0.1, 1.0, 0.04, 0.1
"""What differs between two scans of the own family: widths (relative), phase, frequency, heights of
three broad lines over the largest peak; gain of the receiver in both families."""

MOST_BIAS, NULL_BIAS = 0.3, 0.2


@dataclass(frozen=True)
class Pair:
    """A pair of scans to draw.

    Attributes
    ----------
    foreign : bool
    field : "3T" or "7T"
    glu : float
        Change, percent.
    n : int
        Transients of each scan.
    """

    foreign: bool = False
    field: str = "7T"
    glu: float = GLU
    n: int = TRANSIENTS

    def draw(self, seed: int) -> tuple[list[Fids], Basis, float]:
        """Rest and task, their basis, and the gain of the second over the first."""
        rng = np.random.default_rng((seed, 3))
        gain = float(np.exp(GAIN_CV * rng.standard_normal()))
        make = self._foreign if self.foreign else self._own
        rest, task = (make(seed, visit) for visit in (0, 1))
        task = task.with_data(gain * task.data)
        if not self.foreign:
            return [rest, task], fit.basis_of(self.field), gain
        basis = foreign.site_bases(int(self.field[0]))[0]
        return [rest, task], basis.resampled(*foreign.axes(rest)), gain

    def _own(self, seed: int, visit: int) -> Fids:
        """A scan of the fit's own model."""
        basis, normal = fit.basis_of(self.field), fit.amplitudes_of(self.field)
        _, _, te_s, lorentz, gauss, narrowing = fit.FIELDS[self.field]
        person, scan = (np.random.default_rng((seed, 1, one)) for one in (0, 1 + visit))
        rest = np.array([normal.get(name, 0.0) for name in basis.names])
        rest *= np.exp(0.1 * person.standard_normal(len(rest)))
        amplitudes = rest.copy()
        amplitudes[basis.names.index("Glu")] *= 1 + visit * self.glu / 100
        widths = np.array([lorentz, gauss]) * np.exp(WIDTH_CV * scan.standard_normal(2))
        axes = (basis.dwell_s, basis.frequency_mhz, te_s, TR_S)
        still = Fids((rest @ basis.fids)[None, None], *axes).broadened(lorentz, gauss)
        near = (still.ppm > 2.9) & (still.ppm < 3.1)
        height = float(still.spectra[0, 0, near].real.max())
        fids = Fids((amplitudes @ basis.fids)[None, None], *axes)
        fids = fids.broadened(
            widths[0] - 0.5 * visit * narrowing, widths[1] - 0.5 * visit * narrowing
        )
        whole = fids.transients[0] + _humps(basis, still, scan)
        turn = scan.standard_normal(2) * (PHASE_RAD, OFFSET_HZ)
        whole = whole * np.exp(1j * (turn[0] + 2 * np.pi * turn[1] * fids.time_s))
        noise = scan.standard_normal((self.n, len(whole), 2)).view(complex)[..., 0]
        sd = height / SNR / np.sqrt(len(whole) - 0.75)
        return replace(fids, data=(whole + sd * noise)[:, None])

    def _foreign(self, seed: int, visit: int) -> Fids:
        """A scan of the family."""
        family = Foreign(snr_tcr=SNR, lorentzian_share=0.5, visit=visit)
        on = np.full(self.n, float(visit))
        made = draw_series(int(self.field[0]), seed, Course(on, on, {"Glu": self.glu}), family)
        return replace(made.fids, tr_s=TR_S)


def _humps(basis: Basis, still: Fids, rng: np.random.Generator) -> np.ndarray:
    """Three broad lines of either sign."""
    lines = np.column_stack([rng.uniform(0.5, 4.2, 3), rng.uniform(1.0, 1.6, 3), np.ones(3)])
    made = broad_fids(
        {n: (line,) for n, line in enumerate(lines)},
        basis.frequency_mhz,
        basis.n_points,
        basis.dwell_s,
    )
    inside = (still.ppm > 0.2) & (still.ppm < 4.2)
    largest = still.spectra[0, 0, inside].real.max()
    heights = BASELINE * largest * rng.standard_normal(3)
    return (heights / to_spectrum(made).real.max(axis=1)) @ made


MEANS = FitOptions(joint_macromolecules="free")


def fitted(
    scans: list[Fids], basis: Basis, options: FitOptions | None = None, drift: int = 1
) -> UnitFit:
    """The pair in one model."""
    parts = []
    for number, fids in enumerate(scans):
        n = fids.n_transients
        course, time = np.full((n, 1), float(number)), np.linspace(-1, 1, n)
        parts.append(
            ScanOfUnit(fids, basis, course, np.zeros((n, 0)), np.tile(time[:, None], drift))
        )
    return fit_unit(parts, ("task",), options)


def scalings(unit: UnitFit, gain: float, seed: int) -> dict[str, Scaling]:
    """By the water, measured with its errors, to what does not respond, and as it is."""
    error = WATER * 2**0.5
    told = gain * np.exp(error * np.random.default_rng((seed, 4)).standard_normal())
    scatter = max(np.hypot(*unit.gain_sd), 1e-6)
    sd = np.array([0.0, np.hypot(error, scatter)])
    return {
        "water": Scaling("water", np.array([1.0, told]), sd),
        "stable": Scaling("stable", np.ones(2), np.array([0.0, np.inf]), to_stable=True),
        "known": Scaling("known", np.array([1.0, gain]), np.array([0.0, scatter])),
    }


def separate(scans: list[Fids], basis: Basis, ways: dict[str, Scaling]):
    """Changes by separate fits of the two averages, scaled by the gain, and as ratio to tCr."""
    values = []
    for fids in scans:
        (one,) = fit_average(fids.mean(), basis)
        names, amplitudes, _ = with_sums(one.names, one.amplitudes, one.covariance)
        values.append(dict(zip(names, amplitudes)))
    rest, task = values
    scaled = {
        way: {
            name: 100 * (task[name] / float(ways[way].ratio[1]) / rest[name] - 1)
            for name in ("Glu", "tCr")
        }
        for way in ("water", "known")
    }
    ratio = 100 * (task["Glu"] / task["tCr"] / (rest["Glu"] / rest["tCr"]) - 1)
    return {**scaled, "stable": {"Glu": ratio}}


def drawn(pair: Pair, seeds: range, beside: bool = True):
    """Error, standard error and error of separate fits (points) of each metabolite under each
    scaling, arrays (n, 3)."""
    found: dict[tuple[str, str], list] = {}
    for seed in seeds:
        scans, basis, gain = pair.draw(seed)
        unit = fitted(scans, basis)
        ways = scalings(unit, gain, seed)
        other = separate(scans, basis, ways) if beside else {}
        told = {way: unit.changes(scaling) for way, scaling in ways.items()}
        told["means"] = fitted(scans, basis, MEANS, drift=0).changes(ways["water"])
        for way, change in told.items():
            for name, truth in (("Glu", pair.glu), ("tCr", 0.0)):
                k = change.names.index(name)
                value, se = change.percent[0, k], change.covariance[0, k, k] ** 0.5
                apart = other.get(way, {}).get(name, np.nan)
                found.setdefault((way, name), []).append((value - truth, se, apart - truth))
    return {key: np.array(rows) for key, rows in found.items() if np.isfinite(rows[0][0])}


def figures(quick: bool) -> Iterator[Figure]:
    """All figures of two scans."""
    n, nulls = (QUICK_DRAWS,) * 2 if quick else (DRAWS, NULL_DRAWS)
    seeds = (range(first, first + n) for first in count(SEED, 10_000))
    for family in (False, True):
        for field in fit.FIELDS:
            title = f"two scans, {'foreign' if family else 'own'} {field}"
            yield from _judged(title, Pair(family, field), next(seeds))
            null = Pair(family, field, 0.0)
            yield from _null(f"{title}, null", null, next(seeds)[:nulls])
    yield _speed()


def _judged(title: str, pair: Pair, seeds: range) -> Iterator[Figure]:
    n, found = len(seeds), {key: rows.T for key, rows in drawn(pair, seeds).items()}
    for (way, name), (error, told, apart) in found.items():
        label = f"{title}, {way}, {name}"
        yield _bias(label, error, MOST_BIAS)
        reach = 200 * (0.95 * 0.05 / n) ** 0.5
        held = float(100 * np.mean(np.abs(error) < 1.96 * told))
        size = f"SD {error.std(ddof=1):.2f}, SD / SE {_ratio(error, told):.2f}"
        good = 93 - reach <= held <= 97 + reach
        yield Figure(f"{label}: coverage %", held, "93-97", bool(good), size)
        if np.isfinite(apart).all():
            share = float(error.std(ddof=1) / apart.std(ddof=1))
            good = share * (1 - 2 / n**0.5) <= 0.8
            note = f"separate fits {apart.std(ddof=1):.2f}, bias {apart.mean():+.2f}"
            if way == "water":
                note += (
                    f"; by what both are with a known gain {_expected(*found['known', name]):.2f}"
                )
            yield Figure(f"{label}: SD / SD of separate fits", share, "<= 0.8", bool(good), note)


def _expected(error: np.ndarray, _, apart: np.ndarray) -> float:
    """Ratio of SDs under waters, closed form: their error, common to both fits, added to the
    scatter that each has with a known gain."""
    water = 2 * (100 * WATER) ** 2
    return float(np.sqrt((error.var(ddof=1) + water) / (apart.var(ddof=1) + water)))


def _null(title: str, pair: Pair, seeds: range) -> Iterator[Figure]:
    for (way, name), rows in drawn(pair, seeds, beside=False).items():
        yield _bias(f"{title}, {way}, {name}", rows[:, 0], NULL_BIAS)


def _ratio(error: np.ndarray, told: np.ndarray) -> float:
    return float(error.std(ddof=1) / np.sqrt(np.mean(told**2)))


def _bias(label: str, error: np.ndarray, most: float) -> Figure:
    bias, se = float(error.mean()), float(error.std(ddof=1) / len(error) ** 0.5)
    good = abs(bias) <= most + 2 * se
    note = f"+- {se:.2f}, {len(error)} pairs"
    return Figure(f"{label}: bias, points", bias, f"within +-{most:g}", bool(good), note)


def _speed() -> Figure:
    scans, basis, gain = Pair(n=128).draw(SEED)

    def whole() -> None:
        unit = fitted(scans, basis)
        for scaling in scalings(unit, gain, 1).values():
            unit.changes(scaling)

    spent = fit.cpu_s(whole, 3)
    return Figure("joint fit of two scans of 128 transients, CPU s", spent, "<= 0.4", spent <= 0.4)

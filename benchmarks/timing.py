"""Figures of scans whose transients are means of several excitations, and of scans with water
between their transients. Truth and seeds as in `designs`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

import fit
from designs import TR_S, Errors, Scan, ten_lines
from figure import Figure
from fmrsflow.fids import Fids
from fmrsflow.fit.design import Design, Timing
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.nuisance import water_design
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import designs
from fmrsflow.preprocess.scan import Combined, combined
from fmrsflow.preprocess.timing import Timing as Excited

DRAWS, QUICK_DRAWS = 1000, 6
SEED = 52_000
EACH = 8
"""Excitations of a mean."""

EVERY = 16
"""Transients between two of water."""

GAIN = 0.02
"""What the receiver gains while the task runs."""

WANDER_HZ, WANDER_S = 0.3, 128.0
"""SD and period of what the width does beside BOLD and drift: as long as rest and task together."""

WATER_HZ, WATER_TIMES = 9.0, 5e3
"""Lorentzian width of the water, and its size over the largest point of a transient."""

MOST_BIAS = 0.3
NAMES = {"Glu": 3.0, "tCr": 0.0}


def figures(quick: bool) -> Iterator[Figure]:
    """Figures of both kinds of scan."""
    n = QUICK_DRAWS if quick else DRAWS
    yield from _of_means(range(SEED, SEED + n))
    yield ten_lines("time-resolved water", "preprocess.md", "water_scaling")
    yield from _of_water(range(SEED + 10_000, SEED + 10_000 + n))
    yield from _of_wander(range(SEED + 20_000, SEED + 20_000 + n))


def _of_means(seeds: range) -> Iterator[Figure]:
    """Blocks of 128 s in rows of eight excitations at a TR of 4 s."""
    scan = Scan(n=256, block_s=128.0)
    onsets = np.arange(scan.block_s, scan.n * TR_S, 2 * scan.block_s)
    events = [{"onset": t, "duration": scan.block_s, "trial_type": "task"} for t in onsets]
    labels = scan.labels[::EACH]
    within = TR_S * (np.arange(EACH) - (EACH - 1) / 2)
    timing = Timing(TR_S * EACH * np.arange(len(labels)) - within[0], events, within)
    found = {name: [] for name in NAMES}
    for seed in seeds:
        fids, basis = scan.draw(seed)
        rows = fids.transients.reshape(-1, EACH, fids.n_points).mean(axis=1)
        design, width = designs(labels, timing, FitOptions())
        _add(found, fit_joint(fids.with_data(rows), basis, design, width))
    yield from _told("rows of 8 excitations", found)


def _of_water(seeds: range) -> Iterator[Figure]:
    """One water transient before each 16, a gain that follows the task, and the water's width."""
    scan = Scan(n=128)
    excited = Excited.of(scan.n, 1, TR_S, np.arange(scan.n // EVERY) * (EVERY + 1))
    response, bold = scan.courses()
    first = np.arange(0, scan.n, EVERY)  # water shows the transient that follows it
    narrowing = fit.FIELDS[scan.field][-1]
    # The water before a block tells of the gain in it where it is scaled by the nearest.
    gain = 1 + GAIN * np.interp(excited.scan_at, excited.water_at, response[first])
    design, width = designs(scan.labels, TR_S, FitOptions())
    found = {name: [] for name in NAMES}
    offs = []
    for seed in seeds:
        fids, basis = scan.draw(seed)
        water = _water(fids, 1 + GAIN * response[first], narrowing * bold[first], seed)
        given = fids.with_data(fids.transients * gain[:, None])
        clean = combined(given, water, True, excited, scale=True)
        _add(found, fit_joint(clean.fids, basis, design, width))
        offs.append(_narrowing(clean, bold[first], response[first] > 0.5, narrowing))
    yield from _told("water before each 16 transients, gain 2 % with the task", found)
    bias, se = float(np.mean(offs)), float(np.std(offs, ddof=1) / len(offs) ** 0.5)
    good = abs(bias) <= 0.02 + 2 * se
    note = f"+- {se:.3f}, {len(offs)} scans"
    yield Figure("width of the water, task less rest, Hz: bias", bias, "within +-0.02", good, note)


@dataclass(frozen=True)
class Wandering(Scan):
    """A scan whose lines also widen and narrow in turn, by WANDER_HZ (SD), with the blocks but not
    as BOLD does."""

    def courses(self) -> tuple[np.ndarray, np.ndarray]:
        """Response of the metabolites and of the width."""
        response, bold = super().courses()
        turns = np.sin(2 * np.pi * TR_S * np.arange(self.n) / WANDER_S + 1.0)
        return response, bold + 2**0.5 * WANDER_HZ / fit.FIELDS[self.field][-1] * turns


def _of_wander(seeds: range) -> Iterator[Figure]:
    """Water after each fourth transient tells what the width does beside BOLD and drift."""
    scan = Wandering(n=128)
    _, narrower = scan.courses()
    first = np.arange(0, scan.n, 4)
    timing = Timing.of_labels(scan.labels, TR_S * np.arange(scan.n))
    design, width = designs(scan.labels, timing, FitOptions())
    excited = Excited.of(scan.n, 1, TR_S, 5 * np.arange(len(first)) + 1)
    found = {known: {name: [] for name in NAMES} for known in (True, False)}
    for seed in seeds:
        fids, basis = scan.draw(seed)
        lost = fit.FIELDS[scan.field][-1] * narrower[first]
        clean = combined(fids, _water(fids, np.ones(len(first)), lost, seed), True, excited)
        rows = clean.course.rows(TR_S, [""] * len(first))
        # Water stands between two transients; here it takes no time of its own.
        rows = [row | {"time_s": TR_S * j} for row, j in zip(rows, first)]
        for known, told in found.items():
            _add(told, fit_joint(clean.fids, basis, design, _known(known, rows, timing, width)))
    yield from _told("width wanders, water after each 4th transient", found[True])
    for name, values in found[False].items():
        errors = Errors(*np.array(values).T)
        note = f"bias {errors.error.mean():+.2f} +- {errors.bias_se:.2f}"
        title = f"width wanders, its course not known, {name}: coverage %"
        yield Figure(title, errors.coverage, "reported", True, note)


def _known(known: bool, rows: list[dict], timing: Timing, width: Design) -> Design:
    return water_design(rows, timing, width) if known else width


def _water(fids: Fids, gain: np.ndarray, narrower_hz: np.ndarray, seed: int) -> Fids:
    """Unsuppressed water with the noise of the transients."""
    rng = np.random.default_rng((seed, 3))
    size = WATER_TIMES * np.abs(fids.transients).max()
    decay = np.outer(np.pi * (WATER_HZ - narrower_hz), fids.time_s)
    noise = np.abs(np.diff(fids.transients[:, -256:], axis=1)).std() / np.sqrt(2)
    shape = (len(gain), fids.n_points)
    random = rng.normal(size=(*shape, 2)).view(complex)[..., 0]
    return replace(fids, data=(size * gain[:, None] * np.exp(-decay) + noise * random)[:, None])


def _narrowing(clean: Combined, bold: np.ndarray, task: np.ndarray, narrowing: float) -> float:
    """What the water's width is off by, task less rest, Hz."""
    rows = clean.course.rows(TR_S, [""] * len(bold))
    widths = np.array([row["linewidth_hz"] for row in rows])
    truth = -narrowing * (bold[task].mean() - bold[~task].mean())
    return float(widths[task].mean() - widths[~task].mean() - truth)


def _add(found: dict, one) -> None:
    for name, truth in NAMES.items():
        k = one.names.index(name)
        told = float(one.change_se_percent[0, k])
        found[name].append((float(one.change_percent[0, k]) - truth, told))


def _told(title: str, found: dict) -> Iterator[Figure]:
    for name, values in found.items():
        errors = Errors(*np.array(values).T)
        bias, note = float(errors.error.mean()), f"+- {errors.bias_se:.2f}, {len(values)} scans"
        good = abs(bias) <= MOST_BIAS + 2 * errors.bias_se
        yield Figure(f"{title}, {name}: bias, points", bias, f"within +-{MOST_BIAS:g}", good, note)
        reach = 200 * (0.95 * 0.05 / len(values)) ** 0.5
        good = 92 - reach <= errors.coverage <= 97 + reach
        yield Figure(f"{title}, {name}: coverage %", errors.coverage, "92-97", good)

"""Responses to blocks and events under shapes that the fit does not know: what is observed, and the
plateau behind it.

Scans are those of `designs`; the true response is made on a grid of 10 ms, by filters and densities
that the fit does not use. Each scan is drawn twice, with noise and drift of the width of opposite
signs: the mean error of such a pair is the bias, and most of the scatter is not in it. All rows of
a design have the same seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import yaml
from scipy.signal import lfilter
from scipy.stats import gamma

from designs import TR_S, Scan, configuration, ten_lines
from figure import Figure
from fmrsflow.events import conditions, without_strays
from fmrsflow.fit.change import JointResult
from fmrsflow.fit.design import Timing
from fmrsflow.fit.joint import fit_joint_models
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import designs, joint_rest, shape_designs
from fmrsflow.sites.plateau import weighed, withheld

SEED = 91_000
STUDIES, QUICK_STUDIES, SCANS = 8, 1, 10
"""Studies of a row, each with its mirror image, and scans of a study."""

GLU, FINE_S = 3.3, 0.01
SHAPES = ("boxcar", "hrf", "exponential_30s")
PAUSES_S = {64: 64, 32: 32, 16: 16, 8: 16}
"""Length of blocks and the rest between them, s."""

PAIRS = 8
"""Scans with and without a response, noise alike, that show what a boxcar reads of it."""

FOREIGN = 1000
"""Scans of each design whose spectra are of the family `foreign`."""

NESTED = 100
"""Pairs of scans of the nested design."""

MOST_BIAS, MOST_PLATEAU_BIAS, MOST_FACTOR = 0.2, 0.3, 0.05


def true_course(shape: str, spans, time_s: np.ndarray) -> np.ndarray:
    """Response to (onset, duration) pairs, plateau 1, on a fine grid."""
    grid = np.arange(0.0, time_s[-1] + 1.0, FINE_S)
    box = np.zeros(len(grid))
    for onset, duration in spans:
        box[(grid >= onset - 1e-9) & (grid < onset + duration - 1e-9)] = 1.0
    if shape == "boxcar":
        course = box
    elif shape == "hrf":
        t = np.arange(0.0, 32.0, FINE_S) + FINE_S / 2
        h = gamma.pdf(t, 6) - gamma.pdf(t, 16) / 6
        course = lfilter(h / h.sum(), 1.0, box)
    else:
        step = FINE_S / 30.0
        course = lfilter([step], [1.0, step - 1.0], box)
    return course[np.round(time_s / FINE_S).astype(int)]


@dataclass(frozen=True)
class Timed(Scan):
    """A scan of blocks of `on_s` (0: stimuli of 1 s between excitations) and a true shape."""

    glu: float = GLU
    on_s: int = 64
    shape: str = "boxcar"

    @cached_property
    def spans(self) -> list[tuple[float, float]]:
        """Onsets and durations of the events, s."""
        end = self.n * TR_S - 1.0
        if self.on_s:
            rest = PAUSES_S[self.on_s]
            return [(t, float(self.on_s)) for t in np.arange(rest, end, self.on_s + rest)]
        rng, time, found = np.random.default_rng(3), 12.0, []
        while time < end - 11.0:
            found.append((round(time + rng.uniform(0.2, 2.8), 2), 1.0))
            time += TR_S * rng.integers(4, 7)
        return found

    @cached_property
    def timing(self) -> Timing:
        """Times of excitation and events."""
        events = [{"onset": a, "duration": d, "trial_type": "task"} for a, d in self.spans]
        return Timing(TR_S * np.arange(self.n), events)

    @cached_property
    def labels(self) -> list[str]:
        """Condition of each transient."""
        return conditions(self.timing.events, self.n, TR_S)

    def courses(self) -> tuple[np.ndarray, np.ndarray]:
        """Response of the metabolites and of the width."""
        time_s = self.timing.time_s
        response = true_course(self.shape, self.spans, time_s)
        if self.shape == "boxcar" and not self.on_s:
            response = np.array([label == "task" for label in self.labels], float)
        return response, true_course("hrf", self.spans, time_s)

    @property
    def observed(self) -> float:
        """True mean over task less mean over rest, the design's drift taken off, percent."""
        design, _ = designs(self.labels, self.timing, FitOptions())
        order = len(design.names) - len(design.contrasts) - 1
        box = np.array([label == "task" for label in self.labels], float)
        others = np.vander(np.linspace(-1, 1, self.n), order + 1)
        left = box - others @ np.linalg.lstsq(others, box, rcond=None)[0]
        return float(self.glu * (left @ self.courses()[0]) / (left @ box))

    def fit(self, seed: int) -> JointResult:
        """Joint fit of a draw by the default settings, under all shapes."""
        fids, basis = self.draw(seed)
        options = FitOptions()
        design, width = designs(self.labels, self.timing, options)
        shapes = shape_designs(self.labels, self.timing, options)
        return fit_joint_models(fids, basis, design, (width,), options, shapes=shapes)[0]


Mirrored = tuple[list[JointResult], list[JointResult]]
"""Fits of scans, and of their mirror images."""


def figures(quick: bool) -> Iterator[Figure]:
    """Observed differences and plateaus of each design under each true shape, and the nulls."""
    n = SCANS * (QUICK_STUDIES if quick else STUDIES)
    for first, on_s in zip(range(SEED, SEED + 10_000, 1000), (64, 32, 16, 8, 0)):
        name = f"blocks of {on_s} s" if on_s else "events of 1 s"
        seeds = range(first, first + n)
        for shape in SHAPES:
            scan = Timed(on_s=on_s, shape=shape)
            yield from _judged(f"{name}, {shape}", scan, _mirrored(scan, seeds))
            yield _factors(f"{name}, {shape}", scan)
        null = Timed(on_s=on_s, glu=0.0)
        yield _observed(f"{name}, null", 0.0, _mirrored(null, seeds))
    yield from _nested(quick, SEED + 20_000)
    yield from _foreign(quick, SEED + 30_000)
    yield _strays()


def _mirrored(scan: Timed, seeds: range) -> Mirrored:
    return tuple([replace(scan, sign=sign).fit(seed) for seed in seeds] for sign in (1, -1))


def _foreign(quick: bool, first: int) -> Iterator[Figure]:
    """Spectra that the fit's model did not make. They have no mirror images: more scans."""
    seeds = range(first, first + (SCANS if quick else FOREIGN))
    for on_s, name in ((64, "blocks of 64 s"), (16, "blocks of 16 s"), (0, "events of 1 s")):
        for glu, what in ((GLU, "hrf"), (0.0, "null")):
            scan = Timed(foreign=True, on_s=on_s, shape="hrf", glu=glu)
            fits = ([scan.fit(seed) for seed in seeds],)
            yield _observed(f"foreign 7T, {name}, {what}", scan.observed, fits)


def _observed(
    title: str,
    truth: float,
    fits: Mirrored | tuple[list[JointResult]],
    most: float = MOST_BIAS,
) -> Figure:
    k = fits[0][0].names.index("Glu")
    error = np.array([[one.change_percent[0, k] for one in own] for own in fits]) - truth
    told = np.array([[one.change_se_percent[0, k] for one in own] for own in fits])
    pairs = error.mean(axis=0)
    mc = pairs.std(ddof=1) / len(pairs) ** 0.5
    bias = float(pairs.mean())
    inside = 100 * np.mean(np.abs(error) < 1.96 * told)
    # Mirror images miss the truth by the same: there are as many errors as pairs.
    size = np.sqrt(np.mean(error**2)) if len(fits) > 1 else error.std(ddof=1)
    kind = "pairs" if len(fits) > 1 else "scans"
    note = f"+- {mc:.3f}, {len(pairs)} {kind}; true {truth:.2f}, SD {size:.2f}, "
    note += f"SD / SE {size / np.sqrt(np.mean(told**2)):.2f}, coverage {inside:.0f} %"
    return Figure(
        f"{title}: observed difference, bias, points",
        bias,
        f"within +-{most:g}",
        bool(abs(bias) <= most + 2 * mc),
        note,
    )


def _judged(title: str, scan: Timed, fits: Mirrored) -> Iterator[Figure]:
    """Observed difference of all scans, and the plateau of studies of SCANS of them."""
    yield _observed(title, scan.observed, fits)
    k = fits[0][0].names.index("Glu")
    told = fits[0][0].plateaus
    slow = float(told.boxcar_reads[told.shapes.index("hrf"), 0])
    shown, wrong, sizes = [], [], []
    for first in range(0, len(fits[0]), SCANS):
        plateaus, why = [], ""
        for own in fits:
            some = [one.plateaus for one in own[first : first + SCANS]]
            found = weighed(
                np.array([one.change_percent[:, 0, k] for one in some]),
                np.sqrt([one.covariance[:, 0, k, k] for one in some]),
                np.array([one.log_likelihood for one in some]),
            )
            plateaus.append(found.change_percent.mean())
            sizes.append(found.scan_sd_percent)
            why = why or withheld(slow, found.scan_sd_percent, found.between_percent)
        (wrong if why else shown).append(np.mean(plateaus) - scan.glu)
    note = f"{len(shown)} of {len(shown) + len(wrong)} pairs of studies show it, SD of a scan "
    note += f"{np.mean(sizes):.1f}"
    target = f"within +-{MOST_PLATEAU_BIAS:g} or withheld"
    if scan.on_s == 64 and scan.shape == "boxcar":
        yield Figure("blocks of 64 s, boxcar: plateaus withheld", str(len(wrong)), "0", not wrong)
    if not shown:
        yield Figure(f"{title}: plateau, bias, points", "withheld", target, True, note)
        return
    # One pair shows no scatter: at most that of its scans, of which mirror images take most away.
    one = np.mean(sizes) / (2 * SCANS) ** 0.5
    mc = np.std(shown, ddof=1) / len(shown) ** 0.5 if len(shown) > 1 else one
    bias = float(np.mean(shown))
    good = bool(abs(bias) <= MOST_PLATEAU_BIAS + 2 * mc)
    yield Figure(f"{title}: plateau, bias, points", bias, target, good, f"+- {mc:.2f}, {note}")


def _factors(title: str, scan: Timed) -> Figure:
    """What a boxcar reads of the plateau: by the design, and in scans with and without a response
    that are else the same to the last bit of noise."""
    without = replace(scan, glu=0.0)
    found = []
    for seed in range(SEED, SEED + PAIRS):
        own = scan.fit(seed)
        k = own.names.index("Glu")
        found.append((own.change_percent[0, k] - without.fit(seed).change_percent[0, k]) / scan.glu)
    told = own.plateaus
    read = float(told.boxcar_reads[told.shapes.index(scan.shape), 0])
    off = read - float(np.mean(found))
    mc = np.std(found, ddof=1) / PAIRS**0.5
    return Figure(
        f"{title}: what a boxcar reads, told less found",
        off,
        f"within +-{MOST_FACTOR:g}",
        bool(abs(off) <= MOST_FACTOR + 2 * mc),
        f"+- {mc:.3f}, told {read:.2f}",
    )


@dataclass(frozen=True)
class Nested(Timed):
    """Blocks of 64 s with stimuli of 8 s and pauses of 8 s in them: metabolites respond to blocks,
    the width to stimuli, and all signals drift along a parabola."""

    @cached_property
    def timing(self) -> Timing:
        """Times of excitation, blocks and what lies in them."""
        own = [(onset + 16.0 * k, 8.0) for onset, _ in self.spans for k in range(4)]
        events = [
            {"onset": a, "duration": d, "trial_type": name}
            for name, spans in (("block", self.spans), ("flicker", own))
            for a, d in spans
        ]
        return Timing(TR_S * np.arange(self.n), events)

    @cached_property
    def labels(self) -> list[str]:
        """Condition of each transient, by the settings of the docs."""
        nested = _settings()["preprocess"]["nested"]["nested_events"]
        events = [one for one in self.timing.events if one["trial_type"] not in nested]
        return conditions(events, self.n, TR_S)

    def courses(self) -> tuple[np.ndarray, np.ndarray]:
        """Response of the metabolites and of the width."""
        time_s = self.timing.time_s
        box = np.array([label == "block" for label in self.labels], float)
        return box, true_course("hrf", self.timing.spans("flicker"), time_s)

    def draw(self, seed: int):
        """Transients that drift by 3 % along a parabola, and the basis."""
        fids, basis = super().draw(seed)
        parabola = 1 + 0.03 * (np.linspace(-1, 1, self.n) ** 2 - 1 / 3)
        return fids.with_data(fids.transients * parabola[:, None]), basis

    def fit(self, seed: int) -> JointResult:
        """Joint fit of a draw by the settings of the docs."""
        fids, basis = self.draw(seed)
        options = FitOptions.from_settings(_settings()["fit"]["nested"])
        design, width = designs(self.labels, self.timing, options)
        return fit_joint_models(fids, basis, design, (width,), options)[0]


@cache
def _settings() -> dict:
    """The settings that docs/fit.md gives for a nested design."""
    return yaml.safe_load(configuration("fit.md", "nested_events"))


def _nested(quick: bool, seed: int) -> Iterator[Figure]:
    n = 4 if quick else NESTED
    yield ten_lines("nested design", "fit.md", "nested_events")
    for glu in (GLU, 0.0):
        fits = _mirrored(Nested(glu=glu), range(seed, seed + n))
        most = MOST_PLATEAU_BIAS if glu else MOST_BIAS
        yield _observed(f"nested design, {glu:g} %", glu, fits, most)


def _strays() -> Figure:
    """A protocol of baseline and task whose last three transients no event holds: the change of Glu
    by the conditions that are made of it."""
    scan = Timed(snr=1000.0)
    box = np.array([label == "task" for label in scan.labels])
    held = [
        {"onset": TR_S * j, "duration": TR_S, "trial_type": "task" if box[j] else "baseline"}
        for j in range(scan.n - 3)
    ]
    labels, said = without_strays(conditions(held, scan.n, TR_S), held)
    fids, basis = scan.draw(SEED)
    used = [label is not None for label in labels]
    options = FitOptions()
    design, width = designs(labels, Timing(scan.timing.time_s, held), options)
    own = fids.select(used), basis, design.select(used), (width.select(used),)
    fit = fit_joint_models(*own, options)[0]
    error = float(fit.change_percent[0, fit.names.index("Glu")] - scan.glu)
    right = bool(said) and fit.contrasts == ("task",) and abs(error) < MOST_BIAS
    note = f"change against {joint_rest(labels, options)} off by {error:.2f} points"
    return Figure(
        "3 stray transients of baseline and task: silent", int(not right), "0", right, note
    )

"""The plateau of a response whose shape is not known: shapes weighed over all scans of a study.

One scan hardly tells how fast its metabolites respond, and the shape that fits it best is the true
one too seldom to have an interval hold (docs/science.md#shapes). So the likelihoods of the shapes
are pooled over the scans, and the plateau is the mean over shapes by their weights, its error that
of the mean over sites and the spread between shapes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.shapes import Shape
from fmrsflow.question import LEAST_READ
from fmrsflow.sites.answer import pool, sample_of
from fmrsflow.sites.variance import decompose, site_means
from fmrsflow.tables.sites import WEIGHED
from fmrsflow.words import count

KEYS = ("metabolite", "quantity", "contrast")

COLUMNS = ("change_percent", "se_percent", "log_likelihood", "boxcar_reads", "se_ratio")
"""Numbers of a scan under a shape that the mean over shapes is made of."""

NUMBERS = (
    "weight",
    "change_percent",
    "se_percent",
    "low_percent",
    "high_percent",
    "boxcar_reads",
    "se_ratio",
    "scan_sd_percent",
    "time_constant_s",
    "time_constant_sd_s",
    "delay_s",
    "delay_sd_s",
)
"""Numbers of a row of plateau.tsv."""

LEAST_EXPONENTIAL = 0.05
"""Weight of all exponential shapes together below which their times mean nothing."""

SLOW = "hrf"
"""The shape of the BOLD response."""

MOST_SD_PERCENT = 1.5
"""Largest standard error of the plateau of one scan, percentage points."""

Rows = list[dict]


@dataclass(frozen=True)
class Weighed:
    """Shapes weighed over scans.

    Attributes
    ----------
    weight : array (n_shapes,)
        exp(sum of the log likelihoods), of sum one: all shapes have as many parameters, and
        Akaike's weights are those of the likelihood.
    change_percent, se_percent : arrays (n_scans,)
        Plateau of each scan by these weights, and its error under a given shape.
    between_percent : float
        SD between shapes of their means over scans, by the weights.
    """

    weight: np.ndarray
    change_percent: np.ndarray
    se_percent: np.ndarray
    between_percent: float

    @property
    def scan_sd_percent(self) -> float:
        """Root mean square error of the plateau of one scan."""
        return float(np.sqrt(np.mean(self.se_percent**2)))


def weighed(change: np.ndarray, se: np.ndarray, log_likelihood: np.ndarray) -> Weighed:
    """Plateaus of scans under shapes, arrays (n_scans, n_shapes) each, weighed over the scans."""
    total = log_likelihood.sum(axis=0)
    weight = np.exp(total - total.max())
    weight /= weight.sum()
    means = change.mean(axis=0)
    between = weight @ (means - weight @ means) ** 2
    return Weighed(weight, change @ weight, np.sqrt(se**2 @ weight), float(np.sqrt(between)))


def timing(shapes: Sequence[str], weight: np.ndarray) -> dict[str, float]:
    """Time constant and delay of an exponential response, and their SDs, by the weights of the
    exponential shapes: the grid of these is the prior, and what the scans make likely is left.

    All NaN where these shapes are unlikely together (below `LEAST_EXPONENTIAL`) or one alone.
    """
    known = [Shape.named(name) for name in shapes]
    there = [j for j, one in enumerate(known) if one.kind == "exponential"]
    own = weight[there]
    names = ("time_constant_s", "time_constant_sd_s", "delay_s", "delay_sd_s")
    if len(there) < 2 or not own.sum() >= LEAST_EXPONENTIAL:
        return dict.fromkeys(names, math.nan)
    own = own / own.sum()
    found: list[float] = []
    for times in ([known[j].rise_s for j in there], [known[j].delay_s for j in there]):
        mean = float(own @ times)
        found += [mean, float(np.sqrt(own @ (np.array(times) - mean) ** 2))]
    return dict(zip(names, found))


def withheld(reads: float, scan_sd_percent: float) -> str:
    """Why no plateau is stated first ("" where it can be).

    Parameters
    ----------
    reads : float
        Share of the plateau that the observed difference holds under SLOW.
    scan_sd_percent : float
    """
    if not reads >= LEAST_READ:
        return (
            f"the design hardly sees a plateau: task less rest holds {reads:.2f} of it where the "
            "response lags like BOLD"
        )
    if not scan_sd_percent <= MOST_SD_PERCENT:
        return (
            f"under the likely shapes of the response one scan has a standard error of "
            f"{scan_sd_percent:.1f} points, more than {MOST_SD_PERCENT:g}"
        )
    return ""


def plateaus(rows: Sequence[Mapping], sites: Mapping[str, Mapping]) -> Rows:
    """Rows of plateau.tsv: for each metabolite, quantity and contrast the mean over sites under
    each shape, and that over the shapes.

    Parameters
    ----------
    rows : rows of plateaus.tsv of all units, with `site`, `person` and `used`
    sites : site -> mapping with `vendor`
    """
    groups: dict[tuple, list[Mapping]] = {}
    for row in rows:
        if row["used"]:
            groups.setdefault(tuple(row[name] for name in KEYS), []).append(row)
    return [one for key, own in groups.items() for one in _rows_of(key, own, sites)]


def _rows_of(key: tuple, rows: Sequence[Mapping], sites: Mapping[str, Mapping]) -> Rows:
    """Rows of one change. A scan takes part with all shapes or with none: shapes that other scans
    were asked about would be weighed against each other."""
    scans: dict[str, dict[str, Mapping]] = {}
    for row in rows:
        scans.setdefault(row["scan"], {})[row["shape"]] = row
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    whole = [own for own in scans.values() if all(_there(own.get(one)) for one in shapes)]
    lost = _lost(scans.values(), shapes)
    same = dict(zip(KEYS, key))
    if not whole:
        made = [_of_shape(same, one, scans.values(), sites) for one in shapes]
        nothing = dict.fromkeys(NUMBERS, math.nan) | {"shown": False, "reason": lost}
        return [*made, {**same, "shape": WEIGHED, "n_sites": 0, "n": 0, **nothing}]
    table = {
        column: np.array([[own[one][column] for one in shapes] for own in whole])
        for column in COLUMNS
    }
    found = weighed(*(table[column] for column in COLUMNS[:3]))
    made = [
        _of_shape(same, one, whole, sites, float(weight))
        for one, weight in zip(shapes, found.weight)
    ]
    reads, ratio = (np.median(table[column], axis=0) for column in COLUMNS[3:])
    slow = float(reads[shapes.index(SLOW)]) if SLOW in shapes else math.nan
    why = withheld(slow, found.scan_sd_percent)
    people = [own[shapes[0]] for own in whole]
    last = {
        **same,
        "shape": WEIGHED,
        "weight": 1.0,
        **timing(shapes, found.weight),
        **_mean(found.change_percent, found.se_percent, people, sites, found.between_percent),
        "boxcar_reads": float(reads @ found.weight),
        "se_ratio": float(ratio @ found.weight),
        "scan_sd_percent": found.scan_sd_percent,
        "shown": not why,
        "reason": "; ".join(filter(None, (why, lost))),
    }
    return [*made, last]


def _there(row: Mapping | None) -> bool:
    """Whether a scan was fitted under a shape."""
    return row is not None and all(math.isfinite(row[column]) for column in COLUMNS)


def _lost(scans: Iterable[Mapping[str, Mapping]], shapes: Sequence[str]) -> str:
    """Which scans take no part in the mean over shapes, and why."""
    counts: Counter[str] = Counter()
    for own in scans:
        for shape in shapes:
            if not _there(own.get(shape)):
                told = (own.get(shape) or {}).get("reason") or "not fitted under it"
                counts[f"{shape}: {told}"] += 1
                break
    return "; ".join(
        f"{count(n, 'scan')} without a part ({told})" for told, n in sorted(counts.items())
    )


def _of_shape(same: Mapping, shape: str, scans, sites, weight: float = math.nan) -> dict:
    """Row of one shape: the mean over the scans that were fitted under it."""
    own = [one[shape] for one in scans if _there(one.get(shape))]
    row = {**same, "shape": shape, "n_sites": 0, "n": 0, **dict.fromkeys(NUMBERS, math.nan)}
    row |= {"weight": weight, "shown": None, "reason": "" if own else "no scan was fitted under it"}
    if not own:
        return row
    changes, errors = (
        np.array([one[column] for one in own]) for column in ("change_percent", "se_percent")
    )
    medians = {name: float(np.median([one[name] for one in own])) for name in COLUMNS[3:]}
    spread = float(np.sqrt(np.mean(errors**2)))
    return row | _mean(changes, errors, own, sites) | medians | {"scan_sd_percent": spread}


def _mean(change, se, people: Sequence[Mapping], sites, between_percent: float = 0.0) -> dict:
    """Mean over sites with its interval, an error that all scans share counted in."""
    rows = [
        {**one, "change_percent": value, "se_percent": error}
        for one, value, error in zip(people, change, se)
    ]
    sample = sample_of(rows, sites)
    parts = decompose(sample, intervals=False, drop=("vendor",))
    found = pool(sample, site_means(sample, parts), parts)
    names = ("change_percent", "se_percent", "low_percent", "high_percent")
    mean, own, low, high = (found.get(name, math.nan) for name in names)
    wider = math.hypot(own, between_percent) / own if own else math.nan
    return {
        "n_sites": found["n_sites"],
        "n": found["n"],
        "change_percent": mean,
        "se_percent": own * wider,
        "low_percent": mean + (low - mean) * wider,
        "high_percent": mean + (high - mean) * wider,
    }

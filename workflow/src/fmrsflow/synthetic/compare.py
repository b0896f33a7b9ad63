"""Is it like the real thing? Distributions of two sets of scans, and the distance between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from fmrsflow.tables import integer, number, text

QUANTITIES = {
    "snr_tcr": ("SNR (tCr) of the average", "1"),
    "fwhm_tcr_hz": ("FWHM (tCr)", "Hz"),
    "fwhm_water_hz": ("FWHM (water)", "Hz"),
    "drift_hz": ("Frequency drift, absolute", "Hz"),
    "residual_water": ("Residual / full water", "1"),
    "fqn": ("Fit quality number", "1"),
}
"""Quality figures that are compared: title and unit."""

METABOLITES = ("tNAA", "tCr", "tCho", "mI", "Glu", "Gln")
"""Metabolites whose concentrations are compared."""


@dataclass(frozen=True)
class ComparedScan:
    """What is compared of one scan; quantities that it lacks are left out.

    `spectrum` is the real average spectrum on `ppm`, with tCr of height 1.
    """

    key: str
    values: Mapping[str, float]
    ppm: np.ndarray | None = None
    spectrum: np.ndarray | None = None


@dataclass(frozen=True)
class Distance:
    """Two samples of one quantity.

    Attributes
    ----------
    quantity : str
    n_synthetic, n_measured : int
    mean_synthetic, sd_synthetic, mean_measured, sd_measured : float
        SD is nan for a single value.
    kolmogorov : float
        Largest distance of the cumulative distributions, 0 to 1.
    wasserstein : float
        Earth mover's distance, in the unit of the quantity.
    p_value : float
        Of the Wasserstein distance under permutation of the two labels.
    """

    quantity: str
    n_synthetic: int
    n_measured: int
    mean_synthetic: float
    sd_synthetic: float
    mean_measured: float
    sd_measured: float
    kolmogorov: float
    wasserstein: float
    p_value: float

    def to_row(self) -> dict:
        """Row of a table."""
        return asdict(self)


COLUMNS = {
    "quantity": text("quality figure, or metabolite with the quantity of its concentration"),
    "n_synthetic": integer("scans"),
    "n_measured": integer("scans"),
    "mean_synthetic": number("mean"),
    "sd_synthetic": number("standard deviation; n/a for one scan"),
    "mean_measured": number("mean"),
    "sd_measured": number("standard deviation; n/a for one scan"),
    "kolmogorov": number("largest distance of the cumulative distributions", "1"),
    "wasserstein": number("earth mover's distance, in the unit of the quantity"),
    "p_value": number("permutation p of the earth mover's distance", "1"),
}
"""Data dictionary of the table."""


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Area between the two cumulative distributions."""
    return float(_areas(np.concatenate([a, b]), np.arange(len(a))[None])[0])


def kolmogorov(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of the two cumulative distributions."""
    every = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(np.sort(x), every, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def distance(
    quantity: str, synthetic, measured, seed: int = 0, permutations: int = 9999
) -> Distance:
    """Distance of two samples with its permutation p.

    All permutations are taken where there are fewer than `permutations`, else as many at random.

    Raises
    ------
    ValueError
        An empty sample.
    """
    a, b = (np.asarray(values, float) for values in (synthetic, measured))
    if not len(a) or not len(b):
        raise ValueError(f"{quantity}: a sample is empty")
    both = np.concatenate([a, b])
    chosen, exact = _labels(len(both), len(a), permutations, seed)
    found = wasserstein(a, b)
    as_far = _areas(both, chosen) >= found * (1 - 1e-12)
    p_value = as_far.mean() if exact else (1 + as_far.sum()) / (1 + len(as_far))
    return Distance(
        quantity, len(a), len(b), float(a.mean()), _sd(a), float(b.mean()), _sd(b),
        kolmogorov(a, b), found, float(p_value),
    )  # fmt: skip


def distances(
    synthetic: Sequence[ComparedScan], measured: Sequence[ComparedScan]
) -> list[Distance]:
    """Distance of every quantity that both sets have, quality first."""
    names = dict.fromkeys([*QUANTITIES, *(name for scan in measured for name in scan.values)])
    found = []
    for name in names:
        samples = [
            [scan.values[name] for scan in scans if np.isfinite(scan.values.get(name, np.nan))]
            for scans in (synthetic, measured)
        ]
        if all(samples):
            found.append(distance(name, *samples))
    return found


def page(
    synthetic: Sequence[ComparedScan], measured: Sequence[ComparedScan], found: Sequence[Distance]
):
    """One page: all spectra of both sets, and every quantity's values.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    columns = 4
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(12, 4.2 + 1.9 * rows), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[4.2, 1.9 * rows])
    _spectra(top.subplots(), synthetic, measured)
    for axes, one in zip(bottom.subplots(rows, columns, squeeze=False).flat, found):
        _samples(axes, one, synthetic, measured)
    for axes in bottom.axes[len(found) :]:
        axes.set_axis_off()
    return figure


_COLOURS = {"synthetic": "#D55E00", "measured": "#0072B2"}


def _spectra(axes, synthetic, measured) -> None:
    for offset, (label, scans) in enumerate((("measured", measured), ("synthetic", synthetic))):
        shown = [scan for scan in scans if scan.spectrum is not None]
        for n, scan in enumerate(shown[:12]):
            axes.plot(
                scan.ppm,
                scan.spectrum - 1.1 * offset,
                color=_COLOURS[label],
                linewidth=0.7,
                alpha=0.8,
                label=f"{label}, {len(shown)} scans" if n == 0 else None,
            )
    axes.set_xlim(4.2, 0.2)
    axes.set_ylim(-1.6, 2.4)
    axes.set_xlabel("chemical shift (ppm)")
    axes.set_ylabel("real spectrum, tCr = 1")
    axes.set_yticks([])
    axes.legend(loc="upper left", frameon=False)
    axes.set_title("Average spectra (at most 12 of each; synthetic shifted down)", fontsize=10)


def _samples(axes, one: Distance, synthetic, measured) -> None:
    for row, (label, scans) in enumerate((("synthetic", synthetic), ("measured", measured))):
        values = [scan.values[one.quantity] for scan in scans if one.quantity in scan.values]
        # Spread by rank, so that equal values do not hide each other; no randomness.
        place = row + 0.3 * (np.arange(len(values)) % 5 / 4 - 0.5)
        axes.plot(values, place, "o", color=_COLOURS[label], markersize=4, alpha=0.7, mew=0)
        axes.plot([np.median(values)] * 2, [row - 0.3, row + 0.3], color="black", linewidth=1)
    axes.set_yticks([0, 1], ["synthetic", "measured"])
    axes.set_ylim(-0.6, 1.6)
    title, unit = QUANTITIES.get(one.quantity, (one.quantity.replace(":", ", "), ""))
    axes.set_title(title + (f" ({unit})" if unit not in ("", "1") else ""), fontsize=9)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.15)
    axes.set_xlabel(f"KS {one.kolmogorov:.2f}, p = {one.p_value:.2g}", fontsize=8)


def _labels(n: int, n_first: int, most: int, seed: int) -> tuple[np.ndarray, bool]:
    """Members of the first sample in each permutation, (n_permutations, n_first); all of them?"""
    from itertools import combinations
    from math import comb

    if comb(n, n_first) <= most:
        return np.array(list(combinations(range(n), n_first))), True
    rng = np.random.default_rng(seed)
    return np.argsort(rng.random((most, n)), axis=1)[:, :n_first], False


def _areas(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Wasserstein distance of the chosen values (rows of indices) from the rest, (n_rows,)."""
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    first = np.zeros((len(chosen), len(values)))
    np.put_along_axis(first, chosen, 1.0, axis=1)
    first = first[:, order]
    n_first = chosen.shape[1]
    below = np.cumsum(first, axis=1) / n_first
    rest = np.cumsum(1 - first, axis=1) / (len(values) - n_first)
    return np.abs(below - rest)[:, :-1] @ gaps


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")

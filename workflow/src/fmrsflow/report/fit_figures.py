"""Charts of a fit: data over model, its components stacked below, the misfit, the correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fmrsflow.report.plot import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    VERMILLION,
    axis,
    layout,
    packed,
    plain,
    ppm_axis,
)
from fmrsflow.report.spectrum_figures import (
    DATA_POINTS,
    FULL_SCALE,
    METABOLITE_POINTS,
    PPM_RANGE,
    REGIONS,
    band,
    peak_labels,
    thinned,
    window,
)

BROAD, FLAT = "MM", "baseline"
"""Rows of their own below the metabolites: all macromolecules and lipids, and the baseline."""

FIRST_SHOWN = ("NAA", "Cr", "PCr", "GPC", "mI", "Glu", "Gln", "GABA", "GSH", "Lac", "Asp", BROAD)
"""Components that a page stacks until its reader chooses others."""

LEAST_ROW = 500
"""Height that a component has at least below the data, of `FULL_SCALE`."""

MAGNIFIED = (1, 2, 5, 10, 20)
"""How many times larger a small residual is drawn, so that it can be held against its noise."""

PIXELS = 240 / FULL_SCALE
"""Height on the page of one unit of a spectrum."""


def is_broad(name: str) -> bool:
    """Whether a component is a macromolecule or a lipid by its name (docs/science.md#names)."""
    return name.startswith(("MM", "Lip"))


def noise_of(result: Mapping, s: int, fqn: float | None) -> float | None:
    """SD of the noise that a spectrum was fitted under, from its residual and fit quality number
    (variance of the residual over that of the noise; Near 2021); None where that is not known."""
    if not fqn or not np.isfinite(fqn):
        return None
    return float(np.sqrt(np.mean(np.abs(result["residual"][s]) ** 2) / 2 / fqn))


def spectrum(
    result: Mapping, first: str | None = None, fqn: Mapping[str, float] | None = None
) -> dict:
    """Data, fit, baseline and residual of every fitted spectrum, and below them its components
    stacked to one scale, each named at its row.

    Parameters
    ----------
    result : dict
        Arrays of the fit: `ppm` (n,), `spectra` (s,), `data`, `fit`, `baseline`, `residual` (s, n),
        `names` (m,), `metabolites` (s, m, n).
    first : str, optional
        Spectrum shown at first; the first one by default. Traces carry `meta` with their spectrum
        and part, by which the page shows and hides them; those of components also how far they
        reach from their foot (`rise`, `fall`) and where that lies (`shift`).
    fqn : dict, optional
        Spectrum -> fit quality number, for the band of noise around the residual.
    """
    spectra = [str(name) for name in result["spectra"]]
    first = first if first in spectra else spectra[0]
    ppm, _ = window(result["ppm"])
    traces, shown = [], None
    for s, name in enumerate(spectra):
        if not np.isfinite(np.real(result["fit"][s])).all():
            continue
        drawn = _Drawn(result, s, (fqn or {}).get(name))
        own = drawn.overlaid() + drawn.components()
        for trace in own:
            trace["meta"]["group"] = name
            trace["visible"] = name == first and trace.get("visible", True)
        traces += own
        shown = drawn if name == first else shown
    rows = [one for one in traces if one["visible"] and "rise" in one["meta"]]
    top, start = (shown.top, shown.start) if shown else (FULL_SCALE, 0)
    foot = _stack(rows, start)
    return {
        "data": traces,
        "layout": layout(
            round((top - foot) * PIXELS) + 110,
            showlegend=True,
            xaxis=ppm_axis(*PPM_RANGE),
            yaxis=axis(
                ticks="",
                showgrid=False,
                range=[foot, top],
                tickvals=[one["meta"]["shift"] for one in rows],
                ticktext=[one["name"] for one in rows],
            ),
            annotations=peak_labels(ppm, shown.data) if shown else [],
            meta={"top": top, "start": start, "least": LEAST_ROW, "pixels": PIXELS},
        ),
    }


def _stack(rows: Sequence[dict], start: int) -> int:
    """Put components below each other, each as high as it is, and tell where the lowest ends; the
    page does the same again (`stack` in page.js) for those that its reader chooses."""
    foot = start
    for one in rows:
        meta = one["meta"]
        foot -= max(meta["rise"], LEAST_ROW)
        meta["shift"] = foot
        foot -= meta["fall"] + LEAST_ROW // 5
    return foot


class _Drawn:
    """Curves of one fitted spectrum on the scale of its data."""

    def __init__(self, result: Mapping, s: int, fqn: float | None):
        self.result, self.s = result, s
        self.ppm, self.inside = window(result["ppm"])
        self.scale = FULL_SCALE / (np.max(np.abs(self._curve("data"))) or 1.0)
        self.data, self.fit, self.baseline, self.residual = (
            self._curve(key) * self.scale for key in ("data", "fit", "baseline", "residual")
        )
        self.parts = np.real(result["metabolites"][s])[:, self.inside] * self.scale
        self.names = [str(one) for one in result["names"]]
        noise = noise_of(result, s, fqn)
        self.noise = None if noise is None else 2 * noise * self.scale
        reach = max(float(np.max(np.abs(self.residual))), self.noise or 0.0)
        self.times = max(n for n in MAGNIFIED if n == 1 or n * reach <= FULL_SCALE / 10)
        reach *= self.times
        self.lift = FULL_SCALE * 1.12 + reach
        self.top = self.lift + reach + FULL_SCALE * 0.03
        self.start = min(0, int(np.floor(min(self.data.min(), self.baseline.min()))))

    def _curve(self, key: str) -> np.ndarray:
        return np.real(self.result[key][self.s])[self.inside]

    def broad(self) -> np.ndarray:
        """All macromolecules and lipids."""
        chosen = [m for m, name in enumerate(self.names) if is_broad(name)]
        return self.parts[chosen].sum(axis=0)

    def overlaid(self) -> list[dict]:
        """Residual with the band of the noise, data, fit, baseline; each of another colour."""
        traces = []
        if self.noise is not None:
            own = band(self.lift, self.noise * self.times)
            traces.append(own | {"meta": {"part": "noise"}})
        broad = self.broad()
        times = f" × {self.times}" if self.times > 1 else ""
        left = self.residual * self.times + self.lift
        lines = [
            ("residual", f"residual{times} (data − fit, moved up)", left, GREY, 1),
            ("data", "data", self.data, BLACK, 1.2),
            ("fit", "fit", self.fit, VERMILLION, 1.8),
            ("baseline", "baseline", self.baseline, BLUE, 1.4),
        ]
        if broad.any():
            label = "baseline + macromolecules"
            lines.append(("broad", label, self.baseline + broad, PURPLE, 1.2))
        return traces + [
            _curve(self.ppm, values, label, colour, width, part, DATA_POINTS)
            for part, label, values, colour, width in lines
        ]

    def components(self) -> list[dict]:
        """Every component with any signal, for the stack: metabolites, macromolecules, sums."""
        order = sorted(range(len(self.names)), key=lambda m: is_broad(self.names[m]))
        found = [
            (self.names[m], self.parts[m], PURPLE if is_broad(self.names[m]) else GREEN)
            for m in order
        ]
        # A basis may have one measured spectrum of all macromolecules: that is its own sum.
        if sum(is_broad(name) for name in self.names) > 1 and BROAD not in self.names:
            found.append((BROAD, self.broad(), PURPLE))
        found.append((FLAT, self.baseline, BLUE))
        return [self._row(*one) for one in found if np.max(np.abs(one[1])) >= 1]

    def _row(self, name: str, values: np.ndarray, colour: str) -> dict:
        label = plain("MM, sum" if name == BROAD and BROAD not in self.names else name)
        part = f"row {name}" if name == FLAT else name
        trace = _curve(self.ppm, values, label, colour, 1.3, part, METABOLITE_POINTS)
        trace["meta"] |= {
            "rise": round(max(0.0, float(values.max()))),
            "fall": round(max(0.0, -float(values.min()))),
        }
        alone = is_broad(name) and sum(is_broad(one) for one in self.names) == 1
        trace["meta"]["main"] = alone or name in FIRST_SHOWN
        return trace | {"showlegend": False, "visible": trace["meta"]["main"]}


def _curve(ppm, values, label: str, colour: str, width: float, part: str, points: int) -> dict:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label,
        **thinned(ppm, values, points),
        "line": {"color": colour, "width": width},
        "meta": {"part": part},
        "hovertemplate": "%{x:.2f} ppm<extra>" + label + "</extra>",
    }


def rows(chart: dict) -> list[tuple[str, str, bool]]:
    """Components that a spectrum's chart can stack: part, name, whether shown at first."""
    found = {}
    for one in chart["data"]:
        if "rise" in one["meta"]:
            part = one["meta"]["part"]
            found.setdefault(part, (part, one["name"], one["meta"]["main"]))
    return list(found.values())


def misfit(result: Mapping, fqn: Mapping[str, float]) -> list[tuple[str, list[float | None]]]:
    """Variance of the residual over that of the noise in each stretch of the axis and in all.

    Returns
    -------
    list of (spectrum, ratios)
        A ratio for each of `REGIONS`, the first of which is the whole; None where the noise is not
        known or the stretch holds no point. 1 is noise alone.
    """
    found = []
    for s, name in enumerate(str(one) for one in result["spectra"]):
        noise = noise_of(result, s, fqn.get(name))
        found.append((name, [_ratio(result, s, ends, noise) for ends, _ in REGIONS]))
    return found


def _ratio(result: Mapping, s: int, ends: str, noise: float | None) -> float | None:
    high, low = (float(end) for end in ends.split(","))
    _, inside = window(result["ppm"], low, high)
    if not noise or not len(inside):
        return None
    return float(np.mean(np.abs(result["residual"][s][inside]) ** 2) / 2 / noise**2)


def correlation(result: Mapping, spectrum: str) -> tuple[list[str], np.ndarray]:
    """Names of the metabolites whose amplitudes in a spectrum have an error, and the correlations
    of these errors under noise (m, m)."""
    names = [str(one) for one in result["names"]]
    levels = [str(one) for one in result["levels" if "levels" in result else "spectra"]]
    covariance = np.asarray(result["covariance"][levels.index(spectrum)], float)
    known = np.flatnonzero(np.nan_to_num(np.diag(covariance)) > 0)
    errors = np.sqrt(np.diag(covariance)[known])
    return [names[m] for m in known], covariance[np.ix_(known, known)] / np.outer(errors, errors)


def correlations(result: Mapping, spectrum: str) -> dict | None:
    """The correlations as a matrix of colours; None where no two amplitudes have an error."""
    names, matrix = correlation(result, spectrum)
    if len(names) < 2:
        return None
    small = {"tickfont": {"size": 10}, "ticks": "", "showgrid": False}
    labels = [plain(name) for name in names]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": labels,
                "y": labels,
                "z": packed(100 * matrix, "i1"),
                "zmin": -100,
                "zmax": 100,
                "colorscale": "RdBu",
                "colorbar": {
                    **{
                        "title": {"text": "%", "side": "right"},
                        "orientation": "h",
                        "thickness": 10,
                    },
                    **{"y": 1.0, "yanchor": "bottom", "len": 0.5},
                },
                "hovertemplate": "%{x}, %{y}: %{z} %<extra></extra>",
            }
        ],
        "layout": layout(
            180 + 14 * len(names),
            xaxis=axis(**small, tickangle=-90, dtick=1),
            yaxis=axis(**small, autorange="reversed", dtick=1),
        ),
    }


def strongest(result: Mapping, spectrum: str, count: int = 5) -> list[tuple[str, str, float]]:
    """The pairs of metabolites whose amplitudes depend most on each other, and how much."""
    names, matrix = correlation(result, spectrum)
    pairs = [(names[a], names[b], matrix[a, b]) for a, b in zip(*np.triu_indices(len(names), 1))]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))[:count]

"""Charts of one scan. Each takes arrays or rows of tables and returns a chart for plotly.js."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmrsflow.report.plot import (
    BLACK,
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    GRID,
    ORANGE,
    PURPLE,
    VERMILLION,
    axis,
    layout,
    numbers,
    packed,
    plain,
    ppm_axis,
)

PPM_RANGE = (0.2, 4.2)
"""What a spectrum shows (science.md section 3)."""

PEAKS = (
    (2.01, "tNAA"),
    (2.35, "Glu"),
    (3.03, "tCr"),
    (3.21, "tCho"),
    (3.56, "mI"),
    (3.75, "Glx"),
    (3.93, "tCr"),
)
"""Where the eye looks first: ppm and name of the peaks labelled on a spectrum."""

WHOLE_RANGE = (-1.0, 9.0)
"""What a file's spectrum can show when zoomed out."""

REGIONS = (
    ("4.2,0.2", "metabolites (4.2–0.2 ppm)"),
    ("2.75,1.85", "NAA, glutamate, glutamine (2.75–1.85 ppm)"),
    ("3.35,2.85", "creatine and choline (3.35–2.85 ppm)"),
    ("4.15,3.4", "inositol, Glx, creatine CH₂ (4.15–3.4 ppm)"),
    ("1.85,0.2", "macromolecules, lipids, lactate (1.85–0.2 ppm)"),
)
"""Stretches of the axis that a page offers: ends in ppm, words."""

WHOLE_REGION = ("9,-1", "everything, water included (9 to −1 ppm)")

FULL_SCALE = 10_000
"""Highest point of a spectrum in its packed form; its unit is arbitrary."""

TASK_FILL = "rgba(168, 106, 0, 0.14)"


def spectrum(result: dict, first: str | None = None) -> dict:
    """Data, fit, baseline, residual and each metabolite of every fitted spectrum.

    Parameters
    ----------
    result : dict
        Arrays of the fit: `ppm` (n,), `spectra` (s,), `data`, `fit`, `baseline`, `residual` (s, n),
        `names` (m,), `metabolites` (s, m, n).
    first : str, optional
        Spectrum shown at first; the first one by default. Traces carry `meta` with their spectrum
        and part, by which the page shows and hides them.
    """
    ppm, window = _window(result["ppm"])
    spectra = [str(name) for name in result["spectra"]]
    first = first if first in spectra else spectra[0]
    traces, peaks = [], {}
    for s, name in enumerate(spectra):
        data, fit, baseline, residual = (
            np.real(result[key][s])[window] for key in ("data", "fit", "baseline", "residual")
        )
        if not np.isfinite(fit).all():
            continue
        top = np.max(np.abs(data)) or 1.0
        scale = FULL_SCALE / top
        peaks[name] = data * scale
        offset = FULL_SCALE * 1.12 - min(0.0, float(residual.min() * scale))
        for part, label, values, line in (
            ("residual", "residual (data − fit, moved up)", residual * scale + offset, (GREY, 1)),
            ("data", "data", data * scale, (BLACK, 1.2)),
            ("fit", "fit", fit * scale, (VERMILLION, 1.8)),
            ("baseline", "baseline", baseline * scale, (BLUE, 1.4)),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": label,
                    "x": packed(ppm),
                    "y": packed(values, "i2"),
                    "line": {"color": line[0], "width": line[1]},
                    "visible": name == first,
                    "meta": {"group": name, "part": part},
                    "hovertemplate": "%{x:.2f} ppm<extra>" + label + "</extra>",
                }
            )
        for m, metabolite in enumerate(str(one) for one in result["names"]):
            values = np.real(result["metabolites"][s, m])[window] * scale
            if np.max(np.abs(values)) < 1:
                continue
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": plain(metabolite),
                    "x": packed(ppm),
                    "y": packed(values, "i2"),
                    "line": {"color": CYCLE[m % len(CYCLE)], "width": 1.4},
                    "fill": "tozeroy",
                    "visible": False,
                    "meta": {"group": name, "part": metabolite},
                    "hovertemplate": "%{x:.2f} ppm<extra>" + plain(metabolite) + "</extra>",
                }
            )
    shown = peaks.get(first)
    return {
        "data": traces,
        "layout": layout(
            460,
            showlegend=True,
            xaxis=ppm_axis(*PPM_RANGE),
            yaxis=axis("Signal (arbitrary)", showticklabels=False, ticks=""),
            annotations=[] if shown is None else _peak_labels(ppm, shown),
        ),
    }


def is_reference(fids) -> bool:
    """Whether a file is an unsuppressed water reference: as its header says, else by its water."""
    if "WaterSuppressed" in fids.header:
        return not fids.header["WaterSuppressed"]
    spectrum = np.abs(fids.mean().spectra[0, 0])
    _, water = _window(fids.ppm, 4.4, 4.9)
    _, metabolites = _window(fids.ppm, 1.8, 3.4)
    return bool(spectrum[water].max() > 30 * spectrum[metabolites].max())


def phased(fids):
    """The FIDs turned by one zero-order phase, so that the mean's highest peak stands upright."""
    spectrum = fids.mean().spectra[0, 0]
    _, window = _window(fids.ppm, *(WHOLE_RANGE if is_reference(fids) else (1.8, 3.4)))
    peak = spectrum[window][np.argmax(np.abs(spectrum[window]))]
    return fids.rotated(-np.rad2deg(np.angle(peak)))


def average(fids) -> dict:
    """Mean over the transients of a file, real part; of a water reference the water is shown."""
    ppm, window = _window(fids.ppm, *WHOLE_RANGE)
    values = np.real(phased(fids).mean().spectra[0, 0])[window]
    inside = (ppm >= PPM_RANGE[0]) & (ppm <= PPM_RANGE[1])
    low, high = WHOLE_RANGE if is_reference(fids) else PPM_RANGE
    shown = values if is_reference(fids) else values[inside]
    values = values / (np.max(np.abs(shown)) or 1.0) * FULL_SCALE
    return {
        "data": [_line(ppm, values, "mean", BLACK)],
        "layout": layout(
            420,
            xaxis=ppm_axis(low, high),
            yaxis=axis("Signal (arbitrary)", showticklabels=False, ticks="")
            | {"range": [min(-1000.0, float(values[inside].min())), 1.15 * FULL_SCALE]},
            annotations=[] if is_reference(fids) else _peak_labels(ppm, values),
        ),
    }


def parts(result: dict) -> list[str]:
    """Names of the metabolites that a spectrum's chart can show: those with any signal."""
    _, window = _window(result["ppm"])
    signal = np.nanmax(np.abs(np.real(result["metabolites"])[..., window]), axis=(0, 2))
    floor = np.nanmax(np.abs(np.real(result["data"])[..., window])) / FULL_SCALE
    return [str(name) for name, height in zip(result["names"], signal) if height >= floor]


def conditions(average, matched, names: Sequence[str], magnify: float = 5.0) -> dict:
    """Average of each condition, and the difference to the first, with the band of its noise.

    Parameters
    ----------
    average : Fids
        One transient a condition.
    matched : Fids or None
        The same with matched linewidths; the difference is taken of these where there are any.
    names : sequence of str
        Conditions, rest first.
    magnify : float
        Factor by which the difference is drawn larger.
    """
    ppm, window = _window(average.ppm)
    spectra = np.real(average.spectra[:, 0])
    scale = FULL_SCALE / np.max(np.abs(spectra[:, window]))
    traces = [
        _line(ppm, spectra[c, window] * scale, plain(name), CYCLE[c % len(CYCLE)])
        for c, name in enumerate(names)
    ]
    source = matched if matched is not None else average
    finer = np.real(source.spectra[:, 0]) * scale * magnify
    quiet = (source.ppm > -2) & (source.ppm < 0)
    offset = -FULL_SCALE * 0.35
    for c, name in enumerate(names[1:], start=1):
        difference = finer[c] - finer[0]
        noise = 2 * float(np.std(difference[quiet])) if quiet.any() else 0.0
        label = f"{plain(name)} − {plain(names[0])}, × {magnify:g}"
        traces.append(_line(ppm, difference[window] + offset, label, GREY if c > 1 else BLACK))
        if noise and c == 1:
            band = {
                "mode": "lines",
                "type": "scatter",
                "x": [PPM_RANGE[1], PPM_RANGE[0], PPM_RANGE[0], PPM_RANGE[1]],
                "y": numbers([offset - noise, offset - noise, offset + noise, offset + noise]),
                "fill": "toself",
                "fillcolor": "rgba(107, 114, 128, 0.25)",
                "line": {"width": 0},
                "name": "± 2 SD of the noise",
                "hoverinfo": "skip",
            }
            traces.insert(0, band)
    return {
        "data": traces,
        "layout": layout(
            380,
            showlegend=True,
            xaxis=ppm_axis(*PPM_RANGE),
            yaxis=axis("Signal (arbitrary)", showticklabels=False, ticks=""),
        ),
    }


def transients(fids, time_s: np.ndarray, rows: Sequence[dict], columns: int = 360) -> dict:
    """All transients as an image: ppm across, time down; rejected ones marked at the edge.

    Parameters
    ----------
    fids : Fids
        Single transients, coils combined.
    time_s : array (n_transients,)
    rows : sequence of dict
        Rows of the transients' table (`kept`).
    columns : int
        Width of the image in points; at most 320 rows are shown.
    """
    ppm = np.linspace(*PPM_RANGE, columns)
    step = max(1, int(np.ceil(fids.n_transients / 320)))
    # A transient alone is noisy: 4 Hz of broadening, about a metabolite's own width, is the
    # matched filter that lets its peaks be seen.
    spectra = np.real(fids.select(slice(None, None, step)).broadened(4.0).spectra[:, 0])
    image = np.array([np.interp(ppm, fids.ppm, one) for one in spectra])
    image -= np.median(image, axis=1, keepdims=True)  # the foot of a changing residual water
    low, high = np.percentile(image, [2, 99.7])
    coded = (image - low) / ((high - low) or 1.0) * 255
    rejected = [time for time, row in zip(time_s, rows) if row["kept"] == "false"]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": packed(ppm),
                "y": packed(time_s[::step]),
                "z": packed(coded, "u1"),
                "zmin": 0,
                "zmax": 255,
                "colorscale": "Cividis",
                "showscale": False,
                "hovertemplate": "%{x:.2f} ppm, %{y:.0f} s<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "rejected",
                "x": [PPM_RANGE[0] + 0.07] * len(rejected),
                "y": numbers(rejected),
                "marker": {"symbol": "x", "size": 8, "color": "#ff5c33"},
                "hovertemplate": "rejected, %{y:.0f} s<extra></extra>",
            },
        ],
        "layout": layout(
            360,
            xaxis=ppm_axis(*PPM_RANGE, showgrid=False),
            yaxis=axis("Time (s)", autorange="reversed", showgrid=False),
        ),
    }


COURSES = (
    ("shift_hz", "Frequency (Hz)", BLUE),
    ("phase_deg", "Phase (°)", PURPLE),
    ("linewidth_hz", "Linewidth (Hz)", GREEN),
    ("snr", "SNR", ORANGE),
)
"""Columns of the transients' table that are drawn over time."""


def courses(rows: Sequence[dict], blocks: Sequence[tuple[float, float, str]]) -> dict:
    """Frequency, phase, linewidth and SNR over time; task shaded, rejected transients marked.

    Parameters
    ----------
    rows : sequence of dict
        Rows of the transients' table; values are text.
    blocks : sequence of (onset_s, end_s, name)
        Task blocks.
    """
    time = numbers(_floats(rows, "time_s"))
    kept = np.array([row["kept"] != "false" for row in rows])
    present = [one for one in COURSES if np.isfinite(_floats(rows, one[0])).any()]
    traces, axes = [], {}
    gap = 0.05
    share = (1 + gap) / max(1, len(present)) - gap
    for n, (column, title, colour) in enumerate(present):
        values = _floats(rows, column)
        number = "" if n == 0 else str(n + 1)
        top = 1 - n * (share + gap)
        axes[f"yaxis{number}"] = axis(title, domain=[max(0.0, top - share), top])
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": time,
                "y": numbers(np.where(kept, values, np.nan)),
                "yaxis": f"y{number}",
                "name": title,
                "connectgaps": True,
                "marker": {"size": 4, "color": colour},
                "line": {"width": 1, "color": colour},
                "hovertemplate": "%{x:.0f} s: %{y:.2f}<extra>" + title + "</extra>",
            }
        )
        out = np.flatnonzero(~kept)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [time[j] for j in out],
                "y": numbers(values[out]),
                "yaxis": f"y{number}",
                "name": "rejected",
                "text": [plain(rows[j].get("cause", "")) for j in out],
                "marker": {"symbol": "x", "size": 9, "color": VERMILLION},
                "hovertemplate": "%{x:.0f} s, rejected: %{text}<extra></extra>",
            }
        )
    bottom = f"y{len(present)}" if len(present) > 1 else "y"
    return {
        "data": traces,
        "layout": layout(
            130 * max(1, len(present)) + 60,
            xaxis=axis("Time (s)", anchor=bottom),
            shapes=_shades(blocks),
            **axes,
        ),
    }


def timecourse(
    rows: Sequence[dict],
    metabolites: Sequence[str],
    blocks: Sequence[tuple[float, float, str]] = (),
) -> dict:
    """Block-wise amplitude of some metabolites over time, as a share of its mean, with SE."""
    traces = []
    for n, metabolite in enumerate(metabolites):
        own = [row for row in rows if row["metabolite"] == metabolite]
        amplitude, error = _floats(own, "amplitude"), _floats(own, "se")
        mean = np.nanmean(amplitude) if len(own) else np.nan
        if not mean > 0:
            continue
        colour = CYCLE[n % len(CYCLE)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plain(metabolite),
                "x": numbers(_floats(own, "time_s")),
                "y": numbers(100 * amplitude / mean),
                "error_y": {"array": numbers(100 * error / mean), "color": colour, "thickness": 1},
                "text": [plain(row["condition"]) for row in own],
                "marker": {"color": colour, "size": 7},
                "line": {"color": colour, "width": 1.2},
                "hovertemplate": "%{x:.0f} s, %{text}: %{y:.1f} %<extra>"
                + plain(metabolite)
                + "</extra>",
            }
        )
    return {
        "data": traces,
        "layout": layout(
            320,
            showlegend=True,
            xaxis=axis("Time (s)"),
            yaxis=axis("Amplitude (% of its mean)"),
            shapes=_shades(blocks),
        ),
    }


def concentrations(rows: Sequence[dict], ranges: dict[str, tuple[float, float]], unit: str) -> dict:
    """Concentrations with errors, a marker a condition, over the range in healthy brain."""
    names = list(dict.fromkeys(row["metabolite"] for row in rows))[::-1]
    labels = [plain(name) for name in names]
    known = [name for name in names if name in ranges]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": "healthy brain, literature",
            "y": [plain(name) for name in known],
            "base": [ranges[name][0] for name in known],
            "x": [ranges[name][1] - ranges[name][0] for name in known],
            "marker": {"color": "rgba(0, 122, 90, 0.22)"},
            "width": 0.7,
            "hovertemplate": "%{base:.1f} to %{x:.1f}<extra>%{y}, healthy brain</extra>",
        }
    ]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    for c, condition in enumerate(conditions):
        own = [row for row in rows if row["condition"] == condition]
        colour = CYCLE[c % len(CYCLE)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(condition),
                "y": [plain(row["metabolite"]) for row in own],
                "x": numbers(_floats(own, "value")),
                "error_x": {
                    "array": numbers(_floats(own, "se")),
                    "color": colour,
                    "thickness": 1.4,
                },
                "marker": {
                    "color": colour,
                    "size": 9,
                    "symbol": ("circle", "diamond", "square", "triangle-up")[c % 4],
                },
                "hovertemplate": "%{y}: %{x:.2f} ± %{error_x.array:.2f}<extra>"
                + plain(condition)
                + "</extra>",
            }
        )
    return {
        "data": traces,
        "layout": layout(
            max(240, 24 * len(names) + 110),
            showlegend=True,
            xaxis=axis(unit, rangemode="tozero"),
            yaxis=axis(categoryorder="array", categoryarray=labels),
        ),
    }


def changes(rows: Sequence[dict], first: str = "") -> dict:
    """Percent change by each estimator with its 95 % interval, a row a metabolite.

    Parameters
    ----------
    rows : sequence of dict
        Rows of the response table for one contrast.
    first : str
        Quantity shown at first; traces carry theirs in `meta`.
    """
    metabolites = list(dict.fromkeys(row["metabolite"] for row in rows))[::-1]
    kinds = list(dict.fromkeys(_estimator(row) for row in rows))
    traces = []
    for quantity in dict.fromkeys(row["quantity"] for row in rows):
        for k, kind in enumerate(kinds):
            own = [r for r in rows if _estimator(r) == kind and r["quantity"] == quantity]
            if not own:
                continue
            change = _floats(own, "change_percent")
            spread = (k - (len(kinds) - 1) / 2) * 0.7 / max(1, len(kinds) - 1)
            colour = CYCLE[k % len(CYCLE)]
            symbols = ("circle", "circle-open", "diamond", "diamond-open", "square")
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": kind,
                    "x": numbers(change),
                    "y": [metabolites.index(row["metabolite"]) - spread for row in own],
                    "error_x": {
                        "type": "data",
                        "symmetric": False,
                        "array": numbers(_floats(own, "high_percent") - change),
                        "arrayminus": numbers(change - _floats(own, "low_percent")),
                        "color": colour,
                        "thickness": 1.6,
                    },
                    "text": [plain(row["metabolite"]) for row in own],
                    "marker": {"color": colour, "size": 8, "symbol": symbols[k % 5]},
                    "visible": quantity == first or not first,
                    "meta": {"group": quantity},
                    "hovertemplate": "%{text}: %{x:+.1f} %<extra>" + kind + "</extra>",
                }
            )
    lines = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": n + 0.5, "y1": n + 0.5}
        | {"line": {"color": GRID, "width": 1}}
        for n in range(len(metabolites) - 1)
    ]
    return {
        "data": traces,
        "layout": layout(
            max(280, 14 * len(metabolites) * max(2, len(kinds)) + 130),
            showlegend=True,
            xaxis=axis("Change while the task runs (%)", zeroline=True, zerolinecolor=BLACK),
            yaxis=axis(
                tickvals=list(range(len(metabolites))),
                ticktext=[plain(name) for name in metabolites],
                range=[-0.6, len(metabolites) - 0.4],
                showgrid=False,
            ),
            shapes=lines,
        ),
    }


def water(reference, phase_deg: np.ndarray | None) -> dict:
    """The water line, and the phase of its FID before the eddy-current correction.

    Parameters
    ----------
    reference : Fids
        Corrected water reference.
    phase_deg : array (n,) or None
        Phase of the raw reference over time, degrees, offset and slope taken out.
    """
    ppm, window = _window(reference.ppm, reference.carrier_ppm - 0.6, reference.carrier_ppm + 0.6)
    line = np.abs(reference.spectra[0, 0])[window]
    traces = [_line(ppm, line / line.max() * FULL_SCALE, "water, magnitude", BLUE)]
    axes = {
        "xaxis": axis("Chemical shift (ppm)", range=[ppm[-1], ppm[0]], domain=[0, 0.44]),
        "yaxis": axis("Water signal (arbitrary)", showticklabels=False, ticks=""),
    }
    if phase_deg is None:
        axes["xaxis"]["domain"] = [0, 1]
    else:
        time = np.arange(len(phase_deg)) * reference.dwell_s * 1e3
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": packed(time),
                "y": packed(phase_deg),
                "xaxis": "x2",
                "yaxis": "y2",
                "line": {"color": VERMILLION, "width": 1.4},
                "hovertemplate": "%{x:.1f} ms: %{y:.1f}°<extra></extra>",
            }
        )
        axes["xaxis2"] = axis("Time in the FID (ms)", domain=[0.58, 1], anchor="y2")
        axes["yaxis2"] = axis("Phase (°)", anchor="x2")
    return {"data": traces, "layout": layout(280, **axes)}


def _window(ppm, low: float = PPM_RANGE[0], high: float = PPM_RANGE[1]):
    ppm = np.asarray(ppm)
    window = np.flatnonzero((ppm >= low) & (ppm <= high))
    return ppm[window], window


def _peak_labels(ppm: np.ndarray, values: np.ndarray) -> list[dict]:
    labels = []
    for shift, name in PEAKS:
        near = np.abs(ppm - shift) < 0.05
        if near.any():
            labels.append(
                {
                    "x": shift,
                    "y": float(values[near].max()),
                    "text": name,
                    "showarrow": False,
                    "yshift": 11,
                    "font": {"size": 12, "color": GREY},
                }
            )
    return labels


def _line(x, y, name: str, colour: str) -> dict:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": packed(x),
        "y": packed(y, "i2"),
        "name": name,
        "line": {"color": colour, "width": 1.4},
        "hovertemplate": "%{x:.2f} ppm<extra>" + name + "</extra>",
    }


def _shades(blocks) -> list[dict]:
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": float(onset),
            "x1": float(end),
            "y0": 0,
            "y1": 1,
            "fillcolor": TASK_FILL,
            "line": {"width": 0},
            "layer": "below",
        }
        for onset, end, _ in blocks
    ]


def _floats(rows: Sequence[dict], column: str) -> np.ndarray:
    return np.array(
        [np.nan if row.get(column) in (None, "", "n/a") else float(row[column]) for row in rows],
        dtype=float,
    )


def _estimator(row: dict) -> str:
    matched = {"true": ", linewidths matched", "false": ", not matched"}.get(row["matched"], "")
    return plain(row["estimator"] + matched)

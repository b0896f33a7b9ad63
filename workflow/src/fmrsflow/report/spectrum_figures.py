"""Charts of spectra and transients of one scan or file, for plotly.js."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmrsflow.report.plot import (
    BLACK,
    BLUE,
    CYCLE,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    axis,
    layout,
    numbers,
    packed,
    plain,
    ppm_axis,
)

PPM_RANGE = (0.2, 4.2)
"""What a spectrum shows (Govindaraju 2000; docs/science.md#names)."""

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

DATA_POINTS, METABOLITE_POINTS = 1600, 800
"""Most points of a curve: data and fit, and single metabolites, whose lines are smooth. 4 ppm in
800 points are 0.6 Hz apart at 3 T and 1.5 Hz at 7 T, a sixth of a line's width."""

DIFFERENCES = (BLACK, GREY, SKY, ORANGE)
"""Colours of differences, apart from the first four of `CYCLE`, which the conditions have."""

FULL_SCALE = 10_000
"""Highest point of a spectrum in its packed form; its unit is arbitrary."""


def band(middle: float, reach: float) -> dict:
    """Two standard deviations of the noise on either side of `middle`, over the whole axis."""
    low, high = middle - reach, middle + reach
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [PPM_RANGE[1], PPM_RANGE[0], PPM_RANGE[0], PPM_RANGE[1]],
        "y": numbers([low, low, high, high]),
        "fill": "toself",
        "fillcolor": "rgba(107, 114, 128, 0.25)",
        "line": {"width": 0},
        "name": "± 2 SD of the noise",
        "hoverinfo": "skip",
    }


def is_reference(fids) -> bool:
    """Whether a file is an unsuppressed water reference: as its header says, else by its water."""
    if "WaterSuppressed" in fids.header:
        return not fids.header["WaterSuppressed"]
    spectrum = np.abs(fids.mean().spectra[0, 0])
    _, water = window(fids.ppm, 4.4, 4.9)
    _, metabolites = window(fids.ppm, 1.8, 3.4)
    return bool(spectrum[water].max() > 30 * spectrum[metabolites].max())


def phased(fids):
    """The FIDs turned by one zero-order phase, so that the mean's highest peak stands upright."""
    spectrum = fids.mean().spectra[0, 0]
    _, inside = window(fids.ppm, *(WHOLE_RANGE if is_reference(fids) else (1.8, 3.4)))
    peak = spectrum[inside][np.argmax(np.abs(spectrum[inside]))]
    return fids.rotated(-np.rad2deg(np.angle(peak)))


def average(fids) -> dict:
    """Mean over the transients of a file, real part; of a water reference the water is shown."""
    ppm, whole = window(fids.ppm, *WHOLE_RANGE)
    values = np.real(phased(fids).mean().spectra[0, 0])[whole]
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
            annotations=[] if is_reference(fids) else peak_labels(ppm, values),
        ),
    }


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
    ppm, inside = window(average.ppm)
    spectra = np.real(average.spectra[:, 0])
    scale = FULL_SCALE / np.max(np.abs(spectra[:, inside]))
    traces = [
        _line(ppm, spectra[c, inside] * scale, plain(name), CYCLE[c % 4]) | _at_first(c)
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
        drawn = _line(ppm, difference[inside] + offset, label, DIFFERENCES[(c - 1) % 4])
        traces.append(drawn | _at_first(c))
        if noise and c == 1:
            traces.insert(0, band(offset, noise))
    return {
        "data": traces,
        "layout": layout(
            380,
            showlegend=True,
            xaxis=ppm_axis(*PPM_RANGE),
            yaxis=axis("Signal (arbitrary)", showticklabels=False, ticks=""),
        ),
    }


def _at_first(c: int) -> dict:
    """More than four conditions cannot be told apart: the legend brings the others."""
    return {"visible": "legendonly"} if c > 3 else {}


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
    rejected = [time for time, row in zip(time_s, rows) if not row["kept"]]
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


def water(reference, phase_deg: np.ndarray | None) -> dict:
    """The water line, and the phase of its FID before the eddy-current correction.

    Parameters
    ----------
    reference : Fids
        Corrected water reference.
    phase_deg : array (n,) or None
        Phase of the raw reference over time, degrees, offset and slope taken out.
    """
    ppm, inside = window(reference.ppm, reference.carrier_ppm - 0.6, reference.carrier_ppm + 0.6)
    line = np.abs(reference.spectra[0, 0])[inside]
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


def window(ppm, low: float = PPM_RANGE[0], high: float = PPM_RANGE[1]):
    """The part of an axis between two chemical shifts (ppm), and the places of its points."""
    ppm = np.asarray(ppm)
    inside = np.flatnonzero((ppm >= low) & (ppm <= high))
    return ppm[inside], inside


def peak_labels(ppm: np.ndarray, values: np.ndarray) -> list[dict]:
    """Names of the main peaks above a spectrum."""
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


def thinned(x, y, limit: int) -> dict:
    """A curve on an even, rising axis as start, step and 16-bit values, of at most `limit` points.

    Many curves share an axis, so it is not written out; and a page must stay small.
    """
    x = np.asarray(x, float)
    if len(x) > limit:
        fewer = np.linspace(x[0], x[-1], limit)
        x, y = fewer, np.interp(fewer, x, y)
    step = (x[-1] - x[0]) / max(1, len(x) - 1)
    return {"x0": float(x[0]), "dx": float(step), "y": packed(y, "i2")}


def _line(x, y, name: str, colour: str) -> dict:
    return {
        "type": "scatter",
        "mode": "lines",
        **thinned(x, y, DATA_POINTS),
        "name": name,
        "line": {"color": colour, "width": 1.4},
        "hovertemplate": "%{x:.2f} ppm<extra>" + name + "</extra>",
    }

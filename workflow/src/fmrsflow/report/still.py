"""A chart as a still picture (SVG) that stands in its place until scripts draw it, in print of what
was never opened, and for readers without scripts.

Draws from the same dict as the page: of plotly's schema what the charts of this package use.
"""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from fmrsflow.report.plot import BLACK, BLUE, GREY, GRID

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 96, 14, 52, 46
POINTS = 400
"""Most points of a line; the picture is not zoomed into."""

SCALES = {
    "Cividis": ((0, 34, 78), (65, 77, 107), (125, 124, 120), (188, 174, 108), (254, 232, 56)),
    "RdBu": ((5, 10, 172), (98, 115, 210), (190, 190, 190), (226, 150, 100), (178, 10, 28)),
}
"""Colours of images, at even steps."""


def svg(figure: Mapping, alt: str) -> str:
    """The chart as it opens: what is hidden until it is asked for is left out."""
    traces = [one for one in figure["data"] if one.get("visible", True) is True]
    height = figure["layout"].get("height", 300)
    frame = _Frame(figure["layout"], traces, height)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(alt)}">',
        *(part for shape in figure["layout"].get("shapes", ()) for part in frame.shape(shape)),
        *frame.axes(),
        *(part for trace in traces for part in frame.trace(trace)),
        *(frame.note(one) for one in figure["layout"].get("annotations", ())),
        *_legend(figure["layout"], traces),
        "</svg>",
    ]
    return "".join(parts)


def unpacked(spec) -> np.ndarray | list:
    """Values of a trace: a plain list, or plotly.js's binary form."""
    if not isinstance(spec, Mapping):
        return spec
    values = np.frombuffer(base64.b64decode(spec["bdata"]), np.dtype("<" + spec["dtype"]))
    if "shape" in spec:
        values = values.reshape([int(n) for n in spec["shape"].split(",")])
    return values


class _Axis:
    """Where values of one axis lie on the picture."""

    def __init__(self, layout: Mapping, name: str, values: Sequence, start: float, end: float):
        self.layout = layout
        low, high = layout.get("domain", (0.0, 1.0))
        self.ends = (start + low * (end - start), start + high * (end - start))
        words = [one for one in values if isinstance(one, str)]
        self.names = list(layout.get("categoryarray") or dict.fromkeys(words)) if words else []
        self.range = self._range([self._number(one) for one in values])
        self.name = name

    def _number(self, value) -> float:
        if isinstance(value, str):
            return float(self.names.index(value))
        return math.nan if value is None else float(value)

    def _range(self, values: Sequence[float]) -> tuple[float, float]:
        if "range" in self.layout:
            return tuple(map(float, self.layout["range"]))
        known = [one for one in values if math.isfinite(one)] or [0.0, 1.0]
        low, high = min(known), max(known)
        room = 0.5 if self.names else 0.05 * ((high - low) or 1.0)
        zero = self.layout.get("rangemode") == "tozero" and low >= 0
        ends = (0.0 if zero else low - room, high + room)
        return ends[::-1] if self.layout.get("autorange") == "reversed" else ends

    def __call__(self, values) -> np.ndarray:
        numbers = np.array([self._number(one) for one in values]) if len(values) else np.zeros(0)
        low, high = self.range
        return self.ends[0] + (numbers - low) / ((high - low) or 1.0) * (
            self.ends[1] - self.ends[0]
        )

    def holds(self, places: np.ndarray) -> np.ndarray:
        """Which places of the picture lie between the ends of the axis."""
        low, high = sorted(self.ends)
        return (places >= low - 1) & (places <= high + 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Places on the picture and their labels."""
        if self.layout.get("showticklabels") is False and "tickvals" not in self.layout:
            return []
        if self.names:
            return list(zip(self(self.names), self.names))
        if "tickvals" in self.layout:
            return list(zip(self(self.layout["tickvals"]), self.layout["ticktext"]))
        low, high = sorted(self.range)
        step = 10.0 ** math.floor(math.log10((high - low) / 4))
        step *= next(n for n in (1, 2, 5, 10) if (high - low) / (n * step) <= 6)
        values = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
        labels = [f"{value:.6g}".replace("-", "\u2212") for value in values]
        return list(zip(self(values), labels))


class _Frame:
    """The axes of a chart, and what is drawn in them."""

    def __init__(self, layout: Mapping, traces: Sequence[Mapping], height: float):
        self.top, self.bottom = TOP, height - BOTTOM
        self.axis = {}
        for key in layout:
            if key[1:5] == "axis":
                name = key[0] + key[5:]
                own = [] if "range" in layout[key] else [t for t in traces if _on(t, name)]
                values = [value for trace in own for value in _reach(trace, key[0])]
                ends = (LEFT, WIDTH - RIGHT) if key[0] == "x" else (self.bottom, self.top)
                self.axis[name] = _Axis(layout[key], name, values, *ends)

    def axes(self) -> list[str]:
        return [part for one in self.axis.values() for part in self._axis(one)]

    def _axis(self, one: _Axis) -> list[str]:
        if one.layout.get("visible") is False:
            return []
        across = one.name[0] == "x"
        side = "y" if across else "x"
        other = self.axis.get(one.layout.get("anchor", side + one.name[1:])) or self.axis[side]
        foot, far = other.ends
        parts = []
        for place, label in one.ticks():
            if not min(one.ends) - 1 <= place <= max(one.ends) + 1:
                continue
            if one.layout.get("showgrid") is not False:
                line = (place, foot, place, far) if across else (foot, place, far, place)
                parts.append(_line(*line, GRID))
            where = (place, foot + 16, "middle") if across else (foot - 6, place + 4, "end")
            parts.append(_text(*where, label))
        title = one.layout.get("title", {}).get("text", "")
        middle = sum(one.ends) / 2
        if title and across:
            parts.append(_text(middle, foot + 36, "middle", title, 13))
        elif title:
            turned = f' transform="rotate(-90 {foot - 52:.0f} {middle:.0f})"'
            parts.append(_text(foot - 52, middle, "middle", title, 13, turned))
        return parts

    def trace(self, trace: Mapping) -> list[str]:
        x, y = (self.axis[trace.get(f"{one}axis", one)] for one in "xy")
        if trace["type"] == "heatmap":
            return [_image(trace, x, y)]
        if trace["type"] == "histogram":
            counts, edges = np.histogram(_known(trace["x"]), trace.get("nbinsx", 20))
            pairs = zip(edges, edges[1:], counts)
            return [_box(x([a, b]), y([0, n]), _fill(trace)) for a, b, n in pairs]
        if trace["type"] == "bar":
            return _bars(trace, x, y)
        return self._scatter(trace, x, y)

    def _scatter(self, trace: Mapping, x: _Axis, y: _Axis) -> list[str]:
        across, up = x(_places(trace)), y(unpacked(trace["y"]))
        up = up - _shift(trace, y)
        parts, mode = [], trace.get("mode", "lines")
        if trace.get("fill") == "toself":
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, up))
            parts.append(f'<polygon points="{points}" fill="{trace["fillcolor"]}"/>')
        elif "lines" in mode:
            parts.append(_curve(across, up, trace.get("line", {})))
        for name, axis in (("error_x", x), ("error_y", y)):
            if name in trace:
                parts.append(_errors(trace, name, axis, across, up))
        if "markers" in mode:
            inside = x.holds(across) & y.holds(up)
            parts += _markers(trace, np.where(inside, across, np.nan), up)
        return parts

    def shape(self, one: Mapping) -> list[str]:
        ends = [self._end(one, key) for key in ("x0", "x1", "y0", "y1")]
        colour = one.get("line", {}).get("color", GREY)
        if one["type"] == "line":
            return [_line(ends[0], ends[2], ends[1], ends[3], colour)]
        return [_box(ends[:2], ends[2:], one.get("fillcolor", GRID))]

    def _end(self, one: Mapping, key: str) -> float:
        name = one.get(f"{key[0]}ref", key[0])
        if name == "paper":
            ends = (LEFT, WIDTH - RIGHT) if key[0] == "x" else (self.bottom, self.top)
            return ends[0] + one[key] * (ends[1] - ends[0])
        axis = self.axis[name.split()[0]]
        if name.endswith("domain"):
            return axis.ends[0] + one[key] * (axis.ends[1] - axis.ends[0])
        return float(axis([one[key]])[0])

    def note(self, one: Mapping) -> str:
        x, y = (float(self.axis[key]([one[key]])[0]) for key in "xy")
        return _text(x, y - one.get("yshift", 0) + 4, "middle", one["text"])


def _on(trace: Mapping, name: str) -> bool:
    return trace.get(f"{name[0]}axis", name[0]) == name


def _reach(trace: Mapping, side: str) -> list:
    """All values of a trace along a side, with the ends of its bars of error."""
    if trace["type"] == "histogram" and side == "y":
        return [0, *np.histogram(_known(trace["x"]), trace.get("nbinsx", 20))[0]]
    values = list(_places(trace) if side == "x" else unpacked(trace.get("y", [])))
    if trace["type"] == "bar" and side == "x":
        base = trace.get("base", [0] * len(values))
        return [*base, *(a + b for a, b in zip(base, values)), *_error_ends(trace, side, values)]
    return values + _error_ends(trace, side, values)


def _error_ends(trace: Mapping, side: str, values: Sequence) -> list:
    bars = trace.get(f"error_{side}")
    if not bars:
        return []
    more = bars["array"]
    less = bars.get("arrayminus", more)
    known = [(v, a, b) for v, a, b in zip(values, more, less) if None not in (v, a, b)]
    return [v + a for v, a, _ in known] + [v - b for v, _, b in known]


def _places(trace: Mapping):
    if "x0" in trace:
        count = len(unpacked(trace["y"]))
        return trace["x0"] + trace["dx"] * np.arange(count)
    return unpacked(trace["x"])


def _shift(trace: Mapping, y: _Axis) -> float:
    """How far a stacked component lies below zero on the picture."""
    shift = (trace.get("meta") or {}).get("shift", 0)
    low, high = y([0, shift])
    return low - high


def _known(values) -> list[float]:
    return [one for one in values if one is not None]


def _curve(x: np.ndarray, y: np.ndarray, line: Mapping) -> str:
    """A line, through at most `POINTS` points, without those on a level between two others."""
    if len(x) > POINTS:
        places = np.linspace(0, len(x) - 1, POINTS)
        x, y = (np.interp(places, np.arange(len(v)), v) for v in (x, y))
    y = np.round(y, 1)
    level = np.zeros(len(y), bool)
    level[1:-1] = (y[1:-1] == y[:-2]) & (y[1:-1] == y[2:])
    keep = ~level & np.isfinite(x) & np.isfinite(y)
    points = " ".join(f"{a:.1f},{b:g}" for a, b in zip(x[keep], y[keep]))
    dash = ' stroke-dasharray="4 3"' if line.get("dash", "solid") != "solid" else ""
    return (
        f'<polyline points="{points}" fill="none" stroke="{line.get("color", BLUE)}" '
        f'stroke-width="{line.get("width", 1.4)}"{dash}/>'
    )


def _errors(trace: Mapping, name: str, axis: _Axis, x: np.ndarray, y: np.ndarray) -> str:
    bars = trace[name]
    values = list(_places(trace) if name == "error_x" else unpacked(trace["y"]))
    path = []
    for n, (value, more) in enumerate(zip(values, bars["array"])):
        less = bars.get("arrayminus", bars["array"])[n]
        if None in (value, more, less):
            continue
        low, high = np.clip(axis([value - less, value + more]), *sorted(axis.ends))
        if low == high and less + more > 0:
            continue  # outside what is shown
        path.append(
            f"M{low:.1f} {y[n]:.1f}H{high:.1f}"
            if name == "error_x"
            else f"M{x[n]:.1f} {low:.1f}V{high:.1f}"
        )
    colour, width = bars.get("color", GREY), bars.get("thickness", 1)
    opacity = trace.get("opacity", 1)
    return _path("".join(path), colour, width, f' opacity="{opacity}"')


def _markers(trace: Mapping, x: np.ndarray, y: np.ndarray) -> list[str]:
    marker = trace.get("marker", {})
    colours = marker.get("color", BLUE)
    colours = colours if isinstance(colours, list) else [colours] * len(x)
    parts = []
    for colour in dict.fromkeys(colours):
        own = [(a, b) for a, b, c in zip(x, y, colours) if c == colour and a == a and b == b]
        dots = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in own)
        parts.append(_path(dots, colour, marker.get("size", 6), ' stroke-linecap="round"'))
    return parts


def _bars(trace: Mapping, x: _Axis, y: _Axis) -> list[str]:
    base = trace.get("base", [0] * len(trace["x"]))
    parts = []
    for name, start, length in zip(trace["y"], base, trace["x"]):
        middle = float(y([name])[0])
        parts.append(_box(x([start, start + length]), (middle - 8, middle + 8), _fill(trace)))
    if "error_x" in trace:
        parts.append(_errors(trace, "error_x", x, x(trace["x"]), y(trace["y"])))
    return parts


def _fill(trace: Mapping) -> str:
    return trace.get("marker", {}).get("color", GRID)


def _image(trace: Mapping, x: _Axis, y: _Axis) -> str:
    z = np.asarray(unpacked(trace["z"]), float)
    step = max(1, math.ceil(len(z) / 160))
    shades = (z[::step] - trace["zmin"]) / (trace["zmax"] - trace["zmin"])
    across, up = x.ends, sorted(y.ends)
    # Rows of an image run down, as the charts' reversed axes do; columns run with the axis.
    if not trace.get("x") or x.range[0] > x.range[1]:
        shades = shades[:, ::-1]
    coded = base64.b64encode(_png(shades, SCALES[trace["colorscale"]])).decode()
    return (
        f'<image x="{across[0]:.0f}" y="{up[0]:.0f}" width="{across[1] - across[0]:.0f}" '
        f'height="{up[1] - up[0]:.0f}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{coded}"/>'
    )


def _png(shades: np.ndarray, scale: Sequence[tuple[int, int, int]]) -> bytes:
    """Image of values from 0 to 1 in sixteen colours (PNG, 4 bits a point)."""
    places = np.linspace(0, len(scale) - 1, 16)
    palette = np.array([np.interp(places, range(len(scale)), one) for one in zip(*scale)]).T
    level = np.clip(np.rint(np.nan_to_num(shades) * 15), 0, 15).astype(np.uint8)
    height, width = level.shape
    level = np.pad(level, ((0, 0), (0, width % 2)))
    packed = level[:, ::2] << 4 | level[:, 1::2]
    raw = b"".join(b"\0" + row.tobytes() for row in packed)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
        (b"PLTE", np.rint(palette).astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(raw, 6)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _legend(layout: Mapping, traces: Sequence[Mapping]) -> list[str]:
    if not layout.get("showlegend"):
        return []
    parts, x, y = [], LEFT, 16
    for trace in traces:
        if trace.get("showlegend") is False or not trace.get("name"):
            continue
        wide = 24 + 6.3 * len(html.unescape(trace["name"]))
        if x + wide > WIDTH and x > LEFT:
            x, y = LEFT, y + 15
        parts.append(_line(x, y - 4, x + 14, y - 4, _colour(trace), 4))
        parts.append(_text(x + 18, y, "start", trace["name"]))
        x += wide
    return parts


def _colour(trace: Mapping) -> str:
    if "fillcolor" in trace:
        return trace["fillcolor"]
    colour = trace.get("line", {}).get("color") or trace.get("marker", {}).get("color", BLUE)
    return colour[0] if isinstance(colour, list) else colour


def _path(d: str, colour: str, width: float, more: str) -> str:
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width}"{more}/>'


def _line(x0, y0, x1, y1, colour: str, width: float = 1) -> str:
    return _path(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}", colour, width, "")


def _box(x: Sequence[float], y: Sequence[float], colour: str) -> str:
    return (
        f'<rect x="{min(x):.1f}" y="{min(y):.1f}" width="{abs(x[1] - x[0]):.1f}" '
        f'height="{abs(y[1] - y[0]):.1f}" fill="{colour}"/>'
    )


def _text(x, y, anchor: str, text: str, size: int = 11, more: str = "") -> str:
    """Text of a chart, which is escaped but for the bold type of labels."""
    shown = html.escape(html.unescape(text.replace("<b>", "").replace("</b>", "")))
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{BLACK}"{more}>{shown}</text>'
    )

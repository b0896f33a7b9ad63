"""From templates to text: the template engine, its filters, and what every page carries."""

from __future__ import annotations

import base64
import gzip
import json
import math
from functools import cache
from importlib.metadata import version
from importlib.resources import files

import jinja2
from markupsafe import Markup

from fmrsflow.report import still
from fmrsflow.words import count

PLOTLY = "plotly-cartesian-4.1.1.min.js.gz"
"""The chart library, compressed as it travels in a page (MIT licence beside it)."""


def render(template: str, **context) -> str:
    """A page as text; everything that is put in is escaped unless made by this module."""
    return _environment().get_template(template).render(**context)


def figure_packed(figure: dict) -> Markup:
    """A chart as JSON, compressed and in base 64, from which no text in it can break out of its
    script element; the same bytes each time."""
    text = json.dumps(figure, separators=(",", ":"), allow_nan=False)
    return Markup(base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode())


def known(value) -> str:
    """Text of a table's cell, empty where it is missing."""
    return "" if value is None else str(value)


def short(value) -> str:
    """A number in three significant digits; – where it is missing, text as it is."""
    if value in (None, "") or value != value:
        return "–"
    try:
        number = float(value)
    except ValueError:
        return str(value)
    shown = f"{number:,.0f}" if 100 <= abs(number) < 1e5 else f"{number:.3g}"
    return shown.replace("-", "\u2212", 1) if number < 0 else shown


def plus_minus(value, error) -> str:
    """A number with its standard error, both to the second digit of the error; alone where the
    error is not known, – where the number is not."""
    if value in (None, "") or value != value:
        return "–"
    if error in (None, "") or not 0 < error < float("inf"):
        return short(value)
    power = math.floor(math.log10(max(abs(value), error)))
    # Beyond five digits before or after the point a power of ten is shorter.
    power = power if abs(power) > 4 else 0
    scale = 10.0**-power
    digits = max(0, 1 - math.floor(math.log10(error * scale)))
    text = f"{value * scale:.{digits}f} ± {error * scale:.{digits}f}".replace("-", "\u2212")
    return f"({text}) × 10^{power}".replace("-", "\u2212") if power else text


def within(value, low, high) -> str:
    """A number with the interval around it; alone where the interval is not known."""
    ends = [None if one is None or one != one else one for one in (value, low, high)]
    if None in ends:
        return short(value)
    return f"{short(value)} ({short(low)} to {short(high)})"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, the minus as long as the plus."""
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def above(value, limit: float) -> bool:
    """Whether a cell holds a number above the limit."""
    try:
        return float(value) > limit
    except (TypeError, ValueError):
        return False


def points(values) -> str:
    """Points of an SVG polyline in a box 100 high; `values` run from 0 (bottom) to 100."""
    return " ".join(f"{x},{100 - y:.0f}" for x, y in enumerate(values))


def image_uri(png: bytes) -> str:
    """A PNG as an address inside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fmrsflow.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure_packed": figure_packed,
        "still": lambda figure, alt: Markup(still.svg(figure, str(alt))),
        "known": known,
        "short": short,
        "above": above,
        "points": points,
        "signed": signed,
        "within": within,
        "plus_minus": plus_minus,
        "count": count,
    }
    folder = files("fmrsflow.report") / "templates"
    environment.globals |= {
        "style": Markup((folder / "style.css").read_text()),
        "script": Markup((folder / "page.js").read_text()),
        "plotly": Markup(base64.b64encode((folder / PLOTLY).read_bytes()).decode()),
        "version": version("fmrsflow"),
    }
    return environment

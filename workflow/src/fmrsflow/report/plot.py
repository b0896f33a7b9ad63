"""What every chart has in common: colours, axes, escaping, compact arrays.

A chart is a dict in the schema of plotly.js (``data``, ``layout``), so that a job that makes pages
imports no chart library; the tests hold every chart against plotly's own validator.
"""

from __future__ import annotations

import base64
import html

import numpy as np

# Okabe and Ito 2008: told apart by colour-blind readers, and by their lightness in print.
BLACK, ORANGE, BLUE, GREEN, VERMILLION, PURPLE, SKY, GREY = (
    "#1b1f24",
    "#a86a00",
    "#00588f",
    "#007a5a",
    "#c04a00",
    "#9c4f7e",
    "#56b4e9",
    "#6b7280",
)
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, BLACK, GREY, SKY)
GRID = "#e3e6ea"


def plain(text) -> str:
    """Text that plotly.js shows letter by letter; it reads <b>, <a> and entities otherwise."""
    return html.escape(str(text), quote=False)


def packed(values, dtype: str | None = None) -> dict:
    """Array in plotly.js's binary form (float32, or the integer type named).

    Parameters
    ----------
    values : array, up to two axes
    dtype : str, optional
        "i2", "i1" or "u1"; values are rounded to it.
    """
    values = np.asarray(values, float)
    if dtype in ("i2", "i1", "u1"):
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(np.nan_to_num(values)), limits.min, limits.max)
    coded = np.ascontiguousarray(values, dtype=f"<{dtype or 'f4'}")
    spec = {"dtype": dtype or "f4", "bdata": base64.b64encode(coded.tobytes()).decode()}
    if coded.ndim > 1:
        spec["shape"] = ",".join(str(length) for length in coded.shape)
    return spec


def numbers(values) -> list:
    """Floats with None for what is missing, as JSON wants them."""
    return [None if value is None or value != value else float(value) for value in values]


def axis(title: str = "", **options) -> dict:
    """An axis with title (escaped), grid and outside ticks."""
    return {
        "title": {"text": plain(title), "standoff": 8},
        "gridcolor": GRID,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "linecolor": GREY,
        "automargin": True,
        **options,
    }


def ppm_axis(low: float = 0.2, high: float = 4.2, **options) -> dict:
    """Chemical shift, right to left."""
    return axis("Chemical shift (ppm)", range=[high, low], **options)


def layout(height: int, **options) -> dict:
    """Layout of a chart; the width follows the page."""
    return {
        "height": height,
        "margin": {"l": 56, "r": 14, "t": 14, "b": 48},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": BLACK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"font": {"size": 13}, "namelength": -1},
        "showlegend": False,
        **options,
    }

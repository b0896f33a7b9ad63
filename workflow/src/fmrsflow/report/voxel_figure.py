"""The MRS voxel on the T1w in three planes."""

from __future__ import annotations

import io

import numpy as np
from contourpy import contour_generator
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

PLANES = ((0, "sagittal"), (1, "coronal"), (2, "axial"))
COLOURS = {"GM": "#E69F00", "WM": "#56B4E9"}
VOXEL = "#FFE119"
GREYS, SHARES, BEHIND = 128, (1.0, 0.75, 0.5, 0.25), 10
"""The palette: grey levels, and of each colour its shares over so many grey levels, as the edges of
lines are drawn."""

FIELD_MM = 190
"""Side of a plane, sampled each millimetre."""

WIDTH, HEIGHT, SIDE, MARGIN, GAP, BOTTOM = 9.6, 3.7, 3.12, 0.1, 0.02, 0.28
"""The picture, in inches."""


def voxel_figure(
    t1w: np.ndarray,
    affine: np.ndarray,
    voxel: np.ndarray,
    shown: tuple[np.ndarray, np.ndarray],
    maps: dict[str, np.ndarray] | None = None,
    caption: str = "",
) -> Figure:
    """Three planes through the centre of the voxel, in the directions of the scanner.

    Parameters
    ----------
    t1w : array (x, y, z)
    affine : array (4, 4)
        Grid of the T1w to scanner space, mm (RAS+).
    voxel : array (4, 4)
        Affine of the MRS voxel.
    shown : (array (i, j, k) of bool, array (4, 4))
        Where the T1w is shown, on its own grid (`anatomy.brain.about_brain`); black elsewhere.
    maps : dict, optional
        GM and WM on the grid of the T1w, drawn as outlines.
    caption : str
        Text below, for example the fractions.
    """
    centre = voxel[:3, 3]
    to_grid = np.linalg.inv(affine)
    to_voxel = np.linalg.inv(voxel)
    to_shown = np.linalg.inv(shown[1])
    may_be_seen = shown[0].astype(np.float32)
    middle = affine[:3, :3] @ (np.array(t1w.shape[:3]) - 1) / 2 + affine[:3, 3]
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="black")
    # One pair of axes in inches for all three planes: titles, ticks and frames of three pairs would
    # take most of the time.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    top = np.percentile(t1w[t1w > 0], 99.5) if (t1w > 0).any() else 1.0
    line = np.arange(FIELD_MM) + 0.5 - FIELD_MM / 2
    for place, (normal, name) in enumerate(PLANES):
        across, up = [axis for axis in range(3) if axis != normal]
        grid = np.zeros((3, FIELD_MM, FIELD_MM))
        grid[normal] = centre[normal]
        grid[across] = middle[across] + line[None, :]
        grid[up] = middle[up] + line[:, None]
        points = _onto(to_grid, grid)
        left = MARGIN + place * (SIDE + GAP)
        extent = (left, left + SIDE, BOTTOM, BOTTOM + SIDE)
        seen = _sampled(may_be_seen, _onto(to_shown, grid)) > 0.5
        plane = np.where(seen, _sampled(t1w, points), 0)
        axes.imshow(plane, cmap="gray", origin="lower", extent=extent, vmin=0, vmax=top)
        for tissue, values in (maps or {}).items():
            _outline(axes, _sampled(values, points), left, COLOURS[tissue], 0.5)
        _outline(axes, np.abs(_onto(to_voxel, grid)).max(axis=0), left, VOXEL, 1.6)
        # Neurological convention, as RAS+ has it: the person's right on the right.
        for share, letter in zip((0.03, 0.93), ("P", "A") if across == 1 else ("L", "R")):
            axes.text(left + share * SIDE, BOTTOM + SIDE / 2, letter, color="white", size=9)
        title = f"{name}  {'xyz'[normal]} = {centre[normal]:.0f} mm"
        axes.text(left + SIDE / 2, BOTTOM + SIDE + 0.07, title, color="white", size=9, ha="center")
    axes.text(WIDTH / 2, 0.07, caption, color="white", ha="center", size=9)
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="auto")
    return figure


def small_png(figure: Figure, dpi: int = 110) -> bytes:
    """The picture as a PNG of at most 256 colours, a third of the bytes of one of all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette().ravel().tolist())
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    buffer = io.BytesIO()
    drawn.quantize(palette=palette, dither=Image.Dither.NONE).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _palette() -> np.ndarray:
    """Colours (256, 3), 0 to 255; what is not needed is black."""
    grey = np.linspace(0, 255, GREYS)[:, None].repeat(3, axis=1)
    behind = np.linspace(0, 255, BEHIND)[:, None]
    mixed = [
        share * 255 * np.array(to_rgb(colour)) + (1 - share) * behind
        for colour in (*COLOURS.values(), VOXEL)
        for share in SHARES
    ]
    found = np.unique(np.rint(np.concatenate([grey, *mixed])).astype(np.uint8), axis=0)
    return np.pad(found, ((0, 256 - len(found)), (0, 0)))


def _onto(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.tensordot(affine[:3, :3], points, 1) + affine[:3, 3, None, None]


def _outline(axes, values: np.ndarray, left: float, colour: str, width: float) -> None:
    """Where `values` are one half, on the plane whose left edge is given."""
    lines = contour_generator(z=values).lines(0.5)
    scale = SIDE / FIELD_MM
    places = [(line + 0.5) * scale + (left, BOTTOM) for line in lines]
    axes.add_collection(LineCollection(places, colors=colour, linewidths=width), autolim=False)


def _sampled(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    return map_coordinates(values, points, order=1, mode="constant")

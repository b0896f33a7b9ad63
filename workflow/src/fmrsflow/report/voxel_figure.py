"""The MRS voxel on the T1w in three planes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

PLANES = ((0, "sagittal"), (1, "coronal"), (2, "axial"))
COLOURS = {"GM": "#E69F00", "WM": "#56B4E9"}


def voxel_figure(
    t1w: np.ndarray,
    affine: np.ndarray,
    voxel: np.ndarray,
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
    maps : dict, optional
        GM and WM on the grid of the T1w, drawn as outlines.
    caption : str
        Text below, for example the fractions.
    """
    centre = voxel[:3, 3]
    size = 190.0
    step = 1.0
    n = int(size / step)
    figure = Figure(figsize=(9.6, 3.7), facecolor="black")
    top = np.percentile(t1w[t1w > 0], 99.5) if (t1w > 0).any() else 1.0
    for place, (normal, name) in enumerate(PLANES, start=1):
        across, up = [axis for axis in range(3) if axis != normal]
        grid = np.zeros((3, n, n))
        line = (np.arange(n) + 0.5) * step - size / 2
        grid[normal] = centre[normal]
        middle = affine[:3, :3] @ (np.array(t1w.shape[:3]) - 1) / 2 + affine[:3, 3]
        grid[across] = middle[across] + line[None, :]
        grid[up] = middle[up] + line[:, None]
        points = np.moveaxis(grid, 0, -1) @ np.linalg.inv(affine)[:3, :3].T
        points += np.linalg.inv(affine)[:3, 3]
        axes = figure.add_subplot(1, 3, place)
        extent = [line[0] + middle[across], line[-1] + middle[across]]
        extent += [line[0] + middle[up], line[-1] + middle[up]]
        axes.imshow(
            _sampled(t1w, points), cmap="gray", origin="lower", extent=extent, vmin=0, vmax=top
        )
        for tissue, values in (maps or {}).items():
            axes.contour(
                _sampled(values, points),
                levels=[0.5],
                colors=[COLOURS[tissue]],
                linewidths=0.5,
                origin="lower",
                extent=extent,
            )
        inside = np.moveaxis(grid, 0, -1) @ np.linalg.inv(voxel)[:3, :3].T
        inside += np.linalg.inv(voxel)[:3, 3]
        axes.contour(
            np.abs(inside).max(axis=-1),
            levels=[0.5],
            colors=["#FFE119"],
            linewidths=1.6,
            origin="lower",
            extent=extent,
        )
        # Neurological convention, as RAS+ has it: the person's right on the right.
        left, right = ("P", "A") if across == 1 else ("L", "R")
        for x, letter in ((0.03, left), (0.93, right)):
            axes.text(x, 0.5, letter, color="white", transform=axes.transAxes, fontsize=9)
        axes.set_title(f"{name}  {'xyz'[normal]} = {centre[normal]:.0f} mm", color="white", size=9)
        axes.set_axis_off()
    figure.text(0.5, 0.02, caption, color="white", ha="center", size=9)
    figure.subplots_adjust(0.01, 0.07, 0.99, 0.93, 0.02, 0)
    return figure


def _sampled(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    return map_coordinates(values, np.moveaxis(points, -1, 0), order=1, mode="constant")

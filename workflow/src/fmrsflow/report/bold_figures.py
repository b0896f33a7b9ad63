"""Figures of the BOLD stage: each takes arrays and returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from fmrsflow.report.plot import BLACK, CYCLE, GREY, VERMILLION


def response(
    lags_s: np.ndarray,
    percent: np.ndarray,
    se: np.ndarray,
    conditions: Sequence[str],
    block_s: float | None = None,
) -> Figure:
    """Mean response of the MRS voxel with its 95 % interval, a line a condition.

    Parameters
    ----------
    percent, se : arrays (n_conditions, n_lags)
        Percent signal change.
    block_s : float, optional
        Length of a block, drawn as a bar.
    """
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color=GREY, lw=0.8)
    for i, name in enumerate(conditions):
        colour = CYCLE[i % len(CYCLE)]
        low, high = percent[i] - 1.96 * se[i], percent[i] + 1.96 * se[i]
        axes.fill_between(lags_s, low, high, color=colour, alpha=0.18, lw=0)
        axes.plot(lags_s, percent[i], color=colour, lw=1.8, marker="o", ms=3, label=name)
    if block_s:
        axes.plot([0, block_s], [0.02, 0.02], transform=axes.get_xaxis_transform(), color=BLACK,
                  lw=5, solid_capstyle="butt")  # fmt: skip
        axes.text(block_s / 2, 0.045, "block", transform=axes.get_xaxis_transform(), ha="center",
                  va="bottom", fontsize=8, color=BLACK)  # fmt: skip
    axes.set(
        xlabel="Time from the onset of a block (s)",
        ylabel="BOLD signal change (%)",
        title="Mean response in the MRS voxel (band: 95 % interval)",
    )
    _finish(axes)
    if len(conditions) > 1:
        axes.legend(frameon=False, fontsize=9)
    return figure


def histogram(edges: np.ndarray, heights: np.ndarray, conditions: Sequence[str]) -> Figure:
    """Density of the area under the response over the fMRI voxels of the MRS voxel.

    Parameters
    ----------
    edges : array (n + 1,)
        Percent s.
    heights : array (n_conditions, n)
        Densities; translucent, so that the overlap shows.
    """
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(conditions):
        colour = CYCLE[i % len(CYCLE)]
        axes.stairs(heights[i], edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(heights[i], edges, color=colour, lw=1.5, label=name)
    axes.axvline(0, color=BLACK, lw=1, ls="--")
    axes.set(
        xlabel="Area under the response (% s)",
        ylabel="Density of fMRI voxels (1 / (% s))",
        title="fMRI voxels inside the MRS voxel",
    )
    _finish(axes)
    axes.legend(frameon=False, fontsize=9)
    return figure


def slices(
    background: np.ndarray,
    affine: np.ndarray,
    overlay: np.ndarray | None,
    outline: np.ndarray,
    centre: Sequence[int],
    title: str,
    limit: float | None = None,
    unit: str = "z",
) -> Figure:
    """Three planes through a point: a map over the mean BOLD image, the MRS voxel as outline.

    Parameters
    ----------
    background, overlay, outline : arrays (x, y, z)
        Overlay in colour where it is not NaN; outline a mask.
    affine : array (4, 4)
        Right shown right, front up.
    centre : grid index of the planes
    limit : float, optional
        Ends of the diverging scale.
    """
    import nibabel as nib

    orientation = nib.io_orientation(affine)
    background, outline = (
        nib.apply_orientation(np.asarray(one, float), orientation) for one in (background, outline)
    )
    shape = background.shape
    point = [0, 0, 0]
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = [1.0, 1.0, 1.0]
    for axis, (target, flip) in enumerate(orientation.astype(int)):
        n = shape[target]
        point[target] = int(centre[axis] if flip > 0 else n - 1 - centre[axis])
        spacing[target] = float(sizes[axis])
    if overlay is not None:
        overlay = nib.apply_orientation(np.asarray(overlay, float), orientation)
        finite = np.abs(overlay[np.isfinite(overlay)])
        limit = limit or (float(finite.max()) if finite.size else 1.0)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, 3)
    top = np.percentile(background[background > 0], 99) if (background > 0).any() else 1.0
    drawn = None
    for panel, axis, name in zip(panels, (0, 1, 2), ("sagittal", "coronal", "axial")):
        cut = np.take(background, point[axis], axis).T
        rest = [spacing[a] for a in range(3) if a != axis]
        look = {"origin": "lower", "aspect": rest[1] / rest[0], "interpolation": "nearest"}
        panel.imshow(cut, cmap="gray", vmin=0, vmax=top, **look)
        if overlay is not None:
            part = np.ma.masked_invalid(np.take(overlay, point[axis], axis).T)
            drawn = panel.imshow(part, cmap="PuOr_r", vmin=-limit, vmax=limit, alpha=0.9, **look)
        inside = np.take(outline, point[axis], axis).T
        if inside.any() and not inside.all():
            panel.contour(inside, levels=[0.5], colors=[VERMILLION], linewidths=1.2)
        panel.set_title(name, fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
        if axis:
            for x, letter in ((0.02, "L"), (0.98, "R")):
                panel.text(x, 0.97, letter, transform=panel.transAxes, color="white", fontsize=8,
                           ha="left" if letter == "L" else "right", va="top")  # fmt: skip
    if drawn is not None:
        figure.colorbar(drawn, ax=panels, label=unit, shrink=0.8)
    figure.suptitle(title, fontsize=10)
    return figure


def group_map(images: Mapping, what: str, n_persons: int, limit: float) -> Figure:
    """Map over persons on the MNI template: t where a cluster is significant by its extent, through
    the largest.

    Parameters
    ----------
    images : mapping
        `t`, `size` and `logp_max_size` of `clusters.group_clusters`, in MNI space.
    what : str
        Contrast and region.
    limit : float
        Family-wise p of a cluster.
    """
    from nilearn.datasets import load_mni152_template
    from nilearn.image import resample_to_img

    t, size, logp = (images[name].get_fdata() for name in ("t", "size", "logp_max_size"))
    own = (size > 0) & (logp > -np.log10(limit))
    template = resample_to_img(
        load_mni152_template(resolution=2), images["t"], force_resample=True, copy_header=True
    )
    # Through the peak of the largest cluster; through the middle of the brain where there is none.
    peak = np.argmax(np.where(own, size + 1e-3 * np.abs(t), -1)) if own.any() else None
    middle = [length // 2 for length in t.shape]
    centre = middle if peak is None else np.unravel_index(int(peak), t.shape)
    found = "t of the clusters" if own.any() else "no cluster"
    title = f"{what}, {n_persons} persons: {found} at family-wise p < {limit:g}"
    affine, overlay = images["t"].affine, np.where(own, t, np.nan)
    background = np.clip(template.get_fdata(), 0, None)
    return slices(background, affine, overlay, np.zeros(t.shape), centre, title, unit="t")


def scatter(rows: Sequence[dict], unit: str, metabolite: str, text: str = "") -> Figure:
    """BOLD against percent change, both with 95 % intervals, a marker a person.

    Parameters
    ----------
    rows : sequence of dict
        `person`, `label`, `bold`, `bold_se`, `change_percent`, `change_se`.
    unit : str
        Name and unit of the BOLD measure.
    text : str
        Result of the test, written into the figure.
    """
    figure = Figure(figsize=(6, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color=GREY, lw=0.8)
    axes.axvline(0, color=GREY, lw=0.8)
    persons = list(dict.fromkeys(row["person"] for row in rows))
    many = len(persons) > len(CYCLE)
    for i, person in enumerate(persons):
        own = [row for row in rows if row["person"] == person]
        axes.errorbar(
            [row["bold"] for row in own],
            [row["change_percent"] for row in own],
            xerr=[1.96 * row["bold_se"] for row in own],
            yerr=[1.96 * row["change_se"] for row in own],
            fmt="os^Dvp<>"[i % 8],
            color=CYCLE[0] if many else CYCLE[i],
            ms=5,
            lw=1,
            alpha=0.6 if many else 1,
            label=None if many else person,
        )
        if not many:
            for number, row in enumerate(own):
                # Above and below in turn: voxels of a person often lie close together.
                place = (5, 5 if number % 2 == 0 else -12)
                axes.annotate(row["label"], (row["bold"], row["change_percent"]), fontsize=8,
                              xytext=place, textcoords="offset points")  # fmt: skip
    axes.set(
        xlabel=unit,
        ylabel=f"{metabolite} change (%)",
        title=f"{unit.partition(' (')[0]}\nand {metabolite} (bars: 95 % intervals)",
    )
    if text:
        axes.text(0.02, 0.98, text, transform=axes.transAxes, va="top", fontsize=8)
    _finish(axes)
    if not many:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def matrix(values: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """ROI-to-ROI connectivity, z."""
    size = min(4 + 0.25 * len(names), 14)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    limit = np.nanmax(np.abs(values)) if np.isfinite(values).any() else 1.0
    drawn = axes.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
    ticks = np.arange(len(names))
    axes.set_xticks(ticks, names, rotation=90, fontsize=7)
    axes.set_yticks(ticks, names, fontsize=7)
    axes.set(xlabel="target", ylabel="seed", title=title)
    figure.colorbar(drawn, ax=axes, label="z", shrink=0.8)
    return figure


def _finish(axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e6ea", lw=0.6)
    axes.set_axisbelow(True)

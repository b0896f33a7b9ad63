"""A spectrum as a still picture (matplotlib), for `fmrsflow view FILE -o PICTURE`."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure

from fmrsflow.report.plot import BLACK, BLUE, GREY, VERMILLION
from fmrsflow.report.results import View
from fmrsflow.report.spectrum_figures import PEAKS, PPM_RANGE, phased


def picture(view: View) -> Figure:
    """Average and transients of a NIfTI-MRS file, or data, fit, baseline and residual of a fit."""
    return _fit(view) if view.fit is not None else _fids(view)


def as_bytes(figure: Figure, kind: str) -> bytes:
    """The picture as png, svg or pdf; the same bytes each time."""
    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    figure.savefig(buffer, format=kind, dpi=120, metadata=metadata)
    return buffer.getvalue()


def _fit(view: View) -> Figure:
    fit = view.fit
    spectra = [str(name) for name in fit["spectra"]]
    s = spectra.index("all") if "all" in spectra else 0
    ppm = fit["ppm"]
    data, model, baseline, residual = (
        np.real(fit[key][s]) for key in ("data", "fit", "baseline", "residual")
    )
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    lift = data.max() * 1.08 - residual.min()
    for values, colour, label in (
        (residual + lift, GREY, "residual (moved up)"),
        (data, BLACK, "data"),
        (model, VERMILLION, "fit"),
        (baseline, BLUE, "baseline"),
    ):
        axes.plot(ppm, values, color=colour, lw=1.1, label=label)
    axes.set_title(f"{view.name}: {spectra[s]}", fontsize=10)
    _dress(axes, ppm, data)
    axes.legend(frameon=False, ncols=4, fontsize=9, loc="upper left")
    return figure


def _fids(view: View) -> Figure:
    fids = phased(view.fids)
    inside = (fids.ppm >= PPM_RANGE[0]) & (fids.ppm <= PPM_RANGE[1])
    ppm = fids.ppm[inside]
    many = fids.n_transients > 1
    figure = Figure(figsize=(9, 7 if many else 4.5), layout="constrained")
    axes = figure.subplots(2 if many else 1, 1, squeeze=False, sharex=True)[:, 0]
    mean = np.real(fids.mean().spectra[0, 0, inside])
    axes[0].plot(ppm, mean, color=BLACK, lw=1.1)
    axes[0].set_title(
        f"{view.name}: mean of {fids.n_transients} transients" if many else view.name, fontsize=10
    )
    _dress(axes[0], ppm, mean)
    if many:
        image = np.real(fids.broadened(4.0).spectra[:, 0, inside])
        image -= np.median(image, axis=1, keepdims=True)
        low, high = np.percentile(image, [2, 99.7])
        axes[1].imshow(
            image,
            aspect="auto",
            cmap="cividis",
            vmin=low,
            vmax=high,
            extent=(ppm[0], ppm[-1], fids.n_transients, 0),
            interpolation="nearest",
        )
        axes[1].set(xlabel="Chemical shift (ppm)", ylabel="Transient", xlim=PPM_RANGE[::-1])
        axes[0].set_xlabel("")
    return figure


def _dress(axes, ppm: np.ndarray, values: np.ndarray) -> None:
    for shift, name in PEAKS:
        near = np.abs(ppm - shift) < 0.05
        if near.any():
            axes.annotate(
                name,
                (shift, values[near].max()),
                (0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                color=GREY,
            )
    axes.set(xlabel="Chemical shift (ppm)", ylabel="Signal (arbitrary)", xlim=PPM_RANGE[::-1])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)

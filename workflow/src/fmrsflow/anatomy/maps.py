"""Tissue maps of other tools: fMRIPrep, FSL FAST, SPM, SynthSeg labels."""

from __future__ import annotations

import re

import numpy as np

from fmrsflow.errors import DataError

FOLDERS = ("gm", "wm", "csf")

SYNTHSEG = {
    "wm": (2, 41, 7, 46),
    "gm": (3, 42, 8, 47, 10, 11, 12, 13, 49, 50, 51, 52, 17, 18, 53, 54, 26, 58),
    "csf": (4, 5, 14, 15, 24, 43, 44),
}
"""Labels of SynthSeg (FreeSurfer's look-up table) by tissue."""

_KINDS = (
    ("fmriprep", re.compile(r"label-(GM|WM|CSF)_probseg")),
    ("fast", re.compile(r"pve_?[012]")),
    ("spm", re.compile(r"(^|/)m?w?c[123]")),
)


def kind_of(name: str) -> str:
    """Tool that gave a map, by its file name: fmriprep, fast, spm or `maps`."""
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "maps")


def check_map(values: np.ndarray, name: str) -> np.ndarray:
    """Probabilities (x, y, z) of 0 to 1; maps in 0-100 or 0-255 are scaled.

    Raises
    ------
    DataError
        Not three-dimensional, empty, negative, or labels where probabilities are needed.
    """
    values = np.nan_to_num(values.squeeze())
    if values.ndim != 3:
        raise DataError(f"{name}: shape {values.shape}; name a 3D image")
    top = float(values.max())
    if top <= 0 or float(values.min()) < -0.01:
        raise DataError(
            f"{name}: values from {values.min():g} to {top:g} are no tissue map: name "
            "probabilities from 0 to 1"
        )
    if top <= 1.01:
        return np.clip(values, 0, 1)
    for scale in (100.0, 255.0):
        if top <= scale * 1.01:
            return np.clip(values / scale, 0, 1)
    raise DataError(
        f"{name}: values up to {top:g} are no probabilities; name a label image in all three of "
        "gm, wm and csf"
    )


def is_label_image(values: np.ndarray) -> bool:
    """Whether an image holds SynthSeg's whole numbers."""
    known = {0, *(label for labels in SYNTHSEG.values() for label in labels)}
    found = np.unique(values)
    return len(found) > 3 and bool(np.isin(found, [*known, 16, 28, 60, 85]).all())


def from_labels(values: np.ndarray, affine: np.ndarray) -> dict:
    """Maps (values, affine) of each tissue from SynthSeg labels."""
    return {
        name: (np.isin(values, labels).astype(np.float32), affine)
        for name, labels in SYNTHSEG.items()
    }

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

SCALES = ((1.0, 0.0), (100.0, 50.0), (255.0, 101.0))
"""Largest value of maps that are probabilities, percent or bytes, and what the largest of all three
lies above: somewhere a voxel of a brain holds one tissue alone."""

_KINDS = (
    ("fmriprep", re.compile(r"label-(GM|WM|CSF)_probseg")),
    ("fast", re.compile(r"pve_?[012]")),
    ("spm", re.compile(r"(^|/)m?w?c[123]")),
)


def kind_of(name: str) -> str:
    """Tool that gave a map, by its file name: fmriprep, fast, spm or `maps`."""
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "maps")


def check_maps(values: dict[str, np.ndarray], names: dict[str, str]) -> dict[str, np.ndarray]:
    """Probabilities (x, y, z) of each tissue, from 0 to 1; maps in 0-100 or 0-255 are scaled, all
    three alike: the largest value of one tissue alone may lie under another scale's end.

    Parameters
    ----------
    values : dict
        gm, wm, csf -> values of its image.
    names : dict
        gm, wm, csf -> what messages call it.

    Raises
    ------
    DataError
        Not three-dimensional, empty, negative, or labels where probabilities are needed.
    """
    whole = max(float(np.nan_to_num(one).max(initial=0)) for one in values.values())
    return {tissue: _checked(one, names[tissue], whole) for tissue, one in values.items()}


def _checked(values: np.ndarray, name: str, whole: float) -> np.ndarray:
    """Probabilities of one map; `whole` is the largest value of all three."""
    values = np.nan_to_num(values.squeeze())
    if values.ndim != 3:
        raise DataError(f"{name}: shape {values.shape}; name a 3D image")
    top = float(values.max())
    if top <= 0 or float(values.min()) < -0.01:
        raise DataError(
            f"{name}: values from {values.min():g} to {top:g} are no tissue map: name "
            "probabilities from 0 to 1"
        )
    for scale, above in SCALES:
        if above < whole <= scale * 1.01:
            return np.clip(values / scale, 0, 1)
    raise DataError(
        f"{name}: values up to {whole:g} in gm, wm and csf are no probabilities (to 1, 100, 255): "
        "export the maps as such, or name one label image of SynthSeg in all three"
    )


def is_label_image(values: np.ndarray) -> bool:
    """Whether an image holds SynthSeg's whole numbers."""
    known = {0, *(label for labels in SYNTHSEG.values() for label in labels)}
    found = np.unique(values)
    return len(found) > 3 and bool(np.isin(found, [*known, 16, 28, 60, 85]).all())


def check_labels(values: np.ndarray, name: str) -> None:
    """Refuse an image that is named for all three tissues and holds other labels.

    Raises
    ------
    DataError
        Not SynthSeg's labels.
    """
    if not is_label_image(values):
        raise DataError(
            f"{name}: named as gm, wm and csf, and it does not hold SynthSeg's labels (0, 2, 3, 4, "
            "41, 42, ...; those of FAST and of cortical parcels are others): name three maps of "
            "probabilities, or SynthSeg's segmentation without parcels"
        )


def from_labels(values: np.ndarray, affine: np.ndarray) -> dict:
    """Maps (values, affine) of each tissue from SynthSeg labels."""
    return {
        name: (np.isin(values, labels).astype(np.float32), affine)
        for name, labels in SYNTHSEG.items()
    }

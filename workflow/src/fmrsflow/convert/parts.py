"""What spec2nii needs for a kind of file, loaded once for all files before it is forked."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

_PARTS = {
    "philips": ("spec2nii.Philips.philips",),
    "philips_dcm": ("spec2nii.Philips.philips_dcm", "pydicom"),
    "dicom": ("spec2nii.Siemens.dicomfunctions", "pydicom"),
    "uih": ("spec2nii.uih", "pydicom"),
    "twix": ("mapvbvd", "spec2nii.Siemens.twixfunctions"),
    "rda": ("spec2nii.Siemens.rda",),
    "ge": ("spec2nii.GE.ge_pfile",),
    "jmrui": ("spec2nii.jmrui",),
}
"""Modules that a command of spec2nii imports when it runs: half a second for each file."""


def load_parts(command: str) -> None:
    """Import what a command of spec2nii needs, and let it read SDAT in one step."""
    for name in ("spec2nii.spec2nii", "nifti_mrs.validator", *_PARTS[command]):
        importlib.import_module(name)
    if command == "philips":
        from spec2nii.Philips import philips

        philips.read_sdat = read_sdat


def read_sdat(filename: str | Path, samples: int, rows: int) -> np.ndarray:
    """Points of a Philips SDAT, complex64 (samples, rows), as spec2nii's function of that name
    reads them number by number.

    VAX F floats: two little-endian 16-bit words, the one with sign and exponent first; fraction
    0.1f of 24 bits, exponent in excess of 128, and zero where the exponent is zero.
    """
    words = np.fromfile(filename, "<u2")
    words = words[: len(words) // 2 * 2].reshape(-1, 2).astype(np.uint32)
    high, low = words[:, 0], words[:, 1]
    exponent = (high >> 7 & 0xFF).astype(int)
    fraction = ((high & 0x7F) << 16) + low
    sizes = np.ldexp(0.5 + fraction / 2**24, exponent - 128)
    values = np.where(exponent > 0, np.where(high >> 15, -sizes, sizes), 0.0)
    points = values[: len(values) // 2 * 2].view(complex).astype(np.complex64)
    return points.reshape(rows, samples).T.squeeze()

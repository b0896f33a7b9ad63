"""What spec2nii needs for a kind of file, loaded once for all files before it is forked."""

from __future__ import annotations

import importlib

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
    """Import what a command of spec2nii needs."""
    for name in ("spec2nii.spec2nii", "nifti_mrs.validator", *_PARTS[command]):
        importlib.import_module(name)

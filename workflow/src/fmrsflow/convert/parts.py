"""What spec2nii needs for a kind of file, loaded once for all files before it is forked.

Written as imports rather than as a table of names, so that the digest of the code (definitions.py)
sees that they are none of ours.
"""
# ruff: noqa: F401

from __future__ import annotations


def load_parts(command: str) -> None:
    """Import what a command of spec2nii imports when it runs: half a second for each file.

    Raises
    ------
    KeyError
        A command that is not known here.
    """
    import nifti_mrs.validator
    import spec2nii.spec2nii

    if command == "philips":
        import spec2nii.Philips.philips
    elif command == "philips_dcm":
        import pydicom
        import spec2nii.Philips.philips_dcm
    elif command == "uih":
        import pydicom
        import spec2nii.uih
    elif command == "twix":
        import mapvbvd
        import spec2nii.Siemens.twixfunctions
    elif command == "rda":
        import spec2nii.Siemens.rda
    elif command == "ge":
        import spec2nii.GE.ge_pfile
    else:
        raise KeyError(command)

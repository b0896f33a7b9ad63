"""What a BOLD run must bring: four axes, a plausible repetition time, a place, confounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmrsflow.bold.connectivity import Timing
from fmrsflow.errors import DataError

MIN_VOLUMES = 40

_MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
STANDARD = (
    *_MOTION,
    *(f"{name}_derivative1" for name in _MOTION),
    "csf",
    "white_matter",
)
"""Columns taken from a table of fMRIPrep where none are named; with them every
``non_steady_state_outlier*``."""


def timing_of(image, sidecar: dict | None = None, slice_time_share: float = 0.5) -> Timing:
    """Time of each volume of a run.

    Parameters
    ----------
    image : nibabel image
    sidecar : dict, optional
        BIDS sidecar of the run; `RepetitionTime` (s) wins over the header, `StartTime` (s, the
        moment that slice timing was corrected to) over `slice_time_share`.
    slice_time_share : float
        Moment of a volume as a share of the repetition time, where no `StartTime` says.

    Raises
    ------
    DataError
        No four axes, too few volumes, no place in space, or a repetition time that is none.
    """
    sidecar = sidecar or {}
    shape = image.shape
    if len(shape) != 4 or shape[3] == 1:
        raise DataError(
            f"the BOLD file has shape {'x'.join(map(str, shape))}: a single volume, where a run "
            "(x, y, z, volume) is needed; was a reference image or a map named in column bold?"
        )
    if shape[3] < MIN_VOLUMES:
        raise DataError(
            f"the BOLD run has {shape[3]} volumes; fewer than {MIN_VOLUMES} cannot show a response"
        )
    codes = [int(image.header[code]) for code in ("qform_code", "sform_code")]
    if not any(codes):
        raise DataError(
            "the BOLD file states no place in scanner space (sform and qform codes are 0); export "
            "it again with its orientation"
        )
    if abs(np.linalg.det(image.affine[:3, :3])) < 1e-6:
        raise DataError("the affine of the BOLD file is singular: its voxels have no volume")
    tr_s = float(image.header.get_zooms()[3])
    unit = image.header.get_xyzt_units()[1]
    tr_s *= {"msec": 1e-3, "usec": 1e-6}.get(unit, 1.0)
    if sidecar.get("RepetitionTime") is not None:
        tr_s = float(sidecar["RepetitionTime"])
    if tr_s > 30:
        raise DataError(
            f"the repetition time of the BOLD run is given as {tr_s:g} s: it seems to be in ms; "
            "mend pixdim[4] or its unit in the header, or RepetitionTime in the sidecar"
        )
    if not tr_s > 0.05:
        raise DataError(
            f"the repetition time of the BOLD run is given as {tr_s:g} s; put RepetitionTime (s) "
            "into its JSON sidecar"
        )
    start_s = sidecar.get("StartTime")
    start_s = slice_time_share * tr_s if start_s is None else float(start_s)
    return Timing(int(shape[3]), tr_s, start_s)


def confound_matrix(
    rows: Sequence[dict], names: Sequence[str], n_scans: int
) -> tuple[np.ndarray, list[str], list[str]]:
    """Confounds of a run from the rows of its table.

    Parameters
    ----------
    rows : sequence of dict
        Text values, one row a volume.
    names : sequence of str
        Columns to take; empty for `STANDARD`, or for every column of a table that has none of
        them.

    Returns
    -------
    array (n_scans, n_columns), names of the columns, warnings

    Raises
    ------
    DataError
        Another number of rows than volumes, an unknown column, or values that are no numbers
        beyond the first row.
    """
    if len(rows) != n_scans:
        raise DataError(
            f"the confounds have {len(rows)} rows and the BOLD run {n_scans} volumes; "
            "name the table of this run"
        )
    known = list(rows[0])
    if names:
        unknown = [name for name in names if name not in known]
        if unknown:
            raise DataError(
                f"the confounds have no column {', '.join(unknown)}; there are "
                f"{', '.join(known[:12])}{' and others' if len(known) > 12 else ''}"
            )
        taken = list(names)
    else:
        taken = [name for name in STANDARD if name in known]
        taken = (taken or known) + [one for one in known if one.startswith("non_steady_state")]
        taken = list(dict.fromkeys(taken))
    values = np.array(
        [[_number(row[name], name, i) for name in taken] for i, row in enumerate(rows)]
    )
    missing = ~np.isfinite(values)
    beyond = np.argwhere(missing[1:])
    if beyond.size:
        row, column = beyond[0]
        raise DataError(
            f"the confounds have no value in column {taken[column]} for volume {row + 1} (from 0); "
            "only the first row may be empty (derivatives)"
        )
    warnings = []
    first = [name for name, gone in zip(taken, missing[0]) if gone]
    if first:
        # A mean says nothing about the volume, as nothing is known.
        values[0] = np.where(missing[0], values[1:].mean(axis=0), values[0])
        warnings.append(
            f"{len(first)} confounds have no value in the first row ({', '.join(first[:3])}"
            f"{', ...' if len(first) > 3 else ''}): the mean of the others stands for it"
        )
    return values, taken, warnings


def smoothed(series: np.ndarray, mask: np.ndarray, fwhm_voxels: np.ndarray) -> np.ndarray:
    """Gaussian smoothing inside a mask, (n_scans, n_voxels), without signal from outside it."""
    from scipy.ndimage import gaussian_filter

    sigma = np.asarray(fwhm_voxels, float) / np.sqrt(8 * np.log(2))
    weight = gaussian_filter(mask.astype(np.float32), sigma)[mask]
    volume = np.zeros(mask.shape, np.float32)
    found = np.empty(series.shape, np.float32)
    for i, row in enumerate(series):
        volume[mask] = row
        found[i] = gaussian_filter(volume, sigma)[mask] / weight
    return found


def on_grid(labels: np.ndarray, labels_affine: np.ndarray, shape, affine) -> np.ndarray:
    """Label of an atlas (x, y, z) at each voxel centre of another grid of one space; 0 outside."""
    points = np.indices(shape).reshape(3, -1)
    to_atlas = np.linalg.inv(labels_affine) @ affine
    index = np.rint(to_atlas[:3, :3] @ points + to_atlas[:3, 3:]).astype(int)
    inside = ((index >= 0) & (index < np.array(labels.shape)[:, None])).all(axis=0)
    found = np.zeros(points.shape[1], int)
    found[inside] = np.rint(labels[tuple(index[:, inside])]).astype(int)
    return found.reshape(shape)


def _number(text, name: str, row: int) -> float:
    if text in (None, "", "n/a", "NaN", "nan", "NA"):
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise DataError(
            f"the confounds hold {text!r} in column {name}, volume {row} (from 0): no number"
        ) from None

"""BOLD over all scans of an analysis: each unit's measure beside its change, maps over persons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.bold import glm, inputs
from fmrsflow.bold.concordance import Concordance, Pair, concordance, linewidth_narrowing
from fmrsflow.errors import DataError
from fmrsflow.question import Question

MEASURES = {
    "area": "Mean area under the BOLD response (% s)",
    "linewidth": "Narrowing of tCr in the task (Hz)",
}
"""Measures of BOLD: from fMRI, and from the spectra alone."""

ACTIVATION = "activation"
"""Name of the map of the area under the response, summed over conditions, among the contrasts."""

MIN_VOXELS = 100
"""Voxels with data of every person that a group map needs."""

MIN_TRANSIENTS = 8
"""Transients that a scan needs for a mean linewidth."""


@dataclass(frozen=True)
class Measured:
    """A BOLD measure of one unit; None where it is not known, and why."""

    value: float | None
    se: float | None
    note: str = ""


def answer_of(rows: Sequence[Mapping], question: Question) -> Mapping | None:
    """The change of a unit that answers the study's question and has an error."""
    known = (row for row in rows if math.isfinite(row["change_percent"] + row["se_percent"]))
    return question.best(known)


def mean_area(records: Sequence[Mapping], note: str = "") -> Measured | None:
    """Mean area over the BOLD runs of a unit's task; None where it has no run.

    Parameters
    ----------
    records : sequence of mapping
        Of the runs that can be used.
    note : str
        Why others cannot.
    """
    if not records:
        return Measured(None, None, note) if note else None
    names = ("area_mean_percent_s", "area_mean_se_percent_s")
    values, errors = np.array([[one[name] for name in names] for one in records]).T
    return Measured(float(values.mean()), float(np.sqrt((errors**2).sum())) / len(values), note)


def narrowing(scans: Sequence[Sequence[Mapping]], rest: str) -> Measured | None:
    """Narrowing of tCr in the task; None where the transients do not show it.

    Parameters
    ----------
    scans : sequence of rows of transients.tsv
        One a scan of the unit.
    """
    series = []
    for rows in scans:
        kept = [
            row
            for row in rows
            if row["kept"] and row["condition"] and math.isfinite(row["linewidth_hz"])
        ]
        widths = np.array([row["linewidth_hz"] for row in kept])
        step_s = np.median(np.diff([row["time_s"] for row in rows])) if len(rows) > 1 else 1.0
        series.append((widths, np.array([row["condition"] != rest for row in kept], float)))
    if len(series) > 1:
        return _between_scans(series)
    try:
        return Measured(*linewidth_narrowing(*series[0], float(step_s)))
    except ValueError:
        return None


def _between_scans(series) -> Measured | None:
    """Difference of the mean widths of rest scans and task scans."""
    rest = [widths for widths, task in series if not task.any()]
    active = [widths for widths, task in series if task.all()]
    means = []
    for group in (rest, active):
        group = [widths for widths in group if len(widths) >= MIN_TRANSIENTS]
        if not group:
            return None
        fits = [glm.fit(one[:, None], np.ones((len(one), 1))).contrast([1.0]) for one in group]
        se = np.sqrt(np.sum([one.variance[0] for one in fits])) / len(fits)
        means.append((np.mean([one.effect[0] for one in fits]), se))
    (rest_mean, rest_se), (task_mean, task_se) = means
    note = "rest and task are scans of their own: a change of shim counts as BOLD, so not tested"
    return Measured(float(rest_mean - task_mean), float(np.hypot(rest_se, task_se)), note)


def pair_row(identity: Mapping, measure: str, found: Measured, n_scans: int, note: str) -> dict:
    """Row of concordance.tsv.

    Parameters
    ----------
    identity : mapping
        Columns of the unit and its change (None where it has none).
    n_scans : int
        Of the unit.
    note : str
        Why it has no change.
    """
    known = found.se is not None and identity["change_se"] is not None
    row = {**identity, "measure": measure, "bold": found.value, "bold_se": found.se}
    # The shims of two scans differ by more than BOLD.
    row["used"] = known and not (measure == "linewidth" and n_scans > 1)
    row["note"] = "; ".join(one for one in (found.note, note) if one)
    if known:
        pair = _pair(row)
        row["same_sign"] = bool((pair.bold > 0) == (pair.change_percent > 0))
        row["p_same_sign"] = pair.p_same_sign
    return row


def accord(rows: Sequence[Mapping]) -> Concordance:
    """Test of the rows of one measure that can be used."""
    return concordance([_pair(row) for row in rows])


def _pair(row: Mapping) -> Pair:
    names = ("label", "person", "bold", "bold_se", "change_percent", "change_se", "place")
    return Pair(*(row[name] for name in names))


def smoothed(image, fwhm_mm: float):
    """A map smoothed inside its mask (where it is not 0), as one of the smoothed run would be."""
    import nibabel as nib

    values = image.get_fdata()
    mask = np.isfinite(values) & (values != 0)
    width = fwhm_mm / np.linalg.norm(image.affine[:3, :3], axis=0)
    found = np.zeros(values.shape, np.float32)
    if mask.any():
        found[mask] = inputs.smoothed(values[mask][None], mask, width)[0]
    return nib.Nifti1Image(found, image.affine)


@dataclass(frozen=True)
class GroupMap:
    """One contrast over persons: images of `clusters.group_clusters`, and rows of its clusters."""

    images: dict
    rows: list[dict]


def group_map(
    by_person: Mapping[str, Sequence], region: str, contrast: str, setting: Mapping
) -> GroupMap:
    """Clusters of a contrast over persons, by sign flips.

    Parameters
    ----------
    by_person : mapping
        Person -> images of the effect.

    Raises
    ------
    DataError
        Other grids, or too few voxels that all persons have.
    """
    import nibabel as nib

    from fmrsflow.bold.clusters import MIN_PERSONS, group_clusters, too_few

    if len(by_person) < MIN_PERSONS:
        raise DataError(too_few(len(by_person)))
    first = next(iter(by_person.values()))[0]
    for image in (image for images in by_person.values() for image in images):
        if image.shape != first.shape or not np.allclose(image.affine, first.affine, atol=1e-3):
            raise DataError("runs differ in their grids; resample them to one template")
    means = [np.mean([one.get_fdata() for one in images], axis=0) for images in by_person.values()]
    mask = np.all([one != 0 for one in means], axis=0)
    if mask.sum() < MIN_VOXELS:
        raise DataError(f"{mask.sum()} voxels hold data of every person, {MIN_VOXELS} are needed")
    images = group_clusters(
        [nib.Nifti1Image(one, first.affine) for one in means],
        nib.Nifti1Image(mask.astype(np.uint8), first.affine),
        setting["voxel_p"],
        setting["permutations"],
    )
    same = {"contrast": contrast, "region": region, "n_persons": len(means)}
    return GroupMap(images, [{**same, **row} for row in _cluster_rows(images, first.affine)])


def _cluster_rows(images: Mapping, affine: np.ndarray) -> list[dict]:
    """Clusters of either sign, the surest first."""
    from scipy.ndimage import label

    t, sizes, logp = (images[what].get_fdata() for what in ("t", "size", "logp_max_size"))
    rows = []
    for sign in (1, -1):
        parts, n = label((sizes > 0) & (sign * t > 0))
        for number in range(1, n + 1):
            own = parts == number
            peak = np.unravel_index(int(np.argmax(np.where(own, np.abs(t), 0))), t.shape)
            x, y, z = affine[:3, :3] @ peak + affine[:3, 3]
            rows.append(
                {
                    "sign": sign,
                    "n_voxels": int(own.sum()),
                    "p_fwe": float(10 ** -logp[peak]),
                    "peak_t": float(t[peak]),
                    "x_mm": float(x),
                    "y_mm": float(y),
                    "z_mm": float(z),
                }
            )
    return sorted(rows, key=lambda row: row["p_fwe"])

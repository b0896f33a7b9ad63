"""Tissue maps of a T1w by the built-in segmentation."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from fmrsflow.anatomy.tissue import contrast_doubts, segment
from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError

STEPS = 1023
"""Steps between 0 and 1 of a map: half of one is 5e-4, where segmentations differ by hundredths
(`systematic_sd`, docs/anatomy.md); SPM's maps have 255."""


def process(job: Job) -> dict:
    """Segment the T1w of a scan."""
    path, image = job.source("t1w"), job.image("t1w")
    setting = job.settings["anatomy"]
    try:
        maps = segment(
            image.get_fdata(dtype=np.float32).squeeze(),
            image.affine,
            setting["markov_weight"],
            setting["clip_high_percentile"],
        )
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None
    for text in contrast_doubts(maps):
        job.warn(text)
    for name in ("GM", "WM", "CSF"):
        job.save(name, kept_map(getattr(maps, name.lower()), image.affine))
    voxel_ml = abs(np.linalg.det(image.affine[:3, :3])) / 1000
    return {"brain_ml": float(maps.mask.sum() * voxel_ml)}


def kept_map(values: np.ndarray, affine: np.ndarray) -> nib.Nifti1Image:
    """A map of probabilities in steps of 1/1023, of which a sixth of the space of float32 is
    taken: no fraction of a voxel differs by more than half a step."""
    steps = np.rint(values.clip(0, 1) * STEPS).astype(np.uint16)
    image = nib.Nifti1Image(steps, affine)
    image.header.set_slope_inter(1 / STEPS, 0)
    return image


main = stage_main("segment", process)

"""Tissue maps of a T1w by the built-in segmentation."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from fmrsflow.anatomy.tissue import segment
from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError


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
    for name in ("GM", "WM", "CSF"):
        values = getattr(maps, name.lower())
        job.save(name, nib.Nifti1Image(values.astype(np.float32), image.affine))
    voxel_ml = abs(np.linalg.det(image.affine[:3, :3])) / 1000
    return {"brain_ml": float(maps.mask.sum() * voxel_ml)}


main = stage_main("segment", process)

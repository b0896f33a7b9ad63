"""Tissue maps of a scan, for its voxel and for the face of its T1w."""

from __future__ import annotations

import numpy as np

from fmrsflow.anatomy.maps import FOLDERS, check_labels, check_maps, from_labels, kind_of
from fmrsflow.edge import Job


def maps_of(job: Job) -> tuple[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Method and (values, affine) of gm, wm, csf: the study's maps first, else the built-in
    segmentation's.

    Raises
    ------
    DataError
        A map is none, or the segmentation failed.
    """
    if job.scan.gm:
        if job.scan.gm == job.scan.wm == job.scan.csf:
            image = job.image("gm")
            values = image.get_fdata(dtype=np.float32).squeeze()
            check_labels(values, job.scan.gm)
            return "labels", from_labels(values, image.affine)
        images = {name: job.image(name) for name in FOLDERS}
        values = {name: image.get_fdata(dtype=np.float32) for name, image in images.items()}
        names = {name: getattr(job.scan, name) for name in FOLDERS}
        maps = {name: (one, images[name].affine) for name, one in check_maps(values, names).items()}
        return kind_of(job.scan.gm), maps
    segmented = job.earlier("segment", job.study.segment_owner(job.scan))
    images = {name: segmented.image(name.upper()) for name in FOLDERS}
    return "builtin", {
        name: (image.get_fdata(dtype=np.float32), image.affine) for name, image in images.items()
    }

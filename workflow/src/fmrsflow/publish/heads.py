"""The T1w of a published dataset: without face and header, or not at all."""

from __future__ import annotations

import gzip

import numpy as np

from fmrsflow.anatomy.face import without_face
from fmrsflow.anatomy.place import check_scanner_space, displacement_mm
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.scan_maps import maps_of
from fmrsflow.study import Site

SCANNER = 1
"""Form code of NIfTI for the scanner's space."""


def defaced(job: Job) -> bytes:
    """The T1w of a scan as gzipped NIfTI, zero where the face was (`anatomy.face`).

    Nothing of its header is left but grid and place.

    Raises
    ------
    DataError
        No picture of a head, no tissue maps, or maps that are not this head's: a face could stay.
    """
    import nibabel as nib

    image = job.image("t1w")
    check_scanner_space(image, "the T1w")
    values = np.asanyarray(image.dataobj).squeeze()
    if values.ndim != 3 or values.dtype.kind not in "iuf":
        raise DataError(f"the T1w has shape {image.shape} and type {values.dtype}: no picture")
    if values.dtype.itemsize > 4:
        values = values.astype(np.float32)
    _, maps = maps_of(job)
    _check_same_head(job, values, image.affine, maps)
    kept = without_face(values.shape, image.affine, maps["gm"], maps["wm"])
    plain = nib.Nifti1Image(np.where(kept, values, values.dtype.type(0)), image.affine)
    plain.set_sform(image.affine, SCANNER)
    plain.header.set_xyzt_units("mm")
    return gzip.compress(plain.to_bytes(), 4, mtime=0)


def described(site: Site) -> dict:
    """Sidecar of a T1w, by the sheet of the sites."""
    return {"Manufacturer": site.vendor, "MagneticFieldStrength": site.field_t}


def _check_same_head(job: Job, values: np.ndarray, affine: np.ndarray, maps: dict) -> None:
    if job.scan.gm:
        if displacement_mm(np.asarray(values, np.float32), affine, maps).any():
            raise DataError("the tissue maps lie elsewhere than the head of the T1w")
        return
    owner = job.study.segment_owner(job.scan)
    segmented = job.earlier("segment", owner).record.get("sources", {})
    if not {one.digest for one in job.sources.values()} <= set(segmented.values()):
        raise DataError("the T1w is another file than the one that was segmented: run again")

"""Vendor files to anonymised NIfTI-MRS in BIDS names, checked against the site's row."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from fmrsflow.batch import stage_main
from fmrsflow.convert import checks
from fmrsflow.convert.edited import edited_states
from fmrsflow.convert.formats import companion
from fmrsflow.convert.pairs import check_onset, check_pair
from fmrsflow.convert.reader import Converted, read, without_frequency_error
from fmrsflow.convert.sidecar import sidecar
from fmrsflow.convert.transients import check_one_kind
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.fids import EDITED_UNSUPPORTED, Fids


def process(job: Job) -> dict:
    """Convert a scan and its water reference."""
    path = job.source("mrs")
    converted = read(_with_companion(job, path), job.site)
    for note in converted.notes:
        job.warn(note)
    if job.site.water_suppressed != "no":
        check_one_kind(converted.fids, path.name)
    try:
        fids = without_frequency_error(converted.fids)
        for note in fids.told.notes:
            job.warn(note)
        checks.check_axes(fids, job.site)
        fids, reversed_ = checks.right_way_round(fids, job.warn, converted.sign_known)
        if states := edited_states(fids):
            raise DataError(f"{states}: {EDITED_UNSUPPORTED}")
        fids = checks.against_site(fids, job.site, job.warn)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None
    reference, name = _reference(job, converted)
    if reference is not None:
        if reversed_:
            reference = reference.with_data(np.conj(reference.data))
        try:
            reference = checks.reference_against_scan(reference, fids, job.warn)
            check_onset(reference)
            check_pair(reference, fids, _suppressed(job, fids, reference))
        except DataError as error:
            raise DataError(f"{name} (ref of {path.name}): {error}") from None
        checks.check_water_position(reference, job.warn)
        job.save("mrsref", reference)
        job.save("mrsref", sidecar(reference))
    job.save("svs", fids)
    job.save("svs", sidecar(fids, **_links(job, reference)))
    return {
        "te_s": fids.te_s,
        "tr_s": fids.tr_s,
        "frequency_mhz": fids.frequency_mhz,
        "spectral_width_hz": 1.0 / fids.dwell_s,
        "n_points": fids.n_points,
        "n_transients": fids.n_transients,
        "n_coils": fids.n_coils,
        "voxel_mm": checks.voxel_mm(fids),
        "vendor": fids.header.get("Manufacturer", job.site.vendor),
        "model": fids.header.get("ManufacturersModelName"),
        "software": fids.header.get("SoftwareVersions"),
        "sequence": job.site.sequence,
        "format": converted.format,
        "reference": None
        if reference is None
        else {
            "te_s": reference.te_s,
            "tr_s": reference.tr_s,
            "n_transients": reference.n_transients,
        },
    }


def _reference(job: Job, converted: Converted) -> tuple[Fids | None, str]:
    """The water reference that the sheet names, else that of the same file."""
    itself = PurePosixPath(job.scan.ref) == PurePosixPath(job.scan.mrs)
    if itself and converted.reference is None:
        raise DataError(
            f"{job.scan.ref}: named as its own ref, and it holds no water reference beside the "
            "scan; name the unsuppressed water in column ref of scans.tsv, or none"
        )
    if job.scan.ref and not itself:
        path = job.source("ref")
        found = read(_with_companion(job, path), job.site)
        for note in found.notes:
            job.warn(f"water reference: {note}")
        return without_frequency_error(found.fids), path.name
    if converted.reference is None:
        job.warn(
            "no water reference: no eddy-current correction, no concentrations; name it in "
            "column ref of scans.tsv"
        )
    return converted.reference, job.scan.mrs


def _suppressed(job: Job, fids: Fids, reference: Fids) -> bool:
    """Whether the scan's water was suppressed, by the sheet, else by the header. The header of an
    unsuppressed scan excuses it only where that of its reference does not say the contrary."""
    if job.site.water_suppressed:
        return job.site.water_suppressed == "yes"
    return fids.told.water_suppressed is not False or reference.told.water_suppressed is True


def _links(job: Job, reference: Fids | None) -> dict[str, str | None]:
    folder = f"{job.scan.folder}/{job.scan.stem}"
    return {
        "ReferenceSignal": None
        if reference is None
        else f"bids::{folder}_desc-convert_mrsref.nii.gz",
        "AnatomicalImage": f"bids::{job.scan.t1w}" if job.scan.t1w else None,
    }


def _with_companion(job: Job, path: Path) -> Path:
    """The same path; the header of a Philips scan is a file of its own."""
    if path.suffix.lower() == ".sdat":
        job.beside(companion(path, ".spar"))
    return path


main = stage_main("convert", process)

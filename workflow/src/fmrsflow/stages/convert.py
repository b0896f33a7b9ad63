"""Vendor files to anonymised NIfTI-MRS in BIDS names, checked against the site's row."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from fmrsflow.batch import stage_main
from fmrsflow.bids_uris import uri
from fmrsflow.convert import checks
from fmrsflow.convert.edited import edited_states, turning
from fmrsflow.convert.excitations import excitations
from fmrsflow.convert.formats import companion
from fmrsflow.convert.interleaved import EACH, between, parted, water_rows
from fmrsflow.convert.pairs import check_onset, check_pair, noisier, quieter
from fmrsflow.convert.reader import Converted, read, without_frequency_error
from fmrsflow.convert.sidecar import sidecar
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.fids import EDITED_UNSUPPORTED, Fids
from fmrsflow.fingerprint import fingerprint
from fmrsflow.words import count


def process(job: Job) -> dict:
    """Convert a scan and its water reference."""
    path = job.source("mrs")
    converted = read(_with_companion(job, path), job.site)
    for note in converted.notes:
        job.warn(note)
    try:
        each = _excitations(job, path, converted)
        scan, own, water = _parted(job, converted)
        fids = without_frequency_error(scan)
        for note in fids.told.notes:
            job.warn(note)
        checks.check_axes(fids, job.site)
        fids, reversed_ = checks.right_way_round(
            fids, job.warn, converted.sign_known, job.site.frequency_axis
        )
        if states := edited_states(fids):
            raise DataError(f"{states}: {EDITED_UNSUPPORTED}")
        if states := turning(fids):
            job.warn(states)
        fids = checks.against_site(fids, job.site, job.warn)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None
    reference, column, reference_is_own = _reference(job, converted, own)
    if reference is not None:
        if reversed_:
            reference = reference.with_data(np.conj(reference.data))
        try:
            reference = checks.reference_against_scan(reference, fids, job.warn)
            check_onset(reference)
            check_pair(reference, fids, _suppressed(job, fids, reference))
        except DataError as error:
            name = PurePosixPath(getattr(job.scan, column)).name
            raise DataError(f"{name} (ref of {path.name}): {error}") from None
        checks.check_water_position(reference, job.warn)
        if fids.told.eddies_corrected and not reference.told.eddies_corrected:
            job.warn(
                "its header says that eddy currents were corrected before (ProcessingApplied), and "
                "that of its water reference does not: they would be corrected twice, which moves "
                "amplitudes by percents; name the scan before that correction, or switch eddy off "
                "in the settings of preprocess"
            )
        distrust = checks.distrusted(reference, fids)
        of_fid = _excitations_of_fid(job, fids, each)
        distrust += noisier(reference, fids, of_fid) + quieter(reference, fids, of_fid)
        for text in distrust:
            job.warn(text)
        job.save("mrsref", reference)
        job.save("mrsref", sidecar(reference, Sources=_sources(job, column)))
    interleaved = own is not None and between(water)
    before_each = _before_each(job, fids, reference)
    job.save("svs", fids)
    links = {"ReferenceSignal": _reference_uri(job)} if reference is not None else {}
    job.save("svs", sidecar(fids, Sources=_sources(job, "mrs"), **links))
    return {
        "te_s": fids.te_s,
        "tr_s": fids.tr_s,
        "frequency_mhz": fids.frequency_mhz,
        "spectral_width_hz": 1.0 / fids.dwell_s,
        "n_points": fids.n_points,
        "n_transients": fids.n_transients,
        "excitations_per_transient": each,
        "water_transients": np.flatnonzero(water).tolist() if interleaved else [],
        "water_before_each": before_each,
        "n_coils": fids.n_coils,
        "voxel_mm": checks.voxel_mm(fids),
        "voxel_centre_mm": checks.voxel_centre_mm(fids),
        "vendor": fids.header.get("Manufacturer", job.site.vendor),
        "model": fids.header.get("ManufacturersModelName"),
        "software": fids.header.get("SoftwareVersions"),
        "sequence": job.site.sequence,
        "format": converted.format,
        "fingerprint": fingerprint(fids),
        "averages": fids.told.averages,
        "reference": None
        if reference is None
        else {
            "te_s": reference.te_s,
            "tr_s": reference.tr_s,
            "n_transients": reference.n_transients,
            "averages": reference.told.averages,
            "distrust": distrust,
            "over_time": before_each or (reference_is_own and interleaved),
        },
    }


def _excitations(job: Job, path: Path, converted: Converted) -> int | None:
    """Excitations of each transient, by the sheet, else by the header; None where that can be read
    in two ways."""
    named = job.scan.excitations_per_transient
    told, n = excitations(path, converted.format, converted.fids), converted.fids.n_transients
    if named:
        if not told.agrees(named, n):
            job.warn(
                f"{told.entry} does not fit {count(n, 'transient')} of {named} excitations, as "
                "scans.tsv says in column excitations_per_transient; that is used"
            )
        return named
    if told.entry:
        job.warn(
            f"each transient counts as {count(told.each, 'excitation')} ({told.entry}); if it is "
            "otherwise, say so in column excitations_per_transient of scans.tsv"
            if told.each
            else f"{told.entry} may count the excitations of a transient or of the scan: say which "
            "in column excitations_per_transient of scans.tsv; without it no events are assigned"
        )
    return told.each


def _excitations_of_fid(job: Job, fids: Fids, each: int | None) -> float | None:
    """Of the scan, by the sheet where it says so; None where that is not known."""
    if fids.n_transients > 1 or job.scan.excitations_per_transient:
        return each
    return fids.told.averages or fids.told.excitations


def _before_each(job: Job, fids: Fids, reference: Fids | None) -> bool:
    """Whether the sheet says that the reference was measured before each transient of the scan.

    Raises
    ------
    DataError
        There is no reference, or it has another number of transients.
    """
    if job.scan.water_transients != EACH:
        return False
    found = 0 if reference is None else reference.n_transients
    if found != fids.n_transients:
        raise DataError(
            f"column water_transients says that water was measured before each of "
            f"{fids.n_transients} transients, and the reference holds {found}: name the reference "
            "with one for each, or empty the column"
        )
    return True


def _parted(job: Job, converted: Converted) -> tuple[Fids, Fids | None, np.ndarray]:
    """The scan, its own transients without water suppression, and which these are."""
    fids = converted.fids
    suppressed = job.site.water_suppressed != "no" and fids.told.water_suppressed is not False
    water = water_rows(fids, job.scan.water_transients, suppressed)
    if not water.any():
        return fids, None, water
    scan, own = parted(fids, water)
    itself = PurePosixPath(job.scan.ref) == PurePosixPath(job.scan.mrs)
    used = "the scan's water reference"
    if converted.reference is not None or job.scan.ref and not itself:
        used = "left out, as there is another water reference"
    job.warn(
        f"{count(int(water.sum()), 'transient')} of {len(water)} without water suppression, the "
        f"first of them number {water.argmax()} (from 0): {used}. Onsets of events count from the "
        f"first transient of {'all' if between(water) else 'the others'}"
    )
    return scan, own, water


def _reference(job: Job, converted: Converted, own: Fids | None) -> tuple[Fids | None, str, bool]:
    """The water reference that the sheet names, else that of the same file, else the scan's own
    transients without water suppression; the column that names its file, and whether it is the
    latter."""
    scan = job.scan
    itself = PurePosixPath(scan.ref) == PurePosixPath(scan.mrs)
    if itself and converted.reference is None and own is None:
        raise DataError(
            f"{scan.ref}: named as its own ref, and it holds no water reference beside the "
            "scan; name the unsuppressed water in column ref of scans.tsv, or none"
        )
    if scan.ref and not itself:
        path = job.source("ref")
        found = read(_with_companion(job, path), job.site)
        for note in found.notes:
            job.warn(f"water reference: {note}")
        return without_frequency_error(found.fids), "ref", False
    if converted.reference is None and own is not None:
        return without_frequency_error(own), "mrs", True
    if converted.reference is None:
        job.warn(
            "no water reference: no eddy-current correction, no concentrations; name it in "
            "column ref of scans.tsv"
        )
    return converted.reference, "mrs", False


def _suppressed(job: Job, fids: Fids, reference: Fids) -> bool:
    """Whether the scan's water was suppressed, by the sheet, else by the header. The header of an
    unsuppressed scan excuses it only where that of its reference does not say the contrary."""
    if job.site.water_suppressed:
        return job.site.water_suppressed == "yes"
    return fids.told.water_suppressed is not False or reference.told.water_suppressed is True


def _reference_uri(job: Job) -> str:
    path = job.writer.output.place("mrsref.nii.gz")
    return f"bids::{path.relative_to(job.study.results)}"


def _sources(job: Job, column: str) -> list[str] | None:
    own = uri(job.scan, column)
    return [own] if own else None


def _with_companion(job: Job, path: Path) -> Path:
    """The same path; the header of a Philips scan is a file of its own."""
    if path.suffix.lower() == ".sdat":
        job.beside(companion(path, ".spar"))
    return path


main = stage_main("convert", process)

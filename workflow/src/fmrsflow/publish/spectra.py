"""The spectra of a published scan: NIfTI-MRS and sidecars from what `convert` made, and events."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fmrsflow.convert.sidecar import sidecar
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.results import Output
from fmrsflow.study import Scan, Site
from fmrsflow.tables import MISSING

EVENT_COLUMNS = ("onset", "duration", "trial_type")
"""Columns of events.tsv that are given: what a response is fitted with. Others may hold notes."""


def spectra_of(scan: Scan, site: Site, converted: Output) -> dict[str, bytes | dict]:
    """Suffix with ending (`svs.nii.gz`, `svs.json`, `mrsref...`) -> content, spectra first.

    Parameters
    ----------
    scan : Scan
        By its published names.
    converted : Output
        Of the stage `convert`.

    Raises
    ------
    DataError
        A reader of the files could not know when the transients were excited.
    """
    record = converted.record
    averages, each = record.get("averages"), record.get("excitations_per_transient")
    if each is None:
        raise DataError(
            "how many excitations a transient holds is not known: say it in column "
            "excitations_per_transient of scans.tsv"
        )
    fids = converted.fids("svs")
    reference = converted.fids("mrsref") if converted.has("mrsref.nii.gz") else None
    water = record.get("water_transients")
    if record.get("water_before_each"):
        water = list(range(0, 2 * fids.n_transients, 2))
    if water:
        fids, reference = _together(fids, reference, water, record), None
    suffix = "unloc" if site.sequence == "FID" and fids.affine is None else "svs"
    found = _written(suffix, fids, averages, each, water)
    suppressed = {"yes": True, "no": False}.get(site.water_suppressed)
    found[f"{suffix}.json"] = described(
        fids, site, each, TaskName=scan.task or None, WaterSuppressed=suppressed
    )
    if reference is not None:
        found |= _written("mrsref", reference, record["reference"].get("averages"), 1)
        found["mrsref.json"] = described(reference, site, 1, WaterSuppressed=False)
        name = f"{scan.folder.partition('/')[2]}/{scan.stem}_mrsref.nii.gz"
        found[f"{suffix}.json"]["ReferenceSignal"] = f"bids::{name}"
    return found


def events_of_scan(job: Job) -> bytes | None:
    """events.tsv of a scan: onset, duration and trial_type of each event; None where the sheet
    names none.

    Raises
    ------
    DataError
        The sheet's file cannot be read.
    """
    events = job.events()
    if events is None:
        return None
    lines = [EVENT_COLUMNS, *([_cell(row[one]) for one in EVENT_COLUMNS] for row in events)]
    return "".join("\t".join(line) + "\n" for line in lines).encode()


def described(fids: Fids, site: Site, each: int, **known) -> dict:
    """Sidecar of spectra by their header, and by the sheet of the sites where that is silent.

    Parameters
    ----------
    each : int
        Excitations of a transient.
    known : dict
        Further keys, None where not known.
    """
    told = {
        "Manufacturer": site.vendor,
        "MagneticFieldStrength": site.field_t,
        "PulseSequenceType": site.sequence,
        "EchoTime": site.te_s,
        "RepetitionTime": site.tr_s,
        "MixingTime": fids.header.get("MixingTime", site.tm_s),
        "ReceiveCoilName": fids.header.get("RxCoil"),
        **known,
        **sidecar(fids),
        "NumberOfTransients": each * fids.n_transients,
    }
    return {key: value for key, value in told.items() if value is not None}


def _written(
    suffix: str, fids: Fids, averages: float | None, each: int, water: Sequence[int] = ()
) -> dict[str, bytes | dict]:
    """The NIfTI-MRS of spectra, with what `convert` reads of their excitations in its header."""
    fields: dict = {}
    if each > 1:
        fields["NumberOfTransients"] = each * fids.n_transients
    if averages:
        said = "Excitations of which one FID of the vendor's file was made"
        fields["NumberOfAverages"] = {"Value": averages, "Description": said}
    if water:
        suppressed = [number not in set(water) for number in range(fids.n_transients)]
        dimension = "dim_5_header" if fids.n_coils == 1 else "dim_6_header"
        fields[dimension] = {"WaterSuppressed": suppressed}
    content = to_nifti(fids, **fields).to_bytes()
    return {f"{suffix}.nii.gz": gzip.compress(content, 6, mtime=0)}


def _together(fids: Fids, reference: Fids | None, water: list[int], record: dict) -> Fids:
    """Transients in the order of their excitation: those of the scan, and between them those
    without water suppression, which lay there or in a file of their own.

    Raises
    ------
    DataError
        Those were not kept, or are not as many excitations as one of the scan.
    """
    over_time = (record["reference"] or {}).get("over_time")
    if reference is None or not over_time or reference.n_transients != len(water):
        raise DataError(
            "its transients without water suppression were left out when it was converted, and "
            "without them nothing says when the others were excited"
        )
    if record.get("water_before_each") and record["excitations_per_transient"] > 1:
        raise DataError("water before transients of several excitations has no form in NIfTI-MRS")
    data = np.empty((fids.n_transients + len(water), *fids.data.shape[1:]), complex)
    is_water = np.isin(np.arange(len(data)), water)
    data[is_water], data[~is_water] = reference.data, fids.data
    header = {key: one for key, one in fids.header.items() if key != "WaterSuppressed"}
    return replace(fids, data=data, header=header)


def _cell(value) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return " ".join(str(value).split()) or MISSING

"""Which DICOM files of a path hold the transients of one scan, and in which order they came."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from fmrsflow.convert.averages import dicom_averages
from fmrsflow.convert.boxes import box_distance_mm
from fmrsflow.convert.gains import gain_of
from fmrsflow.convert.transients import references, stack
from fmrsflow.errors import DataError, reading_failed
from fmrsflow.fids import Fids
from fmrsflow.headers import vendor_of
from fmrsflow.words import count

_SPECTROSCOPY = {
    "1.2.840.10008.5.1.4.1.1.4.2",  # MR Spectroscopy Storage
    "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image Storage
    "1.3.46.670589.11.0.0.12.1",  # Philips' own of old
}

_OLD_PHILIPS = "1.3.46.670589.11.0.0.12.1"

_SAMPLES = ((0x5600, 0x0020), (0x7FE1, 0x1010))
"""Samples of the standard's spectroscopy and of Siemens before XA."""

_KNOWN_SIGN = ("siemens", "philips")
"""Makers whose sign of frequency is known for every release, by measured files."""

_TAGS = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "Manufacturer",
    "InstanceNumber",
    "AcquisitionNumber",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "Rows",
    "Columns",
    "MRSpectroscopyAcquisitionType",
    "VolumeLocalizationSequence",
    "NumberOfAverages",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *_SAMPLES,
)

_DEFERRED_BYTES = 1 << 16
"""Longer values are not read at once, only their length."""

WHOLE_TIMES = 0.1
"""Relative distance up to which times of files are whole repetition times: a median over scans that
were stopped and went on, of times that some releases round to seconds."""

_MOST_READ_BYTES = 1 << 26
"""Longer samples are not read here at all: a header may claim any length."""


@dataclass(frozen=True)
class Instance:
    """One DICOM file of spectroscopy.

    Attributes
    ----------
    path : Path
    shown : str
        What messages call it: scanners name the files of a folder after the person.
    command : str
        Converter, and the command of spec2nii where that is it.
    known_sign : bool
        Whether the sign of frequency is known for this maker.
    orders : tuple
        Instance number, acquisition number and time; None where absent.
    series : str
    n_samples : int or None
        Complex values that it holds; None where they stand elsewhere.
    first : array or None
        The first of them where they are of the standard, whose sign is ours.
    voxel : array (4, 4) or None
        Box of three slabs of localisation, mm, RAS+.
    averages : float or None
        Excitations that one FID is made of.
    gain : tuple of float
        Of the receiver (`gains.gain_of`).
    vendor : str
        As in sites.tsv, by the header's own Manufacturer; "" where it names none of those.
    """

    path: Path
    shown: str
    command: str
    known_sign: bool
    orders: tuple
    series: str
    n_samples: int | None
    first: np.ndarray | None
    voxel: np.ndarray | None
    averages: float | None
    gain: tuple[float, ...]
    vendor: str = ""


def instances(path: Path) -> tuple[list[Instance], list[str]]:
    """Files of spectroscopy of a DICOM file or folder in the order of their acquisition, and notes.

    Hidden files (`.DS_Store`, `._x`), images and what is no DICOM are left out.

    Raises
    ------
    DataError
        None, several series or voxels, a copy of one, or an order that cannot be told.
    """
    found, images, others = [], 0, 0
    for file, shown in _files(path):
        header = _header(file, shown)
        if header is None:
            others += 1
        elif _is_spectroscopy(header):
            found.append(_instance(file, shown, header))
        else:
            images += 1
    if not found:
        if path.is_dir():
            raise DataError(
                f"the folder {path.name} holds no DICOM file of spectroscopy ({images} of images, "
                f"{others} that are no readable DICOM); name the folder of the spectroscopy"
            )
        raise DataError(
            f"{path.name} is a DICOM file of an image, not of spectroscopy; name that of the scan"
            if images
            else f"{path.name} is no readable DICOM file: truncated or damaged; copy it again"
        )
    if len(series := Counter(one.series for one in found)) > 1:
        sizes = ", ".join(str(size) for size in series.values())
        raise DataError(
            f"{path.name} holds {len(series)} series of spectroscopy ({sizes} files); put one "
            "scan into each folder, and name that of the water reference in column ref"
        )
    notes = []
    if others:
        notes.append(f"{count(others, 'file')} of {path.name}: no readable DICOM, left out")
    return _in_order(path, found, notes), notes


def joined(
    path: Path, found: Sequence[Instance], each: Sequence[dict[str, Fids]]
) -> tuple[dict[str, Fids], list[str]]:
    """The scan, and its water reference where each file holds one (Philips); and notes.

    Parameters
    ----------
    each
        What the converter made of each file: `svs`, and `ref` for a second FID.

    Raises
    ------
    DataError
        The converter left samples out, or the files are not of one acquisition.
    """
    scans, waters, notes = [], [], []
    for one, parts in zip(found, each):
        whole = stack(list(parts.values()), one.shown)
        if one.n_samples is not None and whole.data.size != one.n_samples:
            raise DataError(
                f"{one.shown}: it holds {one.n_samples} complex samples, of which "
                f"{whole.data.size} can be read ({whole.n_points} points a FID): several FIDs in "
                "one file of this maker, or truncated; export each transient as a file, or the raw "
                "data"
            )
        if one.first is not None and _conjugate(whole.data[0, 0], one.first):
            # dcm2niix knows releases by the software's version, which may be deleted.
            whole = whole.with_data(np.conj(whole.data))
        affine, note = _box(one, whole.affine)
        told = whole.told
        told = replace(told, averages=one.averages or told.averages, gain=one.gain or told.gain)
        whole = replace(whole, affine=affine, told=told)
        notes += [note] if note and note not in notes else []
        if (water := references(whole)).any():
            waters.append(whole.select(water))
            if leading := int(np.argmin(water)):
                notes.append(
                    f"{count(leading, 'transient')} without water suppression before the scan: "
                    "taken as its water reference; times of events count from the first one after"
                )
            whole = whole.select(~water)
        scans.append(whole)
    if len(coils := {one.header.get("RxCoil") for one in scans}) > 1:
        raise DataError(
            f"{path.name}: its files are of {len(coils)} receive coils, so that they are no "
            "transients in a row; export them with the coils combined, or the raw data"
        )
    if waters and len(waters) != len(scans):
        raise DataError(
            f"{path.name}: {len(waters)} of {len(scans)} files hold a water reference; export "
            "all transients in the same way"
        )
    result = {"svs": stack(scans, path.name)}
    notes += _apart(found, result["svs"])
    if waters:
        result["ref"] = stack(waters, path.name)
    return result, notes


def _apart(found: Sequence[Instance], fids: Fids) -> list[str]:
    """A note where the times of the files are no repetition time apart, nor as many as their header
    has averages: that of Siemens before XA tells none, and its files may be means."""
    times = [_seconds(one.orders[2]) for one in found]
    if len(times) < 2 or None in times or not fids.tr_s:
        return []
    step_s = float(np.median(np.diff(times))) * len(found) / fids.n_transients
    excitations = round(step_s / fids.tr_s)
    averages = fids.told.averages
    expected = 1 if averages in (None, fids.n_transients) else averages
    if not excitations or excitations == expected:
        return []
    if abs(step_s / fids.tr_s - excitations) > WHOLE_TIMES * excitations:
        return []
    return [
        f"by the times of its files the transients are {step_s:.3g} s apart, "
        f"{count(excitations, 'repetition time')}: if each holds so many excitations, say so in "
        "column excitations_per_transient of scans.tsv"
    ]


def _seconds(time: str | None) -> float | None:
    """Seconds of a date and time of DICOM (YYYYMMDDHHMMSS.F&Z) from any fixed one."""
    text, _, fraction = (re.split(r"[-+]", time or "")[0]).partition(".")
    try:
        whole = datetime.strptime(text, "%Y%m%d%H%M%S")
        return (whole - datetime.min).total_seconds() + float(f"0.{fraction or 0}")
    except ValueError:
        return None


def _files(path: Path) -> list[tuple[Path, str]]:
    if not path.is_dir():
        return [(path, path.name)]
    files = [one for one in sorted(path.rglob("*")) if one.is_file()]
    shown = [
        (one, f"{path.name}: file {number} of the folder (by name)")
        for number, one in enumerate(files, start=1)
    ]
    return [
        (one, name)
        for one, name in shown
        if not any(part.startswith(".") for part in one.relative_to(path).parts)
    ]


def _header(file: Path, shown: str):
    """Header of a DICOM file; None where it is none."""
    import pydicom

    try:
        return pydicom.dcmread(
            file, stop_before_pixels=True, specific_tags=list(_TAGS), defer_size=_DEFERRED_BYTES
        )
    except OSError as error:
        reason = f"{shown} cannot be read ({error.strerror})"
        raise reading_failed(file, error, reason, shown) from None
    except Exception:  # whatever a damaged header makes of it
        return None


def _is_spectroscopy(header) -> bool:
    samples = any(tag in header for tag in _SAMPLES)
    return samples or _text(header, "SOPClassUID") in _SPECTROSCOPY


def _instance(file: Path, shown: str, header) -> Instance:
    old_philips = _text(header, "SOPClassUID") == _OLD_PHILIPS
    rows, columns = _whole(header, "Rows"), _whole(header, "Columns")
    kind = _text(header, "MRSpectroscopyAcquisitionType").upper()
    if old_philips:
        rows = columns = 1  # these are of its picture of the spectrum
    if (rows or 1) * (columns or 1) > 1 or kind in ("ROW", "PLANE", "VOLUME"):
        raise DataError(
            f"{shown} is of several voxels ({rows} x {columns}, {kind or 'grid'}); name "
            "a single-voxel scan, or export the spectrum of one voxel"
        )
    maker = _text(header, "Manufacturer").lower()
    command = "dcm2niix"
    if "uih" in maker or "united imaging" in maker:
        command = "uih"
    elif old_philips:
        command = "philips_dcm"
    time = _text(header, "AcquisitionDateTime") or (
        _text(header, "AcquisitionDate") + _text(header, "AcquisitionTime")
    )
    known_sign = any(one in maker for one in _KNOWN_SIGN)
    samples = next((tag for tag in _SAMPLES if tag in header), None)
    if samples is None and command == "dcm2niix":
        raise DataError(f"{shown}: it has no samples: truncated or damaged; copy it again")
    standard = samples == _SAMPLES[0] and known_sign
    return Instance(
        file,
        shown,
        command,
        known_sign,
        (_whole(header, "InstanceNumber"), _whole(header, "AcquisitionNumber"), time or None),
        _text(header, "SeriesInstanceUID"),
        None if samples is None else _length(header, samples) // 8,
        _first_samples(header, samples) if standard else None,
        _slab_box(header),
        dicom_averages(header),
        gain_of(file, "dicom"),
        vendor_of(_text(header, "Manufacturer")),
    )


def _in_order(path: Path, found: list[Instance], notes: list[str]) -> list[Instance]:
    """The files by instance number, else acquisition number, else time.

    Raises
    ------
    DataError
        A file twice, no order, or two that contradict each other.
    """
    if len(found) == 1:
        return found
    known = []
    for values in zip(*(one.orders for one in found)):
        if None not in values and len(set(values)) == len(found):
            known.append(sorted(range(len(found)), key=values.__getitem__))
    if not known:
        raise DataError(
            f"{path.name}: neither instance numbers nor acquisition numbers nor times of its "
            f"{len(found)} files are all there and differ, so that the order of the transients "
            "cannot be told: are copies or another scan's files among them? Leave one copy of each "
            "file of this scan, or export them again with their numbers"
        )
    if any(order != known[0] for order in known):
        raise DataError(
            f"{path.name}: numbers and times of the {len(found)} files give different orders of "
            "the transients; export them again, or convert them and name the NIfTI-MRS"
        )
    ordered = [found[index] for index in known[0]]
    numbers = [one.orders[0] for one in ordered]
    if None not in numbers:
        steps = np.diff(numbers)
        if gaps := int((steps > np.median(steps)).sum()):
            notes.append(
                f"instance numbers jump at {count(gaps, 'place')}: where transients are missing, "
                "the times of those that follow are wrong"
            )
    return ordered


def _box(one: Instance, converted: np.ndarray | None) -> tuple[np.ndarray | None, str]:
    """The voxel of a file, and a note where it is not beyond doubt.

    dcm2niix takes the two pixel spacings of the standard's spectroscopy in the order of rows and
    columns, spec2nii in that of the standard, which puts the distance of rows first; the slabs of
    localisation are the voxel itself.
    """
    affine = converted
    if affine is not None and one.first is not None:
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        affine = affine.copy()
        affine[:3, :2] *= sizes[1::-1] / sizes[:2]
        if one.voxel is None and abs(sizes[0] - sizes[1]) > 0.5:
            return affine, (
                f"the header does not say which of the sizes {sizes[0]:g} and {sizes[1]:g} mm of "
                "the voxel is along its rows; taken in the order of the DICOM standard"
            )
    if one.voxel is None or (affine is not None and box_distance_mm(affine, one.voxel) <= 1.0):
        return affine, ""
    return one.voxel, "voxel: that of the localisation slabs in the DICOM header"


def _slab_box(header) -> np.ndarray | None:
    """Voxel of the standard's Volume Localization Sequence, (4, 4), mm, RAS+.

    None unless there are three slabs at right angles with one centre: some releases put one slab or
    angles there.
    """
    try:
        slabs = list(header.VolumeLocalizationSequence)
        normals = np.array([one.SlabOrientation for one in slabs], float)
        sizes = np.array([one.SlabThickness for one in slabs], float)
        middles = np.array([one.MidSlabPosition for one in slabs], float)
    except Exception:  # absent, of another kind, or what pydicom cannot make out
        return None
    if normals.shape != (3, 3) or middles.shape != (3, 3) or not (sizes > 0).all():
        return None
    if not np.allclose(normals @ normals.T, np.eye(3), atol=1e-3) or np.ptp(middles, 0).max() > 0.1:
        return None
    affine = np.eye(4)
    affine[:3, :3] = (normals * sizes[:, None]).T
    affine[:3, 3] = middles[0]
    if np.linalg.det(affine) < 0:
        affine[:3, 0] *= -1
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # DICOM is LPS+


def _text(header, name: str) -> str:
    try:
        return str(header.get(name) or "").strip()
    except Exception:  # a value that pydicom cannot make out
        return ""


def _whole(header, name: str) -> int | None:
    try:
        value = float(header.get(name))
    except Exception:  # absent, or no number
        return None
    return int(value) if math.isfinite(value) else None


def _first_samples(header, tag) -> np.ndarray | None:
    if _length(header, tag) > _MOST_READ_BYTES:
        return None
    try:
        content = bytes(header[tag].value)[: 8 * 64]
    except Exception:  # a value that pydicom cannot make out
        return None
    return np.frombuffer(content[: len(content) // 8 * 8], "<c8")


def _conjugate(found: np.ndarray, stored: np.ndarray) -> bool:
    """Whether the first points are the conjugates of those stored, and not these."""
    n = min(len(found), len(stored))
    one = found[:n]
    return bool(
        np.allclose(one, np.conj(stored[:n]), rtol=1e-5)
        and not np.allclose(one, stored[:n], rtol=1e-5)
    )


def _length(header, tag) -> int:
    """Bytes of a value, read or not."""
    element = header.get_item(tag)
    length = getattr(element, "length", None)
    return len(element.value) if length in (None, 0xFFFFFFFF) else length

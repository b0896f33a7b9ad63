"""One scan's file to FIDs: spec2nii for vendors' formats, nibabel for NIfTI-MRS."""

from __future__ import annotations

import gzip
import re
import shutil
import struct
import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fmrsflow.convert.child import Ended, run_spec2nii
from fmrsflow.convert.formats import companion, recognise
from fmrsflow.convert.voxels import refuse_rda_grid, refuse_spar_grid
from fmrsflow.errors import DataError, MachineFault, reading_failed
from fmrsflow.fids import Fids, from_nifti
from fmrsflow.headers import Told
from fmrsflow.images import check_size
from fmrsflow.scratch import scratch
from fmrsflow.study import Site

TIME_LIMIT_S = 300
GOOD_LIMIT_S = 60
"""Limit for a file known to be good, which takes a second."""
_SPIKE = 30.0
"""A point that many times as large as both neighbours, and the largest of its FID, is damage."""

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    AttributeError,
    struct.error,
    zlib.error,
)
"""What nibabel and its helpers raise on a damaged file; too little memory for a header of at most
`images.MOST_BYTES` is none of it."""

_SPAR_LINE = re.compile(r"^\s*([^:!]+?)\s*:\s*(.*?)\s*$")


_NAMELIST_END = re.compile(r"[$&]END\b|^\s*/\s*$", re.IGNORECASE | re.MULTILINE)
"""Ends of a Fortran namelist, as LCModel and compilers since write it."""

_NAMELIST_NUMBER = re.compile(r"(\w+)\s*=\s*([-+]?[.\d]+(?:[EeDd][-+]?\d+)?)")


@dataclass(frozen=True)
class Converted:
    """What a file holds; `reference` where the water reference is in the same file (GE)."""

    fids: Fids
    reference: Fids | None
    format: str


def read(path: Path, site: Site) -> Converted:
    """Read any supported file.

    Parameters
    ----------
    path : Path
    site : Site
        Tells what a format does not hold (LCModel RAW: dwell time and frequency).

    Raises
    ------
    DataError
        Unknown, truncated or damaged file, with what to do.
    MachineFault
        No room for temporary files, too little memory, the converter killed.
    """
    kind = recognise(path)
    if kind == "nifti":
        found = {"svs": load(path)}
    elif kind == "lcmodel":
        found = {"svs": read_lcmodel_raw(path, site)}
    else:
        found = _spec2nii(path, kind)
    reference = found.pop("ref", None)
    fids = found.popitem()[1] if len(found) == 1 else _only(path, found)
    for one in (fids, reference):
        if one is not None:
            _check_numbers(one, path.name)
    return Converted(fids, reference, kind)


def load(path: Path) -> Fids:
    """FIDs of a NIfTI-MRS file; DataError where it cannot be read."""
    import nibabel as nib

    try:
        if path.name.endswith(".gz"):
            _check_gzip(path)
        image = nib.load(path)
        if image.get_data_dtype().kind != "c":
            raise DataError(f"holds {image.get_data_dtype()}, not complex FIDs; damaged?")
        check_size(image.shape, 16)
        return from_nifti(image)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None
    except (
        *UNREADABLE,
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
    ) as error:
        reason = (
            f"{path.name}: truncated or damaged NIfTI-MRS ({_first_line(error)}); copy it again"
        )
        raise reading_failed(path, error, reason) from None


def _check_gzip(path: Path) -> None:
    """Read to the end, where the checksum stands: nibabel stops at the last point."""
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass


def read_lcmodel_raw(path: Path, site: Site) -> Fids:
    """LCModel .RAW or .H2O: complex points as text behind namelists.

    The file holds the conjugate of our FID (as NIfTI-MRS does). Its header seldom tells dwell time
    and frequency: DELTAT and HZPPPM of $SEQPAR where they stand, else those of the site's row.

    Raises
    ------
    DataError
        No points, or no dwell time anywhere.
    """
    text = path.read_text(errors="replace")
    ends = list(_NAMELIST_END.finditer(text))
    if not ends:
        raise DataError(f"{path.name}: no $NMID ... $END header; this is no LCModel RAW file")
    header, body = text[: ends[-1].start()], text[ends[-1].end() :]
    # Fortran writes double precision as 1.0D+02.
    body = re.sub(r"(?<=[0-9.])[dD](?=[-+0-9])", "E", body)
    values = {key.upper(): value for key, value in _NAMELIST_NUMBER.findall(header)}
    try:
        # Fixed-width Fortran numbers may touch: a minus sign parts them too.
        numbers = np.array(re.sub(r"(?<=[0-9.])-(?=[0-9.])", " -", body).split(), dtype=float)
    except ValueError:
        raise DataError(f"{path.name}: holds other than numbers behind its header") from None
    if numbers.size < 128 or numbers.size % 2:
        raise DataError(
            f"{path.name}: {numbers.size} numbers are no FID (pairs, 64 points or more); truncated?"
        )
    told = {
        key: _number(values.get(key)) for key in ("DELTAT", "HZPPPM", "ECHOT", "TRAMP", "VOLUME")
    }
    dwell_s = told["DELTAT"]
    if dwell_s is None:
        if site.spectral_width_hz is None:
            raise DataError(
                f"{path.name}: LCModel RAW holds no dwell time; give spectral_width_hz of site "
                f"{site.name} in sites.tsv"
            )
        dwell_s = 1.0 / site.spectral_width_hz
    scale = (told["TRAMP"] or 1.0) / (told["VOLUME"] or 1.0)
    return Fids(
        data=np.conj(numbers[0::2] + 1j * numbers[1::2])[None, None] * scale,
        dwell_s=dwell_s,
        frequency_mhz=told["HZPPPM"] or site.mhz,
        te_s=told["ECHOT"] / 1e3 if told["ECHOT"] else None,
        header={"ConversionMethod": "fmrsflow (LCModel RAW)"},
        told=Told(notes=() if told["HZPPPM"] or site.frequency_mhz else (_assumed(site),)),
    )


def _assumed(site: Site) -> str:
    return (
        f"the file tells no spectrometer frequency: {site.mhz:.4g} MHz, that of a {site.vendor} "
        f"scanner of {site.field_t:g} T, is assumed; if the scanner has another, give "
        f"frequency_mhz of site {site.name} in sites.tsv"
    )


def _number(text: str | None) -> float | None:
    """A positive number of a namelist; None where there is none."""
    try:
        value = float((text or "").upper().replace("D", "E"))
    except ValueError:
        return None
    return value if 0 < value < np.inf else None


def _spec2nii(path: Path, kind: str) -> dict[str, Fids]:
    with scratch() as folder:
        arguments = _arguments(path, kind, folder)
        ended, files = _convert(arguments, folder, TIME_LIMIT_S)
        if ended.refused or ended.limit or not files:
            _check_machine(folder, ended.limit)
            if ended.limit:  # once more: what slowed the machine down may be gone
                ended, files = _convert(arguments, folder, TIME_LIMIT_S)
        if ended.refused or ended.limit or not files:
            # To the job's log alone: it may quote the header, and a reason goes on pages.
            print(f"{path.name}: spec2nii printed:\n{ended.said}", file=sys.stderr)
            raise DataError(
                f"{path.name}: spec2nii {ended.limit}, twice, while another file passes; the file "
                "is damaged, export it again"
                if ended.limit
                else _refusal(path, kind)
            )
        return {file.name.split(".")[0].removeprefix("svs_"): load(file) for file in files}


def _convert(arguments: list[str], folder: Path, limit_s: float) -> tuple[Ended, list[Path]]:
    """Run the converter; how it ended, and the files that it wrote."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    ended = run_spec2nii([*arguments, "-o", str(out), "-f", "svs"], folder / "said.txt", limit_s)
    return ended, sorted(out.glob("*.nii.gz")) if out.is_dir() else []


def _check_machine(folder: Path, limit: str) -> None:
    """Convert a file that is known to be good.

    Raises
    ------
    MachineFault
        It cannot be converted either.
    """
    from fmrsflow.synthetic.writers import write_rda

    time_s = np.arange(128) * 5e-4
    decay, box = np.exp(-20 * time_s + 0j)[None, None], np.diag([20.0, 20.0, 20.0, 1.0])
    good = Fids(decay, 5e-4, 123.2, 0.03, 2.0, box)
    write_rda(good, folder / "known-good.rda")
    arguments = ["rda", str(folder / "known-good.rda")]
    ended, files = _convert(arguments, folder, min(TIME_LIMIT_S, GOOD_LIMIT_S))
    if ended.refused or ended.limit or not files:
        raise MachineFault(
            f"spec2nii {limit or 'failed'}, and {ended.limit or 'fails'} on a file known to be "
            "good too: too little memory or time, a full disk or a broken installation; mend that, "
            "then run the same command again"
        )


def _arguments(path: Path, kind: str, folder: Path) -> list[str]:
    if kind == "sdat":
        return ["philips", str(path), str(_mended_spar(path, folder))]
    if kind == "dicom":
        return [_dicom_command(path), str(path)]
    if kind == "twix":
        return ["twix", "-e", "image", "-q", str(path)]
    if kind == "pfile":
        return ["ge", str(path)]
    if kind == "rda":
        _check_rda(path)
    return [{"rda": "rda", "jmrui": "jmrui"}[kind], str(path)]


def _check_rda(path: Path) -> None:
    """Refuse an RDA with fewer samples than its header says: spec2nii reads what is there."""
    header, mark, samples = path.read_bytes().partition(b">>> End of header <<<\r\n")
    points = re.search(rb"^VectorSize:\s*(\d+)", header, re.MULTILINE)
    if not mark or not points:
        raise DataError(f"{path.name}: no end of the header or no VectorSize; truncated or damaged")
    refuse_rda_grid(path.name, header)
    expected = 16 * int(points[1])  # of a single voxel: complex numbers of two float64
    if len(samples) != expected:
        raise DataError(
            f"{path.name}: {len(samples)} bytes of samples, the header says {expected} "
            f"({int(points[1])} points of one voxel): truncated or damaged; copy it again"
        )


def _mended_spar(path: Path, folder: Path) -> Path:
    """The SPAR as the converter can read it, checked against the size of the SDAT."""
    spar = companion(path, ".spar")
    text = spar.read_text(errors="replace")
    entries = dict(
        match.groups() for line in text.splitlines() if (match := _SPAR_LINE.match(line))
    )
    refuse_spar_grid(path.name, entries)
    try:
        samples, rows = int(entries["samples"]), int(entries["rows"])
    except (KeyError, ValueError):
        raise DataError(
            f"{spar.name}: no number of samples and rows; truncated or damaged"
        ) from None
    if not (samples > 0 and rows > 0):
        raise DataError(f"{spar.name}: {samples} samples in {rows} rows; damaged")
    # A VAX complex number takes 8 bytes.
    if path.stat().st_size != 8 * samples * rows:
        raise DataError(
            f"{path.name} has {path.stat().st_size} bytes where {spar.name} promises "
            f"{8 * samples * rows} ({rows} rows of {samples} points): truncated, or not a pair; "
            "export the two again"
        )
    mended = folder / f"{path.stem}.SPAR"
    lines = [line for line in text.splitlines() if line.strip()]
    if "spectrum_inversion_time" not in entries:
        # Older releases lack it and the converter insists.
        lines.append("spectrum_inversion_time : 0.000000")
    mended.write_text("\n".join(lines) + "\n")
    return mended


def _dicom_command(path: Path) -> str:
    import pydicom

    first, name = path, path.name
    if path.is_dir():
        files = [one for one in sorted(path.rglob("*")) if one.is_file()]
        if not files:
            raise DataError(f"the folder {path.name} holds no file")
        # Scanners name these after the person; reasons go on pages and leave in bundles.
        first, name = files[0], f"{path.name}: file 1 of the folder (by name)"
    try:
        maker = str(pydicom.dcmread(first, stop_before_pixels=True).get("Manufacturer", ""))
    except (pydicom.errors.InvalidDicomError, *UNREADABLE) as error:
        reason = f"{name} is no readable DICOM file; export it again"
        raise reading_failed(first, error, reason, name) from None
    if "philips" in maker.lower():
        return "philips_dcm"
    return "uih" if "uih" in maker.lower() else "dicom"


def _refusal(path: Path, kind: str) -> str:
    if kind == "pfile":
        return (
            f"{path.name}: spec2nii does not read this GE P-file (its words are in the job's log); "
            "it needs header revision 11 or later. Export the scan as NIfTI-MRS or from the "
            "scanner's DICOM, or convert it with another tool and name the NIfTI-MRS in scans.tsv"
        )
    return (
        f"{path.name}: spec2nii cannot read it as {kind}: truncated, damaged or of another format "
        "(its words are in the job's log); export it again"
    )


def _only(path: Path, found: dict[str, Fids]) -> Fids:
    raise DataError(
        f"{path.name} holds {len(found)} measurements ({', '.join(sorted(found))}); export the "
        "metabolite scan by itself, or convert it with spec2nii and name one file"
    )


def _check_numbers(fids: Fids, name: str) -> None:
    if fids.n_points < 64:
        raise DataError(f"{name}: {fids.n_points} points are no FID; truncated?")
    if not np.isfinite(fids.data.view(fids.data.real.dtype)).all():
        raise DataError(f"{name}: holds values that are no numbers; damaged, export it again")
    size = np.abs(fids.data)
    if size.max() > 1e25:
        raise DataError(f"{name}: holds values up to {size.max():.1g}; damaged, export it again")
    # One point far above its neighbours and all others is a flipped bit, not a resonance.
    spike = size[..., 1:-1] > _SPIKE * np.maximum(size[..., :-2], size[..., 2:])
    spike &= size[..., 1:-1] >= size.max(axis=-1, keepdims=True)
    if spike[..., 2:].any():
        raise DataError(f"{name}: single points far above all others; damaged, export it again")
    if not np.any(fids.data):
        raise DataError(f"{name}: holds zeros only; export it again")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def without_frequency_error(fids: Fids) -> Fids:
    """A header that tells Hz where MHz belongs (some LCModel headers) is put right."""
    return (
        replace(fids, frequency_mhz=fids.frequency_mhz / 1e6) if fids.frequency_mhz > 1e4 else fids
    )

"""One scan's file to FIDs: dcm2niix for DICOM, spec2nii for other vendors' formats, nibabel for
NIfTI-MRS."""

from __future__ import annotations

import re
import shutil
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fmrsflow.convert import dicom
from fmrsflow.convert.averages import averages_of
from fmrsflow.convert.causes import check_p_file, last_line, refusal
from fmrsflow.convert.child import Ended, run_dcm2niix, run_spec2nii
from fmrsflow.convert.formats import in_utf8, recognise
from fmrsflow.convert.gains import gain_of
from fmrsflow.convert.jmrui import read_jmrui
from fmrsflow.convert.mend import mended_rda, mended_spar
from fmrsflow.convert.samples import check_samples
from fmrsflow.convert.twix import STOPPED_SCAN, check_twix, with_end
from fmrsflow.errors import DataError, MachineFault, reading_failed
from fmrsflow.fids import Fids, from_nifti
from fmrsflow.headers import Told
from fmrsflow.images import check_file, check_size
from fmrsflow.scratch import scratch
from fmrsflow.study import Site

TIME_LIMIT_S = 300
GOOD_LIMIT_S = 60
"""Limit for a file known to be good, which takes a second."""

REFERENCES = ("ref", "ref_no_ovs", "quant", "ref_ecc", "ecc")
"""Names that the converters give water references, the one for concentrations first: those for eddy
currents of GE's sLASER were measured beside saturation bands, or off the water's frequency."""

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    AttributeError,
    RecursionError,
    struct.error,
    zlib.error,
)
"""What nibabel and its helpers raise on a damaged file; too little memory for a header of at most
`images.MOST_BYTES` is none of it."""


_NAMELIST_END = re.compile(r"[$&]END\b|(?:^|[ \t,])/[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
"""Ends of a Fortran namelist, as LCModel and compilers since write it."""

_NAMELIST_NUMBER = re.compile(r"\b(\w+)\s*=\s*([-+]?[.\d]+(?:[EeDd][-+]?\d+)?)")


@dataclass(frozen=True)
class Converted:
    """What a file holds.

    Attributes
    ----------
    fids : Fids
    reference : Fids or None
        Where the water reference is in the same file (GE, Philips' DICOM).
    format : str
    notes : tuple of str
        What the person who reads the results should know of it.
    sign_known : bool
        Whether the format fixes the sign of frequency: not text of jMRUI and LCModel, whose writers
        differ, nor DICOM of makers of whom no measured file was seen.
    """

    fids: Fids
    reference: Fids | None
    format: str
    notes: tuple[str, ...] = ()
    sign_known: bool = True


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
    kind, notes = recognise(path), []
    sign_known = kind not in ("lcmodel", "jmrui")
    if kind == "nifti":
        found = {"svs": load(path)}
    elif kind == "lcmodel":
        found = {"svs": read_lcmodel_raw(path, site)}
    elif kind == "dicom":
        found, notes, sign_known = _dicom(path)
    elif kind == "jmrui":
        fids, notes = read_jmrui(path)
        found = {"svs": fids}
    else:
        found, notes = _vendor(path, kind)
    if averages := averages_of(path, kind):
        found = {
            name: replace(one, told=replace(one.told, averages=averages))
            for name, one in found.items()
        }
    if kind != "dicom" and (gain := gain_of(path, kind)):
        found = {
            name: replace(one, told=replace(one.told, gain=gain)) for name, one in found.items()
        }
    reference = _reference(found, notes)
    fids = found.popitem()[1] if len(found) == 1 else _only(path, found)
    for one in (fids, reference):
        if one is not None:
            check_samples(one, path.name)
    return Converted(fids, reference, kind, tuple(notes), sign_known)


def load(path: Path) -> Fids:
    """FIDs of a NIfTI-MRS file; DataError where it cannot be read."""
    import nibabel as nib

    try:
        check_file(path)
        with _named_as_it_is(path) as file:
            image = nib.load(file)
            if image.get_data_dtype().kind != "c":
                raise DataError(
                    f"holds {image.get_data_dtype()}, not complex FIDs: an image, or half of each "
                    "point is missing; name the NIfTI-MRS of the scan, or export it again"
                )
            check_size(image.shape, 16)
            return from_nifti(image)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None
    except (
        *UNREADABLE,
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
    ) as error:
        said = _first_line(error)
        said = "of no known type" if "/" in said else said  # it quotes a path
        reason = f"{path.name}: truncated or damaged NIfTI-MRS ({said}); copy it again"
        raise reading_failed(path, error, reason) from None


@contextmanager
def _named_as_it_is(path: Path) -> Iterator[Path]:
    """The file, or a copy with the ending that its content asks for: some systems unpack a `.gz`
    and keep its name."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed == path.name.lower().endswith(".gz"):
        yield path
        return
    with scratch() as folder:
        copy = folder / f"scan.nii{'.gz' if packed else ''}"
        shutil.copyfile(path, copy)
        yield copy


def read_lcmodel_raw(path: Path, site: Site) -> Fids:
    """LCModel .RAW or .H2O: complex points as text behind namelists.

    The file holds the conjugate of our FID (as NIfTI-MRS does). Its header seldom tells dwell time
    and frequency: DELTAT and HZPPPM of $SEQPAR where they stand, else those of the site's row.

    Raises
    ------
    DataError
        No points, or no dwell time anywhere.
    """
    text = in_utf8(path.read_bytes()).decode(errors="replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    ends = list(_NAMELIST_END.finditer(text))
    if not ends:
        raise DataError(
            f"{path.name}: no header that begins with $NMID and ends with $END: no LCModel RAW or "
            "H2O file; name the file that LCModel reads"
        )
    header, body = text[: ends[-1].start()], text[ends[-1].end() :]
    # Fortran writes double precision as 1.0D+02.
    body = re.sub(r"(?<=[0-9.])[dD](?=[-+0-9])", "E", body)
    # It leaves the letter out of an exponent of three digits; every number has a point.
    body = re.sub(r"(?<=[0-9.])([-+]\d{3})(?![\d.])", r"E\1", body)
    values = {key.upper(): value for key, value in _NAMELIST_NUMBER.findall(header)}
    try:
        # Fixed-width Fortran numbers may touch: a minus sign parts them too.
        numbers = np.array(re.sub(r"(?<=[0-9.])-(?=[0-9.])", " -", body).split(), dtype=float)
    except ValueError:
        raise DataError(
            f"{path.name}: holds other than numbers behind its header: damaged or with remarks; "
            "export it again"
        ) from None
    if numbers.size < 128 or numbers.size % 2:
        raise DataError(
            f"{path.name}: {numbers.size} numbers are no FID (pairs, 64 points or more): "
            "truncated; export it again"
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


def _dicom(path: Path) -> tuple[dict[str, Fids], list[str], bool]:
    """Each file by itself: the converters' own order of many differs from that of acquisition."""
    files, notes = dicom.instances(path)
    each = [
        _converted(one.shown, "dicom", lambda folder, one=one: _dicom_arguments(one, folder))
        for one in files
    ]
    found, more = dicom.joined(path, files, each)
    # dcm2niix guesses a maker by other fields too, and may overrule the header's.
    if vendor := files[0].vendor:
        found = {
            name: replace(fids, told=replace(fids.told, vendor=vendor))
            for name, fids in found.items()
        }
    return found, notes + more, all(one.known_sign for one in files)


def _dicom_arguments(one: dicom.Instance, folder: Path) -> list[str]:
    # A copy: a name of a scanner may be one that a program prints or cannot take.
    shutil.copyfile(one.path, folder / "scan.dcm")
    return [one.command, str(folder / "scan.dcm")]


def _vendor(path: Path, kind: str) -> tuple[dict[str, Fids], list[str]]:
    notes: list[str] = []

    def prepare(folder: Path) -> list[str]:
        """Arguments of the converter; what was mended is noted."""
        arguments, found = _arguments(path, kind, folder)
        notes.extend(found)
        return arguments

    return _converted(path.name, kind, prepare), notes


def _converted(shown: str, kind: str, prepare: Callable[[Path], list[str]]) -> dict[str, Fids]:
    """What the converter makes of a file: output name ("svs", "ref") to FIDs.

    Parameters
    ----------
    shown : str
        What messages call the file.
    prepare
        Makes the converter's arguments, with mended copies in a folder for temporary files.
    """
    with scratch() as folder:
        arguments = prepare(folder)
        program = "dcm2niix" if arguments[0] == "dcm2niix" else "spec2nii"
        ended, files = _convert(arguments, folder, TIME_LIMIT_S)
        if ended.refused or ended.limit or not files:
            _check_machine(program, folder, ended.limit)
            if ended.limit:  # once more: what slowed the machine down may be gone
                ended, files = _convert(arguments, folder, TIME_LIMIT_S)
        if ended.refused or ended.limit or not files:
            # To the job's log alone: it may quote the header, and a reason goes on pages.
            print(
                f"{shown}: {program} ended with: {last_line(ended.said)}\nAll that it printed:\n"
                f"{ended.said}",
                file=sys.stderr,
            )
            raise DataError(
                f"{shown}: {program} {ended.limit}, twice, while another file passes; the file "
                "is damaged, export it again"
                if ended.limit
                else refusal(shown, kind, ended.said, program)
            )
        try:
            return {_output(file): _without_empty_ends(load(file)) for file in files}
        except DataError as error:
            _check_machine(program, folder, "")  # a full disk cuts outputs too
            print(f"{shown}: what {program} made of it: {error}", file=sys.stderr)
            raise DataError(
                f"{shown}: {program} makes no spectrum of it: its header lacks the frequency or "
                "the nucleus, or it is truncated; export or copy it again"
                if program == "dcm2niix"
                else f"{shown}: {str(error).partition(': ')[2]}"
            ) from None


def _without_empty_ends(fids: Fids) -> Fids:
    """FIDs without coils that hold zeros only, and without empty transients behind the last one
    that was measured; those between keep their place in time."""
    filled = fids.data.any(axis=2)
    if filled.all() or not filled.any():
        return fids
    last = np.flatnonzero(filled.any(axis=1))[-1]
    return replace(fids, data=fids.data[: last + 1, filled.any(axis=0)])


def _output(file: Path) -> str:
    """What an output of a converter is, by its name."""
    name = file.name.split(".")[0]
    if name == "scan_mrsref":
        return "ref"
    return "svs" if name == "scan" else name.removeprefix("svs_")


def _convert(arguments: list[str], folder: Path, limit_s: float) -> tuple[Ended, list[Path]]:
    """Run the converter; how it ended, and the files that it wrote."""
    out, said = folder / "out", folder / "said.txt"
    shutil.rmtree(out, ignore_errors=True)
    if arguments[0] == "dcm2niix":
        out.mkdir()
        ended = run_dcm2niix(Path(arguments[1]), out, said, limit_s)
        return ended, sorted(out.glob("*.nii"))
    # Left to itself it takes empty transients out, and those after them move in time.
    options = ["-o", str(out), "-f", "svs", "--keep_zero_valued"]
    ended = run_spec2nii([*arguments, *options], said, limit_s)
    return ended, sorted(out.glob("*.nii.gz")) if out.is_dir() else []


def _check_machine(program: str, folder: Path, limit: str) -> None:
    """Convert a file that is known to be good with the same program.

    Raises
    ------
    MachineFault
        It cannot be converted either.
    """
    from fmrsflow.synthetic.writers import write_dicom, write_rda

    time_s = np.arange(128) * 5e-4
    decay, box = np.exp(-20 * time_s + 0j)[None, None], np.diag([20.0, 20.0, 20.0, 1.0])
    good = Fids(decay, 5e-4, 123.2, 0.03, 2.0, box)
    if program == "dcm2niix":
        (folder / "known-good").mkdir()
        (file,) = write_dicom(good, folder / "known-good")
        arguments = ["dcm2niix", str(file)]
    else:
        write_rda(good, folder / "known-good.rda")
        arguments = ["rda", str(folder / "known-good.rda")]
    ended, files = _convert(arguments, folder, min(TIME_LIMIT_S, GOOD_LIMIT_S))
    if ended.refused or ended.limit or not files:
        raise MachineFault(
            f"{program} {limit or 'failed'}, and {ended.limit or 'fails'} on a file known to be "
            "good too: too little memory or time, a full disk or a broken installation; mend that, "
            "then run the same command again"
        )


def _arguments(path: Path, kind: str, folder: Path) -> tuple[list[str], list[str]]:
    """Arguments of spec2nii, with mended copies in a folder, and notes."""
    if kind == "sdat":
        spar, notes = mended_spar(path, folder)
        return ["philips", str(path), str(spar)], notes
    if kind == "rda":
        copy, notes = mended_rda(path, folder)
        return ["rda", str(copy)], notes
    if kind == "twix":
        # The converter takes the second of several, which need not be the last.
        scan, notes = check_twix(path), []
        if scan.stopped:
            path, notes = with_end(path, folder), [STOPPED_SCAN]
        return ["twix", "-e", "image", "-q", "-m", str(scan.number), str(path)], notes
    check_p_file(path)
    return ["ge", str(path)], []


def _reference(found: dict[str, Fids], notes: list[str]) -> Fids | None:
    """Takes the water references out of what a file holds: the one that concentrations need."""
    there = [name for name in REFERENCES if name in found]
    taken = [found.pop(name) for name in there]
    if len(there) > 1:
        notes.append(
            f"the file holds {len(there)} water references ({', '.join(there)}); {there[0]} is used"
        )
    return taken[0] if taken else None


def _only(path: Path, found: dict[str, Fids]) -> Fids:
    raise DataError(
        f"{path.name} holds {len(found)} measurements ({', '.join(sorted(found))}); export the "
        "metabolite scan by itself, or convert it with spec2nii and name one file"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def without_frequency_error(fids: Fids) -> Fids:
    """A header that tells Hz where MHz belongs (some LCModel headers) is put right."""
    return (
        replace(fids, frequency_mhz=fids.frequency_mhz / 1e6) if fids.frequency_mhz > 1e4 else fids
    )

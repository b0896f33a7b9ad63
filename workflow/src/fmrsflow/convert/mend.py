"""Headers of SPAR and RDA as spec2nii can read them: copies that hold what it needs and no more.

Releases and exports leave entries out, write decimal commas, other line ends and encodings, and
spec2nii stops at each. No name, date or comment of the header is in the copy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

from fmrsflow.convert.formats import companion, in_utf8
from fmrsflow.convert.voxels import refuse_rda_grid, refuse_spar_grid
from fmrsflow.errors import DataError

_SPAR_KEY = re.compile(r"[^!]+")
_RDA_KEY = re.compile(r"[\w\[\],]+")
_RDA_END = re.compile(rb">>> End of header <<<\r?\n")

_SPAR_GEOMETRY = tuple(
    f"{axis}_{what}" for axis in ("ap", "lr", "cc") for what in ("size", "off_center", "angulation")
)
_SPAR_NEEDED = {"synthesizer_frequency": ("MHz", 1e4, 1e6), "sample_frequency": ("kHz", 300.0, 1e3)}
"""Entries in Hz that a FID needs; below the number, which no scanner has in Hz, they are in the
unit, that many Hz."""
_SPAR_DEFAULTS = {
    "nucleus": "1H",
    "offset_frequency": "0",
    "spectrum_inversion_time": "0",
}
_SPAR_TEXTS = ("scan_id", "equipment_sw_verions", "patient_position", "patient_orientation")
"""Entries without which, or with a number in which, spec2nii stops; none changes the FIDs."""

_RDA_GEOMETRY = (
    "SliceThickness",
    "PixelSpacingRow",
    "PixelSpacingCol",
    *(f"{name}[{i}]" for name in ("RowVector", "ColumnVector") for i in range(3)),
)
_RDA_POSITIONS = (
    ("VOIPositionSag", "VOIPositionCor", "VOIPositionTra"),
    ("PositionVector[0]", "PositionVector[1]", "PositionVector[2]"),
)
_RDA_NEEDED = ("DwellTime", "MRFrequency")
_RDA_DEFAULTS = {
    "Nucleus": "1H",
    "TM": "0",
    "TI": "0",
    "FlipAngle": "0",
    "ModelName": "",
    "SoftwareVersion[0]": "",
    "TransmitCoil": "",
    "SequenceName": "",
    "ProtocolName": "",
    **{f"CSIMatrixSize[{i}]": "1" for i in range(3)},
}
_RDA_BLANK = ("InstitutionName", "DeviceSerialNumber")

_NO_VOXEL_MM = 1e4
"""Size of a voxel that spec2nii writes where there is no geometry (`fids.voxel_affine`)."""

_DIRECTION_TOLERANCE = 1e-2
"""Of the length of a direction, which headers round."""

_NO_GEOMETRY = "size, place or angle of the voxel is missing in the header: no voxel geometry"


def mended_spar(path: Path, folder: Path) -> tuple[Path, list[str]]:
    """The SPAR of an SDAT as spec2nii can read it, checked against the size of the SDAT, and notes.

    Raises
    ------
    DataError
        No SPAR, another number of samples than the SDAT has, or an entry that cannot be filled in.
    """
    spar, entries = spar_entries(path)
    refuse_spar_grid(path.name, entries)
    samples, rows = _whole(entries.get("samples")), _whole(entries.get("rows"))
    if samples is None or rows is None:
        raise DataError(
            f"{spar.name}: no number of samples and rows: truncated, damaged or no SPAR; export "
            "SDAT and SPAR again"
        )
    if (columns := _whole(entries.get("spec_num_col"))) and columns != samples:
        raise DataError(
            f"{spar.name}: {samples} samples in a row, and {columns} columns (spec_num_col): which "
            "of them a FID has is not known; export SDAT and SPAR again"
        )
    # A VAX complex number takes 8 bytes.
    if path.stat().st_size != 8 * samples * rows:
        raise DataError(
            f"{path.name} has {path.stat().st_size} bytes where {spar.name} promises "
            f"{8 * samples * rows} ({rows} rows of {samples} points): truncated, or not a pair; "
            "export the two again"
        )
    _check_needed(spar.name, entries, _SPAR_NEEDED)
    notes = []
    kept = {"samples": str(samples), "rows": str(rows)}
    for key, (unit, least, factor) in _SPAR_NEEDED.items():
        value = _number(entries[key])
        if value < least:
            notes.append(f"{spar.name}: {key} {value:g} is taken as {unit}")
            value *= factor
        kept[key] = repr(value)
    kept |= {key: entries.get(key) or value for key, value in _SPAR_DEFAULTS.items()}
    for key in ("offset_frequency", "spectrum_inversion_time"):
        kept[key] = kept[key] if _number(kept[key]) is not None else "0"
    for key in _SPAR_TEXTS:
        plain = entries.get(key, "").replace('"', "").replace("\\", "")
        kept[key] = f'"{plain}"'
    # A time of 0 is none, for which the sheet's is taken, with a warning (checks.py).
    kept["echo_time"] = _first_number(entries, "echo_time", "spectrum_echo_time")
    kept["repetition_time"] = _first_number(entries, "repetition_time")
    geometry = {key: entries.get(key, "") for key in _SPAR_GEOMETRY}
    # Without the entry the geometry is that of a voxel all the same.
    selected = entries.get("volume_selection_enable", "yes").strip('"').lower() == "yes"
    sizes = [_number(geometry[key]) or 0 for key in _SPAR_GEOMETRY if key.endswith("size")]
    if whole := _all_numbers(geometry) and min(sizes) > 0:
        kept |= geometry
    elif selected:
        notes.append(f"{spar.name}: {_NO_GEOMETRY}")
    kept["volume_selection_enable"] = '"yes"' if selected and whole else '"no"'
    mended = folder / f"{path.stem}.SPAR"
    mended.write_text("".join(f"{key} : {_ascii(value)}\n" for key, value in kept.items()))
    return mended, notes


def spar_entries(path: Path) -> tuple[Path, dict[str, str]]:
    """The SPAR of an SDAT and its entries, decimal commas as points."""
    spar = companion(path, ".spar")
    lines = decoded(spar.read_bytes()).splitlines()
    entries = _entries((line.lstrip() for line in lines), _SPAR_KEY)
    return spar, {key.lower(): _with_point(_bare(value)) for key, value in entries.items()}


def mended_rda(path: Path, folder: Path) -> tuple[Path, list[str]]:
    """The RDA as spec2nii can read it, and notes.

    Raises
    ------
    DataError
        No header, fewer samples than it says (spec2nii reads what is there), or an entry that
        cannot be filled in.
    """
    content = path.read_bytes()
    end = _RDA_END.search(content)
    header = content[: end.start()] if end else content
    lines = re.split(r"\r\n|\n|\r", decoded(header))
    entries = _entries(lines, _RDA_KEY)
    points = _number(entries.get("VectorSize"))
    if not end or not points or points < 1:
        raise DataError(
            f"{path.name}: no end of the header or no VectorSize: truncated or damaged; copy or "
            "export it again"
        )
    refuse_rda_grid(path.name, header)
    samples = content[end.end() :]
    expected = 16 * int(points)  # of a single voxel: complex numbers of two float64
    if len(samples) != expected:
        raise DataError(
            f"{path.name}: {len(samples)} bytes of samples, the header says {expected} "
            f"({int(points)} points of one voxel): "
            f"{'truncated' if len(samples) < expected else 'something was appended'}, or the "
            "header was changed; copy or export it again"
        )
    _check_needed(path.name, entries, _RDA_NEEDED)
    notes = []
    kept = {"VectorSize": str(int(points))}
    kept |= {key: entries[key] for key in _RDA_NEEDED}
    kept |= {key: entries.get(key) or value for key, value in _RDA_DEFAULTS.items()}
    kept |= {key: _first_number(kept, key) for key in ("TM", "TI", "FlipAngle")}
    kept |= {key: _first_number(entries, key) for key in ("TE", "TR")}
    kept |= dict.fromkeys(_RDA_BLANK, "")
    geometry = {key: entries.get(key, "") for key in _RDA_GEOMETRY}
    positions = [{key: entries.get(key, "") for key in keys} for keys in _RDA_POSITIONS]
    place = next((one for one in positions if _all_numbers(one)), None)
    if place and _is_voxel(geometry):
        kept |= geometry | place
    else:
        notes.append(f"{path.name}: {_NO_GEOMETRY}")
        kept |= dict.fromkeys(_RDA_GEOMETRY, "0") | dict.fromkeys(_RDA_POSITIONS[0], "0")
        kept |= dict.fromkeys(_RDA_GEOMETRY[:3], str(_NO_VOXEL_MM))
        kept |= {"RowVector[0]": "1", "ColumnVector[1]": "1"}
    text = "".join(f"{key}: {_ascii(value)}\r\n" for key, value in kept.items())
    mended = folder / f"{path.stem}.rda"
    mended.write_bytes(
        f">>> Begin of header <<<\r\n{text}>>> End of header <<<\r\n".encode() + samples
    )
    return mended, notes


def _entries(lines: Iterable[str], key: re.Pattern) -> dict[str, str]:
    """`key: value` of lines; others are left out. Parted at the first colon, not by one pattern:
    its time would grow with the third power of the spaces in a line."""
    parted = (line.partition(":") for line in lines)
    return {
        name.rstrip(): value.strip()
        for name, colon, value in parted
        if colon and key.fullmatch(name.rstrip())
    }


def decoded(content: bytes) -> str:
    """Text of a header in the encoding that it has: names in old files are Latin-1."""
    content = in_utf8(content)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _check_needed(name: str, entries: dict[str, str], needed: Iterable[str]) -> None:
    for key in needed:
        if not (value := _number(entries.get(key))) or value < 0:
            raise DataError(
                f"{name}: its header lacks a number for {key}, without which the frequency axis is "
                "not known; export it again"
            )


def _bare(value: str) -> str:
    """A value of SPAR without a remark behind it and, of a number, without SPAR's own unit."""
    value = value.partition(" !")[0].rstrip()
    found = re.fullmatch(r"([-+]?[\d.,]+(?:[eE][-+]?\d+)?) ?(?:Hz|ms|mm|deg)", value)
    return found[1] if found else value


def _with_point(value: str) -> str:
    """A number with a decimal comma, as some systems write it, with a point."""
    return (
        value.replace(",", ".") if re.fullmatch(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?", value) else value
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(_with_point((text or "").strip()))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str | None) -> int | None:
    """A positive whole number, also as "1024.0" and in quotes; None where there is none."""
    value = _number((text or "").strip('"'))
    return int(value) if value and value > 0 and value == int(value) else None


def _all_numbers(entries: dict[str, str]) -> bool:
    return all(_number(value) is not None for value in entries.values())


def _is_voxel(geometry: dict[str, str]) -> bool:
    """Whether the numbers of an RDA are those of a voxel: sizes above 0, directions of length 1."""
    if not _all_numbers(geometry):
        return False
    values = [_number(value) for value in geometry.values()]
    row, column = values[3:6], values[6:9]
    return min(values[:3]) > 0 and all(
        abs(math.hypot(*direction) - 1) < _DIRECTION_TOLERANCE for direction in (row, column)
    )


def _first_number(entries: dict[str, str], *keys: str) -> str:
    """The first of these entries that is a positive number; "0" where none is."""
    return next((entries[key] for key in keys if (_number(entries.get(key)) or 0) > 0), "0")


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()

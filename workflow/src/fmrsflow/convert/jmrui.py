"""jMRUI's text and binary files to FIDs.

Read here: spec2nii takes UTF-8 and small letters in endings only, and neither tells a file that was
cut nor makes transients of several signals. Both keep our sign of frequency.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fmrsflow.constants import GYROMAGNETIC_MHZ_PER_T
from fmrsflow.convert.formats import in_utf8
from fmrsflow.errors import DataError, reading_failed
from fmrsflow.fids import Fids

TEXT = b"jMRUI Data Textfile"
"""How a text file begins."""

_NUCLEI = {1: "1H", 2: "31P", 3: "13C", 4: "19F", 5: "23NA"}
"""jMRUI's numbers of nuclei; 0: not given."""

_GYROMAGNETIC = {"1H": GYROMAGNETIC_MHZ_PER_T, "31P": 17.235, "13C": 10.708, "19F": 40.078}
"""MHz/T, for files that give no nucleus."""

_FIELD_TOLERANCE = 0.1
"""Relative difference of frequency over field from that of a nucleus up to which it is that."""

_SIGNAL = re.compile(r"^Signal (?:number: )?\d+ out of (\d+) in file\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+):(.*)$", re.MULTILINE)

_BINARY_HEADER = 64
"""Numbers (big-endian float64) before the samples of a binary file."""


def read_jmrui(path: Path) -> tuple[Fids, list[str]]:
    """FIDs of a jMRUI file, signals as transients, and notes for the record.

    Raises
    ------
    DataError
        No jMRUI file, cut, or without the numbers that make a FID.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"{path.name} cannot be read ({error.strerror})"
        raise reading_failed(path, error, reason) from None
    content = in_utf8(content).removeprefix(b"\xef\xbb\xbf")
    binary = path.suffix.lower() == ".mrui" and not content.startswith(TEXT)
    data, told = _binary(path.name, content) if binary else _text(path.name, content)
    frequency_mhz = told["frequency"] / 1e6 if told["frequency"] > 1e5 else told["frequency"]
    dwell_s = told["interval"] * 1e-3
    if not (dwell_s > 0 and frequency_mhz > 0):
        raise DataError(
            f"{path.name}: sampling interval {told['interval']:g} ms and frequency "
            f"{told['frequency']:g} Hz; damaged, export it again"
        )
    fids = Fids(
        data=data[:, None, :],
        dwell_s=dwell_s,
        frequency_mhz=frequency_mhz,
        nucleus=_nucleus(told["nucleus"], frequency_mhz, told["field"]),
        header={"ConversionMethod": "fmrsflow (jMRUI)"},
    )
    notes = []
    if abs(begin_s := told["begin"] * 1e-3) > dwell_s / 2:
        notes.append(
            f"the FIDs begin {1e3 * begin_s:g} ms after the echo (BeginTime): their first points "
            "are missing"
        )
    if told["phase"]:
        notes.append(
            f"jMRUI keeps a zero-order phase of {told['phase']:g} for display, not applied here"
        )
    return fids, notes


def _text(name: str, content: bytes) -> tuple[np.ndarray, dict[str, float]]:
    if not content.startswith(TEXT):
        raise DataError(
            f"{name} does not begin with {TEXT.decode()!r}: no jMRUI text; export the scan from "
            "jMRUI as text, or name a file of the scanner"
        )
    text = _decoded(content).replace("\r\n", "\n").replace("\r", "\n")
    first = _SIGNAL.search(text)
    if not first:
        raise DataError(f"{name}: no line 'Signal 1 out of 1 in file'; truncated, export it again")
    entries = _ENTRY.findall(text[: first.start()])
    header = {key: value.strip(" \t") for key, value in entries}
    for key in ("PointsInDataset", "SamplingInterval", "TransmitterFrequency"):
        if _number(header.get(key)) is None:
            raise DataError(f"{name}: its header lacks a number for {key}; export it again")
    points = int(_number(header["PointsInDataset"]))
    promised = int(_number(header.get("DatasetsInFile")) or first[1])
    signals = [_signal(name, part, points) for part in _SIGNAL.split(text)[2::2]]
    if len(signals) != promised:
        raise DataError(
            f"{name}: {len(signals)} signals where its header says {promised}: truncated, or "
            "edited; export it again"
        )
    return np.array(signals), {
        "interval": _number(header["SamplingInterval"]),
        "frequency": _number(header["TransmitterFrequency"]),
        "field": _number(header.get("MagneticField")) or 0.0,
        "nucleus": _number(header.get("TypeOfNucleus")) or header.get("TypeOfNucleus", ""),
        "begin": _number(header.get("BeginTime")) or 0.0,
        "phase": _number(header.get("ZeroOrderPhase")) or 0.0,
    }


def _signal(name: str, text: str, points: int) -> np.ndarray:
    """One signal, (points,): the first two columns; those of its spectrum may follow."""
    rows = [line.split()[:2] for line in text.strip().splitlines() if line.strip()]
    rows = [row for row in rows if not row[0].startswith("sig(")]
    if len(rows) != points:
        raise DataError(
            f"{name}: {len(rows)} points where its header says {points}: truncated, or edited; "
            "export it again"
        )
    try:
        values = np.array(rows, dtype=float)
    except ValueError:
        try:
            values = np.array([[one.replace(",", ".") for one in row] for row in rows], dtype=float)
        except ValueError:
            raise DataError(
                f"{name}: holds other than numbers among its points: damaged; export it again"
            ) from None
    if values.shape != (points, 2):
        raise DataError(f"{name}: no real and imaginary part for each point; export it again")
    return values[:, 0] + 1j * values[:, 1]


def _binary(name: str, content: bytes) -> tuple[np.ndarray, dict[str, float]]:
    start = 8 * _BINARY_HEADER
    head = np.frombuffer(content[:start], ">f8")
    points = int(head[1]) if len(head) > 1 and 0 < head[1] < 1e7 else 0
    whole = (len(content) - start) // (16 * points) if points else 0
    if len(head) < _BINARY_HEADER or not whole:
        raise DataError(f"{name}: no header and samples of jMRUI; truncated, export it again")
    signals = int(head[13]) if 1 <= head[13] <= 1e6 and head[13] == int(head[13]) else whole
    if signals > whole:
        raise DataError(
            f"{name}: {whole} signals where its header says {signals}; truncated, export it again"
        )
    samples = np.frombuffer(content[start : start + 16 * points * signals], ">c16")
    return samples.reshape(signals, points).astype(complex), {
        "interval": float(head[2]),
        "begin": float(head[3]),
        "phase": float(head[4]),
        "frequency": float(head[5]),
        "field": float(head[6]),
        "nucleus": float(head[7]),
    }


def _decoded(content: bytes) -> str:
    """Text in the encoding that it has: names in old files are Latin-1."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _number(text: str | None) -> float | None:
    try:
        value = float((text or "").replace(",", "."))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _nucleus(told: float | str, frequency_mhz: float, field_t: float) -> str:
    """Nucleus by its name or number, else by frequency over field, else the proton."""
    if isinstance(told, str) and re.fullmatch(r"\d+[A-Z][A-Z]?", told.strip()):
        return told.strip()
    if isinstance(told, float) and told in _NUCLEI:
        return _NUCLEI[int(told)]
    if field_t > 0:
        ratio = frequency_mhz / field_t
        nearest = min(_GYROMAGNETIC, key=lambda one: abs(_GYROMAGNETIC[one] - ratio))
        # A field in gauss, or none, stands for no nucleus.
        if abs(ratio / _GYROMAGNETIC[nearest] - 1) < _FIELD_TOLERANCE:
            # Nominal fields are rounded: 2.89 T as 3 T. 1H and 19F differ by 6 %.
            return "1H" if nearest == "19F" else nearest
    return "1H"

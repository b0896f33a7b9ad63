"""What is done to the bytes of a file: flips, bursts, cuts, and edits by its format."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmrsflow.convert.p_file import p_file_header

OPERATIONS = ("flip", "edit", "cut", "burst")
"""`edit` changes one field of a text or header; the others know nothing of the format."""

HEADER_OPERATIONS = ("edit", "header flip")
"""Those of headers alone."""

_END_OF_HEADER = {
    ".rda": b">>> End of header",
    ".txt": b"Signal and FFT",
    ".RAW": b"$END",
    ".dcm": b"\x00\x56\x20\x00",
}
"""Last mark before the samples: in DICOM the tag (5600,0020)."""

_MOSTLY_ZERO = (".dat", ".7")
"""Endings of files whose header has large gaps: bits of bytes that hold something are flipped."""

_NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")

_VALUES = (
    *(b"", b"0", b"-1", b"nan", b"inf", b"1e99", b"n/a", b"abc", b"\xff\xfe", b"[1, 2]"),
    *(b"../../etc/passwd", b"/etc/passwd", b"a;touch x", b"$(touch x)", b"<script>", b"null"),
    *(b"!!python/object/apply:os.system ['touch x']", b"&a [*a]", b"'", b'"', b"\t", b"{"),
)


def mutated(path: Path, operation: str, rng: np.random.Generator) -> tuple[bytes, str]:
    """Bytes of a file after one random mutation, and in words what was done.

    Parameters
    ----------
    path : Path
    operation : str
        One of `OPERATIONS` or `HEADER_OPERATIONS`.
    """
    content = path.read_bytes()
    if operation == "flip":
        place, bit = int(rng.integers(len(content))), int(rng.integers(8))
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        return bytes(changed), f"bit {bit} of byte {place} flipped"
    if operation == "header flip":
        if path.name.endswith(".nii.gz"):
            return _nifti_edit(content, rng)
        places = np.arange(header_length(path, content))
        if path.suffix in _MOSTLY_ZERO:
            places = np.flatnonzero(np.frombuffer(content, np.uint8)[: len(places)])
        place, bit = int(places[rng.integers(len(places))]), int(rng.integers(8))
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        return bytes(changed), f"bit {bit} of header byte {place} flipped"
    if operation == "cut":
        left = int(rng.integers(len(content)))
        return content[:left], f"cut to {left} of {len(content)} bytes"
    if operation == "burst":
        place, length = int(rng.integers(len(content))), int(rng.integers(2, 64))
        noise = rng.bytes(length)
        return content[:place] + noise + content[place + length :], f"{length} bytes from {place}"
    if path.name.endswith(".nii.gz"):
        return _nifti_edit(content, rng)
    if path.suffix == ".SDAT":
        # No header in the file: one sample gets another exponent.
        place = 4 * int(rng.integers(len(content) // 4))
        words = rng.bytes(2)
        return content[:place] + words + content[place + 2 :], f"another exponent at {place}"
    if path.suffix == ".dcm":
        return _dicom_edit(path, rng)
    return _text_edit(content, header_length(path, content), rng)


@dataclass(frozen=True)
class Copy:
    """A copy of a study with one file mutated.

    Attributes
    ----------
    place : int
        Of the file in the list that was given.
    operation, what : str
        One of `OPERATIONS`, and in words what was done to which file.
    folder : Path
        Where the copy is, until the next one is made.
    """

    place: int
    operation: str
    what: str
    folder: Path


def mutated_copies(
    n: int, files: Sequence[tuple[Path, str]], folder: Path, rng: np.random.Generator
) -> Iterator[Copy]:
    """`n` copies of studies, in `folder` one after the other, each with one file mutated: the files
    in turn, each by each operation.

    Parameters
    ----------
    files : sequence of (Path, str)
        Folder of a study, and a file's name below it.
    """
    for number in range(n):
        place = number % len(files)
        base, name = files[place]
        operation = OPERATIONS[number // len(files) % len(OPERATIONS)]
        content, what = mutated(base / name, operation, rng)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        (folder / name).write_bytes(content)
        yield Copy(place, operation, f"{number}: {Path(name).name}: {what}", folder)


def _text_edit(content: bytes, header: int, rng: np.random.Generator) -> tuple[bytes, str]:
    """A number or a line of a text before `header` replaced, taken out or written twice."""
    kind = rng.choice(["number", "nudge", "value", "drop", "double"], p=[0.3, 0.2, 0.3, 0.1, 0.1])
    if kind in ("number", "nudge"):
        found = list(_NUMBER.finditer(content, 0, header))
        one = found[int(rng.integers(len(found)))]
        if kind == "nudge":
            value = repr(float(one.group()) * float(rng.choice([0.5, 0.98, 1.02, 10]))).encode()
        else:
            value = _VALUES[int(rng.integers(len(_VALUES)))]
        told = f"number {one.group().decode()} at byte {one.start()} became {value!r}"
        return content[: one.start()] + value + content[one.end() :], told
    lines = content[:header].splitlines(keepends=True)
    place = int(rng.integers(len(lines)))
    if kind == "drop":
        new, told = [], f"line {place + 1} taken out"
    elif kind == "double":
        new, told = [lines[place]] * 2, f"line {place + 1} twice"
    else:
        value = _VALUES[int(rng.integers(len(_VALUES)))]
        parts = re.split(rb"([:\t])", lines[place].rstrip(b"\r\n"))
        at = 2 * int(rng.integers(len(parts) // 2 + 1))
        told = f"line {place + 1}: {parts[at].decode(errors='replace')!r} became {value!r}"
        parts[at] = value
        new = [b"".join(parts) + b"\n"]
    return b"".join([*lines[:place], *new, *lines[place + 1 :]]) + content[header:], told


def header_length(path: Path, content: bytes) -> int:
    """Bytes before the samples of a file; all of a SPAR or a sheet."""
    if path.suffix == ".dat":  # of the VD line: its first measurement's header says how long it is
        start = int.from_bytes(content[16:24], "little")
        return start + int.from_bytes(content[start : start + 4], "little")
    if path.suffix == ".7":
        return p_file_header(path).rhr_rdb_hdr_off_data
    mark = _END_OF_HEADER.get(path.suffix)
    return content.rindex(mark) if mark else len(content)


def _dicom_edit(path: Path, rng: np.random.Generator) -> tuple[bytes, str]:
    """One element of a DICOM header nudged, replaced by another value or taken out."""
    import io

    import pydicom

    header = pydicom.dcmread(path)
    found = []
    header.walk(lambda data, element: found.append((data, element)))
    found = [one for one in found if one[1].VR not in ("SQ", "OF", "OB", "OW", "UI")]
    data, element = found[int(rng.integers(len(found)))]
    kind = rng.choice(["nudge", "other", "drop"])
    if kind == "drop":
        told = f"{element.keyword} taken out"
        del data[element.tag]
    elif kind == "nudge" and isinstance(element.value, int | float):
        factor = float(rng.choice([0.5, 0.98, 1.02, 10]))
        element.value = type(element.value)(element.value * factor)
        told = f"{element.keyword} times {factor:g}"
    else:
        element.value = 0 if isinstance(element.value, int | float) else ""
        told = f"{element.keyword} became {element.value!r}"
    with io.BytesIO() as written:
        header.save_as(written)
        return written.getvalue(), told


def _nifti_edit(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """A damaged header in a gzip file that is whole: its checksum tells nothing."""
    plain = gzip.decompress(content)
    start = plain.find(b"{", 0, 4096)  # of an MRS file's extension; images have none
    if start < 0 or rng.random() < 0.5:
        changed = bytearray(plain)
        header = 348 if start < 0 else 540
        place, bit = int(rng.integers(header)), int(rng.integers(8))
        changed[place] ^= 1 << bit
        return gzip.compress(bytes(changed), 1, mtime=0), f"bit {bit} of header byte {place}"
    end = plain.index(b"}", start) + 1
    text, told = _text_edit(plain[start:end], end - start, rng)
    # The extension keeps its length, as that of an editor which knows the format.
    text = text[: end - start].ljust(end - start)
    return gzip.compress(plain[:start] + text + plain[end:], 1, mtime=0), f"header: {told}"

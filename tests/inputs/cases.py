"""Every case of the kit: formats times oddities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from edits import HEADER_OPERATIONS, mutated
from exporters import EXPORTERS
from given import Base, Given
from habits import HABITS
from heads import HEADS
from images import IMAGES
from kit import Case
from raw_files import RAW_FILES
from rows import ROWS
from signals import SIGNALS, Oddity
from texts import TEXTS
from written import FORMATS

EVERY = {
    "nifti": 1,
    "sdat": 2,
    "rda": 3,
    "raw": 3,
    "dicom": 4,
    "jmrui": 4,
    "nii": 9,
    "mrui": 9,
    "twix": 12,
    "pfile": 12,
}
"""Of the oddities of signals, which know no format, each takes every so many."""

NO_NUMBERS = (
    "a point that is no number",
    "a point that is infinite",
    "a reference with NaN",
)
NO_COILS = ("sdat", "rda", "raw", "jmrui", "mrui", "dicom", "pfile")
NO_PART = (
    *("no reference", "reference elsewhere", "reference of half the points"),
    *("reference of another dwell time", "eight transients of the reference"),
)
"""What a reference in the scan's own file cannot be."""

WHOLE = ("sdat", "pfile")
"""Formats whose numbers are always numbers: VAX floats, whole numbers."""


def of(format: str, oddity: Oddity) -> Case:
    """The case of an oddity in a format."""

    def given(base: Base) -> Given:
        made = base.given(format)
        oddity.change(made)
        return made

    return Case(f"{format}: {oddity.name}", given, oddity.good, oddity.less_noise)


def signal_cases() -> Iterator[Case]:
    """Oddities of signals in every format that can hold them."""
    for start, (format, kind) in enumerate(FORMATS.items()):
        for number, oddity in enumerate(SIGNALS):
            if oddity.series and kind.single:
                continue
            if oddity.name == "four receivers" and format in NO_COILS:
                continue
            if oddity.name in NO_NUMBERS and format in WHOLE:
                continue
            if kind.own and oddity.name in NO_PART:
                continue
            if (number + start) % EVERY[format]:
                continue
            yield of(format, oddity)


def header_cases() -> Iterator[Case]:
    """Oddities of headers and files, each in its own format."""
    for format, oddities in (
        *TEXTS.items(),
        *IMAGES.items(),
        *RAW_FILES.items(),
        *EXPORTERS.items(),
        ("nifti", HABITS),
        ("nifti", HEADS),
    ):
        for oddity in oddities:
            yield of(format, oddity)


MUTATED = ("sdat", "rda", "jmrui", "raw", "dicom", "nifti", "twix", "pfile")
"""Formats with a header of their own."""

BINARY = ("twix", "pfile")
"""Those whose header is cut into fields by place: an edit that moves these is damage."""


def mutated_cases(n: int, seed: int) -> Iterator[Case]:
    """`n` random changes of headers, the formats in turn; the sheet promises no width."""
    for number in range(n):
        format = MUTATED[number % len(MUTATED)]
        operation = HEADER_OPERATIONS[number // len(MUTATED) % len(HEADER_OPERATIONS)]
        operation = "header flip" if format in BINARY else operation
        yield Case(
            f"{number}: {format}, {operation}", _mutation(format, operation, seed + number), False
        )


def _mutation(format: str, operation: str, seed: int) -> Callable[[Base], Given]:
    def given(base: Base) -> Given:
        made, rng = base.given(format), np.random.default_rng(seed)
        if format != "raw":
            made.site["spectral_width_hz"] = None

        def change(data: Path) -> None:
            path = data / made.row["mrs"]
            path = path.with_suffix(".SPAR") if format == "sdat" else path
            if path.is_dir():
                files = sorted(path.iterdir())
                path = files[int(rng.integers(len(files)))]
            content, made.mutation = mutated(path, operation, rng)
            path.write_bytes(content)

        made.edits.append(change)
        return made

    return given


CASES = (*signal_cases(), *header_cases(), *ROWS)

"""Whether a refusal helps: it names a file or a row, the cause, and what to do."""

from __future__ import annotations

import re

from fmrsflow.study import PATH_COLUMNS

TO_DO = (
    *("acquire", "add", "bring", "check", "convert", "copy", "empty", "export", "give", "keep"),
    *("leave", "make", "mend", "name", "put", "remove", "rename", "save", "say", "split", "take"),
    "write",
)
"""Words of which one tells what to do."""

_COLUMNS = "|".join((*PATH_COLUMNS, "mrsref", "svs"))

PLACE = re.compile(
    r"\.(nii|SDAT|sdat|SPAR|spar|rda|RAW|H2O|txt|mrui|dcm|IMA|7|dat|tsv|yaml)\b"
    rf"|\bsub-[A-Za-z0-9]+(_[a-z]+-[A-Za-z0-9]+)*_({_COLUMNS})\b"
)
"""A file: by its ending, or as outputs call a site's file, which may have none
(`source_names.py`)."""

CELL = re.compile(r"(row [\d#]+: \w+: .*\(|unknown column .*(known are|did you mean))")
"""The cell of a sheet, its value and what may stand there; numbers may be left out as #."""

LEAST_CAUSE = 12
"""Letters of a cause, between the place and what to do."""


def to_do(words: str) -> bool:
    """Whether words say what to do."""
    return any(re.search(rf"\b{word}\b", words, re.IGNORECASE) for word in TO_DO)


def helpful(words: str) -> bool:
    """Whether a refusal names a file or a row, the cause, and what to do."""
    if CELL.search(words):
        return True
    place = PLACE.search(words)
    rest = words[: place.start()] + words[place.end() :] if place else ""
    return bool(place) and to_do(rest) and len(rest) > LEAST_CAUSE + max(map(len, TO_DO))

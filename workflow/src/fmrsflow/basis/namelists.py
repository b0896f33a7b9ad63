"""Fortran namelists with data between them, as LCModel writes and reads them.

A group starts with `$NAME` (or `&NAME`) and ends with `$END`, `&END`, a lone `$`, `&` or `/`, on
a line of its own or at the end of one. Values may be missing, repeated (`20*997.`), quoted, of
several elements; numbers may have D exponents, or three digits of exponent and no letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError

_QUOTED = r"""'(?:[^'\n]|'')*'|"[^"\n]*\""""

_MARKS = re.compile(
    rf"{_QUOTED}|![^\n]*|(?P<mark>[$&])(?P<name>[A-Za-z]\w*)?|(?<=\s)(?P<end>/)(?=[ \t\r]*$)",
    re.MULTILINE,
)

_KEYS = re.compile(
    rf"{_QUOTED}|![^\n]*"
    r"|(?<!\w)[\d_]*+(?P<key>[A-Za-z]\w*+)\s*+(?:\([\d\s,:]*+\)\s*+)?="
)
"""Digits before a key end the value before it. Nothing here is tried twice: see `_entries` of
convert/mend.py."""

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDdQq][-+]?\d+|[-+]\d{3}(?![\d.]))?")


@dataclass(frozen=True)
class Group:
    """A namelist group: its name and keys in capitals, values as text, and what follows it."""

    name: str
    values: dict[str, str]
    body: str

    def text(self, key: str) -> str:
        """A value without its quotes; "" where it is missing."""
        value = self.values.get(key, "").strip()
        quote = value[:1]
        if quote not in ("'", '"') or len(value) < 2:
            return value
        return value[1:-1].replace(2 * quote, quote).strip()

    def number(self, key: str, default: float | None = None) -> float | None:
        """The first element of a value; the default where it is missing.

        Raises
        ------
        DataError
            The value is no number.
        """
        value = self.text(key)
        if not value:
            return default
        first = re.sub(r"^\d+\*", "", re.split(r"[,\s]+", value)[0])
        if not _NUMBER.fullmatch(first):
            raise DataError(f"{key} = {value!r} of ${self.name} is no number")
        return _float(first)


def groups(text: str) -> Iterator[Group]:
    """Groups of a file, in their order; one that a new one cuts short, or the end of the file, ends
    there."""
    name, start = None, 0
    closed: tuple[str, str] | None = None
    for mark in _MARKS.finditer(text):
        if mark["mark"] is None and mark["end"] is None:
            continue
        opens = mark["name"] and mark["name"].upper() != "END"
        if name is not None:
            closed = (name, text[start : mark.start()])
            name, start = None, mark.end()
        if not opens:
            continue
        if closed is not None:
            yield Group(closed[0], _values(closed[1]), text[start : mark.start()])
            closed = None
        name, start = mark["name"].upper(), mark.end()
    if closed is not None:
        yield Group(closed[0], _values(closed[1]), text[start:])


def numbers(text: str) -> np.ndarray:
    """All numbers of a text, whatever stands between them, real (n,)."""
    found = _NUMBER.findall(text)
    try:
        return np.array(found, float)
    except ValueError:
        return np.array([_float(one) for one in found])


def _float(text: str) -> float:
    text = re.sub("[DdQq]", "E", text)
    if "e" not in text.lower():
        text = re.sub(r"(?<=[\d.])(?=[-+]\d{3}$)", "E", text)
    return float(text)


def _values(text: str) -> dict[str, str]:
    """Keys and values of a group's text; comments are left out."""
    keys = [one for one in _KEYS.finditer(text) if one["key"]]
    ends = [one.start("key") for one in keys[1:]] + [len(text)]
    return {
        one["key"].upper(): _uncommented(text[one.end() : end]).strip().rstrip(",").strip()
        for one, end in zip(keys, ends)
    }


def _uncommented(text: str) -> str:
    return re.sub(rf"({_QUOTED})|![^\n]*", lambda found: found[1] or "", text)

"""What outputs call a site's own files, since people name files after the person.

`sub-01_task-visual_mrs.SDAT` is the file that scans.tsv names in column `mrs` of that scan,
`sub-01_task-visual_mrs.SPAR` what is read beside it, `sub-01_task-visual_mrs/3` the third file (by
name) of a folder. Records, tables, pages and logs hold these. The names themselves stand in
results/study.json, of which no bundle takes them, and in the manifests, which serve the next run
alone. A file that a setting names keeps its name, which stands in the settings too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

from fmrsflow.study import PATH_COLUMNS, Scan, Study

ENDINGS = frozenset(
    (
        *(".sdat", ".spar", ".rda", ".dat", ".7", ".ima", ".dcm", ".mrui", ".par", ".raw", ".h5"),
        *(".nii", ".nii.gz", ".json", ".tsv", ".txt"),
    )
)
"""Endings that are shown; any other may be part of a name ("visit.Doe")."""


def source_name(scans: Iterable[Scan], name: str) -> str:
    """What outputs call a file below the data root that is one of these scans', or lies beside one
    with another ending; else its own name.

    Examples
    --------
    >>> scan = Scan("siteA", "01", "doe/jane.SDAT", task="visual")
    >>> source_name([scan], "doe/jane.spar")
    'sub-01_task-visual_mrs.spar'
    """
    bare, ending = _split(name)
    beside = name
    for called, own in _named(scans):
        if name == own:
            return called + ending
        if ending and beside == name and bare == _split(own)[0]:
            beside = called + ending
    return beside


def column_of(scans: Iterable[Scan], called: str) -> str | None:
    """Column of scans.tsv that names the file, or the folder of it, that outputs call so; None for
    one that is read beside it or that a setting names."""
    for scan in scans:
        for column in PATH_COLUMNS:
            base = f"{scan.stem}_{column}"
            own = getattr(scan, column)
            if own and (called == base + _split(own)[1] or called.startswith(f"{base}/")):
                return column
    return None


class SourcePaths:
    """Paths of what outputs of a study call a site's files, below a data root."""

    def __init__(self, study: Study, root: Path):
        self.root = root
        self._own = {
            (scan.site, called): own for scan in study.scans for called, own in _named([scan])
        }

    def __call__(self, site: str, called: str) -> Path:
        """The file that outputs of a site's scan or of the site call so."""
        first, _, member = called.partition("/")
        base, dot, ending = first.partition(".")
        own = self._own.get((site, base))
        if own is None:
            return self.root / called
        if member:
            members = files_below(self.root / own)
            return (
                members[int(member) - 1] if int(member) <= len(members) else self.root / own / "?"
            )
        bare, its_ending = _split(own)
        return self.root / (own if dot + ending == its_ending else f"{bare}{dot}{ending}")


def files_below(path: Path, onerror=None) -> list[Path]:
    """Files and links of a folder, by name, or the file itself."""
    if not os.path.isdir(path):
        return [path]
    found = [
        Path(folder, one)
        for folder, folders, files in os.walk(path, onerror=onerror)
        for one in (*files, *(one for one in folders if os.path.islink(os.path.join(folder, one))))
    ]
    return sorted(found) or [path]


class Said:
    """Text as outputs may say it: names of these scans' files, alone or in a path, become what
    outputs call them, and other paths below the data root `a file of the data`.
    """

    def __init__(self, study: Study, scans: Iterable[Scan]):
        self.scans = tuple(scans)
        self._data_root = str(study.data_root)
        self._members: dict[str, str] = {}
        # A folder may be called like these, and messages speak of them.
        self._words = {one.get("rest") for one in study.config.get("response", {}).values()}
        self._words |= {
            label for scan in self.scans for label in (scan.condition, scan.task, scan.site)
        }

    def name(self, name: str) -> str:
        """What outputs call a file below the data root."""
        return self._members.get(name) or source_name(self.scans, name)

    def add_member(self, name: str, folder: str, number: int) -> None:
        """A file of a folder of the sheet, by its number there (from 1, by name)."""
        self._members[name] = f"{source_name(self.scans, folder)}/{number}"
        for made in ("_called", "_pattern"):
            self.__dict__.pop(made, None)

    def __call__(self, text: str) -> str:
        """The text without these names."""
        return self._pattern.sub(self._replaced, text)

    def everywhere(self, value):
        """The same of every text in lists and dicts."""
        if isinstance(value, dict):
            return {key: self.everywhere(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.everywhere(one) for one in value]
        return self(value) if isinstance(value, str) else value

    @cached_property
    def _called(self) -> dict[str, str]:
        """Name or last part of it, with an ending or without -> what it is called."""
        found: dict[str, str] = {}
        own = ((name, called) for called, name in _named(self.scans))
        for name, called in (*self._members.items(), *own):
            bare, ending = _split(name)
            last = PurePosixPath(name).name
            shown = called if name in self._members else called + ending
            for one in (name, last):
                if ("." in one or len(one) > 3) and one not in self._words:
                    found.setdefault(one, shown)
            if "." in last and name not in self._members:
                found.setdefault(f"{PurePosixPath(bare).name}.", called)
        return found

    @cached_property
    def _pattern(self) -> re.Pattern:
        names = sorted(self._called, key=len, reverse=True)
        some = "|".join(
            re.escape(one) + (r"\w+(?:\.\w+)*" if one[-1:] == "." else "") for one in names
        )
        root = "" if self._data_root in ("", ".") else re.escape(self._data_root.rstrip("/"))
        beside = rf"|(?<![\w./-]){root}/[^\s'\"():;,]+" if root else ""
        return re.compile(
            rf"(?:[^\s'\"()]*/)?(?<![\w-])(?P<name>{some or '(?!)'})(?:/[^\s'\"():;,]*)?(?![\w-])"
            rf"{beside}"
        )

    def _replaced(self, match: re.Match) -> str:
        name = match["name"]
        if name is None:
            return "a file of the data"
        if name in self._called:
            return self._called[name]
        bare, _, ending = name.partition(".")
        while f"{bare}." not in self._called:  # a dot of the name itself
            more, _, ending = ending.partition(".")
            bare = f"{bare}.{more}"
        ending = f".{ending}"
        return self._called[f"{bare}."] + (ending if ending.lower() in ENDINGS else "")


def _named(scans: Iterable[Scan]) -> Iterator[tuple[str, str]]:
    """What each file of the scans is called, without ending, and its name."""
    for scan in scans:
        for column in PATH_COLUMNS:
            if own := getattr(scan, column):
                yield f"{scan.stem}_{column}", own


def _split(name: str) -> tuple[str, str]:
    """A name without its ending, and the ending where it is one of a format."""
    for many in (2, 1):
        parts = name.rsplit(".", many)
        ending = "." + ".".join(parts[1:])
        if len(parts) > many and ending.lower() in ENDINGS:
            return parts[0], ending
    return name, ""

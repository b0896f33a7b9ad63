"""Choices of a paper or of another program in our terms: settings, files, and what has no
counterpart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.sheets import PLAIN_SECTIONS, check_value, schema
from fmrsflow.study import ANALYSIS_SETTINGS
from fmrsflow.tables import text

SAME, NEAREST, LEFT, OPEN = "same", "nearest", "left out", "to do"
"""How a choice is carried over: it means the same here; what is nearest to it, the note says how
it differs; it has no counterpart; a person has to."""

IMPORTED = {
    "from": text("setting, as the paper or the other program calls it"),
    "value": text("its value there"),
    "kind": text("same; nearest: what comes nearest to it; left out; to do: by a person"),
    "setting": text("setting of config.yaml, or column of a sheet"),
    "ours": text("its value here"),
    "note": text("source, or what differs in the answer"),
}
"""Columns of imported.tsv."""

LONGEST = 160
"""Letters of a foreign value that are shown."""

MEASURED = {
    "Osprey": {"tNAA": -6, "tCho": 1, "mI": -9, "Glu": 12, "Gln": 16, "GSH": -19},
    "LCModel": {"tNAA": -2, "tCho": 3, "mI": -5, "Glu": 1, "Gln": -9, "GSH": -9},
    "FSL-MRS": {"tNAA": -3, "tCho": -15, "mI": -16, "Glu": -20, "Gln": -42, "GSH": -8},
}
"""What the fit here answers beside a program's, percent: means of ratios to tCr of 17 brains at 3T
(docs/measured.md, beside other engines; each with its own macromolecules and baseline)."""


def measured(program: str) -> str:
    """The figures of `MEASURED` for a note."""
    figures = ", ".join(f"{name} {one:+d}" for name, one in MEASURED[program].items())
    return (
        f"measured on 17 brains at 3T, ratios to tCr by our default fit less those of {program}: "
        f"{figures} % (docs/start.md#what-differs)"
    )


@dataclass
class Choices:
    """What was chosen elsewhere.

    Attributes
    ----------
    name : str
        Of the named settings that it becomes: small letters and digits.
    settings : dict
        Section -> key -> value, where it is not the default.
    files : list of dict
        One a scan: column of scans.tsv -> Path.
    protocol : dict
        Columns of sites.tsv that are known from it.
    basis : Path or None
        Basis set that it names.
    rows : list of dict
        Rows of imported.tsv.
    """

    name: str
    settings: dict[str, dict] = field(default_factory=dict)
    files: list[dict[str, Path]] = field(default_factory=list)
    protocol: dict = field(default_factory=dict)
    basis: Path | None = None
    rows: list[dict] = field(default_factory=list)

    def take(self, theirs: str, value, setting: str, ours, note: str = "", kind: str = SAME):
        """Carry a choice over: `setting` is SECTION.KEY of config.yaml. What our limits do not
        allow is left out, with the limit."""
        section, key = setting.split(".")
        rule = schema(section)[key]
        ours, problem = check_value(ours, rule)
        if problem:
            self.leave(theirs, value, f"{setting}: {problem}")
            return
        if ours != rule.get("default"):
            if section in PLAIN_SECTIONS:
                raise ValueError(f"{setting} is no named setting")
            self.settings.setdefault(section, {})[key] = ours
        else:
            self.settings.get(section, {}).pop(key, None)
        self.add(theirs, value, kind, setting, ours, note)

    def leave(self, theirs: str, value, note: str) -> None:
        """A choice without counterpart, and why."""
        self.add(theirs, value, LEFT, "", "", note)

    def ask(self, theirs: str, value, note: str) -> None:
        """What a person has to do."""
        self.add(theirs, value, OPEN, "", "", note)

    def add(self, theirs: str, value, kind: str, setting: str, ours, note: str) -> None:
        """A row of imported.tsv."""
        cells = (theirs, shown(value), kind, setting, shown(ours), note)
        self.rows.append(dict(zip(IMPORTED, cells)))

    def analysis(self) -> dict[str, str]:
        """Section -> name of the setting, where that is not the usual one."""
        return {one: self.name for one in ANALYSIS_SETTINGS if self.settings.get(one)}


def shown(value) -> str:
    """A value as a cell."""
    if isinstance(value, list | tuple):
        value = " ".join(map(shown, value))
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, float):
        value = f"{value:.10g}"
    value = " ".join(str(value).split())
    return value if len(value) <= LONGEST else value[:LONGEST] + " ..."


def named(path: Path) -> list[str]:
    """Labels of subjects in a path, the nearest to the file last."""
    return re.findall(r"(?:^|[/_])sub-([A-Za-z0-9]+)", path.as_posix())


def labels(paths: list[Path]) -> list[dict[str, str]]:
    """Subject, session and run of scans by their paths: labels where there are any (`sub-01`,
    `ses-02`), else the number of the scan."""
    found, seen = [], {}
    for number, path in enumerate(paths, start=1):
        subject = named(path)
        session = re.findall(r"(?:^|[/_])ses-([A-Za-z0-9]+)", path.as_posix())
        key = subject[-1] if subject else f"{number:02d}", session[-1] if session else ""
        seen.setdefault(key, []).append(len(found))
        found.append(dict(zip(("subject", "session", "run"), (*key, ""))))
    for members in seen.values():
        if len(members) > 1:
            for run, member in enumerate(members, start=1):
                found[member]["run"] = str(run)
    return found


def text_file(path: Path) -> str:
    """Text of a file of another program, whatever its letters.

    Raises
    ------
    DataError
        It cannot be read, or is larger than any such file.
    """
    try:
        if path.stat().st_size > 10_000_000:
            raise DataError(f"{path} is too large for a file of settings")
        return path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None

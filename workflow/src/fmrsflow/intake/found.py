"""What a search for scans finds, and what it has to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

GUESS, LEFT, OPEN = "taken", "left out", "to do"
"""Kinds of notes: a choice that the files do not prove, a file that is not used, a cell that only a
person can fill."""

SAME_PLACE_MM = 1.0
"""Distance of boxes up to which two measurements are of one voxel."""


REST_WORDS = ("rest", "resting", "restingstate", "baseline", "fixation")
"""Labels of tasks in which nothing is done."""


@dataclass(frozen=True)
class Note:
    """A line of the list that `fmrsflow init` leaves.

    Attributes
    ----------
    kind : str
        `GUESS`, `LEFT` or `OPEN`.
    file : str
        Below the data root; "" for all.
    said : str
    """

    kind: str
    file: str
    said: str

    def row(self, site: str) -> dict[str, str]:
        """Row of found.tsv."""
        return {"site": site, "kind": self.kind, "file": self.file, "note": self.said}


@dataclass
class FoundScan:
    """A scan and the files that belong to it.

    Attributes
    ----------
    path : Path
        Its spectra.
    columns : dict
        Columns of scans.tsv but site and paths: labels, condition.
    files : dict
        Column -> Path.
    protocol : dict
        What its header says: columns of sites.tsv, where it says anything.
    n_transients : int or None
    numbered : bool
        Whether its subject is a number given here, which no sheet of others knows.
    """

    path: Path
    columns: dict[str, str]
    files: dict[str, Path] = field(default_factory=dict)
    protocol: dict = field(default_factory=dict)
    n_transients: int | None = None
    numbered: bool = False


class Unusable(Exception):
    """A file that no row can be made of; its text says why."""


def holds_events(path: Path) -> bool:
    """Whether a table has the columns of BIDS events; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            header = file.readline(65536).decode("utf-8-sig", "replace").split()
    except OSError:
        return False
    return {"onset", "duration", "trial_type"} <= set(header)

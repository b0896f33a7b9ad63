"""Manifests: what a job of a stage left, one JSON a batch, written last.

Snakemake tracks the manifest alone. It names every file of the batch with its size and time, so
that one `stat` a file shows at parsing which of them is missing or was replaced, and it lists the
faults: scans that the program or the machine failed, as opposed to scans whose data cannot be
processed (those have a record that says so). What is lost, faulty or can be read by now is named
in the text `again`, a parameter of the rule: while nothing is, the text stays that of the last
run, and Snakemake has no reason to run the job.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.files import file_digest, read_regular
from fmrsflow.results import read_record

State = list[int]
"""Size (bytes) and modification time (ns) of a file, of an input also its inode, since a link may
give way to a copy; empty where it cannot be read."""


@dataclass
class Entry:
    """What one item (scan, response unit, site) of a batch left.

    Attributes
    ----------
    status : str
        `ok` or `failed` of its record, or `fault`: no record.
    reason : str or None
        Why, where it is not `ok`.
    files : dict
        Path below the results -> state, its record included.
    sources : dict
        Path below the data root -> state of each input file that was read or could not be.
    pruned : list
        Those of `files` that `fmrsflow prune` has deleted: they are made again when they are read.
    """

    status: str
    reason: str | None = None
    files: dict[str, State] = field(default_factory=dict)
    sources: dict[str, State] = field(default_factory=dict)
    pruned: list[str] = field(default_factory=list)

    def kept(self, results: str | Path) -> dict[str, State]:
        """Files that should be there: all but those that were pruned and not made again."""
        gone = {name for name in self.pruned if not os.path.exists(f"{results}/{name}")}
        return {name: one for name, one in self.files.items() if name not in gone}


@dataclass
class Manifest:
    """The manifest of a job.

    Attributes
    ----------
    stage, names, job : str
        Names of the settings are joined with `-`.
    request : str
        Digest of what was asked for: code, settings, rows of the sheets.
    again : str
        Number of the repetition and the keys that it was for; empty at first.
    entries : dict
        Key of the item -> entry.
    """

    stage: str
    names: str
    job: str
    request: str = ""
    again: str = ""
    entries: dict[str, Entry] = field(default_factory=dict)

    def to_json(self) -> dict:
        """Content of the file; `read` takes it back."""
        content = {name: getattr(self, name) for name in ("stage", "names", "job", "request")}
        entries = {key: vars(entry) for key, entry in self.entries.items()}
        return {**content, "again": self.again, "entries": entries}

    def unsettled(self, results: str, data_root: str) -> list[str]:
        """Keys of items to do again: a file is missing or another one, the last run ended in a
        fault, or an input that could not be read has changed."""
        return [
            key
            for key, entry in self.entries.items()
            if entry.status == "fault"
            or any(
                not _recorded(results, entry, name)
                for name in _differ(results, entry.kept(results))
            )
            or (entry.status == "failed" and any(_differ(data_root, entry.sources)))
        ]


def read(path: str | Path) -> Manifest | None:
    """The manifest in a file; None where there is none, or none that can be read."""
    try:
        content = json.loads(read_regular(path))
        entries = {key: Entry(**entry) for key, entry in content.pop("entries").items()}
        return Manifest(**content, entries=entries)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # damaged: the job is done anew


def again(path: str | Path, results: str, data_root: str) -> str:
    """The parameter that makes Snakemake repeat a job where its manifest does not hold.

    It is the text of the last run while everything is as that left it; else the number of the next
    repetition and the keys of the items to do again. Without a manifest it is empty.
    """
    manifest = read(path)
    if manifest is None:
        return ""
    keys = manifest.unsettled(results, data_root)
    if not keys:
        return manifest.again
    number = int(manifest.again.split()[0]) if manifest.again else 0
    return " ".join([str(number + 1), *keys])


def state(path: str | Path) -> State:
    """State of a file or folder; empty where it is missing or must not be read."""
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ino] if os.access(path, os.R_OK) else []


def _differ(root: str, files: dict[str, State]) -> Iterator[str]:
    """Names of files whose state is another one."""
    for name, expected in files.items():
        path = f"{root}/{name}"
        try:
            found = os.stat(path)
        except OSError:
            if expected:
                yield name
            continue
        if not expected:
            if os.access(path, os.R_OK):
                yield name
        elif [found.st_size, found.st_mtime_ns, found.st_ino][: len(expected)] != expected:
            yield name


def _recorded(results: str, entry: Entry, name: str) -> bool:
    """Whether a file of another time or size is all the same what its record says: it was touched
    or copied (Snakemake touches a file that is a target by itself)."""
    own = next((one for one in entry.files if one.endswith("_record.json")), None)
    if own is None:
        return False
    try:
        record = read_record(Path(results, own))
        if name == own:
            return True
        return record["files"].get(os.path.relpath(name, os.path.dirname(own))) == file_digest(
            Path(results, name)
        )
    except (DataError, OSError):
        return False

"""Records that tell damage of themselves, and files that must be what a record promises.

Snakemake looks at the time of a file, never into it. So a record carries a digest of its own
content, a stage reads a file of an earlier stage only if it has the digest that the record tells,
and an input must be the same after it was read as before.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fmrsflow.errors import DataError

DIGEST = "digest"
"""Key of a record that holds the digest of all its other keys."""


class InputChanged(Exception):
    """An input was replaced while it was read: no record is written, the next run does the scan."""


@dataclass(frozen=True)
class Source:
    """An input file as it was before it was read: SHA-256, and what the file system tells."""

    path: Path
    digest: str
    state: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> Source:
        """The file as it is now."""
        state = _state(path)
        return cls(path, file_digest(path), state)

    def changed(self) -> bool:
        """Whether the file is another one by now; digested again only where its state differs."""
        try:
            return _state(self.path) != self.state and file_digest(self.path) != self.digest
        except FileNotFoundError:
            return True


def now() -> str:
    """UTC time to the second, for records (never for tables)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sealed(record: dict) -> dict:
    """The record with the digest of its content as its last key; values as JSON knows them."""
    content = {key: value for key, value in record.items() if key != DIGEST}
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return {**content, DIGEST: hashlib.sha256(text.encode()).hexdigest()}


def read_record(path: str | Path) -> dict:
    """A record, checked against its own digest where it has one.

    Raises
    ------
    DataError
        No JSON, or not what was written.
    FileNotFoundError
        The stage has not run.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        record = None
    whole = isinstance(record, dict) and (DIGEST not in record or sealed(record) == record)
    if not whole:
        raise DataError(
            f"{path} is damaged or was edited: it is not what the stage wrote; delete it and run "
            "again"
        )
    return record


def promised(path: Path, digest: str, record_path: Path) -> Path:
    """The path of a stage's file if that is what its record promises.

    Raises
    ------
    DataError
        Missing, damaged or replaced.
    """
    try:
        found = file_digest(path)
    except FileNotFoundError:
        found = None
    if found != digest:
        what = "is missing" if found is None else "is not what was written (damaged or replaced)"
        raise DataError(f"{path} {what}; delete {record_path} and run again")
    return path


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(path: Path) -> tuple[int, ...]:
    told = path.stat()
    return told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns

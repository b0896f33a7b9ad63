"""The edge between stages and files: records, tables, atomic writing.

A stage is a function `process(job) -> dict`; batch.py runs it for scans.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import tempfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zlib import crc32

from fmrsflow.errors import DataError, Unwritable
from fmrsflow.records import InputChanged, Source, now, promised, read_record, sealed
from fmrsflow.study import STAGE_SETTINGS, Scan, Site, Study, Unit, directory

MISSING = "n/a"
"""A missing value in a table (BIDS)."""


class FailedBefore(DataError):
    """An earlier stage could not process this scan."""

    def __init__(self, reason: str, stage: str):
        super().__init__(reason)
        self.stage = stage


@dataclass
class Job:
    """One scan (or response unit) under one set of named settings, in one stage."""

    stage: str
    study: Study
    item: Scan | Unit
    names: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    excluded: str | None = None
    sources: dict[str, Source] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    seeds: dict[str, int] = field(default_factory=dict)
    started: str = field(default_factory=now)

    @property
    def scan(self) -> Scan:
        """The scan; for a response unit the first of its scans."""
        return self.item.scan if isinstance(self.item, Unit) else self.item

    @property
    def unit(self) -> Unit:
        """The response unit."""
        return self.item if isinstance(self.item, Unit) else Unit((self.item,))

    @property
    def site(self) -> Site:
        """The site's row of sites.tsv."""
        return self.study.sites[self.item.site]

    @property
    def record_path(self) -> Path:
        """The record that this job writes."""
        return self.study.record_path(self.stage, self._names_of(self.stage), self.item)

    @cached_property
    def settings(self) -> dict[str, dict]:
        """Resolved settings by stage: the named ones that this stage depends on, and its section
        of the configuration where it has but one (`anatomy`, `bold`)."""
        named = {stage: self.study.setting(stage, name) for stage, name in self.names.items()}
        section = "anatomy" if self.stage == "segment" else self.stage
        if section in self.study.config and not STAGE_SETTINGS[self.stage]:
            named[section] = self.study.config[section]
        return named

    def seed(self, what: str, scan: Scan | None = None) -> int:
        """Seed of random numbers from the scan's name and their purpose; told in the record."""
        self.seeds[what] = crc32(f"{(scan or self.scan).key} {what}".encode())
        return self.seeds[what]

    def warn(self, text: str) -> None:
        """Put a one-line warning into the record."""
        self.warnings.append(" ".join(text.split()))

    def exclude(self, reason: str) -> None:
        """Mark the scan as excluded: processed, but no part of group statistics."""
        self.excluded = self.excluded or " ".join(reason.split())

    def source(self, column: str) -> Path:
        """Input file that a column of scans.tsv names.

        Raises
        ------
        DataError
            Nothing named, file absent, or outside the data root.
        """
        name = getattr(self.scan, column)
        if not name:
            raise DataError(f"scans.tsv names no file in column {column}")
        self.asked.add(name)  # a failure may end when this file is another one
        path = self.study.data_root / name
        if not self._below_root(path):
            raise DataError(
                f"{name} (column {column}) leads out of the data root; "
                "paths of scans.tsv lie below data_root"
            )
        if not path.exists():
            raise DataError(
                f"{name} is not there (column {column} of scans.tsv, below data_root); "
                "mend the path or bring the file"
            )
        members = sorted(path.rglob("*")) or [path]
        for number, member in enumerate(members, start=1):
            if not self._below_root(member):
                # By number, since scanners name the files of a folder after the person.
                raise DataError(
                    f"{name} (column {column}): file {number} of the folder (by name) is a link "
                    "that leads out of the data root; bring the file itself there"
                )
        for member in members:
            self.beside(member)
        return path

    def beside(self, path: Path) -> Path:
        """A file below the data root that is read beside one of the sheet: its digest goes into
        the record, and it must still be the same when the stage has done its work.

        Raises
        ------
        DataError
            It is a link that leads out of the data root.
        """
        if not self._below_root(path):
            raise DataError(
                f"{path.name} is a link that leads out of the data root; bring the file itself"
            )
        name = str(path.relative_to(self.study.data_root))
        self.asked.add(name)
        if name not in self.sources and path.is_file():
            self.sources[name] = Source.of(path)
        return path

    def _below_root(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.study.data_root.resolve())

    def image(self, column: str):
        """NIfTI image that a column of scans.tsv names; DataError where it cannot be read."""
        import nibabel as nib

        path = self.source(column)
        try:
            image = nib.load(path)
            image.get_fdata(dtype="float32")
        except (
            OSError,
            EOFError,
            ValueError,
            zlib.error,
            nib.filebasedimages.ImageFileError,
            nib.spatialimages.HeaderDataError,
        ) as error:
            raise DataError(f"{path.name}: no readable NIfTI image ({error})") from None
        return image

    def events(self) -> list[dict] | None:
        """Rows of the scan's events.tsv; None where the sheet names none."""
        if not self.scan.events:
            return None
        rows = read_table(self.source("events"))
        for number, row in enumerate(rows, start=2):
            for column in ("onset", "duration", "trial_type"):
                if not row.get(column) or row[column] == MISSING:
                    raise DataError(
                        f"{self.scan.events} line {number}: no {column}; "
                        "the columns onset, duration (s) and trial_type are needed"
                    )
            for column in ("onset", "duration"):
                try:
                    row[column] = float(row[column])
                except ValueError:
                    raise DataError(
                        f"{self.scan.events} line {number}: {column} {row[column]!r} is no number"
                    ) from None
        return rows

    def record(self, stage: str, scan: Scan | Unit | None = None) -> dict:
        """Record of an earlier stage; a failure there goes on as this stage's own.

        Raises
        ------
        FailedBefore
            The earlier stage failed for that scan.
        """
        path = self.study.record_path(stage, self._names_of(stage), scan or self.scan)
        record = read_record(path)
        if record["status"] == "failed":
            raise FailedBefore(record["reason"], record["failed_at"])
        if record["status"] == "excluded":
            self.exclude(record["reason"])
        return record

    def path(self, stage: str, file: str, scan: Scan | Unit | None = None) -> Path:
        """File of an earlier stage, for example ("preprocess", "average.nii.gz")."""
        item = scan or self.scan
        folder = directory(stage, self._names_of(stage))
        path = self.study.path(folder, item, f"desc-{stage}_{file}")
        digest = self.record(stage, item)["files"].get(path.name)
        if digest is None:
            raise FileNotFoundError(f"{stage} did not write {path.name}")
        return self._promised(
            path, digest, self.study.record_path(stage, self._names_of(stage), item)
        )

    def _promised(self, path: Path, digest: str, record_path: Path) -> Path:
        self.inputs[str(path.relative_to(self.study.results))] = digest
        return promised(path, digest, record_path)

    def fids(self, stage: str, what: str, scan: Scan | None = None):
        """FIDs that an earlier stage wrote."""
        import nibabel as nib

        from fmrsflow.fids import from_nifti

        return from_nifti(nib.load(self.path(stage, f"{what}.nii.gz", scan)))

    def table(self, stage: str, what: str, scan: Scan | Unit | None = None) -> list[dict]:
        """Rows of a table that an earlier stage wrote; values are text."""
        return read_table(self.path(stage, f"{what}.tsv", scan))

    def arrays(self, stage: str, what: str, scan: Scan | None = None) -> dict:
        """Arrays of an NPZ that an earlier stage wrote."""
        import numpy as np

        with np.load(self.path(stage, f"{what}.npz", scan), allow_pickle=False) as content:
            return dict(content)

    def basis(self):
        """The basis of the scan's site under the basis setting of this job."""
        from fmrsflow.basis.files import read_npz

        return read_npz(self.path("basis", "basis.npz", self.study.sites[self.item.site]))

    def save(self, what: str, content, columns: dict | None = None) -> Path:
        """Write an output beside the record, atomically; its kind follows from the content.

        Fids and nibabel images become NIfTI, a list of dicts TSV (`columns` is the data dictionary:
        name -> (description, unit)), a dict of arrays NPZ, another dict JSON, a figure PNG.
        """
        extension, text_or_bytes = _encode(content, columns)
        folder = directory(self.stage, self.names)
        name = f"desc-{self.stage}_{what}{extension}"
        path = self.study.path(folder, self.item, name)
        write_bytes(path, text_or_bytes)
        self.files[path.name] = _digest(text_or_bytes)
        if columns:
            dictionary = path.with_suffix(".json")
            write_bytes(dictionary, _json(data_dictionary(columns)))
            self.files[dictionary.name] = _digest(dictionary.read_bytes())
        return path

    def check_sources(self) -> None:
        """InputChanged where a source is no longer the file that was read."""
        for name, source in self.sources.items():
            if source.changed():
                raise InputChanged(f"{name} was changed while it was read; run again")

    def _names_of(self, stage: str) -> dict[str, str]:
        return {name: self.names[name] for name in STAGE_SETTINGS[stage]}

    def finish(self, status: str, reason: str | None, failed_at: str | None, body: dict) -> None:
        """Write the record, last of all files; what an earlier run left beside it goes first.

        Raises
        ------
        InputChanged
            A source is no longer the file that was read; nothing is written then.
        """
        self.check_sources()
        record = {
            "stage": self.stage,
            "scan": self.scan.entities,
            "status": status,
            "reason": reason,
            "failed_at": failed_at,
            "warnings": self.warnings,
            "settings": {
                stage: {"name": self.names.get(stage, ""), **setting}
                for stage, setting in self.settings.items()
            },
            "files": self.files,
            "inputs": self.inputs,
            **(
                {"sources": {name: one.digest for name, one in self.sources.items()}}
                if self.sources
                else {}
            ),
            **({"seeds": self.seeds} if self.seeds else {}),
            "startedAtTime": self.started,
            "endedAtTime": now(),
            "GeneratedBy": [self.study.software] if self.study.software else [],
            **body,
        }
        path = self.record_path
        # A table of a run whose scan fails now would be taken for its result.
        for old in path.parent.glob(path.name.removesuffix("record.json") + "*"):
            if old.name not in self.files and old != path:
                old.unlink(missing_ok=True)  # an orphan of a killed run may do the same
        write_record(path, record)


def read_json(path: str | Path) -> dict:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def read_table(path: str | Path) -> list[dict[str, str]]:
    """Read a TSV as a list of rows; values stay text.

    Raises
    ------
    DataError
        A row of another length than the header, or not text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{Path(path).name} is not a UTF-8 text table") from None
    if "\0" in text:
        raise DataError(f"{Path(path).name} is not a text table (it holds a zero byte)")
    lines = list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    if not lines:
        return []
    header = [cell.strip() for cell in lines[0]]
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise DataError(
                f"{Path(path).name} line {number} has {len(line)} cells where the header has "
                f"{len(header)}; cells are parted by tabs"
            )
    return [dict(zip(header, (cell.strip() for cell in line))) for line in lines[1:]]


def write_table(path: str | Path, rows: list[dict], columns: dict | None = None) -> None:
    """Write rows as TSV, atomically, and with `columns` their data dictionary beside them.

    Numbers get six significant digits, so that the last bits of a sum do not change a table.
    """
    write_bytes(path, _tsv(rows, list(columns) if columns else None))
    if columns:
        write_bytes(Path(path).with_suffix(".json"), _json(data_dictionary(columns)))


def write_json(path: str | Path, content: dict) -> None:
    """Write JSON, atomically."""
    write_bytes(path, _json(content))


def write_record(path: str | Path, record: dict) -> None:
    """Write a record with the digest of its content, atomically."""
    write_bytes(path, _json(sealed(_plain(record))))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all (temporary name in its folder, then rename).

    Raises
    ------
    Unwritable
        Disk full, read-only, no leave to write.
    """
    path = Path(path)
    try:
        _replace(path, content)
    except OSError as error:
        raise Unwritable(path, error) from error


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def data_dictionary(columns: dict) -> dict:
    """BIDS data dictionary of {name: (description, unit)}."""
    return {
        name: {"Description": description, **({"Units": unit} if unit else {})}
        for name, (description, unit) in columns.items()
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _encode(content, columns: dict | None) -> tuple[str, bytes]:
    if isinstance(content, bytes):
        return "", content
    if isinstance(content, list):
        return ".tsv", _tsv(content, list(columns) if columns else None)
    if isinstance(content, dict):
        if content and all(hasattr(value, "dtype") for value in content.values()):
            import numpy as np

            buffer = io.BytesIO()
            np.savez_compressed(buffer, **content)
            return ".npz", buffer.getvalue()
        return ".json", _json(content)
    if hasattr(content, "savefig"):
        buffer = io.BytesIO()
        content.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return ".png", buffer.getvalue()
    if hasattr(content, "dwell_s"):
        from fmrsflow.fids import to_nifti

        content = to_nifti(content)
    import gzip

    # Level 1 and no time stamp: float noise hardly compresses, and the same bytes come out.
    return ".nii.gz", gzip.compress(content.to_bytes(), compresslevel=1, mtime=0)


def _json(content: dict) -> bytes:
    return (json.dumps(_plain(content), indent=1, allow_nan=False) + "\n").encode()


def _plain(value):
    """Python's own types; numbers that JSON does not know become null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _tsv(rows: list[dict], columns: list[str] | None) -> bytes:
    columns = columns or (list(rows[0]) if rows else [])
    for row in rows:
        if set(row) - set(columns):
            raise ValueError(f"columns without description: {sorted(set(row) - set(columns))}")
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(row.get(column)) for column in columns) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def _cell(value) -> str:
    if value is None or value == "":
        return MISSING
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return MISSING if value != value else f"{value:.6g}"
    return " ".join(str(value).split())

"""The edge between a stage and files: what a job may read of the study's input, and its results.

A stage is a function `process(job) -> dict`; batch.py runs it for scans.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zlib import crc32

from fmrsflow.errors import DataError, Unreachable, reading_failed
from fmrsflow.events import events_of
from fmrsflow.files import file_digest
from fmrsflow.results import Output, Results, Writer, now
from fmrsflow.source_names import Said, files_below
from fmrsflow.study import Item, Scan, Site, Study, Unit
from fmrsflow.tables import Columns, Row, read_table


class FailedBefore(DataError):
    """An earlier stage could not process this scan."""

    def __init__(self, reason: str, stage: str):
        super().__init__(reason)
        self.stage = stage


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


@dataclass
class Job:
    """One scan (or response unit) under one set of named settings, in one stage."""

    stage: str
    study: Study
    item: Item
    names: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    seeds: dict[str, int] = field(default_factory=dict)
    started: str = field(default_factory=now)

    @cached_property
    def results(self) -> Results:
        """What the job opens of earlier stages."""
        return Results(self.study)

    @cached_property
    def writer(self) -> Writer:
        """What writes the job's files and its record."""
        own = self.results.of(self.stage, self.names, self.item)
        return Writer(own, self.study.software, self.results.inputs, self.started)

    def anew(self, process: Callable[[Job], dict]) -> dict:
        """What a stage's `process` gives, without the traces of a try that met a pruned file."""
        for noted in (self.warnings, self.sources, self.asked, self.seeds, self.files):
            noted.clear()
        return process(self)

    @property
    def files(self) -> dict[str, str]:
        """Files that this job has written: name -> digest."""
        return self.writer.files

    @property
    def inputs(self) -> dict[str, str]:
        """What this job has opened of earlier stages: name below the results -> digest."""
        return self.results.inputs

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

    @cached_property
    def said(self) -> Said:
        """Takes names of the scans' files out of what outputs say."""
        return Said(self.study, () if isinstance(self.item, Site) else self.unit.scans)

    @property
    def record_path(self) -> Path:
        """The record that this job writes."""
        return self.writer.output.record_path

    @cached_property
    def settings(self) -> dict[str, dict]:
        """Resolved settings by stage (`Study.settings_of`)."""
        return self.study.settings_of(self.stage, self.names)

    def seed(self, what: str, scan: Scan | None = None) -> int:
        """Seed of random numbers from the scan's name and their purpose; told in the record."""
        self.seeds[what] = crc32(f"{(scan or self.scan).key} {what}".encode())
        return self.seeds[what]

    def warn(self, text: str) -> None:
        """Put a one-line warning into the record."""
        self.warnings.append(" ".join(text.split()))

    def source(self, column: str, number: int = 0) -> Path:
        """Input file that a column of scans.tsv names; of several the one of this number.

        Raises
        ------
        DataError
            Nothing named.
        Unreachable
            The file is absent, must not be read, or lies outside the data root.
        """
        names = self.scan.files(column)
        if not names:
            raise DataError(f"scans.tsv names no file in column {column}")
        name = names[number]
        self.asked.add(name)  # a failure may end when this file is another one
        path = self.study.data_root / name
        if not self._below_root(path):
            raise Unreachable(
                f"{name} (column {column}) leads out of the data root; "
                "paths of scans.tsv lie below data_root",
                path,
            )
        if not os.path.exists(path):
            raise Unreachable(
                f"{name} is not there (column {column} of scans.tsv, below data_root); "
                "mend the path or bring the file",
                path,
            )
        if not (os.path.isfile(path) or os.path.isdir(path)):
            raise Unreachable(
                f"{name} (column {column}) is neither a file nor a folder but a pipe or a device; "
                "bring the file",
                path,
            )
        members = {}

        def refuse(error: OSError) -> None:
            """Raise what `os.walk` would pass over."""
            raise reading_failed(path, error, f"{name} cannot be read ({error.strerror})", name)

        for number, member in enumerate(files_below(path, refuse), start=1):
            # By number, since scanners name the files of a folder after the person.
            members[member] = f"{name} (column {column})"
            if member != path:
                members[member] += f": file {number} of the folder (by name)"
                self.said.add_member(os.path.relpath(member, self.study.data_root), name, number)
            if not self._below_root(member):
                raise Unreachable(
                    f"{members[member]} is a link that leads out of the data root; bring the file "
                    "itself there",
                    member,
                )
        for member, shown in members.items():
            self.beside(member, shown)
        return path

    def beside(self, path: Path, shown: str = "") -> Path:
        """A file below the data root that is read beside one of the sheet: its digest goes into
        the record, and it must still be the same when the stage has done its work.

        Parameters
        ----------
        shown : str
            What messages call it, where its own name may be a person's.

        Raises
        ------
        Unreachable
            It is a link that leads out of the data root, or its permissions forbid to read it.
        MachineFault
            The disk or the network failed.
        """
        shown = shown or path.name
        if not self._below_root(path):
            raise Unreachable(
                f"{shown} is a link that leads out of the data root; bring the file itself", path
            )
        name = str(path.relative_to(self.study.data_root))
        self.asked.add(name)
        if name not in self.sources and os.path.isfile(path):
            try:
                self.sources[name] = Source.of(path)
            except OSError as error:
                reason = f"{shown} cannot be read ({error.strerror})"
                raise reading_failed(path, error, reason, shown) from None
        return path

    def _below_root(self, path: Path) -> bool:
        # Unlike Path.resolve, this raises nothing on a circle of links.
        root = os.path.realpath(self.study.data_root)
        return Path(os.path.realpath(path)).is_relative_to(root)

    def image(self, column: str):
        """NIfTI image that a column of scans.tsv names; DataError where it cannot be read."""
        from fmrsflow import images

        path = self.source(column)
        image = images.load(path)
        images.values(image, path)
        return image

    def events(self) -> list[dict] | None:
        """Events of the scan (`events_of`); None where the sheet names none."""
        if not self.scan.events:
            return None
        return events_of(read_table(self.source("events")), self.scan.events)

    def earlier(self, stage: str, item: Item | None = None) -> Output:
        """What an earlier stage left of the scan; a failure there goes on as this stage's own.

        Raises
        ------
        FailedBefore
            The earlier stage failed for that scan.
        """
        output = self.results.of(stage, self.names, item or self.scan)
        if output.record["status"] == "failed":
            raise FailedBefore(output.record["reason"], output.record["failed_at"])
        return output

    def record(self, stage: str, item: Item | None = None) -> dict:
        """Record of an earlier stage."""
        return self.earlier(stage, item).record

    def fids(self, stage: str, what: str, scan: Scan | None = None):
        """FIDs that an earlier stage wrote."""
        return self.earlier(stage, scan).fids(what)

    def table(self, stage: str, what: str, item: Item | None = None) -> list[Row]:
        """Rows of a table that an earlier stage wrote, typed."""
        return self.earlier(stage, item).table(what)

    def arrays(self, stage: str, what: str, scan: Scan | None = None) -> dict:
        """Arrays of an NPZ that an earlier stage wrote."""
        return self.earlier(stage, scan).arrays(what)

    def basis(self):
        """The basis of the scan's site under the basis setting of this job."""
        return self.earlier("basis", self.site).basis()

    def other_basis(self):
        """The other basis that the site may have (`basis.site.alternatives`), or None."""
        made = self.earlier("basis", self.site)
        return made.basis("other") if made.has("other.npz") else None

    def save(self, what: str, content, columns: Columns | None = None) -> Path:
        """Write an output beside the record, atomically (`results.Writer.save`)."""
        return self.writer.save(what, content, columns)

    def check_sources(self) -> None:
        """InputChanged where a source is no longer the file that was read."""
        for name, source in self.sources.items():
            if source.changed():
                raise InputChanged(f"{name} was changed while it was read; run again")

    def finish(self, status: str, reason: str | None, failed_at: str | None, body: dict) -> None:
        """Write the record, last of all files; what an earlier run left beside it goes first.

        Raises
        ------
        InputChanged
            A source is no longer the file that was read; nothing is written then.
        """
        self.check_sources()
        # A table of a run whose scan fails now would be taken for its result.
        path = self.record_path
        for old in path.parent.glob(path.name.removesuffix("record.json") + "*"):
            if old.is_file() and old.name not in self.files and old != path:
                old.unlink(missing_ok=True)  # an orphan of a killed run may do the same
        head = {
            "stage": self.stage,
            "scan": self.scan.entities,
            "status": status,
            "reason": reason and self.said(reason),
            "failed_at": failed_at,
            "warnings": self.said.everywhere(self.warnings),
            "settings": {
                stage: {"name": self.names.get(stage, ""), **setting}
                for stage, setting in self.settings.items()
            },
        }
        if self.sources:
            named = self.said.name
            head["sources"] = {named(name): one.digest for name, one in self.sources.items()}
        if self.seeds:
            head["seeds"] = self.seeds
        self.writer.finish(head, self.said.everywhere(body))


def _state(path: Path) -> tuple[int, ...]:
    told = path.stat()
    return told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns

"""The one door to what a stage wrote, and the one writer of records.

Snakemake looks at the time of a file, never into it. So a record carries a digest of its own
content and of each file beside it, and nothing is opened here that is not what its record says.
What was opened is noted, to stand in the reader's own record under `inputs`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path

from fmrsflow.errors import Damaged, DataError, Pruned
from fmrsflow.files import (
    NoFile,
    file_digest,
    json_bytes,
    plain,
    read_regular,
    write_bytes,
    write_parts,
)
from fmrsflow.study import Item, Study
from fmrsflow.tables import Columns, Row, columns_of, data_dictionary, parse_table, table_bytes

GZIP = 16 + zlib.MAX_WBITS
"""What zlib calls a gzip stream; it has no time stamp."""

DIGEST = "digest"
"""Key of a record that holds the digest of all its other keys."""


@dataclass
class Output:
    """What one job of a stage left: its record, and the files that the record names.

    A file is named by what follows its scan and stage: `svs.nii.gz`, `figures/forest.png`.

    Attributes
    ----------
    stage : str
        Whose tables they are (`tables/<stage>.py`).
    results : Path
        Folder of all outputs; names of inputs are relative to it.
    record_path : Path
    prefix : str
        What the names of its files begin with: `sub-.._desc-fit_`, `<site>_desc-basis_`, or "".
    inputs : dict
        Name -> digest of every file that was opened, its record among them; shared by the outputs
        that one reader opens.
    made_for : (dict, Item) or None
        Named settings and item, of an output of a scan, response unit or site.
    pruned : callable
        Names below the results of its files that `fmrsflow prune` has deleted.
    entities : dict, optional
        Site and BIDS entities of whose record it must be.

    Raises
    ------
    Damaged
        By every method that reads: the record or file is missing, damaged or was edited.
    Pruned
        The file was deleted by `fmrsflow prune`.
    FileNotFoundError
        The stage has not run (see `exists`), or did not write that file (see `has`).
    """

    stage: str
    results: Path
    record_path: Path
    prefix: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    made_for: tuple[dict[str, str], Item] | None = None
    pruned: Callable[[], Collection[str]] = tuple
    entities: dict[str, str] | None = None
    _damage: dict[tuple[str, ...], str] = field(default_factory=dict, repr=False)

    @property
    def exists(self) -> bool:
        """Whether the stage has run: it left a record."""
        return self.record_path.exists()

    @cached_property
    def record(self) -> dict:
        """The record, checked against its own digest."""
        try:
            content = read_regular(self.record_path)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.record_path} is not there: {self.stage} has not run, or ended in a fault"
            ) from None
        except NoFile as error:
            raise Damaged(f"{self.record_path}: {error.strerror}; delete it, run again") from None
        record = parse_record(content, self.record_path)
        if self.entities is not None and record.get("scan", self.entities) != self.entities:
            raise Damaged(
                f"{self.record_path} is the record of another scan, copied or renamed; delete it "
                "and run again"
            )
        self._note(self.record_path, hashlib.sha256(content).hexdigest())
        return record

    def damage(self, *files: str) -> str:
        """Why the record or one of these files cannot be believed; "" where all are whole. Files
        that the stage did not write are none."""
        if files not in self._damage:
            self._damage[files] = self._damage_of(files)
        return self._damage[files]

    def _damage_of(self, files: Iterable[str]) -> str:
        try:
            written = self.names
            for what in files:
                if what in written:
                    self.path(what)
        except (Damaged, OSError) as error:
            return str(error)
        return ""

    @property
    def names(self) -> list[str]:
        """Files that the stage wrote, without the prefix."""
        return [name.removeprefix(self.prefix) for name in self.record["files"]]

    def has(self, what: str) -> bool:
        """Whether the stage wrote that file."""
        return self.prefix + what in self.record["files"]

    def place(self, what: str) -> Path:
        """Where a file lies, for a link to it; nothing is checked."""
        return self.record_path.parent / f"{self.prefix}{what}"

    def path(self, what: str) -> Path:
        """Path of a file, to be opened by whoever cannot read bytes."""
        path, digest = self.place(what), self._digest(what)
        try:
            found = file_digest(path)
        except (FileNotFoundError, NoFile):
            found = None
        return self._checked(path, found, digest)

    def content(self, what: str) -> bytes:
        """Bytes of a file: a picture, or a file that is passed on as it is."""
        path, digest = self.place(what), self._digest(what)
        try:
            content = read_regular(path)
        except (FileNotFoundError, NoFile):
            content = None
        found = None if content is None else hashlib.sha256(content).hexdigest()
        self._checked(path, found, digest)
        return content

    def table(self, what: str) -> list[Row]:
        """Rows of a table, each cell as the kind of its column."""
        content, path = self.content(f"{what}.tsv"), self.place(f"{what}.tsv")
        try:
            return parse_table(content, columns_of(self.stage, what), str(path))
        except DataError as error:
            raise Damaged(f"{error}; delete {self.record_path} and run again") from None

    def arrays(self, what: str, names: Iterable[str] | None = None) -> dict:
        """Arrays of an NPZ, all or those named."""
        import numpy as np

        with np.load(io.BytesIO(self.content(f"{what}.npz")), allow_pickle=False) as content:
            return {name: content[name] for name in names or content}

    def json(self, what: str) -> dict:
        """A JSON file: a sidecar, or the dictionary of a table."""
        return json.loads(self.content(f"{what}.json"))

    def image(self, what: str):
        """A NIfTI image."""
        import nibabel as nib

        return nib.load(self.path(f"{what}.nii.gz"))

    def fids(self, what: str):
        """FIDs of a NIfTI-MRS file."""
        from fmrsflow.fids import from_nifti

        return from_nifti(self.image(what))

    def basis(self, what: str = "basis"):
        """A basis set of a site."""
        return _basis(self.path(f"{what}.npz"), self._digest(f"{what}.npz"))

    def _digest(self, what: str) -> str:
        if not self.has(what):
            raise FileNotFoundError(f"{self.stage} did not write {self.place(what).name}")
        return self.record["files"][self.prefix + what]

    def _checked(self, path: Path, found: str | None, digest: str) -> Path:
        if found is None and str(path.relative_to(self.results)) in self.pruned():
            raise Pruned(path, self)
        if found != digest:
            what = "missing" if found is None else "not what was written (damaged or replaced)"
            raise Damaged(f"{path} is {what}; delete {self.record_path} and run again")
        self._note(path, digest)
        return path

    def _note(self, path: Path, digest: str) -> None:
        self.inputs[str(path.relative_to(self.results))] = digest


class Results:
    """What a reader opens of a study's results; `inputs` tells all of it (name -> digest)."""

    def __init__(self, study: Study):
        self.study = study
        self.inputs: dict[str, str] = {}
        self._opened: dict[Path, Output] = {}

    @classmethod
    def below(cls, folder: Path) -> Results:
        """The results of a run in a folder, wherever that has been moved since."""
        study = Study.load(folder / "study.json")
        return cls(replace(study, config={**study.config, "results": str(folder)}))

    def of(self, stage: str, names: dict[str, str], item: Item) -> Output:
        """Output of a stage for a scan, a response unit or a site (basis) under named settings."""
        path = self.study.record_path(stage, names, item)
        output = self._output(stage, path, path.name.removesuffix("record.json"), item.entities)
        output.made_for = (names, item)

        def pruned() -> Collection[str]:
            """From the manifest of the job that made it (manifests.py, which stands on this)."""
            try:
                job = self.study.job_of(stage, item.key)
                manifest = json.loads(self.study.manifest_path(stage, names, job).read_bytes())
                return manifest["entries"][item.key].get("pruned", ())
            except (OSError, ValueError, KeyError):
                return ()

        output.pruned = pruned
        return output

    def group(self, stage: str, analysis: str) -> Output:
        """What a stage (`sites`, `bold`, `report`) left of a whole analysis."""
        return self._output(stage, self.study.results / analysis / stage / "record.json")

    def multiverse(self) -> Output:
        """What the sites stage left over all analyses."""
        return self._output("sites", self.study.results / "multiverse" / "record.json")

    def release(self) -> None:
        """Forget what was opened of single scans and sites (not that it was, `inputs`), where a
        reader goes over thousands of them: a record takes ten times its bytes."""
        self._opened = {path: one for path, one in self._opened.items() if not one.prefix}

    def _output(
        self, stage: str, path: Path, prefix: str = "", entities: dict[str, str] | None = None
    ) -> Output:
        if path not in self._opened:
            self._opened[path] = Output(
                stage, self.study.results, path, prefix, self.inputs, entities=entities
            )
        return self._opened[path]


class Writer:
    """Writes the files of one job, and last of all the record that names them.

    Attributes
    ----------
    files : dict
        Name of a file beside the record -> digest.
    """

    def __init__(
        self, output: Output, software: dict, inputs: dict[str, str], started: str | None = None
    ):
        self.output, self.software, self.inputs = output, software, inputs
        self.files: dict[str, str] = {}
        self.started = started or now()

    def save(self, what: str, content, columns: Columns | None = None) -> Path:
        """Write a file, atomically; its kind and ending follow from the content.

        FIDs and nibabel images become NIfTI, a list of rows TSV with its data dictionary
        (`columns`), a dict of arrays NPZ, another dict JSON, a figure PNG; bytes stay what they
        are, under the whole name.
        """
        ending, encoded = _encode(content, columns)
        path = self._write(what + ending, encoded)
        if columns:
            self._write(f"{what}.json", json_bytes(data_dictionary(columns)))
        return path

    def save_parts(self, what: str, parts: Iterable[list[Row]], columns: Columns) -> None:
        """Write a table that need not fit into memory, part by part: the same bytes as `save` of
        all its rows."""
        path, digest = self.output.place(f"{what}.tsv"), hashlib.sha256()
        header = table_bytes([], columns)

        def contents() -> Iterator[bytes]:
            """The table, digested on its way."""
            for part in chain(
                [header], (table_bytes(rows, columns)[len(header) :] for rows in parts)
            ):
                digest.update(part)
                yield part

        write_parts(path, contents())
        self.files[f"{self.output.prefix}{what}.tsv"] = digest.hexdigest()
        self._write(f"{what}.json", json_bytes(data_dictionary(columns)))

    def finish(self, head: dict, body: dict) -> None:
        """Write the record: `head`, files, inputs, times and software, `body`."""
        record = {
            **head,
            "files": self.files,
            "inputs": dict(sorted(self.inputs.items())),
            "startedAtTime": self.started,
            "endedAtTime": now(),
            "GeneratedBy": [self._made_by()] if self.software else [],
            **body,
        }
        write_bytes(self.output.record_path, record_bytes(record))

    def _made_by(self) -> dict:
        """The software, and of its stages the digest of this one's code."""
        made = {key: one for key, one in self.software.items() if key != "Stages"}
        own = self.software.get("Stages", {}).get(self.output.stage)
        return made | ({"StageDigest": own} if own else {})

    def _write(self, what: str, content: bytes) -> Path:
        path = self.output.place(what)
        write_bytes(path, content)
        self.files[self.output.prefix + what] = hashlib.sha256(content).hexdigest()
        return path


def as_written(path: Path) -> Path:
    """A file that somebody names, checked by the record of its stage where that lies beside it.

    Raises
    ------
    Damaged
        It is not what was written.
    """
    named = re.fullmatch(r"(.*_desc-[a-z]+_)(.*)", path.name)
    if named:
        prefix, what = named.groups()
        output = Output("", path.parent, path.with_name(f"{prefix}record.json"), prefix)
        if output.exists and output.has(what):
            return output.path(what)
    return path


@lru_cache(maxsize=1)
def _basis(path: Path, digest: str):
    """A basis set, read once for the scans of a site."""
    from fmrsflow.basis.files import read_npz

    return read_npz(path)


def parse_record(content: bytes, name: str | Path) -> dict:
    """A record, checked against its own digest.

    Raises
    ------
    Damaged
        No JSON, or not what was written.
    """
    try:
        record = json.loads(content)
        whole = isinstance(record, dict) and _sealed(record) == record
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        whole = False
    if not whole:
        raise Damaged(
            f"{name} is damaged or was edited: it is not what the stage wrote; delete it and run "
            "again"
        )
    return record


def read_record(path: Path) -> dict:
    """A record of whatever stage, checked as `parse_record` does."""
    try:
        return parse_record(read_regular(path), path)
    except NoFile as error:
        raise Damaged(f"{path}: {error.strerror}; delete it and run again") from None


def record_bytes(record: dict) -> bytes:
    """A record as it is written, with the digest of its content as its last key."""
    return json_bytes(_sealed(plain(record)))


def now() -> str:
    """UTC time to the second, for records (never for tables)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sealed(record: dict) -> dict:
    content = {key: value for key, value in record.items() if key != DIGEST}
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return {**content, DIGEST: hashlib.sha256(text.encode()).hexdigest()}


def _encode(content, columns: Columns | None) -> tuple[str, bytes]:
    if isinstance(content, bytes):
        return "", content
    if isinstance(content, list):
        return ".tsv", table_bytes(content, columns)
    if isinstance(content, dict):
        if content and all(hasattr(value, "dtype") for value in content.values()):
            import numpy as np

            buffer = io.BytesIO()
            np.savez_compressed(buffer, **content)
            return ".npz", buffer.getvalue()
        return ".json", json_bytes(content)
    if hasattr(content, "savefig"):
        buffer = io.BytesIO()
        content.savefig(
            buffer,
            format="png",
            dpi=110,
            metadata={"Software": None},
            # Half the time of level 6 for a tenth more.
            pil_kwargs={"compress_level": 3},
        )
        return ".png", buffer.getvalue()
    if hasattr(content, "dwell_s"):
        from fmrsflow.fids import to_nifti

        # Float noise repeats nothing: Huffman codes alone take less than half the time, and space.
        return ".nii.gz", _gzip(to_nifti(content).to_bytes(), zlib.Z_HUFFMAN_ONLY)
    # Most of a map is one value: runs alone take less time and space than other repetitions.
    return ".nii.gz", _gzip(content.to_bytes(), zlib.Z_RLE)


def _gzip(content: bytes, strategy: int) -> bytes:
    """A gzip file without a time stamp, so that the same bytes come out."""
    coder = zlib.compressobj(1, zlib.DEFLATED, GZIP, zlib.DEF_MEM_LEVEL, strategy)
    return coder.compress(content) + coder.flush()

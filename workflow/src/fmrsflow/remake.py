"""Files that `fmrsflow prune` deleted, made again when they are read.

The record of a stage holds the digest of each file, and a stage gives the same bytes from the same
input. So a pruned file is made by the stage that made it before, from its own input (pruned too,
perhaps), and taken only if it has that digest; the record stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

from fmrsflow.edge import Job
from fmrsflow.errors import Damaged, DataError, Pruned
from fmrsflow.files import write_bytes
from fmrsflow.results import Output, Writer
from fmrsflow.study import STAGE_SETTINGS, Study


def with_pruned(study: Study, read: Callable[[], object]):
    """What `read` gives, with every pruned file that it asks for made again first."""
    while True:
        try:
            return read()
        except Pruned as gone:
            make_again(study, gone.output)


def make_again(study: Study, output: Output) -> None:
    """Make the pruned files of an output.

    Raises
    ------
    Damaged
        They cannot be made, or are not what they were: program or input have changed.
    """
    names, item = output.made_for
    stage, record = output.stage, output.record
    # By a way that the digest of code does not follow (definitions.py): what another stage does
    # counts in its own digest, and its files are taken by theirs.
    process = resolve_name(f"fmrsflow.stages.{stage}:process")

    def run() -> None:
        """The stage as it ran; its files alone are wanted."""
        job = Job(stage, study, item, {key: names[key] for key in STAGE_SETTINGS[stage]})
        job.writer = _Again(job.results.of(stage, job.names, item), record["files"])
        process(job)

    try:
        with_pruned(study, run)
    except Damaged:
        raise
    except DataError as error:
        raise _other(output, output.record_path, f"cannot be made again ({error})") from None
    for what in output.names:
        if not output.place(what).exists():
            raise _other(output, output.place(what), "was not made again")


class _Again(Writer):
    """Writes the missing files of an output, and only as they were."""

    def __init__(self, output: Output, digests: dict[str, str]):
        super().__init__(output, {}, {})
        self._digests = digests

    def _write(self, what: str, content: bytes) -> Path:
        path, name = self.output.place(what), self.output.prefix + what
        if self._digests.get(name) != hashlib.sha256(content).hexdigest():
            raise _other(self.output, path, "is made in another way than before it was pruned")
        if not path.exists():
            write_bytes(path, content)
        self.files[name] = self._digests[name]
        return path


def _other(output: Output, path: Path, what: str) -> Damaged:
    return Damaged(
        f"{path} {what}: program or data have changed; delete {output.record_path} and run again"
    )

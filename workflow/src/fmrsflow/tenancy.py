"""Whose a folder of results is: of one run at a time, and of one study.

Snakemake locks the folder that it was started in and knows its own results by what it keeps there.
Two studies that write into one folder from two places, or a folder that was copied into another
study, it cannot tell apart: where people have the same labels, the results of one would be taken
for those of the other.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from fmrsflow import manifests
from fmrsflow.errors import DataError, Unwritable
from fmrsflow.files import file_digest, text_of, write_bytes
from fmrsflow.results import read_record
from fmrsflow.source_names import SourcePaths
from fmrsflow.study import Scan, Study

LOCK = ".lock"
ORIGIN = ".origin"
"""Digest of the data root's path; no path stands in results, which are passed on."""


_HELD: set[str] = set()
"""Folders that this process has locked."""


class Occupied(DataError):
    """Another run writes into these results, or they are another study's."""


def lock(results: Path) -> None:
    """Hold a folder of results until this process ends, however it does; a file system that knows
    no locks gives none.

    Raises
    ------
    Occupied
        Another run has it.
    Unwritable
        The lock cannot be written.
    """
    if (place := os.path.realpath(results)) in _HELD:
        return  # a workflow that takes these rules as a module reads them several times
    try:
        results.mkdir(parents=True, exist_ok=True)
        handle = os.open(results / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise Unwritable(results / LOCK, error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Occupied(
            f"another run writes into {results}; wait for its end, or name another folder "
            "(config.yaml: results)"
        ) from None
    except OSError:
        os.close(handle)  # no locks here (some network file systems)
        return
    _HELD.add(place)


def check_origin(study: Study) -> None:
    """That results which are there were made of this study's data.

    Only where they were made of another data root, by its path, are files compared: a study may be
    moved, with or without the times of its files.

    Raises
    ------
    Occupied
        A measurement of the same labels is another one.
    """
    if _known(study):
        return
    for scan, name in _foreign(study):
        raise Occupied(
            f"{study.results} holds results of another study: {name}, from which those of "
            f"{scan.key} were made, is another file here; name another folder (config.yaml: "
            "results), or delete the old results"
        )


def settle(study: Study) -> None:
    """Note that these results are of this study's data."""
    if not _known(study):
        write_bytes(study.results / ORIGIN, f"{_origin(study)}\n".encode())


def _known(study: Study) -> bool:
    try:
        return text_of(study.results / ORIGIN).strip() == _origin(study)
    except (OSError, ValueError):
        return False


def _origin(study: Study) -> str:
    return hashlib.sha256(os.path.realpath(study.data_root).encode()).hexdigest()


def _foreign(study: Study) -> Iterator[tuple[Scan, str]]:
    """Scans whose record was made from another file of the name that the sheet has for them."""
    paths = SourcePaths(study, study.data_root)
    for job, scans in study.jobs("convert").items():
        manifest = manifests.read(study.manifest_path("convert", {}, job))
        for scan in scans:
            entry = manifest.entries.get(scan.key) if manifest else None
            path = study.record_path("convert", {}, scan)
            if entry is None and not path.exists():
                continue
            if entry and _alike(study, entry.sources):
                continue
            try:
                digests = read_record(path).get("sources", {})
            except (DataError, OSError):
                continue  # made anew
            for name, digest in digests.items():
                source = paths(scan.site, name)
                if os.path.isfile(source) and file_digest(source) != digest:
                    yield scan, name
                    break


def _alike(study: Study, sources: dict[str, manifests.State]) -> bool:
    """Whether files have the size and time that they had."""
    return bool(sources) and all(
        manifests.state(study.data_root / name)[:2] == state[:2] for name, state in sources.items()
    )

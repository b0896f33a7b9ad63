"""Files written whole or not at all, JSON, and digests."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from fmrsflow.errors import Unwritable


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: str | Path) -> dict:
    """Read a JSON file of the user, or one that is no result (edition, sidecar of an input)."""
    return json.loads(Path(path).read_text())


def write_json(path: str | Path, content: dict) -> None:
    """Write JSON, atomically."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: dict) -> bytes:
    """JSON text of plain values and arrays; numbers that JSON does not know become null."""
    return (json.dumps(plain(content), indent=1, allow_nan=False) + "\n").encode()


def plain(value):
    """Python's own types; numbers that JSON does not know become None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all (temporary name in its folder, then rename).

    Raises
    ------
    Unwritable
        Disk full, read-only, no leave to write.
    """
    write_parts(path, (content,))


def write_parts(path: str | Path, parts: Iterable[bytes]) -> None:
    """The same of a content that comes in parts; what fails while they are made is raised as it
    is."""
    path = Path(path)
    try:
        _replace(path, _made(parts))
    except _NotMade as failure:
        raise failure.error from None
    except OSError as error:
        raise Unwritable(path, error) from error


class _NotMade(Exception):
    """An error of what makes the content, not of the file."""

    def __init__(self, error: OSError):
        super().__init__(str(error))
        self.error = error


def _made(parts: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from parts
    except OSError as error:
        raise _NotMade(error) from error


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""Files written whole or not at all, JSON, and digests."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from fmrsflow.errors import Unwritable


class NoFile(OSError):
    """A folder, a pipe or a device stands where a file is needed."""


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_of(path: str | Path) -> str:
    """A text file in UTF-8, whatever the locale; with or without a byte order mark."""
    return read_regular(path).decode("utf-8-sig")


def read_regular(path: str | Path) -> bytes:
    """Content of a file that is one: a folder has none, and a pipe may never end.

    Raises
    ------
    OSError
        It cannot be read, or is none.
    """
    with open_regular(path) as file:
        return file.read()


def open_regular(path: str | Path) -> BinaryIO:
    """A file opened to read; OSError where it is a folder, a pipe or a device."""
    # Without O_NONBLOCK this waits for somebody who writes into a pipe.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NoFile(errno.EINVAL, "it is a folder, a pipe or a device, not a file", str(path))
    return os.fdopen(handle, "rb")


def read_json(path: str | Path) -> dict:
    """Read a JSON file of the user, or one that is no result (edition, sidecar of an input).

    Raises
    ------
    ValueError
        No JSON, or nested without end.
    """
    try:
        return json.loads(text_of(path))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


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

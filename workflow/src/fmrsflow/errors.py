"""Exceptions by what they mean: these data, this machine, this command line; every other exception
is a fault of the program."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from fmrsflow.words import nearest


class DataError(ValueError):
    """Data that cannot be processed as they are.

    The message says what is wrong, with the value and the limit, and what to do.
    A stage turns it into ``status: failed`` for that scan and goes on; every other
    exception is a fault of the machine or of the program.
    """


class Damaged(DataError):
    """A file of our own results is missing, damaged or was edited: no property of the data, so a
    scan that meets one ends in a fault and is done again once the file is made anew."""


class Unreachable(DataError):
    """An input, or a program that the settings name, cannot be had now: it is not there, a link
    leads elsewhere, or its permissions forbid to read it.

    A failure of that scan, but none of the content of a file, so that it must not stick: `paths`
    are the files or folders one of which has to change before it is worth another try.
    """

    def __init__(self, message: str, *paths: str | Path):
        super().__init__(message)
        self.paths = tuple(str(path) for path in paths)


class MachineFault(OSError):
    """The machine, not the data: disk full, memory exhausted, a process killed, a time limit
    reached while a good file passes.

    Nothing is recorded of the scan, so that the same command does it again. The message is one line
    and says what to do.
    """


class Unwritable(MachineFault):
    """An output cannot be written: disk full, no leave to write, read-only."""

    def __init__(self, path, error: OSError):
        mend = "make room or get leave to write there"
        if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.ENOTDIR, errno.EEXIST):
            mend = "a folder or file stands in its way: delete that"
        super().__init__(
            f"{path} cannot be written ({error.strerror or error}); {mend}, then run the same "
            "command again"
        )


class Pruned(Exception):
    """A file of our own results was deleted by `fmrsflow prune`. No failure of anything: whoever
    reads it has its stage make it again (`remake.make_again`).

    Attributes
    ----------
    output : results.Output
        Of the stage that made it.
    """

    def __init__(self, path, output):
        super().__init__(f"{path} was pruned; `fmrsflow {output.stage}` makes it again")
        self.output = output


class UsageError(Exception):
    """The command line names something that does not exist; the message says what does."""


_REMEDIES = {
    "make room on the disk": ("ENOSPC", "EDQUOT", "EFBIG"),
    "give the job more memory": ("ENOMEM",),
    "raise the limits of processes and open files (ulimit)": ("EAGAIN", "EMFILE", "ENFILE"),
    "get leave to write there": ("EROFS",),
    "look after the disk or the network": (
        *("EIO", "ESTALE", "ETIMEDOUT", "ENOLCK", "EBUSY", "ENODEV", "ENXIO"),
        *("EREMOTEIO", "EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "ESHUTDOWN"),
    ),
}

_MACHINE = {
    getattr(errno, name): remedy
    for remedy, names in _REMEDIES.items()
    for name in names
    if hasattr(errno, name)
}
"""Numbers of errors that no content of a file can cause, and what to do."""

_UNREACHABLE = {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def machine_fault(error: BaseException, doing: str = "") -> MachineFault | None:
    """The fault of the machine that an exception stands for; None where it is none.

    Parameters
    ----------
    error
        A MemoryError, or an OSError whose number no content of a file can cause.
    doing : str
        What was being done, for the message.
    """
    if isinstance(error, MachineFault):
        return error
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    elif isinstance(error, OSError) and error.errno in _MACHINE:
        number = error.errno
    else:
        return None
    # Without the error's file name: scanners name files after the person.
    return MachineFault(
        f"{f'{doing}: ' if doing else ''}{os.strerror(number)}; {_MACHINE[number]}, then run the "
        "same command again"
    )


def reading_failed(
    path: str | Path, error: BaseException, reason: str, name: str = ""
) -> Exception:
    """What to raise where an input file could not be read: a fault of the machine, a file that is
    out of reach, or a DataError of that `reason`. `name` stands for the file in messages where its
    own may name a person."""
    name = name or Path(path).name
    if fault := machine_fault(error, f"{name} cannot be read"):
        return fault
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return Unreachable(
            f"{name} cannot be read now ({os.strerror(error.errno)}); mend the path, the link or "
            "the permissions",
            path,
        )
    return DataError(reason)


def unknown(what: str, name: str, there: Iterable[str]) -> UsageError:
    """The error for a name that does not exist: the nearest one, and what there is.

    >>> print(unknown("analysis", "mian", ["main", "strict"]))
    there is no analysis 'mian'; did you mean 'main'? (there are main, strict)
    """
    return UsageError(f"there is no {what} {name!r}{nearest(name, there)}")

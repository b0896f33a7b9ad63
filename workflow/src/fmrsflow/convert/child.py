"""spec2nii and dcm2niix as children with limits of time and memory, and how they ended.

spec2nii is a program for the command line, which prints, exits and may not end on a damaged file; a
fork spares its start of a second for each file. dcm2niix is a program of its own, which starts in
milliseconds.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from fmrsflow.convert.parts import load_parts
from fmrsflow.errors import MachineFault, machine_fault

MOST_MEMORY = 16 << 30
"""Address space (bytes) that the child may take: a damaged header may ask for any amount."""

_NOT_LOADED = (
    "a library of spec2nii cannot be loaded: too little memory or a broken installation; "
    "mend that, then run the same command again"
)

_NOT_STARTED = (
    "dcm2niix cannot be started: too little memory or a broken installation; "
    "mend that, then run the same command again"
)

_REFUSED = 255
"""Exit code of an exception that may lie in the file; smaller ones are numbers of errors."""

_NO_LIMIT = 254
"""Exit code where the limit of memory could not be set."""

_NO_IMPORT = 253
"""Exit code where a library of the converter could not be loaded, for want of memory or at all."""

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
"""Signals that a program sends itself; every other one comes from outside."""


@dataclass(frozen=True)
class Ended:
    """How the converter ended, where no fault of the machine is certain.

    Attributes
    ----------
    said : str
        What it printed.
    refused : bool
        It raised an exception of its own.
    limit : str
        The limit or crash that ended it, in words; "" where there was none.
    """

    said: str = ""
    refused: bool = False
    limit: str = ""


def run_spec2nii(arguments: list[str], said: Path, time_limit_s: float) -> Ended:
    """Run spec2nii with these arguments of its command line; what it prints goes to `said`.

    Raises
    ------
    MachineFault
        No child, no limit of memory, a signal from outside, a full disk or another error that no
        content of a file can cause, or memory that ended at a limit lower than ours.
    """
    try:
        load_parts(arguments[0])  # before the fork, once for all files
    except (ImportError, MemoryError, OSError) as error:
        raise MachineFault(_NOT_LOADED) from error
    child = multiprocessing.get_context("fork").Process(target=_child, args=(arguments, said))
    try:
        child.start()
    except OSError as error:
        raise machine_fault(error, "spec2nii cannot be started") or error from None
    child.join(time_limit_s)
    if child.is_alive():
        child.kill()
        child.join()
        return Ended(_text(said), limit=f"did not end within {time_limit_s:g} s")
    return _judged(child.exitcode, _text(said))


def run_dcm2niix(file: Path, out: Path, said: Path, time_limit_s: float) -> Ended:
    """Run dcm2niix on one DICOM file: `scan.nii` in the folder `out`, and `scan_mrsref.nii` where
    the file holds a water reference too.

    No defaults of the user's home, no sidecar (its header extension holds what is used), no
    suffixes of the name.

    Raises
    ------
    MachineFault
        It cannot be started, no limit of memory, or a signal from outside.
    """
    import dcm2niix

    options = ["-g", "i", "-b", "n", "-z", "n", "--terse", "-s", "y", "-f", "scan", "-o", str(out)]
    try:
        with said.open("w") as file_said:
            done = subprocess.run(
                [dcm2niix.bin, *options, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=file_said,
                stderr=subprocess.STDOUT,
                env={"HOME": str(out), "LC_ALL": "C", "TZ": "UTC"},
                preexec_fn=_limit_memory,
                timeout=time_limit_s,
            )
    except subprocess.TimeoutExpired:
        return Ended(_text(said), limit=f"did not end within {time_limit_s:g} s")
    except subprocess.SubprocessError:
        raise MachineFault(_no_limit("dcm2niix")) from None
    except OSError as error:
        raise machine_fault(error, "dcm2niix cannot be started") or MachineFault(
            _NOT_STARTED
        ) from None
    if done.returncode < 0:
        return _stopped(-done.returncode, _text(said), "dcm2niix")
    return Ended(_text(said), refused=done.returncode != 0)


def _stopped(number: int, said: str, program: str) -> Ended:
    """What the signal means that ended a program."""
    name = signal.Signals(number).name
    if number in _CRASHES:
        return Ended(said, limit=f"crashed ({name})")
    raise MachineFault(
        f"{program} was killed from outside ({name}): by a limit of time or memory of the "
        "machine, or by hand; give the job more, then run the same command again"
    )


def _no_limit(program: str) -> str:
    return f"no limit of memory can be set for {program} (setrlimit failed); see ulimit"


def _judged(code: int, said: str) -> Ended:
    """What the exit code of the child means; negative: minus the number of a signal."""
    if code < 0:
        return _stopped(-code, said, "spec2nii")
    if code == _NO_LIMIT:
        raise MachineFault(_no_limit("spec2nii"))
    if code == _NO_IMPORT:
        raise MachineFault(_NOT_LOADED)
    if code == errno.ENOMEM and _own_limit():
        return Ended(said, limit=f"asked for more than {MOST_MEMORY >> 30} GB of memory")
    if code and (fault := machine_fault(OSError(code, ""), "spec2nii")):
        raise fault
    return Ended(said, refused=code != 0)


def _own_limit() -> bool:
    """Whether our limit of memory is the one that holds, not a lower one of the machine."""
    return _memory_limit() == MOST_MEMORY


def _memory_limit() -> int:
    given = [one for one in resource.getrlimit(resource.RLIMIT_AS) if one != resource.RLIM_INFINITY]
    return min([MOST_MEMORY, *given])


def _limit_memory() -> None:
    limit = _memory_limit()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _child(arguments: list[str], said: Path) -> None:
    from spec2nii.spec2nii import main

    try:
        _limit_memory()
    except (OSError, ValueError):
        sys.exit(_NO_LIMIT)
    try:
        with said.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file
            sys.argv = ["spec2nii", *arguments]
            code = _exit_code(main)
    except OSError as error:  # what it printed found no room
        code = error.errno or _REFUSED
    # At once: exit handlers are those of the parent, and `file` is closed.
    os._exit(code)


def _exit_code(main) -> int:
    """Run the converter; 0, the number of an error of the machine, or one of the codes above."""
    try:
        main()
        sys.stdout.flush()
    except SystemExit as ended:
        return _REFUSED if ended.code else 0
    except BaseException as error:
        code = _number_of(error)
        if code != errno.ENOMEM:  # a traceback needs memory too
            traceback.print_exc()
        return code
    return 0


def _number_of(error: BaseException | None) -> int:
    """Exit code for an exception: the number of the machine's error that it is or came from."""
    while error is not None:
        if isinstance(error, MemoryError):
            return errno.ENOMEM
        if isinstance(error, ImportError):
            return _NO_IMPORT
        if isinstance(error, OSError) and machine_fault(error):
            return error.errno
        error = error.__cause__ or error.__context__
    return _REFUSED


def _text(said: Path) -> str:
    return said.read_text(errors="replace") if said.exists() else ""

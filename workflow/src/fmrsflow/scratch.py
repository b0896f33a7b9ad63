"""Folders for temporary files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmrsflow.errors import MachineFault, machine_fault


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for temporary files (below TMPDIR), removed afterwards.

    Raises
    ------
    MachineFault
        None can be made, or a file in it found no room.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="fmrsflow-", ignore_cleanup_errors=True)
    except OSError as error:
        raise machine_fault(error, "temporary files") or MachineFault(
            f"no folder for temporary files can be made ({error.strerror}); make room or set "
            "TMPDIR, then run the same command again"
        ) from None
    with folder as name:
        try:
            yield Path(name)
        except OSError as error:
            if fault := machine_fault(error, "temporary files"):
                raise fault from None
            raise

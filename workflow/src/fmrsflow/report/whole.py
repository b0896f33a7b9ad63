"""What a stage left of a whole analysis, read so that a damaged file costs no page."""

from __future__ import annotations

from collections.abc import Callable

from fmrsflow.errors import Damaged
from fmrsflow.results import Output
from fmrsflow.tables import Row


class Whole:
    """Files of an output that are whole; what is damaged is missing, and listed.

    Attributes
    ----------
    record : dict
        Empty where the stage has not run or its record is damaged.
    damaged : list of str
        What is wrong with each damaged file and what to do, in the order of reading.
    """

    def __init__(self, output: Output):
        self._output, self.damaged = output, []
        self.record: dict = self._read(lambda: output.record, {}) if output.exists else {}
        self.names: list[str] = sorted(output.names) if self.record else []

    def table(self, name: str) -> list[Row]:
        """Rows of a table; none where it is damaged or was not written."""
        there = f"{name}.tsv" in self.names
        return self._read(lambda: self._output.table(name), []) if there else []

    def content(self, name: str) -> bytes | None:
        """Bytes of a file; None where it is damaged."""
        return self._read(lambda: self._output.content(name), None)

    def problems(self) -> list[Row]:
        """The damage as rows of problems.tsv."""
        told = {"stage": self._output.stage, "kind": "fault", "site": "", "item": "all scans"}
        return [{**told, "text": text} for text in self.damaged]

    def _read(self, read: Callable, missing):
        try:
            return read()
        except (Damaged, OSError) as damage:
            self.damaged.append(str(damage))
            return missing

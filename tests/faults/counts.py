"""What a series of faults did: the numbers, and each fault that did harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault: what was done, what came of it, whether that is what the docs promise."""

    what: str
    outcome: str
    harmless: bool
    note: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.outcome}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True)
class Counts:
    """Counts over a series of faults.

    Attributes
    ----------
    faults : tuple of Fault
        In the order in which they were made.
    """

    faults: tuple[Fault, ...]

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Counts:
        """Counts of faults as they come."""
        return cls(tuple(faults))

    @property
    def tried(self) -> int:
        """Number of faults made."""
        return len(self.faults)

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome -> number of faults, the commonest first."""
        return dict(Counter(fault.outcome for fault in self.faults).most_common())

    @property
    def harm(self) -> tuple[Fault, ...]:
        """Faults with an outcome that must not be."""
        return tuple(fault for fault in self.faults if not fault.harmless)

    def number(self, outcome: str) -> int:
        """Number of faults of that outcome."""
        return self.outcomes.get(outcome, 0)

    def __str__(self) -> str:
        lines = [f"{self.tried} faults, {len(self.harm)} did harm"]
        lines += [f"  {number:>4}  {outcome}" for outcome, number in self.outcomes.items()]
        lines += [f"  HARM: {fault}" for fault in self.harm]
        return "\n".join(lines)

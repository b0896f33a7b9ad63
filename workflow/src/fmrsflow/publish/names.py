"""What people, sessions and scans of a study are called in its published dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from fmrsflow.errors import DataError
from fmrsflow.study import Scan, Study

Person = tuple[str, str]
"""Site and subject of the sheets."""


@dataclass(frozen=True)
class Names:
    """Labels of a dataset.

    Attributes
    ----------
    subjects : dict
        Person -> label within the site: that of the sheet, or a number.
    sessions : dict
        (site, subject, session) -> label.
    several : bool
        Whether the dataset has several sites: BIDS has no entity for them, and a participant is
        then called after both.
    """

    subjects: dict[Person, str]
    sessions: dict[tuple[str, str, str], str]
    several: bool

    def participant(self, person: Person) -> str:
        """BIDS label of a person, without `sub-`."""
        return (person[0] if self.several else "") + self.subjects[person]

    def in_sheet(self, scan: Scan) -> Scan:
        """The scan by its published labels within the site, as a sheet has it.

        `run` is a number in BIDS; another label stands behind `acq`. Events need a task.
        """
        spoken = {} if scan.run.isdigit() else {"run": "", "acq": scan.acq + scan.run}
        return replace(
            scan,
            subject=self.subjects[scan.site, scan.subject],
            session=self.sessions[scan.site, scan.subject, scan.session],
            task=scan.task or ("task" if scan.events else ""),
            **spoken,
        )

    def in_bids(self, scan: Scan) -> Scan:
        """The same with the label of the participant: its `stem` is its BIDS name."""
        label = self.participant((scan.site, scan.subject))
        return replace(self.in_sheet(scan), subject=label)


def names_of(study: Study, relabel: bool = False) -> Names:
    """Names of a study's people and sessions.

    Parameters
    ----------
    relabel : bool
        Number people and their sessions instead; people in an order that is not that of their
        labels.

    Raises
    ------
    DataError
        Two people, or two scans, would have one name.
    """
    people = sorted({(scan.site, scan.subject) for scan in study.scans})
    sessions = sorted({(scan.site, scan.subject, scan.session) for scan in study.scans})
    names = Names(
        _numbered(people, _digest) if relabel else {person: person[1] for person in people},
        _numbered(sessions) if relabel else {session: session[2] for session in sessions},
        len({site for site, _ in people}) > 1,
    )
    _check_apart("people", ((names.participant(one), "/".join(one)) for one in people))
    stems = ((names.in_bids(scan).stem, scan.key) for scan in study.scans)
    _check_apart("scans", stems)
    return names


def _numbered(keys: Iterable[tuple[str, ...]], order: Callable | None = None) -> dict:
    """Numbers from 01 within all that stands before the last part; none for an empty one."""
    groups: dict[tuple, list] = {}
    for key in keys:
        groups.setdefault(key[:-1], []).append(key)
    found = {}
    for group in groups.values():
        width = max(2, len(str(len(group))))
        for number, key in enumerate(sorted(group, key=order), start=1):
            found[key] = f"{number:0{width}d}" if key[-1] else ""
    return found


def _digest(key: tuple[str, ...]) -> bytes:
    return hashlib.sha256("/".join(key).encode()).digest()


def _check_apart(what: str, called: Iterable[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    for name, own in called:
        other = first.setdefault(name.lower(), own)
        if other != own:
            raise DataError(
                f"{what} {other} and {own} would both be called {name}: rename one of them"
            )

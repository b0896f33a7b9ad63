"""participants.tsv of a published dataset."""

from __future__ import annotations

from collections.abc import Collection

from fmrsflow.participants import IDENTITY, OLDEST, person_columns
from fmrsflow.publish.names import Names, Person
from fmrsflow.study import Study
from fmrsflow.tables import Column, Columns, text

COLUMNS: Columns = {
    "participant_id": text("participant"),
    "site": text("site of the scanner"),
    "person": text("participant under whom the same person stands first, measured at more sites"),
}
"""What tells who is who; a column that nobody fills is left out."""

KNOWN: Columns = {
    "age": Column(f"age, completed years or a span of them; {OLDEST} for more", "year", "text"),
    "sex": text("F, M or O (other)"),
}
"""What columns of participants.tsv say; others are the study's own."""


def participants(study: Study, names: Names, given: Collection[Person]) -> list[dict]:
    """A row for each person who has scans in the dataset, with `subject`, the label within the
    site, beside the columns: those that the configuration names, and no others."""
    told = {(row["site"], row["subject"]): row for row in study.participants}
    first = _travellers(study, names, given)
    rows = []
    for person in sorted(given):
        own = told.get(person, {})
        rows.append(
            {
                "participant_id": f"sub-{names.participant(person)}",
                "site": person[0],
                "subject": names.subjects[person],
                "person": first.get(person, ""),
                **{name: own.get(name) or "" for name in _asked(study)},
            }
        )
    return rows


def _asked(study: Study) -> list[str]:
    return [one for one in person_columns(study.config["sites"]) if one not in IDENTITY]


def columns_of(rows: list[dict], study: Study, names: Names) -> Columns:
    """Columns of participants.tsv that hold something."""
    own = {one: KNOWN.get(one, text("as the study's sheet has it")) for one in _asked(study)}
    return {
        name: column
        for name, column in (COLUMNS | own).items()
        if (name != "site" or names.several) and any(row[name] not in (None, "") for row in rows)
    }


def _travellers(study: Study, names: Names, given: Collection[Person]) -> dict[Person, str]:
    """Person -> participant under whom the same person stands first; of those with several."""
    same: dict[str, set[Person]] = {}
    for scan in study.scans:
        if (scan.site, scan.subject) in given:
            same.setdefault(study.person(scan), set()).add((scan.site, scan.subject))
    return {
        person: f"sub-{names.participant(min(group))}"
        for group in same.values()
        if len(group) > 1
        for person in group
    }

"""participants.tsv of a published dataset."""

from __future__ import annotations

from collections.abc import Collection

from fmrsflow.publish.names import Names, Person
from fmrsflow.study import Study
from fmrsflow.tables import Columns, number, text

OLDEST = 89
"""Ages above are those of few people: nobody needs to know them (HIPAA, 45 CFR 164.514)."""

COLUMNS: Columns = {
    "participant_id": text("participant"),
    "site": text("site of the scanner"),
    "person": text("participant under whom the same person stands first, measured at more sites"),
    "age": number(f"age, completed years; {OLDEST} for more", "year"),
    "sex": text("F, M or O (other)"),
}
"""All that is told of people; a column that nobody fills is left out."""


def participants(study: Study, names: Names, given: Collection[Person]) -> list[dict]:
    """A row for each person who has scans in the dataset, with `subject`, the label within the
    site, beside the columns."""
    told = {(row["site"], row["subject"]): row for row in study.participants}
    first = _travellers(study, names, given)
    rows = []
    for person in sorted(given):
        own = told.get(person, {})
        age = own.get("age")
        rows.append(
            {
                "participant_id": f"sub-{names.participant(person)}",
                "site": person[0],
                "subject": names.subjects[person],
                "person": first.get(person, ""),
                "age": None if age is None else float(min(int(age), OLDEST)),
                "sex": own.get("sex") or "",
            }
        )
    return rows


def columns_of(rows: list[dict], names: Names) -> Columns:
    """Columns of participants.tsv that hold something."""
    return {
        name: column
        for name, column in COLUMNS.items()
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

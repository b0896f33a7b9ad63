"""participants.tsv of a published dataset."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fmrsflow.participants import IDENTITY, OLDEST, number_of, person_columns
from fmrsflow.publish.names import Names, Person
from fmrsflow.study import Study
from fmrsflow.tables import Columns, number, text

COLUMNS: Columns = {
    "participant_id": text("participant"),
    "site": text("site of the scanner"),
    "person": text("participant under whom the same person stands first, measured at more sites"),
    "age": number(f"age, completed years; {OLDEST} for more", "year"),
    "sex": text("F, M or O (other)"),
}
"""Columns that mean the same in every dataset."""

SPAN = "age_range"
"""What ages are called where some are spans: `age` holds numbers in BIDS."""


def told_columns(study: Study) -> tuple[str, ...]:
    """Columns that the settings of the section sites name: all that a study holds of people, ages
    in whole years (`participants.years`)."""
    return tuple(one for one in person_columns(study.config["sites"]) if one not in IDENTITY)


def participants(study: Study, names: Names, given: Collection[Person]) -> list[dict]:
    """A row for each person who has scans in the dataset: the participant, the labels by which the
    sheet knows the person, and the columns that the study holds, as text."""
    told = {(row["site"], row["subject"]): row for row in study.participants}
    first = _travellers(study, names, given)
    return [
        {
            "participant_id": f"sub-{names.participant(person)}",
            "site": person[0],
            "subject": names.subjects[person],
            "person": first.get(person, ""),
            **{one: told.get(person, {}).get(one) or "" for one in told_columns(study)},
        }
        for person in sorted(given)
    ]


def as_table(rows: list[dict], names: Names) -> tuple[list[dict], Columns]:
    """Rows and columns of the dataset's participants.tsv: those that hold something."""
    held = [
        one
        for one in rows[0]
        if one != "subject" and (one != "site" or names.several) and any(row[one] for row in rows)
    ]
    called = {
        one: SPAN if one == "age" and _spans(row[one] for row in rows) else one for one in held
    }
    table = [{called[one]: _cell(one, row[one], called) for one in held} for row in rows]
    known = COLUMNS | {SPAN: text("span of years that the age lies in, or the age")}
    return table, {
        name: known.get(name) or text(f"{name}, as the study has it") for name in called.values()
    }


def _spans(cells: Iterable[str]) -> bool:
    return any(cell and not cell.isdigit() for cell in cells)


def _cell(column: str, cell: str, called: dict[str, str]) -> str | float | None:
    return number_of(cell) if column == called[column] == "age" else cell


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

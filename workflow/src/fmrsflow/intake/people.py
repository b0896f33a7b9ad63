"""participants.tsv of a BIDS dataset as rows of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.intake.found import GUESS, LEFT, Note
from fmrsflow.participants import SEXES, subject_of, unit_other_than_years, years
from fmrsflow.tables import MISSING, read_table


def people(root: Path, subjects: Collection[str]) -> tuple[list[dict], list[Note]]:
    """Rows of participants.tsv, without site, for subjects that have scans; age and sex only."""
    sheet = root / "participants.tsv"
    if not sheet.is_file():
        return [], []
    try:
        rows = read_table(sheet)
    except (DataError, OSError) as error:
        return [], [Note(LEFT, str(sheet), f"cannot be read: {error}")]
    found, notes = [], []
    if unit := unit_other_than_years(root / "participants.json"):
        said = f"participants.json says ages in {unit[:20]}, not years: they are left out"
        notes.append(Note(LEFT, str(sheet), said))
    labels = [subject_of(row.get("participant_id", "")) for row in rows]
    times = Counter(labels)
    for subject, row in zip(labels, rows):
        if subject not in subjects:
            continue
        if times[subject] > 1:
            said = f"{times[subject]} people or rows have the label {subject}"
            notes.append(Note(LEFT, str(sheet), said))
            continue
        one = {"subject": subject}
        text = MISSING if unit else row.get("age", "").strip()
        age, said = (None, "") if text in ("", MISSING) else years(text)
        if age is not None:
            one["age"] = age
        if said:
            notes.append(Note(GUESS, str(sheet), f"sub-{subject}: {said}"))
        if sex := SEXES.get(row.get("sex", "").strip().lower()):
            one["sex"] = sex
        found.append(one)
    return found, list(dict.fromkeys(notes))

"""participants.tsv of a BIDS dataset as rows of ours."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.intake.found import GUESS, LEFT, Note
from fmrsflow.tables import MISSING, read_table

OLDEST = 89
"""Ages above are those of few people: nobody needs to know them (HIPAA, 45 CFR 164.514)."""

SEXES = {"m": "M", "male": "M", "f": "F", "female": "F", "o": "O", "other": "O"}


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
    labels = [
        re.sub(r"[^A-Za-z0-9]", "", row.get("participant_id", "").removeprefix("sub-"))
        for row in rows
    ]
    times = Counter(labels)
    for subject, row in zip(labels, rows):
        if subject not in subjects:
            continue
        if times[subject] > 1:
            said = f"{times[subject]} people or rows have the label {subject}"
            notes.append(Note(LEFT, str(sheet), said))
            continue
        one = {"subject": subject}
        age, said = _age(row.get("age", MISSING).strip())
        if age is not None:
            one["age"] = f"{age:g}"
        if said:
            notes.append(Note(GUESS, str(sheet), f"sub-{subject}: {said}"))
        if sex := SEXES.get(row.get("sex", "").strip().lower()):
            one["sex"] = sex
        found.append(one)
    return found, list(dict.fromkeys(notes))


def _age(text: str) -> tuple[float | None, str]:
    """Whole years, and what was made of another kind of cell."""
    if text in ("", MISSING):
        return None, ""
    if span := re.fullmatch(r"(\d{1,3})\s*[-–]\s*(\d{1,3})", text):
        middle = (int(span[1]) + int(span[2])) / 2
        return middle, f"age {middle:g}, the middle of {text}"
    if re.fullmatch(rf"{OLDEST}\+|>\s*{OLDEST}", text):
        return float(OLDEST), f"age {OLDEST} for {text}"
    try:
        years = float(text)
    except ValueError:
        return None, "an age that is no number of years is left out"
    if not (math.isfinite(years) and 0 <= years <= 120):
        return None, "an age that is no number of years is left out"
    return float(min(int(years), OLDEST)), ""

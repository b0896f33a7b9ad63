"""participants.tsv of a BIDS dataset as rows of ours."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.files import read_json
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
    if unit := _other_unit(root / "participants.json"):
        said = f"participants.json says ages in {unit[:20]}, not years: they are left out"
        notes.append(Note(LEFT, str(sheet), said))
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
        age, said = _age(MISSING if unit else row.get("age", MISSING).strip())
        if age is not None:
            one["age"] = f"{age:g}"
        if said:
            notes.append(Note(GUESS, str(sheet), f"sub-{subject}: {said}"))
        if sex := SEXES.get(row.get("sex", "").strip().lower()):
            one["sex"] = sex
        found.append(one)
    return found, list(dict.fromkeys(notes))


def _other_unit(sidecar: Path) -> str:
    """Unit of ages by the sheet's sidecar where that is not years, which BIDS recommends; "" where
    nothing says so."""
    try:
        column = read_json(sidecar).get("age")
    except (ValueError, OSError, AttributeError):
        return ""
    unit = column.get("Units") if isinstance(column, dict) else None
    is_text = isinstance(unit, str) and unit.strip()
    return unit if is_text and not re.match(r"(?i)\s*(y|a$|ann)", unit) else ""


def _age(text: str) -> tuple[float | None, str]:
    """Whole years, and what was made of another kind of cell."""
    if text in ("", MISSING):
        return None, ""
    if span := re.fullmatch(r"(\d{1,3})\s*[-–]\s*(\d{1,3})", text):
        middle = min((int(span[1]) + int(span[2])) / 2, float(OLDEST))
        if int(span[2]) > OLDEST:
            return middle, f"age {middle:g} for a range that ends above {OLDEST}"
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

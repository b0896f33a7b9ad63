"""Cells of participants.tsv, ours and that of a BIDS dataset: what of people a study may hold.

Only the columns that the configuration names are read (`person_columns`); ages are whole years or a
span, as BIDS recommends where an age to the year would tell too much.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmrsflow.files import read_json

IDENTITY = ("site", "subject", "person")
"""Columns that say who a row is of."""

OF_SITE = ("protocol", "field_t", "vendor", "te_s")
"""Columns of sites.tsv by which changes are compared beside those of participants.tsv."""

OLDEST = 89
"""Ages above are those of few people: nobody needs to know them (HIPAA, 45 CFR 164.514)."""

SEXES = {"m": "M", "male": "M", "f": "F", "female": "F", "o": "O", "other": "O"}

SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*[-–]\s*(\d+(?:\.\d+)?)")
"""A span, as "35-40" for an age that must not be told to the year."""

LEVEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,31}")
"""A group's name: no free text, and nothing that a table or page would read otherwise."""

WHO = re.compile(
    r"(^|_)(name|names|surname|(fore|first|last|full)_?name|initials|birth\w*|dob|address|e?_?mail"
    r"|phone)($|_)",
    re.IGNORECASE,
)
"""Names of columns that tell who somebody is: no model needs them."""


def asked_columns(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns that the settings of `sites` name, numbers first, then groups, then what only an
    interaction names; each once."""
    pairs = [pair.split(":") for pair in settings.get("interactions") or ()]
    named = [*(settings.get("covariates") or ()), *(settings.get("groups") or ())]
    return tuple(dict.fromkeys([*named, *(one for pair in pairs for one in pair)]))


def person_columns(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns of participants.tsv that a study with these settings of `sites` holds."""
    return IDENTITY + tuple(one for one in asked_columns(settings) if one not in OF_SITE)


def number_of(cell: str) -> float | None:
    """A finite number, the middle of a span, or None.

    >>> number_of("35-40"), number_of("0.5"), number_of("left")
    (37.5, 0.5, None)
    """
    if span := SPAN.fullmatch(cell):
        return (float(span[1]) + float(span[2])) / 2
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def years(text: str) -> tuple[str | None, str]:
    """An age as a study holds it, and what is to be known of it: whole years that are over, at most
    `OLDEST`, or the span that was given; None where it is no age.

    >>> years("31.9")[0], years("35-40")[0], years("93")[0], years("80-90")[0], years("old")[0]
    ('31', '35-40', '89', '85', None)
    """
    if span := SPAN.fullmatch(text):
        low, high = float(span[1]), float(span[2])
        if not low <= high <= 120:
            return None, "an age that is no number of years is left out"
        if high > OLDEST:
            middle = str(int(min((low + high) / 2, OLDEST)))
            return middle, f"age {middle} for a range that ends above {OLDEST}"
        return (
            f"{low:g}-{high:g}",
            f"a span of ages, of which the middle of {low:g}-{high:g} counts",
        )
    if re.fullmatch(rf"{OLDEST}\+|>\s*{OLDEST}", text):
        return str(OLDEST), f"age {OLDEST} for {text}"
    value = number_of(text)
    if value is None or not 0 <= value <= 120:
        return None, "an age that is no number of years is left out"
    return str(min(int(value), OLDEST)), ""


def subject_of(participant_id: str) -> str:
    """Label of a scan's `subject` of a BIDS `participant_id`.

    >>> subject_of("sub-P_07")
    'P07'
    """
    return re.sub(r"[^A-Za-z0-9]", "", participant_id.removeprefix("sub-"))


def unit_other_than_years(sidecar: Path) -> str:
    """Unit of ages by the sheet's sidecar where that is not years, which BIDS recommends; "" where
    nothing says so."""
    try:
        column = read_json(sidecar).get("age")
    except (ValueError, OSError, AttributeError):
        return ""
    unit = column.get("Units") if isinstance(column, dict) else None
    is_text = isinstance(unit, str) and unit.strip()
    return unit if is_text and not re.match(r"(?i)\s*(y|a$|ann)", unit) else ""

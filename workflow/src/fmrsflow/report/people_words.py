"""What the consortium's page says of people: groups and covariates, in words that follow the
interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fmrsflow.question import Question
from fmrsflow.report.effect_words import holds_zero
from fmrsflow.report.render import signed
from fmrsflow.tables import Row
from fmrsflow.words import count

LEVEL = 0.05


def people_words(rows: Sequence[Row], asked: Question) -> list[str]:
    """Sentences on each covariate, group and interaction of the main question.

    Parameters
    ----------
    rows : rows of covariates.tsv
    """
    own = [row for row in rows if asked.answered_by(row)]
    sentences = [
        _sentence(row, asked) if _known(row["estimate"]) else _none(row, asked) for row in own
    ]
    return [*sentences, *_left_out(own)]


def people_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows of the table of all metabolites and regions, those of one term together."""
    terms = list(dict.fromkeys(row["term"] for row in rows))
    return sorted(rows, key=lambda row: terms.index(row["term"]))


def _sentence(row: Row, asked: Question) -> str:
    value, low, high = row["estimate"], row["low"], row["high"]
    digits = _digits(low, high)
    open_ = holds_zero(low, high)
    moved = f"{signed(value, digits)} points different"
    if not open_:
        moved = f"{abs(value):.{digits}f} points {'higher' if value >= 0 else 'lower'}"
    interval = f"95 % interval {signed(low, digits)} to {signed(high, digits)} points"
    words = f"{_subject(row, asked)} was {moved}{_where(row)} ({interval}; {_people(row)})"
    words += (
        "; no difference at all is still possible: none is shown either way."
        if open_
        else "; the interval leaves no difference out."
    )
    return " ".join(filter(None, [words, _adjusted(row, open_), _varies(row), _notes(row)]))


def _subject(row: Row, asked: Question) -> str:
    """What is higher or lower."""
    change = f"the change of {asked.words} while the task ran"
    if asked.points:
        change = f"the difference of {change} ({asked.region or asked.contrast})"
    parts = _parts(row)
    if len(parts) == 2:
        (name, level, reference), _ = parts
        words = f"what {change} gains by a unit of {name}"
        if level:
            words = f"the difference {name} {level} less {reference} in {change}"
    elif parts[0][1]:
        words = change
    else:
        words = f"with each unit of {parts[0][0]}, {change}"
    return words[0].upper() + words[1:]


def _where(row: Row) -> str:
    """Between what it is higher or lower."""
    name, level, reference = _parts(row)[-1]
    if not level:
        return f" with each unit of {name}" if len(_parts(row)) == 2 else ""
    return f" in {level} than in {reference} ({name})"


def _parts(row: Row) -> list[tuple[str, str, str]]:
    """Column, group and the group compared with, of both sides of an interaction; a number, which
    has no groups, first."""
    columns = row["column"].split(":")
    levels, references = ((row[one] or ":").split(":") for one in ("level", "reference"))
    parts = list(zip(columns, levels, references))
    return sorted(parts, key=lambda part: bool(part[1]))


def _people(row: Row) -> str:
    if row["n_level"] is None:
        return f"{count(row['n_persons'], 'person')} at {count(row['n_sites'], 'site')}"
    if len(_parts(row)) == 2:
        return f"at least {count(min(row['n_level'], row['n_reference']), 'person')} of each kind"
    return f"{row['n_level']} and {row['n_reference']} people"


def _adjusted(row: Row, open_: bool) -> str:
    if not _known(row["p_holm"]) or open_ or row["p_holm"] < LEVEL:
        return ""
    return (
        f"Adjusted for the metabolites and regions that were tested, p is {row['p_holm']:.2g}: by "
        "that no difference is still possible."
    )


def _varies(row: Row) -> str:
    if not _known(row["varies_low"]):
        return ""
    digits = _digits(row["varies_low"], row["varies_high"])
    ends = f"{signed(row['varies_low'], digits)} to {signed(row['varies_high'], digits)}"
    spread = f"SD estimated as {row['varies_sd']:.2g}"
    return f"If it varies from site to site ({spread}), the interval is {ends}."


def _notes(row: Row) -> str:
    return f"To know: {row['reason']}." if row["reason"] else ""


def _none(row: Row, asked: Question) -> str:
    what = row["term"] if row["column"] else "Groups and covariates"
    return f"{what}, {asked.words}: {row['reason']}."


def _left_out(rows: Sequence[Row]) -> Iterator[str]:
    """How many changes no model holds, for want of a cell."""
    lost = max((row["n_left_out"] or 0 for row in rows), default=0)
    if lost:
        whole = lost + max(row["n"] or 0 for row in rows)
        yield (
            f"{lost} of {count(whole, 'change')} are of people without one of these columns, and "
            "take no part in what stands here."
        )


def _digits(low: float, high: float) -> int:
    """As many that half an interval has two that count; one to four."""
    half = (high - low) / 2
    return min(max(1 - math.floor(math.log10(half)), 1), 4) if 0 < half < math.inf else 4


def _known(value) -> bool:
    return value is not None and not math.isnan(value)

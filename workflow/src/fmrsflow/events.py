"""Events of a scan or of a BOLD run from their table: one reading for both."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from fmrsflow.errors import DataError
from fmrsflow.scan_figures import MATCHED, WHOLE
from fmrsflow.tables import MISSING
from fmrsflow.words import count

NEEDED = "give the columns onset and duration (both in s) and trial_type"

SMALL_SHARE = 0.25
"""Events that end before this share of a scan leave most of it without a task."""

RESTING = ("rest", "baseline", "fixation", "off", "control", "null")
"""Names of conditions in which nothing is done, capitals aside."""

MOST_STRAYS, STRAY_SHARE = 6, 0.1
"""Most transients outside of all events, and their largest share of a scan, that are no rest."""

ROUNDING = 0.02
"""Share of a scan by which its last event may end late: durations are rounded to TRs."""


def events_of(rows: Sequence[Mapping], name: str) -> list[dict]:
    """Events with onset and duration in s as numbers, and trial_type.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of a BIDS events.tsv, text or numbers; other columns are kept.
    name : str
        What messages call the file.

    Raises
    ------
    DataError
        No row, a missing column or value, an onset or duration that is no finite number, or a
        negative duration.
    """
    if not rows:
        raise DataError(f"{name} holds no event; {NEEDED}")
    events = []
    for number, row in enumerate(rows, start=2):
        event = dict(row)
        for column in ("onset", "duration", "trial_type"):
            if column not in row:
                only = next(iter(row)) if len(row) == 1 else ""
                if parted := re.search("[,;]| {2}", only):
                    raise DataError(
                        f"{name}: its columns are parted by {parted[0]!r}; save it as text with "
                        "tabs between them"
                    )
                raise DataError(f"{name} has no column {column}; {NEEDED}")
            text = str(row[column]).strip()
            if text in ("", MISSING):
                raise DataError(f"{name} line {number}: no {column} ({text or 'empty'}); {NEEDED}")
            event[column] = text
        for column in ("onset", "duration"):
            event[column] = _seconds(event[column], column, f"{name} line {number}")
        if event["duration"] < 0:
            raise DataError(
                f"{name} line {number}: duration {event['duration']:g} s, and a duration is 0 or "
                "more; mend the table"
            )
        events.append(event)
    return events


def conditions(
    events: Sequence[dict],
    n_transients: int,
    tr_s: float,
    lag_s: float = 0.0,
    rest: str = "rest",
) -> list[str | None]:
    """Condition of each transient by its time of excitation (docs/science.md#conditions).

    An event within which no excitation lies is that of the first one after its onset: the
    response to a brief stimulus is read out when it has ended.

    Parameters
    ----------
    events : sequence of dict
        From `events_of`; onsets count from the first excitation.
    n_transients, tr_s
        Excitation j takes place at j * tr_s.
    lag_s : float
        Seconds left out after each onset and after each end of an event.
    rest : str
        Name of the time outside every event; an event of that name counts as rest too.

    Returns
    -------
    list of str or None
        None where the transient is left out.

    Raises
    ------
    DataError
        Overlapping events, negative duration, a name that is taken, or no event within the scan.
    """
    spans = sorted(
        (row["onset"], row["onset"] + row["duration"], row["trial_type"]) for row in events
    )
    check_conditions(name for _, _, name in spans)
    for onset, end, name in spans:
        if end <= onset:
            raise DataError(
                f"event {name} at {onset:g} s has no positive duration: give it one in events.tsv, "
                "or take its row out"
            )
    for (_, end, name), (onset, _, after) in zip(spans, spans[1:]):
        if onset < end - 1e-6:
            raise DataError(
                f"events {name} and {after} overlap at {onset:g} s; a transient has one condition: "
                "mend events.tsv, or name what lies within other events in the setting "
                "nested_events"
            )
    length_s = n_transients * tr_s
    if not any(onset < length_s and end > 0 for onset, end, _ in spans):
        raise DataError(
            f"no event lies within the scan of {length_s:g} s ({n_transients} transients, "
            f"TR {tr_s:g} s): give onsets in seconds from the first excitation of this scan"
        )
    changes = [edge for onset, end, _ in spans for edge in (onset, end) if 0 < edge < length_s]
    labels: list[str | None] = []
    for j in range(n_transients):
        # A microsecond of tolerance: j * tr_s carries rounding, onsets in sheets do not.
        time = j * tr_s + 1e-6
        inside = [name for onset, end, name in spans if onset <= time < end]
        late = lag_s > 0 and any(0 <= time - edge < lag_s for edge in changes)
        labels.append(None if late else inside[0] if inside else rest)
    for onset, end, name in spans:
        # A microsecond of tolerance, as above.
        first = math.ceil((onset - 1e-6) / tr_s)
        if 0 <= first < n_transients and first * tr_s + 1e-6 >= end and labels[first] == rest:
            labels[first] = name
    return labels


def odd_timing(events: Sequence[Mapping], length_s: float, tr_s: float) -> list[str]:
    """What makes one doubt that the events are of this scan and in seconds, one sentence each.

    Parameters
    ----------
    events : sequence of mapping
        From `events_of`, those of rest left out.
    length_s, tr_s : float
        Of the scan.

    Notes
    -----
    Onsets that count transients fill the first 1/TR of a scan: multiplied by TR they fill it, and
    what is left empty behind them is longer than any event and any pause before.
    """
    if not events:
        return []
    spans = sorted((row["onset"], row["onset"] + row["duration"]) for row in events)
    late = sum(onset >= length_s for onset, _ in spans)
    if late:
        return [
            f"{late} of {count(len(spans), 'event')} begin after the end of the scan "
            f"({length_s:g} s): are the onsets in seconds, and of this scan?"
        ]
    if (first := spans[0][0]) < 0:
        return [
            f"the first event begins {-first:g} s before the scan: do the onsets count from its "
            "first transient in the file (not from the trigger of another run)?"
        ]
    end = max(end for _, end in spans)
    pauses = [spans[0][0], *(b[0] - a[1] for a, b in zip(spans, spans[1:]))]
    usual = max(*pauses, *(off - on for on, off in spans))
    told = f"the events end at {end:g} s of a scan of {length_s:g} s"
    if end > (1 + ROUNDING) * length_s:
        return [
            f"{told}: do they belong to this scan, and count from its first transient in the file "
            "(not from dummy scans before it)?"
        ]
    counts = all(edge == round(edge) for span in spans for edge in span)
    if counts and end * tr_s <= (1 + ROUNDING) * length_s and length_s - end > 2 * usual:
        return [
            f"{told}, and times the repetition time ({tr_s:g} s) they would fill "
            f"{end * tr_s / length_s:.0%} of it: do the onsets count transients? events.tsv holds "
            "seconds"
        ]
    if end < SMALL_SHARE * length_s:
        return [f"{told}: are the onsets in seconds, and of this scan?"]
    return []


def reference_of(names: Sequence[str], rest: str = RESTING[0]) -> str:
    """The condition of a scan that changes refer to: `rest`, else one whose name says that nothing
    is done in it (`RESTING`), else the first."""
    plain = {name.lower(): name for name in reversed(names)}
    named = [plain[name] for name in RESTING if name in plain]
    return rest if rest in names else (named or names)[0]


def without_strays(
    labels: Sequence[str | None], events: Sequence[Mapping], rest: str = "rest"
) -> tuple[list[str | None], str]:
    """Conditions in which a few transients outside of all events are none, and what to say of it
    ("" where there are no such transients).

    Where events hold nearly the whole scan, what is left between or behind them is no rest that a
    task could be compared with: a protocol of `baseline` and `task` that begins a transient late
    would else have its changes from one or two transients.

    Parameters
    ----------
    labels : sequence of str or None
        From `conditions`.
    events : sequence of mapping
        Those that the labels come from. Where one is called `rest`, so is all that lies outside.
    """
    stray = [j for j, label in enumerate(labels) if label == rest]
    if any(row["trial_type"] == rest for row in events):
        return list(labels), ""
    if not 0 < len(stray) <= min(MOST_STRAYS, STRAY_SHARE * len(labels)):
        return list(labels), ""
    found = [None if label == rest else label for label in labels]
    which = ", ".join(str(j) for j in stray)
    return found, (
        f"no event holds {count(len(stray), 'transient')} of {len(labels)} (number {which}, from 0)"
        f": too few to be {rest}, left out; an event {rest} in events.tsv would keep them"
    )


def check_conditions(names: Iterable[str]) -> None:
    """Refuse names of conditions that spectra of the fit have beside those of conditions.

    Raises
    ------
    DataError
        With the first of them.
    """
    for name in names:
        if name == WHOLE or name.endswith(MATCHED):
            raise DataError(
                f"condition {name}: so other spectra of the fit are called (`{WHOLE}` the average "
                f"of all, `{MATCHED}` those of matched linewidth); rename it in events.tsv"
            )


def _seconds(text: str, column: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        mend = "write a point for the decimal comma" if "," in text else "mend the table"
        raise DataError(f"{where}: {column} {text!r} is no number of seconds; {mend}")
    return value

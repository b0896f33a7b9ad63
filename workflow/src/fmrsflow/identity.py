"""Who is who in the sheets: one file is one measurement, one label one person.

A file that counts for two people narrows every confidence interval, and the reference or T1w of
somebody else moves every concentration, without a trace in any spectrum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from fmrsflow.files import file_digest
from fmrsflow.study import Scan, Study

ONE_PERSON = ("ref", "t1w", "gm", "wm", "csf", "bold", "bold_confounds")
"""Columns whose files belong to one person; scans of that person may share them. Events
may be those of everybody."""

ALONE = (".sdat", ".rda", ".raw", ".h2o", ".nii", ".nii.gz")
"""Endings of formats that hold no water reference beside the scan."""

NO_LABEL = {"na", "nan", "none", "null", "nil", "missing", "unknown"}
"""What people write where they have no value; as a label it would make one person of all."""

SAMPLE_BYTES = 4096
"""Read from the middle of files of one size before whole files are compared: noise differs there,
headers need not."""


def scan_problems(sheet: str, rows: Sequence[tuple[int, Scan]], people: Sequence[dict]) -> list:
    """Files of scans.tsv that cannot be what their columns say, one line each.

    Parameters
    ----------
    sheet : str
        Name of the sheet, for the messages.
    rows : sequence of (int, Scan)
        Scans and their rows.
    people : sequence of dict
        Rows of participants.tsv: who is one person under two labels.
    """
    person = _persons(people)
    scan_of: dict[PurePosixPath, int] = {}
    owners: dict[tuple[str, PurePosixPath], tuple[int, tuple]] = {}
    problems = []
    for number, scan in rows:
        path = PurePosixPath(scan.mrs)
        if path in scan_of:
            problems.append(
                f"{sheet} row {number}: mrs: {scan.mrs} is the scan of row {scan_of[path]} too; "
                "one measurement would count twice: name each scan's own file"
            )
        scan_of.setdefault(path, number)
    for number, scan in rows:
        problems += _reference_problems(sheet, number, scan, scan_of)
        who = (scan.site, scan.subject)
        who = person.get(who, who)
        for column, name in _of_one_person(scan):
            first, owner = owners.setdefault((column, PurePosixPath(name)), (number, who))
            if owner != who:
                problems.append(
                    f"{sheet} row {number}: {column}: {name} belongs to another "
                    f"person, that of row {first}; name the file of this person, or none"
                )
        problems += _path_problems(sheet, number, scan)
        maps = [name for name in (scan.gm, scan.wm, scan.csf) if name]
        # All three may name one label image; the anatomy stage looks whether it is one.
        if twice := {name for name in maps if maps.count(name) == 2}:
            problems.append(
                f"{sheet} row {number}: gm, wm and csf are one file each, and {min(twice)} stands "
                "twice; name each map's own, or one label image of SynthSeg in all three"
            )
    return problems + _twin_labels(sheet, ((n, scan.site, scan.subject) for n, scan in rows))


def participant_problems(sheet: str, rows: Sequence[tuple[int, dict]], scans) -> list[str]:
    """Rows of participants.tsv that make one person of several, or belong to none.

    Parameters
    ----------
    rows : sequence of (int, dict)
    scans : sequence of Scan
        Every scan of the study.
    """
    labels = {(scan.site, scan.subject) for scan in scans}
    alike = {(site, plain(subject)): subject for site, subject in labels}
    seen: dict[tuple, int] = {}
    problems = []
    for number, row in rows:
        site, subject, person = (row.get(column, "") for column in ("site", "subject", "person"))
        if (site, subject) not in labels and (meant := alike.get((site, plain(subject)))):
            problems.append(
                f"{sheet} row {number}: subject {subject} of {site} has no scan; the scans sheet "
                f"writes {meant}: write the label alike in both"
            )
        if not person:
            continue
        if person.lower() in NO_LABEL:
            problems.append(
                f"{sheet} row {number}: person {person!r} would make one person of all who have "
                "it; leave the cell empty (n/a) where a person was at one site only"
            )
        elif (site, person) in seen:
            problems.append(
                f"{sheet} row {number}: person {person} of {site} stands in row "
                f"{seen[site, person]} too; one person has one subject label at a site: give the "
                "scans different session or run, or each person a label"
            )
        seen.setdefault((site, person), number)
    return problems


def plain(label: str) -> str:
    """A label without what tables lose: leading zeros, the prefix sub, capitals."""
    return re.sub(r"^(sub-?)?0*(?=.)", "", label.lower())


def same_measurements(study: Study) -> list[str]:
    """Files of columns mrs and ref with one content under two names, one line each, where a scan
    is among them or they belong to two people; files that are not there or cannot be read are left
    to their stage. None where the configuration allows it (`same_content`)."""
    if study.config["same_content"]:
        return []
    named: dict[PurePosixPath, list[tuple[str, Scan]]] = {}
    for scan in study.scans:
        for column in ("mrs", "ref"):
            if name := getattr(scan, column):
                named.setdefault(PurePosixPath(name), []).append((column, scan))
    by_size: dict[tuple, list[PurePosixPath]] = {}
    for name in named:
        if size := _size(study.data_root / name):
            by_size.setdefault(size, []).append(name)
    problems = []
    for names in by_size.values():
        for group in _alike(names, lambda name: _sample(study.data_root / name)):
            for same in _alike(group, lambda name: _digest(study.data_root / name)):
                uses = [use for name in same for use in named[name]]
                scans = {column for column, _ in uses} != {"ref"}
                if scans or len({study.person(scan) for _, scan in uses}) > 1:
                    shown = " and ".join(
                        f"{name} ({named[name][0][0]} of {named[name][0][1].key})" for name in same
                    )
                    problems.append(
                        f"{study.config['scans_sheet']}: {shown} have one and the same content; "
                        "each scan has its own measurement, and a water reference is another one "
                        "than the scan: name the right files"
                    )
    return problems


def _of_one_person(scan: Scan) -> list[tuple[str, str]]:
    """Columns and names of the files that belong to the scan's person."""
    return [(column, name) for column in ONE_PERSON for name in scan.files(column)]


def _reference_problems(sheet: str, number: int, scan: Scan, scan_of: dict) -> Iterable[str]:
    reference = PurePosixPath(scan.ref) if scan.ref else None
    row = scan_of.get(reference)
    if row is None:
        return
    if reference == PurePosixPath(scan.mrs):
        if scan.mrs.lower().endswith(ALONE):
            yield (
                f"{sheet} row {number}: ref: {scan.ref} is the scan itself (column mrs); name the "
                "unsuppressed water reference, or none"
            )
    elif row != number:
        yield (
            f"{sheet} row {number}: ref: {scan.ref} is the scan of row {row} (column mrs); name "
            "the unsuppressed water reference, or none"
        )


def _path_problems(sheet: str, number: int, scan: Scan) -> Iterable[str]:
    """Files whose BIDS path names another subject or session than the row and its scan's path."""
    for prefix, word, own in (("sub", "subject", scan.subject), ("ses", "session", scan.session)):
        # A consortium renames its people: the path of the scan may have the site's own label.
        known = {plain(label) for label in (own, *_labels(scan.mrs, prefix)) if label}
        # A BOLD run brought to the place of the scan may be of another session, with its confounds.
        of_runs = {plain(one) for run in scan.files("bold") for one in _labels(run, "ses")}
        for column, name in _of_one_person(scan) if known else ():
            labels = _labels(name, prefix)
            told = {plain(one) for one in labels}
            resampled = prefix == "ses" and (
                "space-" in name or (column == "bold_confounds" and told <= of_runs)
            )
            if told and not resampled and not told <= known:
                yield (
                    f"{sheet} row {number}: {column}: the path says {prefix}-{labels[-1]}, and the "
                    f"row's {word} is {own or 'n/a'} with the scan {scan.mrs}; name the file of "
                    f"this {word}, or none"
                )


def _labels(path: str, prefix: str) -> list[str]:
    """Labels of a BIDS entity in a path, folders first."""
    return re.findall(rf"(?:^|[/_]){prefix}-([A-Za-z0-9]+)", path)


def _persons(people: Sequence[dict]) -> dict[tuple, tuple]:
    return {
        (row.get("site"), row.get("subject")): ("person", row["person"])
        for row in people
        if row.get("person")
    }


def _twin_labels(sheet: str, rows: Iterable[tuple[int, str, str]]) -> list[str]:
    """Subjects of one site whose labels differ in leading zeros or capitals alone."""
    first: dict[tuple, tuple[int, str]] = {}
    problems = []
    for number, site, subject in rows:
        row, label = first.setdefault((site, plain(subject)), (number, subject))
        if label != subject:
            problems.append(
                f"{sheet} row {number}: subject {subject} of {site}, and {label} in row {row}: one "
                "person under two labels? Write one, or tell the people apart by more than zeros "
                "and capitals"
            )
    return problems


def _alike(names: list, key) -> list[list]:
    """Groups of two and more names with one key; None is no key."""
    groups: dict = {}
    for name in names if len(names) > 1 else ():
        if (value := key(name)) is not None:
            groups.setdefault(value, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _members(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if path.is_file() else []  # a pipe would never end
    return sorted(one for one in path.rglob("*") if one.is_file() and one.name[0] != ".")


def _size(path: Path) -> tuple[int, ...] | None:
    """Sizes of a file, or of the files of a folder whatever their names; None where they hold
    nothing."""
    try:
        sizes = tuple(sorted(one.stat().st_size for one in _members(path)))
        return sizes if any(sizes) else None
    except OSError:
        return None


def _sample(path: Path) -> bytes | None:
    """Bytes from the middle of the largest file."""
    try:
        largest = max(_members(path), key=lambda one: one.stat().st_size)
        with largest.open("rb") as file:
            file.seek(max(0, (largest.stat().st_size - SAMPLE_BYTES) // 2))
            return file.read(SAMPLE_BYTES)
    except (OSError, ValueError):
        return None


def _digest(path: Path) -> tuple[str, ...] | None:
    try:
        return tuple(sorted(file_digest(one) for one in _members(path)))
    except OSError:
        return None

"""Scans of a BIDS dataset (BIDS 1.10, magnetic resonance spectroscopy).

Entities are identity: they make the labels of a scan, and tell which files belong to it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fmrsflow.convert.boxes import box_distance_mm
from fmrsflow.intake.companions import add_companions, check_references
from fmrsflow.intake.dataset import Dataset, Name
from fmrsflow.intake.found import (
    GUESS,
    LEFT,
    OPEN,
    REST_WORDS,
    SAME_PLACE_MM,
    FoundScan,
    Note,
    Unusable,
)
from fmrsflow.intake.protocol import place_of, protocol_of, sidecar_problem

COLUMNS = {
    "subject": "sub", "session": "ses", "task": "task", "acq": "acq", "voi": "voi", "run": "run"
}  # fmt: skip
"""Columns of scans.tsv by entity."""


def found_scans(root: Path) -> tuple[list[FoundScan], list[Note]]:
    """Scans of a dataset with their companions, and what is to be said of them."""
    dataset = Dataset(root)
    scans = []
    people = {one.labels.get("sub", "") for one in dataset.images("svs")}
    plain = Counter(map(_plain, people))
    for name in dataset.images("svs"):
        subject = name.labels.get("sub", "")
        try:
            if "+" in subject and plain[_plain(subject)] > 1:
                raise Unusable(f"without + it is the label of sub-{_plain(subject)} too")
            scans.append(_scan(dataset, name))
        except Unusable as error:
            dataset.note(LEFT, name.path, str(error))
    for suffix in ("mrsi", "unloc"):
        for name in dataset.images(suffix):
            dataset.note(LEFT, name.path, f"{suffix}: single voxels only are processed")
    scans = _told_apart(dataset, scans)
    check_references(dataset, scans)
    _conditions(dataset, scans)
    return scans, list(dict.fromkeys(dataset.notes))


def _plain(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", label)


def _scan(dataset: Dataset, name: Name) -> FoundScan:
    if name.labels.get("nuc", "1H") != "1H":
        raise Unusable(f"its nucleus is {name.labels['nuc'][:8]}; this workflow is for 1H")
    meta = dataset.sidecar(name)
    if problem := sidecar_problem(meta):
        raise Unusable(problem)
    if "inv" in name.labels:
        raise Unusable("of a series of inversion times (inv): no scan of metabolites")
    protocol, n_transients = protocol_of(name.path, meta)
    columns = {column: name.labels.get(key, "") for column, key in COLUMNS.items()}
    for key in ("rec", "echo"):
        if label := name.labels.get(key):
            columns["acq"] += label
            dataset.note(GUESS, name.path, f"{key}-{label} stands in column acq")
    columns = {column: _plain(label) for column, label in columns.items()}
    scan = FoundScan(name.path, columns, {"mrs": name.path}, protocol, n_transients)
    add_companions(dataset, name, meta, scan)
    return scan


def _told_apart(dataset: Dataset, scans: Sequence[FoundScan]) -> list[FoundScan]:
    """Scans of different labels; of two with the same ones the first."""
    seen: dict[tuple, FoundScan] = {}
    for scan in scans:
        run = scan.columns["run"]
        labels = {**scan.columns, "run": str(int(run)) if run.isdigit() else run}
        key = tuple(labels[column] for column in COLUMNS)
        if key in seen:
            dataset.note(LEFT, scan.path, f"its labels are those of {seen[key].path.name}")
        seen.setdefault(key, scan)
    return list(seen.values())


def _conditions(dataset: Dataset, scans: Sequence[FoundScan]) -> None:
    """Condition of scans without events that have company: by the label of the task; and the unit
    of a scan at rest with those of the same place, by labels and headers, that have events."""
    groups: dict[tuple, list[FoundScan]] = {}
    for scan in scans:
        key = tuple(scan.columns[column] for column in ("subject", "session", "acq", "voi"))
        groups.setdefault(key, []).append(scan)
    units: dict[tuple[str, str], tuple] = {}
    for key, group in groups.items():
        subject, session, acq, voi = key
        tasks = {scan.columns["task"] for scan in group}
        for scan in group:
            task = scan.columns["task"]
            if "events" in scan.files or not task:
                continue
            if len(tasks) > 1 or task.lower() in REST_WORDS:
                condition = "rest" if task.lower() in REST_WORDS else task
                scan.columns["condition"] = condition
                dataset.note(
                    GUESS, scan.path, f"condition {condition}, from task-{task} without events"
                )
        resting = [scan for scan in group if scan.columns.get("condition") == "rest"]
        active = [scan for scan in group if "events" in scan.files]
        others = [scan for scan in group if scan not in resting]
        if resting and (apart := _apart_mm([*resting, *others])) > SAME_PLACE_MM:
            said = f"voxels at rest and of other scans lie {apart:.3g} mm apart, by their headers: "
            if active:
                said += "no unit is given; where that is one place, write the same unit for them"
            else:
                said += "where those are two places, give the scans different units"
            dataset.note(OPEN, resting[0].path, said)
        elif resting and active:
            unit = f"{session}{acq}{voi}" or "all"
            while units.setdefault((subject, unit), key) != key:
                unit += "x"  # session 1 of acq 2x is not session 12 of acq x
            for scan in (*resting, *active):
                scan.columns["unit"] = unit
            said = f"unit {unit}: one response of the scans at rest and those with events"
            dataset.note(GUESS, active[0].path, said)


def _apart_mm(scans: Sequence[FoundScan]) -> float:
    """Largest distance of the voxels of scans from that of the first whose header has one, mm."""
    places = [place for scan in scans if (place := place_of(scan.path)) is not None]
    return max((box_distance_mm(places[0], one) for one in places[1:]), default=0.0)

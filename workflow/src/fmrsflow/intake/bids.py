"""Scans of a BIDS dataset (BIDS 1.10, magnetic resonance spectroscopy).

Entities are identity: companions of a scan are found by them, by what its sidecar names and by the
inheritance principle, never by a folder that happens to hold one file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fmrsflow.intake.found import GUESS, LEFT, OPEN, FoundScan, Note, Unusable
from fmrsflow.intake.protocol import protocol_of, sidecar_problem

ENTITIES = ("sub", "ses", "task", "acq", "nuc", "voi", "rec", "run", "echo", "inv")
"""Entities of spectra in the order of the standard."""

COLUMNS = {
    "subject": "sub", "session": "ses", "task": "task", "acq": "acq", "voi": "voi", "run": "run"
}  # fmt: skip
"""Columns of scans.tsv by entity."""

IDENTITY = ("sub", "ses", "acq", "voi")
"""Entities in which a companion that has them may not differ from its scan."""

REST_WORDS = ("rest", "resting", "restingstate", "baseline", "fixation")
"""Labels of tasks in which nothing is done."""

IMAGES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Name:
    """A BIDS name taken apart: entities, suffix, and the path."""

    path: Path
    entities: tuple[tuple[str, str], ...]
    suffix: str

    @cached_property
    def labels(self) -> dict[str, str]:
        """Entity -> label."""
        return dict(self.entities)

    def within(self, other: Name) -> bool:
        """Whether all its entities are those of another name, which may have more."""
        return all(other.labels.get(key) == label for key, label in self.entities)

    def agrees(self, other: Name, keys: Iterable[str]) -> bool:
        """Whether no entity of these differs where both names have it."""
        return all(
            key not in self.labels
            or key not in other.labels
            or self.labels[key] == other.labels[key]
            for key in keys
        )


def parsed(path: Path) -> Name | None:
    """A name taken apart; None where it is no BIDS name."""
    stem = path.name
    for ending in (*IMAGES, ".json", ".tsv"):
        stem = stem.removesuffix(ending)
    *pairs, suffix = stem.split("_")
    found = [re.fullmatch(r"([a-z]+)-([A-Za-z0-9+]+)", pair) for pair in pairs]
    if not all(found) or not re.fullmatch(r"[A-Za-z0-9]+", suffix):
        return None
    return Name(path, tuple(one.groups() for one in found), suffix)


class Dataset:
    """A BIDS dataset: its names, read once.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path):
        self.root = root
        self.notes: list[Note] = []
        self.by_suffix: dict[str, list[Name]] = {}
        for path in sorted(_below(root)):
            if name := parsed(path):
                self.by_suffix.setdefault(name.suffix, []).append(name)
            elif "_svs.nii" in path.name:
                self.note(LEFT, path, "no BIDS name (entity-label pairs and the suffix svs)")

    def note(self, kind: str, path: Path, said: str) -> None:
        """A line for the list."""
        self.notes.append(Note(kind, str(path), said))

    def images(self, suffix: str) -> list[Name]:
        """Names of images of a suffix."""
        return [one for one in self.by_suffix.get(suffix, ()) if one.path.name.endswith(IMAGES)]

    def inherited(self, name: Name, suffix: str, ending: str) -> list[Path]:
        """Files of that suffix and ending that apply to a name, the nearest last: in its folder or
        above, with entities that are its own (inheritance principle)."""
        found = [
            one
            for one in self.by_suffix.get(suffix, ())
            if one.path.name.endswith(ending)
            and one.path.parent in name.path.parents
            and one.within(name)
        ]
        return [one.path for one in sorted(found, key=lambda one: len(one.path.parts))]

    def sidecar(self, name: Name) -> dict:
        """Metadata of a name; nearer files win.

        Raises
        ------
        Unusable
            One of them is no JSON object.
        """
        content: dict = {}
        for path in self.inherited(name, name.suffix, ".json"):
            try:
                found = json.loads(path.read_bytes())
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                raise Unusable(f"its sidecar {path.name} is no JSON object")
            content |= found
        return content


def found_scans(root: Path) -> tuple[list[FoundScan], list[Note]]:
    """Scans of a dataset with their companions, and what is to be said of them."""
    dataset = Dataset(root)
    scans = []
    for name in dataset.images("svs"):
        try:
            scans.append(_scan(dataset, name))
        except Unusable as error:
            dataset.note(LEFT, name.path, str(error))
    for suffix in ("mrsi", "unloc"):
        for name in dataset.images(suffix):
            dataset.note(LEFT, name.path, f"{suffix}: single voxels only are processed")
    _conditions(dataset, scans)
    return _told_apart(dataset, scans), dataset.notes


def _below(root: Path) -> list[Path]:
    """Files of the dataset, those of derivatives and sources not."""
    found = [one for one in root.iterdir() if one.is_file()]
    for person in sorted(root.glob("sub-*")):
        found += [one for one in person.rglob("*") if one.is_file() and one.name[0] != "."]
    return found


def _scan(dataset: Dataset, name: Name) -> FoundScan:
    meta = dataset.sidecar(name)
    if problem := sidecar_problem(meta):
        raise Unusable(problem)
    protocol, n_transients = protocol_of(name.path, meta)
    columns = {column: name.labels.get(key, "") for column, key in COLUMNS.items()}
    for key in ("rec", "echo", "inv"):
        if label := name.labels.get(key):
            columns["acq"] += label
            dataset.note(GUESS, name.path, f"{key}-{label} stands in column acq")
    for column, label in columns.items():
        columns[column] = re.sub(r"[^A-Za-z0-9]", "", label)
    scan = FoundScan(name.path, columns, {"mrs": name.path}, protocol, n_transients)
    for column, find in (("ref", _reference), ("t1w", _anatomy), ("events", _events)):
        if (path := find(dataset, name, meta)) is not None:
            scan.files[column] = path
    _fmri(dataset, name, scan)
    return scan


def _told_apart(dataset: Dataset, scans: Sequence[FoundScan]) -> list[FoundScan]:
    """Scans of different labels; of two with the same ones the first."""
    seen: dict[tuple, FoundScan] = {}
    for scan in scans:
        key = tuple(scan.columns[column] for column in COLUMNS)
        if key in seen:
            dataset.note(LEFT, scan.path, f"its labels are those of {seen[key].path.name}")
        seen.setdefault(key, scan)
    return list(seen.values())


def _named(dataset: Dataset, name: Name, value, what: str) -> Path | None:
    """A file that a sidecar names: a BIDS URI, or a path below the person's folder or the root."""
    values = value if isinstance(value, list) else [value]
    texts = [one for one in values if isinstance(one, str) and one]
    if len(texts) > 1:
        dataset.note(GUESS, name.path, f"{what} names {len(texts)} files; the first is taken")
    for text in texts[:1]:
        text = text.removeprefix("bids::")
        person = dataset.root / f"sub-{name.labels.get('sub', '')}"
        for folder in (dataset.root, person, name.path.parent):
            path = folder / text
            if path.is_file() and path.resolve().is_relative_to(dataset.root.resolve()):
                return path
        dataset.note(OPEN, name.path, f"{what} of its sidecar names a file that is not there")
    return None


def _reference(dataset: Dataset, name: Name, meta: dict) -> Path | None:
    if path := _named(dataset, name, meta.get("ReferenceSignal"), "ReferenceSignal"):
        return path
    here = [
        one
        for one in dataset.images("mrsref")
        if one.path.parent == name.path.parent and one.agrees(name, IDENTITY)
    ]
    exact = [one for one in here if one.entities == name.entities]
    inner = [one for one in here if one.within(name)] or [
        one
        for one in here
        if one.agrees(name, ENTITIES) and {k for k, _ in one.entities} - {"acq"} <= set(name.labels)
    ]
    others = [one for one in here if one.labels.get("task") != name.labels.get("task")]
    for candidates, said in (
        (exact, ""),
        (inner, "the water reference of these entities"),
        (
            others,
            "the water reference of another task of the session: the same place, if the head "
            "stayed",
        ),
    ):
        if len(candidates) == 1:
            if said:
                dataset.note(GUESS, name.path, f"{said}, {candidates[0].path.name}")
            return candidates[0].path
        if candidates:
            dataset.note(
                OPEN,
                name.path,
                f"{len(candidates)} water references may belong to it "
                f"({', '.join(one.path.name for one in candidates[:4])}): none is taken",
            )
            return None
    return None


def _anatomy(dataset: Dataset, name: Name, meta: dict) -> Path | None:
    if path := _named(dataset, name, meta.get("AnatomicalImage"), "AnatomicalImage"):
        return path
    own = [one for one in dataset.images("T1w") if one.labels.get("sub") == name.labels.get("sub")]
    own = [one for one in own if "desc" not in one.labels and "space" not in one.labels]
    session = name.labels.get("ses")
    here = [one for one in own if one.labels.get("ses") == session]
    beside = [one for one in own if "ses" not in one.labels] if session else []
    for candidates, said in ((here, ""), (beside, "the T1w that stands beside the sessions")):
        if len(candidates) == 1:
            if said:
                dataset.note(
                    GUESS,
                    name.path,
                    f"{said}, {candidates[0].path.name}: right only if it was measured in the "
                    "same session or brought to its place",
                )
            return candidates[0].path
        if candidates:
            dataset.note(
                OPEN,
                name.path,
                f"{len(candidates)} T1w ({', '.join(one.path.name for one in candidates[:4])}), "
                "and its sidecar has no AnatomicalImage: none is taken",
            )
            return None
    if own:
        dataset.note(
            OPEN,
            name.path,
            "no T1w of its session; those of others show the head in another place: none is taken",
        )
    return None


def _events(dataset: Dataset, name: Name, meta: dict) -> Path | None:
    paths = [one for one in dataset.inherited(name, "events", ".tsv")]
    usable = [path for path in paths if _holds_events(path)]
    for path in paths:
        if path not in usable:
            dataset.note(LEFT, path, "no columns onset, duration and trial_type")
    if usable and usable[-1].parent != name.path.parent:
        dataset.note(GUESS, name.path, f"events by inheritance, {usable[-1].name}")
    return usable[-1] if usable else None


def _holds_events(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.readline(65536).decode("utf-8-sig", "replace").split()
    return {"onset", "duration", "trial_type"} <= set(header)


def _fmri(dataset: Dataset, name: Name, scan: FoundScan) -> None:
    """The BOLD run of the same session and task, as fMRIPrep leaves it in the space of the T1w."""
    raw = [
        one
        for one in dataset.images("bold")
        if one.agrees(name, ("sub", "ses", "task"))
        and one.labels.get("task") == scan.columns["task"]
    ]
    done = []
    for folder in sorted(dataset.root.glob("derivatives/*/" + f"sub-{name.labels.get('sub')}")):
        for path in sorted(folder.rglob("*_space-T1w_*desc-preproc_bold.nii.gz")):
            one = parsed(path)
            if (
                one
                and one.agrees(name, ("sub", "ses"))
                and (one.labels.get("task") == name.labels.get("task"))
            ):
                done.append(one)
    if len(done) > 1:
        dataset.note(OPEN, name.path, f"{len(done)} BOLD runs of its task: none is taken")
        return
    if not done:
        if raw:
            dataset.note(
                LEFT,
                raw[0].path,
                "a raw BOLD run: fMRIPrep's output in the space of the T1w is looked for below "
                "derivatives",
            )
        return
    (run,) = done
    scan.files["bold"] = run.path
    dataset.note(GUESS, name.path, f"the BOLD run of the same session and task, {run.path.name}")
    source = next((one for one in raw if one.agrees(run, ("run",))), None)
    if source and (events := dataset.inherited(source, "events", ".tsv")):
        scan.files["bold_events"] = events[-1]
    stem = run.path.name.partition("_space-")[0]
    confounds = run.path.parent / f"{stem}_desc-confounds_timeseries.tsv"
    if confounds.is_file():
        scan.files["bold_confounds"] = confounds


def _conditions(dataset: Dataset, scans: Sequence[FoundScan]) -> None:
    """Condition of scans without events that have company: by the label of the task; and the unit
    of a scan at rest with those of the same place that have events."""
    groups: dict[tuple, list[FoundScan]] = {}
    for scan in scans:
        key = tuple(scan.columns[column] for column in ("subject", "session", "acq", "voi"))
        groups.setdefault(key, []).append(scan)
    for (_, session, acq, voi), group in groups.items():
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
        if resting and active:
            unit = f"{session}{acq}{voi}" or "all"
            for scan in (*resting, *active):
                scan.columns["unit"] = unit
            said = f"unit {unit}: one response of the scans at rest and those with events"
            dataset.note(GUESS, active[0].path, said)

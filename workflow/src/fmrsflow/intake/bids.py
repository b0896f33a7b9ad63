"""Scans of a BIDS dataset (BIDS 1.10, magnetic resonance spectroscopy).

Entities are identity: companions of a scan are found by them, by what its sidecar names and by the
inheritance principle, never by a folder that happens to hold one file.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fmrsflow.convert.boxes import box_distance_mm
from fmrsflow.intake.found import GUESS, LEFT, OPEN, SAME_PLACE_MM, FoundScan, Note, Unusable
from fmrsflow.intake.protocol import SAME_TE_S, place_of, protocol_of, sidecar_problem

ENTITIES = ("sub", "ses", "task", "acq", "nuc", "voi", "rec", "run", "echo", "inv")
"""Entities of spectra in the order of the standard."""

INDICES = ("run", "echo", "inv")
"""Entities that are numbers: run-1 is run-01."""

COLUMNS = {
    "subject": "sub", "session": "ses", "task": "task", "acq": "acq", "voi": "voi", "run": "run"
}  # fmt: skip
"""Columns of scans.tsv by entity."""

REST_WORDS = ("rest", "resting", "restingstate", "baseline", "fixation")
"""Labels of tasks in which nothing is done."""

IMAGES = (".nii.gz", ".nii")

SHOWN = 4
"""Names that a note lists."""


@dataclass(frozen=True)
class Name:
    """A BIDS name taken apart: entities, suffix, and the path."""

    path: Path
    entities: tuple[tuple[str, str], ...]
    suffix: str

    @cached_property
    def labels(self) -> dict[str, str]:
        """Entity -> label as it is written."""
        return dict(self.entities)

    @cached_property
    def identity(self) -> dict[str, str]:
        """Entity -> label, numbers without zeros before them: what names are compared by."""
        return {
            key: str(int(label)) if key in INDICES and label.isdigit() else label
            for key, label in self.entities
        }

    def within(self, other: Name) -> bool:
        """Whether all its entities are those of another name, which may have more."""
        return all(other.identity.get(key) == label for key, label in self.identity.items())

    def agrees(self, other: Name, keys: Iterable[str]) -> bool:
        """Whether no entity of these differs where both names have it."""
        return all(
            key not in self.identity
            or key not in other.identity
            or self.identity[key] == other.identity[key]
            for key in keys
        )

    def same(self, other: Name, keys: Iterable[str]) -> bool:
        """Whether both have these entities alike, or not at all."""
        return all(self.identity.get(key) == other.identity.get(key) for key in keys)


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
        self.by_folder: dict[tuple[Path, str], list[Name]] = {}
        for path in sorted(_below(root)):
            name = parsed(path)
            if name is None:
                if "_svs.nii" in path.name:
                    self.note(LEFT, path, "no BIDS name (entity-label pairs and the suffix svs)")
            elif said := self._misplaced(name):
                if name.suffix in ("svs", "mrsref", "T1w", "events", "bold"):
                    self.note(LEFT, path, said)
            else:
                self.by_suffix.setdefault(name.suffix, []).append(name)
                self.by_folder.setdefault((path.parent, name.suffix), []).append(name)

    def _misplaced(self, name: Name) -> str:
        """Why a name says another person or session than its folders; "" where it does not."""
        inner = name.path.relative_to(self.root).parts[:-1]
        for key, place in (("sub", 0), ("ses", 1)):
            folder = inner[place] if len(inner) > place else ""
            if not folder.startswith(f"{key}-"):
                continue
            own = name.labels.get(key)
            if own != folder.removeprefix(f"{key}-") and (own or name.path.name.endswith(IMAGES)):
                return f"its name and its folder {folder} disagree, so whose it is is not known"
        return ""

    def note(self, kind: str, path: Path, said: str) -> None:
        """A line for the list."""
        self.notes.append(Note(kind, str(path), said))

    def images(self, suffix: str, folder: Path | None = None) -> list[Name]:
        """Names of images of a suffix, of all folders or one."""
        found = self.by_folder if folder else self.by_suffix
        names = found.get((folder, suffix) if folder else suffix, ())
        return [one for one in names if one.path.name.endswith(IMAGES)]

    def applying(self, name: Name, suffix: str, ending: str) -> list[list[Name]]:
        """Files of that suffix and ending that apply to a name (inheritance principle): in its
        folder or above, with entities that are its own; a list a folder, the nearest last."""
        inner = name.path.parent.relative_to(self.root).parts
        found = []
        for depth in range(len(inner) + 1):
            here = self.by_folder.get((self.root.joinpath(*inner[:depth]), suffix), ())
            own = [one for one in here if one.path.name.endswith(ending) and one.within(name)]
            if own:
                found.append(sorted(own, key=lambda one: len(one.entities)))
        return found

    def sidecar(self, name: Name) -> dict:
        """Metadata of a name; nearer files win, and of one folder those of more entities.

        Values on which two files of a folder differ, of which none is for fewer names than the
        other, are left out with a note.

        Raises
        ------
        Unusable
            One of them is no JSON object.
        """
        content: dict = {}
        for files in self.applying(name, name.suffix, ".json"):
            read = [(one, _json(one.path)) for one in files]
            for _, found in read:
                content |= found
            for number, (one, found) in enumerate(read):
                for other, values in read[number + 1 :]:
                    keys = [key for key in found if values.get(key, found[key]) != found[key]]
                    if keys and not one.within(other):
                        for key in keys:
                            content.pop(key, None)
                        said = f"{one.path.name} and {other.path.name} differ, and both apply"
                        self.note(OPEN, name.path, said)
        return content

    def intended(self, name: Name) -> set[Path] | None:
        """Files that the sidecar of a name says it is for; None where it says nothing."""
        try:
            value = self.sidecar(name).get("IntendedFor")
        except Unusable:
            return None
        texts = [one for one in _listed(value) if isinstance(one, str)]
        if not texts:
            return None
        return {path for text in texts if (path := self.resolved(name, text)) is not None}

    def resolved(self, name: Name, text: str) -> Path | None:
        """The file that a sidecar names, a BIDS URI or a path below the person's folder or the
        root; None where it is not in this dataset."""
        text = text.removeprefix("bids::")
        if re.match(r"[A-Za-z][\w.+-]*:", text) or "\0" in text:
            return None  # of another dataset
        person = self.root / f"sub-{name.labels.get('sub', '')}"
        for folder in (self.root, person, name.path.parent):
            try:
                path = (folder / text).resolve().relative_to(self.root.resolve())
            except (ValueError, OSError):
                continue
            # As it is written: a link of git-annex leads to a file without a name.
            plain = folder / text
            if (there := _there(plain)) and ".." not in Path(text).parts:
                return plain
            if there and _there(self.root / path):
                return self.root / path
        return None


def _there(path: Path) -> bool:
    try:
        return path.is_file() or path.is_symlink()
    except OSError:
        return False


def _json(path: Path) -> dict:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError):
        found = None
    if not isinstance(found, dict):
        raise Unusable(f"its sidecar {path.name} is no JSON object")
    return found


def _listed(value) -> list:
    return value if isinstance(value, list) else [value]


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
    _shared_references(dataset, scans)
    _conditions(dataset, scans)
    return scans, list(dict.fromkeys(dataset.notes))


def _below(root: Path) -> list[Path]:
    """Files of the dataset, those of derivatives and sources not; links to data that were not
    fetched are files."""
    found = [one for one in root.iterdir() if one.is_file()]
    for person in sorted(root.glob("sub-*")):
        found += [one for one in person.rglob("*") if _there(one) and one.name[0] != "."]
    return found


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
    for column, find in (("ref", _reference), ("t1w", _anatomy), ("events", _events)):
        if (path := find(dataset, name, meta)) is not None:
            scan.files[column] = path
    _fmri(dataset, name, scan)
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


def _named(
    dataset: Dataset, name: Name, value, what: str, usable: Callable[[Name], str]
) -> tuple[list[Name], bool]:
    """Usable files that a sidecar names, and whether it names any: then no other is looked for.

    Parameters
    ----------
    usable : callable
        Says why a file of the same person cannot be it; "" where it can.
    """
    texts = [one for one in _listed(value) if one not in (None, "")]
    found = []
    for text in texts:
        path = dataset.resolved(name, text) if isinstance(text, str) else None
        one = parsed(path) if path else None
        if path is None:
            why = "names a file that is not there, or not in this dataset"
        elif one is None or not path.name.endswith(IMAGES):
            why = f"names {path.name}, which is no image with a BIDS name"
        elif not one.same(name, ("sub",)) or dataset._misplaced(one):
            why = "names a file of another person"
        else:
            why = usable(one)
        if why:
            dataset.note(OPEN, name.path, f"{what} of its sidecar {why}: none is taken")
        else:
            found.append(one)
    return found, bool(texts)


def _reference(dataset: Dataset, name: Name, meta: dict) -> Path | None:
    def usable(one: Name) -> str:
        if one.suffix != "mrsref":
            return f"names {one.path.name}, which is no water reference (mrsref)"
        if not one.agrees(name, ("voi", "nuc")):
            return "names one of another voxel or nucleus"
        return "" if one.same(name, ("ses",)) else "names one of another session"

    named, told = _named(dataset, name, meta.get("ReferenceSignal"), "ReferenceSignal", usable)
    if told:
        return _one_reference(dataset, name, named, "", meta) if named else None
    here = [
        one
        for one in dataset.images("mrsref", name.path.parent)
        if one.agrees(name, ("sub", "ses", "nuc"))
    ]
    meant, free = [], []
    for one in here:
        files = dataset.intended(one)
        if files is None:
            free.append(one)
        elif name.path in files:
            meant.append(one)
    free = [one for one in free if one.agrees(name, ("acq", "voi"))]
    exact = [one for one in free if one.identity == name.identity]
    known = {"acq", *name.identity}
    inner = [one for one in free if one.within(name)] or [
        one for one in free if one.agrees(name, ENTITIES) and set(one.identity) <= known
    ]
    rest = [key for key in ENTITIES if key != "task"]
    others = [
        one
        for one in free
        if not one.agrees(name, ("task",))
        and one.agrees(name, rest)
        and set(one.identity) <= known | {"task"}
    ]
    for candidates, said in (
        (meant, ""),
        (exact, ""),
        (inner, "the water reference of these entities"),
        (
            others,
            "the water reference of another task of the session: the same place, if the head "
            "stayed",
        ),
    ):
        if candidates:
            return _one_reference(dataset, name, candidates, said, meta)
    if maybe := [one for one in free if one.agrees(name, ENTITIES)]:
        said = f"{len(maybe)} water references may belong to it ({_some(maybe)}): none is taken"
        dataset.note(OPEN, name.path, said)
    elif here:
        said = f"{_some(here)} in its folder: of other scans by entities or IntendedFor, not taken"
        dataset.note(OPEN, name.path, said)
    return None


def _one_reference(
    dataset: Dataset, name: Name, candidates: Sequence[Name], said: str, meta: dict
) -> Path | None:
    """The only one of the scan's echo time, and, where names do not prove it (`said`), place. One
    that names prove alone may have another echo time, which counts in the water's relaxation."""
    te_s = protocol_of(name.path, meta)[0].get("te_s")

    def unlike(one: Name) -> str:
        try:
            own = protocol_of(one.path, dataset.sidecar(one))[0].get("te_s")
        except Unusable as error:
            return str(error)
        if te_s and own and abs(own - te_s) > SAME_TE_S:
            differs = f"echo time {1e3 * own:g} ms, not {1e3 * te_s:g} ms"
            if said or len(candidates) > 1:
                return differs
            dataset.note(GUESS, name.path, f"the water reference {one.path.name}, {differs}")
        places = place_of(name.path), place_of(one.path)
        if said and all(place is not None for place in places):
            far = box_distance_mm(*places)
            if not math.isfinite(far) or far > SAME_PLACE_MM:
                return "another voxel, by its header"
        return ""

    whys = {one: unlike(one) for one in candidates}
    left = [one for one in candidates if not whys[one]]
    if len(left) == 1:
        if said or len(candidates) > 1:
            why = said or "of those that may be meant the one of its echo time"
            dataset.note(GUESS, name.path, f"{why}, {left[0].path.name}")
        return left[0].path
    if left:
        said = f"{len(left)} water references may belong to it ({_some(left)}): none is taken"
    else:
        one = candidates[0]
        said = f"the water reference {one.path.name} is not taken: {whys[one]}"
    dataset.note(OPEN, name.path, said)
    return None


def _some(names: Sequence[Name]) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return ", ".join(one.path.name for one in names[:SHOWN]) + more


def _shared_references(dataset: Dataset, scans: Sequence[FoundScan]) -> None:
    """No reference of two voxels: where names leave open of which it is, none has it."""
    users: dict[Path, list[FoundScan]] = {}
    for scan in scans:
        if "ref" in scan.files:
            users.setdefault(scan.files["ref"], []).append(scan)
    for path, several in users.items():
        if len({parsed(scan.path).identity.get("voi") for scan in several}) < 2:
            continue
        for scan in several:
            if place_of(scan.path) is None or place_of(path) is None:
                del scan.files["ref"]
                said = f"{path.name} may belong to {len(several)} voxels: not taken"
                dataset.note(OPEN, scan.path, said)


def _anatomy(dataset: Dataset, name: Name, meta: dict) -> Path | None:
    session = name.labels.get("ses")

    def usable(one: Name) -> str:
        if one.suffix != "T1w":
            return f"names {one.path.name}, which is no T1w"
        if "space" in one.labels:
            return "names one in a space that is not the scanner's"
        return ""

    named, told = _named(dataset, name, meta.get("AnatomicalImage"), "AnatomicalImage", usable)
    if told:
        if len(named) > 1:
            said = f"AnatomicalImage names {len(named)} T1w ({_some(named)}): none is taken"
            dataset.note(OPEN, name.path, said)
        if len(named) != 1:
            return None
        if named[0].labels.get("ses") != session:
            said = f"the T1w that its sidecar names, {named[0].path.name}, {_ANOTHER}"
            dataset.note(GUESS, name.path, said)
        return named[0].path
    own = _t1w_of(dataset, name)
    meant = [one for one in own if name.path in (dataset.intended(one) or ())]
    own = meant or [one for one in own if not _for_other_spectra(dataset, one)]
    here = [one for one in own if one.labels.get("ses") == session]
    beside = [one for one in own if "ses" not in one.labels] if session else []
    for candidates, said in ((here, ""), (beside, "the T1w that stands beside the sessions")):
        if len(candidates) == 1:
            if said:
                dataset.note(GUESS, name.path, f"{said}, {candidates[0].path.name}, {_ANOTHER}")
            return candidates[0].path
        if candidates:
            dataset.note(
                OPEN,
                name.path,
                f"{len(candidates)} T1w ({_some(candidates)}), "
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


_ANOTHER = "right only if it was measured in the same session or brought to its place"


def _t1w_of(dataset: Dataset, name: Name) -> list[Name]:
    """T1-weighted images of a person as the scanner made them."""
    return [
        one
        for one in dataset.images("T1w")
        if one.same(name, ("sub",))
        and not {"desc", "space"} & set(one.labels)
        and one.labels.get("part", "mag") == "mag"
    ]


def _for_other_spectra(dataset: Dataset, image: Name) -> bool:
    """Whether an image is said to be for spectra: asked where it is not for those at hand."""
    return any(
        (one := parsed(path)) and one.suffix == "svs" for path in dataset.intended(image) or ()
    )


def _events(dataset: Dataset, name: Name, meta: dict) -> Path | None:
    paths = dataset.applying(name, "events", ".tsv")
    good = [[one for one in here if _holds_events(one.path)] for here in paths]
    for here, kept in zip(paths, good):
        for one in here:
            if one not in kept:
                dataset.note(LEFT, one.path, "no columns onset, duration and trial_type")
    for usable in filter(None, reversed(good)):
        best = usable[-1]
        if not all(one.within(best) for one in usable):
            dataset.note(OPEN, name.path, f"{_some(usable)} all apply to it: none is taken")
            return None
        if "task" in name.labels and "task" not in best.labels:
            said = f"{best.path.name} names no task, and it may be of another: not taken"
            dataset.note(OPEN, name.path, said)
            return None
        if best.identity != name.identity:
            said = f"events by inheritance, {best.path.name}, which other scans may have too"
            dataset.note(GUESS, name.path, said)
        return best.path
    if paths:
        return None
    task = name.labels.get("task")
    folder = dataset.by_folder.get((name.path.parent, "events"), ())
    near = [one for one in folder if one.labels.get("task") == task]
    if near and (task or "").lower() not in REST_WORDS:
        said = f"events of other entities ({_some(near)}): none is taken"
        dataset.note(OPEN, name.path, said)
    return None


def _holds_events(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            header = file.readline(65536).decode("utf-8-sig", "replace").split()
    except OSError:
        return False
    return {"onset", "duration", "trial_type"} <= set(header)


def _fmri(dataset: Dataset, name: Name, scan: FoundScan) -> None:
    """The BOLD run of the same session and task, as fMRIPrep leaves it in the space of the T1w."""
    task = name.labels.get("task")
    raw = [
        one
        for one in dataset.images("bold")
        if task
        and one.same(name, ("sub", "ses", "task"))
        and one.labels.get("part", "mag") == "mag"
    ]
    done = []
    for folder in sorted(dataset.root.glob("derivatives/*/" + f"sub-{name.labels.get('sub')}")):
        for path in sorted(folder.rglob("*_space-T1w_*desc-preproc_bold.nii.gz")):
            one = parsed(path)
            if one and task and one.same(name, ("sub", "ses", "task")):
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
    if any(not one.same(name, ("ses",)) for one in _t1w_of(dataset, name)):
        dataset.note(
            OPEN,
            name.path,
            "a BOLD run in the space of a T1w that may be of another session: not taken",
        )
        return
    scan.files["bold"] = run.path
    dataset.note(GUESS, name.path, f"the BOLD run of the same session and task, {run.path.name}")
    keys = ("acq", "ce", "rec", "dir", "run")
    sources = [one for one in raw if one.same(run, keys)]
    if sources and (events := _events(dataset, sources[0], {})):
        scan.files["bold_events"] = events
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
        if resting and active:
            unit = f"{session}{acq}{voi}" or "all"
            while units.setdefault((subject, unit), key) != key:
                unit += "x"  # session 1 of acq 2x is not session 12 of acq x
            for scan in (*resting, *active):
                scan.columns["unit"] = unit
            said = f"unit {unit}: one response of the scans at rest and those with events"
            dataset.note(GUESS, active[0].path, said)

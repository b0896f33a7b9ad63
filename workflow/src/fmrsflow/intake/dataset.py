"""A BIDS dataset (BIDS 1.10): names taken apart, sidecars and their inheritance."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fmrsflow.files import read_json
from fmrsflow.intake.found import LEFT, OPEN, Note, Unusable

ENTITIES = ("sub", "ses", "task", "acq", "nuc", "voi", "rec", "run", "echo", "inv")
"""Entities of spectra in the order of the standard."""

INDICES = ("run", "echo", "inv")
"""Entities that are numbers: run-1 is run-01."""

IMAGES = (".nii.gz", ".nii")


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
            elif said := self.misplaced(name):
                if name.suffix in ("svs", "mrsref", "T1w", "events", "bold"):
                    self.note(LEFT, path, said)
            else:
                self.by_suffix.setdefault(name.suffix, []).append(name)
                self.by_folder.setdefault((path.parent, name.suffix), []).append(name)

    def misplaced(self, name: Name) -> str:
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
        texts = [one for one in listed(value) if isinstance(one, str)]
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
        found = read_json(path)
    except (ValueError, OSError):
        found = None
    if not isinstance(found, dict):
        raise Unusable(f"its sidecar {path.name} is no JSON object")
    return found


def listed(value) -> list:
    """A value of a sidecar as a list; one that is none is its only entry."""
    return value if isinstance(value, list) else [value]


def _below(root: Path) -> list[Path]:
    """Files of the dataset, those of derivatives and sources not; links to data that were not
    fetched are files."""
    found = [one for one in root.iterdir() if one.is_file()]
    for person in sorted(root.glob("sub-*")):
        found += [one for one in person.rglob("*") if _there(one) and one.name[0] != "."]
    return found

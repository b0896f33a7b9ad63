"""What belongs to a scan of a BIDS dataset: its water reference, T1w, events and BOLD run.

They are found by entities, by what the scan's sidecar names and by the inheritance principle, never
by a folder that happens to hold one file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from fmrsflow.convert.boxes import box_distance_mm
from fmrsflow.intake.dataset import ENTITIES, IMAGES, Dataset, Name, listed, parsed
from fmrsflow.intake.found import (
    GUESS,
    LEFT,
    OPEN,
    REST_WORDS,
    SAME_PLACE_MM,
    FoundScan,
    Unusable,
    holds_events,
)
from fmrsflow.intake.protocol import SAME_TE_S, place_of, protocol_of

SHOWN = 4
"""Names that a note lists."""


def add_companions(dataset: Dataset, name: Name, meta: dict, scan: FoundScan) -> None:
    """Give a scan the files that belong to it, and note what is guessed, missing or left out.

    Parameters
    ----------
    name : Name
        Of its spectra.
    meta : dict
        Their sidecar (`Dataset.sidecar`).
    """
    for column, find in (("ref", _reference), ("t1w", _anatomy), ("events", _events)):
        if (path := find(dataset, name, meta)) is not None:
            scan.files[column] = path
    _fmri(dataset, name, scan)


def _named(
    dataset: Dataset, name: Name, value, what: str, usable: Callable[[Name], str]
) -> tuple[list[Name], bool]:
    """Usable files that a sidecar names, and whether it names any: then no other is looked for.

    Parameters
    ----------
    usable : callable
        Says why a file of the same person cannot be it; "" where it can.
    """
    texts = [one for one in listed(value) if one not in (None, "")]
    found = []
    for text in texts:
        path = dataset.resolved(name, text) if isinstance(text, str) else None
        one = parsed(path) if path else None
        if path is None:
            why = "names a file that is not there, or not in this dataset"
        elif one is None or not path.name.endswith(IMAGES):
            why = f"names {path.name}, which is no image with a BIDS name"
        elif not one.same(name, ("sub",)) or dataset.misplaced(one):
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
        """Why a file that the sidecar names is no reference of the scan; "" where it may be."""
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
        """Why a reference is not of the scan, by sidecar and header; "" where nothing says so."""
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


def _anatomy(dataset: Dataset, name: Name, meta: dict) -> Path | None:
    session = name.labels.get("ses")

    def usable(one: Name) -> str:
        """Why an image that the sidecar names is no T1w of the scan; "" where it may be."""
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
    good = [[one for one in here if holds_events(one.path)] for here in paths]
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


def check_references(dataset: Dataset, scans: Sequence[FoundScan]) -> None:
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

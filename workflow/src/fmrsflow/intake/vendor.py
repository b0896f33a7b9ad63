"""Scans in a folder of vendor files: what each file is, by its content, and what belongs together.

No name of a file or folder becomes a label unless it is one already (`sub-01`, `P07`): people call
folders after people.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fmrsflow.constants import field_of, same_field
from fmrsflow.convert.boxes import box_distance_mm
from fmrsflow.convert.edited import edited_states
from fmrsflow.convert.formats import recognise
from fmrsflow.convert.interleaved import water_rows
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError, MachineFault
from fmrsflow.fids import EDITED_UNSUPPORTED, Fids
from fmrsflow.intake.bids import REST_WORDS
from fmrsflow.intake.found import GUESS, LEFT, OPEN, FoundScan, Note
from fmrsflow.intake.protocol import FIELDS_T, from_metadata
from fmrsflow.preprocess.water import UNSUPPRESSED, remove_water, times_metabolites
from fmrsflow.study import Site
from fmrsflow.water_reference import check_acquisition

LABEL = re.compile(r"(?:sub-?)?([A-Za-z]{0,5}\d{1,6})|sub-([A-Za-z0-9]+)")
"""What is a label and no name: a few letters and a number."""

WATER_NAME = re.compile(
    r"(?:^|[^a-z])(mrsref|ref|water|h2o|w|wref|unsup\w*|nows|nosup\w*)(?=$|[^a-z])", re.IGNORECASE
)
T1W_NAME = re.compile(r"t1|mprage|bravo|tfe|spgr", re.IGNORECASE)
SAME_PLACE_MM = 1.0
LIKE = 0.6
"""Least likeness of two names, without what tells water, of a scan and its reference."""


@dataclass(frozen=True)
class _Spectra:
    """A file with spectra: what was read, and whether it is water."""

    path: Path
    fids: Fids
    own_reference: bool
    is_water: bool


def found_scans(root: Path, given: dict) -> tuple[list[FoundScan], list[Note]]:
    """Scans below a folder with their references, T1w and events, and what is to be said of them.

    Parameters
    ----------
    given : dict
        Columns of sites.tsv that a person gave: some formats tell no frequency or dwell time.
    """
    notes: list[Note] = []
    spectra, images, tables = _sorted(root, given, notes)
    scans, waters = ([one for one in spectra if one.is_water is kind] for kind in (False, True))
    labels = _labels(root, [one.path for one in scans], notes)
    found, used = [], set()
    for one in scans:
        columns = {"subject": labels[one.path][0], "session": labels[one.path][1]}
        columns |= {"task": "", "acq": "", "voi": "", "run": ""}
        scan = FoundScan(
            one.path, columns, {"mrs": one.path}, _protocol(one.fids), one.fids.n_transients
        )
        if not one.own_reference and (water := _water_of(one, waters, len(scans), notes)):
            scan.files["ref"] = water.path
            used.add(water.path)
        for column, candidates, what in (("t1w", images, "T1w"), ("events", tables, "events")):
            near = _nearest(one.path, candidates, root, len(set(labels.values())) > 1)
            if len(near) == 1:
                scan.files[column] = near[0]
                notes.append(
                    Note(GUESS, str(one.path), f"{what} {near[0].name}, the only one near")
                )
            elif near:
                said = f"{len(near)} {what} files near it: none is taken"
                notes.append(Note(OPEN, str(one.path), said))
        found.append(scan)
    for water in waters:
        if water.path not in used:
            notes.append(Note(LEFT, str(water.path), "water that belongs to no scan here"))
    _runs(found, notes)
    return found, notes


def _sorted(root: Path, given: dict, notes: list[Note]):
    """Spectra, T1-weighted images and tables of events below a folder."""
    spectra, images, tables, folders = [], [], [], set()
    for path in sorted(one for one in root.rglob("*") if one.is_file() and one.name[0] != "."):
        if path.suffix.lower() in (".spar", ".json", ".bval", ".bvec"):
            continue
        if path.suffix.lower() == ".tsv":
            tables += [path] if _holds_events(path) else []
            continue
        try:
            kind = recognise(path)
        except DataError:
            continue  # text, scripts, notes
        if kind == "dicom":
            # One folder is one series.
            if path.parent in folders or path.parent == root:
                continue
            folders.add(path.parent)
            path = path.parent
        if kind == "nifti" and (image := _plain_image(path)) is not None:
            images += [path] if image else []
            continue
        try:
            spectra.append(_read(path, given))
        except (DataError, MachineFault) as error:
            notes.append(Note(LEFT, str(path), _reason(error, path)))
    return spectra, images, tables


def _reason(error: Exception, path: Path) -> str:
    return str(error).removeprefix(f"{path.name}: ")


def _read(path: Path, given: dict) -> _Spectra:
    field_t = float(given.get("field_t", 3.0))
    site = Site(
        "unknown",
        given.get("vendor", "Siemens"),
        field_t,
        "PRESS",
        0.03,
        2.0,
        "own",
        spectral_width_hz=given.get("spectral_width_hz"),
        frequency_mhz=given.get("frequency_mhz"),
    )
    found = read(path, site)
    fids = found.fids
    if (own := water_rows(fids, "", True)).any():
        fids = replace(fids.select(~own))
    if fids.nucleus != "1H":
        raise DataError(f"its nucleus is {fids.nucleus[:8]}; this workflow is for 1H")
    if (inversion := fids.header.get("InversionTime")) and inversion > 0:
        raise DataError(f"measured after an inversion (TI {inversion:g}): no scan of metabolites")
    if states := edited_states(fids):
        raise DataError(f"{states}: {EDITED_UNSUPPORTED}")
    named = bool(WATER_NAME.search(path.stem)) or path.suffix.lower() == ".h2o"
    water = _water_times(fids) > UNSUPPRESSED
    return _Spectra(path, fids, found.reference is not None or own.any(), water or named)


def _water_times(fids: Fids) -> float:
    """Height of the water over that of the highest metabolite, in the mean of the best coil."""
    mean = fids.data.mean(axis=0)
    best = int(np.argmax((np.abs(mean) ** 2).sum(axis=1)))
    one = fids.with_data(mean[None, best : best + 1])
    clean, removed = remove_water(one)
    return times_metabolites(one.with_data(removed.fids), clean)


def _protocol(fids: Fids) -> dict:
    found = from_metadata({"EchoTime": fids.te_s, "RepetitionTime": fids.tr_s})
    field_t = field_of(fids.frequency_mhz)
    if nominal := [one for one in FIELDS_T if same_field(field_t, one)]:
        found["field_t"] = nominal[0]
    if fids.told.vendor:
        found["vendor"] = fids.told.vendor
    if family := fids.told.family or fids.told.named_family:
        found["sequence"] = family
    return found


def _plain_image(path: Path) -> bool | None:
    """Whether an image without spectra is T1-weighted by its name; None where it holds spectra."""
    import nibabel as nib

    try:
        image = nib.load(path)
    except (OSError, ValueError, EOFError, nib.filebasedimages.ImageFileError):
        return None
    if image.get_data_dtype().kind == "c":
        return None
    return len(image.shape) == 3 and bool(T1W_NAME.search(path.name))


def _holds_events(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.readline(65536).decode("utf-8-sig", "replace").split()
    return {"onset", "duration", "trial_type"} <= set(header)


def _water_of(scan: _Spectra, waters: Sequence[_Spectra], n_scans: int, notes: list[Note]):
    """The reference of a scan: of its folder, acquisition and voxel, and of the likest name."""
    near = [one for one in waters if one.path.parent == scan.path.parent and _fits(one, scan)]
    if not near:
        return None
    likeness = [
        difflib.SequenceMatcher(None, _bare(one.path), _bare(scan.path)).ratio() for one in near
    ]
    best = max(likeness)
    chosen = [one for one, like in zip(near, likeness) if like == best]
    if len(chosen) > 1 or (best < LIKE and (len(near) > 1 or n_scans > 1)):
        notes.append(
            Note(
                OPEN, str(scan.path), f"{len(near)} water references may be its own: none is taken"
            )
        )
        return None
    if _bare(chosen[0].path) != _bare(scan.path):
        said = f"the water reference {chosen[0].path.name}, by folder, voxel and name"
        notes.append(Note(GUESS, str(scan.path), said))
    return chosen[0]


def _bare(path: Path) -> str:
    return re.sub(r"[^a-z0-9]|act$", "", WATER_NAME.sub("", path.stem).lower())


def _fits(water: _Spectra, scan: _Spectra) -> bool:
    try:
        check_acquisition(water.fids, scan.fids)
    except DataError:
        return False
    affines = water.fids.affine, scan.fids.affine
    return any(one is None for one in affines) or box_distance_mm(*affines) <= SAME_PLACE_MM


def _nearest(path: Path, candidates: Sequence[Path], root: Path, several: bool) -> list[Path]:
    """Those in the folder of a file, else those of the first folder above it that has any; where
    there are several people only files of the same one."""
    if several:
        candidates = [one for one in candidates if _owner(root, one) == _owner(root, path)]
    for folder in path.parents:
        if here := [one for one in candidates if folder in one.parents]:
            return here
        if folder == root:
            break
    return []


def _owner(root: Path, path: Path) -> str:
    """Whose file it is: the label after `sub-` in its path, else the folder below the root, else
    its own name."""
    inner = path.relative_to(root)
    if found := re.search(r"(?:^|[/_])(sub-[A-Za-z0-9]+)", str(inner)):
        return found[1]
    return inner.parts[0] if len(inner.parts) > 1 else path.name


def _labels(root: Path, paths: Sequence[Path], notes: list[Note]) -> dict[Path, tuple[str, str]]:
    """Subject and session of each scan."""
    owners: dict[str, list[Path]] = {}
    for path in paths:
        owners.setdefault(_owner(root, path), []).append(path)
    names = [LABEL.fullmatch(owner) for owner in owners]
    given = [match[1] or match[2] for match in names if match]
    found = {}
    for number, (owner, match) in enumerate(zip(owners, names), start=1):
        own = match and (match[1] or match[2])
        plain = own and given.count(own) == 1
        label = own if plain else f"{number:02d}"
        for path in owners[owner]:
            session = re.search(r"(?:^|[/_])ses-([A-Za-z0-9]+)", str(path.relative_to(root)))
            found[path] = (label, session[1] if session else "")
            if not plain:
                said = f"subject {label}: folders and files in the order of their names"
                notes.append(Note(GUESS, str(path), said))
    return found


def _runs(scans: Sequence[FoundScan], notes: list[Note]) -> None:
    """Conditions and runs of people with several scans."""
    groups: dict[tuple, list[FoundScan]] = {}
    for scan in scans:
        groups.setdefault((scan.columns["subject"], scan.columns["session"]), []).append(scan)
    for group in groups.values():
        if len(group) < 2:
            continue
        for number, scan in enumerate(group, start=1):
            words = re.findall(r"[a-z]+", scan.path.stem.lower())
            if "events" not in scan.files and set(words) & set(REST_WORDS):
                scan.columns["condition"] = "rest"
                notes.append(Note(GUESS, str(scan.path), "condition rest, by its name"))
            scan.columns["run"] = str(number)
            said = f"run {number} of {len(group)} of this person, in the order of their names"
            notes.append(Note(GUESS, str(scan.path), said))

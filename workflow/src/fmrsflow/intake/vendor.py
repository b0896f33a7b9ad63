"""Scans in a folder of vendor files: what each file is, by its content, and what belongs together.

No name of a file or folder becomes a label unless it is one already (`sub-01`, `P07`): people call
folders after people.
"""

from __future__ import annotations

import difflib
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fmrsflow.constants import field_of, same_field
from fmrsflow.convert.boxes import box_distance_mm
from fmrsflow.convert.edited import edited_states
from fmrsflow.convert.formats import ENDINGS, recognise
from fmrsflow.convert.interleaved import water_rows
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError, MachineFault
from fmrsflow.fids import EDITED_UNSUPPORTED, Fids
from fmrsflow.intake.found import (
    GUESS,
    LEFT,
    OPEN,
    REST_WORDS,
    SAME_PLACE_MM,
    FoundScan,
    Note,
    holds_events,
)
from fmrsflow.intake.protocol import FIELDS_T, SAME_TE_S, from_metadata
from fmrsflow.preprocess.water import UNSUPPRESSED, remove_water, times_metabolites
from fmrsflow.study import Site
from fmrsflow.tables import MISSING
from fmrsflow.water_reference import check_acquisition

LABEL = re.compile(r"(?:sub-?)?([A-Za-z]{0,5}\d{1,6})|sub-([A-Za-z0-9]+)")
"""What is a label and no name: a few letters and a number."""

WATER_NAME = re.compile(
    r"(?:^|[^a-z])(mrsref|ref|water|h2o|w|wref|unsup\w*|nows|nosup\w*)(?=$|[^a-z])", re.IGNORECASE
)
SCAN_NAME = re.compile(r"(?:^|[^a-z])(act|metab|ws)(?=$|[^a-z])", re.IGNORECASE)
"""What a scan is called in whose reference's name a word of `WATER_NAME` stands."""

T1W_NAME = re.compile(r"t1(?![0-9])|mprage|bravo|tfe|spgr", re.IGNORECASE)
NO_T1W_NAME = re.compile(
    r"t1[^a-z0-9]*(map|rho)|pve|prob|seg|mask|mni|relax|(?:^|[^a-z])[mw]?c[1-6]|(?:^|[^a-z])t2",
    re.IGNORECASE,
)
"""Maps of T1 and of tissue, masks, images in another space."""

SESSION = re.compile(r"(?:^|[/_])ses-([A-Za-z0-9]+)")
VISIT = re.compile(
    r"(ses|session|visit|day|time|timepoint|tp|week|month|pre|post)[-_ ]?\d*"
    r"|(19|20)\d\d[-_]?\d\d[-_]?\d\d",
    re.IGNORECASE,
)
"""Names of folders of one session of a person."""

SESSION_NAME = re.compile(
    r"(ses|session|visit|day|time|tp|t|scan|run|series|mrs|svs|pre|post|\d)", re.IGNORECASE
)
"""Starts of names of folders within one person's."""

DATA_ENDINGS = (*(one for one in ENDINGS if one != ".txt"), ".data", ".list")
"""Ends of names of spectra and images: what is none of them in spite of such a name is listed."""

LIKE = 0.6
"""Least likeness of two names, without what tells water, of a scan and its reference."""

LEAST_WATER = 10.0
"""Height of the water over the metabolites below which a file called reference is none."""


@dataclass(frozen=True)
class _Spectra:
    """A file with spectra: what was read, whether it is water, and whether its field is known."""

    path: Path
    fids: Fids
    own_reference: bool
    is_water: bool
    field_told: bool


def found_scans(
    root: Path, given: dict, standing: Mapping[Path, dict]
) -> tuple[list[FoundScan], list[Note]]:
    """Scans below a folder with their references, T1w and events, and what is to be said of them.

    Parameters
    ----------
    given : dict
        Columns of sites.tsv that a person gave: some formats tell no frequency or dwell time.
    standing : dict
        Path of spectra -> row of scans.tsv, of the rows that the site has: their labels stay.
    """
    notes: list[Note] = []
    spectra, images, tables = _sorted(root, given, notes)
    scans, waters = ([one for one in spectra if one.is_water is kind] for kind in (False, True))
    labels = _labels(root, [one.path for one in scans], standing, notes)
    references = _references(root, scans, waters, notes)
    beside = _Beside(root, [one.path for one in scans], [one.path for one in spectra])
    found = []
    for one in scans:
        subject, session, numbered = labels[one.path]
        columns = {"subject": subject, "session": session}
        columns |= {"task": "", "acq": "", "voi": "", "run": ""}
        files, protocol = {"mrs": one.path}, _protocol(one.fids, one.field_told)
        if one.path in references:
            files["ref"] = references[one.path]
        for column, path in (
            ("t1w", beside.t1w(one.path, images, notes)),
            ("events", beside.events(one.path, tables, notes)),
        ):
            if path:
                files[column] = path
        found.append(FoundScan(one.path, columns, files, protocol, one.fids.n_transients, numbered))
    for water in waters:
        if water.path not in references.values():
            notes.append(Note(LEFT, str(water.path), "water that belongs to no scan here"))
    return found, notes


def _sorted(root: Path, given: dict, notes: list[Note]):
    """Spectra, T1-weighted images and tables of events below a folder."""
    spectra, images, tables, folders = [], [], [], set()
    for path in sorted(one for one in root.rglob("*") if one.name[0] != "."):
        if not path.is_file():
            if path.is_symlink() and not path.exists():
                notes.append(Note(LEFT, str(path), "a link to nothing: fetch or copy the file"))
            continue
        if path.suffix.lower() in (".spar", ".json", ".bval", ".bvec"):
            continue
        if path.suffix.lower() == ".tsv":
            tables += [path] if holds_events(path) else []
            continue
        try:
            kind = recognise(path)
        except (DataError, OSError) as error:
            # Text, scripts and notes of people are not listed.
            if path.name.lower().endswith(DATA_ENDINGS) or isinstance(error, OSError):
                notes.append(Note(LEFT, str(path), _reason(error, path)))
            continue
        if kind == "dicom":
            if path.parent == root:
                said = "DICOM at the top: a folder is one series; move it into one of its own"
                notes.append(Note(LEFT, str(path), said))
                continue
            if path.parent in folders:
                continue
            folders.add(path.parent)
            path = path.parent
        if kind == "nifti" and (image := _plain_image(path)) is not None:
            images += [path] if image else []
            if not image:
                notes.append(Note(LEFT, str(path), "an image that is no T1w by its name and shape"))
            continue
        try:
            spectra.append(_read(path, given))
        except (DataError, MachineFault) as error:
            notes.append(Note(LEFT, str(path), _reason(error, path)))
    return spectra, images, tables


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
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
    try:
        found = read(path, site)
    except DataError as error:
        if "spectral_width_hz" not in str(error):
            raise
        raise DataError(
            "it tells no dwell time: call again with --protocol spectral_width_hz=VALUE"
        ) from None
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
    times = _water_times(fids)
    if named and not times > LEAST_WATER:
        raise DataError(
            f"its name says water reference, and its water is {times:.1f} times as high as the "
            "metabolites: neither a scan nor a reference until it has another name"
        )
    # What a reader assumed (LCModel RAW) is of the made-up site above, and nobody's.
    told = not (found.format == "lcmodel" and fids.told.notes) or "field_t" in given
    own_reference = found.reference is not None or bool(own.any())
    return _Spectra(path, fids, own_reference, times > UNSUPPRESSED or named, told)


def _water_times(fids: Fids) -> float:
    """Height of the water over that of the highest metabolite, in the mean of the best coil."""
    mean = fids.data.mean(axis=0)
    best = int(np.argmax((np.abs(mean) ** 2).sum(axis=1)))
    one = fids.with_data(mean[None, best : best + 1])
    clean, removed = remove_water(one)
    return times_metabolites(one.with_data(removed.fids), clean)


def _protocol(fids: Fids, field_told: bool) -> dict:
    found = from_metadata({"EchoTime": fids.te_s, "RepetitionTime": fids.tr_s})
    field_t = field_of(fids.frequency_mhz) if field_told else 0.0
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
    except (OSError, ValueError, EOFError, zlib.error, nib.filebasedimages.ImageFileError):
        return None
    if image.get_data_dtype().kind == "c":
        return None
    name = path.name
    return len(image.shape) == 3 and bool(T1W_NAME.search(name)) and not NO_T1W_NAME.search(name)


def _references(
    root: Path, scans: Sequence[_Spectra], waters: Sequence[_Spectra], notes: list[Note]
) -> dict[Path, Path]:
    """The reference of each scan that has one: of its person, folder, acquisition, echo time and
    voxel; by its name, and where that says nothing by the voxel."""
    found = {}
    owned = {}
    for one in scans:
        for water in waters:
            if _near(root, water, one) and _bare(water.path) == _bare(one.path):
                owned.setdefault(water.path, one.path)
    for one in scans:
        if one.own_reference:
            continue
        near = [water for water in waters if _near(root, water, one)]
        fitting = [water for water in near if not _unlike(water, one)]
        named = [water for water in fitting if _bare(water.path) == _bare(one.path)]
        if len(named) == 1:
            found[one.path] = named[0].path
            continue
        company = [other for other in scans if other is not one and _near(root, other, one)]
        free = [water for water in fitting if water.path not in owned] or fitting
        chosen = named or _likest(free, one)
        if len(chosen) == 1 and not named:
            (water,) = chosen
            placed = water.fids.affine is not None and one.fids.affine is not None
            shared = water.path in owned or any(not _unlike(water, other) for other in company)
            if placed or not (company or len(near) > 1 or _top(root, one, scans)):
                found[one.path] = water.path
                said = f"the water reference {water.path.name}, by folder, voxel and name"
                if water.path in owned:
                    said = f"the water reference {water.path.name}, by its voxel alone: its name "
                    said += f"is that of {owned[water.path].name}"
                elif shared:
                    said += "; other scans of that voxel may have it too"
                notes.append(Note(GUESS, str(one.path), said))
                continue
        if near:
            why = "may be its own" if fitting else _unlike(near[0], one)
            said = f"{len(near)} water references near it ({why}): none is taken"
            notes.append(Note(OPEN, str(one.path), said))
    return found


def _top(root: Path, scan: _Spectra, scans: Sequence[_Spectra]) -> bool:
    """Whether a scan lies with others at the top, where each may be of another person."""
    return scan.path.parent == root and sum(one.path.parent == root for one in scans) > 1


def _likest(waters: Sequence[_Spectra], scan: _Spectra) -> list[_Spectra]:
    """The one reference that there is; of several those of the likest name, if it is like."""
    if len(waters) < 2:
        return list(waters)
    likeness = [
        difflib.SequenceMatcher(None, _bare(one.path), _bare(scan.path)).ratio() for one in waters
    ]
    best = max(likeness)
    chosen = [one for one, like in zip(waters, likeness) if like == best]
    return chosen if best >= LIKE or len(chosen) > 1 else list(waters)


def _near(root: Path, one: _Spectra, other: _Spectra) -> bool:
    """Whether two files with spectra are of one person, session and folder, or of two side by side
    that are called the same but for words of water (`press`, `press_ref`); at the top, where no
    folder tells people apart, their names without what tells water have to be one but for words."""
    folders = one.path.parent, other.path.parent
    if folders[0] != folders[1] and not _side_by_side(root, *folders):
        return False
    if _session(root, one.path) != _session(root, other.path):
        return False
    if one.path.parent == root and not _SUB.search(one.path.name):
        numbers = [re.findall(r"\d+", _bare(path)) for path in (one.path, other.path)]
        return numbers[0] == numbers[1] and not _SUB.search(other.path.name)
    return _owner(root, one.path) == _owner(root, other.path)


def _side_by_side(root: Path, one: Path, other: Path) -> bool:
    """Whether two folders below the root lie in one and are called the same but for words of
    water."""
    inside = root not in (one, other) and one.parent == other.parent
    return inside and _bare(one) == _bare(other) != ""


def _bare(path: Path) -> str:
    """A name without what tells scan from reference."""
    return re.sub(r"[^a-z0-9]", "", SCAN_NAME.sub("", WATER_NAME.sub("", path.stem)).lower())


def _unlike(water: _Spectra, scan: _Spectra) -> str:
    """Why a reference is none of a scan, by their contents; "" where it may be."""
    try:
        check_acquisition(water.fids, scan.fids)
    except DataError:
        return "of another acquisition"
    times = water.fids.te_s, scan.fids.te_s
    if all(times) and abs(times[0] - times[1]) > SAME_TE_S:
        return f"echo time {1e3 * times[0]:g} ms, not {1e3 * times[1]:g} ms"
    affines = water.fids.affine, scan.fids.affine
    far = all(one is not None for one in affines) and box_distance_mm(*affines) > SAME_PLACE_MM
    return "of another voxel" if far else ""


class _Beside:
    """T1w and events beside scans, of the same person and session.

    Parameters
    ----------
    scans, spectra : sequence of Path
        Scans, and all files with spectra.
    """

    def __init__(self, root: Path, scans: Sequence[Path], spectra: Sequence[Path]):
        self.root, self.scans, self.spectra = root, scans, spectra

    def t1w(self, scan: Path, images: Sequence[Path], notes: list[Note]) -> Path | None:
        """The only T1w of the person and session of a scan."""
        near = self._nearest(scan, images, "T1w", notes)
        if len(near) == 1:
            said = f"T1w {near[0].name}, the only one near"
            notes.append(Note(GUESS, str(scan), said))
            return near[0]
        if near:
            notes.append(Note(OPEN, str(scan), f"{len(near)} T1w files near it: none is taken"))
        return None

    def events(self, scan: Path, tables: Sequence[Path], notes: list[Note]) -> Path | None:
        """The events of a scan: the only ones there, or those whose name says so."""
        near = self._nearest(scan, tables, "events", notes)
        if not near:
            return None
        own = _words(scan)
        said = {one: _words(one) - {"event", "events"} for one in near}
        named = [one for one in near if said[one] and said[one] <= own]
        most = max((len(said[one]) for one in named), default=0)
        named = [one for one in named if len(said[one]) == most]
        company = [one for one in self.scans if one.parent == scan.parent and one != scan]
        company = [one for one in company if self._owner(one) == self._owner(scan)]
        rest = bool(own & set(REST_WORDS))
        if len(named) == 1:
            notes.append(Note(GUESS, str(scan), f"events {named[0].name}, by place and name"))
            return named[0]
        if len(near) == 1 and not company and not rest:
            notes.append(Note(GUESS, str(scan), f"events {near[0].name}, the only one near"))
            return near[0]
        if not rest:
            why = f"{len(near)} events files near it, and no name says whose: none is taken"
            notes.append(Note(OPEN, str(scan), why))
        return None

    def _owner(self, path: Path) -> str:
        return _owner(self.root, path)

    def _nearest(
        self, scan: Path, candidates: Sequence[Path], what: str, notes: list[Note]
    ) -> list[Path]:
        """Files of the person and session of a scan in the folder nearest to it: beside it, above
        it, or in a folder beside its own in which nobody's spectra lie."""
        people = {self._owner(one) for one in self.scans}
        several = len((people | {_person(self.root, one) for one in candidates}) - {""}) > 1
        own, far = [], []
        for one in candidates:
            if _person(self.root, one) == "" and several:
                far.append(one)  # at the top, of nobody
            elif not several or _person(self.root, one) == self._owner(scan):
                visits = {_visit(self.root, one), _visit(self.root, scan)} - {""}
                (own if len(visits) < 2 else far).append(one)
        for folder in scan.parents:
            here = [one for one in own if folder in one.parents]
            branches = {
                one.relative_to(folder).parts[0]
                for one in self.scans
                if folder in one.parent.parents and one.is_file()
            }
            if here and (scan.parent == folder or len(branches) < 2):
                good = [one for one in here if self._without_spectra(one, folder)]
                if good:
                    return good
            if folder == self.root:
                break
        if own or far:
            said = f"{what} of the top or of another session ({(own or far)[0].name}) not taken"
            notes.append(Note(OPEN, str(scan), said))
        return []

    def _without_spectra(self, path: Path, folder: Path) -> bool:
        """Whether a file lies in a folder, or below it in one without spectra."""
        if path.parent == folder:
            return True
        branch = folder / path.relative_to(folder).parts[0]
        return not any(branch in one.parents or branch == one for one in self.spectra)


_SUB = re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)")


def _words(path: Path) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", path.stem.lower()))


def _visit(root: Path, path: Path) -> str:
    """What in a path tells a session: a label after `ses-`, or a folder called after a visit or
    day; "" where nothing does."""
    folders = path.relative_to(root).parts[:-1]
    named = [one.lower() for one in folders if VISIT.fullmatch(one)]
    return _session(root, path) or "/".join(named)


def _session(root: Path, path: Path) -> str:
    found = SESSION.search(str(path.relative_to(root)))
    return found[1] if found else ""


def _person(root: Path, path: Path) -> str:
    """As `_owner`; "" for a file at the top that no label tells whose it is."""
    inner = path.relative_to(root)
    return _owner(root, path) if len(inner.parts) > 1 or _SUB.search(str(inner)) else ""


def _owner(root: Path, path: Path) -> str:
    """Whose file it is: the label after `sub-` in its path, else the folder below the root, else
    its own name."""
    inner = path.relative_to(root)
    if found := _SUB.search(str(inner)):
        return found[1]
    return inner.parts[0] if len(inner.parts) > 1 else path.name


def _labels(
    root: Path, paths: Sequence[Path], standing: Mapping[Path, dict], notes: list[Note]
) -> dict[Path, tuple[str, str, bool]]:
    """Subject and session of each scan, and whether the subject is a number given here.

    People who have rows keep their labels, and no number that somebody has is given again.
    """
    owners: dict[str, list[Path]] = {}
    for path in paths:
        owners.setdefault(_owner(root, path), []).append(path)
    has = {
        _owner(root, path): row["subject"]
        for path, row in standing.items()
        if root in path.parents and "subject" in row
    }
    names = {owner: LABEL.fullmatch(owner) for owner in owners}
    given = [match[1] or match[2] for match in names.values() if match]
    elsewhere = {row.get("subject", ""): path for path, row in standing.items()}
    used = set(given) | set(elsewhere)
    found = {}
    for number, (owner, match) in enumerate(names.items(), start=1):
        own = match and (match[1] or match[2])
        plain = bool(own) and given.count(own) == 1
        if plain and own in elsewhere and owner not in has:
            # The row may be of a person who was numbered so.
            parts = map(LABEL.fullmatch, elsewhere[own].parts)
            plain = any(one and own in (one[1], one[2]) for one in parts)
        if owner in has:
            label = has[owner]
            plain = label == own
        elif plain:
            label = own
        else:
            while (label := f"{number:02d}") in used:
                number += 1
        used.add(label)
        said = f"subject {label}: folders and files in the order of their names"
        for path in owners[owner]:
            found[path] = (label, _session(root, path), not plain)
            if not plain:
                notes.append(Note(GUESS, str(path), said))
        folders = {path.relative_to(root).parts[1] for path in owners[owner] if _deep(root, path)}
        if len(folders) > 1 and not _SUB.search(owner):
            odd = [one for one in folders if not SESSION_NAME.match(one)]
            if odd:
                said = (
                    f"scans in {len(folders)} folders of one, taken as one person: if they are "
                    "several, give init the folder that holds theirs"
                )
                notes.append(Note(OPEN, str(root / owner), said))
    return found


def _deep(root: Path, path: Path) -> bool:
    """Whether a scan lies two folders below the root; a folder of DICOM is a scan."""
    return len(path.relative_to(root).parts) > 2


def number_runs(scans: Sequence[FoundScan], standing: Mapping[Path, dict]) -> list[Note]:
    """Conditions and runs of people with several scans; rows that stand keep theirs."""
    notes: list[Note] = []
    groups: dict[tuple, list[FoundScan]] = {}
    for scan in scans:
        groups.setdefault((scan.columns["subject"], scan.columns["session"]), []).append(scan)
    for (subject, session), group in groups.items():
        rows = {
            path: row
            for path, row in standing.items()
            if (row.get("subject"), _given(row.get("session"))) == (subject, session)
        }
        used = {int(run) for row in rows.values() if (run := _given(row.get("run", "1"))).isdigit()}
        used |= {1} if any(not _given(row.get("run")) for row in rows.values()) else set()
        total = len(set(rows) | {scan.path for scan in group})
        for scan in group:
            if scan.path in rows:
                for column in ("run", "condition"):
                    if value := _given(rows[scan.path].get(column)):
                        scan.columns[column] = value
                continue
            if total < 2:
                continue
            if "events" not in scan.files and _words(scan.path) & set(REST_WORDS):
                scan.columns["condition"] = "rest"
                notes.append(Note(GUESS, str(scan.path), "condition rest, by its name"))
            number = next(n for n in range(1, total + len(used) + 1) if n not in used)
            used.add(number)
            scan.columns["run"] = str(number)
            said = f"run {number} of {total} of this person, in the order of their names"
            notes.append(Note(GUESS, str(scan.path), said))
        resting = [scan for scan in group if scan.columns.get("condition") == "rest"]
        united = any(_given(row.get("unit")) for row in rows.values())
        if 0 < len(resting) < len(group) and not united:
            said = "at rest beside other scans of this person, each a response of its own: those "
            said += "of one voxel and session give one with the same unit in scans.tsv"
            notes.append(Note(OPEN, str(resting[0].path), said))
    return notes


def _given(cell: str | None) -> str:
    return "" if cell in (None, MISSING) else cell

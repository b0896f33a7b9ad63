"""A study written as a BIDS dataset: the files of its scans, what describes them, and checksums."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unwritable
from fmrsflow.exclusion import JUDGED, excluded
from fmrsflow.files import file_digest, json_bytes, write_bytes
from fmrsflow.publish import heads, spectra
from fmrsflow.publish.code import files_of_settings, with_files, write_code
from fmrsflow.publish.names import Names, names_of
from fmrsflow.publish.people import columns_of, participants
from fmrsflow.publish.readme import Described, readme
from fmrsflow.remake import with_pruned
from fmrsflow.results import Output, Results
from fmrsflow.study import STAGE_SETTINGS, Scan, Study
from fmrsflow.tables import data_dictionary, table_bytes

BIDS_VERSION = "1.10.0"

CHECKSUMS = "SHA256SUMS"
"""As `sha256sum -c` reads it; a name that BIDS does not know."""

NO_FACE_OFF = "BOLD runs are results of another program, and show the face"


@dataclass(frozen=True)
class Choices:
    """What the owner of a study says of its dataset.

    Attributes
    ----------
    name : str
        Title.
    licence : str
        For `License` of dataset_description.json; "" for none.
    relabel : bool
        Number people and sessions.
    with_excluded : bool
        Give scans too that the analysis excludes or could not fit.
    """

    name: str
    licence: str = ""
    relabel: bool = False
    with_excluded: bool = False


@dataclass
class Made:
    """What became of a study.

    Attributes
    ----------
    scans : list of Scan
        Those that are given, by their published labels, with paths below the dataset.
    people : list of dict
        Rows of `people.participants`.
    left_out : dict
        What is not given, as the dataset calls it -> why, as the dataset says it.
    reasons : list of str
        The same for the site: by its own labels, in full.
    words : dict
        Where a word of the site stands -> those that leave.
    described : dict
        Site -> headers, sidecars and records of its scans.
    """

    scans: list[Scan] = field(default_factory=list)
    people: list[dict] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    words: dict[str, set[str]] = field(default_factory=dict)
    described: dict[str, Described] = field(default_factory=dict)

    def leave_out(self, called: str, why: str, own: str, reason: str = "") -> None:
        """Note what is not given."""
        self.left_out[called] = why
        self.reasons.append(f"{own}: {reason or why}")

    def say(self, where: str, *words) -> None:
        """Note words that leave."""
        texts = {one for one in words if isinstance(one, str) and one}
        if texts:
            self.words.setdefault(where, set()).update(texts)


def publish(study: Study, target: Path, choices: Choices) -> Made:
    """Write the dataset of a study, whole or not at all.

    Raises
    ------
    DataError
        The folder holds something, names clash, or no scan can be given.
    Unwritable
        It cannot be written.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{target} is there already, and not empty: name a new folder")
    with _whole(target) as folder:
        made = _Writer(study, folder, choices).write()
        write_bytes(folder / CHECKSUMS, _checksums(folder))
    return made


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder beside the target that takes its name at the end, and is gone where that fails."""
    target = target.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        outer = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise Unwritable(target, error) from error
    try:
        folder = outer / "dataset"
        folder.mkdir()
        yield folder
        try:
            os.replace(folder, target)
        except OSError as error:
            raise Unwritable(target, error) from error
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def _checksums(folder: Path) -> bytes:
    names = sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    return "".join(f"{file_digest(folder / name)}  {name}\n" for name in names).encode()


class _Writer:
    """Writes the files of a dataset below a folder."""

    def __init__(self, study: Study, folder: Path, choices: Choices):
        self.study, self.folder, self.choices = study, folder, choices
        self.names: Names = names_of(study, choices.relabel)
        self.made = Made()
        self._t1w: dict[tuple[str, str, str], str] = {}

    def write(self) -> Made:
        """Everything but the checksums."""
        for scan in self.study.scans:
            published = self.names.in_bids(scan)
            called = published.stem
            self.made.say("participants", published.subject)
            for column in ("session", "task", "acq", "voi", "run"):
                self.made.say(column, getattr(published, column))
            try:
                if why := self._why_not(scan):
                    self.made.leave_out(called, why, scan.key)
                else:
                    with_pruned(self.study, lambda: self._write_scan(scan))  # noqa: B023
            except DataError as error:
                why = "its files cannot be read, or are not enough"
                self.made.leave_out(called, why, scan.key, str(error))
        if not self.made.scans:
            raise DataError("no scan can be given:\n" + "\n".join(self.made.reasons))
        self._describe()
        return self.made

    def _why_not(self, scan: Scan) -> str:
        """Why a scan is not given, by its results; "" where it is.

        Raises
        ------
        DataError
            It has not been converted.
        """
        results, limits = Results(self.study), self.study.config["quality"]
        output = results.of("convert", {}, scan)
        if not output.exists:
            raise DataError("not converted yet: run the study, or its `all_convert all_anatomy`")
        if output.record["status"] == "failed":
            return "failed at convert"
        if self.choices.with_excluded:
            return ""
        chosen, records = self.study.analysis(self.study.config["primary"]), []
        for stage in JUDGED:
            own = {setting: chosen[setting] for setting in STAGE_SETTINGS[stage]}
            output = results.of(stage, own, scan)
            if not output.exists:
                break
            if output.record["status"] == "failed":
                return f"failed at {output.record['failed_at']}"
            records.append(output.record)
        return excluded(records[0], limits, *records[1:]) if records else ""

    def _write_scan(self, scan: Scan) -> None:
        published, site = self.names.in_bids(scan), self.study.sites[scan.site]
        converted = Results(self.study).of("convert", {}, scan)
        events = spectra.events_of_scan(Job("convert", self.study, scan, {}))
        files = spectra.spectra_of(published, site, converted)
        main, sidecar = list(files)[:2]
        if t1w := self._anatomy(scan):
            files[sidecar]["AnatomicalImage"] = f"bids::{t1w}"
        files |= {"events.tsv": events} if events is not None else {}
        start = f"{published.folder.partition('/')[2]}/{published.stem}_"
        for name, content in files.items():
            self._save(start + name, content)
        columns = {"mrs": main, "ref": "mrsref.nii.gz", "events": "events.tsv"}
        paths = {one: start + name for one, name in columns.items() if name in files}
        given = with_files(self.names.in_sheet(scan), paths | {"t1w": t1w})
        self.made.scans.append(given)
        self._note(scan, given, converted, files[sidecar], events or b"")

    def _note(self, scan: Scan, given: Scan, converted: Output, sidecar: dict, events: bytes):
        """What README and consent need of a scan that is given."""
        made, header = self.made, converted.fids("svs").header
        region = self.study.region(given)
        own = made.described.setdefault(scan.site, Described([], [], set()))
        own.records.append(converted.record)
        own.sidecars.append({**header, **sidecar})
        own.regions.update({region} - {""})
        made.say("sites", scan.site)
        for column in ("condition", "unit", "arm"):
            made.say(column, getattr(given, column))
        made.say("trial types", *(one.split("\t")[2] for one in events.decode().split("\n")[1:-1]))
        for key, value in header.items():
            made.say(f"header {key}", value)
        if scan.bold:
            called = f"BOLD of {self.names.in_bids(scan).stem}"
            made.leave_out(called, NO_FACE_OFF, f"BOLD of {scan.key}")

    def _anatomy(self, scan: Scan) -> str:
        """Path of the scan's T1w, written where it was not yet; "" where it has none to give."""
        key = (scan.site, scan.subject, scan.t1w)
        if scan.t1w and key not in self._t1w:
            path = self._t1w_path(scan)
            try:
                self._save(path, heads.defaced(Job("anatomy", self.study, scan, {})))
                described = heads.described(self.study.sites[scan.site])
                self._save(path.replace(".nii.gz", ".json"), described)
            except DataError as error:
                called, why = Path(path).name, "it could not be defaced"
                self.made.leave_out(called, why, f"T1w of {scan.key}", str(error))
                path = ""
            self._t1w[key] = path
        return self._t1w.get(key, "")

    def _t1w_path(self, scan: Scan) -> str:
        one = self.names.in_bids(scan)
        folder = one.folder.partition("/")[2].removesuffix("mrs") + "anat"
        stem = folder.removesuffix("/anat").replace("/", "_")
        before = sum(path.startswith(f"{folder}/") for path in self._t1w.values())
        run = f"_run-{before + 1}" if before else ""
        return f"{folder}/{stem}{run}_T1w.nii.gz"

    def _describe(self) -> None:
        """Files at the top, and the study's own below `code`."""
        study, made = self.study, self.made
        given = {(one.site, one.subject) for one in made.scans}
        people = [one for one in self.names.subjects if (one[0], self.names.subjects[one]) in given]
        made.people = participants(study, self.names, people)
        columns = columns_of(made.people, study, self.names)
        for group in columns.keys() & {*study.config["sites"].get("groups", ())}:
            made.say(group, *(row[group] for row in made.people))
        rows = [{name: row[name] for name in columns} for row in made.people]
        self._save("participants.tsv", table_bytes(rows, columns))
        self._save("participants.json", data_dictionary(columns))
        self._save("dataset_description.json", self._description())
        self._save(".bidsignore", f"{CHECKSUMS}\n".encode())
        sites = {name: study.sites[name] for name in sorted(made.described)}
        text = readme(self.choices.name, sites, made.described, made.left_out)
        self._save("README.md", text.encode())
        write_code(self.folder / "code" / "config", study, made.scans, made.people)
        for setting in files_of_settings(study.config):
            made.reasons.append(f"config.yaml {setting}: the file that it names is not given")

    def _description(self) -> dict:
        software = self.study.software
        made_by = {key: software[key] for key in ("Name", "Version") if key in software}
        return {
            "Name": self.choices.name,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            **({"License": self.choices.licence} if self.choices.licence else {}),
            "GeneratedBy": [{**made_by, "Description": "conversion, anonymisation, defacing"}],
        }

    def _save(self, name: str, content: bytes | dict) -> None:
        encoded = json_bytes(content) if isinstance(content, dict) else content
        write_bytes(self.folder / name, encoded)

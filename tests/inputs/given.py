"""What a site hands in: scan and reference, their files, and the rows of the sheets.

An oddity changes what is given before it is written (signals, sheets), or the files thereafter.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import yaml
from chain_tools import write_config
from written import FORMATS, averaged, nifti_image

from fmrsflow import cli
from fmrsflow.fids import Fids, from_nifti
from fmrsflow.tables import read_table, write_table

PLAN = """
name: inputs
description: One Siemens and one Philips scan
seed: 16
responses:
  Glu: {percent: 8.0}
design: {kind: blocks, task: visual, rest_s: 16, task_s: 16}
participants: {per_site: 1, spacing_mm: 5.0}
tissue_maps: true
site_defaults: {field_t: 3.0, sequence: PRESS, te_s: 0.030, tr_s: 2.0, transients: 32,
  points: 1024, snr_tcr: {mean: 80, sd: 1}}
sites:
  - {name: siemens, vendor: Siemens}
  - {name: philips, vendor: Philips}
"""
"""The noise is that of a scan four times as long as a real one, so that what is wrong by a tenth is
seen."""


@dataclass
class Given:
    """What is handed in.

    Attributes
    ----------
    format : str
        Key of `written.FORMATS`, of scan and reference.
    fids, reference : Fids
        Reference None: none is named.
    site, row : dict
        Rows of sites.tsv and scans.tsv.
    events : list of dict or None
    more : list of Given
        Scans of other rows.
    people : list of dict
        Rows of participants.tsv.
    fields : dict
        Of the scan's NIfTI-MRS header; `reference_fields` of the reference's.
    shape : callable or None
        Changes the NIfTI-MRS image of scan and reference before it is written.
    edits : list of callable
        Called with the folder `data` after files and before sheets are written.
    config : dict
        Other settings.
    sheets : dict
        Name of a sheet to a change of its bytes.
    mutation : str
        What was done at random, for the table.
    """

    format: str
    fids: Fids
    reference: Fids | None
    site: dict
    row: dict
    events: list[dict] | None
    more: list[Given] = field(default_factory=list)
    people: list[dict] = field(default_factory=list)
    fields: dict = field(default_factory=dict)
    reference_fields: dict = field(default_factory=dict)
    shape: Callable | None = None
    edits: list[Callable[[Path], None]] = field(default_factory=list)
    config: dict = field(default_factory=dict)
    sheets: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    mutation: str = ""

    @property
    def stem(self) -> str:
        """Path of the scan's files without their ending, below the data root."""
        return f"{self.site['site']}/sub-{self.row['subject']}/mrs/sub-{self.row['subject']}"

    def name_files(self, mrs: str = "", ref: str = "") -> None:
        """Put the paths of scan and reference into the row."""
        suffix = FORMATS[self.format].suffix
        self.row["mrs"] = mrs or f"{self.stem}_svs{suffix}"
        beside = self.reference and not FORMATS[self.format].own
        self.row["ref"] = ref or (f"{self.stem}_mrsref{suffix}" if beside else "")

    def edit(self, column: str, change: Callable[[bytes], bytes], suffix: str = "") -> None:
        """Change the bytes of the file of a column (with another ending: its companion)."""

        def edited(data: Path) -> None:
            path = data / self.row[column]
            path = path.with_suffix(suffix) if suffix else path
            path.write_bytes(change(path.read_bytes()))

        self.edits.append(edited)

    def write(self, folder: Path, base: Base) -> None:
        """Study's folder with these data."""
        data = folder / "data"
        for given in (self, *self.more):
            given.write_scan(data, base)
        for edit in (one for given in (self, *self.more) for one in given.edits):
            edit(data)
        (data / "config").mkdir(exist_ok=True)
        rows = [given.row for given in (self, *self.more)]
        columns = dict.fromkeys(key for row in rows for key in row)
        rows = [{key: row.get(key) for key in columns} for row in rows]
        write_table(data / "config" / "scans.tsv", rows)
        sites = {given.site["site"]: given.site for given in (self, *self.more)}
        write_table(data / "config" / "sites.tsv", list(sites.values()))
        people = self.people and "data/config/participants.tsv"
        if people:
            write_table(data / "config" / "participants.tsv", self.people)
        for name, change in self.sheets.items():
            path = data / "config" / f"{name}.tsv"
            path.write_bytes(change(path.read_bytes()))
        write_config(folder, participants_sheet=people or None, **self.config)
        _lighten(folder / "config" / "config.yaml")

    def write_scan(self, data: Path, base: Base) -> None:
        """Scan, reference, events and anatomy."""
        anatomy = data / self.site["site"] / f"sub-{self.row['subject']}" / "anat"
        anatomy.mkdir(parents=True, exist_ok=True)
        for path in (base.folder / FORMATS[self.format].vendor).iterdir():
            shutil.copy(path, anatomy / path.name.replace("sub-01", f"sub-{self.row['subject']}"))
        for column, fids, fields in (
            ("mrs", self.fids, self.fields),
            ("ref", self.reference, self.reference_fields),
        ):
            path = data / self.row[column] if self.row[column] else None
            if fids is None or path is None or path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.format in ("nifti", "nii"):
                image = nifti_image(fids, **fields)
                nib.save(self.shape(image) if self.shape else image, path)
            elif FORMATS[self.format].own:
                FORMATS[self.format].write(fids, path, self.reference)
            else:
                FORMATS[self.format].write(fids, path)
        if self.row["events"] and not (data / self.row["events"]).exists():
            write_table(data / self.row["events"], self.events)


def _lighten(path: Path) -> None:
    """Few bootstraps, which no figure here looks at; all else is as a user has it."""
    config = yaml.safe_load(path.read_text())
    for setting in config["response"].values():
        setting["bootstraps"] = 100
    path.write_text(yaml.safe_dump(config))


@dataclass(frozen=True)
class Base:
    """The undisturbed scan of each vendor, and the folder with study and bases."""

    folder: Path
    scans: dict[str, Given]

    @classmethod
    def make(cls, folder: Path) -> Base:
        """Simulate both scans and their sites' basis sets below a folder."""
        data = folder / "made"
        folder.mkdir(parents=True)
        (folder / "plan.yaml").write_text(PLAN)
        assert cli.main(["demo", "--preset", str(folder / "plan.yaml"), str(data)]) == 0
        sites = {row["site"]: row for row in read_table(data / "config" / "sites.tsv")}
        scans = {}
        for row in read_table(data / "config" / "scans.tsv"):
            site = sites[row["site"]]
            fids, reference = (from_nifti(nib.load(data / row[name])) for name in ("mrs", "ref"))
            events = read_table(data / row["events"])
            columns = ("site", "subject", "task", "mrs", "ref", "gm", "wm", "csf", "events")
            own = {column: row[column] for column in columns} | {"condition": ""}
            given = Given("nifti", fids, reference, site, own, events)
            scans[site["vendor"]] = given
            shutil.copytree(
                data / row["site"] / f"sub-{row['subject']}" / "anat", folder / site["vendor"]
            )
        # GE's scan is that of Siemens: what is compared is one P-file with another.
        scans["GE"] = copy.deepcopy(scans["Siemens"])
        scans["GE"].site["vendor"] = "GE"
        shutil.copytree(folder / "Siemens", folder / "GE")
        return cls(folder, scans)

    def given(self, format: str, subject: str = "01") -> Given:
        """The undisturbed scan in a format."""
        kind = FORMATS[format]
        given = copy.deepcopy(self.scans[kind.vendor])
        given.format = format
        if kind.single:
            as_one(given)
        if subject != "01":
            for key in ("gm", "wm", "csf", "events"):
                given.row[key] = given.row[key].replace("sub-01", f"sub-{subject}")
            given.row["subject"] = subject
        given.name_files()
        return given


def as_one(given: Given) -> None:
    """The scan as its average, of one condition."""
    given.fids = averaged(given.fids)
    given.reference = averaged(given.reference) if given.reference else None
    given.events, given.row["events"], given.row["condition"] = None, "", "rest"
    given.site["transients"] = None


MAPS = ("gm", "wm", "csf")
"""Columns of tissue maps."""


def with_t1w(given: Given) -> None:
    """The T1w in the place of the maps, for the built-in segmentation."""
    given.row["t1w"] = given.row["gm"].replace("_label-GM_probseg", "_T1w")
    for name in MAPS:
        given.row[name] = ""

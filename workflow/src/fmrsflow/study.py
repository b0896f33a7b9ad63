"""Who was scanned where, doing what, when: sites, scans, response units, names of files.

A study travels as one JSON (`Study.save`, `Study.load`): the resolved configuration and the rows of
the sheets, written once at the start of a run, so that no stage parses YAML or sheets again.
`sheets.py` makes it from the user's files and checks them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path

from fmrsflow.constants import GYROMAGNETIC_MHZ_PER_T, SIEMENS_MHZ
from fmrsflow.errors import DataError, UsageError, reading_failed, unknown
from fmrsflow.files import text_of
from fmrsflow.participants import IDENTITY, person_columns

STAGE_SETTINGS = {
    "convert": (),
    "segment": (),
    "anatomy": (),
    "bold": (),
    "basis": ("basis",),
    "preprocess": ("preprocess",),
    "fit": ("preprocess", "basis", "fit"),
    "quantify": ("preprocess", "basis", "fit", "concentration"),
    "response": ("preprocess", "basis", "fit", "concentration", "response"),
}
"""Named settings that a stage's output depends on, in the order of its folder's name."""

ANALYSIS_SETTINGS = STAGE_SETTINGS["response"]
"""The settings whose names make an analysis."""

PATH_COLUMNS = (
    "mrs",
    "ref",
    "t1w",
    "gm",
    "wm",
    "csf",
    "events",
    "bold",
    "bold_events",
    "bold_confounds",
)
"""Columns of scans.tsv that hold file names, relative to the data root."""

RUN_COLUMNS = ("bold", "bold_events", "bold_confounds")
"""Columns that may hold several files, one a run, with semicolons between them."""


WITHHELD = "withheld"
"""Stands in a bundle for a name or path that stays at the site."""

PATH_SETTINGS = {
    "": (
        "results",
        "data_root",
        "sites_sheet",
        "scans_sheet",
        "participants_sheet",
        "norms",
        "synthetic",
        "container",
        "preregistration",
    ),
    "basis": ("path",),
    "fit": ("joint_design", "joint_nuisance", "command"),
    "bold": ("transform", "atlas", "atlas_labels"),
}
"""Settings that name files or folders of a site, by section ("" for the top of config.yaml)."""


def spectrometer_mhz(vendor: str, field_t: float) -> float:
    """Proton frequency (MHz) of a vendor's magnet of that nominal field."""
    nominal = GYROMAGNETIC_MHZ_PER_T * field_t
    return SIEMENS_MHZ.get(field_t, nominal) if vendor == "Siemens" else nominal


@dataclass(frozen=True)
class Site:
    """One row of sites.tsv. Times in s, field in T, width in Hz; None where not given."""

    name: str
    vendor: str
    field_t: float
    sequence: str
    te_s: float
    tr_s: float
    protocol: str
    te1_s: float | None = None
    tm_s: float | None = None
    transients: int | None = None
    spectral_width_hz: float | None = None
    pulse_delays_s: str | None = None
    water_suppressed: str | None = None
    frequency_mhz: float | None = None
    frequency_axis: str | None = None
    te_tolerance_s: float | None = None

    @property
    def mhz(self) -> float:
        """Proton frequency, MHz: that of the sheet, else of the vendor's magnet of that field."""
        return self.frequency_mhz or spectrometer_mhz(self.vendor, self.field_t)

    @property
    def site(self) -> str:
        """Its own name, as of scans and response units."""
        return self.name

    @property
    def key(self) -> str:
        """Name of the site on command lines and in messages."""
        return self.name

    @property
    def stem(self) -> str:
        """Start of the names of its files."""
        return self.name

    @property
    def folder(self) -> str:
        """Folder of its files below that of a stage: that folder itself."""
        return "."

    @property
    def entities(self) -> dict[str, str]:
        """As of a scan."""
        return {"site": self.name}


@dataclass(frozen=True)
class Scan:
    """One row of scans.tsv; labels without their BIDS prefix, "" where not given."""

    site: str
    subject: str
    mrs: str
    session: str = ""
    task: str = ""
    acq: str = ""
    run: str = ""
    ref: str = ""
    t1w: str = ""
    gm: str = ""
    wm: str = ""
    csf: str = ""
    events: str = ""
    excitations_per_transient: int | None = None
    water_transients: str = ""
    condition: str = ""
    bold: str = ""
    bold_events: str = ""
    bold_confounds: str = ""
    unit: str = ""
    arm: str = ""
    voi: str = ""

    def files(self, column: str) -> tuple[str, ...]:
        """Files that a column of `PATH_COLUMNS` names: none, one, or one a BOLD run.

        >>> Scan("north", "01", "a.SDAT", bold="1.nii.gz; 2.nii.gz").files("bold")
        ('1.nii.gz', '2.nii.gz')
        """
        cell = getattr(self, column)
        if column not in RUN_COLUMNS:
            return (cell,) if cell else ()
        return tuple(name for part in cell.split(";") if (name := part.strip()))

    @property
    def entities(self) -> dict[str, str]:
        """Site and BIDS entities, "" where not given."""
        names = ("site", "subject", "session", "task", "acq", "run")
        # Records of before there were regions stay those of their scans.
        return {name: getattr(self, name) for name in names} | (
            {"voi": self.voi} if self.voi else {}
        )

    @property
    def stem(self) -> str:
        """BIDS name without suffix: sub-.._ses-.._task-.._acq-.._voi-.._run-.."""
        return _stem(self.subject, self.session, self.task, self.acq, self.voi, self.run)

    @property
    def key(self) -> str:
        """Name of the scan on command lines and in messages: site/stem."""
        return f"{self.site}/{self.stem}"

    @property
    def folder(self) -> str:
        """Folder of the scan below that of a stage."""
        return _folder(self.site, self.subject, self.session)


@dataclass(frozen=True)
class Unit:
    """Scans that give one response: one scan with events, scans of different condition, or those
    that the sheet names as one unit."""

    scans: tuple[Scan, ...]

    @property
    def scan(self) -> Scan:
        """The scan that lends the unit its folder."""
        return self.scans[0]

    @property
    def site(self) -> str:
        """Name of the site."""
        return self.scan.site

    @property
    def entities(self) -> dict[str, str]:
        """Those of the scan that lends the unit its folder."""
        return self.scan.entities

    @property
    def stem(self) -> str:
        """The stem of the scan with events; without task where a unit is made of conditions, with
        the label of the unit where the sheet gives one."""
        first = self.scans[0]
        if first.unit:
            return f"{_stem(first.subject, '', '', '', '', '')}_unit-{first.unit}"
        task = "" if first.condition else first.task
        return _stem(first.subject, first.session, task, first.acq, first.voi, first.run)

    @property
    def key(self) -> str:
        """site/stem"""
        return f"{self.scan.site}/{self.stem}"

    @property
    def folder(self) -> str:
        """Folder of the unit below that of a stage."""
        return self.scan.folder

    @property
    def members(self) -> list[str]:
        """Keys of its scans."""
        return [scan.key for scan in self.scans]

    @property
    def arm(self) -> str:
        """Arm of a paired design; "" where the sheet gives none."""
        return self.scan.arm


Item = Site | Scan | Unit
"""What a job of a stage works on."""


@dataclass(frozen=True)
class Study:
    """A study as its files describe it; `config` is complete (defaults filled in), and so is what
    was registered before (`sheets.read_plan`; empty where nothing was)."""

    config: dict
    sites: dict[str, Site]
    scans: tuple[Scan, ...]
    participants: tuple[dict, ...] = ()
    software: dict = field(default_factory=dict)
    preregistration: dict = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """Folder of all outputs."""
        return Path(self.config["results"])

    @property
    def data_root(self) -> Path:
        """Folder that holds every input file of the sheets."""
        return Path(self.config["data_root"])

    @cached_property
    def _by_key(self) -> dict[str, Scan]:
        return {scan.key: scan for scan in self.scans}

    def scan(self, key: str) -> Scan:
        """The scan of that key; UsageError where there is none."""
        if key not in self._by_key:
            raise unknown("scan", key, self._by_key)
        return self._by_key[key]

    def named(self, stage: str, keys: Iterable[str]) -> list[Item]:
        """Sites, scans or response units that a stage works on, by their keys.

        Raises
        ------
        UsageError
            There is none of that key.
        """
        by_key = {item.key: item for item in self.items(stage)}
        what = {"basis": "site", "response": "response unit", "bold": "scan with a BOLD run"}
        for key in keys:
            if key not in by_key:
                raise unknown(what.get(stage, "scan"), key, by_key)
        return [by_key[key] for key in keys]

    def site_named(self, name: str) -> Site:
        """The site of that name; UsageError where there is none."""
        if name not in self.sites:
            raise unknown("site", name, self.sites)
        return self.sites[name]

    def analysis(self, name: str) -> dict[str, str]:
        """Names of the settings of an analysis; UsageError where there is none."""
        analyses = self.config["analyses"]
        if name not in analyses:
            raise unknown("analysis", name, analyses)
        return analyses[name]

    def choice(self, stage: str, text: str) -> dict[str, str]:
        """Named settings of a stage as its folder has them: `robust-sim-voigt` for `fit`.

        Raises
        ------
        UsageError
            Another number of names than the stage has settings, or one that there is not.
        """
        settings = STAGE_SETTINGS[stage]
        names = text.split("-") if settings else []
        if len(names) != len(settings):
            used = {
                "-".join(choice[setting] for setting in settings): analysis
                for analysis, choice in self.config["analyses"].items()
            }
            examples = ", ".join(f"{one} (analysis {name})" for one, name in used.items())
            raise UsageError(
                f"{stage} takes names of settings as {'-'.join(settings)}, not {text!r}; for "
                f"example {examples}"
            )
        for setting, name in zip(settings, names):
            if name not in self.config[setting]:
                raise unknown(f"setting of {setting}", name, self.config[setting])
        return dict(zip(settings, names))

    def site(self, scan: Scan) -> Site:
        """The site of a scan."""
        return self.sites[scan.site]

    def setting(self, stage: str, name: str) -> dict:
        """The named setting of a stage, complete; KeyError where there is none."""
        return self.config[stage][name]

    def settings_of(self, stage: str, names: dict[str, str]) -> dict[str, dict]:
        """Resolved settings of a stage: the named ones, and its section of the configuration where
        it has but one (`anatomy`, `bold`)."""
        own = {one: self.setting(one, name) for one, name in names.items()}
        section = "anatomy" if stage == "segment" else stage
        if section in self.config and not STAGE_SETTINGS[stage]:
            own[section] = self.config[section]
        return own

    @cached_property
    def _units(self) -> tuple[Unit, ...]:
        groups: dict[tuple, list[Scan]] = {}
        for scan in self.scans:
            own = scan.task if scan.events or not scan.condition else None
            key = (scan.site, scan.subject, scan.session, scan.acq, scan.voi, scan.run, own)
            if scan.unit:
                key = (scan.site, scan.subject, "unit", scan.unit)
            groups.setdefault(key, []).append(scan)
        return tuple(Unit(tuple(scans)) for scans in groups.values())

    def units(self) -> tuple[Unit, ...]:
        """Response units, in the order of the sheet."""
        return self._units

    @cached_property
    def _segment_owners(self) -> dict[tuple[str, str, str], Scan]:
        owners: dict[tuple[str, str, str], Scan] = {}
        for scan in self.scans:
            owners.setdefault((scan.site, scan.subject, scan.t1w), scan)
        return owners

    def segment_owner(self, scan: Scan) -> Scan | None:
        """First scan that names the same T1w; None where no built-in segmentation is needed."""
        if not scan.t1w or scan.gm:
            return None
        return self._segment_owners[scan.site, scan.subject, scan.t1w]

    def segment_path(self, scan: Scan, tissue: str) -> Path:
        """Map of GM, WM or CSF that the built-in segmentation writes for a scan's T1w."""
        return self.path("segment", self.segment_owner(scan), f"desc-segment_{tissue}.nii.gz")

    @cached_property
    def _unit_of(self) -> dict[str, Unit]:
        return {scan.key: unit for unit in self._units for scan in unit.scans}

    def unit_of(self, scan: Scan) -> Unit:
        """The response unit that a scan belongs to."""
        return self._unit_of[scan.key]

    @cached_property
    def _by_site(self) -> dict[str, list[Scan]]:
        found: dict[str, list[Scan]] = {name: [] for name in self.sites}
        for scan in self.scans:
            found.setdefault(scan.site, []).append(scan)
        return found

    def scans_of(self, site: str) -> list[Scan]:
        """Scans of a site, in the order of the sheet."""
        return self._by_site.get(site, [])

    @cached_property
    def _persons(self) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for row in self.participants:
            if row.get("person"):
                found.setdefault((row["site"], row["subject"]), row["person"])
        return found

    def person(self, scan: Scan) -> str:
        """Identity across sites: that of participants.tsv, else site and subject."""
        key = (scan.site, scan.subject)
        return self._persons.get(key) or f"{scan.site}/{scan.subject}"

    def people(self) -> dict[tuple[str, str], dict[str, str]]:
        """(site, person) -> cells of the columns of participants.tsv that the settings of `sites`
        name; of somebody who travelled those of another site where a site has none."""
        columns = [one for one in person_columns(self.config["sites"]) if one not in IDENTITY]
        found: dict[tuple[str, str], dict[str, str]] = {}
        known: dict[tuple[str, str], str] = {}
        for row in sorted(self.participants, key=lambda row: (row["site"], row["subject"])):
            person = row.get("person") or f"{row['site']}/{row['subject']}"
            cells = {one: row[one] for one in columns if row.get(one)}
            found[row["site"], person] = cells
            for column, cell in cells.items():
                known.setdefault((person, column), cell)
        for (_, person), cells in found.items():
            lacking = {one: known.get((person, one)) for one in columns if one not in cells}
            cells.update({one: cell for one, cell in lacking.items() if cell})
        return found

    def region(self, item: Scan | Unit) -> str:
        """Where the voxel lay, by its label; "" where it has none. It is BIDS' `voi`, or `acq`
        where the settings say that this names the region."""
        scan = item.scan if isinstance(item, Unit) else item
        column = self.config.get("sites", {}).get("region_column", "voi")
        return scan.voi if column == "voi" else scan.acq

    def items(self, stage: str) -> tuple[Item, ...]:
        """What a stage works on, in the order of the sheets: sites, scans or response units."""
        if stage == "basis":
            return tuple(self.sites.values())
        if stage == "segment":
            owners = (self.segment_owner(scan) for scan in self.scans)
            return tuple({owner.key: owner for owner in owners if owner}.values())
        if stage == "bold":
            return tuple(scan for scan in self.scans if scan.bold)
        return self.units() if stage == "response" else self.scans

    def jobs(self, stage: str) -> dict[str, tuple[Item, ...]]:
        """Name of each job of a stage -> its batch of items.

        Each site counts its own jobs, so that they have one name whichever sites run.
        """
        if stage not in self._jobs:
            sites: dict[str, list[Item]] = {}
            for item in self.items(stage):
                sites.setdefault(item.site, []).append(item)
            self._jobs[stage] = {
                f"{site}_{number}": batch
                for site, own in sites.items()
                for number, batch in enumerate(batches(own, self.config["batch"]))
            }
        return self._jobs[stage]

    @cached_property
    def _jobs(self) -> dict[str, dict[str, tuple[Item, ...]]]:
        return {}

    def job_of(self, stage: str, key: str) -> str:
        """Name of the job of a stage that takes the item of that key; KeyError where none does."""
        if stage not in self._jobs_by_key:
            self._jobs_by_key[stage] = {
                item.key: job for job, batch in self.jobs(stage).items() for item in batch
            }
        return self._jobs_by_key[stage][key]

    @cached_property
    def _jobs_by_key(self) -> dict[str, dict[str, str]]:
        return {}

    def choices(self, stage: str) -> list[dict[str, str]]:
        """Named settings under which a stage runs for some analysis, each once."""
        chosen = (
            {name: choice[name] for name in STAGE_SETTINGS[stage]}
            for choice in self.config["analyses"].values()
        )
        return list({tuple(names.values()): names for names in chosen}.values())

    def manifest_path(self, stage: str, names: dict[str, str], job: str) -> Path:
        """Path of the manifest of a job (manifests.py)."""
        return self.results / directory(stage, names) / "batches" / f"{job}.json"

    def path(self, directory: str, item: Item, what: str) -> Path:
        """Path of an output: results/<directory>/<folder of the scan>/<stem>_<what>."""
        return self.results / directory / item.folder / f"{item.stem}_{what}"

    def record_path(self, stage: str, names: dict[str, str], item: Item) -> Path:
        """Path of a stage's record of a scan (of a unit for the response stage)."""
        return self.path(directory(stage, names), item, f"desc-{stage}_record.json")

    def save_text(self) -> str:
        """The study as JSON; `load` reads it back."""
        content = {
            "config": self.config,
            "sites": [asdict(site) for site in self.sites.values()],
            "scans": [asdict(scan) for scan in self.scans],
            "participants": list(self.participants),
            "software": self.software,
            "preregistration": self.preregistration,
        }
        return json.dumps(content, indent=1, sort_keys=True) + "\n"

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Read a file that holds what `save_text` made.

        Raises
        ------
        DataError
            No such file, or a damaged one.
        """
        try:
            return cls.from_text(text_of(path))
        except FileNotFoundError:
            raise DataError(f"{path} is not there: nothing has run, or it lies elsewhere") from None
        except OSError as error:
            raise reading_failed(path, error, f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise DataError(f"{path} is damaged; the next run writes it anew") from None

    @classmethod
    def from_text(cls, text: str) -> Study:
        """Read what `save_text` made."""
        content = json.loads(text)
        return cls(
            config=content["config"],
            sites={row["name"]: Site(**row) for row in content["sites"]},
            scans=tuple(Scan(**row) for row in content["scans"]),
            participants=tuple(content["participants"]),
            software=content["software"],
            preregistration=content.get("preregistration", {}),
        )


def without_paths(config: dict) -> dict:
    """Settings are compared between sites; where their files lie is each site's own affair."""
    kept = blanked(config, PATH_SETTINGS[""])
    for section, keys in PATH_SETTINGS.items():
        if section in ANALYSIS_SETTINGS:
            kept[section] = {name: blanked(one, keys) for name, one in config[section].items()}
        elif section in config:
            kept[section] = blanked(config[section], keys)
    return kept


def blanked(values: dict, keys: tuple[str, ...]) -> dict:
    """Values with `WITHHELD` for those of these keys that are given."""
    return {**values, **{key: WITHHELD for key in keys if values.get(key)}}


def study_option(parser) -> None:
    """Give a command the option `--study`, alike everywhere."""
    parser.add_argument(
        "--study",
        default="results/study.json",
        help="study.json of a run's results (default: results/study.json)",
    )


def directory(stage: str, names: dict[str, str]) -> str:
    """Folder of a stage: its name and those of the settings that it depends on."""
    return "-".join([stage, *(names[setting] for setting in STAGE_SETTINGS[stage])])


def batches(items: Iterable, size: int) -> list[tuple]:
    """Consecutive groups of at most `size` items."""
    items = list(items)
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


@cache  # asked for fifteen times a scan where the workflow is planned
def _stem(subject: str, session: str, task: str, acq: str, voi: str, run: str) -> str:
    names = ("sub", "ses", "task", "acq", "voi", "run")
    entities = zip(names, (subject, session, task, acq, voi, run))
    return "_".join(f"{name}-{label}" for name, label in entities if label)


def _folder(site: str, subject: str, session: str) -> str:
    return "/".join([site, f"sub-{subject}", *([f"ses-{session}"] if session else []), "mrs"])

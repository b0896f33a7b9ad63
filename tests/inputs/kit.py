"""Inputs with known truth through the chain, and what each comes to.

The stages run as a user's command lines do, in a forked child. A scan whose converted files are
those of an earlier case (to single precision) and whose rows are the same is not fitted again.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from given import Base, Given, as_one, with_t1w
from mutations import CONFIG, in_child
from written import FORMATS, PERSON

from fmrsflow import cli
from fmrsflow.exclusion import excluded
from fmrsflow.files import file_digest, read_json, write_bytes
from fmrsflow.identity import same_measurements
from fmrsflow.sheets import StudyError, missing_files, read_config, read_study
from fmrsflow.study import STAGE_SETTINGS, Study
from fmrsflow.surroundings import troubles
from fmrsflow.tables import read_table

RIGHT = "right"
FLAGGED = "flagged"
REFUSED = "refused"
SILENT = "SILENT WRONG"
TRACEBACK = "TRACEBACK"
LOST = "GOOD FILE REFUSED"
LEAK = "PERSONAL DETAIL"
HARM = (SILENT, TRACEBACK, LOST, LEAK)

RATIOS = ("Glu", "tNAA", "mI", "tCho")
MOLAL = ("tCr", "Glu")

WRONG_SE = 3.0
WRONG_PERCENT = 2.0
"""A value is wrong that is off by more than both (changes: points of percent)."""

LEAST_ERROR = 0.75
"""Standard error over that of the undisturbed scan below which it is wrong: the noise is the same,
but for what a filter takes within the lines."""

SAME = 1e-5
"""Difference of two FIDs, over the largest value, up to which they are one: single precision."""

TRUTH = {"Siemens": "nifti", "Philips": "sdat", "GE": "pfile"}
"""Format of the undisturbed scan with which those of a vendor are compared."""

CONVERTED = (
    *("te_s", "tr_s", "reference", "voxel_mm", "spectral_width_hz", "frequency_mhz"),
    *("excitations_per_transient", "water_transients", "water_before_each"),
)
LATER = ("segment", "anatomy", "preprocess", "fit", "quantify", "response")
ABOUT_TISSUE = ("segment", "anatomy")
"""Where these fail, a scan has no molal values, and is told so."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes
    ----------
    name : str
    given : callable
        Makes what is handed in from the undisturbed scans.
    good : bool
        Whether the file is right, so that it has to be read.
    less_noise : bool
        Whether smaller errors may be right: the noise is less than that of the undisturbed scan.
    """

    name: str
    given: Callable[[Base], Given]
    good: bool
    less_noise: bool = False


@dataclass(frozen=True)
class Numbers:
    """Main ratios, molal values and changes of a scan: name to value and standard error; and what
    the records of its stages warn of."""

    values: dict[str, tuple[float, float]]
    warnings: tuple[str, ...]
    failed: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a case came to; `words` are those of a refusal, a flag or a traceback."""

    case: str
    kind: str
    words: tuple[str, ...] = ()
    moved: str = ""

    @property
    def harm(self) -> bool:
        """Whether it must not be."""
        return self.kind in HARM

    def __str__(self) -> str:
        words = " | ".join(self.words)
        return f"{self.case:<58} {self.kind:<18} {self.moved:<28} {words}".rstrip()


@dataclass
class Kit:
    """Runs cases below a folder."""

    work: Path
    base: Base
    known: list[tuple] = field(default_factory=list)
    truths: dict[tuple, Numbers] = field(default_factory=dict)

    @classmethod
    def make(cls, work: Path) -> Kit:
        """A kit with its undisturbed scans."""
        base = Base.make(work / "base")
        (work / "bases").mkdir()
        return cls(work, base)

    def run(self, cases: Iterable[Case]) -> Iterator[Outcome]:
        """What each case comes to."""
        for case in cases:
            yield self.outcome(case)

    def outcome(self, case: Case) -> Outcome:
        """What one case comes to."""
        given = case.given(self.base)
        folder = self._written(given)
        if given.mutation:
            case = replace(case, name=f"{case.name}: {given.mutation}")
        said = in_child(_front, folder)
        if said is None or (said and not said.startswith(REFUSED)):
            return Outcome(case.name, TRACEBACK, (_tail(said),))
        if not said:
            keys = [scan.key for scan in _study(folder).scans]
            records = [_record(folder, "convert", key) for key in keys]
            reasons = [one["reason"] for one in records if one["status"] == "failed"]
            said = f"{REFUSED}: {reasons[0]}" if reasons else ""
        if leak := _leaks(folder, said):
            return Outcome(case.name, LEAK, (leak,))
        if said:
            return Outcome(case.name, LOST if case.good else REFUSED, (said[len(REFUSED) + 2 :],))
        found = self._numbers(folder, given)
        if isinstance(found, str):
            return Outcome(case.name, TRACEBACK, (found,))
        if leak := _leaks(folder, ""):
            return Outcome(case.name, LEAK, (leak,))
        if found.failed:
            return Outcome(case.name, LOST if case.good else REFUSED, (found.failed,))
        series = bool(given.row["events"])
        t1w = bool(given.row.get("t1w"))
        right = self.undisturbed(given.format, series, t1w)
        usual = {_plain(one) for one in right.warnings}
        flags = tuple(one for one in found.warnings if _plain(one) not in usual)
        truth = self.undisturbed(TRUTH[FORMATS[given.format].vendor], series, t1w)
        wrong, moved = compared(found.values, truth.values, case.less_noise)
        if lost := right.values.keys() - found.values.keys():
            wrong = wrong or f"no {', '.join(sorted(lost))}"
        if flags:
            return Outcome(case.name, FLAGGED, flags, moved)
        return Outcome(case.name, SILENT if wrong else RIGHT, (wrong,) if wrong else (), moved)

    def _written(self, given: Given) -> Path:
        folder = self.work / "case"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        given.write(folder, self.base)
        return folder

    def _bases(self, format: str) -> Path:
        """Results that hold the basis of a format's vendor, made where none was."""
        made = self.work / "bases" / FORMATS[format].vendor
        if not made.exists():
            folder = self.work / "basis"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            self.base.given(format).write(folder, self.base)
            said = in_child(_stages, folder, ("basis",))
            assert said == "", said
            shutil.copytree(folder / "results", made)
        return made

    def undisturbed(self, format: str, series: bool, t1w: bool = False) -> Numbers:
        """Numbers of the undisturbed scan in a format: as a series, or as one average; with tissue
        maps, or with its T1w."""
        if (format, series, t1w) not in self.truths:
            right = self.base.given(format)
            if not series:
                as_one(right)
            if t1w:
                with_t1w(right)
            kept = self.work / "undisturbed"
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir()
            right.write(kept, self.base)
            said = in_child(_front, kept)
            assert said == "", said
            found = self._numbers(kept, right)
            assert isinstance(found, Numbers) and not found.failed, found
            self.truths[format, series, t1w] = found
        return self.truths[format, series, t1w]

    def _numbers(self, folder: Path, given: Given) -> Numbers | str:
        """Numbers of a converted scan; text where a stage ends with a traceback."""
        study = _study(folder)
        key = study.scans[0].key
        own = _fingerprint(folder, study)
        for other, arrays, found in self.known:
            if other == own[0] and _same(arrays, own[1]):
                converted = tuple(_record(folder, "convert", key)["warnings"])
                return Numbers(found.values, converted + found.warnings, found.failed)
        bases = self._bases(given.format)
        basis = _basis_row(study.sites[study.scans[0].site])
        stages = LATER
        if basis == _basis_row(_study_of(bases).sites[study.scans[0].site]):
            for made in bases.glob("basis-*"):
                shutil.copytree(made, folder / "results" / made.name, dirs_exist_ok=True)
        else:
            stages = ("basis", *LATER)
        if not given.row["events"]:
            stages = [stage for stage in stages if stage != "response"]  # of one condition
        said = in_child(_stages, folder, tuple(stages))
        if said is None or said:
            return _tail(said)
        ran = [stage for stage in LATER if stage in stages and study.items(stage)]
        records = {stage: _record(folder, stage, key) for stage in ran}
        failed = [one for one in records.values() if one["status"] == "failed"]
        failed = [one for one in failed if one["failed_at"] not in ABOUT_TISSUE]
        warnings = [text for one in records.values() for text in one["warnings"]]
        warnings += records.get("response", {}).get("flags", [])
        limits = study.config["quality"]
        if records["preprocess"]["status"] == "ok":
            warnings += filter(None, [excluded(records["preprocess"], limits)])
        values = {} if failed else _values(folder, study)
        found = Numbers(values, tuple(warnings), failed[0]["reason"] if failed else "")
        self.known.append((*own, found))
        converted = tuple(_record(folder, "convert", key)["warnings"])
        return Numbers(values, converted + found.warnings, found.failed)


def compared(found: dict, truth: dict, less_noise: bool) -> tuple[str, str]:
    """What is wrong beside the undisturbed scan ("" where nothing is), and what moved the most.

    Parameters
    ----------
    found, truth : dict
        Name to value and standard error; what one of them lacks is not compared.
    """
    wrong, most, moved = "", -1.0, ""
    for name in truth.keys() & found.keys():
        (value, se), (true, true_se) = found[name], truth[name]
        step = value - true if name.startswith("change") else 100 * (value / true - 1)
        in_se = abs(value - true) / se if se > 0 else np.inf
        if in_se > most:
            most, moved = in_se, f"{name} {step:+.1f} % ({in_se:.1f} SE)"
        # Not a number is wrong too.
        if not (in_se <= WRONG_SE or abs(step) <= WRONG_PERCENT):
            wrong = f"{name}: {value:.4g} for {true:.4g}, {in_se:.1f} SE"
        if not less_noise and se < LEAST_ERROR * true_se:
            wrong = wrong or f"{name}: its error is {se / true_se:.2f} times that of its noise"
    return wrong, moved


def table(outcomes: Iterable[Outcome]) -> str:
    """Cases one a line, and how many came to what."""
    outcomes = list(outcomes)
    counts = Counter(one.kind for one in outcomes)
    told = ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
    return "\n".join([*map(str, outcomes), f"{len(outcomes)} cases: {told}"])


def _front(folder: Path) -> str:
    """Sheets and conversion as a run has them; what refused the sheets."""
    os.chdir(folder)
    try:
        study = read_study(read_config(CONFIG), CONFIG)
    except StudyError as error:
        return f"{REFUSED}: {'; '.join(error.problems)}"
    if problems := [*same_measurements(study), *missing_files(study), *troubles(study)]:
        return f"{REFUSED}: {'; '.join(problems)}"
    write_bytes(Path("results/study.json"), study.save_text().encode())
    return _stages(folder, ("convert",))


def _stages(folder: Path, stages: tuple[str, ...]) -> str:
    os.chdir(folder)
    if not Path("results/study.json").exists():
        study = read_study(read_config(CONFIG), CONFIG)
        write_bytes(Path("results/study.json"), study.save_text().encode())
    study = _study(folder)
    choice = study.config["analyses"][study.config["primary"]]
    for stage in stages:
        if not study.items(stage):
            continue  # a T1w to segment, where maps are named
        names = "-".join(choice[setting] for setting in STAGE_SETTINGS[stage])
        code = cli.main([stage, *([names] if names else []), *[i.key for i in study.items(stage)]])
        if code:
            return f"{stage} ended with {code}\n{Path('said.txt').read_text()}"
    return ""


def _study(folder: Path) -> Study:
    return _study_of(folder / "results")


def _study_of(results: Path) -> Study:
    return Study.load(results / "study.json")


def _basis_row(site) -> tuple:
    names = ("vendor", "field_t", "sequence", "te_s", "te1_s", "tm_s", "pulse_delays_s")
    return tuple(getattr(site, name) for name in names)


def _record(folder: Path, stage: str, key: str) -> dict:
    site, stem = key.split("/")
    pattern = f"{stage}*/{site}/**/{stem}_desc-{stage}_record.json"
    # A unit of conditions has no task in its name.
    other = f"{stage}*/{site}/**/*_desc-{stage}_record.json"
    results = folder / "results"
    return read_json(next(iter([*results.glob(pattern), *results.glob(other)])))


def _values(folder: Path, study: Study) -> dict[str, tuple[float, float]]:
    results, site = folder / "results", study.scans[0].site
    (quantified,) = _first(results, f"quantify-*/{site}/**/*_concentrations.tsv", study)
    rows = read_table(quantified)
    whole = "all" if any(row["condition"] == "all" for row in rows) else rows[0]["condition"]
    values = {}
    for row in rows:
        if row["condition"] != whole or row["matched"] != "false":
            continue
        if row["quantity"] == "ratio_tcr" and row["metabolite"] in RATIOS:
            values[f"{row['metabolite']}/tCr"] = _pair(row, "value", "se")
        if row["quantity"] == "molal" and row["metabolite"] in MOLAL:
            values[f"{row['metabolite']} molal"] = _pair(row, "value", "se")
    for change in results.glob(f"response-*/{site}/**/*_change.tsv"):
        for row in read_table(change):
            told = row["metabolite"], row["quantity"], row["matched"]
            if told in (("Glu", "ratio_tcr", "true"), ("Glu", "molal", "true")):
                name = f"change Glu {row['quantity']} {row['estimator']}"
                values[name] = _pair(row, "change_percent", "se_percent")
    return values


def _first(results: Path, pattern: str, study: Study) -> list[Path]:
    stem = study.scans[0].stem
    return [path for path in results.glob(pattern) if path.name.startswith(f"{stem}_")]


def _pair(row: dict, value: str, error: str) -> tuple[float, float]:
    return tuple(np.nan if row[key] == "n/a" else float(row[key]) for key in (value, error))


def _fingerprint(folder: Path, study: Study) -> tuple[tuple, list[np.ndarray]]:
    """Whatever the stages behind convert read of a study of one scan."""
    arrays, told = [], []
    for scan in study.scans:
        record = _record(folder, "convert", scan.key)
        told += [record[key] for key in CONVERTED]
        told.append({key: getattr(scan, key) for key in ("condition", "task")})
        for column in ("gm", "wm", "csf", "events", "t1w"):
            name = getattr(scan, column)
            told.append(file_digest(folder / study.data_root / name) if name else "")
    for path in sorted((folder / "results" / "convert").rglob("*.nii.gz")):
        image = nib.load(path)
        arrays += [np.asarray(image.dataobj), image.affine.astype(float)]
        told.append((path.name.split("_desc-")[1], image.shape))
    settings = {key: one for key, one in study.config.items() if key != "name"}
    sites = [
        {**vars(site), "transients": None, "spectral_width_hz": None}
        for site in study.sites.values()
    ]
    return (repr((told, settings, sites)),), arrays


def _same(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return len(some) == len(others) and all(
        one.shape == other.shape and np.abs(one - other).max() <= SAME * np.abs(one).max()
        for one, other in zip(some, others)
    )


def _plain(text: str) -> str:
    """A sentence without its numbers and names of files."""
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", re.sub(r"\S+/\S+", "", text))


def _leaks(folder: Path, said: str) -> str:
    """What of the planted person is found in outputs or in words; "" where nothing is."""
    marks = [one.encode() for one in PERSON.values()] + [b"Zwetschkenbaum"]
    if any(mark.decode() in said for mark in marks):
        return said
    for path in (folder / "results").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.name.endswith(".gz"):
                import gzip

                content = gzip.decompress(content)
            for mark in marks:
                if mark in content:
                    return f"{path.relative_to(folder)} holds {mark.decode()}"
    return ""


def _tail(said: str | None) -> str:
    if said is None:
        return "did not end"
    lines = [line for line in said.splitlines() if "cpu_s" not in line]
    return " / ".join(lines[-4:])[-600:]

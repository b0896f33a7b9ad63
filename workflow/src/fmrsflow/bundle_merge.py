"""How a centre checks the bundles that it gets, and makes one study of them."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from fmrsflow import bundle_files, versions
from fmrsflow.bundles import (
    FORMAT,
    LEAVES,
    MANIFEST,
    PATH_SETTINGS,
    STUDY,
    WITHHELD,
    below,
    digest_of,
    results_of,
)
from fmrsflow.errors import DataError, reading_failed
from fmrsflow.files import open_regular
from fmrsflow.results import Results, parse_record
from fmrsflow.sheets import (
    LABEL,
    SETTING_NAME,
    check_config,
    check_value,
    covariate_problems,
    participant_rules,
    schema,
)
from fmrsflow.study import ANALYSIS_SETTINGS, STAGE_SETTINGS, Study
from fmrsflow.surroundings import long_names
from fmrsflow.versions import NOT_NUMERICAL

MOST_BYTES = 2 << 30
"""Unpacked size (bytes) above which a bundle is refused."""

MOST_FILES = 200_000

MOST_ANALYSES = 100
"""Analyses of one bundle: many of the same settings cost as much as of different ones, and no
bytes."""

_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What a damaged archive raises while it is read; DataError goes through as it is."""

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Bundle:
    """A checked bundle: its study (one site), the files by path, software that made it."""

    name: str
    study: Study
    files: Mapping[str, bytes]
    software: dict


def unpack(path: str | Path) -> Bundle:
    """Read a bundle and check it: form, paths, limits, digest of each file; then its settings and
    rows as those of config.yaml and sheets are checked, and that every record is there.

    Raises
    ------
    DataError
        With the file's name and what is wrong; nothing of it is used then.
    """
    name = Path(path).name
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES or sum(one.file_size for one in entries) > MOST_BYTES:
                raise DataError(f"{name}: larger than a bundle of one site can be; not unpacked")
            content = {one.filename: _read(archive, one, name) for one in entries}
    except DataError:
        raise
    except _UNREADABLE as error:
        reason = f"{name}: no readable bundle ({error}); ask the site again"
        raise reading_failed(path, error, reason) from None
    try:
        manifest = json.loads(content.pop(MANIFEST))
        digests = dict(manifest["files"])
        software, made = dict(manifest["software"]), manifest["format"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise DataError(f"{name}: no bundle of fmrsflow ({MANIFEST} is missing or bad)") from None
    if made != FORMAT:
        raise DataError(f"{name}: bundle format {made}; this version reads {FORMAT}")
    if set(digests) != set(content):
        odd = sorted(set(digests) ^ set(content))
        raise DataError(f"{name}: files and manifest differ ({odd[0]}); ask the site again")
    for entry, digest in digests.items():
        if digest_of(content[entry]) != digest:
            raise DataError(f"{name}: {entry} is not what the manifest promises; ask again")
    try:
        study = Study.from_text(content.pop(STUDY).decode())
        bundle_files.check_software(software, f"{name}: {MANIFEST}")
        bundle_files.check_software(study.software, f"{name}: {STUDY}")
        _check_names(study, content, name)
        study = _checked(study, name)
    except DataError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise DataError(f"{name}: {STUDY} is missing or bad; ask the site again") from None
    _check_records(study, content, name)
    _check_files(study, content, name)
    return Bundle(name, study, Packed(path, {one: digests[one] for one in content}), software)


class Packed(Mapping):
    """Files of a checked bundle by path, read from it when they are asked for: the bundles of a
    consortium need not fit into memory together."""

    def __init__(self, path: str | Path, digests: dict[str, str]):
        self._path, self._digests = path, digests

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self._path)

    def __getitem__(self, name: str) -> bytes:
        digest = self._digests[name]
        try:
            content = self._archive.read(name)
        except _UNREADABLE as error:
            reason = f"{Path(self._path).name}: {name} cannot be read again ({error})"
            raise reading_failed(self._path, error, reason) from None
        if digest_of(content) != digest:
            raise DataError(f"{Path(self._path).name} was changed while it was merged; run again")
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self._digests)

    def __len__(self) -> int:
        return len(self._digests)


def differences(bundles: list[Bundle]) -> list[dict]:
    """Settings, code of the stages and libraries in which bundles differ from the first, and
    records of a bundle from its own study.json, a row each."""
    rows = [row for bundle in bundles for row in _versions(bundle)]
    first = bundles[0]
    wanted = _comparable(first)
    for other in bundles[1:]:
        found = _comparable(other)
        rows += [
            {
                "what": key,
                first.name: wanted.get(key, "absent"),
                "bundle": other.name,
                "has": found.get(key, "absent"),
            }
            for key in sorted(set(wanted) | set(found))
            if wanted.get(key) != found.get(key)
        ]
    return rows


def duplicates(bundles: list[Bundle]) -> list[str]:
    """Sites that stand in more than one bundle, also in other capitals (some file systems make one
    folder of both), and scans of two bundles that were made of the same raw data, a line each."""
    places: dict[str, list[tuple[str, str]]] = {}
    for bundle in bundles:
        for site in bundle.study.sites:
            places.setdefault(site.lower(), []).append((site, bundle.name))
    twice = [
        f"site {' and '.join(dict.fromkeys(site for site, _ in own))} stands in "
        f"{', '.join(name for _, name in own)}"
        for _, own in sorted(places.items())
        if len(own) > 1
    ]
    return twice or _same_data(bundles)


def _same_data(bundles: list[Bundle]) -> list[str]:
    """By digest of the measurement alone: events and headers of two scans may be the same."""
    problems: list[str] = []
    first: dict[frozenset, tuple[str, str]] = {}
    for bundle in bundles:
        for scan in bundle.study.scans:
            path = bundle.study.record_path("convert", {}, scan)
            name = below(bundle.study, path)
            record = parse_record(bundle.files[name], name)
            data = frozenset(
                digest
                for name, digest in record.get("sources", {}).items()
                if name.startswith(f"{WITHHELD}-mrs-")
            )
            other, key = first.setdefault(data, (bundle.name, scan.key))
            if data and other != bundle.name:
                problems.append(
                    f"{scan.key} in {bundle.name} has the raw data of {key} in {other}; leave one "
                    "of the two bundles out, or have its site mend scans.tsv"
                )
    return problems


def combine(bundles: list[Bundle], results: str, plan: dict | None = None) -> Study:
    """One study of all bundles' sites, with its outputs below `results`, and what was registered of
    it (`sheets.read_plan`)."""
    ordered = sorted(bundles, key=lambda bundle: bundle.name)
    of_centre = {"results": results, "data_root": WITHHELD, "norms": None}
    return Study(
        config={**ordered[0].study.config, **of_centre},
        sites=dict(sorted((n, s) for bundle in ordered for n, s in bundle.study.sites.items())),
        scans=tuple(
            sorted((s for bundle in ordered for s in bundle.study.scans), key=lambda s: s.key)
        ),
        participants=tuple(row for bundle in ordered for row in bundle.study.participants),
        software=ordered[0].software,
        preregistration=plan or {},
    )


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    parts = PurePosixPath(entry.filename).parts
    symlink = (entry.external_attr >> 16) & 0o170000 == 0o120000
    if symlink or not parts or not all(_SAFE.fullmatch(part) for part in parts):
        raise DataError(f"{name}: the entry {entry.filename!r} is no path of a bundle; refused")
    # zipfile bounds what it unpacks at once for these two alone: a few bytes of bzip2 or LZMA
    # would fill the memory before their size is known to be a lie.
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{name}: {entry.filename} is compressed as no bundle is; refused")
    with archive.open(entry) as file:
        # The size in the directory may lie; never read more than it promises.
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise DataError(f"{name}: {entry.filename} is not of the size that the archive tells")
    return content


def _check_names(study: Study, files: dict[str, bytes], name: str) -> None:
    """Names become paths and pages; a digest tells how they travelled, not that they are good.

    Raises
    ------
    DataError
        More sites than one, a label or setting that is none, or a file of another site.
    """
    if len(study.sites) != 1:
        raise DataError(f"{name}: a bundle holds one site, this one {len(study.sites)}")
    (site,) = study.sites
    if len(study.config["analyses"]) > MOST_ANALYSES:
        raise DataError(f"{name}: more than {MOST_ANALYSES} analyses; refused")
    labels = [site, *(row["site"] for row in study.participants)]
    for scan in study.scans:
        labels += [label for label in scan.entities.values() if label]
    bad = [label for label in labels if not LABEL.fullmatch(label)]
    names = list(study.config["analyses"])
    names += [one for stage in ANALYSIS_SETTINGS for one in study.config[stage]]
    bad += [one for one in names if not SETTING_NAME.fullmatch(one)]
    if bad:
        raise DataError(f"{name}: {bad[0]!r} is no label of a study; refused")
    if long := long_names(study):
        raise DataError(f"{name}: {long[0]}; refused")
    if len({scan.key.lower() for scan in study.scans}) < len(study.scans):
        raise DataError(f"{name}: a scan stands twice, or in other capitals; refused")
    foreign = {scan.site for scan in study.scans} - {site}
    foreign |= {row["site"] for row in study.participants} - {site}
    foreign |= {path for path in files if PurePosixPath(path).parts[1:2] != (site,)}
    if foreign:
        raise DataError(f"{name}: {sorted(foreign)[0]} is not of site {site}; refused")


def _checked(study: Study, name: str) -> Study:
    """The study with its settings and rows checked by the schemas of config.yaml and sheets.

    Raises
    ------
    DataError
        With the first problem; a bundle that `pack` made has none.
    """
    problems: list[str] = []
    config = check_config(study.config, STUDY, problems)
    rows = [("sites_sheet", {**asdict(one), "site": one.name}) for one in study.sites.values()]
    rows += [("scans_sheet", asdict(scan)) for scan in study.scans]
    rows += [("participants_sheet", row) for row in study.participants]
    settings = config["sites"]
    problems += covariate_problems(settings, STUDY)
    if problems:  # settings say which columns there may be
        raise DataError(f"{name}: {problems[0]}; refused")
    of_people = participant_rules(settings)
    for sheet, row in rows:
        for column, rule in (of_people if sheet == "participants_sheet" else schema(sheet)).items():
            value = row.get(column)
            given = value is not None and value != ""
            if given and (problem := check_value(value, rule)[1]):
                problems.append(f"{STUDY}: {column}: {problem}")
            if not given and rule.get("required"):
                problems.append(f"{STUDY}: {column} is missing in a row of {sheet}")
    odd = {key for row in study.participants for key in row} - {*of_people}
    problems += [f"{STUDY}: participants have a column {key!r:.80}" for key in sorted(odd)]
    if problems:
        raise DataError(f"{name}: {problems[0]}; refused")
    return replace(study, config=config, preregistration={})


def _check_records(study: Study, files: dict[str, bytes], name: str) -> None:
    """Every record of every scan is there and tells what the tables and pages ask of it.

    Raises
    ------
    DataError
        One is missing or bad.
    """
    for stage, own, item in results_of(study):
        path = str(study.record_path(stage, own, item).relative_to(study.results))
        try:
            record = parse_record(files[path], path)
            whole = record["stage"] == stage
            texts = [record["reason"], *record["warnings"]]
            texts += [*record.get("flags", ()), *record.get("implausible", ())]
            whole &= all(isinstance(text, str | None) for text in texts)
            whole &= record["status"] in ("ok", "failed")
            whole &= record["failed_at"] in (None, *STAGE_SETTINGS)
            tables = [record["files"], record["settings"], record.get("sources", {})]
            whole &= all(isinstance(table, dict) for table in tables)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            whole = False
        if not whole:
            raise DataError(f"{name}: {path} is missing or no record of {stage}; ask again")


def _check_files(study: Study, files: dict[str, bytes], name: str) -> None:
    """Every file is one that leaves a site and that its record names, and can be opened as what it
    is (bundle_files.py).

    Raises
    ------
    DataError
        With the first that is not.
    """
    known = set()
    for stage, own, item in results_of(study):
        output = Results(study).of(stage, own, item)
        path = below(study, output.record_path)
        known.add(path)
        record = bundle_files.parse_json(files[path], f"{name}: {path}")
        bundle_files.check_record(record, stage, f"{name}: {path}")
        if record.get("scan") != item.entities:
            raise DataError(f"{name}: {path} is the record of another scan; refused")
        for what in LEAVES[stage]:
            file = below(study, output.place(what))
            if record["files"].get(PurePosixPath(file).name) != digest_of(files.get(file, b"")):
                if file in files or PurePosixPath(file).name in record["files"]:
                    raise DataError(f"{name}: {file} is not what its record names; ask again")
                continue
            known.add(file)
            _check_file(stage, what, files[file], f"{name}: {file}")
    if odd := sorted(set(files) - known):
        raise DataError(f"{name}: {odd[0]} is no file that leaves a site; refused")


def _check_file(stage: str, what: str, content: bytes, shown: str) -> None:
    if what.endswith(".tsv"):
        bundle_files.check_table(content, stage, what.removesuffix(".tsv"), shown)
    elif what.endswith(".npz"):
        bundle_files.check_arrays(content, shown)
    elif what.endswith(".nii.gz"):
        bundle_files.check_fids(content, shown)
    else:
        bundle_files.parse_json(content, shown)


def _comparable(bundle: Bundle) -> dict[str, str]:
    """Everything of configuration and software that must agree, as flat text."""
    skipped = {*PATH_SETTINGS[""], "only_sites", "same_content", "batch", "keep_intermediates"}
    flat: dict[str, str] = {}

    def walk(prefix: str, value) -> None:
        """Put every leaf into `flat`, by its keys joined with dots."""
        if isinstance(value, dict):
            for key, one in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), one)
        else:
            flat[prefix] = json.dumps(value)

    walk("", {key: one for key, one in bundle.study.config.items() if key not in skipped})
    libraries = bundle.software.get("Dependencies") or {}
    libraries = {key: one for key, one in libraries.items() if key not in NOT_NUMERICAL}
    walk("software", {"code": bundle.software.get("Stages"), "libraries": libraries})
    return flat


def _versions(bundle: Bundle) -> Iterator[dict]:
    """Rows of what some records of a bundle were made by and its study.json does not say."""
    for stage in LEAVES:
        found: Counter[str] = Counter()
        own = [entry for entry in results_of(bundle.study) if entry[0] == stage]
        for _, names, item in own:
            path = below(bundle.study, bundle.study.record_path(stage, names, item))
            record = parse_record(bundle.files[path], path)
            found.update(versions.differences(record, bundle.study, stage, names))
        for one, count in found.items():
            text = versions.made_by_two(stage, count, len(own), one)
            yield {"what": f"records of {stage}", "bundle": bundle.name, "has": text}

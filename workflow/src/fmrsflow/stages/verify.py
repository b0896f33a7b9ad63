"""`fmrsflow verify [RESULTS]`: what changed since the results were made."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fmrsflow import manifests, versions
from fmrsflow.bundles import merged
from fmrsflow.errors import DataError
from fmrsflow.files import file_digest
from fmrsflow.results import read_record
from fmrsflow.source_names import SourcePaths
from fmrsflow.study import STAGE_SETTINGS, Study, directory
from fmrsflow.words import count


def changes(results: Path, study: Study) -> Iterator[tuple[str, str]]:
    """(file, what changed) for every input, output and record that is not what it should be.

    Parameters
    ----------
    results : Path
        Where the results lie now.
    study : Study
        Their study.json; a relative data root is that of the study's folder, wherever this runs.
    """
    seen: dict[Path, str | None] = {}
    sources = SourcePaths(study, _study_folder(results, study) / study.data_root)

    gone = pruned(results)

    def now(path: Path) -> str | None:
        if path not in seen:
            seen[path] = file_digest(path) if path.is_file() else None
        return seen[path]

    for name in sorted(expected_records(study)):
        if not (results / name).exists():
            yield str(results / name), "record is missing: deleted, or the run did not come to it"
    yield from made_by_two_versions(results, study)
    for record_path in sorted(results.rglob("*record.json")):
        try:
            record = read_record(record_path)
        except (DataError, OSError):
            yield str(record_path), "damaged or edited since it was written"
            continue
        files = record.get("files", {})
        expected = {record_path.parent / name: made for name, made in files.items()}
        expected |= {results / name: made for name, made in record.get("inputs", {}).items()}
        for path, digest in expected.items():
            if now(path) is None and path in gone:
                continue
            if now(path) != digest:
                verb = "missing" if now(path) is None else "changed"
                yield str(path), f"{verb} since {record['stage']} recorded it"
        if merged(study):
            continue
        for name, digest in record.get("sources", {}).items():
            path = sources(record.get("scan", {}).get("site", ""), name)
            if path.is_file() and now(path) != digest:
                yield str(path), f"source changed since {record['stage']} read it"
            elif not path.exists():
                yield str(path), "source is no longer there"


def pruned(results: Path) -> set[Path]:
    """Files that `fmrsflow prune` has deleted and nothing has made again."""
    found: set[Path] = set()
    for path in results.glob("**/batches/*.json"):
        manifest = manifests.read(path)
        for entry in manifest.entries.values() if manifest else ():
            found |= {results / name for name in entry.pruned}
    return {path for path in found if not path.exists()}


def made_by_two_versions(results: Path, study: Study) -> Iterator[tuple[str, str]]:
    """(folder of a stage, in what some of its records differ from study.json and what to do);
    a record of another scan by itself."""
    for stage in STAGE_SETTINGS:
        for names in study.choices(stage):
            found: Counter[str] = Counter()
            total = 0
            for item in study.items(stage):
                path = results / study.record_path(stage, names, item).relative_to(study.results)
                try:
                    record = read_record(path)
                except (DataError, OSError):
                    continue  # reported by itself
                total += 1
                found.update(versions.differences(record, study, stage, names))
                if record.get("scan") != item.entities:
                    yield str(path), "the record of another scan, copied or renamed"
            for one, count_ in found.items():
                folder = str(results / directory(stage, names))
                yield folder, versions.made_by_two(stage, count_, total, one)


def repair(results: Path, found: list[tuple[str, str]]) -> list[Path]:
    """Delete the record of each damaged file, so that the next run misses it and makes its scan
    again; the records that were deleted. Records of what merely read a damaged file stay."""
    damaged = {Path(path) for path, _ in found}
    gone = []
    for path in sorted(results.rglob("*record.json")):
        try:
            files = read_record(path)["files"]
        except (DataError, OSError):
            files = {}
        if not path.is_dir() and (
            path in damaged or damaged & {path.parent / name for name in files}
        ):
            path.unlink()
            gone.append(path)
    return gone


def expected_records(study: Study) -> set[str]:
    """Records of a whole run, by name below the results."""
    found = {("convert", (), scan) for scan in study.scans}
    found |= {("anatomy", (), scan) for scan in study.scans}
    found |= {("bold", (), scan) for scan in study.items("bold")}
    if not merged(study):
        found |= {("segment", (), owner) for owner in study.items("segment")}
    names = {"multiverse/record.json"}
    for analysis, choice in study.config["analyses"].items():
        names |= {f"{analysis}/{stage}/record.json" for stage in ("sites", "bold", "report")}
        for stage in ("preprocess", "fit", "quantify", "response"):
            own = tuple(choice[setting] for setting in STAGE_SETTINGS[stage])
            items = study.units() if stage == "response" else study.scans
            found |= {(stage, own, item) for item in items}
        if not merged(study):
            folder = directory("basis", choice)
            sites = {scan.site for scan in study.scans}
            names |= {f"{folder}/{site}_desc-basis_record.json" for site in sites}
    for stage, own, item in found:
        path = study.record_path(stage, dict(zip(STAGE_SETTINGS[stage], own)), item)
        names.add(str(path.relative_to(study.results)))
    return names


def _study_folder(results: Path, study: Study) -> Path:
    """Folder in which the run was started: `results` of config.yaml is relative to it."""
    own = study.results
    depth = 1 if own.is_absolute() or ".." in own.parts else len(own.parts)
    folder = results.resolve()
    for _ in range(depth):
        folder = folder.parent
    return folder


def main(argv: list[str]) -> int:
    """Print every change; exit code 1 where there is one."""
    parser = argparse.ArgumentParser(prog="fmrsflow verify", description=__doc__)
    parser.add_argument(
        "results", nargs="?", default="results", type=Path, help="folder of results"
    )
    parser.add_argument(
        "--repair", action="store_true", help="have the next run make again what is damaged"
    )
    arguments = parser.parse_args(argv)
    results = arguments.results
    study = Study.load(results / "study.json")
    found = sorted(set(changes(results, study)))
    for path, what in found:
        print(f"{path}\t{what}")
    if merged(study):
        print("results of bundles: raw data and what else stayed at the sites is not checked here")
    if arguments.repair:
        for path in repair(results, found):
            print(f"{path}\tdeleted: the next run makes it again")
    if gone := len(pruned(results)):
        print(f"{count(gone, 'file')} pruned: made again when something asks for it")
    records = sum(1 for _ in results.rglob("*record.json"))
    print(f"{count(records, 'record')}, {count(len(found), 'change')}")
    return 1 if found else 0

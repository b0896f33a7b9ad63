"""`fmrsflow verify [RESULTS]`: what changed since the results were made."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.records import file_digest, read_record
from fmrsflow.study import Study


def changes(results: Path, study: Study) -> Iterator[tuple[str, str]]:
    """(file, what changed) for every input and output that is not what its record says."""
    seen: dict[Path, str | None] = {}

    def now(path: Path) -> str | None:
        if path not in seen:
            seen[path] = file_digest(path) if path.is_file() else None
        return seen[path]

    for record_path in sorted(results.rglob("*record.json")):
        try:
            record = read_record(record_path)
        except DataError:
            yield str(record_path), "damaged or edited since it was written"
            continue
        files = record.get("files", {})
        expected = {record_path.parent / name: made for name, made in files.items()}
        expected |= {results / name: made for name, made in record.get("inputs", {}).items()}
        for path, digest in expected.items():
            if now(path) != digest:
                verb = "missing" if now(path) is None else "changed"
                yield str(path), f"{verb} since {record['stage']} recorded it"
        for name, digest in record.get("sources", {}).items():
            path = study.data_root / name
            if path.is_file() and now(path) != digest:
                yield str(path), f"source changed since {record['stage']} read it"
            elif not path.exists():
                yield str(path), "source is no longer there"


def main(argv: list[str]) -> int:
    """Print every change; exit code 1 where there is one."""
    parser = argparse.ArgumentParser(prog="fmrsflow verify", description=__doc__)
    parser.add_argument("results", nargs="?", default="results", type=Path)
    results = parser.parse_args(argv).results
    study = Study.load(results / "study.json")
    found = sorted(set(changes(results, study)))
    for path, what in found:
        print(f"{path}\t{what}")
    records = sum(1 for _ in results.rglob("*record.json"))
    print(f"{records} records, {len(found)} changes")
    return 1 if found else 0

"""`fmrsflow prune [--study FILE] [--dry-run]`: delete what can be made again of each scan: spectra,
maps, arrays, pictures and its page. Tables, records with the digests of all files, sidecars, bases
and the pages of sites and consortium stay.

Nothing runs again for it. Whatever reads a pruned file later (another setting, `fmrsflow bundle`,
`fmrsflow report ANALYSIS SCAN`) has it made again, for that scan alone. With --intermediates
pictures and pages stay; `keep_intermediates: false` in config.yaml does so at the end of a run.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from fmrsflow import manifests
from fmrsflow.bundles import merged
from fmrsflow.errors import DataError, Unwritable
from fmrsflow.files import file_digest, write_json
from fmrsflow.manifests import Entry, Manifest
from fmrsflow.results import read_record
from fmrsflow.study import Study, study_option
from fmrsflow.words import count

STAGES = ("convert", "segment", "anatomy", "preprocess", "fit", "bold", "report")
"""Stages whose files can be made again from their records' input."""

ENDINGS = (".nii.gz", ".npz", ".png", ".html")
"""What is large and serves no table."""

INTERMEDIATES = (".nii.gz", ".npz")
"""Those that nobody looks at."""


def main(argv: list[str]) -> int:
    """Delete, or list with --dry-run, and say how much room that makes."""
    parser = argparse.ArgumentParser(
        prog="fmrsflow prune",
        description=__doc__.partition("\n\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    study_option(parser)
    parser.add_argument("--dry-run", "-n", action="store_true", help="list the files alone")
    parser.add_argument(
        "--intermediates", action="store_true", help="spectra, maps and arrays alone"
    )
    arguments = parser.parse_args(argv)
    endings = INTERMEDIATES if arguments.intermediates else ENDINGS
    study = Study.load(arguments.study)
    if merged(study):
        print("fmrsflow prune: results of bundles: what they hold was made at the sites and cannot "
              "be made again here; nothing is pruned", file=sys.stderr)  # fmt: skip
        return 1
    prune(study, endings, arguments.dry_run)
    return 0


def prune(study: Study, endings: tuple[str, ...], dry_run: bool = False) -> None:
    """Delete the files of scans with these endings that can be made again, and say how much room
    that makes; `dry_run` lists them alone."""
    n_files = n_bytes = 0
    lost = set(_without_input(study))
    for path, manifest in _manifests(study):
        gone: dict[str, list[Path]] = {}
        for key, entry in manifest.entries.items():
            if key not in lost and entry.status == "ok":
                gone[key] = list(_prunable(study, manifest.stage, entry, endings))
        sizes = {one: one.stat().st_size for places in gone.values() for one in places}
        if sizes and not dry_run:
            try:
                _mark(study, path, manifest, gone)
            except Unwritable:
                # On a full disk the largest makes the room for the mark; after a kill between the
                # two the next run would make it again.
                max(sizes, key=sizes.get).unlink()
                _mark(study, path, manifest, gone)
        for place, size in sizes.items():
            n_files, n_bytes = n_files + 1, n_bytes + size
            if dry_run:
                print(place)
            else:
                place.unlink(missing_ok=True)
    verb = "would be pruned" if dry_run else "pruned"
    print(f"{count(n_files, 'file')}, {n_bytes / 1e6:.1f} MB {verb}", file=sys.stderr)
    if lost:
        scans = count(len(lost), "scan")
        print(f"kept whole: {scans} whose data have changed or are gone ({min(lost)}, ...)",
              file=sys.stderr)  # fmt: skip


def _manifests(study: Study) -> Iterator[tuple[Path, Manifest]]:
    """Manifests of the stages, those that others stand on last: a killed `prune` leaves nothing
    whose input is gone and that is not marked."""
    for stage in reversed(STAGES):
        pattern = "*/report/batches/*.json" if stage == "report" else f"{stage}*/batches/*.json"
        for path in sorted(study.results.glob(pattern)):
            manifest = manifests.read(path)
            if manifest is not None and manifest.stage == stage:
                yield path, manifest


def _without_input(study: Study) -> Iterator[str]:
    """Keys of scans whose data are not there as they were read: nothing can be made of them."""
    for _, manifest in _manifests(study):
        for key, entry in manifest.entries.items():
            if any(
                manifests.state(study.data_root / name)[:2] != state[:2]
                for name, state in entry.sources.items()
            ):
                yield key


def _prunable(study: Study, stage: str, entry: Entry, endings: tuple[str, ...]) -> Iterator[Path]:
    """Files that are there, as they were recorded; a damaged one, or one whose record is damaged,
    stays for `verify` to find."""
    records = [name for name in entry.files if name.endswith("_record.json")]
    try:
        digests = read_record(study.results / records[0])["files"] if records else {}
    except (DataError, OSError):
        return
    for name in (name for name in entry.files if name.endswith(endings)):
        path = study.results / name
        whole = path.is_file() and (
            stage == "report" or file_digest(path) == digests.get(path.name)
        )
        if whole:
            yield path


def _mark(study: Study, path: Path, manifest: Manifest, gone: dict[str, list[Path]]) -> None:
    """Note in a manifest what is about to be pruned; its time stays, or all that follows would run
    again."""
    told = path.stat()
    for key, places in gone.items():
        names = {str(place.relative_to(study.results)) for place in places}
        entry = manifest.entries[key]
        entry.pruned = sorted({*entry.pruned, *names})
    write_json(path, manifest.to_json())
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))

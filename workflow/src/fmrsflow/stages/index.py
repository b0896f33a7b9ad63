"""`fmrsflow index BIDS_DIR`: write the rows of scans.tsv from a BIDS dataset."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from fmrsflow.sheets import schema
from fmrsflow.tables import write_table
from fmrsflow.words import count

NAME = re.compile(
    r"sub-(?P<subject>[A-Za-z0-9]+)(?:_ses-(?P<session>[A-Za-z0-9]+))?"
    r"(?:_task-(?P<task>[A-Za-z0-9]+))?(?:_acq-(?P<acq>[A-Za-z0-9]+))?"
    r"(?:_[a-z]+-[A-Za-z0-9]+)*?(?:_run-(?P<run>[A-Za-z0-9]+))?_svs\.nii(?:\.gz)?"
)


def rows(root: Path, site: str, within: Path) -> list[dict]:
    """One row of scans.tsv for each `_svs` file of a BIDS dataset.

    Parameters
    ----------
    root : Path
        The dataset; its `sub-*/[ses-*/]mrs` folders are read.
    site : str
        Site label of every row.
    within : Path
        Folder that paths are written relative to (the data root).
    """
    found = []
    for path in sorted(root.glob("sub-*/mrs/*_svs.nii*")) + sorted(
        root.glob("sub-*/ses-*/mrs/*_svs.nii*")
    ):
        match = NAME.fullmatch(path.name)
        if match is None:
            print(f"fmrsflow index: {path.name}: no BIDS name, left out", file=sys.stderr)
            continue
        stem = path.name.rsplit("_svs", 1)[0]
        entities = {key: label or "" for key, label in match.groupdict().items()}
        anatomy = sorted(path.parents[1].glob("anat/*_T1w.nii*"))
        files = {
            "mrs": path,
            "ref": next(iter(sorted(path.parent.glob(f"{stem}_*mrsref.nii*"))), None)
            or next(iter(sorted(path.parent.glob(f"{stem}_mrsref.nii*"))), None),
            "t1w": anatomy[0] if anatomy else None,
            "events": next(iter(path.parent.glob(f"{stem}_events.tsv")), None),
        }
        found.append(
            {"site": site, **entities}
            | {
                name: str(one.relative_to(within)) if one is not None else ""
                for name, one in files.items()
            }
        )
    return found


def main(argv: list[str]) -> int:
    """Write the sheet; exit code 1 where the dataset holds no MRS."""
    parser = argparse.ArgumentParser(prog="fmrsflow index", description=__doc__)
    parser.add_argument("dataset", type=Path, help="BIDS dataset of one site")
    parser.add_argument("--site", required=True, help="label of the site")
    parser.add_argument(
        "--data-root", type=Path, help="folder that paths are relative to (default: the dataset)"
    )
    parser.add_argument("--out", default="scans.tsv", help="sheet to write (default: scans.tsv)")
    arguments = parser.parse_args(argv)
    within = (arguments.data_root or arguments.dataset).resolve()
    dataset = arguments.dataset.resolve()
    if not dataset.is_relative_to(within):
        print(f"fmrsflow index: {dataset} is not below the data root {within}", file=sys.stderr)
        return 2
    found = rows(dataset, arguments.site, within)
    if not found:
        print(f"fmrsflow index: no sub-*/[ses-*/]mrs/*_svs.nii[.gz] in {dataset}", file=sys.stderr)
        return 1
    columns = {name: (rule["meaning"], "") for name, rule in schema("scans_sheet").items()}
    write_table(arguments.out, [{name: row.get(name) for name in columns} for row in found])
    print(f"{arguments.out}: {count(len(found), 'scan')} of {arguments.site}")
    return 0

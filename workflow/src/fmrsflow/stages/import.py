"""`fmrsflow import KIND SOURCE STUDY`: a study with the choices of another program.

osprey   a job.m (its literal assignments; no line is run) or the JSON of Osprey's window
lcmodel  a control file
fsl-mrs  a command line of fsl_mrs in quotes, or a file with one a line

STUDY/config gets config.yaml, the sheets, and imported.tsv: every setting of the source, what it
became, and what differs in the answer.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from operator import itemgetter
from pathlib import Path

from fmrsflow.errors import UsageError
from fmrsflow.intake.choices import OPEN, Choices, labels, named
from fmrsflow.intake.found import Unusable
from fmrsflow.intake.protocol import NEEDED, protocol_of
from fmrsflow.intake.sheets import add_rows
from fmrsflow.sheets import LABEL, schema
from fmrsflow.stages.init import add_protocol_option, given_columns, write_study
from fmrsflow.words import count

KINDS = ("osprey", "lcmodel", "fsl-mrs")


def main(argv: list[str]) -> int:
    """Write the study; exit code."""
    parser = argparse.ArgumentParser(
        prog="fmrsflow import", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS, help="program that the source is of")
    parser.add_argument("source", help="job, control file or command line")
    parser.add_argument("study", type=Path, help="folder of the new study")
    parser.add_argument("--site", default="site1", help="label of the site (default: site1)")
    add_protocol_option(
        parser, "a cell of sites.tsv that neither source nor headers fill: vendor=Philips"
    )
    arguments = parser.parse_args(argv)
    if not LABEL.fullmatch(arguments.site):
        raise UsageError(f"--site {arguments.site}: letters and digits only")
    config = arguments.study / "config"
    if (config / "config.yaml").exists():
        raise UsageError(f"{config}/config.yaml is there already: import makes a new study")
    found = _read(arguments.kind, arguments.source)
    given = found.protocol | given_columns(arguments.protocol)
    home = Path.cwd()
    if arguments.kind != "fsl-mrs":
        home = Path(arguments.source).absolute().parent
    rows, site, root = _rows(found, arguments.site, given, home)
    if found.basis is not None:
        name = _below(found.basis, root)
        found.take("(basis)", name, "basis.path", name, "below data_root")
    write_study(config, {"data_root": str(root)}, found)
    people = [{"site": row["site"], "subject": row["subject"]} for row in rows]
    for sheet, new, keys in (
        ("sites", [site] if site else [], ("site",)),
        ("scans", rows, ("mrs",)),
        ("participants", people, ("site", "subject")),
    ):
        columns = list(schema(f"{sheet}_sheet"))
        add_rows(config / f"{sheet}.tsv", columns, new, itemgetter(*keys))
    _print(found, rows, root, config)
    return 0


def _read(kind: str, source: str) -> Choices:
    """Only what is needed is imported."""
    if kind == "osprey":
        from fmrsflow.intake.osprey import read_job

        return read_job(Path(source))
    if kind == "lcmodel":
        from fmrsflow.intake.lcmodel import read_control

        return read_control(Path(source))
    from fmrsflow.intake.fsl_mrs import read_commands

    return read_commands(source)


def _rows(
    found: Choices, site: str, given: dict, home: Path
) -> tuple[list[dict], dict | None, Path]:
    """Rows of scans.tsv, that of sites.tsv, and the data root: the folder that holds every file.
    Without a scan no row of its site, and the source's folder."""
    every = [path for scan in found.files for path in scan.values()]
    every = [Path(os.path.abspath(path)) for path in (*every, *filter(None, [found.basis]))]
    root = Path(os.path.commonpath([path.parent for path in every])) if every else home
    rows, headers = [], []
    for scan, own in zip(found.files, labels([one["mrs"] for one in found.files])):
        try:
            headers.append(_header(scan["mrs"], found))
        except Unusable as error:
            found.ask("(file)", scan["mrs"].name, f"has no row in scans.tsv: {error}")
            continue
        paths = {column: _below(path, root) for column, path in scan.items()}
        rows.append({"site": site, **own, **paths})
    if not rows:
        return [], None, root
    if sum(not named(scan["mrs"]) for scan in found.files) > 1:
        said = "no label sub- in the paths: each such scan is taken as a person of its own"
        found.ask("(subject)", "", f"{said}; mend column subject where one has several")
    row = {"site": site, "protocol": "own"}
    for column in (*NEEDED, "tm_s"):
        told = {header[column] for header in headers if column in header}
        if len(told) == 1:
            (row[column],) = told
        elif (column in NEEDED or told) and column not in given:
            several = " and ".join(
                f"{one:g}" if column[-2:] in ("_s", "_t") else one for one in sorted(told)
            )
            said = f"headers say {several}" if told else "neither the source nor a header says it"
            found.ask(f"(sites.tsv: {column})", "", f"{said}: write it into config/sites.tsv")
    return rows, row | given, root


def _header(path: Path, found: Choices) -> dict:
    """What the header of a NIfTI-MRS says; those of other formats are read by the convert stage."""
    if not path.exists():
        found.ask("(file)", path.name, "is not there: mend data_root or the path")
        return {}
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return protocol_of(path, {})[0]
    return {}


def _below(path: Path, root: Path) -> str:
    return Path(os.path.relpath(os.path.abspath(path), root)).as_posix()


def _print(found: Choices, rows: list[dict], root: Path, config: Path) -> None:
    kinds = Counter(row["kind"] for row in found.rows)
    for row in found.rows:
        if row["kind"] == OPEN:
            value = f" {row['value']}" if row["value"] else ""
            print(f"{OPEN}: {row['from']}{value}: {row['note']}")
    said = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    print(f"{config}: {count(len(rows), 'scan')} below {root}; settings: {said}")
    if not rows:
        print(
            f"no scan is named: add them, fmrsflow init {config.parent} --files DIR (or --bids DIR)"
        )
    print(f"look through {config}/imported.tsv, then: fmrsflow run {config.parent}")

"""`fmrsflow init STUDY [--bids DIR | --files DIR]`: configuration and sheets of a study."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from fmrsflow.errors import DataError, UsageError
from fmrsflow.files import write_bytes
from fmrsflow.intake.choices import IMPORTED, Choices
from fmrsflow.intake.found import GUESS, LEFT, OPEN, FoundScan, Note
from fmrsflow.intake.people import people
from fmrsflow.intake.presets import preset_names, read_preset
from fmrsflow.intake.protocol import NEEDED, others, shown, site_row
from fmrsflow.intake.sheets import add_rows
from fmrsflow.sheets import LABEL, PLAIN_SECTIONS, check_value, read_config, schema, typed
from fmrsflow.study import ANALYSIS_SETTINGS
from fmrsflow.tables import MISSING, read_table, table_bytes, text
from fmrsflow.words import count

USUAL = {
    "preprocess": "robust",
    "basis": "simulated",
    "fit": "spline",
    "concentration": "osprey",
    "response": "standard",
}
"""Name that the defaults of each section get in a new configuration."""


def commented(top: dict, settings: dict, analyses: dict) -> str:
    """A config.yaml with every setting, its meaning on the line above it.

    Parameters
    ----------
    top : dict
        Values of top-level keys that are not the defaults.
    settings : dict
        Section -> name -> keys that are not the defaults; the first name gets every key in full.
    analyses : dict
        Analysis -> section -> name where that is not the usual one.
    """
    lines = ["# Settings of a study. Sheets and columns: config/README.md", ""]
    for key, rule in schema("config").items():
        if key == "analyses":
            lines += [f"# {rule['meaning']}", "analyses:"]
            for name, changed in analyses.items():
                lines.append(f"  {name}: {_flow(USUAL | changed)}")
        else:
            value = top.get(key, rule.get("default"))
            lines += [_comment(rule), f"{key}: {_scalar(value)}"]
    for section in ANALYSIS_SETTINGS:
        lines += ["", f"{section}:"]
        for number, (name, changed) in enumerate(settings[section].items()):
            if number:
                lines.append(f"  {name}: {_flow(changed)}")
            else:
                lines += [f"  {name}:", *_block(section, changed, "    ")]
    for section in PLAIN_SECTIONS:
        lines += ["", f"{section}:", *_block(section, {}, "  ")]
    return "\n".join(lines) + "\n"


SHEETS = {
    "sites": "One row a site: its scanner and the protocol that it promised.",
    "scans": "One row a scan. Paths are relative to `data_root` and lie below it.",
    "participants": "One row a participant and site; may be left out.",
}


def readme() -> str:
    """config/README.md: every column of the sheets, and how settings and analyses are named."""
    lines = [
        "# The files of a study",
        "",
        "Columns are parted by tabs; `n/a` or nothing is a missing value. `fmrsflow check` tells",
        "every error of these files at once, with row, column and remedy; so does `snakemake -n`.",
    ]
    for sheet, meaning in SHEETS.items():
        lines += ["", f"## {sheet}.tsv", "", meaning, "", "| column | needed | meaning |"]
        lines.append("|---|---|---|")
        for name, rule in schema(f"{sheet}_sheet").items():
            needed = "yes" if rule.get("required") else ""
            lines.append(f"| `{name}` | {needed} | {_comment(rule)[2:].replace('|', ', ')} |")
    return "\n".join([*lines, "", *_SETTINGS_TEXT, ""])


_SETTINGS_TEXT = """## config.yaml

Every key of config.yaml stands there with its meaning, unit and limits in the line above it.

The sections `preprocess`, `basis`, `fit`, `concentration` and `response` hold **named settings**:
a name (small letters and digits) and the keys that differ from the defaults. An **analysis** is one
name for each of them. Folders of results carry the names, so analyses that share a setting share
its files, and any number of analyses of the same data (a multiverse) are nothing but more lines:

```yaml
analyses:
  main:
    {preprocess: robust, basis: simulated, fit: spline, concentration: osprey, response: standard}
  plain:
    {preprocess: none, basis: simulated, fit: spline, concentration: osprey, response: standard}
preprocess:
  robust: {}
  none: {align: none, average: equal}
```

## Rest and task

Two ways, told by `scans.tsv` alone:

- blocks in one scan: `events` names a BIDS events.tsv (`onset` and `duration` in s from the first
  excitation, `trial_type`); time outside every event is rest;
- one scan each: `condition` names what a whole scan is (rest, task), `events` stays empty; scans
  of one participant, session, `acq` and `run` belong together, whatever their `task`.
""".splitlines()


NOTES_SHOWN = 30
"""Most notes that are printed; found.tsv has all."""

FOUND = {
    "site": text("site that was read"),
    "kind": text("taken: a choice that the files do not prove; left out: not used; to do: missing"),
    "file": text("file, below the data root"),
    "note": text("what was taken, left out or is to do, and why"),
}


def main(argv: list[str]) -> int:
    """Make a study, or add a site to it; nothing that stands there is changed."""
    arguments = _parser().parse_args(argv)
    config = arguments.directory / "config"
    fresh = not (config / "config.yaml").exists()
    if arguments.preset and not fresh:
        raise UsageError("--preset is for a new study; config.yaml is there already, and stays")
    choices = read_preset(arguments.preset) if arguments.preset else None
    if arguments.bids or arguments.files:
        make(
            arguments.directory,
            arguments.bids,
            arguments.files,
            arguments.site,
            arguments.protocol,
            choices=choices,
        )
        print(f"look through {config}, then: fmrsflow run {arguments.directory}")
        return 0
    if not fresh:
        print(f"fmrsflow init: {config}/config.yaml is there already", file=sys.stderr)
        return 1
    top = {"data_root": "data"}
    then = "fill in the sheets"
    if arguments.synthetic:
        top["synthetic"] = arguments.synthetic
        then = f"fmrsflow run {arguments.directory}"
    write_study(config, top, choices)
    print(f"{config}: config.yaml, sites.tsv, scans.tsv, participants.tsv; {then}")
    return 0


def make(
    study: Path,
    bids: Path | None,
    files: Path | None = None,
    site: str | None = None,
    protocol: Sequence[str] = (),
    top: dict | None = None,
    only: Callable[[FoundScan], bool] = lambda scan: True,
    choices: Choices | None = None,
) -> None:
    """Make a study of a folder of data, or add its site; say what was found.

    Parameters
    ----------
    bids, files : Path or None
        BIDS dataset or folder of vendor files.
    site : str or None
        Its label; None for the folder's name.
    protocol : sequence of str
        Cells of sites.tsv, as COLUMN=VALUE.
    top : dict or None
        Top-level keys of a new config.yaml that are not those of `fmrsflow init`.
    only : callable
        Says which scans are wanted.
    choices : Choices or None
        Settings of a new config.yaml that are not the defaults.

    Raises
    ------
    UsageError
        A folder, label or cell that cannot be.
    DataError
        No scan, or none of the protocol that was asked for.
    """
    source, config = bids or files, study / "config"
    if not source.is_dir():
        raise UsageError(f"{source} is no folder")
    fresh = not (config / "config.yaml").exists()
    site = site or re.sub(r"[^A-Za-z0-9]", "", source.resolve().name) or "site1"
    if not LABEL.fullmatch(site):
        raise UsageError(f"--site {site}: letters and digits only")
    given = given_columns(protocol)
    if fresh:
        top = {"data_root": _written_root(study, source.resolve().parent)} | (top or {})
        root = (study / top["data_root"]).resolve()
    else:
        root = _data_root(config, source)
    sheets = {} if fresh else {name: _sheet(config, name) for name in SHEETS}
    standing = {
        root / row["mrs"]: row for row in sheets.get("scans", ()) if row.get("site") == site
    }
    found, notes = _search(bids, files, given, standing)
    found = [scan for scan in found if only(scan)]
    if not found:
        _print_notes(notes, root)
        what = "sub-*/[ses-*/]mrs/*_svs.nii[.gz]" if bids else "spectra of one voxel"
        raise DataError(f"no {what} in {source}")
    row, scans, more = site_row(site, found, given, _typed_row(sheets.get("sites", ()), site))
    if files:
        from fmrsflow.intake.vendor import number_runs

        more += number_runs(scans, standing)
    notes += more
    labels = {scan.columns["subject"] for scan in scans if not scan.numbered}
    if any(scan.numbered for scan in scans) and (source / "participants.tsv").is_file():
        said = "people whose label is a number given here are not looked for in it"
        notes.append(Note(OPEN, str(source.resolve() / "participants.tsv"), said))
    persons, told = people(source.resolve(), labels)
    notes += told
    if fresh:
        write_study(config, top, choices)
    notes += _add(config, site, row, scans, persons, root)
    notes += _same_people(sheets.get("scans", ()), site, source.resolve(), root)
    _save_notes(config / "found.tsv", site, notes, root)
    _print_notes(notes, root)
    print(_summary(site, row, scans))
    if left := [scan for scan in found if scan not in scans]:
        print(f"NOT IN THE STUDY: {count(len(left), 'scan')} of another protocol. To have them:")
        for number, (words, n, cells) in enumerate(others(left, row), start=2):
            asked = " ".join(f"--protocol {cell}" for cell in cells)
            kind = f"--bids {bids}" if bids else f"--files {files}"
            call = f"fmrsflow init {study} {kind} --site {site}{number} {asked}"
            print(f"  {count(n, 'scan')}, {words}: {call}")
    if lacking := [column for column in NEEDED if row[column] is None]:
        print(f"to do before it runs: {', '.join(lacking)} of {site} in {config / 'sites.tsv'}")


def _sheet(config: Path, name: str) -> list[dict]:
    path = config / f"{name}.tsv"
    return read_table(path) if path.exists() else []


def _typed_row(rows, site: str) -> dict:
    """Cells of the site's row of sites.tsv in their types; those that are empty or wrong not."""
    columns, found = schema("sites_sheet"), {}
    for row in rows:
        if row.get("site") != site:
            continue
        for column, text_ in row.items():
            if column in columns and column != "site" and text_ not in ("", MISSING):
                value, problem = check_value(typed(text_, columns[column]), columns[column])
                if not problem:
                    found[column] = value
    return found


def _same_people(rows, site: str, source: Path, root: Path) -> list[Note]:
    """A word on people who have rows at two sites: two protocols of one folder."""
    others = {row["site"] for row in rows if row.get("site") != site}
    others = {
        one
        for one in others
        if any(row["site"] == one and source in (root / row["mrs"]).parents for row in rows)
    }
    said = (
        "scans of site {} lie in the same folder: give people who have both the same `person` "
        "in participants.tsv"
    )
    return [Note(OPEN, "", said.format(one)) for one in sorted(others)]


def _search(bids: Path | None, files: Path | None, given: dict, standing: dict):
    """Scans of the folder, and notes; only what is needed is imported."""
    if bids:
        from fmrsflow.intake.bids import found_scans

        return found_scans(bids.resolve())
    from fmrsflow.intake.vendor import found_scans

    return found_scans(files.resolve(), given, standing)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fmrsflow init",
        description="Make the configuration and sheets of a study: empty, or from a folder of data."
        " A second call with another folder adds a site; rows that stand there stay as they are.",
    )
    parser.add_argument("directory", type=Path, help="folder of the study, made if need be")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--bids", type=Path, metavar="DIR", help="BIDS dataset of a site")
    source.add_argument(
        "--files", type=Path, metavar="DIR", help="folder of vendor files of a site"
    )
    parser.add_argument(
        "--preset", help=f"settings of a published study: {', '.join(preset_names())}"
    )
    source.add_argument(
        "--synthetic",
        metavar="PLAN",
        help="made-up scans with known truth: a preset of the synthetic scanner (demo), or a plan",
    )
    parser.add_argument("--site", help="label of the site (default: the folder's name)")
    add_protocol_option(
        parser, "a cell of sites.tsv: what headers leave out, or which of their protocols is meant"
    )
    return parser


def add_protocol_option(parser: argparse.ArgumentParser, meaning: str) -> None:
    """The option `--protocol` of a parser: texts that `given_columns` reads."""
    parser.add_argument(
        "--protocol", action="append", default=[], metavar="COLUMN=VALUE", help=meaning
    )


def given_columns(texts: list[str]) -> dict:
    """Cells of sites.tsv from the command line."""
    columns, found = schema("sites_sheet"), {}
    for text_ in texts:
        column, _, value = text_.partition("=")
        if column not in columns or column == "site":
            raise UsageError(f"--protocol {text_}: sites.tsv has no such column")
        found[column], problem = check_value(typed(value, columns[column]), columns[column])
        if problem:
            raise UsageError(f"--protocol {text_}: {problem} ({columns[column]['meaning']})")
    return found


def _data_root(config: Path, source: Path) -> Path:
    """Folder that the paths of a study's scans.tsv start from.

    Raises
    ------
    UsageError
        The data do not lie below it.
    """
    source = source.resolve()
    told = read_config(config / "config.yaml").get("data_root", "data")
    root = (config.parent / told).resolve()
    if not source.is_relative_to(root):
        raise UsageError(
            f"{source} does not lie below {root}, the data_root of {config / 'config.yaml'}: bring "
            "the data there, or let data_root be a folder that holds both and mend the paths of "
            "scans.tsv"
        )
    return root


def _written_root(study: Path, root: Path) -> str:
    """The data root as config.yaml has it: relative where it lies in the study's folder."""
    study = study.resolve()
    return str(root.relative_to(study)) if root.is_relative_to(study) else str(root)


def write_study(config: Path, top: dict, choices: Choices | None = None) -> None:
    """config.yaml, README.md and empty sheets; with the choices of a preset or another program,
    imported.tsv tells where each comes from; of a synthetic study the sheets of its plan.

    Parameters
    ----------
    top : dict
        Top-level keys that are not those of every new study.
    """
    settings = {section: {name: {}} for section, name in USUAL.items()}
    analysis = choices.analysis() if choices else {}
    for section, name in analysis.items():
        settings[section] = {name: choices.settings[section]}
    if choices:
        write_bytes(config / "imported.tsv", table_bytes(choices.rows, IMPORTED))
    if top.get("synthetic"):
        # Imported here: the synthetic scanner takes half a second.
        from fmrsflow.synthetic.consortium import write_sheets
        from fmrsflow.synthetic.plan import load_plan

        write_sheets(load_plan(top["synthetic"]), config)
    top = {"participants_sheet": "config/participants.tsv", "primary": "main"} | top
    write_bytes(config / "config.yaml", commented(top, settings, {"main": analysis}).encode())
    write_bytes(config / "README.md", readme().encode())
    for sheet in ("sites", "scans", "participants"):
        if not (config / f"{sheet}.tsv").exists():
            header = "\t".join(schema(f"{sheet}_sheet")) + "\n"
            write_bytes(config / f"{sheet}.tsv", header.encode())


def _add(config: Path, site: str, row: dict, scans, persons, root: Path) -> list[Note]:
    """Rows of the site in the three sheets; notes on those that stand there otherwise."""
    notes = []
    rows = [
        {"site": site, **scan.columns}
        | {column: str(path.relative_to(root)) for column, path in scan.files.items()}
        for scan in scans
    ]
    there = {_labels(one): one["mrs"] for one in _sheet(config, "scans") if one.get("mrs")}
    for one in list(rows):
        if there.get(_labels(one), one["mrs"]) != one["mrs"]:
            rows.remove(one)
            said = f"its labels are those of {there[_labels(one)]} in scans.tsv: no row is added"
            notes.append(Note(LEFT, str(root / one["mrs"]), said))
    people_rows = [{"site": site, **one} for one in persons]
    for sheet, new, key in (
        ("sites", [row], lambda one: (one["site"],)),
        ("scans", rows, lambda one: (one.get("mrs"),)),
        ("participants", people_rows, lambda one: (one.get("site"), one.get("subject"))),
    ):
        path = config / f"{sheet}.tsv"
        fill = NEEDED if sheet == "sites" else ()
        added, other = add_rows(path, list(schema(f"{sheet}_sheet")), new, key, fill)
        print(f"{path}: {count(len(added), 'row')} added")
        for one in other:
            said = f"{sheet}.tsv has other values for {' '.join(key(one))} and keeps them"
            notes.append(Note(LEFT, "", said))
    return notes


def _labels(row: dict) -> tuple[str, ...]:
    """What makes the name of a scan, in small letters; run-1 is run-01."""
    cells = [row.get(name) or "" for name in ("site", "subject", "session", "task", "acq", "run")]
    return tuple("" if one == MISSING else one.lower() for one in cells)


def _below(path: str, root: Path) -> str:
    return str(Path(path).relative_to(root)) if path and Path(path).is_relative_to(root) else path


def _save_notes(sheet: Path, site: str, notes: list[Note], root: Path) -> None:
    """The list of this site in found.tsv, in place of its earlier one."""
    others = [row for row in read_table(sheet) if row["site"] != site] if sheet.exists() else []
    rows = [replace(note, file=_below(note.file, root)).row(site) for note in notes]
    write_bytes(sheet, table_bytes([*others, *rows], FOUND))


def _print_notes(notes: list[Note], root: Path) -> None:
    for kind in (OPEN, LEFT, GUESS):
        same: dict[str, list[str]] = {}
        for note in notes:
            if note.kind == kind:
                same.setdefault(note.said, []).append(_below(note.file, root))
        for said, files in list(same.items())[:NOTES_SHOWN]:
            more = f" and {len(files) - 1} more" if len(files) > 1 else ""
            print(f"{kind}: {files[0]}{more}: {said}" if files[0] else f"{kind}: {said}")
        if len(same) > NOTES_SHOWN:
            print(f"{kind}: {len(same) - NOTES_SHOWN} more, see config/found.tsv")


def _summary(site: str, row: dict, scans) -> str:
    columns = ("ref", "t1w", "events", "bold")
    parts = [f"{sum(column in scan.files for scan in scans)} with {column}" for column in columns]
    return f"{site}: {shown(row)}; {count(len(scans), 'scan')}, " + ", ".join(parts)


def _block(section: str, changed: dict, indent: str) -> list[str]:
    lines = []
    for key, rule in schema(section).items():
        value = changed.get(key, rule.get("default"))
        lines += [indent + _comment(rule), f"{indent}{key}: {_scalar(value)}"]
    return lines


def _comment(rule: dict) -> str:
    limits = []
    if "choices" in rule:
        limits.append(" | ".join(str(choice) for choice in rule["choices"]))
    if "min" in rule and "max" in rule:
        limits.append(f"{rule['min']} to {rule['max']}")
    elif "min" in rule:
        limits.append(f"{rule['min']} or more")
    text = " ".join(rule["meaning"].split())
    return f"# {text}" + (f" [{'; '.join(limits)}]" if limits else "")


def _flow(value) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False).strip()


def _scalar(value) -> str:
    return _flow(value).removesuffix("...").strip()

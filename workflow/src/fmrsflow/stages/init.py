"""`fmrsflow init STUDY [--bids DIR | --files DIR]`: configuration and sheets of a study."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

import yaml

from fmrsflow.errors import UsageError
from fmrsflow.files import write_bytes
from fmrsflow.intake.choices import IMPORTED, Choices
from fmrsflow.intake.found import GUESS, LEFT, OPEN, Note
from fmrsflow.intake.people import people
from fmrsflow.intake.presets import preset_names, read_preset
from fmrsflow.intake.protocol import site_row
from fmrsflow.intake.sheets import add_rows
from fmrsflow.sheets import LABEL, PLAIN_SECTIONS, check_value, read_config, schema, typed
from fmrsflow.study import ANALYSIS_SETTINGS
from fmrsflow.tables import read_table, table_bytes, text
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
    source = arguments.bids or arguments.files
    config = arguments.directory / "config"
    fresh = not (config / "config.yaml").exists()
    if not fresh and source is None:
        print(f"fmrsflow init: {config}/config.yaml is there already", file=sys.stderr)
        return 1
    choices = _preset(arguments.preset, fresh)
    if source is None:
        write_study(config, "data", choices, arguments.synthetic)
        then = (
            f"fmrsflow run {arguments.directory}" if arguments.synthetic else "fill in the sheets"
        )
        print(f"{config}: config.yaml, sites.tsv, scans.tsv, participants.tsv; {then}")
        return 0
    if not source.is_dir():
        raise UsageError(f"{source} is no folder")
    site = arguments.site or re.sub(r"[^A-Za-z0-9]", "", source.resolve().name) or "site1"
    if not LABEL.fullmatch(site):
        raise UsageError(f"--site {site}: letters and digits only")
    root = _data_root(config, source, fresh)
    given = given_columns(arguments.protocol)
    scans, notes = _search(arguments, given)
    if not scans:
        _print_notes(notes, root)
        what = "sub-*/[ses-*/]mrs/*_svs.nii[.gz]" if arguments.bids else "spectra of one voxel"
        print(f"fmrsflow init: no {what} in {source}", file=sys.stderr)
        return 1
    row, scans, more = site_row(site, scans, given)
    persons, told = people(source.resolve(), {scan.columns["subject"] for scan in scans})
    notes += [*more, *told]
    if fresh:
        write_study(config, _written_root(arguments.directory, root), choices)
    notes += _add(config, site, row, scans, persons, root)
    _save_notes(config / "found.tsv", site, notes, root)
    _print_notes(notes, root)
    print(_summary(site, row, scans))
    print(f"look through {config}, then: fmrsflow run {arguments.directory}")
    return 0


def _search(arguments: argparse.Namespace, given: dict):
    """Scans of the folder, and notes; only what is needed is imported."""
    if arguments.bids:
        from fmrsflow.intake.bids import found_scans

        return found_scans(arguments.bids.resolve())
    from fmrsflow.intake.vendor import found_scans

    return found_scans(arguments.files.resolve(), given)


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
    parser.add_argument(
        "--protocol",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="a cell of sites.tsv where headers say nothing, or nothing right: sequence=PRESS",
    )
    return parser


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


def _data_root(config: Path, source: Path, fresh: bool) -> Path:
    """Folder that the paths of scans.tsv start from.

    Raises
    ------
    UsageError
        The study has one, and the data do not lie below it.
    """
    source = source.resolve()
    if fresh:
        return source.parent
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


def _preset(name: str | None, fresh: bool) -> Choices | None:
    if name is None:
        return None
    if not fresh:
        raise UsageError(
            "--preset is for a new study: config.yaml is there already, and stays as it is"
        )
    return read_preset(name)


def write_study(
    config: Path, data_root: str, choices: Choices | None = None, synthetic: str | None = None
) -> None:
    """config.yaml, README.md and empty sheets; with the choices of a preset or another program,
    imported.tsv tells where each comes from; of a synthetic study the sheets of its plan."""
    settings = {section: {name: {}} for section, name in USUAL.items()}
    analysis = choices.analysis() if choices else {}
    for section, name in analysis.items():
        settings[section] = {name: choices.settings[section]}
    if choices:
        write_bytes(config / "imported.tsv", table_bytes(choices.rows, IMPORTED))
    top = {
        "data_root": data_root,
        "participants_sheet": "config/participants.tsv",
        "primary": "main",
    }
    if synthetic:
        # Imported here: the synthetic scanner takes half a second.
        from fmrsflow.synthetic.consortium import write_sheets
        from fmrsflow.synthetic.plan import load_plan

        write_sheets(load_plan(synthetic), config)
        top["synthetic"] = synthetic
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
    people_rows = [{"site": site, **one} for one in persons]
    for sheet, new, key in (
        ("sites", [row], lambda one: (one["site"],)),
        ("scans", rows, lambda one: (one.get("mrs"),)),
        ("participants", people_rows, lambda one: (one.get("site"), one.get("subject"))),
    ):
        path = config / f"{sheet}.tsv"
        added, other = add_rows(path, list(schema(f"{sheet}_sheet")), new, key)
        print(f"{path}: {count(len(added), 'row')} added")
        for one in other:
            said = f"{sheet}.tsv has other values for {' '.join(key(one))} and keeps them"
            notes.append(Note(LEFT, "", said))
    return notes


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
    return (
        f"{site}: {row['vendor']} {row['field_t']:g} T, {row['sequence']} TE "
        f"{1e3 * row['te_s']:g} ms, TR {1e3 * row['tr_s']:g} ms; {count(len(scans), 'scan')}, "
        + ", ".join(parts)
    )


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

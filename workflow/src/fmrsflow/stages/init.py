"""`fmrsflow init DIR`: a study folder with a commented configuration and empty sheets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from fmrsflow.files import write_bytes
from fmrsflow.sheets import PLAIN_SECTIONS, schema
from fmrsflow.study import ANALYSIS_SETTINGS

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


def main(argv: list[str]) -> int:
    """Write DIR/config/config.yaml and the headers of the sheets; nothing is overwritten."""
    parser = argparse.ArgumentParser(prog="fmrsflow init", description=__doc__)
    parser.add_argument("directory", type=Path, help="folder of the new study")
    config = parser.parse_args(argv).directory / "config"
    if (config / "config.yaml").exists():
        print(f"fmrsflow init: {config}/config.yaml is there already", file=sys.stderr)
        return 1
    settings = {section: {name: {}} for section, name in USUAL.items()}
    top = {"participants_sheet": "config/participants.tsv", "primary": "main"}
    write_bytes(config / "config.yaml", commented(top, settings, {"main": {}}).encode())
    write_bytes(config / "README.md", readme().encode())
    for sheet in ("sites", "scans", "participants"):
        header = "\t".join(schema(f"{sheet}_sheet")) + "\n"
        write_bytes(config / f"{sheet}.tsv", header.encode())
    print(f"{config}: config.yaml, sites.tsv, scans.tsv, participants.tsv; fill in the sheets")
    return 0


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

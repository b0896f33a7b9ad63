"""`fmrsflow mismatch make EDITION DIR` and `fmrsflow mismatch score DIR`: the mismatch benchmark.

`make` writes a synthetic study and a folder for each run of the workflow on it; `score` reads what
the runs left. Between the two comes Snakemake (`./run mismatch` does all three).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from fmrsflow.files import read_json, write_bytes, write_json
from fmrsflow.mismatch.variants import (
    EDITIONS,
    ENGINES,
    Edition,
)
from fmrsflow.tables import read_table, write_table


def main(argv: list[str]) -> int:
    """Run the subcommand; exit code."""
    parser = argparse.ArgumentParser(prog="fmrsflow mismatch", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    make = commands.add_parser("make", help="write data and configurations")
    make.add_argument("edition", choices=sorted(EDITIONS), help="which doses")
    make.add_argument("directory", help="folder to write")
    make.add_argument("--cores", type=int, default=1, help="processes (default: 1)")
    make.add_argument("--no-engines", action="store_true", help="leave FSL-MRS and LCModel out")
    make.set_defaults(run=_make)
    scored = commands.add_parser("score", help="tables of scores from finished runs")
    scored.add_argument("directory", help="folder that `make` wrote")
    scored.set_defaults(run=_score)
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


def _make(arguments) -> int:
    import yaml

    from fmrsflow.synthetic.consortium import make
    from fmrsflow.synthetic.plan import parse_plan

    edition, root = EDITIONS[arguments.edition], Path(arguments.directory)
    engines = () if arguments.no_engines else installed_engines()
    for run in edition.runs(engines):
        text = yaml.safe_dump(edition.config(run), sort_keys=False)
        write_bytes(root / run.name / "config" / "config.yaml", text.encode())
        print(run.name)
    plan = parse_plan(yaml.safe_dump(edition.plan()), f"edition {edition.name}")
    for visit in make(plan, root / "data", arguments.cores):
        print(f"{visit.site.name} sub-{visit.subject}", file=sys.stderr)
    write_json(root / "edition.json", {"edition": edition.name, "engines": list(engines)})
    return 0


def installed_engines() -> tuple[str, ...]:
    """Analyses whose command is on the PATH."""
    return tuple(name for name, command in ENGINES.items() if shutil.which(command))


def _score(arguments) -> int:
    from fmrsflow.mismatch.benchmark import read_benchmark
    from fmrsflow.mismatch.markdown import markdown
    from fmrsflow.mismatch.page import mismatch_page
    from fmrsflow.mismatch.scoring import score_tables

    root = Path(arguments.directory)
    made = read_json(root / "edition.json")
    edition = EDITIONS[made["edition"]]
    tables = score_tables(edition, edition.runs(tuple(made["engines"])), root)
    for name, (rows, columns) in tables.items():
        write_table(root / f"{name}.tsv", rows, columns)
        print(root / f"{name}.tsv")
    write_json(root / "made.json", _made(edition, root, made["engines"]))
    scored = read_benchmark(root)
    for name, text in (("tables.md", markdown(scored)), ("mismatch.html", mismatch_page(scored))):
        write_bytes(root / name, text.encode())
        print(root / name)
    return 0


def _made(edition: Edition, root: Path, engines: list[str]) -> dict:
    """How an edition was made."""
    from datetime import UTC, datetime

    from fmrsflow.provenance import software

    own = software()
    variants = edition.variants()
    return {
        "edition": edition.name,
        "date": datetime.now(UTC).date().isoformat(),
        "version": f"{own['Name']} {own['Version']}",
        "commit": own["Commit"],
        "seed": str(edition.seed),
        "variants": str(len({one.key for one in variants})),
        "scans": str(len(read_table(root / "data" / "config" / "scans.tsv"))),
        "engines": ", ".join(_version(ENGINES[name]) for name in engines) or "none but our own",
    }


def _version(command: str) -> str:
    """A command and its version, where it states one."""
    if command != "fsl_mrs" or not shutil.which(command):
        return command
    printed = subprocess.run([command, "--version"], capture_output=True, text=True)
    return f"{command} {printed.stdout.strip()}".strip()

"""`fmrsflow demo [DIR]`: write a synthetic study, sheets and truth included."""

from __future__ import annotations

import argparse
import sys


def main(argv: list[str]) -> int:
    """Write a preset's data below DIR and its sheets below DIR/config; exit code."""
    parser = argparse.ArgumentParser(prog="fmrsflow demo", description=__doc__)
    parser.add_argument("directory", nargs="?", default="demo", help="data root (default: demo)")
    parser.add_argument("--preset", default="demo", help="preset, or a plan's YAML file")
    parser.add_argument("--cores", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--sheets-only", action="store_true", help="write DIR/config alone")
    arguments = parser.parse_args(argv)
    from fmrsflow.synthetic.consortium import make, write_sheets
    from fmrsflow.synthetic.plan import load_plan

    plan = load_plan(arguments.preset)
    if arguments.sheets_only:
        write_sheets(plan, f"{arguments.directory}/config")
        return 0
    for visit in make(plan, arguments.directory, arguments.cores):
        print(f"{visit.site.name} sub-{visit.subject}", file=sys.stderr)
    return 0

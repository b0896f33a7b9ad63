"""`fmrsflow clean [--study FILE] [--dry-run] STAGE...`: delete what these stages made of each scan.

Snakemake tracks the manifests and cannot know the files that they name; this deletes the files and
leaves the manifests, so that the next run misses the files and makes them again.
"""

from __future__ import annotations

import argparse
import sys

from fmrsflow.stages.list import files, read_arguments
from fmrsflow.words import count


def main(argv: list[str]) -> int:
    """Delete the files that manifests of the stages name."""
    parser = argparse.ArgumentParser(prog="fmrsflow clean", description=__doc__)
    parser.add_argument("--dry-run", "-n", action="store_true", help="list them alone")
    parser.add_argument("--all", action="store_true", help="every stage")
    results, stages, arguments = read_arguments(parser, argv)
    if bool(arguments.stages) == arguments.all:
        parser.error("name stages, or give --all")
    found = list(files(results, stages))
    for path in found:
        if arguments.dry_run:
            print(path)
        else:
            path.unlink(missing_ok=True)
    verb = "would be deleted" if arguments.dry_run else "deleted"
    print(f"{count(len(found), 'file')} {verb}", file=sys.stderr)
    return 0

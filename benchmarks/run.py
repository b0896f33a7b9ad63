"""`python benchmarks/run.py NAME [--quick]`: measure the figures of one part of the project.

Prints a line a figure (figure, value, target, reached, MISSED or SKIPPED with the reason); exits
with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

from fmrsflow import arithmetic

NAMES = (
    *("house", "chain", "synthetic", "fit", "foreign", "measured", "sites", "pages", "scale"),
    *("bold", "mismatch", "designs", "inputs", "start"),
)

MODULES = {"designs": ("designs", "responses", "timing")}
"""Modules of a name that has more than its own."""


def main() -> int:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds to minutes")
    arguments = parser.parse_args()
    # One core, whatever the caller's environment says.
    os.environ.update(arithmetic.ONE_THREAD)
    arithmetic.fix()
    sys.path.insert(0, str(Path(__file__).parent))
    missed = skipped = 0
    for module in MODULES.get(arguments.name, (arguments.name,)):
        for figure in importlib.import_module(module).figures(arguments.quick):
            print(figure, flush=True)
            missed += figure.reached is False
            skipped += figure.reached is None
    words = [f"{n} {word}" for n, word in ((missed, "missed"), (skipped, "skipped")) if n]
    print(", ".join(words) or "all reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

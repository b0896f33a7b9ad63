"""`fmrsflow publish OUT`: a study as an open BIDS dataset, anonymous and defaced."""

from __future__ import annotations

import argparse
from pathlib import Path

from fmrsflow.publish.dataset import Choices, publish
from fmrsflow.study import Study, study_option
from fmrsflow.words import count


def main(argv: list[str]) -> int:
    """Write the dataset; list what it holds, what it does not, and the words that leave with it."""
    parser = argparse.ArgumentParser(prog="fmrsflow publish", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the dataset, new or empty")
    study_option(parser)
    parser.add_argument("--name", default="Functional MR spectroscopy", help="title of the dataset")
    parser.add_argument("--license", default="", help="its licence, such as CC0-1.0")
    parser.add_argument(
        "--relabel", action="store_true", help="number people and sessions: labels may be names"
    )
    parser.add_argument(
        "--with-excluded",
        action="store_true",
        help="give scans too that the analysis excludes or could not fit",
    )
    arguments = parser.parse_args(argv)
    choices = Choices(arguments.name, arguments.license, arguments.relabel, arguments.with_excluded)
    made = publish(Study.load(arguments.study), arguments.out, choices)
    people, t1w = len(made.people), len({scan.t1w for scan in made.scans} - {""})
    print(f"{arguments.out}: {count(len(made.scans), 'scan')} of {count(people, 'participant')}")
    print(f"  {count(t1w, 'T1w', 'T1w')} without face: look at each before you share it")
    print("words of the study that leave; is each meant to?")
    for where, words in made.words.items():
        print(f"  {where}: {', '.join(sorted(words))}")
    print("".join(f"not given: {one}\n" for one in made.reasons), end="")
    return 0

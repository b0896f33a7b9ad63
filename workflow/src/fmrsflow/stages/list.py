"""`fmrsflow list [--study FILE] [STAGE...]`: files that the manifests of these stages name."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from fmrsflow import manifests
from fmrsflow.errors import unknown
from fmrsflow.study import STAGE_SETTINGS, Study, study_option

STAGES = (*STAGE_SETTINGS, "report")
"""Stages whose jobs leave manifests."""


def main(argv: list[str]) -> int:
    """Print a line a file."""
    results, stages = read_arguments(_parser(), argv)[:2]
    for path in files(results, stages):
        print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="fmrsflow list", description=__doc__)


def read_arguments(parser: argparse.ArgumentParser, argv: list[str]):
    """Folder of the results, names of stages (all where none is given), and all arguments."""
    study_option(parser)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="default: every stage")
    arguments = parser.parse_args(argv)
    for name in arguments.stages:
        if name not in STAGES:
            raise unknown("stage", name, STAGES)
    results = Study.load(arguments.study).results
    return results, arguments.stages or STAGES, arguments


def files(results: Path, stages: tuple[str, ...] | list[str]) -> Iterator[Path]:
    """Files of these stages that are there, under any settings."""
    patterns = {
        stage: "*/report/batches/*.json" if stage == "report" else f"{stage}*/batches/*.json"
        for stage in stages
    }
    for stage, pattern in patterns.items():
        for path in sorted(results.glob(pattern)):
            found = manifests.read(path)
            if found is not None and found.stage == stage:
                names = [name for entry in found.entries.values() for name in entry.files]
                yield from (results / name for name in names if (results / name).is_file())

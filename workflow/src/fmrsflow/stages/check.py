"""`fmrsflow check [CONFIG]`: all errors of a study's files, before anything runs."""

from __future__ import annotations

import argparse
import sys

from fmrsflow.sheets import StudyError, missing_files, read_config, read_study
from fmrsflow.words import count


def main(argv: list[str]) -> int:
    """Print every problem; exit code 1 where there is one."""
    parser = argparse.ArgumentParser(prog="fmrsflow check", description=__doc__)
    parser.add_argument(
        "config",
        nargs="?",
        default="config/config.yaml",
        help="configuration (default: config/config.yaml)",
    )
    config = parser.parse_args(argv).config
    try:
        study = read_study(read_config(config), config)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    missing = [] if study.config["synthetic"] else missing_files(study)
    print("\n".join(missing), file=sys.stderr)
    print(
        ", ".join(
            [
                count(len(study.sites), "site"),
                count(len(study.scans), "scan"),
                count(len(study.units()), "response unit"),
                count(len(study.config["analyses"]), "analysis", "analyses"),
                count(len(missing), "missing file"),
            ]
        )
    )
    return 1 if missing else 0

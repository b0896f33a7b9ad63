"""`fmrsflow check [CONFIG]`: all errors of a study's files, before anything runs."""

from __future__ import annotations

import argparse
import sys

from fmrsflow.sheets import StudyError, missing_files, read_config, read_study


def main(argv: list[str]) -> int:
    """Print every problem; exit code 1 where there is one."""
    parser = argparse.ArgumentParser(prog="fmrsflow check", description=__doc__)
    parser.add_argument("config", nargs="?", default="config/config.yaml")
    config = parser.parse_args(argv).config
    try:
        study = read_study(read_config(config), config)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    missing = [] if study.config["synthetic"] else missing_files(study)
    print("\n".join(missing), file=sys.stderr)
    print(
        f"{len(study.sites)} sites, {len(study.scans)} scans, {len(study.units())} response units, "
        f"{len(study.config['analyses'])} analyses, {len(missing)} missing files"
    )
    return 1 if missing else 0

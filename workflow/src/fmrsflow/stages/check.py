"""`fmrsflow check [CONFIG]`: all errors of a study's files, before anything runs."""

from __future__ import annotations

import argparse
import sys

from fmrsflow.errors import DataError
from fmrsflow.identity import same_measurements
from fmrsflow.sheets import StudyError, missing_files, read_config, read_study
from fmrsflow.study import Study
from fmrsflow.surroundings import troubles
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
    wrong = [*_sequences(study), *same_measurements(study), *troubles(study)]
    print("\n".join([*wrong, *missing]), file=sys.stderr)
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
    return 1 if missing or wrong else 0


def _sequences(study: Study) -> list[str]:
    """Sites whose sequence cannot be simulated for the basis that an analysis asks for."""
    from fmrsflow.basis.site import steps_of

    names = {analysis["basis"] for analysis in study.config["analyses"].values()}
    if all(study.setting("basis", name)["source"] != "simulate" for name in names):
        return []
    found = []
    for site in study.sites.values():
        try:
            steps_of(site)
        except DataError as error:
            found.append(f"sites.tsv: site {site.name}: {error}")
    return found

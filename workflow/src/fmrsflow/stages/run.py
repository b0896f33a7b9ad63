"""`fmrsflow run STUDY [ARGUMENTS]`: the workflow on a study, to its report.

Snakemake does the work, and takes all further arguments as they are: `-n`, `--cores 4`,
`--until fit`, `--workflow-profile PATH`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from fmrsflow.errors import UsageError
from fmrsflow.sheets import read_config
from fmrsflow.stages.check import main as check

CLONE = Path(__file__).resolve().parents[4]
"""The repository that this package is installed from."""


def main(argv: list[str]) -> int:
    """Check the study, then hand over to snakemake; its exit code."""
    parser = argparse.ArgumentParser(
        prog="fmrsflow run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("study", type=Path, help="folder of the study, with config/config.yaml")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="further arguments, as snakemake takes them"
    )
    arguments = parser.parse_args(argv)
    others = arguments.arguments
    snakefile, profile = CLONE / "Snakefile", CLONE / "workflow" / "profiles" / "local"
    if not (arguments.study / "config" / "config.yaml").is_file():
        raise UsageError(f"{arguments.study} has no config/config.yaml: make it with fmrsflow init")
    os.chdir(arguments.study)
    if code := check([]):
        return code
    # A study may be somebody else's: no module (-P) and no profile is taken from its folder, and
    # nothing of its settings is run.
    for name in _config_files(others):
        read_config(name)
    command = [sys.executable, "-P", "-m", "snakemake", "-s", str(snakefile)]
    if not any(one.startswith("--workflow-profile") for one in others):
        own = any(one.startswith("--profile") for one in others)
        command += ["--workflow-profile", "none" if own else str(profile)]
    sys.stdout.flush()
    os.execv(sys.executable, [*command, *others])


def _config_files(arguments: list[str]) -> Iterator[str]:
    """Files that `--configfile` names among the arguments for snakemake."""
    named = False
    for word in arguments:
        if word.startswith("-"):
            option, _, value = word.partition("=")
            named = option.startswith("--configfile")
            word = value if named else ""
        if named and word:
            yield word

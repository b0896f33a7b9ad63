"""`fmrsflow run STUDY [ARGUMENTS]`: the workflow on a study, to its report.

Snakemake does the work, and takes all further arguments as they are: `-n`, `--cores 4`,
`--until fit`, `--workflow-profile PATH`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fmrsflow.errors import UsageError
from fmrsflow.layout import PROFILES, SNAKEFILE
from fmrsflow.sheets import read_config
from fmrsflow.stages.check import main as check


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
    return start(arguments.study, arguments.arguments)


def start(study: Path, arguments: Sequence[str], profile: str | None = None) -> int:
    """Check a study, and become snakemake where nothing is wrong with it.

    Parameters
    ----------
    study : Path
    arguments : sequence of str
        For snakemake.
    profile : str or None
        Name of one of this workflow's profiles, or a path; None for `local`.

    Returns
    -------
    int
        Exit code of the check, where it found something.

    Raises
    ------
    UsageError
        There is no study, or no such profile.
    """
    if not (study / "config" / "config.yaml").is_file():
        raise UsageError(f"{study} has no config/config.yaml: make it with fmrsflow init")
    places = [PROFILES / (profile or "local"), Path(profile or "").resolve()]
    place = next((one for one in places if (one / "config.yaml").is_file()), None)
    if place is None:
        raise UsageError(f"there is no profile {profile}: local, slurm, or a folder of one")
    os.chdir(study)
    if code := check([]):
        return code
    _writable_cache()
    # A study may be somebody else's: no module (-P) and no profile is taken from its folder, and
    # nothing of its settings is run.
    for name in _config_files(arguments):
        read_config(name)
    command = [sys.executable, "-P", "-m", "snakemake", "-s", str(SNAKEFILE)]
    if not any(one.startswith("--workflow-profile") for one in arguments):
        own = any(one.startswith("--profile") for one in arguments)
        command += ["--workflow-profile", "none" if own else str(place)]
    sys.stdout.flush()
    os.execv(sys.executable, [*command, *arguments])


def _config_files(arguments: Sequence[str]) -> Iterator[str]:
    """Files that `--configfile` names among the arguments for snakemake."""
    named = False
    for word in arguments:
        if word.startswith("-"):
            option, _, value = word.partition("=")
            named = option.startswith("--configfile")
            word = value if named else ""
        if named and word:
            yield word


def _writable_cache() -> None:
    """Where the user's folder for caches cannot be written (a read-only home), one in the study's:
    Snakemake would not start."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        pass
    os.environ["XDG_CACHE_HOME"] = str(Path(".snakemake", "cache").absolute())

"""`fmrsflow-bids BIDS_DIR OUT_DIR participant|group`: the call of a BIDS app.

`participant` runs people's scans to their pages, `group` all of the study to its report. Results
are a derivative dataset in OUT_DIR. The study (config, logs of snakemake) lies in OUT_DIR/code,
where it can be looked through and run with `fmrsflow run`; a further call keeps it as it is and
adds scans that are new.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from fmrsflow import arithmetic
from fmrsflow.errors import DataError, MachineFault, UsageError
from fmrsflow.intake.found import FoundScan
from fmrsflow.sheets import FOLDER
from fmrsflow.stages.init import add_protocol_option, make
from fmrsflow.stages.run import start


def main(argv: list[str] | None = None) -> int:
    """Make the study of a dataset and hand over to snakemake; its exit code."""
    own, further = list(sys.argv[1:] if argv is None else argv), []
    if "--" in own:
        place = own.index("--")
        own, further = own[:place], own[place + 1 :]
    arguments = _parser().parse_args(own)
    arithmetic.fix()
    try:
        return _run(arguments, further)
    except UsageError as error:
        print(f"fmrsflow-bids: {error}", file=sys.stderr)
        return 2
    except (DataError, MachineFault) as error:
        print(f"fmrsflow-bids: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace, further: list[str]) -> int:
    source, out = arguments.bids_dir.resolve(), arguments.output_dir.resolve()
    study = (arguments.work_dir or out / "code").resolve()
    if not FOLDER.fullmatch(str(out)):
        raise UsageError(f"{out}: a folder of results has letters, digits and . _ / + @ = - alone")
    if source == out or source.is_relative_to(out):
        raise UsageError("OUT_DIR may not be the dataset or hold it; BIDS_DIR/derivatives/fmrsflow")
    only = _Wanted(arguments.participant_label, arguments.session_label)
    top = {"data_root": str(source), "results": str(out)}
    make(study, source, site=arguments.site, protocol=arguments.protocol, top=top, only=only)
    for what, missing in only.missing():
        print(f"fmrsflow-bids: no scan of {what} {missing}", file=sys.stderr)
    more = ["--cores", arguments.cores] if arguments.cores else []
    more += ["--until", "pages"] if arguments.level == "participant" else []
    sys.stdout.flush()
    return start(study, [*more, *further], arguments.profile)


class _Wanted:
    """Whether a scan is of the people and sessions that were asked for; of all where none was."""

    def __init__(self, people: list[str], sessions: list[str]):
        self.asked = {
            "subject": {one.removeprefix("sub-") for one in people},
            "session": {one.removeprefix("ses-") for one in sessions},
        }
        self.seen: dict[str, set[str]] = {column: set() for column in self.asked}

    def __call__(self, scan: FoundScan) -> bool:
        for column, seen in self.seen.items():
            seen.add(scan.columns[column])
        return all(
            not labels or scan.columns[column] in labels for column, labels in self.asked.items()
        )

    def missing(self) -> list[tuple[str, str]]:
        """Labels that no scan of the dataset has."""
        words = {"subject": "participant", "session": "session"}
        return [
            (words[column], label)
            for column, labels in self.asked.items()
            for label in sorted(labels - self.seen[column])
        ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fmrsflow-bids",
        description=__doc__,
        epilog="What follows -- goes to snakemake as it is: -- -n",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("bids_dir", type=Path, metavar="BIDS_DIR", help="dataset with mrs folders")
    parser.add_argument("output_dir", type=Path, metavar="OUT_DIR", help="folder of the results")
    parser.add_argument(
        "level", choices=("participant", "group"), help="to the pages of scans, or to the report"
    )
    for name, what in (("participant", "people"), ("session", "sessions")):
        parser.add_argument(
            *(f"--{name}-label", f"--{name}_label"),
            nargs="+",
            default=[],
            metavar="LABEL",
            help=f"these {what} (default: all), with or without {name[:3]}-",
        )
    parser.add_argument(
        *("--cores", "--n-cpus", "--n_cpus"), help="cores to use (default: all, or the profile's)"
    )
    parser.add_argument(
        "--profile", help="profile of snakemake: local, slurm, or a folder (default: local)"
    )
    parser.add_argument(
        *("-w", "--work-dir"), type=Path, help="folder of the study (default: OUT_DIR/code)"
    )
    parser.add_argument("--site", help="label of the site (default: the dataset's folder)")
    add_protocol_option(
        parser, "a cell of sites.tsv that headers and sidecars leave out: sequence=PRESS"
    )
    parser.add_argument(
        *("-v", "--version"), action="version", version=f"%(prog)s {version('fmrsflow')}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

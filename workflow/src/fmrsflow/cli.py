"""`fmrsflow COMMAND ...`: one subcommand a stage, imported only when called."""

from __future__ import annotations

import importlib
import sys

from fmrsflow import arithmetic
from fmrsflow.errors import DataError, MachineFault, Pruned, UsageError, unknown

COMMANDS = {
    "convert": "vendor files to anonymised NIfTI-MRS",
    "segment": "grey matter, white matter and CSF of a T1w",
    "anatomy": "tissue fractions of the MRS voxel",
    "basis": "basis set of a site's protocol",
    "preprocess": "corrected transients and condition averages",
    "fit": "linear-combination fit of averages and of all transients",
    "quantify": "concentrations",
    "response": "percent change with its error",
    "bold": "BOLD signal in the MRS voxel",
    "sites": "tables of an analysis over all sites",
    "report": "pages of scans, sites and consortium",
    "demo": "write the synthetic demo study",
    "synthetic": "make a synthetic study, or compare one with measured data",
    "plan": "power of a study to come",
    "view": "any NIfTI-MRS, fit or results folder as a picture or page",
    "summary": "what a run has done, and what failed",
    "list": "files that the manifests of stages name",
    "clean": "delete what stages made, so that the next run makes it again",
    "prune": "delete what can be made again, keep tables and records",
    "init": "a study's configuration and sheets, empty or from a folder of data",
    "import": "a study with the choices of Osprey, LCModel or FSL-MRS",
    "check": "all errors of a study's files",
    "run": "run a study to its report",
    "verify": "what changed since results were made",
    "bundle": "pack what a consortium needs of a site that keeps its raw data",
    "publish": "a study as an open BIDS dataset, anonymous and defaced",
    "mismatch": "which analysis breaks when the scanner misbehaves: synthetic doses, scored",
    "merge": "tables and pages of a consortium from its sites' bundles",
}


PLAIN_STAGES = ("convert", "segment", "anatomy", "preprocess", "fit", "quantify", "response")
"""Commands whose options are those of every stage (batch.stage_parser)."""


def main(argv: list[str] | None = None) -> int:
    """Run the subcommand that the command line names; its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: fmrsflow COMMAND ...\n")
        print("\n".join(f"  {name:<12}{meaning}" for name, meaning in COMMANDS.items()))
        return 0 if argv else 2
    if argv[0] == "--version":
        from importlib.metadata import version

        print(version("fmrsflow"))
        return 0
    if argv[0] not in COMMANDS:
        print(f"fmrsflow: {unknown('command', argv[0], COMMANDS)}", file=sys.stderr)
        return 2
    if argv[0] in PLAIN_STAGES and {"-h", "--help"} & set(argv[1:]):
        # The stage itself imports its science, which takes a second.
        from fmrsflow.batch import stage_parser

        stage_parser(argv[0]).parse_args(argv[1:])
    arithmetic.fix()
    try:
        return importlib.import_module(f"fmrsflow.stages.{argv[0]}").main(argv[1:])
    except UsageError as error:
        print(f"fmrsflow {argv[0]}: {error}", file=sys.stderr)
        return 2
    except (DataError, MachineFault, Pruned) as error:
        print(f"fmrsflow {argv[0]}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

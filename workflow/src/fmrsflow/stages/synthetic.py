"""`fmrsflow synthetic make PLAN DIR` and `fmrsflow synthetic compare SYNTHETIC MEASURED`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.results import Output, Results
from fmrsflow.scan_figures import scan_figures
from fmrsflow.study import Scan
from fmrsflow.tables import write_table


def main(argv: list[str]) -> int:
    """Run the subcommand; exit code."""
    parser = argparse.ArgumentParser(prog="fmrsflow synthetic", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    make = commands.add_parser("make", help="write a study from a preset or a plan's YAML file")
    make.add_argument("plan", help="preset, or a YAML file")
    make.add_argument("directory", help="data root to write")
    make.add_argument("--cores", type=int, default=1, help="processes (default: 1)")
    make.set_defaults(run=_make)
    compare = commands.add_parser("compare", help="results of synthetic against measured scans")
    compare.add_argument("synthetic", help="results folder of synthetic data")
    compare.add_argument("measured", help="results folder of measured data")
    compare.add_argument("--output", default="comparison", help="folder to write")
    compare.set_defaults(run=_compare)
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


def _make(arguments) -> int:
    from fmrsflow.synthetic.consortium import make
    from fmrsflow.synthetic.plan import load_plan

    for visit in make(load_plan(arguments.plan), arguments.directory, arguments.cores):
        print(f"{visit.site.name} sub-{visit.subject}", file=sys.stderr)
    return 0


def _compare(arguments) -> int:
    from fmrsflow.synthetic.compare import COLUMNS, distances, page

    sets = [read_results(Path(arguments.synthetic)), read_results(Path(arguments.measured))]
    found = distances(*sets)
    output = Path(arguments.output)
    write_table(output / "comparison.tsv", [one.to_row() for one in found], COLUMNS)
    figure = page(*sets, found)
    figure.savefig(_made(output) / "comparison.png", dpi=110, metadata={"Software": None})
    for one in found:
        print(
            f"{one.quantity:<24} synthetic {one.mean_synthetic:10.4g}  measured "
            f"{one.mean_measured:10.4g}  KS {one.kolmogorov:.2f}  p {one.p_value:.3g}"
        )
    return 0


def read_results(folder: Path) -> list:
    """Every processed scan of a results folder, under its primary analysis.

    Raises
    ------
    DataError
        No results there, or no scan that went well.
    """
    if not (folder / "study.json").is_file():
        raise DataError(f"{folder} holds no study.json: give the results folder of a finished run")
    results = Results.below(folder)
    study = results.study
    primary = study.config.get("primary") or next(iter(study.config["analyses"]))
    names = study.config["analyses"][primary]
    scans = [_read_scan(results, names, scan) for scan in study.scans]
    scans = [scan for scan in scans if scan is not None]
    if not scans:
        raise DataError(f"{folder}: no scan was preprocessed; see its problems.tsv")
    return scans


def _read_scan(results: Results, names: dict, scan: Scan):
    from fmrsflow.synthetic.compare import METABOLITES, QUANTITIES, ComparedScan

    converted, preprocessed, fitted, quantified = (
        _output(results.of(stage, names, scan))
        for stage in ("convert", "preprocess", "fit", "quantify")
    )
    if preprocessed is None:
        return None
    found = scan_figures(preprocessed.record, {} if fitted is None else fitted.record)
    values = {name: found[name] for name in QUANTITIES if name in found}
    if "drift_hz" in values:
        values["drift_hz"] = abs(values["drift_hz"])
        if converted.record["n_transients"] == 1:
            del values["drift_hz"]  # averaged by the scanner: nothing is known of its drift
    for row in () if quantified is None else quantified.table("concentrations"):
        wanted = row["quantity"] in ("molal", "ratio_tcr") and not row["matched"]
        key = f"{row['metabolite']}:{row['quantity']}"
        known = row["metabolite"] in METABOLITES and key != "tCr:ratio_tcr"
        if wanted and known and key not in values:
            values[key] = row["value"]
    ppm, spectrum = _spectrum(preprocessed)
    return ComparedScan(scan.key, values, ppm, spectrum)


def _output(output: Output) -> Output | None:
    """The same; None where the stage has not run or failed."""
    return output if output.exists and output.record["status"] != "failed" else None


def _spectrum(preprocessed: Output):
    """Axis and real spectrum of all conditions' mean, tCr at height 1."""
    fids = preprocessed.fids("average").mean()
    spectrum = fids.broadened(1.0).spectra[0, 0].real
    tcr = spectrum[(fids.ppm > 2.9) & (fids.ppm < 3.1)].max()
    return fids.ppm, spectrum / tcr


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""`fmrsflow synthetic make PLAN DIR` and `fmrsflow synthetic compare SYNTHETIC MEASURED`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fmrsflow.errors import DataError
from fmrsflow.files import read_json
from fmrsflow.study import Scan, Study, directory
from fmrsflow.tables import read_table, write_table


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
    try:
        return arguments.run(arguments)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1


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
    """Every processed scan of a results folder, under its primary analysis, as `compare.Scan`.

    Raises
    ------
    DataError
        No results there, or no scan that went well.
    """
    if not (folder / "study.json").is_file():
        raise DataError(f"{folder} holds no study.json: give the results folder of a finished run")
    study = Study.load(folder / "study.json")
    # The folder may have been moved since.
    study.config["results"] = str(folder)
    primary = study.config.get("primary") or next(iter(study.config["analyses"]))
    names = study.config["analyses"][primary]
    scans = [_read_scan(study, names, scan) for scan in study.scans]
    scans = [scan for scan in scans if scan is not None]
    if not scans:
        raise DataError(f"{folder}: no scan was preprocessed; see its problems.tsv")
    return scans


def _read_scan(study: Study, names: dict, scan: Scan):
    from fmrsflow.synthetic.compare import METABOLITES, QUANTITIES
    from fmrsflow.synthetic.compare import Scan as Compared

    record = _record(study, "preprocess", names, scan)
    if record is None:
        return None
    values = {name: record[name] for name in QUANTITIES if _is_number(record.get(name))}
    if "drift_hz" in values:
        values["drift_hz"] = abs(values["drift_hz"])
        if _record(study, "convert", names, scan)["n_transients"] == 1:
            del values["drift_hz"]  # averaged by the scanner: nothing is known of its drift
    fit = _record(study, "fit", names, scan)
    if fit is not None:
        numbers = [value for value in _of_spectra(fit.get("fqn")) if _is_number(value)]
        if numbers:
            values["fqn"] = numbers[0]
    if _record(study, "quantify", names, scan) is not None:
        folder = directory("quantify", names)
        table = study.path(folder, scan, "desc-quantify_concentrations.tsv")
        for row in read_table(table):
            wanted = row["quantity"] in ("molal", "ratio_tcr") and row["matched"] != "true"
            key = f"{row['metabolite']}:{row['quantity']}"
            known = row["metabolite"] in METABOLITES and key != "tCr:ratio_tcr"
            if wanted and known and key not in values:
                values[key] = float(row["value"])
    ppm, spectrum = _spectrum(study, names, scan)
    return Compared(scan.key, values, ppm, spectrum)


def _record(study: Study, stage: str, names: dict, scan: Scan) -> dict | None:
    path = study.record_path(stage, names, scan)
    if not path.is_file():
        return None
    record = read_json(path)
    return record if record["status"] != "failed" else None


def _of_spectra(value) -> list:
    """A figure that is given once, or by spectrum."""
    return list(value.values()) if isinstance(value, dict) else [value]


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and value == value


def _spectrum(study: Study, names: dict, scan: Scan):
    """Axis and real spectrum of all conditions' mean, tCr at height 1."""
    import nibabel as nib

    from fmrsflow.fids import from_nifti

    folder = directory("preprocess", names)
    fids = from_nifti(nib.load(study.path(folder, scan, "desc-preprocess_average.nii.gz"))).mean()
    spectrum = fids.broadened(1.0).spectra[0, 0].real
    tcr = spectrum[(fids.ppm > 2.9) & (fids.ppm < 3.1)].max()
    return fids.ppm, spectrum / tcr


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

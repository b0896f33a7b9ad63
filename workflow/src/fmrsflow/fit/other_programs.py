"""Condition averages and bases of a site in the forms of LCModel, FSL-MRS and Osprey.

Averages are those that the fit here takes: corrected, coils combined, eddy currents taken out. What
each program is told (range, baseline, names of the basis) are the settings of the fit as far as it
knows them.
"""

from __future__ import annotations

import gzip
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import to_fsl, to_lcmodel
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.fit.broad import is_broad
from fmrsflow.fit.engines import (
    LINEWIDTH_HZ,
    engine_basis,
    fsl_choices,
    lcmodel_control,
    to_raw,
)
from fmrsflow.fit.options import FitOptions
from fmrsflow.results import Results
from fmrsflow.study import Scan, Study
from fmrsflow.words import slug

Files = Iterator[tuple[str, bytes]]


@dataclass(frozen=True)
class Averages:
    """Averages of a scan: name of the folder, FIDs by a name for each condition, water reference or
    None."""

    stem: str
    fids: dict[str, Fids]
    water: Fids | None


@dataclass(frozen=True)
class Handed:
    """What of a site another program gets, and the choices of its fit."""

    site: str
    scans: Sequence[Averages]
    basis: Basis
    options: FitOptions


def read_for(study: Study, site: str, analysis: str) -> Handed:
    """Averages and basis of a site under an analysis.

    Raises
    ------
    DataError
        No basis, or no scan with averages.
    """
    results, names = Results(study), study.analysis(analysis)
    options = FitOptions.from_settings(study.setting("fit", names["fit"]))
    own = results.of("basis", names, study.site_named(site))
    if not own.exists or not own.has("basis.npz"):
        raise DataError(f"{site}: there is no basis; run the workflow to its end first")
    basis = engine_basis(own.basis(), options)
    # The name of a basis' file is the site's own affair.
    made = {key: one for key, one in basis.made.items() if key != "file"}
    basis = replace(basis, made=made).broadened(LINEWIDTH_HZ)
    outputs = ((scan, results.of("preprocess", names, scan)) for scan in study.scans_of(site))
    scans = [
        _averages(scan, output)
        for scan, output in outputs
        if output.exists and output.has("average.nii.gz")
    ]
    if not scans:
        raise DataError(f"{site}: no scan has averages")
    return Handed(site, scans, basis, options)


def _averages(scan: Scan, output) -> Averages:
    fids, conditions = output.fids("average"), output.record["conditions"]
    own = [slug(one) for one in conditions]
    if len(set(own)) < len(own):
        own = [f"{number}-{one}" for number, one in enumerate(own, start=1)]
    water = output.fids("mrsref") if output.has("mrsref.nii.gz") else None
    return Averages(scan.stem, {name: fids.select([j]) for j, name in enumerate(own)}, water)


def lcmodel_files(handed: Handed) -> Files:
    """The basis, and for each scan a folder with a .control and .raw for each condition, and the
    water: `cd FOLDER && lcmodel < CONDITION.control`."""
    basis = f"{handed.site}.basis"
    yield basis, to_lcmodel(handed.basis).encode()
    for scan in handed.scans:
        names = {"filbas": f"../{basis}"}
        if scan.water is not None:
            yield f"{scan.stem}/water.h2o", _raw(scan.water)
            names["filh2o"] = "water.h2o"
        for condition, fids in scan.fids.items():
            names |= {"filraw": f"{condition}.raw"}
            names |= {"filps": f"{condition}.ps", "filtab": f"{condition}.table"}
            control = lcmodel_control(fids, handed.basis, handed.options, names)
            yield f"{scan.stem}/{condition}.raw", _raw(fids)
            yield f"{scan.stem}/{condition}.control", control.encode()


def _raw(fids: Fids) -> bytes:
    sequence = f" $SEQPAR ECHOT={1e3 * fids.te_s:g}, HZPPPM={fids.frequency_mhz:.6f} $END\n"
    return to_raw(fids.transients[0], sequence).encode()


def fsl_files(handed: Handed) -> Files:
    """NIfTI-MRS, a folder of the basis, and commands.txt: one call of `fsl_mrs` a line."""
    for name, text in to_fsl(handed.basis).items():
        yield f"basis/{name}", text.encode()
    yield from _nifti(handed)
    lines = []
    for scan in handed.scans:
        for condition, fids in scan.fids.items():
            call = ["fsl_mrs", "--data", _image(scan, condition), "--basis", "basis"]
            call += ["--output", f"{scan.stem}/{condition}"]
            call += fsl_choices(handed.basis, handed.options)
            if scan.water is not None:
                call += ["--h2o", _water(scan)]
            call += ["--TE", f"{1e3 * fids.te_s:g}", "--TR", f"{fids.tr_s:g}"]
            lines.append(shlex.join(str(word) for word in call))
    yield "commands.txt", "".join(f"{line}\n" for line in lines).encode()


def osprey_files(handed: Handed) -> Files:
    """NIfTI-MRS, the basis as LCModel's, and a job of scans with water and one of those without."""
    basis = f"{handed.site}.basis"
    yield basis, to_lcmodel(handed.basis).encode()
    yield from _nifti(handed)
    for name, scans in (
        ("job.m", [scan for scan in handed.scans if scan.water is not None]),
        ("job_without_water.m", [scan for scan in handed.scans if scan.water is None]),
    ):
        if scans:
            yield name, _job(handed, basis, scans).encode()


def _job(handed: Handed, basis: str, scans: Sequence[Averages]) -> str:
    options = handed.options
    files = [(scan, condition) for scan in scans for condition in scan.fids]
    spacing = 1 / options.baseline_dimension_per_ppm
    lines = [
        "% Averages are corrected and aligned already: run this job in its own folder.",
        "seqType = 'unedited';",
        "dataScenario = 'invivo';",
        "opts.SpecReg = 'none';",
        "opts.ECC.raw = 0;",
        "% Osprey's own model takes bases of its own: 'Osprey', without basisSetFile; or this one,",
        "% made a .mat by io_LCMBasis.",
        "opts.fit.method = 'LCModel';",
        f"opts.fit.basisSetFile = '{basis}';",
        f"opts.fit.range = [{options.range_low_ppm:g} {options.range_high_ppm:g}];",
        f"opts.fit.bLineKnotSpace = {spacing:.3g};",
        f"opts.fit.fitMM = {int(any(is_broad(name) for name in handed.basis.names))};",
        f"files = {_cell(_image(*one) for one in files)};",
    ]
    if scans[0].water is not None:
        lines.append(f"files_ref = {_cell(_water(scan) for scan, _ in files)};")
    return "\n".join([*lines, "outputFolder = 'osprey';"]) + "\n"


def _cell(names: Iterable[str]) -> str:
    """A cell array of MATLAB."""
    return "{" + ", ".join(f"'{name}'" for name in names) + "}"


def _nifti(handed: Handed) -> Files:
    for scan in handed.scans:
        every = {_image(scan, name): fids for name, fids in scan.fids.items()}
        if scan.water is not None:
            every[_water(scan)] = scan.water
        for name, fids in every.items():
            yield name, gzip.compress(to_nifti(fids).to_bytes(), mtime=0)


def _image(scan: Averages, condition: str) -> str:
    return f"{scan.stem}/{condition}_svs.nii.gz"


def _water(scan: Averages) -> str:
    return f"{scan.stem}/mrsref.nii.gz"


WRITERS: dict[str, Callable[[Handed], Files]] = {
    "lcmodel": lcmodel_files,
    "fsl-mrs": fsl_files,
    "osprey": osprey_files,
}
"""What writes the files of each program."""

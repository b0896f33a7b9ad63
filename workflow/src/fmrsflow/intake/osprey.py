"""Choices of an Osprey job: a `job.m`, by its literal assignments, or the JSON of its window.

Names and defaults are those of Osprey's source (settings/OspreySettings.m, job/OspreyJob.m and
process/OspreyProcess.m of 2024-12) and its paper (Oeltzschner et al. 2020, J Neurosci Methods
343:108827).
"""

from __future__ import annotations

import json
from pathlib import Path

from fmrsflow.basis.formats import own_name
from fmrsflow.basis.systems import METABOLITES
from fmrsflow.errors import DataError
from fmrsflow.fids import EDITED_UNSUPPORTED
from fmrsflow.fit.broad import CREATINE_CH2, is_broad
from fmrsflow.intake.choices import NEAREST, Choices, measured, text_file
from fmrsflow.intake.matlab import read_script

DEFAULT_METABOLITES = (
    *("Asc", "Asp", "Cr", "CrCH2", "GABA", "GPC", "GSH", "Gln", "Glu", "mI", "Lac", "NAA", "NAAG"),
    *("PCh", "PCr", "PE", "sI", "Tau"),
)
"""What `default` means of Osprey's basis sets, without macromolecules and lipids."""

JSON_NAMES = {
    "SpecReg": "opts.SpecReg",
    "SubSpecAlignment": "opts.SubSpecAlignment.mets",
    "UnstableWater": "opts.UnstableWater",
    "ECCmetab": "opts.ECC.raw",
    "ECCmm": "opts.ECC.mm",
    "method": "opts.fit.method",
    "includeMetabs": "opts.fit.includeMetabs",
    "style": "opts.fit.style",
    "bLineKnotSpace": "opts.fit.bLineKnotSpace",
    "fitMM": "opts.fit.fitMM",
    "basisSet": "opts.fit.basisSetFile",
    "deface": "opts.img.deface",
    "undoPhaseCycle": "opts.load.undoPhaseCycle",
}
"""Keys of the JSON that a script spells otherwise."""

FIT_RANGE, KNOTS_PPM = (0.2, 4.2), 0.4
"""Defaults of Osprey: what a job does not set is its choice too. Its example jobs set another
range."""

PHANTOM = {"opts.fit.bLineKnotSpace": 1.0, "opts.fit.fitMM": 0}
PHANTOM_ALIGN = {"opts.SpecReg": "RestrSpecReg", "opts.SpecRegRange": [0.5, 4.2]}
"""What Osprey takes for phantoms in place of what a job says, the second where spectra are
registered at all."""

FILES = {"files": "mrs", "files_ref": "ref", "files_nii": "t1w"}
NO_COUNTERPART = {
    "opts.SubSpecAlignment": "of edited spectra alone",
    "opts.UnstableWater": "single transients are registered as `align` says",
    "opts.ECC.mm": "metabolite-nulled spectra are not read",
    "opts.save": "results are NIfTI-MRS, tables and pages; no files for other programs",
    "opts.exportParams": "all parameters of a fit stand in its tables",
    "opts.fit.style": "of edited spectra alone",
    "opts.fit.rangeWater": "water is the first points of its FID, not a fit of a range",
    "opts.fit.GAP": "the range of the fit has no gap here; take names out by fit.exclude",
    "opts.fit.ModelProcedure": "a model of Osprey_gLCM in a file of its own, not read",
    "opts.fit.coMM3": "of edited spectra alone",
    "opts.fit.FWHMcoMM3": "of edited spectra alone",
    "MM3coModel": "of edited spectra alone",
    "FWHMMM3co": "of edited spectra alone",
    "opts.img.deface": "pages show the voxel and 6 mm about it, no face",
    "opts.load": "what a file holds follows from its header",
    "editTarget": "of edited spectra alone",
    "files_mm": "metabolite-nulled spectra are not read",
    "file_stat": "ages, sexes and groups stand in participants.tsv",
    "outputFolder": "results lie in the study's folder (setting results)",
}
"""Beginnings of names, and why they have no counterpart."""


def read_job(path: Path) -> Choices:
    """Choices of a job; its files need not be there.

    Raises
    ------
    DataError
        It cannot be read, or is of edited spectra, several voxels or a series.
    """
    values, unknown = _values(path)
    every = path.suffix.lower() == ".json"  # a script has variables that are no settings
    found = Choices("osprey")
    _refuse(values, unknown, path)
    _phantom(values, unknown)
    for name, reason in unknown.items():
        if name.startswith("opts.") or name in NO_COUNTERPART or name.startswith("files"):
            found.ask(name, "", f"{reason}: set by hand; scripts are read, never run")
    _preprocessing(found, values, unknown)
    _fit(found, values, unknown)
    found.take(
        "(constants)", "Osprey", "concentration.constants", "osprey", "relaxation times as there"
    )
    _files(found, values, path.parent)
    known = {row["from"] for row in found.rows}
    for name, value in values.items():
        reason = next((why for one, why in NO_COUNTERPART.items() if name.startswith(one)), None)
        setting = reason or every or "opts." in name
        if name not in known and value not in ("", [], [""]) and setting:
            found.leave(name, value, reason or "not known to this program")
    return found


def _values(path: Path) -> tuple[dict, dict]:
    text = text_file(path)
    if path.suffix.lower() != ".json":
        script = read_script(text)
        if not script.values and not script.unknown:
            raise DataError(f"{path}: no assignment was found; a job.m or its JSON is needed")
        return script.values, script.unknown
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{path}: not readable as JSON") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds no settings")
    values = {
        JSON_NAMES.get(key, key if not key.startswith("save") else f"opts.{key}"): _number(value)
        for key, value in content.items()
        if value not in ("", [], [""])
    }
    for name, low, high in (("range", "lolim_range", "uplim_range"),
                            ("rangeWater", "lolim_rangew", "uplim_rangew")):  # fmt: skip
        if low in values and high in values:
            values[f"opts.fit.{name}"] = [values.pop(low), values.pop(high)]
    return values, {}


def _number(value):
    """The window saves numbers as text."""
    if not isinstance(value, str):
        return value
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


def _hidden(values: dict, unknown: dict, name: str) -> bool:
    """Whether a script gives a name, or a structure around it, a value that is not known: its
    default is none then."""
    return name not in values and any(name == one or name.startswith(f"{one}.") for one in unknown)


def _refuse(values: dict, unknown: dict, path: Path) -> None:
    for name in ("seqType", "dataScenario", "MultiVoxel"):
        if _hidden(values, unknown, name):
            raise DataError(f"{path}: {name} is {unknown[name]}: write it as a literal")
    sequence = str(values.get("seqType", "unedited")).lower()
    if sequence != "unedited":
        raise DataError(f"{path}: seqType {sequence}: {EDITED_UNSUPPORTED}")
    scenario = str(values.get("dataScenario", "invivo"))
    if scenario.lower() not in ("invivo", "phantom"):
        raise DataError(f"{path}: dataScenario {scenario}: single voxels only are processed")
    voxels = str(values.get("MultiVoxel") or "SVS")
    if voxels.lower() != "svs":
        raise DataError(f"{path}: MultiVoxel {voxels}: single voxels only are processed")


def _is_phantom(values: dict) -> bool:
    return str(values.get("dataScenario", "invivo")).lower() == "phantom"


def _phantom(values: dict, unknown: dict) -> None:
    if _is_phantom(values):
        registered = values.get("opts.SpecReg") != "none"
        for name, value in (PHANTOM | (PHANTOM_ALIGN if registered else {})).items():
            values[name] = value
            unknown.pop(name, None)


def _preprocessing(found: Choices, values: dict, unknown: dict) -> None:
    found.add("seqType", values.get("seqType", "unedited"), "same", "", "", "the only kind here")
    if "MultiVoxel" in values:
        found.add("MultiVoxel", values["MultiVoxel"], "same", "", "", "the only kind here")
    if _is_phantom(values):
        found.ask("dataScenario", "phantom", "tissue and relaxation of brains are assumed here")
    elif "dataScenario" in values:
        found.add("dataScenario", values["dataScenario"], "same", "", "", "")
    method = str(values.get("opts.SpecReg", "RobSpecReg"))
    if _hidden(values, unknown, "opts.SpecReg"):
        pass  # asked for
    elif method == "RobSpecReg":
        found.take("opts.SpecReg", method, "preprocess.align", "robust", "Mikkelsen 2020, both")
    elif method == "ProbSpecReg":
        note = "a running target in the order of likeness in place of the median of all"
        found.take("opts.SpecReg", method, "preprocess.align", "robust", note, NEAREST)
    elif method == "RestrSpecReg":
        found.take("opts.SpecReg", method, "preprocess.align", "restricted")
        own = "opts.SpecRegRange"
        given = own in values or _hidden(values, unknown, own)
        name, note = (own, "") if given else ("opts.fit.range", "the range of the fit")
        if not _hidden(values, unknown, name):  # else asked for
            window = _pair(values.get(name)) or FIT_RANGE
            for key, value in zip(("align_low_ppm", "align_high_ppm"), window):
                found.take(name, window, f"preprocess.{key}", value, note)
    elif method == "none":
        found.take("opts.SpecReg", method, "preprocess.align", "none")
    else:
        found.ask("opts.SpecReg", method, "not known to this program: set preprocess.align")
    eddy = values.get("opts.ECC.raw", 1)
    each = {bool(one) for one in (eddy if isinstance(eddy, list) else [eddy])}
    if _hidden(values, unknown, "opts.ECC.raw"):
        pass
    elif len(each) == 1:
        found.take("opts.ECC.raw", eddy, "preprocess.eddy", each.pop(), "Klose 1990, both")
    else:
        found.ask("opts.ECC.raw", eddy, "on some scans only: preprocess.eddy is of all scans")


def _fit(found: Choices, values: dict, unknown: dict) -> None:
    method = str(values.get("opts.fit.method", "Osprey"))
    if _hidden(values, unknown, "opts.fit.method"):
        method = ""
    elif method == "LCModel":
        note = "needs the command lcmodel; fmrsflow fits without"
        found.take("opts.fit.method", method, "fit.engine", "lcmodel", note)
    else:
        note = "a linear-combination fit of the same kind: complex here, of the real part there; "
        note += measured("Osprey")
        found.take("opts.fit.method", method, "fit.engine", "fmrsflow", note, NEAREST)
        found.take("opts.fit.method", method, "fit.models", "single", "one model of a spectrum")
    if not _hidden(values, unknown, "opts.fit.includeMetabs"):
        _metabolites(found, values.get("opts.fit.includeMetabs", "default"))
    if not _hidden(values, unknown, "opts.fit.range"):
        both = _pair(values.get("opts.fit.range")) or FIT_RANGE
        found.take("opts.fit.range", both, "fit.range_low_ppm", both[0])
        found.take("opts.fit.range", both, "fit.range_high_ppm", both[1])
    hidden = _hidden(values, unknown, "opts.fit.bLineKnotSpace")
    spacing = values.get("opts.fit.bLineKnotSpace", None if hidden else KNOTS_PPM)
    if _positive(spacing) and method != "LCModel":
        note = "a penalised spline of as many parameters a ppm as knots there"
        found.take("opts.fit.bLineKnotSpace", spacing, "fit.baseline", "spline", note, NEAREST)
        for key, ours in (("smoothness", "fixed"), ("dimension_per_ppm", 1.0 / spacing)):
            found.take(
                "opts.fit.bLineKnotSpace", spacing, f"fit.baseline_{key}", ours, note, NEAREST
            )
    elif spacing is not None:
        found.leave("opts.fit.bLineKnotSpace", spacing, "of Osprey's own fit")
    if not _hidden(values, unknown, "opts.fit.fitMM"):
        on = bool(values.get("opts.fit.fitMM", 1))
        note = "lines of another set: docs/science.md#macromolecules" if on else ""
        ours = "auto" if on else "none"
        kind = NEAREST if on else "same"
        found.take("opts.fit.fitMM", int(on), "fit.macromolecules", ours, note, kind)
    if basis := values.get("opts.fit.basisSetFile"):
        note = "bases of Osprey (.mat) are not read; the basis is simulated from sites.tsv"
        found.leave("opts.fit.basisSetFile", basis, note)


def _metabolites(found: Choices, given) -> None:
    names = given if isinstance(given, list) else [given]
    sets = {"default": DEFAULT_METABOLITES, "full": tuple(METABOLITES)}
    every = [one for name in names for one in sets.get(str(name).lower(), [name])]
    if "full" in (str(one).lower() for one in names):
        note = "all spin systems that there are here; Osprey has more (EtOH, bHB and others)"
        found.leave("opts.fit.includeMetabs", "full", note)
    ours = [own_name(str(one)) for one in every]
    kept = sorted({one for one in ours if one in METABOLITES})
    found.take("opts.fit.includeMetabs", given, "basis.metabolites", kept)
    for name in sorted({one for one in ours if one not in METABOLITES and one != "H2O"}):
        if name.lstrip("-") == CREATINE_CH2.lstrip("-"):
            note = "a correction of creatine's CH2 is part of every fit here"
        elif is_broad(name):
            note = "by fit.macromolecules, all or none"
        else:
            note = "no spin system of it here"
        found.leave("opts.fit.includeMetabs", name, note)


def _files(found: Choices, values: dict, folder: Path) -> None:
    """Files of scans; a list of another length than that of the spectra belongs to nobody."""
    spectra = _paths(values.get("files"), folder)
    found.files = [{"mrs": path} for path in spectra]
    columns = {name: column for name, column in FILES.items() if column != "mrs"}
    if not _paths(values.get("files_ref"), folder):
        columns["files_w"] = "ref"
    elif values.get("files_w"):
        note = "one reference a scan: that of eddy currents, which has the echo time of the scan"
        found.leave("files_w", values["files_w"], note)
    if spectra:
        found.add("files", f"{len(spectra)} files", "same", "scans.tsv: mrs", "", "")
    elif "files" in values:
        found.ask("files", values["files"], "no name of a file")
    for name, column in columns.items():
        paths = _paths(values.get(name), folder)
        if len(paths) == len(spectra) and paths:
            for scan, path in zip(found.files, paths):
                scan[column] = path
            found.add(name, f"{len(paths)} files", "same", f"scans.tsv: {column}", "", "")
        elif paths:
            found.ask(name, f"{len(paths)} files", f"not one for each of {len(spectra)} spectra")
    maps = values.get("files_seg")
    if isinstance(maps, list) and maps:
        if len(maps) == len(spectra) and all(isinstance(x, list) and len(x) == 3 for x in maps):
            for scan, three in zip(found.files, maps):
                scan |= dict(zip(("gm", "wm", "csf"), _paths(three, folder)))
            found.add("files_seg", f"{len(maps)} x 3 files", "same", "scans.tsv: gm wm csf", "", "")
        else:
            found.ask("files_seg", f"{len(maps)} entries", "three maps a scan are needed")


def _paths(value, folder: Path) -> list[Path]:
    values = value if isinstance(value, list) else [value]
    return [folder / one for one in values if isinstance(one, str) and one]


def _pair(value) -> tuple[float, float] | None:
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(x, int | float) for x in value)
    ):
        return float(value[0]), float(value[1])
    return None


def _positive(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0

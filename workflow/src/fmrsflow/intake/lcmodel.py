"""Choices of an LCModel control file (Provencher 1993; names of the LCModel manual, section 11)."""

from __future__ import annotations

import re
from pathlib import Path

from fmrsflow.basis.formats import own_name
from fmrsflow.basis.namelists import Group, groups
from fmrsflow.constants import field_of, same_field
from fmrsflow.errors import DataError
from fmrsflow.intake.choices import NEAREST, SAME, Choices, measured, text_file
from fmrsflow.intake.protocol import FIELDS_T

PRIVATE = ("OWNER", "TITLE", "KEY", "SRCRAW", "SAVDIR")
"""May hold names of people or places, or a licence: never shown."""

OUTPUT = (
    *("LPS", "LCOORD", "LCSV", "LTABLE", "LPRINT", "LCORAW", "LDUMP", "FILPS", "FILCOO", "FILCSV"),
    *("FILTAB", "FILPRI", "FILCOR", "NEACH", "NAMEACH", "IPAGE2", "PGNORM", "LANDSC", "NETCOU"),
    *("PPMCEN", "ISLICE", "IROWST", "IROWEN", "ICOLST", "ICOLEN"),
)
"""What is printed and where."""

GRID = ("NDCOLS", "NDROWS", "NDSLIC")
"""Numbers of voxels."""

NO_COUNTERPART = {
    "NUNFIL": "the number of points stands in the file",
    "WCONC": "water of the voxel's tissue: docs/science.md#concentration",
    "ATTH2O": "relaxation of water by tissue and `constants`",
    "ATTMET": "relaxation of metabolites by `constants`",
    "WSMET": "the scale of the basis is that of its file or simulation",
    "WSPPM": "the scale of the basis is that of its file or simulation",
    "N1HMET": "the scale of the basis is that of its file or simulation",
    "NUSE1": "starts of the search are our own",
    "CHUSE1": "starts of the search are our own",
    "DEGZER": "the phase is found without an expected value",
    "SDDEGZ": "the phase is found without an expected value",
    "DEGPPM": "the first-order phase is expected to be 0",
    "CHRATO": "expected ratios are LCModel's defaults where there are any; others cannot be given",
    "CHKEEP": "all names of the basis are kept",
    "CHCOMB": "sums are tNAA, tCr, tCho, Glx",
    "CHLESS": "sums are tNAA, tCr, tCho, Glx",
    "VITRO": "of phantoms",
    "DOREFS": "the frequency reference is found from water and metabolites",
    "PPMGAP": "the range of the fit has no gap here",
}
"""Why a parameter has none; others are listed without a reason."""


KNOTS_PPM, PHASE1_SD, LONG_TE_MS, EDDY = 0.15, 20.0, 100.0, "F"
"""Defaults of DKNTMN, SDDEGP, of PPMEND for long echo times, and of DOECC, by LCModel's source
(LCModel.f of version 6.3-1N, BLOCK DATA and MYCONT). What a file does not set is its choice too."""


def read_control(path: Path) -> Choices:
    """Choices of a control file; its files need not be there.

    Raises
    ------
    DataError
        It cannot be read, has no group LCMODL, or is of several voxels.
    """
    # An index becomes part of the name: names of a group are unique.
    text = re.sub(
        r"""('(?:[^'\n]|'')*'|"[^"\n]*")|\b([A-Za-z]\w*)\s*\(\s*(\d+)\s*\)\s*=""",
        lambda found: found[1] or f"{found[2]}_{found[3]} =",
        text_file(path),
    )
    control = next((one for one in groups(text) if one.name == "LCMODL"), None)
    if control is None:
        raise DataError(f"{path}: no group $LCMODL ... $END; a control file of LCModel is needed")
    if several := [key for key in GRID if (control.number(key) or 1) > 1]:
        raise DataError(f"{path}: {several[0]}: single voxels only are processed")
    found = Choices("lcmodel")
    note = (
        "a fit of the same kind (LCModel itself: fit.engine lcmodel); constants, water and errors "
        f"are those of docs/science.md#concentration; {measured('LCModel')}"
    )
    found.take("(LCModel)", "", "fit.engine", "fmrsflow", note, NEAREST)
    found.take("(LCModel)", "", "fit.models", "single", "one model of a spectrum")
    _files(found, control, path.parent)
    _protocol(found, control)
    _fit(found, control)
    _rest(found, control)
    return found


def _files(found: Choices, control: Group, folder: Path) -> None:
    scan = {
        column: folder / control.text(key)
        for key, column in (("FILRAW", "mrs"), ("FILH2O", "ref"))
        if control.text(key)
    }
    if "mrs" not in scan:
        found.ask("FILRAW", "", "no spectrum is named")
    else:
        found.files = [scan]
    for key, column in (("FILRAW", "mrs"), ("FILH2O", "ref")):
        if column in scan:
            found.add(key, control.text(key), SAME, f"scans.tsv: {column}", "", "")
    if basis := control.text("FILBAS"):
        found.basis = folder / basis
        found.take("FILBAS", basis, "basis.source", "file")
        found.take("FILBAS", basis, "basis.mm", "as is", "what the file has")


def _protocol(found: Choices, control: Group) -> None:
    """Columns of sites.tsv."""
    frequency = control.number("HZPPPM")
    if frequency is not None:
        nominal = [one for one in FIELDS_T if same_field(field_of(frequency), one)]
        found.protocol["frequency_mhz"] = frequency
        found.protocol |= {"field_t": nominal[0]} if nominal else {}
        found.add("HZPPPM", frequency, SAME, "sites.tsv: frequency_mhz, field_t", frequency, "")
    if dwell := control.number("DELTAT"):
        width = 1.0 / dwell
        found.protocol["spectral_width_hz"] = width
        found.add("DELTAT", dwell, SAME, "sites.tsv: spectral_width_hz", width, "")
    if echo := control.number("ECHOT"):
        found.protocol["te_s"] = 1e-3 * echo
        found.add("ECHOT", echo, SAME, "sites.tsv: te_s", 1e-3 * echo, "ms there, s here")


def _fit(found: Choices, control: Group) -> None:
    lowest = 1.0 if (control.number("ECHOT") or 0) >= LONG_TE_MS else 0.2
    for key, ours, usual in (("PPMST", "high", 4.0), ("PPMEND", "low", lowest)):
        value = control.number(key, usual)
        found.take(key, _said(control, key, usual), f"fit.range_{ours}_ppm", value)
    if _true(control, "NOBASE"):
        found.take("NOBASE", "T", "fit.baseline", "none")
    else:
        note = "regularised splines, both; the smoothness is found by another criterion"
        found.take("NOBASE", control.text("NOBASE") or "F", "fit.baseline", "spline", note, NEAREST)
    if spacing := control.number("DKNTMN", KNOTS_PPM):
        note, said = "knots before the penalty", _said(control, "DKNTMN", KNOTS_PPM)
        found.take("DKNTMN", said, "fit.baseline_knots_per_ppm", 1.0 / spacing, note, NEAREST)
    note = "of each transient before the average" if _true(control, "DOECC") else ""
    said = _said(control, "DOECC", EDDY)
    found.take("DOECC", said, "preprocess.eddy", _true(control, "DOECC"), note)
    if control.text("DOWS"):
        on = _true(control, "DOWS")
        note = (
            "molal and molar values wherever there is a reference" if on else "ratios stand beside"
        )
        found.add("DOWS", control.text("DOWS"), NEAREST, "", "", note)
    if _indexed(control, "CHOMIT"):
        omitted = [own_name(one) for one in _indexed(control, "CHOMIT")]
        count = control.number("NOMIT")
        if count is not None:
            omitted = omitted[: int(count)]
        found.take("CHOMIT", omitted, "fit.exclude", omitted)
    if control.number("NRATIO") == 0:
        found.take("NRATIO", 0, "fit.soft_ratios", False)
    elif control.number("NRATIO") is not None:
        note = "those of LCModel's default that hold for the basis"
        found.take("NRATIO", control.text("NRATIO"), "fit.soft_ratios", True, note, NEAREST)
    if control.number("NSIMUL") == 0:
        found.take("NSIMUL", 0, "fit.macromolecules", "basis", "none beside those of the basis")
    else:
        note = "lines where the basis has none; LCModel adds its own in any case"
        value = control.text("NSIMUL") or "(default)"
        found.take("NSIMUL", value, "fit.macromolecules", "auto", note, NEAREST)
    spread = control.number("SDDEGP", PHASE1_SD)
    said = _said(control, "SDDEGP", PHASE1_SD)
    found.take("SDDEGP", said, "fit.phase1_sd_deg_per_ppm", spread)
    if control.text("SPTYPE"):
        note = (
            "changes many of LCModel's own settings, which are not carried: look for each of them"
        )
        found.ask("SPTYPE", control.text("SPTYPE"), note)


def _rest(found: Choices, control: Group) -> None:
    carried = {row["from"] for row in found.rows} | {"NOMIT"}
    for key, value in control.values.items():
        name = re.sub(r"_\d+$", "", key)
        if name in carried:
            continue
        if name in PRIVATE:
            found.leave(name, "", "not shown: may hold a name")
        elif name in OUTPUT:
            found.leave(name, value, "of LCModel's output")
        else:
            note = NO_COUNTERPART.get(name, "no counterpart")
            if name in GRID:
                note = "one voxel, as here"
            if name == "ECHOT":
                note = "the echo time of sites.tsv"
            found.leave(key, value, note)


def _said(control: Group, key: str, usual) -> str:
    """A value as the file has it, or the program's default."""
    return control.text(key) or f"(default) {usual}"


def _true(control: Group, key: str) -> bool:
    return control.text(key).strip(".").upper().startswith("T")


def _indexed(control: Group, key: str) -> list[str]:
    """Values of `KEY(1)`, `KEY(2)`, or of `KEY = 'a', 'b'`."""
    own = {int(one.rpartition("_")[2]): one for one in control.values
           if re.fullmatch(rf"{key}_\d+", one)}  # fmt: skip
    if own:
        return [control.text(own[number]) for number in sorted(own)]
    return re.findall(r"'([^']*)'", control.values.get(key, ""))

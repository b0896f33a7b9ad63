"""Choices of command lines of `fsl_mrs` (Clarke et al. 2021, Magn Reson Med 85:2950); options and
defaults are those that `fsl_mrs --help` gives."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from fmrsflow.basis.formats import own_name, read_basis
from fmrsflow.errors import DataError, UsageError
from fmrsflow.intake.choices import NEAREST, SAME, Choices, measured, text_file

OPTIONS = {
    **dict.fromkeys(
        ("--data", "--basis", "--output", "--h2o", "--t1", "--TE", "--TR", "--algo", "--config",
         "--baseline_order", "--baseline", "--mh_samples", "--wref_metabolite", "--ref_protons",
         "--h2o_scale"), 1),
    **dict.fromkeys(("--ppmlim", "--ref_int_limits"), 2),
    **dict.fromkeys(
        ("--ignore", "--keep", "--combine", "--metab_groups", "--ind_scale", "--tissue_frac",
         "--internal_ref"), "+"),
    **dict.fromkeys(
        ("--lorentzian", "--free_shift", "--disable_MH_priors", "--report", "--verbose",
         "--overwrite", "--conj_fid", "--no_conj_fid", "--conj_basis", "--no_conj_basis",
         "--no_rescale"), 0),
}  # fmt: skip
"""Options and the number of words after them."""

NO_COUNTERPART = {
    "algo": "the minimum of one function; errors hold the model error too, no samples are drawn",
    "combine": "sums are tNAA, tCr, tCho, Glx",
    "metab_groups": "one width for all metabolites, another for broad signals",
    "lorentzian": "a Voigt line in any case",
    "ind_scale": "components of a basis keep its scale; macromolecules are free of it",
    "disable_MH_priors": "no samples are drawn",
    "mh_samples": "no samples are drawn",
    "internal_ref": "ratios to tCr",
    "wref_metabolite": "water is the first points of its FID",
    "ref_protons": "water is the first points of its FID",
    "ref_int_limits": "water is the first points of its FID",
    "conj_fid": "the direction of the axis follows from the format, else from the spectrum",
    "conj_basis": "the direction of the axis follows from the format, else from the spectrum",
    "report": "pages are always made",
    "verbose": "",
    "overwrite": "a changed setting makes again what depends on it",
    "no_rescale": "of its own search",
    "output": "results lie in the study's folder (setting results)",
    "config": "options of a file are not read: put them on the command line",
}


def read_commands(source: str) -> Choices:
    """Choices of a command line, or of a file with one a line; they may differ in files alone.

    Raises
    ------
    DataError
        A line is no command of fsl_mrs, or two differ in more than their files.
    """
    path = Path(source)
    is_file = "--" not in source and path.is_file()
    lines = text_file(path).replace("\\\n", " ").splitlines() if is_file else [source]
    folder = path.parent if is_file else Path()
    commands = [_parsed(line) for line in lines if line.strip() and line.strip()[0] != "#"]
    if not commands:
        raise DataError(f"{source}: no command of fsl_mrs")
    first, *others = [_settings(one) for one in commands]
    if any(one != first for one in others):
        raise DataError(
            "the commands differ in more than files: import them as studies of their own"
        )
    found = Choices("fslmrs")
    for own in commands:
        scan = {column: folder / own[key] for key, column in FILES.items() if own.get(key)}
        found.files.append(scan)
    for key, column in FILES.items():
        if commands[0].get(key):
            found.add(f"--{key}", commands[0][key], SAME, f"scans.tsv: {column}", "", "")
    _carry(found, commands[0], folder)
    return found


FILES = {"data": "mrs", "h2o": "ref", "t1": "t1w"}


def _settings(own: dict) -> dict:
    return {key: value for key, value in own.items() if key not in (*FILES, "output")}


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise DataError(f"no command line of fsl_mrs: {message}")


def _parsed(line: str) -> dict:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"no command line: {error}") from None
    if words and Path(words[0]).name in ("fsl_mrs", "fsl_mrs.py"):
        words = words[1:]
    parser = _Parser(prog="fsl_mrs", add_help=False, allow_abbrev=False)
    for option, words_after in OPTIONS.items():
        if words_after == 0:
            parser.add_argument(option, action="store_const", const="yes")
        else:
            action = "append" if option == "--combine" else "store"
            nargs = None if words_after == 1 else words_after
            parser.add_argument(option, nargs=nargs, action=action)
    own = {key: value for key, value in vars(parser.parse_args(words)).items() if value is not None}
    if "data" not in own:
        raise DataError("no command line of fsl_mrs: --data is missing")
    return own


def _carry(found: Choices, own: dict, folder: Path) -> None:
    note = (
        "a fit of the same kind (FSL-MRS itself: fit.engine fsl_mrs, non-commercial); water and "
        f"errors are those of docs/science.md#concentration; {measured('FSL-MRS')}"
    )
    found.take("(FSL-MRS)", "", "fit.engine", "fmrsflow", note, NEAREST)
    for setting, ours, why in (
        ("fit.models", "single", "one model of a spectrum"),
        ("fit.lineshape", "voigt", ""),
        ("fit.soft_ratios", False, "no expected ratios there"),
        ("fit.macromolecules", "basis", "none beside those of the basis"),
        ("concentration.constants", "fsl-mrs", "relaxation times as there"),
    ):
        found.take("(FSL-MRS)", "", setting, ours, why)
    if basis := own.get("basis"):
        found.basis = folder / basis
        found.take("--basis", basis, "basis.source", "file")
        found.take("--basis", basis, "basis.mm", "as is", "what the file has")
    low, high = own.get("ppmlim", ("0.2", "4.2"))
    found.take("--ppmlim", (low, high), "fit.range_low_ppm", _number("ppmlim", low))
    found.take("--ppmlim", (low, high), "fit.range_high_ppm", _number("ppmlim", high))
    _baseline(found, own)
    _names(found, own)
    for key, column, scale in (("TE", "te_s", 1e-3), ("TR", "tr_s", 1.0)):
        if key in own:
            found.protocol[column] = scale * _number(key, own[key])
            unit = "ms there, s here" if key == "TE" else ""
            found.add(
                f"--{key}", own[key], SAME, f"sites.tsv: {column}", found.protocol[column], unit
            )
    _tissue(found, own)
    if _number("h2o_scale", own.get("h2o_scale", "1")) != 1:
        note = "an extra factor of all concentrations: multiply molal and molar values by hand"
        found.ask("--h2o_scale", own["h2o_scale"], note)
    carried = {row["from"].removeprefix("--") for row in found.rows}
    for key, value in own.items():
        if key not in carried:
            note = NO_COUNTERPART.get(key.removeprefix("no_"), NO_COUNTERPART.get(key, ""))
            found.leave(f"--{key}", value, note or "no counterpart")


def _baseline(found: Choices, own: dict) -> None:
    """`--baseline_order N` of earlier releases, `--baseline "poly, N"` or `"spline, ..."` of later
    ones."""
    words = own.get("baseline", "").replace(",", " ").lower().split()
    if words and words[0] not in ("poly", "polynomial"):
        if words[0] in ("off", "none"):
            found.take("--baseline", own["baseline"], "fit.baseline", "none")
        else:
            note = "the smoothness is found by cross-validation"
            found.take("--baseline", own["baseline"], "fit.baseline", "spline", note, NEAREST)
        return
    theirs = "--baseline" if words else "--baseline_order"
    text = (words[1] if len(words) > 1 else "2") if words else own.get("baseline_order", "2")
    order = int(_number("baseline_order", text))
    if order < 0:
        found.take(theirs, text, "fit.baseline", "none")
        return
    found.take(theirs, text, "fit.baseline", "polynomial")
    found.take(theirs, text, "fit.baseline_order", order)


def _names(found: Choices, own: dict) -> None:
    ignored = [own_name(one) for one in own.get("ignore", [])]
    if "keep" in own:
        kept = {own_name(one) for one in own["keep"]}
        try:
            every = read_basis(found.basis).names if found.basis else ()
        except (DataError, OSError):
            every = ()
        if every:
            ignored += [one for one in every if one not in kept and one not in ignored]
            found.take("--keep", own["keep"], "fit.exclude", ignored, "all others of the basis")
        else:
            note = "the basis cannot be read: name all others of it in fit.exclude"
            found.ask("--keep", own["keep"], note)
    if "ignore" in own:
        found.take("--ignore", own["ignore"], "fit.exclude", ignored)


def _tissue(found: Choices, own: dict) -> None:
    """White, grey, CSF: in this order there."""
    given = own.get("tissue_frac")
    if given is None:
        return
    try:
        fractions = [float(one) for one in given]
    except ValueError:
        fractions = []
    if len(fractions) != 3:
        found.ask("--tissue_frac", given, "give the maps in columns gm, wm, csf, or a T1w")
        return
    note = "where no T1w or maps are given; of all scans"
    found.take("--tissue_frac", given, "concentration.tissue", "assumed", note)
    for key, value in zip(("wm", "gm", "csf"), fractions):
        found.take("--tissue_frac", given, f"concentration.assumed_{key}", value)


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"--{option} {text}: no number") from None

"""Files of a bundle, opened at the door: typed and finite columns, bounded values, plain JSON.

A digest tells that a file travelled whole, not that it is good, and what is not seen here is met
by tables and pages of the whole consortium.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Callable

from fmrsflow.errors import DataError
from fmrsflow.tables import MISSING, Columns, columns_of, parse_table

MOST = 1e15
"""Size of a number; amplitudes on a scanner's own scale come to 1e9."""

MOST_PERCENT = 1e7
"""Size of a number in percent. The variance between sites of a change of 1e308 % has no end."""

MOST_UNPACKED = 64 << 20
"""Bytes of an image or of an archive of arrays in a bundle; averages of a scan have 1e5."""

LONGEST_TEXT = 20_000
"""Letters of a text: a reason, a warning, a cell."""

LONGEST_WORD = 200
"""Letters of a name or version of software."""

DEEPEST = 20

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

Check = Callable[[object], bool]


def check_table(content: bytes, stage: str, table: str, name: str) -> None:
    """A table holds its columns, each once and no other, of their kinds, finite and bounded.

    Raises
    ------
    DataError
        It does not.
    """
    columns = columns_of(stage, table)
    rows = parse_table(content, columns, name)
    lines = [line.split("\t") for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    if not lines or lines[0] != list(columns):
        raise DataError(f"{name} has other columns than {stage} writes: {_odd(lines, columns)}")
    for number, (row, cells) in enumerate(zip(rows, lines[1:], strict=True), start=2):
        for (column, one), cell in zip(columns.items(), cells, strict=True):
            if problem := _cell_problem(one, row[column], cell):
                raise DataError(f"{name} line {number}: {column} {cell[:80]!r} {problem}")


def _odd(lines: list[list[str]], columns: Columns) -> str:
    found = lines[0] if lines else []
    twice = [one for one in found if found.count(one) > 1]
    odd = twice or sorted(set(found) ^ set(columns)) or ["their order"]
    return repr(odd[0][:80])


def _cell_problem(column, value, cell: str) -> str:
    if not cell.strip():
        return f"is empty, where {MISSING} stands for what is missing"
    if column.kind in ("number", "integer"):
        if value is None or (cell.strip() == MISSING):
            return ""
        limit = MOST_PERCENT if column.unit == "percent" else MOST
        if not math.isfinite(value):
            return "is no finite number"
        return "" if abs(value) <= limit else f"is beyond {limit:g}"
    return "" if column.kind == "flag" or _text(value) else "is no plain text"


def check_arrays(content: bytes, name: str) -> None:
    """Arrays of a fit as `fit.result` writes them: no object, of one number of spectra, names and
    points.

    Raises
    ------
    DataError
        They are not.
    """
    import numpy as np

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(one.file_size for one in archive.infolist()) > MOST_UNPACKED:
                raise DataError(f"{name} unpacks to more than arrays of a fit can have")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive}
        sizes = {
            "s": len(arrays["spectra"]),
            "l": len(arrays.get("levels", arrays["spectra"])),
            "m": len(arrays["names"]),
            "p": len(arrays["ppm"]),
            "q": len(arrays.get("parameter_names", ())),
        }
        for key in arrays:
            if key not in _ARRAYS:
                raise DataError(f"{name} holds an array {key[:80]!r}, which no fit writes")
            kind, axes = _ARRAYS[key]
            expected = tuple(sizes[axis] for axis in axes)
            if arrays[key].dtype.kind not in kind or arrays[key].shape != expected:
                raise DataError(
                    f"{name}: {key} is {arrays[key].dtype} {arrays[key].shape}, not of the kind "
                    f"and length of a fit {expected}"
                )
            if kind in "fc" and not (np.abs(arrays[key][np.isfinite(arrays[key])]) <= 1e30).all():
                raise DataError(f"{name}: {key} holds values beyond 1e30")
        if lacking := sorted(_SHOWN - set(arrays)):
            raise DataError(f"{name} lacks the array {lacking[0]}")
        if not np.isfinite(arrays["ppm"]).all() or min(sizes[axis] for axis in "smp") < 1:
            raise DataError(f"{name} holds no spectrum")
    except DataError:
        raise
    except Exception as error:  # whatever a damaged archive makes of it
        raise DataError(f"{name} is no archive of arrays ({type(error).__name__})") from None


_ARRAYS = {
    "ppm": ("f", "p"),
    "spectra": ("U", "s"),
    "levels": ("U", "l"),
    "names": ("U", "m"),
    "data": ("fc", "sp"),
    "fit": ("fc", "sp"),
    "baseline": ("fc", "sp"),
    "residual": ("fc", "sp"),
    "metabolites": ("fc", "smp"),
    "amplitudes": ("f", "lm"),
    "covariance": ("f", "lmm"),
    "model_covariance": ("f", "lmm"),
    "parameter_names": ("U", "q"),
    "parameters": ("f", "sq"),
    "parameters_se": ("f", "sq"),
}
"""Arrays of `result.npz`: kinds, and an axis a letter (spectra, levels, metabolites, points, q for
parameters)."""

_SHOWN = {"ppm", "spectra", "names", "data", "fit", "baseline", "residual", "metabolites"}
"""Those that pages draw."""


def check_fids(content: bytes, name: str) -> None:
    """FIDs in a gzip file that is whole, finite and not larger than averages can be.

    Raises
    ------
    DataError
        They are not.
    """
    import nibabel as nib
    import numpy as np

    from fmrsflow.fids import from_nifti

    try:
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        raw = unpacker.decompress(content, MOST_UNPACKED)
        if not unpacker.eof:
            raise DataError(f"{name} is cut off, or larger than averages of a scan can be")
        fids = from_nifti(nib.Nifti2Image.from_bytes(raw))
        if not (np.abs(fids.data) < 1e30).all() or fids.n_points < 64:
            raise DataError(f"{name} holds no FIDs, or values that are no numbers")
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # whatever a damaged header makes of it
        raise DataError(f"{name} is no NIfTI-MRS ({type(error).__name__})") from None


def check_software(value, name: str) -> None:
    """What a site says of its software is what `provenance.software` writes: texts, and tables of
    texts.

    Raises
    ------
    DataError
        It is not.
    """

    def short(one) -> bool:
        """Whether it is a plain text of at most `LONGEST_WORD` letters."""
        return _text(one) and len(one) <= LONGEST_WORD

    def table(one) -> bool:
        """Whether it is a table whose keys and values are such texts."""
        return isinstance(one, dict) and all(short(word) for pair in one.items() for word in pair)

    if not isinstance(value, dict) or not all(
        short(key) and (one is None or (table(one) if key in _TABLES else short(one)))
        for key, one in value.items()
    ):
        raise DataError(f"{name}: software is not of the kind that a run writes")


_TABLES = ("Dependencies", "Stages")


def parse_json(content: bytes, name: str) -> dict:
    """A JSON object of plain text, bounded numbers and bounded depth.

    Raises
    ------
    DataError
        It is none.
    """
    try:
        found = json.loads(content.decode(), parse_constant=_refused)
    except (ValueError, RecursionError):
        raise DataError(f"{name} is no JSON, or nested too deep") from None
    if not isinstance(found, dict):
        raise DataError(f"{name} is no JSON object")
    if problem := _json_problem(found):
        raise DataError(f"{name}: {problem}")
    return found


def _refused(text: str):
    raise ValueError(text)


def _json_problem(value, depth: int = 0) -> str:
    if depth > DEEPEST:
        return f"nested deeper than {DEEPEST} levels"
    if isinstance(value, dict):
        if not all(_text(key) for key in value):
            return "a key that is no plain text"
        value = list(value.values())
    if isinstance(value, list):
        return next(filter(None, (_json_problem(one, depth + 1) for one in value)), "")
    if isinstance(value, str):
        return "" if _text(value) else f"{value[:40]!r} is no plain text"
    if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) <= MOST:
        return f"a number beyond {MOST:g}"
    return ""


def _text(value) -> bool:
    """Whether a text can be written and shown: not endless, no control characters, no half of a
    surrogate pair, which UTF-8 does not know."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or _CONTROL.search(value):
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _number(value) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _word(value) -> bool:
    return value is None or isinstance(value, str)


def _map_of(check: Check) -> Check:
    return lambda value: (
        value is None or (isinstance(value, dict) and all(check(one) for one in value.values()))
    )


def _list_of(check: Check) -> Check:
    return lambda value: (
        value is None or (isinstance(value, list) and all(check(one) for one in value))
    )


def _table(value) -> bool:
    return value is None or isinstance(value, dict)


def _tissue(value) -> bool:
    """Fractions and their SD, and where they are from."""
    return value is None or (
        _table(value)
        and all(_word(one) if key == "origin" else _number(one) for key, one in value.items())
    )


def _joint(value) -> bool:
    """The joint fit: figures are numbers, whatever else it says of itself."""
    return value is None or (
        _table(value)
        and all(_number(value.get(key)) for key in ("bold_narrowing_hz", "bold_narrowing_se_hz"))
        and _word(value.get("status"))
        and _word(value.get("reason"))
    )


_COUNT = _map_of(lambda value: isinstance(value, int) and not isinstance(value, bool))

_RECORD: dict[str, dict[str, Check]] = {
    "convert": {
        **dict.fromkeys(
            ("te_s", "tr_s", "frequency_mhz", "spectral_width_hz", "n_points", "n_transients",
             "n_coils"), _number,
        ),
        **dict.fromkeys(("vendor", "model", "software", "sequence", "format"), _word),
        **dict.fromkeys(
            ("voxel_mm", "voxel_centre_mm"),
            _list_of(lambda value: value is not None and _number(value)),
        ),
        "reference": _map_of(
            lambda value: _number(value) or isinstance(value, bool) or _list_of(_word)(value)
        ),
        "excitations_per_transient": _number,
        **dict.fromkeys(("water_transients", "fingerprint"), _list_of(_number)),
    },
    "anatomy": {
        **dict.fromkeys(
            ("v_gm", "v_wm", "v_csf", "sum", "coverage", "volume_ml", "systematic_sd"), _number
        ),
        "method": _word,
    },
    "bold": {
        **dict.fromkeys(("area_mean_percent_s", "area_mean_se_percent_s", "n_runs"), _number),
        "not_used": _word,
        "conditions": _list_of(_word),
        "connectivity": _table,
    },
    "preprocess": {
        **dict.fromkeys(
            ("snr_tcr", "fwhm_tcr_hz", "fwhm_tcr_ppm", "fwhm_water_hz", "residual_water",
             "drift_hz", "frequency_reference_hz", "noise_end_to_start", "noise_under_signals"),
            _number,
        ),
        **dict.fromkeys(
            ("linewidth_hz", "linewidth_se_hz", "matching_hz", "matching_se_hz"), _map_of(_number)
        ),
        "conditions": _list_of(_word),
        "n_kept": _COUNT,
        "n_removed": _COUNT,
        "snr_definition": _word,
        "parameters": _map_of(_table),
    },
    "fit": {
        **dict.fromkeys(
            ("fqn", "mrar_percent", "fitted_fwhm_tcr_hz", "fitted_snr_tcr",
             "baseline_dimension_per_ppm", "n_models"), _map_of(_number),
        ),
        **dict.fromkeys(("spectrum_status", "spectrum_reason", "stop_reason"), _map_of(_word)),
        "correlations": _map_of(_map_of(_number)),
        "sums": _map_of(_list_of(_word)),
        **dict.fromkeys(
            ("water_amplitude", "water_amplitude_se", "water_amplitude_model_sd"), _number
        ),
        "joint": _joint,
    },
    "quantify": {"constants": _word, "tissue": _tissue, "water": _map_of(_number)},
    "response": {
        "rest": _word,
        **dict.fromkeys(("tasks", "scans", "flags"), _list_of(_word)),
    },
}  # fmt: skip
"""What a record of each stage holds, as far as tables and pages use it."""


def check_record(record: dict, stage: str, name: str) -> None:
    """What a record says is of the kinds that its stage writes.

    Raises
    ------
    DataError
        It is not.
    """
    settings = _map_of(_table)
    checks = {**_RECORD[stage], "settings": settings, "warnings": _list_of(_word)}
    for key, check in checks.items():
        if key in record and not check(record[key]):
            raise DataError(f"{name}: {key} is not of the kind that {stage} writes")

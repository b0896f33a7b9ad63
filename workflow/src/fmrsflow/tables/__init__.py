"""Tables as TSV: declared columns, typed reading of results, text of users' tables, writing.

The tables of a stage are declared once, in the module of this package that has its name (`TABLES`:
name of the table -> columns), for the stage that writes them, the readers of results.py and the
data dictionaries. The typed reader is our own: importing pandas takes 0.4 CPU s more than numpy,
ten times the work of a quantify job, and rows as dicts are what every caller wants.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple

from fmrsflow.errors import DataError
from fmrsflow.files import json_bytes, read_regular, write_bytes

MISSING = "n/a"
"""A missing value in a table (BIDS)."""

Row = dict[str, Any]
"""A row of a result: float (nan where missing), int or None, bool or None, str ("")."""


class Column(NamedTuple):
    """A column: what it says, its unit ("" for none), and the kind of its cells."""

    description: str
    unit: str
    kind: str


Columns = Mapping[str, Column]


def number(description: str, unit: str = "") -> Column:
    """A column of numbers; read as float, nan where missing."""
    return Column(description, unit, "number")


def integer(description: str, unit: str = "") -> Column:
    """A column of whole numbers; read as int, None where missing."""
    return Column(description, unit, "integer")


def flag(description: str) -> Column:
    """A column of true and false; read as bool, None where missing."""
    return Column(description, "", "flag")


def text(description: str) -> Column:
    """A column of words; read as str, "" where missing."""
    return Column(description, "", "text")


def columns_of(stage: str, table: str) -> Columns:
    """Columns of a stage's table; KeyError where the stage declares no such table."""
    return import_module(f"fmrsflow.tables.{stage}").TABLES[table]


def parse_table(content: bytes, columns: Columns, name: str) -> list[Row]:
    """Rows of a table that a stage wrote, each cell as the kind of its column; columns that are
    not declared are left out.

    Raises
    ------
    DataError
        No text, a declared column that the header lacks, a row of another length than the header,
        or a cell that is not of its column's kind.
    """
    header, *lines = _cells(content, name) or [[]]
    lacking = [column for column in columns if column not in header]
    if lacking:
        raise DataError(f"{name} lacks the column {lacking[0]}: it is not what the stage writes")
    readers = [
        (column, header.index(column), _READ[what.kind], what.kind)
        for column, what in columns.items()
    ]
    rows = []
    for n, line in enumerate(lines, start=2):
        row = {}
        for column, place, read, kind in readers:
            try:
                row[column] = read(line[place])
            except (ValueError, KeyError):
                raise DataError(
                    f"{name} line {n}: {column} {line[place]!r} is not of the kind {kind}"
                ) from None
        rows.append(row)
    return rows


def read_table(path: str | Path) -> list[dict[str, str]]:
    """Read a user's TSV as a list of rows; values stay text.

    Raises
    ------
    DataError
        A row of another length than the header, or not text.
    """
    path = Path(path)
    header, *lines = _cells(read_regular(path), path.name) or [[]]
    return [dict(zip(header, map(_as_it_was, line))) for line in lines]


def write_table(path: str | Path, rows: Sequence[Row], columns: Columns | None = None) -> None:
    """Write rows as TSV, atomically, and with `columns` their data dictionary beside them."""
    write_bytes(path, table_bytes(rows, columns))
    if columns:
        write_bytes(Path(path).with_suffix(".json"), json_bytes(data_dictionary(columns)))


def table_bytes(rows: Sequence[Row], columns: Columns | None = None) -> bytes:
    """Rows as TSV; `columns` gives their order and kinds, else the first row its keys.

    Numbers get six significant digits, so that the last bits of a sum do not change a table.

    Raises
    ------
    ValueError
        A value without a column, or not of its column's kind: it could not be read again.
    """
    names = list(columns or (rows[0] if rows else ()))
    for row in rows:
        if row.keys() - set(names):
            raise ValueError(f"columns without description: {sorted(row.keys() - set(names))}")
    for name, column in (columns or {}).items():
        odd = [row[name] for row in rows if not _is(row.get(name), column.kind)]
        if odd:
            raise ValueError(f"column {name}: {odd[0]!r} is not of the kind {column.kind}")
    lines = ["\t".join(names)]
    lines += ["\t".join(_cell(row.get(name)) for name in names) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def data_dictionary(columns: Columns) -> dict:
    """BIDS data dictionary of columns."""
    return {
        name: {"Description": one.description, **({"Units": one.unit} if one.unit else {})}
        for name, one in columns.items()
    }


def _cells(content: bytes, name: str) -> list[list[str]]:
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{name} is not a UTF-8 text table; save it as one") from None
    if "\0" in decoded:
        raise DataError(
            f"{name} is not a text table (it holds a zero byte); save it as one, in UTF-8"
        )
    lines = csv.reader(io.StringIO(decoded), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        found = [[cell.strip() for cell in line] for line in lines]
    except csv.Error:
        raise DataError(
            f"{name} line {lines.line_num} holds a cell of more than {csv.field_size_limit()} "
            "letters: no table of this workflow"
        ) from None
    found = [line for line in found if any(line)]
    for number_, line in enumerate(found[1:], start=2):
        if len(line) != len(found[0]):
            raise DataError(
                f"{name} line {number_} has {len(line)} cells where the header has "
                f"{len(found[0])}; put a tab between cells and n/a into empty ones"
            )
    return found


_READ: dict[str, Callable[[str], Any]] = {
    "number": lambda cell: math.nan if cell == MISSING else float(cell),
    "integer": lambda cell: None if cell == MISSING else int(cell),
    "flag": {"true": True, "false": False, MISSING: None}.__getitem__,
    "text": lambda cell: _word(cell),
}

_TYPES = {"number": Real, "integer": Integral, "flag": bool, "text": str}


_FORMULA = re.compile("'*[=+@\uff1d\uff0b\uff20\uff0d-]")
"""How a cell begins that a spreadsheet runs (the wide signs where Japanese is set), or one that
`defused` has marked."""


_WORD = re.compile(r"[+-]\w+")


def defused(cell: str) -> str:
    """The cell as a spreadsheet shows it: one that would be run as a formula (`=cmd|...`) gets an
    apostrophe in front, which the readers of this module take off again. A number stays, and a
    sign before one word, which can call and fetch nothing.

    Examples
    --------
    >>> [defused(cell) for cell in ("=1+1", "-0.5", "-CrCH2", "rest", "'=quoted")]
    ["'=1+1", '-0.5', '-CrCH2', 'rest', "''=quoted"]
    """
    if not _FORMULA.match(cell) or _WORD.fullmatch(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _word(cell: str) -> str:
    """A cell of words, each once in memory: a table repeats a few names in every row."""
    return "" if cell == MISSING else intern(_as_it_was(cell))


def _as_it_was(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def _is(value, kind: str) -> bool:
    if value is None or (isinstance(value, str) and value == ""):
        return True
    if hasattr(value, "item"):
        value = value.item()
    return isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "flag")


def _cell(value) -> str:
    if value is None or value == "":
        return MISSING
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return MISSING if value != value else f"{value:.6g}"
    return defused(" ".join(str(value).split()))

"""Rows added to the sheets of a study; what stands there already stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fmrsflow.files import write_bytes
from fmrsflow.tables import MISSING, read_table


def add_rows(
    sheet: Path,
    columns: Sequence[str],
    rows: Sequence[dict],
    key: Callable[[dict], tuple],
    fill: Sequence[str] = (),
) -> tuple[list[dict], list[dict]]:
    """Append rows whose key no row of the sheet has; make the sheet where there is none.

    A column that the sheet lacks and a row fills is put behind its last one. Lines that stand in
    the sheet stay byte for byte, but for such columns and for cells of `fill`.

    Parameters
    ----------
    columns : sequence of str
        Those that a sheet may have, in the order of a new one.
    key : callable
        Of a row, texts.
    fill : sequence of str
        Columns whose empty cells are filled in rows of the same key.

    Returns
    -------
    list of dict
        The rows that were added.
    list of dict
        Rows as they stand in the sheet, of which a given one has the key and other values.
    """
    content = sheet.read_bytes() if sheet.exists() else b""
    if not content.strip():
        content = ("\t".join(columns) + "\n").encode()
        write_bytes(sheet, content)
    there = {key(row): (number, row) for number, row in enumerate(read_table(sheet), start=1)}
    text = content.decode("utf-8")
    end = "\r\n" if "\r\n" in text else "\n"
    text += "" if text.endswith("\n") else end
    lines = re.findall(r"[^\n]*\n", text)
    places = [number for number, line in enumerate(lines) if line.strip("\ufeff\t \r\n")]
    header = [one.strip() for one in lines[places[0]].lstrip("\ufeff").rstrip("\r\n").split("\t")]
    standing, new = {}, []
    for row in rows:
        if key(row) in there:
            standing[key(row)] = row
        elif key(row) not in [key(one) for one in new]:
            new.append(row)
    filled = {name for row in new for name, value in row.items() if _cell(value) != MISSING}
    wider = [name for name in columns if name in filled and name not in header]
    for number in places if wider else ():
        cells = wider if number == places[0] else [MISSING] * len(wider)
        line = lines[number].rstrip("\r\n")
        lines[number] = "\t".join([line, *cells]) + lines[number][len(line) :]
    header += wider
    other = []
    for name, row in standing.items():
        number, known = there[name]
        for column in fill:
            if column in header and _cell(known.get(column)) == MISSING != _cell(row.get(column)):
                line = lines[places[number]].rstrip("\r\n")
                cells = line.split("\t")
                cells[header.index(column)] = known[column] = _cell(row[column])
                lines[places[number]] = "\t".join(cells) + lines[places[number]][len(line) :]
        if any(_cell(known.get(name)) != _cell(row[name]) for name in header if name in row):
            other.append(known)
    lines += ["\t".join(_cell(row.get(name)) for name in header) + end for row in new]
    if (made := "".join(lines)) != text:
        write_bytes(sheet, made.encode())
    return new, other


def _cell(value) -> str:
    if value in (None, ""):
        return MISSING
    return f"{value:.10g}" if isinstance(value, float) else str(value)

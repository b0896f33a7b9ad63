"""Rows added to the sheets of a study; what stands there already stays as it is, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fmrsflow.files import write_bytes
from fmrsflow.tables import MISSING, read_table


def add_rows(
    sheet: Path, columns: Sequence[str], rows: Sequence[dict], key: Callable[[dict], tuple]
) -> tuple[list[dict], list[dict]]:
    """Append rows whose key no row of the sheet has; make the sheet where there is none.

    Parameters
    ----------
    columns : sequence of str
        Header of a new sheet.
    key : callable
        Of a row, texts.

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
    text = content.decode("utf-8-sig")
    header = text.splitlines()[0].split("\t")
    there = {key(row): row for row in read_table(sheet)}
    added, other = [], []
    for row in rows:
        known = there.get(key(row))
        if known is None:
            added.append(row)
            there[key(row)] = row
        elif any(_cell(known.get(name)) != _cell(row[name]) for name in header if name in row):
            other.append(known)
    if added:
        end = "\r\n" if "\r\n" in text else "\n"
        lines = ["\t".join(_cell(row.get(name)) for name in header) for row in added]
        start = b"" if content.endswith(b"\n") else end.encode()
        write_bytes(sheet, content + start + "".join(line + end for line in lines).encode())
    return added, other


def _cell(value) -> str:
    if value in (None, ""):
        return MISSING
    return f"{value:.10g}" if isinstance(value, float) else str(value)

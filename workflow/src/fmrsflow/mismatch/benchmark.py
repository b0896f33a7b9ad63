"""Tables of a scored edition of the benchmark, as the repository holds them (docs/mismatch.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fmrsflow.files import read_json
from fmrsflow.layout import ROOT
from fmrsflow.tables import Row, columns_of, parse_table

BENCHMARK = ROOT / "docs" / "mismatch"
"""Committed tables of the mismatch benchmark."""


@dataclass(frozen=True)
class Tables:
    """Tables of a scored edition (docs/mismatch.md).

    `made` is how they were made: edition, versions, date.
    """

    curves: Sequence[Row]
    concentrations: Sequence[Row]
    attribution: Sequence[Row]
    quality: Sequence[Row]
    made: Mapping[str, str]


def read_benchmark(folder: Path) -> Tables | None:
    """Tables of a scored edition of the mismatch benchmark; None where there are none."""
    if not (folder / "made.json").is_file():
        return None
    names = ("curves", "concentrations", "attribution", "quality")
    tables = {
        name: parse_table(path.read_bytes(), columns_of("mismatch", name), str(path))
        if (path := folder / f"{name}.tsv").is_file()
        else ()
        for name in names
    }
    return Tables(**tables, made=read_json(folder / "made.json"))

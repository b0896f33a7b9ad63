"""Courses over the transients that a scan's own recordings tell: motion, breathing, pulse, phase
cycles. Each moves gain and width of all signals together, and no metabolite by itself."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fit.design import Design, Timing
from fmrsflow.tables import MISSING, read_table

SPARE_WATERS = 2
"""Groups of water beyond the number of courses of the width."""

MOST_COLUMNS = 24
MOST_BYTES = 1 << 28
"""Of a recording, unpacked: a day at 1 kHz in three columns has less."""


def nuisance_design(path: Path, time_s: np.ndarray, within_s: np.ndarray) -> Design:
    """Nuisance courses of a scan, each of mean zero and SD 1.

    Parameters
    ----------
    path : Path
        A TSV with a header and a row a transient, or a recording `_physio.tsv.gz` with its JSON
        beside it (BIDS: SamplingFrequency, StartTime, Columns), read at the excitations.
    time_s : array (n_transients,)
        Mean times of excitation from the first of the series, which is time 0 of the recording;
        NaN where no repetition time is known.
    within_s : array (n_excitations,)
        Times of the excitations of a transient from its own.

    Raises
    ------
    DataError
        Another number of rows, a cell that is no number, a recording without its JSON, shorter than
        the scan or of one without repetition time, or more columns than a model can have.
    """
    recorded = path.name.endswith("_physio.tsv.gz")
    names, matrix = _recorded(path, time_s, within_s) if recorded else _given(path, len(time_s))
    if len(names) > MOST_COLUMNS:
        raise DataError(f"{path.name} has {len(names)} columns, at most {MOST_COLUMNS} are fitted")
    found = Design(tuple(names), matrix).moving  # a constant tells nothing
    centred = found.matrix - found.matrix.mean(axis=0)
    return Design(found.names, centred / centred.std(axis=0))


def water_design(rows: Sequence[Mapping], timing: Timing, width: Design) -> Design:
    """A linewidth design with what the width of water, measured between the transients, does beside
    the courses of the design.

    Those are known at any time, water is measured seldom: what they make of it is taken off where
    it was measured, and the rest read at the excitations, in proportion between two groups. So the
    columns of the design (BOLD narrowing) keep their meaning. The new one has SD 1.

    Parameters
    ----------
    rows : sequence of mapping
        `time_s` and `linewidth_hz` of each group of water (water.tsv).
    width : Design
        A row a transient.

    Raises
    ------
    DataError
        Too few groups with a time and a width to know more than the courses.
    """
    told = [(row["time_s"], row["linewidth_hz"]) for row in rows]
    told = sorted(one for one in told if None not in one and np.isfinite(one).all())
    least = 1 + len(width.names) + SPARE_WATERS
    if len(told) < least:
        raise DataError(f"{len(told)} groups of water have a time and a width, of {least} needed")
    time_s, width_hz = np.array(told).T
    columns = [np.interp(time_s, timing.time_s, column) for column in width.matrix.T]
    left = _beside(width_hz, np.stack(columns, axis=1))
    read = np.interp(timing.time_s[:, None] + timing.within_s, time_s, left).mean(axis=1)
    read = _beside(read, width.matrix)
    if not read.std() > 1e-6 * np.abs(width_hz).max():
        raise DataError("the width of water does nothing that the courses of the width do not")
    return Design((*width.names, "water"), np.column_stack([width.matrix, read / read.std()]))


def _beside(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values less their least squares on a constant and columns."""
    others = np.column_stack([np.ones(len(values)), columns])
    return values - others @ np.linalg.lstsq(others, values, rcond=None)[0]


def _given(path: Path, n: int) -> tuple[list[str], np.ndarray]:
    rows = read_table(path)
    if len(rows) != n:
        raise DataError(
            f"{path.name} has {len(rows)} rows, the scan {n} transients: one row a transient is "
            "needed, rejected ones included"
        )
    names = list(rows[0])
    return names, np.array(
        [[_cell(row, name, j, path) for name in names] for j, row in enumerate(rows)]
    )


def _cell(row: Mapping, name: str, number: int, path: Path) -> float:
    text = row[name].strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        told = "a missing value" if text in ("", MISSING) else f"{text[:20]!r}"
        raise DataError(
            f"{path.name} line {number + 2}: {name} holds {told}: a number is needed in each row"
        )
    return value


def _recorded(path: Path, time_s: np.ndarray, within_s: np.ndarray) -> tuple[list[str], np.ndarray]:
    sidecar = path.with_name(path.name.removesuffix(".tsv.gz") + ".json")
    try:
        meta = json.loads(sidecar.read_bytes())
        rate, start = float(meta["SamplingFrequency"]), float(meta["StartTime"])
        names = [str(one) for one in meta["Columns"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(
            f"{sidecar.name} does not tell SamplingFrequency, StartTime and Columns of the "
            "recording beside it (BIDS)"
        ) from None
    if not (rate > 0 and math.isfinite(rate) and math.isfinite(start)):
        raise DataError(f"{sidecar.name}: SamplingFrequency {rate:g} Hz, StartTime {start:g} s")
    try:
        with gzip.open(path) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise DataError(f"{path.name} unpacks to more than {MOST_BYTES / 1e6:.0f} MB")
        values = np.array(
            [[float(cell) for cell in line.split()] for line in content.decode().splitlines()]
        )
    except (OSError, EOFError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path.name} is damaged or holds other than rows of {len(names)} numbers"
        ) from None
    if values.ndim != 2 or values.shape[1] != len(names) or not np.isfinite(values).all():
        raise DataError(f"{path.name} does not hold rows of {len(names)} numbers ({sidecar.name})")
    excited = time_s[:, None] + within_s
    if not np.isfinite(excited).all():
        raise DataError(
            f"{path.name} cannot be read at the excitations: no repetition time in the file nor in "
            "sites.tsv (column tr_s)"
        )
    recorded_s = start + np.arange(len(values)) / rate
    if excited.min() < recorded_s[0] - 1 / rate or excited.max() > recorded_s[-1] + 1 / rate:
        raise DataError(
            f"{path.name} runs from {recorded_s[0]:g} to {recorded_s[-1]:g} s, the scan from "
            f"{excited.min():g} to {excited.max():g} s: is it the recording of this scan?"
        )
    read = [np.interp(excited, recorded_s, column).mean(axis=1) for column in values.T]
    return names, np.stack(read, axis=1)

"""Transients without water suppression among those with it: the water of a scan over its time."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from fmrsflow.convert.transients import STRONGER, levels, references
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids

ALIKE = 1.5
"""Water is as strong each time within this factor: the first one before the steady state is 1.46
times the others at a repetition time of 1.5 s (T1 of grey matter at 3T, 1.3 s: 1 / (1 - exp(-1.5 /
1.3))). A movement is no water."""

EACH = "each"
"""In column `water_transients`: the reference holds one for each transient, measured before it."""

FEWEST = 2
"""Strong transients between others that are taken for water without being named: one alone may be a
movement or a spike, and is alike to nothing."""


def water_rows(fids: Fids, named: str, suppressed: bool) -> np.ndarray:
    """Which transients were measured without water suppression, boolean (n_transients,).

    Those that the sheet names, else the header of the dimension, else those that are much stronger
    than the others: at either end of the series, or alike at two places and more.

    Parameters
    ----------
    fids : Fids
        As measured.
    named : str
        Column `water_transients`: numbers from 0 with semicolons between them, or `first/step`;
        `EACH` names none of the scan's own.
    suppressed : bool
        False where the scan has no water suppression at all: then nothing is looked for.

    Raises
    ------
    DataError
        The column or header names none, all, or transients that the scan does not have.
    """
    n = fids.n_transients
    if named == EACH:
        return np.zeros(n, bool)
    if named:
        return _chosen(named, n)
    if fids.told.water:
        if len(fids.told.water) != n:
            raise DataError(
                f"its header says of {len(fids.told.water)} transients whether water was "
                f"suppressed (WaterSuppressed of DIM_DYN), and it holds {n}: mend the header, or "
                "name them in column water_transients"
            )
        return np.array(fids.told.water)
    found = np.zeros(n, bool)
    if not suppressed or n < 2:
        return found
    strength = levels(fids)
    usual = np.median(strength[strength <= np.median(strength)])
    strong = strength > STRONGER * usual if usual > 0 else found
    alike = strength[strong].max(initial=0.0) <= ALIKE * strength[strong].min(initial=np.inf)
    many = FEWEST <= strong.sum() <= n // 2 and alike
    return strong if many else references(fids)


def between(water: np.ndarray) -> bool:
    """Whether water was measured between the transients, and not before and after them only."""
    usual = np.flatnonzero(~water)
    return bool(water[usual[0] : usual[-1]].any())


def parted(fids: Fids, water: np.ndarray) -> tuple[Fids, Fids]:
    """The scan and its water, each with what the header then says of it."""
    parts = []
    for rows, suppressed in ((~water, True), (water, False)):
        header = {**fids.header, "WaterSuppressed": suppressed}
        told = replace(fids.told, water=(), water_suppressed=suppressed)
        parts.append(replace(fids.select(rows), header=header, told=told))
    return parts[0], parts[1]


def _chosen(named: str, n: int) -> np.ndarray:
    text = named.replace(" ", "")
    if found := re.fullmatch(r"(\d{1,6})/(\d{1,6})", text):
        first, step = map(int, found.groups())
        numbers = list(range(first, n, step)) if step else []
    elif re.fullmatch(r"\d{1,6}(;\d{1,6})*", text):
        numbers = [int(one) for one in text.split(";")]
    else:
        raise DataError(
            f"column water_transients: {named!r} is none of numbers with semicolons between "
            "them (0;17;34), first/step (0/17) and each: mend the column"
        )
    if not numbers or max(numbers) >= n or len(set(numbers)) == n:
        raise DataError(
            f"column water_transients: {named!r} leaves no water or no scan among {n} transients, "
            "counted from 0: mend the column"
        )
    chosen = np.zeros(n, bool)
    chosen[numbers] = True
    return chosen

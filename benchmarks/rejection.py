"""Share of the corrupted transients that are cut, of those that would move the change.

A transient matters by what it does alone: the change of a scan without corruption is fitted with
nothing cut, then with one transient corrupted; it matters where Glu or tCr moves by more than
`MATTERS` standard errors. Then all of them are corrupted at once, and the default alignment,
rejection and fit see the scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from figure import Figure
from fmrsflow.basis.files import Basis
from fmrsflow.fids import Fids
from fmrsflow.fit.change import JointResult
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import designs
from fmrsflow.preprocess.align import align
from fmrsflow.preprocess.outliers import mark_outliers

MATTERS = 0.5
SEED = 990_000
DRAWS, QUICK_DRAWS = 60, 2


def figures(scan, tr_s: float, quick: bool) -> Iterator[Figure]:
    """Of scans as `scan`, whose transients are corrupted at its share."""
    n = QUICK_DRAWS if quick else DRAWS
    found = [_one(scan, tr_s, seed) for seed in range(SEED, SEED + n)]
    effect, by_fit, by_both = (np.concatenate(column) for column in zip(*found))
    for least in (MATTERS, 2 * MATTERS):
        matter = effect > least
        for what, cut in (("fit alone", by_fit), ("alignment, rejection, fit", by_both)):
            share = 100 * float(cut[matter].mean()) if matter.any() else 100.0
            yield Figure(
                f"corrupted, effect over {least:g} SE: cut by {what}, %",
                share,
                ">= 95",
                share >= 95 - 200 * (0.95 * 0.05 / max(matter.sum(), 1)) ** 0.5,
                f"{matter.sum()} of {len(effect)} in {n} scans",
            )


def _one(scan, tr_s: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effect of each corrupted transient (standard errors), whether the fit cuts it, and whether
    it is cut with the stage before."""
    clean, basis = replace(scan, corrupted=0.0).draw(seed)
    fids, _ = scan.draw(seed)
    bad = np.flatnonzero((fids.transients != clean.transients).any(axis=1))
    with _nothing_cut():
        still = _fitted(scan, tr_s, clean, basis)
        alone = [_fitted(scan, tr_s, _with(clean, fids, j), basis) for j in bad]
    effect = np.max([np.abs(_moved(one, still)) for one in alone], axis=1)
    by_fit = ~_fitted(scan, tr_s, fids, basis).kept
    aligned, _ = align(fids)
    left = mark_outliers(aligned, scan.labels).kept
    by_both = ~left
    by_both[left] = ~_fitted(scan, tr_s, aligned, basis, left).kept
    return effect, by_fit[bad], by_both[bad]


@contextmanager
def _nothing_cut():
    with patch("fmrsflow.fit.corrupted.LIMIT", np.inf):
        yield


def _fitted(
    scan, tr_s: float, fids: Fids, basis: Basis, kept: np.ndarray | None = None
) -> JointResult:
    """Joint fit of the transients that are left, default settings."""
    kept = np.ones(fids.n_transients, bool) if kept is None else kept
    both = designs(scan.labels, tr_s, FitOptions())
    chosen = (one.select(kept) for one in both)
    return fit_joint(fids.select(kept), basis, *chosen, FitOptions())


def _with(clean: Fids, fids: Fids, j: int) -> Fids:
    """Clean transients but for one."""
    data = clean.transients.copy()
    data[j] = fids.transients[j]
    return clean.with_data(data[:, None])


def _moved(one: JointResult, still: JointResult) -> np.ndarray:
    """Changes of Glu and tCr less those of the clean scan, in its standard errors."""
    rows = [still.names.index(name) for name in ("Glu", "tCr")]
    moved = one.change_percent[0, rows] - still.change_percent[0, rows]
    return moved / still.change_se_percent[0, rows]

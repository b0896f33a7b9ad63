"""Means of the conditions and blocks of a scan, from one fit of all of its transients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.events import reference_of
from fmrsflow.fit.design import Design, Timing, condition_design, linewidth_design
from fmrsflow.fit.means import Means
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult
from fmrsflow.fit.scan import REST, Transients
from fmrsflow.fit.series import Series, of_transients
from fmrsflow.fit.singles import singles
from fmrsflow.scan_figures import MATCHED


def series_of_scan(
    transients: Transients,
    basis: Basis,
    options: FitOptions,
    designs: Sequence[Design],
) -> Series:
    """Fit of the mean of the transients that designs (over all transients) have a row for, and what
    these differ by."""
    used = transients.used
    courses = np.concatenate([one.matrix[used] for one in designs], axis=1)
    places = np.flatnonzero(used)
    return of_transients(transients.fids.select(used), basis, courses, options, places)


@dataclass(frozen=True)
class ScanMeans:
    """Means of a scan's transients in one model.

    Attributes
    ----------
    conditions : tuple of str
    matched, unmatched : Means
        Of the conditions, with a width of their own and with that of the mean.
    blocks : Means
        With a width of their own.
    block_conditions : tuple of str
    block_time_s : array (n_blocks,)
        Mean time of excitation.
    """

    conditions: tuple[str, ...]
    matched: Means
    unmatched: Means
    blocks: Means
    block_conditions: tuple[str, ...]
    block_time_s: np.ndarray

    def levels(self, whole: FitResult) -> dict[str, FitResult]:
        """Absolute amplitudes of the conditions with a width of their own: those of the average of
        all transients (`whole`, whose curves they keep) and what each differs by."""
        if len(self.conditions) < 2:
            return {}
        names = self.matched.names
        there = [k for k, name in enumerate(whole.names) if name in names]
        places = [names.index(whole.names[k]) for k in there]
        found = {}
        for group, condition in enumerate(self.conditions):
            values, spread = self.matched.of_group(group)
            amplitudes, covariance = whole.amplitudes.copy(), whole.covariance.copy()
            # Of a signal that the mean of all holds none of, no difference is known.
            amplitudes[there] += np.nan_to_num(values[places])
            covariance[np.ix_(there, there)] += spread[np.ix_(places, places)]
            name = condition + MATCHED
            found[name] = replace(whole, amplitudes=amplitudes, covariance=covariance)
        return found

    def timecourse(self) -> list[dict]:
        """Rows of timecourse.tsv."""
        amplitudes, errors = self.blocks.amplitudes(), self.blocks.errors()
        return [
            {
                "block": number,
                "condition": condition,
                "time_s": float(time_s),
                "metabolite": name,
                "amplitude": float(amplitude),
                "se": float(se),
            }
            for number, (condition, time_s) in enumerate(
                zip(self.block_conditions, self.block_time_s)
            )
            for name, amplitude, se in zip(self.blocks.names, amplitudes[number], errors[number])
        ]

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays for a file."""
        parts = ("matched", "unmatched", "blocks")
        return {
            "conditions": np.array(self.conditions),
            "block_conditions": np.array(self.block_conditions),
            "block_time_s": self.block_time_s,
            **{k: v for part in parts for k, v in getattr(self, part).arrays(part).items()},
        }


def means_of_scan(
    transients: Transients, series: Series, timing: Timing, options: FitOptions
) -> ScanMeans:
    """Means of the conditions and of the blocks of a scan."""
    kept = np.flatnonzero(transients.used)[series.kept]
    labels = [transients.labels[j] for j in kept]
    design, width = plain_designs(transients.labels, timing, options)
    free, plain = singles(series, design.matrix[kept], width.matrix[kept])
    conditions = tuple(dict.fromkeys(labels))
    groups = [np.flatnonzero([one == name for one in labels]) for name in conditions]
    place = {j: row for row, j in enumerate(kept)}
    blocks = [
        np.array([place[j] for j in block if j in place])
        for block in transients.blocks(options.timecourse_transients)
    ]
    blocks = [block for block in blocks if len(block)]
    return ScanMeans(
        conditions=conditions,
        matched=free.means(groups),
        unmatched=plain.means(groups),
        blocks=free.means(blocks),
        block_conditions=tuple(labels[block[0]] for block in blocks),
        block_time_s=np.array([transients.time_s[kept[block]].mean() for block in blocks]),
    )


def plain_designs(
    labels: Sequence[str | None], timing: Timing, options: FitOptions
) -> tuple[Design, Design]:
    """Conditions and a linear drift, of amplitudes and of the width: what is no scatter. A scan of
    one condition has the drift alone."""
    present = [label for label in dict.fromkeys(labels) if label is not None]
    if len(present) < 2:
        drift = Design(("drift_1",), timing.drifts(1))
        return drift, drift
    rest, regressor = reference_of(present, REST), options.joint_linewidth_regressor
    return (
        condition_design(labels, rest, timing),
        linewidth_design(labels, rest, timing, regressor, options.joint_linewidth_events),
    )

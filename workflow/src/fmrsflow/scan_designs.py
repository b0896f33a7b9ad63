"""Designs of a scan from what earlier stages recorded and from files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.fit.design import (
    Design,
    Timing,
    given_design,
    linewidth_design,
    width_of_contrasts,
)
from fmrsflow.fit.nuisance import nuisance_design
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import Transients, joint_rest
from fmrsflow.study import Scan
from fmrsflow.tables import read_table


def timing_of(job: Job, scan: Scan, transients: Transients) -> Timing:
    """When transients were excited, and events took place: without any, runs of a condition.

    Raises
    ------
    DataError
        Several conditions, and no repetition time.
    """
    converted, time_s = job.record("convert", scan), transients.time_s
    events = job.record("preprocess", scan).get("events")
    each = converted["excitations_per_transient"] or 1
    tr_s = converted["tr_s"] or job.study.sites[scan.site].tr_s
    if not tr_s or not np.isfinite(time_s).all():
        if len(set(transients.labels) - {None}) > 1:
            raise DataError("no repetition time in the file nor in sites.tsv: give tr_s there")
        # One condition: a drift goes by the order of the transients, and nothing else by time.
        return Timing.of_labels(transients.labels, np.arange(len(time_s)))
    if events is None:
        return Timing.of_labels(transients.labels, time_s)
    return Timing(time_s, events, tr_s * (np.arange(each) - (each - 1) / 2))


def designs_given(
    job: Job, scan: Scan, options: FitOptions, labels: Sequence[str | None], timing: Timing
) -> tuple[Design, Design]:
    """Amplitude and linewidth design of a scan from the TSV that `joint_design` names.

    Raises
    ------
    Unreachable
        It is not there: a design that is missing would be missing in a record that says ok.
    DataError
        It is none of the scan (`given_design`), or the setting has another field than a scan.
    """
    path, name, there = _named(job, scan, "joint_design", options.joint_design)
    if not there:
        raise Unreachable(f"{name} (setting joint_design) is not below the data root", path)
    design, width = given_design(read_table(job.beside(path)), len(labels))
    return design, _width(design, labels, timing, options) if width is None else width


def nuisance_of(
    job: Job, scan: Scan, options: FitOptions, transients: Transients, timing: Timing
) -> Design | None:
    """Nuisance courses of a scan; None, and a warning, where the setting names no file that is
    there.

    Raises
    ------
    DataError
        They are none of the scan (`nuisance_design`), or the setting has another field than a scan.
    """
    if not options.joint_nuisance:
        return None
    path, _, there = _named(job, scan, "joint_nuisance", options.joint_nuisance)
    if not there:
        job.warn("no nuisance courses: the file that the setting joint_nuisance names is not there")
        return None
    if path.name.endswith(".tsv.gz"):
        job.beside(path.with_name(path.name.removesuffix(".tsv.gz") + ".json"))
    found = nuisance_design(job.beside(path), transients.time_s, timing.within_s)
    return found if found.names else None


def _named(job: Job, scan: Scan, setting: str, pattern: str) -> tuple[Path, str, bool]:
    """Path and name of the file that a setting names for a scan, and whether it is there, below the
    data root."""
    fields = {"stem": scan.stem, "voi": scan.voi} | scan.entities
    try:
        name = pattern.format(**fields)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise DataError(f"setting {setting}: {pattern!r}: fields are {', '.join(fields)}") from None
    path, root = job.study.data_root / name, job.study.data_root.resolve()
    return path, name, path.is_file() and path.resolve().is_relative_to(root)


def _width(
    design: Design, labels: Sequence[str | None], timing: Timing, options: FitOptions
) -> Design:
    """Linewidth design beside a given one that says nothing of it: from events, where there are
    any, else from its own contrasts."""
    if len(set(labels) - {None}) < 2 and not options.joint_linewidth_events:
        return width_of_contrasts(design, timing)
    rest, regressor = joint_rest(labels, options), options.joint_linewidth_regressor
    return linewidth_design(labels, rest, timing, regressor, options.joint_linewidth_events)

"""What the joint fit of several scans takes of each: its transients and their courses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fit.design import (
    BOXCAR,
    CHOSEN,
    CONSTANT,
    Design,
    Timing,
    best_drift,
    condition_design,
    linewidth_design,
)
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import Transients
from fmrsflow.fit.scan_form import ScanOfUnit
from fmrsflow.response.scalings import Scale


@dataclass(frozen=True)
class Measured:
    """A scan of a unit, and what is known of its transients.

    Attributes
    ----------
    transients : Transients
    basis : Basis
        On its axes.
    scale : Scale or None
        None for a scan without molal values.
    timing : Timing
        Of all its transients.
    given : (Design, Design) or None
        Amplitude and linewidth design of `joint_design`; None where conditions make them.
    nuisance : Design or None
    water : bool
        Whether water was measured between its transients.
    """

    transients: Transients
    basis: Basis
    scale: Scale | None
    timing: Timing
    given: tuple[Design, Design] | None = None
    nuisance: Design | None = None
    water: bool = False

    def plain(self) -> Measured:
        """The same by its conditions alone."""
        return replace(self, given=None, nuisance=None)

    def used(self, rest: str, tasks: Sequence[str]) -> np.ndarray:
        """Which transients are of the unit's conditions.

        Raises
        ------
        DataError
            No transient is.
        """
        labels = np.array([label in (rest, *tasks) for label in self.transients.labels])
        found = self.transients.used & labels
        if not found.any():
            raise DataError("a scan of the unit has no transient of its conditions")
        return found

    def conditions(self, rest: str, tasks: Sequence[str]) -> tuple[str, ...]:
        """Those of the unit that it holds, in the order in which they ran."""
        used = self.used(rest, tasks)
        labels = (one for one, use in zip(self.transients.labels, used) if use)
        return tuple(dict.fromkeys(labels))


@dataclass(frozen=True)
class _Courses:
    """Courses over all transients of a scan, by name where they are contrasts."""

    contrasts: dict[str, np.ndarray]
    widths: np.ndarray
    drifts: np.ndarray


def scans_of_unit(
    scans: Sequence[Measured], rest: str, tasks: Sequence[str], options: FitOptions
) -> tuple[list[ScanOfUnit], tuple[str, ...]]:
    """Scans for the fit, and the contrasts that are columns of their courses.

    Raises
    ------
    DataError
        A scan has no transient of the unit's conditions, or its design cannot be made.
    """
    found = [_courses(scan, rest, tasks, options) for scan in scans]
    names = tuple(dict.fromkeys(name for one in found for name in one.contrasts))
    # Tasks first, in the order of the unit.
    names = tuple(sorted(names, key=lambda name: (name not in tasks, _place(name, tasks))))
    made = []
    for scan, one in zip(scans, found):
        used = scan.used(rest, tasks)
        none = np.zeros(len(used))
        courses = np.column_stack([one.contrasts.get(name, none) for name in names])
        nuisance = None if scan.nuisance is None else scan.nuisance.matrix[used]
        made.append(
            ScanOfUnit(
                scan.transients.fids.select(used),
                scan.basis,
                courses[used],
                one.widths[used],
                one.drifts[used],
                np.flatnonzero(used),
                nuisance,
            )
        )
    return made, names


def _place(name: str, tasks: Sequence[str]) -> int:
    return list(tasks).index(name) if name in tasks else 0


def _courses(scan: Measured, rest: str, tasks: Sequence[str], options: FitOptions) -> _Courses:
    labels, timing = scan.transients.labels, scan.timing
    here = scan.conditions(rest, tasks)
    # A whole scan of a task: no table of its own can hold that beside a constant.
    whole = {
        task: np.array([one == task for one in labels], float) for task in here if task != rest
    }
    regressor, nested = options.joint_linewidth_regressor, options.joint_linewidth_events
    if scan.given is not None:
        design, width = scan.given
        own = whole if len(here) == 1 else {}
    elif len(here) > 1:
        shape, order = options.joint_shape, options.joint_drift_order
        design = Design((CONSTANT,), np.ones((len(labels), 1)))
        if rest in here:
            design = condition_design(labels, rest, timing, shape, order, options.joint_fir_s)
        else:
            order = _order(np.column_stack([*whole.values()]), timing, order)
            design = _with_drifts(design, timing.drifts(order))
        width = linewidth_design(
            labels, rest if rest in here else here[0], timing, regressor, nested
        )
        own = {} if rest in here else whole
    else:
        order = _order(np.zeros((len(labels), 1)), timing, options.joint_drift_order)
        design = _with_drifts(Design((CONSTANT,), np.ones((len(labels), 1))), timing.drifts(order))
        width, own = Design(("drift_1",), timing.drifts(1)), whole
    widths = width.matrix[:, :0] if options.joint_linewidth == "none" else width.matrix
    drifts = [name not in (CONSTANT, *design.contrasts) for name in design.names]
    contrasts = {name: design.matrix[:, design.names.index(name)] for name in design.contrasts}
    return _Courses(contrasts | own, widths, design.matrix[:, drifts])


def _order(courses: np.ndarray, timing: Timing, order: int) -> int:
    return best_drift(courses, timing) if order == CHOSEN else order


def _with_drifts(design: Design, drifts: np.ndarray) -> Design:
    names = tuple(f"drift_{order}" for order in range(1, drifts.shape[1] + 1))
    return Design((*design.names, *names), np.column_stack([design.matrix, drifts]), drifts=names)


def unheeded(
    scans: Sequence[Measured], rest: str, tasks: Sequence[str], options: FitOptions
) -> Iterator[str]:
    """Settings of the fit that have no effect on these scans, as sentences."""
    several = any(len(scan.conditions(rest, tasks)) > 1 for scan in scans)
    if options.joint_rest and options.joint_rest != rest:
        yield (
            f"joint_rest: {options.joint_rest} has no effect on the joint fit of several scans: "
            f"their changes refer to {rest}"
        )
    if options.joint_linewidth != "free":
        yield (
            f"joint_linewidth: {options.joint_linewidth} has no effect between scans: each has a "
            "width of its own"
            + (", and a free course within" if options.joint_linewidth == "fixed" else "")
        )
    if options.joint_linewidth_water and any(scan.water for scan in scans):
        yield (
            "joint_linewidth_water has no effect on the joint fit of several scans: its widths do "
            "without that of the water measured between the transients"
        )
    if several:
        if options.joint_shapes:
            yield (
                "joint_shapes has no effect on several scans: their change is told without a "
                "plateau under other shapes of the response"
            )
        return
    idle = [
        f"joint_regressor: {options.joint_regressor}" if options.joint_shape != BOXCAR else "",
        "joint_linewidth_events" if options.joint_linewidth_events else "",
        "joint_nuisance" if any(scan.nuisance is not None for scan in scans) else "",
    ]
    for setting in filter(None, idle):
        yield (
            f"{setting} has no effect: no scan of the unit holds two conditions, and a course "
            "within a scan tells nothing of how scans differ"
        )

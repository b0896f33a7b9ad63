"""Design matrices of the joint fit: what amplitudes and linewidths may do over the transients."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.shapes import ROUNDING_S, Shape

CONSTANT = "constant"
NUISANCE = re.compile(r"(drift|cosine)(?![A-Za-z])")
"""Columns of a given design whose name begins so are no contrast (`drift_1` of nilearn, `cosine00`
of fMRIPrep); `drifting_grating` is one."""

LINEWIDTH = "linewidth_"
"""Columns of a given design that belong to the linewidth begin so."""

BOXCAR, FIR = "boxcar", "fir"

_COMBINATION = re.compile(r"(\S+)\s*=\s*(mean|sum)\s+(\S.*)")

LEAST_FIR_S = 16.0
"""Least time after an onset that `fir` covers: the response to a brief event is over by then."""

CHOSEN = -1
"""Order of a drift that the design chooses (`best_drift`)."""

DEPENDENT = 1e-7
"""Share of a column that the columns before it leave, below which it counts as one of theirs."""

DRIFT_COST = 0.05
"""Share by which a quadratic drift may make the error of a response larger."""


@dataclass(frozen=True)
class Design:
    """Regressors over transients.

    Attributes
    ----------
    names : tuple of str
    matrix : array (n_transients, n_columns)
    combinations : mapping of str to array (n_columns,)
        Sums and means of contrasts by name (`combined`): the weight of each column.
    drifts : tuple of str or None
        Columns that are no contrast beside the constant; None: those that `NUISANCE` names.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    combinations: Mapping[str, np.ndarray] = field(default_factory=dict)
    drifts: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.matrix.ndim != 2 or self.matrix.shape[1] != len(self.names):
            raise ValueError(
                f"design of shape {self.matrix.shape} with {len(self.names)} column names"
            )

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Columns that are neither the constant nor a drift."""
        drifts = self.drifts
        if drifts is None:
            drifts = tuple(name for name in self.names if NUISANCE.match(name))
        return tuple(name for name in self.names if name not in (CONSTANT, *drifts))

    @property
    def reported(self) -> dict[str, np.ndarray]:
        """Weight of each column in each change that is told: contrasts, then combinations."""
        own = {name: np.array([name == n for n in self.names], float) for name in self.contrasts}
        return own | dict(self.combinations)

    def select(self, rows) -> Design:
        """The rows of these transients."""
        return replace(self, matrix=self.matrix[rows])

    @property
    def moving(self) -> Design:
        """The columns that vary."""
        there = np.array([not _still(column) for column in self.matrix.T], bool)
        names = tuple(name for name, one in zip(self.names, there) if one)
        return Design(names, self.matrix[:, there])


@dataclass(frozen=True)
class Timing:
    """When transients were excited and events took place, s on one clock.

    Attributes
    ----------
    time_s : array (n_transients,)
        Times of excitation, in their order; steps may differ.
    events : sequence of mapping
        `onset`, `duration`, `trial_type` (events.events_of).
    within_s : array (n_excitations,)
        Times of the excitations that a transient is the mean of, from its own.
    """

    time_s: np.ndarray
    events: Sequence[Mapping]
    within_s: np.ndarray = field(default_factory=lambda: np.zeros(1))

    @classmethod
    def of_labels(cls, labels: Sequence[str | None], time_s: np.ndarray) -> Timing:
        """An event for each run of a condition, up to the next transient."""
        timing = cls(np.asarray(time_s, float), ())
        edges = [j for j in range(1, len(labels)) if labels[j] != labels[j - 1]]
        times = [*timing.time_s, timing.time_s[-1] + timing.step_s]
        events = [
            {"onset": times[j], "duration": times[end] - times[j], "trial_type": labels[j]}
            for j, end in zip([0, *edges], [*edges, len(labels)])
            if labels[j] is not None
        ]
        return replace(timing, events=events)

    def spans(self, *names: str) -> list[tuple[float, float]]:
        """(onset, duration) of the events of these trial types."""
        return [(e["onset"], e["duration"]) for e in self.events if e["trial_type"] in names]

    def course(self, shape: str, *names: str) -> np.ndarray:
        """Response to the events of these trial types in a shape, mean over the excitations of each
        transient, (n_transients,)."""
        excited = self.time_s[:, None] + self.within_s
        found = Shape.named(shape).course(self.spans(*names), excited.ravel())
        return found.reshape(excited.shape).mean(axis=1)

    @property
    def step_s(self) -> float:
        """Usual time from one transient to the next; 0 where there is no other."""
        return float(np.median(np.diff(self.time_s))) if len(self.time_s) > 1 else 0.0

    def drifts(self, order: int) -> np.ndarray:
        """Legendre polynomials over the scan, of mean zero, (n_transients, order)."""
        time = self.time_s - self.time_s[0]
        x = 2 * time / max(time[-1], np.finfo(float).tiny) - 1
        columns = np.polynomial.legendre.legvander(x, order)[:, 1:]
        return columns - columns.mean(axis=0)


def condition_design(
    labels: Sequence[str | None],
    rest: str,
    timing: Timing | float | None = None,
    shape: str = BOXCAR,
    drift_order: int = 1,
    fir_s: float = 0.0,
) -> Design:
    """Constant, a response for each condition but rest, polynomial drift.

    Parameters
    ----------
    labels : sequence of str or None
        Condition of each transient, in the order of acquisition; None counts as rest here.
    rest : str
        The condition that percent changes refer to.
    timing : Timing or float, optional
        Events and times of excitation; a TR (s) where runs of labels are the events. A boxcar
        needs neither: its drift goes by the order of the transients.
    shape : str
        `boxcar` is 1 where the label says so: its change is the observed difference of task and
        rest. Other shapes (`shapes.Shape.named`) have a plateau of 1 and follow the events. `fir`
        has a column for each step between transients after an onset.
    drift_order : int
        Legendre polynomials over the scan, of mean zero; CHOSEN: `best_drift`.
    fir_s : float
        Window of `fir` after an onset, s; 0: the longest event, at least LEAST_FIR_S.

    Raises
    ------
    DataError
        Only one condition, or one with the name of another column.
    """
    tasks = [name for name in dict.fromkeys(labels) if name is not None and name != rest]
    if not tasks or rest not in labels:
        raise DataError(
            f"one condition only ({', '.join(tasks) or rest}): there is no contrast to fit"
        )
    timing = _timing(labels, timing, shape)
    names, columns = [], []
    for task in tasks:
        if shape == FIR:
            found = _fir(timing.spans(task), timing, fir_s)
            names += [f"{task}_{delay:g}s" for delay in found]
            columns += found.values()
        else:
            names.append(task)
            columns.append(_course(shape, labels, (task,), timing))
    if drift_order == CHOSEN:
        drift_order = best_drift(np.stack(columns, axis=1), timing)
    drifts = tuple(f"drift_{order}" for order in range(1, drift_order + 1))
    check_free(names, drifts)
    return Design(
        (CONSTANT, *names, *drifts),
        np.column_stack([np.ones(len(labels)), *columns, timing.drifts(drift_order)]),
        drifts=drifts,
    )


def check_free(names: Sequence[str], drifts: Sequence[str] = ()) -> None:
    """Refuse conditions that are called as another column of their design.

    Raises
    ------
    DataError
        With their names.
    """
    if taken := [name for name in names if name in (CONSTANT, *drifts)]:
        raise DataError(
            f"condition {', '.join(taken)} has the name of another column of the design: rename it "
            "in the events or the column condition"
        )


def linewidth_design(
    labels: Sequence[str | None],
    rest: str,
    timing: Timing | float | None = None,
    shape: str = BOXCAR,
    nested: Sequence[str] = (),
) -> Design:
    """One regressor of the BOLD response for all conditions but rest together, and a linear drift:
    the shim wanders, and what is not in the model of the width stands in the amplitudes.

    `nested` names the trial types that it follows in place of the conditions; they may lie within
    other events (a block of metabolites with pauses between its stimuli).

    Raises
    ------
    DataError
        No event of a trial type of `nested`.
    """
    timing = _timing(labels, timing, shape)
    if nested:
        for name in nested:
            if not timing.spans(name):
                raise DataError(f"no event of trial type {name} (setting joint_linewidth_events)")
        column = timing.course(shape, *nested)
    else:
        tasks = tuple({name for name in labels if name is not None and name != rest})
        column = _course(shape, labels, tasks, timing)
    return Design(("bold", "drift_1"), np.column_stack([column, timing.drifts(1)]))


def _timing(labels: Sequence[str | None], timing: Timing | float | None, shape: str) -> Timing:
    if isinstance(timing, Timing):
        return timing
    if timing is None and shape != BOXCAR:
        raise ValueError(f"response {shape} needs the times of the transients: give their TR")
    return Timing.of_labels(labels, (timing or 1.0) * np.arange(len(labels)))


def best_drift(courses: np.ndarray, timing: Timing) -> int:
    """Order of the drift: 2, or 1 where that makes the standard error of a response larger by more
    than `DRIFT_COST`; `courses` (n_transients, n_responses)."""

    def errors(order):
        """Standard errors of the responses, in units of the noise."""
        design = np.column_stack([courses, np.ones(len(courses)), timing.drifts(order)])
        inverse = np.linalg.pinv(design.T @ design, hermitian=True)
        return np.sqrt(np.diag(inverse)[: courses.shape[1]])

    return 2 if np.all(errors(2) <= (1 + DRIFT_COST) * errors(1)) else 1


def _course(
    shape: str, labels: Sequence[str | None], tasks: Sequence[str], timing: Timing
) -> np.ndarray:
    if shape == BOXCAR:
        return np.array([label in tasks for label in labels], float)
    return timing.course(shape, *tasks)


def _fir(spans: Sequence[tuple[float, float]], timing: Timing, window_s: float):
    """Delay after an onset -> its column, for steps as long as those between transients."""
    step = timing.step_s
    window = window_s or max(LEAST_FIR_S, *(duration for _, duration in spans))
    found = {}
    for k in range(max(1, int(np.ceil(window / step - ROUNDING_S)))):
        column = np.zeros(len(timing.time_s))
        for onset, _ in spans:
            since = timing.time_s - onset + ROUNDING_S
            column += (since >= k * step) & (since < (k + 1) * step)
        if column.any():
            found[k * step] = column
    return found


def given_design(rows: list[dict[str, str]], n_transients: int) -> tuple[Design, Design | None]:
    """Amplitude and linewidth design from the rows of a TSV (for example of nilearn's).

    Raises
    ------
    DataError
        Other number of rows than transients, no column `constant`, a cell that is no number, or
        columns that depend on each other.
    """
    if len(rows) != n_transients:
        raise DataError(
            f"the design matrix has {len(rows)} rows, the scan {n_transients} transients: one row "
            "a transient is needed, rejected ones included"
        )
    names = list(rows[0])
    try:
        matrix = np.array([[float(row[name]) for name in names] for row in rows])
    except ValueError as error:
        raise DataError(f"the design matrix holds a cell that is no number: {error}") from None
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise DataError(
            f"the design matrix holds {matrix[row, column]} in column {names[column]}, line "
            f"{row + 2}: no number"
        )
    widths = [name.startswith(LINEWIDTH) for name in names]
    chosen = np.array(widths)
    amplitude = Design(tuple(n for n, w in zip(names, widths) if not w), matrix[:, ~chosen])
    if CONSTANT not in amplitude.names:
        raise DataError(f"the design matrix has no column {CONSTANT}; it has {', '.join(names)}")
    check_columns("columns of the design matrix", amplitude)
    if not chosen.any():
        return amplitude, None
    return amplitude, Design(tuple(n for n, w in zip(names, widths) if w), matrix[:, chosen])


def width_of_contrasts(design: Design, timing: Timing) -> Design:
    """Linewidth design of a scan without events: the sum of the contrasts of a given design, and a
    linear drift."""
    contrasts = [design.names.index(name) for name in design.contrasts]
    column = design.matrix[:, contrasts].sum(axis=1)
    return Design(("bold", "drift_1"), np.column_stack([column, timing.drifts(1)]))


def combined(design: Design, texts: Sequence[str]) -> Design:
    """A design with sums and means of its contrasts.

    Parameters
    ----------
    texts : sequence of str
        `late = mean task_8s task_12s` or `all = sum a_*`: a name, what is done, contrasts (`*`
        stands for anything).

    Raises
    ------
    DataError
        Another form, a name that is taken, or no such contrast.
    """
    found = {}
    for text in texts:
        match = _COMBINATION.fullmatch(text.strip())
        if not match:
            raise DataError(
                f"joint_contrasts: {text!r} is not of the form `late = mean task_8s task_12s` or "
                "`all = sum a b`"
            )
        name, how, members = match.groups()
        if name in design.names or name in found:
            raise DataError(f"joint_contrasts: {name} is the name of a regressor or combination")
        chosen = np.zeros(len(design.names))
        for member in members.split():
            own = [one for one in design.contrasts if fnmatchcase(one, member)]
            if not own:
                raise DataError(
                    f"joint_contrasts: no contrast {member} in {', '.join(design.contrasts)}"
                )
            chosen[[design.names.index(one) for one in own]] = 1.0
        found[name] = chosen / chosen.sum() if how == "mean" else chosen
    return replace(design, combinations=found)


def check(
    fids: Fids, design: Design, linewidth: Design | None, nuisance: Design | None = None
) -> None:
    """Refuse what cannot be fitted together.

    Raises
    ------
    ValueError
        A design of another number of rows than there are transients.
    DataError
        No constant, too few transients, regressors that no transient samples or that depend on
        each other, NaN.
    """
    for one in (design, linewidth, nuisance):
        if one is not None and len(one.matrix) != fids.n_transients:
            raise ValueError(f"design of {len(one.matrix)} rows for {fids.n_transients} transients")
    if CONSTANT not in design.names:
        raise DataError(f"the design has no column {CONSTANT}; it has {', '.join(design.names)}")
    constant = design.matrix[:, design.names.index(CONSTANT)]
    if np.ptp(constant) or not constant.any():
        raise DataError(f"column {CONSTANT} of the design is zero or no constant")
    if fids.n_transients < design.matrix.shape[1] + 2:
        raise DataError(
            f"{fids.n_transients} transients for {design.matrix.shape[1]} regressors: at least two "
            "more transients than regressors are needed"
        )
    check_courses(design, linewidth, nuisance)
    if not np.isfinite(fids.data).all():
        raise DataError("a transient holds NaN or infinite values")


def check_courses(design: Design, linewidth: Design | None, nuisance: Design | None) -> None:
    """Refuse regressors that do not vary, or depend on each other, over the transients kept.

    Raises
    ------
    DataError
        With the name of each.
    """
    check_columns("regressors", design)
    # Nuisance moves the width beside the regressors of that.
    check_columns("regressors of the linewidth", *(one for one in (linewidth, nuisance) if one))


def _still(column: np.ndarray) -> bool:
    """Whether a column is one value, up to rounding."""
    return not np.linalg.norm(column - column.mean()) > DEPENDENT * np.linalg.norm(column)


def check_columns(what: str, *designs: Design) -> None:
    """Refuse columns, the constant aside, that are one in every transient or that follow from the
    constant and those before them.

    Raises
    ------
    DataError
        With the name of each.
    """
    names = [name for one in designs for name in one.names]
    columns = [column for one in designs for column in one.matrix.T]
    basis = np.ones((len(columns[0]), 1)) if columns else np.ones((0, 1))
    still, others = [], []
    for name, column in zip(names, columns):
        if name == CONSTANT:
            continue
        if _still(column):
            still.append(name)
            continue
        centred = column - column.mean()
        size = np.linalg.norm(centred)
        q = np.linalg.qr(basis)[0]
        left = centred / size - q @ (q.T @ centred) / size
        if np.linalg.norm(left) < DEPENDENT:
            others.append(name)
            continue
        basis = np.column_stack([basis, centred / size])
    said = []
    if still:
        said.append(
            f"{', '.join(still)}: the same in each transient (no transient kept samples what it "
            "stands for, or all do)"
        )
    if others:
        said.append(f"{', '.join(others)}: given by those before, they depend on each other")
    if said:
        raise DataError(f"{what} {', '.join(names)}: not to be told apart: {'; '.join(said)}")

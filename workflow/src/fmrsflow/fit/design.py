"""Design matrices of the joint fit: what amplitudes and linewidths may do over the transients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.haemodynamics import kernel

CONSTANT = "constant"
NUISANCE = ("drift", "cosine")
"""Columns whose name begins so are no contrast (nilearn names its drift columns like this)."""

LINEWIDTH = "linewidth_"
"""Columns of a given design that belong to the linewidth begin so."""

FINE_S = 0.1
"""Grid on which regressors are convolved with the haemodynamic response."""


@dataclass(frozen=True)
class Design:
    """Regressors over transients.

    Attributes
    ----------
    names : tuple of str
    matrix : array (n_transients, n_columns)
    """

    names: tuple[str, ...]
    matrix: np.ndarray

    def __post_init__(self):
        if self.matrix.ndim != 2 or self.matrix.shape[1] != len(self.names):
            raise ValueError(
                f"design of shape {self.matrix.shape} with {len(self.names)} column names"
            )

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Columns that are neither the constant nor a drift."""
        return tuple(n for n in self.names if n != CONSTANT and not n.startswith(NUISANCE))

    def select(self, rows) -> Design:
        """The rows of these transients."""
        return Design(self.names, self.matrix[rows])


def condition_design(
    labels: Sequence[str | None],
    rest: str,
    tr_s: float = 1.0,
    regressor: str = "boxcar",
    drift_order: int = 1,
) -> Design:
    """Constant, a response for each condition but rest, polynomial drift.

    Parameters
    ----------
    labels : sequence of str or None
        Condition of each transient, in the order of acquisition; None counts as rest here.
    rest : str
        The condition that percent changes refer to.
    tr_s : float
        For `hrf`.
    regressor : "boxcar", "hrf" or "fir"
        `hrf` has a plateau of 1; `fir` has a column per transient after each onset, up to the
        longest block.
    drift_order : int
        Legendre polynomials over the scan, of mean zero.

    Raises
    ------
    DataError
        Only one condition.
    """
    tasks = [name for name in dict.fromkeys(labels) if name is not None and name != rest]
    if not tasks or rest not in labels:
        raise DataError(
            f"one condition only ({', '.join(tasks) or rest}): there is no contrast to fit"
        )
    n = len(labels)
    names, columns = [CONSTANT], [np.ones(n)]
    for task in tasks:
        box = np.array([label == task for label in labels], float)
        if regressor == "fir":
            for delay, column in enumerate(_fir(box)):
                names.append(f"{task}_{delay}")
                columns.append(column)
        else:
            names.append(task)
            columns.append(convolved(box, tr_s) if regressor == "hrf" else box)
    x = np.linspace(-1, 1, n)
    for order in range(1, drift_order + 1):
        names.append(f"drift_{order}")
        column = np.polynomial.legendre.Legendre.basis(order)(x)
        columns.append(column - column.mean())
    return Design(tuple(names), np.stack(columns, axis=1))


def linewidth_design(
    labels: Sequence[str | None], rest: str, tr_s: float = 1.0, regressor: str = "boxcar"
) -> Design:
    """One regressor of the BOLD response for all conditions but rest together, and a linear drift:
    the shim wanders, and what is not in the model of the width stands in the amplitudes."""
    box = np.array([label is not None and label != rest for label in labels], float)
    column = convolved(box, tr_s) if regressor == "hrf" else box
    drift = np.linspace(-1, 1, len(labels)) if len(labels) > 1 else np.zeros(len(labels))
    return Design(("bold", "drift_1"), np.stack([column, drift], axis=1))


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
    if np.linalg.matrix_rank(amplitude.matrix) < len(amplitude.names):
        raise DataError("columns of the design matrix depend on each other: take one out")
    if not chosen.any():
        return amplitude, None
    return amplitude, Design(tuple(n for n, w in zip(names, widths) if w), matrix[:, chosen])


def convolved(box: np.ndarray, tr_s: float) -> np.ndarray:
    """A boxcar over transients convolved with the haemodynamic response; a long block reaches 1."""
    repeat = max(1, int(round(tr_s / FINE_S)))
    fine = np.convolve(np.repeat(box, repeat), kernel(FINE_S, first_s=FINE_S / 2))
    return fine[: len(box) * repeat : repeat]


def _fir(box: np.ndarray) -> list[np.ndarray]:
    """A column for each delay after the onset of a block."""
    since = np.full(len(box), -1)
    for j in np.flatnonzero(box):
        since[j] = since[j - 1] + 1 if j and box[j - 1] else 0
    return [(since == delay).astype(float) for delay in range(since.max() + 1)]


def check(fids: Fids, design: Design, linewidth: Design | None) -> None:
    """Refuse what cannot be fitted together.

    Raises
    ------
    ValueError
        A design of another number of rows than there are transients.
    DataError
        No constant, too few transients, regressors that depend on each other, NaN.
    """
    for one in (design, linewidth):
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
    if np.linalg.matrix_rank(design.matrix) < design.matrix.shape[1]:
        raise DataError(
            f"regressors {', '.join(design.names)} depend on each other over the transients kept"
        )
    if linewidth is not None:
        both = np.column_stack([np.ones(len(linewidth.matrix)), linewidth.matrix])
        if np.linalg.matrix_rank(both) < both.shape[1]:
            raise DataError(
                f"regressors of the linewidth, {', '.join(linewidth.names)}, depend on each other "
                "over the transients kept"
            )
    if not np.isfinite(fids.data).all():
        raise DataError("a transient holds NaN or infinite values")

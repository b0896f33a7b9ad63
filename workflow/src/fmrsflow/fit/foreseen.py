"""What a design can show of a response, from its events alone (docs/science.md#shapes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.fit.design import Timing
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.plateaus import readings
from fmrsflow.fit.scan import shape_designs
from fmrsflow.question import LEAST_READ


def length_of(events: Sequence[Mapping], tr_s: float) -> int:
    """Transients of a scan that ends with the usual pause behind its last event."""
    spans = sorted((row["onset"], row["onset"] + row["duration"]) for row in events)
    pauses = [max(b[0] - a[1], 0.0) for a, b in zip(spans, spans[1:])] or [spans[0][0]]
    return int(np.ceil((spans[-1][1] + np.median(pauses)) / tr_s - 1e-6))


def foreseen(
    labels: Sequence[str | None], timing: Timing, options: FitOptions
) -> dict[str, dict[str, tuple[float, float]]]:
    """Task -> shape of the response -> share of its plateau that task less rest holds, and how much
    larger the standard error of the plateau is.

    Raises
    ------
    DataError
        One condition only.
    """
    designs = shape_designs(labels, timing, options)
    if not designs:
        raise DataError("one condition only: there is no contrast to fit")
    box, *others = designs.values()
    found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in box.contrasts}
    for shape, design in zip(list(designs)[1:], others):
        for task, *numbers in zip(box.contrasts, *readings(box, design)):
            found[task][shape] = tuple(float(one) for one in numbers)
    return found


def words(shapes: Mapping[str, tuple[float, float]]) -> str:
    """A sentence on what a design shows of a task's plateau."""
    parts = ", ".join(
        f"{reads:.2f} ({name.replace('_', ' ')})" for name, (reads, _) in shapes.items()
    )
    said = f"task less rest holds {parts} of a plateau of 1 by the response's shape"
    if shapes["hrf"][0] < LEAST_READ:
        said += "; no plateau will be stated, only the difference: blocks are short or rests are"
    return said

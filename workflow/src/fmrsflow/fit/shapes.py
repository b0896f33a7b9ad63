"""Shapes of a response to events (docs/science.md#shapes).

A shape is known by its step response: what it does after a stimulation begins that never ends, from
0 before to 1 at last. The response to an event is the step at its onset less the step at its end,
and events add up, so that a regressor is exact at any time of excitation: an event between two
excitations counts for those after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fmrsflow import haemodynamics

KINDS = ("boxcar", "hrf", "trapezoid", "exponential")

TIMED = ("trapezoid", "exponential")
"""Shapes with a time of their own."""

ROUNDING_S = 1e-6
"""Times of excitation are products of TR and carry rounding; onsets in a sheet do not."""

_NAME = re.compile(r"(boxcar|hrf|trapezoid|exponential)(?:_([\d.]+)s)?(?:_delay_([\d.]+)s)?")


@dataclass(frozen=True)
class Shape:
    """A shape of the response.

    Attributes
    ----------
    kind : one of KINDS
        At rest 0, under long stimulation 1: at once (`boxcar`), like the BOLD signal (`hrf`,
        haemodynamics.py), in a straight line (`trapezoid`), or as 1 - exp(-t / tau)
        (`exponential`); the way back is the same.
    rise_s : float
        Of a trapezoid the time of its way up, of an exponential tau.
    delay_s : float
        All of it comes so much later.

    Examples
    --------
    >>> Shape.named("exponential_30s_delay_2s")
    Shape(kind='exponential', rise_s=30.0, delay_s=2.0)
    >>> Shape("exponential", 30.0, 2.0).name
    'exponential_30s_delay_2s'
    """

    kind: str
    rise_s: float = 0.0
    delay_s: float = 0.0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"shape {self.kind!r}; allowed: {', '.join(KINDS)}")
        if (self.kind in TIMED) != (self.rise_s > 0) or not self.delay_s >= 0:
            raise ValueError(
                f"shape {self.kind} with a time of {self.rise_s:g} s and a delay of "
                f"{self.delay_s:g} s: {' and '.join(TIMED)} have a time above 0, the others none"
            )

    @classmethod
    def named(cls, name: str) -> Shape:
        """The shape of a name such as `hrf`, `trapezoid_8s` or `exponential_30s_delay_2s`.

        Raises
        ------
        ValueError
            No such name.
        """
        match = _NAME.fullmatch(name)
        if not match:
            raise ValueError(
                f"response shape {name!r}; write boxcar, hrf, trapezoid_8s or exponential_30s, "
                "with _delay_2s behind it where it comes later"
            )
        kind, rise, delay = match.groups()
        return cls(kind, float(rise or 0.0), float(delay or 0.0))

    @property
    def name(self) -> str:
        """As in settings and tables."""
        rise = f"_{self.rise_s:g}s" if self.rise_s else ""
        return self.kind + rise + (f"_delay_{self.delay_s:g}s" if self.delay_s else "")

    def step(self, time_s: np.ndarray) -> np.ndarray:
        """Response at times after the onset of a stimulation without end."""
        later = np.asarray(time_s, float) - self.delay_s
        if self.kind == "boxcar":
            return (later >= -ROUNDING_S).astype(float)
        later = np.maximum(later, 0.0)
        if self.kind == "hrf":
            return haemodynamics.step_response(later)
        if self.kind == "trapezoid":
            return np.minimum(later / self.rise_s, 1.0)
        return -np.expm1(-later / self.rise_s)

    def course(self, spans: Iterable[tuple[float, float]], time_s: np.ndarray) -> np.ndarray:
        """Response to events at times of excitation.

        Parameters
        ----------
        spans : iterable of (onset, duration)
            In s, on the clock of `time_s`.
        time_s : array (n,)

        Examples
        --------
        >>> Shape("trapezoid", 4.0).course([(0.0, 8.0)], np.arange(0.0, 16.0, 2.0))
        array([0. , 0.5, 1. , 1. , 1. , 0.5, 0. , 0. ])
        """
        course = np.zeros(len(time_s))
        for onset, duration in spans:
            course += self.step(time_s - onset) - self.step(time_s - onset - duration)
        return course

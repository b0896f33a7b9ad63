"""Sequences as lists of pulses and delays, without regard to how a pulse is simulated."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fmrsflow.errors import DataError

PRESS_TE1_S = {"Siemens": 0.0164, "Philips": 0.0163, "GE": 0.0165}
"""First echo time of PRESS where the site gives none, s; docs/basis.md#first-echo-time says why."""

OTHER_PRESS_TE1_S = {"Siemens": 0.0125, "Philips": 0.0148, "GE": 0.0147}
"""The second reasonable one, s."""

TE1_APART_S = 0.001
"""Two first echo times nearer than this are one choice."""

DELAY_TOLERANCE_S = 1e-4
"""What given delays may differ from an echo time, s: they are rounded to this."""

STEAM_TM_S = 0.010
"""Mixing time of STEAM where the site gives none, s (10 ms on Siemens and in LCModel bases)."""


@dataclass(frozen=True)
class Delay:
    """Free precession, s."""

    duration_s: float


@dataclass(frozen=True)
class Pulse:
    """A pulse, and the coherence order that the gradients after it keep.

    Attributes
    ----------
    flip_deg : float
    keep : int or None
        Coherence order left after the crushers; None keeps all.
    axis : str
        Direction of its slice gradient; pulses of one axis act on the same position.
    shape : str
        ``hard`` (never shaped), ``excite``, ``refocus`` or ``adiabatic``: which pulse stands here
        when pulses are not ideal. Delays count from the middles of pulses.
    """

    flip_deg: float
    keep: int | None = None
    axis: str = ""
    shape: str = "hard"


@dataclass(frozen=True)
class Sequence:
    """Name, echo time (s), further times and the steps in their order."""

    name: str
    te_s: float
    steps: tuple[Delay | Pulse, ...]
    times: tuple[tuple[str, float], ...] = ()


def pulse_acquire() -> Sequence:
    """A 90 degree pulse, then acquisition."""
    return Sequence("pulse-acquire", 0.0, (Pulse(90, keep=-1),))


def press_te1_s(te_s: float, vendor: str = "Siemens") -> float:
    """First echo time (s) that is assumed: the vendor's, whatever the echo time (the second echo
    takes the rest), or half of a short echo time."""
    return min(PRESS_TE1_S.get(vendor, PRESS_TE1_S["Siemens"]), te_s / 2)


def other_press_te1_s(te_s: float, vendor: str = "Siemens") -> float:
    """The second reasonable first echo time (s); 2 ms shorter where half of the echo time makes
    both one."""
    own = press_te1_s(te_s, vendor)
    other = min(OTHER_PRESS_TE1_S.get(vendor, OTHER_PRESS_TE1_S["Siemens"]), te_s / 2)
    return other if abs(other - own) >= TE1_APART_S else own - 2 * TE1_APART_S


def press(te_s: float, te1_s: float | None = None) -> Sequence:
    """PRESS: 90 - TE1/2 - 180 - (TE1 + TE2)/2 - 180 - TE2/2, with TE = TE1 + TE2 (s)."""
    te1_s = press_te1_s(te_s) if te1_s is None else te1_s
    if not 0 < te1_s < te_s:
        raise DataError(
            f"TE1 of PRESS is {1e3 * te1_s:g} ms but TE is {1e3 * te_s:g} ms; "
            "TE1 must lie between 0 and TE: mend te1_s in sites.tsv"
        )
    steps = (
        Pulse(90, keep=+1),
        Delay(te1_s / 2),
        Pulse(180, keep=-1, axis="y", shape="refocus"),
        Delay(te_s / 2),
        Pulse(180, keep=+1, axis="z", shape="refocus"),
        Delay((te_s - te1_s) / 2),
    )
    return Sequence("PRESS", te_s, _detecting(steps), (("te1_s", te1_s),))


def slaser(te_s: float, delays_s: tuple[float, ...] | None = None) -> Sequence:
    """Semi-LASER: 90 and two pairs of adiabatic 180s.

    Parameters
    ----------
    te_s : float
    delays_s : five floats, optional
        Between the middles of the pulses, and from the last to the echo, s; by default TE/8, TE/4,
        TE/4, TE/4, TE/8.

    Raises
    ------
    DataError
        Delays that do not add up to TE or refocus no chemical shift.
    """
    given = delays_s is not None
    delays_s = delays_s or (te_s / 8, te_s / 4, te_s / 4, te_s / 4, te_s / 8)
    _check_delays(te_s, delays_s)
    steps: list[Delay | Pulse] = [Pulse(90, keep=+1)]
    for number, gap in enumerate(delays_s[:4]):
        keep = -1 if number % 2 == 0 else +1
        axis = "y" if number < 2 else "z"
        steps += [Delay(gap), Pulse(180, keep=keep, axis=axis, shape="adiabatic")]
    steps.append(Delay(delays_s[4]))
    times = tuple((f"delay{n}_s", gap) for n, gap in enumerate(delays_s, 1)) if given else ()
    return Sequence("sLASER", te_s, _detecting(tuple(steps)), times)


def _check_delays(te_s: float, delays_s: tuple[float, ...]) -> None:
    """Refuse delays of sLASER that make no echo at TE."""
    shown = " ".join(f"{1e3 * one:g}" for one in delays_s)
    if len(delays_s) != 5 or min(delays_s) <= 0:
        raise DataError(f"sLASER has five delays above 0, not {shown} ms: mend pulse_delays_s")
    if abs(sum(delays_s) - te_s) > DELAY_TOLERANCE_S:
        raise DataError(
            f"the delays {shown} ms of sLASER add up to {1e3 * sum(delays_s):g} ms, TE is "
            f"{1e3 * te_s:g} ms: mend pulse_delays_s or te_s"
        )
    rest = sum(delays_s[::2]) - sum(delays_s[1::2])
    if abs(rest) > DELAY_TOLERANCE_S:
        raise DataError(
            f"the delays {shown} ms of sLASER leave {1e3 * rest:g} ms of chemical shift at the "
            "echo (first - second + third - fourth + fifth must be 0): mend pulse_delays_s"
        )


def steam(te_s: float, tm_s: float | None = None) -> Sequence:
    """STEAM: 90 - TE/2 - 90 - TM - 90 - TE/2; crushers in TM keep coherence order zero, that is
    longitudinal magnetisation and zero-quantum coherence."""
    tm_s = STEAM_TM_S if tm_s is None else tm_s
    steps = (
        Pulse(90, keep=+1, axis="x", shape="excite"),
        Delay(te_s / 2),
        Pulse(90, keep=0, axis="y", shape="excite"),
        Delay(tm_s),
        Pulse(90, keep=-1, axis="z", shape="excite"),
        Delay(te_s / 2),
    )
    return Sequence("STEAM", te_s, steps, (("tm_s", tm_s),))


def special(te_s: float) -> Sequence:
    """SPECIAL: 90 - TE/2 - 180 - TE/2; the inversion before it, on in every other transient and
    subtracted, selects a slice and leaves nothing else behind."""
    steps = (
        Pulse(90, keep=+1),
        Delay(te_s / 2),
        Pulse(180, keep=-1, axis="z", shape="refocus"),
        Delay(te_s / 2),
    )
    return Sequence("SPECIAL", te_s, steps)


_ALIASES = {
    "press": "press",
    "svsse": "press",
    "probep": "press",
    "slaser": "slaser",
    "semilaser": "slaser",
    "svsslaser": "slaser",
    "steam": "steam",
    "svsst": "steam",
    "probes": "steam",
    "special": "special",
    "pulseacquire": "pulse_acquire",
    "fid": "pulse_acquire",
}


def sequence(
    name: str,
    te_s: float,
    te1_s: float | None = None,
    tm_s: float | None = None,
    delays_s: tuple[float, ...] | None = None,
    vendor: str = "Siemens",
) -> Sequence:
    """The sequence that a site's sheet names, whatever its spelling; times that it does not give
    are those assumed of its vendor.

    Raises
    ------
    DataError
        A sequence that is not simulated here, or impossible times.
    """
    kind = _ALIASES.get(re.sub(r"[^a-z]", "", name.lower()))
    if kind is None:
        raise DataError(
            f"sequence {name!r} is not simulated (PRESS, sLASER, STEAM, SPECIAL and pulse-acquire "
            "are): give a basis file in the basis setting (source: file)"
        )
    if kind == "pulse_acquire":
        return pulse_acquire()
    if not 0 < te_s < 1:
        raise DataError(f"echo time {te_s:g} s of {name}: te_s counts in seconds; mend sites.tsv")
    if kind == "press":
        return press(te_s, press_te1_s(te_s, vendor) if te1_s is None else te1_s)
    if kind == "slaser":
        return slaser(te_s, delays_s)
    return steam(te_s, tm_s) if kind == "steam" else special(te_s)


def _detecting(steps: tuple[Delay | Pulse, ...]) -> tuple[Delay | Pulse, ...]:
    """The steps with coherence orders turned so that the last pulse leaves the detected one, -1."""
    orders = [step.keep for step in steps if isinstance(step, Pulse)]
    if orders[-1] == -1:
        return steps
    return tuple(
        Pulse(step.flip_deg, -step.keep, step.axis, step.shape) if isinstance(step, Pulse) else step
        for step in steps
    )

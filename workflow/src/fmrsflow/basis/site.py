"""The basis of a site's protocol under a named setting; docs/basis.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fmrsflow.basis import systems
from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import read_basis
from fmrsflow.basis.pulses import ShapedPulse
from fmrsflow.basis.sequences import Sequence, other_press_te1_s, sequence
from fmrsflow.basis.shaped import PULSE_CENTRE_PPM
from fmrsflow.basis.simulate import shaped_pulses, with_macromolecules
from fmrsflow.constants import TE_TOLERANCE_S, same_field
from fmrsflow.errors import DataError
from fmrsflow.study import Site

DEFAULTS = {
    "source": "simulate",
    "path": "",
    "pulses": "shaped",
    "pulse_bandwidth_hz": 0.0,
    "mm": "separate",
    "metabolites": list(systems.METABOLITES),
    "n_points": 8192,
    "spectral_width_hz": 6000.0,
}
"""Setting `basis`, complete; docs/basis.md explains each key."""

ALLOWED = {
    "source": ("simulate", "file"),
    "pulses": ("shaped", "ideal"),
    "mm": ("separate", "single", "none", "as is"),
}
"""Values that a key of the setting may have."""


def complete(setting: Mapping) -> dict:
    """The setting with every key of `DEFAULTS`.

    Raises
    ------
    ValueError
        A value that does not exist.
    """
    found = DEFAULTS | setting
    for key, allowed in ALLOWED.items():
        if found[key] not in allowed:
            raise ValueError(f"basis setting {key}: {found[key]!r}; may be {', '.join(allowed)}")
    return found


def read_for(site: Site, path: Path, name: str) -> Basis:
    """A basis from a file or folder, checked against the site's protocol.

    Parameters
    ----------
    name : str
        What messages call the file.

    Raises
    ------
    DataError
        Unreadable, or of another field or echo time.
    """
    basis = read_basis(path)
    nominal = site.mhz
    if not same_field(basis.frequency_mhz, nominal):
        raise DataError(
            f"the basis {name} is for {basis.frequency_mhz:.2f} MHz, site {site.name} "
            f"has {site.field_t:g} T ({nominal:.2f} MHz): give a basis of that field"
        )
    if basis.te_s is not None and abs(basis.te_s - site.te_s) > TE_TOLERANCE_S:
        raise DataError(
            f"the basis {name} is for TE {1e3 * basis.te_s:g} ms, site {site.name} "
            f"measures at {1e3 * site.te_s:g} ms: give a basis of that echo time"
        )
    return replace(basis, te_s=site.te_s)


def request(site: Site, setting: Mapping) -> tuple:
    """Arguments of `simulate` for a site's protocol.

    Raises
    ------
    DataError
        A metabolite or a sequence that is not simulated.
    """
    unknown = sorted(set(setting["metabolites"]) - set(systems.METABOLITES))
    if unknown:
        raise DataError(
            f"basis setting metabolites: no spin system of {', '.join(unknown)}; "
            f"there are {', '.join(systems.METABOLITES)}"
        )
    steps = steps_of(site)
    return (
        steps,
        site.mhz,
        int(setting["n_points"]),
        float(setting["spectral_width_hz"]),
        tuple(setting["metabolites"]),
        pulses_of(steps, setting),
        site.spectral_width_hz,
    )


def steps_of(site: Site) -> Sequence:
    """The sequence of a site, times that its row does not give assumed.

    Raises
    ------
    DataError
        A sequence that is not simulated, or impossible times.
    """
    delays = _delays(site.pulse_delays_s) if site.pulse_delays_s else None
    return sequence(site.sequence, site.te_s, site.te1_s, site.tm_s, delays, site.vendor)


def pulses_of(steps: Sequence, setting: Mapping) -> dict[str, ShapedPulse] | None:
    """The shaped pulses of a setting for a sequence; None where they are ideal."""
    if setting["pulses"] == "ideal":
        return None
    return shaped_pulses(steps, setting["pulse_bandwidth_hz"] or None)


def _delays(text: str) -> tuple[float, ...]:
    """Delays of sLASER (s) as sites.tsv has them."""
    try:
        found = tuple(float(one) for one in text.replace(",", " ").split())
        if not all(map(math.isfinite, found)):
            raise ValueError
        return found
    except ValueError:
        raise DataError(
            f"pulse_delays_s is {text!r}: write five numbers of seconds with spaces between them"
        ) from None


def assumptions(site: Site, setting: Mapping) -> dict[str, str]:
    """What a simulated basis takes for granted of a site's scanner, by the column or setting that
    would say better; nothing where the basis comes from a file.

    Raises
    ------
    DataError
        A sequence that is not simulated, or impossible times.
    """
    if setting["source"] != "simulate":
        return {}
    steps = steps_of(site)
    times = dict(steps.times)
    found = {}
    if steps.name == "PRESS" and site.te1_s is None:
        found["te1_s"] = f"TE1 {1e3 * times['te1_s']:g} ms, as usual for {site.vendor}"
    if steps.name == "STEAM" and site.tm_s is None:
        found["tm_s"] = f"TM {1e3 * times['tm_s']:g} ms"
    if steps.name == "sLASER" and not times:
        found["pulse_delays_s"] = "delays TE/8, TE/4, TE/4, TE/4, TE/8"
    for pulse in (pulses_of(steps, setting) or {}).values():
        found["pulses"] = (
            f"{pulse.name} pulses of {pulse.bandwidth_hz / 1e3:.3g} kHz and "
            f"{1e3 * pulse.duration_s:.3g} ms at {PULSE_CENTRE_PPM:g} ppm"
        )
    return found


def alternatives(site: Site, setting: Mapping) -> list[Site]:
    """Sites whose basis is as reasonable as the site's own: rows with another value in place of
    one that was assumed. A fit with each shows what the assumption costs.

    PRESS whose TE1 is not given: the other TE1 of docs/basis.md#first-echo-time. None where the
    basis comes from a file.

    Raises
    ------
    DataError
        A sequence that is not simulated, or impossible times.
    """
    if "te1_s" not in assumptions(site, setting):
        return []
    return [replace(site, te1_s=other_press_te1_s(site.te_s, site.vendor))]


def finished(basis: Basis, site: Site, setting: Mapping) -> Basis:
    """The basis as it is fitted: without water, with the macromolecules of the setting, and with
    what was assumed of the site in `made`.

    Raises
    ------
    DataError
        It has no Glu.
    """
    broad = {"MM", *systems.MACROMOLECULES, *systems.LIPIDS}
    if setting["mm"] == "none":
        basis = basis.select([name for name in basis.names if name not in broad])
    elif setting["mm"] != "as is":
        basis = with_macromolecules(basis, setting["mm"])
    basis = basis.select([name for name in basis.names if name != "H2O"])
    basis.index("Glu")
    made = {"site": site.name, "field_t": site.field_t, "assumed": assumptions(site, setting)}
    return replace(basis, made={**basis.made, **made})

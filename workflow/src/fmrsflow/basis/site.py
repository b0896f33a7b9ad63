"""The basis of a site's protocol under a named setting; docs/basis.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fmrsflow.basis import systems
from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import read_basis, to_fsl, to_lcmodel
from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import shaped_pulses, with_macromolecules
from fmrsflow.constants import TE_TOLERANCE_S, same_field
from fmrsflow.errors import DataError
from fmrsflow.study import Site, spectrometer_mhz

DEFAULTS = {
    "source": "simulate",
    "path": "",
    "pulses": "ideal",
    "pulse_bandwidth_hz": 0.0,
    "mm": "separate",
    "metabolites": list(systems.METABOLITES),
    "n_points": 8192,
    "spectral_width_hz": 6000.0,
}
"""Setting `basis`, complete; docs/basis.md explains each key."""

ALLOWED = {
    "source": ("simulate", "file"),
    "pulses": ("ideal", "shaped"),
    "mm": ("separate", "single", "none", "as is"),
}
"""Values that a key of the setting may have."""

EXPORT_LINEWIDTH_HZ = 1.0
"""Lorentzian width of lines in exported files, Hz; other engines expect FIDs that decay."""


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
    nominal = spectrometer_mhz(site.vendor, site.field_t)
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
    steps = sequence(site.sequence, site.te_s, site.te1_s, site.tm_s)
    shaped = setting["pulses"] == "shaped"
    return (
        steps,
        spectrometer_mhz(site.vendor, site.field_t),
        int(setting["n_points"]),
        float(setting["spectral_width_hz"]),
        tuple(setting["metabolites"]),
        shaped_pulses(steps, setting["pulse_bandwidth_hz"] or None) if shaped else None,
        site.spectral_width_hz,
    )


def finished(basis: Basis, site: Site, mm: str) -> Basis:
    """The basis as it is fitted: without water, with the macromolecules of the setting.

    Raises
    ------
    DataError
        It has no Glu.
    """
    broad = {"MM", *systems.MACROMOLECULES, *systems.LIPIDS}
    if mm == "none":
        basis = basis.select([name for name in basis.names if name not in broad])
    elif mm != "as is":
        basis = with_macromolecules(basis, mm)
    basis = basis.select([name for name in basis.names if name != "H2O"])
    basis.index("Glu")
    return replace(basis, made={**basis.made, "site": site.name, "field_t": site.field_t})


def exported(basis: Basis, formats: list[str]) -> dict[str, str]:
    """Files of a basis for other engines (`lcmodel`, `fsl`): name to text."""
    decaying = basis.broadened(EXPORT_LINEWIDTH_HZ)
    found = {}
    if "lcmodel" in formats:
        found["lcmodel.basis"] = to_lcmodel(decaying)
    if "fsl" in formats:
        found |= {f"fsl/{name}": text for name, text in to_fsl(decaying).items()}
    return found

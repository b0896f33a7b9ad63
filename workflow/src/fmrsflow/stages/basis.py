"""Basis set of a site's protocol: read from a file or simulated."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from fmrsflow.basis import systems
from fmrsflow.basis.files import FIELD_TOLERANCE, Basis, to_npz
from fmrsflow.basis.formats import read_basis, to_fsl, to_lcmodel
from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import digest, shaped_pulses, simulate, with_macromolecules
from fmrsflow.errors import DataError
from fmrsflow.files import file_digest
from fmrsflow.results import Output, Results, Writer
from fmrsflow.study import Site, Study, spectrometer_mhz

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

TE_TOLERANCE_S = 0.002
"""Largest difference between the echo times of a basis file and of the site."""


EXPORT_LINEWIDTH_HZ = 1.0
"""Lorentzian width of lines in exported files, Hz; other engines expect FIDs that decay."""


def make(site: Site, setting: dict, data_root: Path, cache: Path | None = None) -> Basis:
    """The basis of a site under a setting (keys of `DEFAULTS`).

    Parameters
    ----------
    site, setting
    data_root : Path
        Folder that `path` of the setting is relative to.
    cache : Path, optional
        Folder of simulated bases, each under the digest of all that it depends on.

    Raises
    ------
    DataError
        Unreadable file, another field or echo time, no Glu, a metabolite or a sequence that is
        not simulated.
    ValueError
        A value of the setting that does not exist.
    """
    setting = DEFAULTS | setting
    for key, allowed in (
        ("source", ("simulate", "file")),
        ("pulses", ("ideal", "shaped")),
        ("mm", ("separate", "single", "none", "as is")),
    ):
        if setting[key] not in allowed:
            raise ValueError(f"basis setting {key}: {setting[key]!r}; may be {', '.join(allowed)}")
    if setting["source"] == "file":
        basis = _read(site, setting, data_root)
    else:
        basis = _run(site, setting, cache)
    broad = {"MM", *systems.MACROMOLECULES, *systems.LIPIDS}
    if setting["mm"] == "none":
        basis = basis.select([name for name in basis.names if name not in broad])
    elif setting["mm"] != "as is":
        basis = with_macromolecules(basis, setting["mm"])
    basis = basis.select([name for name in basis.names if name != "H2O"])
    basis.index("Glu")
    return replace(basis, made={**basis.made, "site": site.name, "field_t": site.field_t})


def _path(site: Site, setting: dict, data_root: Path) -> Path:
    """File or folder that the basis of a site is read from, below the data root."""
    if not setting["path"]:
        raise DataError("basis setting: source is file but no path is given")
    name = setting["path"].replace("{site}", site.name)
    path = Path(data_root) / name
    if not path.resolve().is_relative_to(Path(data_root).resolve()):
        raise DataError(f"basis {name} leads out of the data root; bring the file below data_root")
    return path


def _sources(site: Site, setting: dict, data_root: Path) -> dict[str, str]:
    """Digest of each file that the basis is read from, by its name below the data root."""
    if setting["source"] != "file":
        return {}
    path = _path(site, setting, data_root)
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    return {str(one.relative_to(data_root)): file_digest(one) for one in files}


def _read(site: Site, setting: dict, data_root: Path) -> Basis:
    path = _path(site, setting, data_root)
    name = path.relative_to(data_root)
    basis = read_basis(path)
    nominal = spectrometer_mhz(site.vendor, site.field_t)
    if abs(basis.frequency_mhz / nominal - 1) > FIELD_TOLERANCE:
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


def _run(site: Site, setting: dict, cache: Path | None) -> Basis:
    unknown = sorted(set(setting["metabolites"]) - set(systems.METABOLITES))
    if unknown:
        raise DataError(
            f"basis setting metabolites: no spin system of {', '.join(unknown)}; "
            f"there are {', '.join(systems.METABOLITES)}"
        )
    steps = sequence(site.sequence, site.te_s, site.te1_s, site.tm_s)
    shaped = setting["pulses"] == "shaped"
    request = (
        steps,
        spectrometer_mhz(site.vendor, site.field_t),
        int(setting["n_points"]),
        float(setting["spectral_width_hz"]),
        tuple(setting["metabolites"]),
        shaped_pulses(steps, setting["pulse_bandwidth_hz"] or None) if shaped else None,
        site.spectral_width_hz,
    )
    if cache is None:
        return simulate(*request)
    key = digest(*request)
    kept = Output("basis", cache, cache / f"{key}_record.json", key)
    if kept.exists:
        try:
            return kept.basis()
        except DataError:
            pass  # damaged or edited: made again below
    basis = simulate(*request)
    writer = Writer(kept, {}, {})
    writer.save("_basis.npz", to_npz(basis))
    writer.finish({"stage": "basis"}, {"made": basis.made})
    return basis


def exported(basis: Basis, formats: list[str]) -> dict[str, str]:
    """Files of a basis for other engines (`lcmodel`, `fsl`): name after the site's to text."""
    decaying = basis.broadened(EXPORT_LINEWIDTH_HZ)
    found = {}
    if "lcmodel" in formats:
        found[".basis"] = to_lcmodel(decaying)
    if "fsl" in formats:
        found |= {f"_fsl/{name}": text for name, text in to_fsl(decaying).items()}
    return found


def main(argv: list[str]) -> int:
    """Make the basis of sites under a named setting."""
    parser = argparse.ArgumentParser(prog="fmrsflow basis", description=main.__doc__)
    parser.add_argument("--study", default="results/study.json", help="the frozen study")
    parser.add_argument(
        "--export",
        action="append",
        choices=("lcmodel", "fsl"),
        default=[],
        help="write the basis for another engine too (may be given twice)",
    )
    parser.add_argument("name", help="named setting")
    parser.add_argument("sites", nargs="+")
    arguments = parser.parse_args(argv)
    study = Study.load(arguments.study)
    setting = DEFAULTS | study.setting("basis", arguments.name)
    results, cache = Results(study), study.results / "cache" / "basis"
    for site in arguments.sites:
        writer = Writer(results.basis({"basis": arguments.name}, site), study.software, {})
        record = {
            "stage": "basis",
            "scan": {"site": site},
            "status": "ok",
            "reason": None,
            "failed_at": None,
            "warnings": [],
            "settings": {"basis": {"name": arguments.name, **setting}},
        }
        body = {}
        try:
            if used := _sources(study.sites[site], setting, study.data_root):
                record["sources"] = used
            basis = make(study.sites[site], setting, study.data_root, cache)
        except DataError as error:
            record |= {"status": "failed", "reason": str(error), "failed_at": "basis"}
            print(f"{site}: basis: {error}", file=sys.stderr)
        else:
            body = {"made": basis.made}
            writer.save("_basis.npz", to_npz(basis))
            for name, text in exported(basis, arguments.export).items():
                writer.save(name, text.encode())
        writer.finish(record, body)
    return 0

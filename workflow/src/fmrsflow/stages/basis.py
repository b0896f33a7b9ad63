"""Basis set of a site's protocol: read from a file or simulated."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from fmrsflow.basis import systems
from fmrsflow.basis.files import Basis, to_npz
from fmrsflow.basis.formats import read_basis, to_fsl, to_lcmodel
from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import digest, shaped_pulses, simulate, with_macromolecules
from fmrsflow.batch import faults, run_jobs, stage_jobs, stage_main, stage_parser
from fmrsflow.constants import TE_TOLERANCE_S, same_field
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.results import Output, Writer
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
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(data_root)):
        raise Unreachable(
            f"basis {name} leads out of the data root; bring the file below data_root", path
        )
    return path


def _files(site: Site, setting: dict, data_root: Path) -> list[Path]:
    """Files that the basis is read from."""
    if setting["source"] != "file":
        return []
    path = _path(site, setting, data_root)
    return [path] if path.is_file() else sorted(path.glob("*.json"))


def _read(site: Site, setting: dict, data_root: Path) -> Basis:
    path = _path(site, setting, data_root)
    name = path.relative_to(data_root)
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
    kept = Output("basis", cache, cache / f"{key}_record.json", f"{key}_")
    if kept.exists:
        try:
            return kept.basis()
        except DataError:
            pass  # damaged or edited: made again below
    basis = simulate(*request)
    writer = Writer(kept, {}, {})
    writer.save("basis.npz", to_npz(basis))
    writer.finish({"stage": "basis"}, {"made": basis.made})
    return basis


def exported(basis: Basis, formats: list[str]) -> dict[str, str]:
    """Files of a basis for other engines (`lcmodel`, `fsl`): name to text."""
    decaying = basis.broadened(EXPORT_LINEWIDTH_HZ)
    found = {}
    if "lcmodel" in formats:
        found["lcmodel.basis"] = to_lcmodel(decaying)
    if "fsl" in formats:
        found |= {f"fsl/{name}": text for name, text in to_fsl(decaying).items()}
    return found


def process(job: Job, formats: list[str] = ()) -> dict:
    """Make the basis of a site under its named setting, and export it."""
    site, setting = job.item, DEFAULTS | job.settings["basis"]
    for path in _files(site, setting, job.study.data_root):
        job.beside(path)
    basis = make(site, setting, job.study.data_root, job.study.results / "cache" / "basis")
    job.save("basis.npz", to_npz(basis))
    for name, text in exported(basis, formats).items():
        job.save(name, text.encode())
    return {"made": basis.made}


_sites_main = stage_main("basis", process)


def main(argv: list[str]) -> int:
    """`fmrsflow basis [--study FILE] NAME SITE...`; with `--export` for another engine too."""
    if not any(one.startswith("--export") for one in argv):
        return _sites_main(argv)
    parser = stage_parser("basis")
    parser.add_argument(
        "--export",
        action="append",
        choices=("lcmodel", "fsl"),
        help="write the basis for another engine too (may be given twice)",
    )
    arguments = parser.parse_args(argv)
    entries = run_jobs(stage_jobs("basis", arguments), partial(process, formats=arguments.export))
    return 1 if faults(entries) else 0

"""Basis set of a site's protocol: read from a file or simulated."""

from __future__ import annotations

import os
from pathlib import Path

from fmrsflow.basis.files import Basis, to_npz
from fmrsflow.basis.simulate import digest, simulate
from fmrsflow.basis.site import (
    DEFAULTS,
    alternatives,
    complete,
    finished,
    read_for,
    request,
)
from fmrsflow.batch import stage_main
from fmrsflow.edge import Job
from fmrsflow.errors import DataError, Unreachable
from fmrsflow.results import Output, Writer
from fmrsflow.study import Site


def make(site: Site, setting: dict, data_root: Path, cache: Path | None = None) -> Basis:
    """The basis of a site under a setting (keys of `basis.site.DEFAULTS`).

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
    setting = complete(setting)
    if setting["source"] == "file":
        path = _path(site, setting, data_root)
        basis = read_for(site, path, str(path.relative_to(data_root)))
    else:
        basis = _simulated(request(site, setting), cache)
    return finished(basis, site, setting)


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


def _simulated(request: tuple, cache: Path | None) -> Basis:
    """A simulated basis, from the cache where it is there."""
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


def process(job: Job) -> dict:
    """Make the basis of a site under its named setting."""
    site, setting = job.item, DEFAULTS | job.settings["basis"]
    for path in _files(site, setting, job.study.data_root):
        job.beside(path)
    where = (job.study.data_root, job.study.results / "cache" / "basis")
    basis = make(site, setting, *where)
    job.save("basis.npz", to_npz(basis))
    for other in alternatives(site, complete(setting)):
        job.save("other.npz", to_npz(make(other, setting, *where)))
    return {"made": basis.made}


main = stage_main("basis", process)

"""One measurement in two formats, found before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError, MachineFault
from fmrsflow.fingerprint import fingerprint, twins
from fmrsflow.study import Scan, Study

MOST_FILES = 60
"""Files of a site that are read here, half a second each; beyond, the tables tell it later."""


def same_exports(study: Study) -> list[str]:
    """Scans that are one measurement in two files by their FIDs, one line each.

    Scans of sites that name files of several formats are read; others can hold no second export of
    one scan but a copy, which `identity.same_measurements` knows. Those that cannot be read are
    left to their stage. None where the configuration allows it (`same_content`).
    """
    if study.config["same_content"]:
        return []
    prints: dict[str, Sequence[float]] = {}
    for own in _of_several_formats(study).values():
        if len(own) <= MOST_FILES:
            prints |= {scan.key: _read(study, scan) for scan in own}
    return _told(twins(prints), {scan.key: scan.mrs for scan in study.scans})


def not_compared(study: Study) -> list[str]:
    """Sites of too many scans for `same_exports`, one line each."""
    if study.config["same_content"]:
        return []
    return [
        f"site {site}: files of several formats and {len(own)} scans, more than {MOST_FILES}: "
        "whether two are one measurement is not looked at here; the tables exclude such"
        for site, own in _of_several_formats(study).items()
        if len(own) > MOST_FILES
    ]


def _of_several_formats(study: Study) -> dict[str, list[Scan]]:
    """Scans of each site that names files of several formats, by their endings."""
    found: dict[str, list[Scan]] = {}
    for scan in study.scans:
        found.setdefault(scan.site, []).append(scan)
    return {
        site: own
        for site, own in found.items()
        if len({PurePosixPath(scan.mrs).suffix.lower() for scan in own}) > 1
    }


def _told(found: dict[str, str], named: dict[str, str]) -> list[str]:
    return [
        f"{one} and {other}: {named[one]} and {named[other]} are one measurement (their FIDs are "
        "one but for scale, phase and sign), which would count twice: name each scan's own file in "
        "column mrs, or leave one out"
        for one, other in sorted(found.items())
        if one < other or found[other] != one
    ]


def _read(study: Study, scan: Scan) -> Sequence[float]:
    path = study.data_root / scan.mrs
    try:
        return fingerprint(read(path, study.sites[scan.site]).fids) if path.exists() else ()
    except (DataError, MachineFault, OSError):
        return ()

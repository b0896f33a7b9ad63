"""What a run needs of the machine and the file system, seen before anything runs.

Each of these would stop a job, or Snakemake itself, with words that do not fit the cause.
"""

from __future__ import annotations

import os
from pathlib import Path

from fmrsflow.study import PATH_COLUMNS, Study

LONGEST_NAME = 255
"""Bytes of a file's name on the file systems in use (NAME_MAX)."""

_LEFT_FOR_ENDINGS = 64
"""Bytes behind the labels in the longest name of an output, and of a temporary name of it."""

_LONGEST_SITE = 75
"""Bytes of a site's label: figures of two sites name both."""


def troubles(study: Study) -> list[str]:
    """One line for each thing that would stop a run."""
    return [*_caches(), *long_names(study), *_links(study)]


def _caches() -> list[str]:
    """Snakemake keeps copies of its own files below XDG_CACHE_HOME, by default ~/.cache."""
    from platformdirs import user_cache_dir

    cache = Path(user_cache_dir("snakemake", "snakemake")).absolute()
    there = next(one for one in (cache, *cache.parents) if one.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return []
    return [
        f"{cache} cannot be made: {there} is not writable; set HOME or XDG_CACHE_HOME to a folder "
        "that is, without which Snakemake does not start"
    ]


def long_names(study: Study) -> list[str]:
    """Labels that make names of files longer than file systems take, one line each."""
    found = [
        f"sites.tsv: the label of site {site.name[:20]}... has {len(site.name)} letters; "
        f"{_LONGEST_SITE} at most, as names of files hold two of them"
        for site in study.sites.values()
        if len(site.name) > _LONGEST_SITE
    ]
    most = LONGEST_NAME - _LEFT_FOR_ENDINGS
    return found + [
        f"{study.config['scans_sheet']}: the labels of {scan.key[:40]}... make a file name of "
        f"{len(scan.stem)} letters; {most} at most, as file systems take {LONGEST_NAME}"
        for scan in study.scans
        if len(scan.stem) > most
    ]


def _links(study: Study) -> list[str]:
    """Files that lie elsewhere than below data_root: links are followed, but not out of it."""
    root = os.path.realpath(study.data_root)
    return [
        f"{study.config['scans_sheet']}: {scan.key}: {column}: {name} is a link that leads out of "
        f"{study.data_root}; bring the file itself there, or widen data_root"
        for scan in study.scans
        for column in PATH_COLUMNS
        for name in scan.files(column)
        if os.path.exists(study.data_root / name)
        and not Path(os.path.realpath(study.data_root / name)).is_relative_to(root)
    ]

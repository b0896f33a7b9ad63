"""BIDS URIs of the files that a study reads: `bids:north:sub-01/mrs/sub-01_task-visual_svs.nii.gz`.

Files of a BIDS dataset have one. Vendor files have none, since people name them after the person
(source_names.py); records tell them by digest.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote
from zlib import crc32

from fmrsflow.study import Scan, Study

_NAME = re.compile(
    r"(?:(?P<dataset>.+)/)?"
    r"(?P<inner>sub-(?P<subject>[A-Za-z0-9]+)/(?:ses-(?P<session>[A-Za-z0-9]+)/)?mrs/"
    r"sub-(?P=subject)(?(session)_ses-(?P=session))(?:_[a-z]+-[A-Za-z0-9]+)*"
    r"_(?:svs|mrsref)\.nii(?:\.gz)?)"
)
"""A path below the data root that the standard has names for, and the dataset that it is of."""


def uri(scan: Scan, column: str) -> str | None:
    """BIDS URI of the spectra that a column of scans.tsv (`mrs`, `ref`) names; None for what is no
    file of a BIDS dataset, or has there the label of another subject or session than in the sheet.
    """
    found = _named(scan, column)
    return found and f"bids:{_name(scan.site, _dataset(found))}:{found['inner']}"


def dataset_links(study: Study) -> dict[str, str]:
    """`DatasetLinks` of the results: name of a dataset in these URIs -> its path from the results.

    Relative, so that no path of a machine goes with the results; what lies inside of a dataset
    resolves wherever both are moved.
    """
    results, root = (os.path.realpath(folder) for folder in (study.results, study.data_root))
    named = ((scan.site, _named(scan, column)) for scan in study.scans for column in ("mrs", "ref"))
    datasets = {_name(site, _dataset(one)): _dataset(one) for site, one in named if one}
    return {
        name: quote(os.path.relpath(os.path.realpath(os.path.join(root, dataset)), results))
        for name, dataset in sorted(datasets.items())
    }


def _named(scan: Scan, column: str) -> re.Match | None:
    found = _NAME.fullmatch(getattr(scan, column))
    labels = (scan.subject, scan.session)
    return found if found and (found["subject"], found["session"] or "") == labels else None


def _dataset(found: re.Match) -> str:
    return found["dataset"] or "."


def _name(site: str, dataset: str) -> str:
    """By the folder alone, so that no other row of the sheet changes what a sidecar says: the site
    where its folder is called like it, else a checksum of a path that may be a person's."""
    if dataset in (site, "."):
        return site if dataset == site else "data-root"
    return f"data-{crc32(dataset.encode()):08x}"

"""A small made-up study with results, and what the report stage reads of it."""

from __future__ import annotations

import pytest

import report_fixture as made
from fmrsflow.report.read import read_group, read_scan
from fmrsflow.results import Results


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Two sites with two participants each; the last scan failed at conversion."""
    study = made.make_study(tmp_path_factory.mktemp("study"), n_sites=2, n_subjects=2)
    for seed, scan in enumerate(study.scans[:-1]):
        made.write_scan(study, scan, seed)
    made.fail_scan(study, study.scans[-1], "convert", "svs.nii.gz is truncated; copy it again")
    made.write_tables(study)
    return study


@pytest.fixture(scope="session")
def results(study):
    """Everything about the first scan."""
    return read_scan(Results(study), "main", study.scans[0], {})


@pytest.fixture(scope="session")
def group(study):
    """Every scan in short."""
    return read_group(Results(study), "main")

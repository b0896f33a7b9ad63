"""What mutations are judged by: a scan that is lost or warns hides no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mutations import CONFIG, HARMLESS, _compared

import report_fixture as made
from fmrsflow.batch import faults, run_jobs
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.files import write_bytes

SHEET = "data/config/scans.tsv"


def write(folder, study, values: dict, change=lambda job: None) -> None:
    """Frozen study and a table of one value a scan; `change` is called with each job."""
    study = replace(study, config={**study.config, "results": str(folder / "results")})

    def convert(job):
        change(job)
        job.save("svs", [{"value": values[job.scan.subject]}])
        return {}

    assert not faults(run_jobs([Job("convert", study, scan, {}) for scan in study.scans], convert))
    plain = replace(study, config={**study.config, "results": "results"})
    write_bytes(folder / "results" / "study.json", plain.save_text().encode())


@pytest.fixture
def judged(tmp_path):
    """Outcome of a second run of two scans, of which the row of the first may have changed."""
    study = made.make_study(tmp_path, n_sites=1, n_subjects=2)
    first, second = (scan.subject for scan in study.scans)
    write(tmp_path / "base", study, {first: 1.0, second: 2.0})

    def judge(one, other, change=lambda job: None, name=SHEET, config=None):
        scans = (replace(study.scans[0], condition="other"), study.scans[1])
        new = replace(study, scans=scans, config=study.config | (config or {}))
        write(
            tmp_path / "now",
            new,
            {first: one, second: other},
            lambda job: job.scan.subject == first and change(job),
        )
        outcome, _ = _compared(tmp_path / "now", tmp_path / "base", name, False)
        return outcome, outcome in HARMLESS

    return judge


def fail(job):
    raise DataError("damaged")


def warn(job):
    job.warn("odd")


def test_a_changed_row_may_change_its_scan_and_no_other(judged):
    assert judged(1.0, 2.0) == ("same result", True)
    assert judged(1.5, 2.0) == ("as the file now says, in the frozen study", True)
    assert judged(1.5, 2.5) == ("silent change", False)


def test_a_changed_setting_may_change_all(judged):
    outcome = judged(1.5, 2.5, name=CONFIG, config={"quality": {"min_snr_tcr": 1.0}})
    assert outcome == ("as the file now says, in the frozen study", True)


@pytest.mark.parametrize(
    ("change", "outcome"),
    [(fail, "scan failed with a reason"), (warn, "told by a warning")],
)
def test_words_of_one_scan_do_not_excuse_another(judged, change, outcome):
    assert judged(1.5, 2.0, change) == (outcome, True)
    assert judged(1.5, 2.5, change) == ("silent change", False)

"""`fmrsflow view` shows files and folders; `fmrsflow summary` counts what a run has done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import report_fixture as made
from fmrsflow import cli
from fmrsflow.stages import report, summary, view


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One site, two scans, one of them failed."""
    study = made.make_study(tmp_path_factory.mktemp("run"), n_sites=1, n_subjects=2)
    made.write_scan(study, study.scans[0], 1, n_transients=128)
    made.fail_scan(study, study.scans[1], "fit", "basis has no Glu; name another")
    (study.results / "study.json").write_text(study.save_text())
    return study


def one(study, pattern: str) -> Path:
    (path,) = study.results.glob(pattern)
    return path


@pytest.mark.parametrize(
    "pattern",
    ["preprocess-*/*/sub-01/mrs/*_svs.nii.gz", "fit-*/*/sub-01/mrs/*_result.npz"],
)
@pytest.mark.parametrize(
    ("suffix", "start"),
    [("html", b"<!doctype html>"), ("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")],
)
def test_a_file_becomes_a_page_or_a_picture(study, tmp_path, pattern, suffix, start):
    out = tmp_path / f"shown.{suffix}"
    assert view.main([str(one(study, pattern)), "-o", str(out)]) == 0
    assert out.read_bytes().startswith(start)


def test_a_page_lies_in_the_working_folder_by_default(study, tmp_path, monkeypatch, capsys):
    path = one(study, "preprocess-*/*/sub-01/mrs/*_svs.nii.gz")
    monkeypatch.chdir(tmp_path)
    assert view.main([str(path)]) == 0
    name = capsys.readouterr().out.strip()
    assert name == "sub-01_task-visual_desc-preprocess_svs.html"
    assert (tmp_path / name).exists()


def test_a_run_that_has_not_ended_is_shown_as_far_as_it_is(study, capsys):
    assert view.main([str(study.results)]) == 0
    page = Path(capsys.readouterr().out.strip())
    assert page.name == "so-far.html"
    assert "basis has no Glu; name another" in page.read_text()


def test_a_results_folder_leads_to_its_report(tmp_path, capsys):
    study = made.make_study(tmp_path, n_sites=1, n_subjects=1)
    made.fail_scan(study, study.scans[0], "convert", "no such file")
    (study.results / "study.json").write_text(study.save_text())
    report.write_group_pages(study, "main")
    assert view.main([str(study.results)]) == 0
    assert capsys.readouterr().out.strip().endswith("main/report/index.html")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("table.tsv", b"a\tb\n", "neither NIfTI-MRS"),
        ("other.npz", None, "lacks baseline"),
        ("broken.nii.gz", b"not a nifti", "truncated or damaged NIfTI-MRS"),
    ],
)
def test_what_cannot_be_shown_is_told(tmp_path, capsys, name, content, told):
    import numpy as np

    path = tmp_path / name
    if content is None:
        np.savez(path, ppm=np.zeros(2))
    else:
        path.write_bytes(content)
    assert cli.main(["view", str(path), "-o", str(tmp_path / "out.html")]) == 1
    assert told in capsys.readouterr().err
    assert cli.main(["view", str(tmp_path / "absent.nii.gz")]) == 1
    assert "is not there" in capsys.readouterr().err


def test_a_real_scanner_file_becomes_a_page(shared_data, tmp_path):
    out = tmp_path / "ge.html"
    path = shared_data / "phantoms" / "ge_P1751_svs.nii.gz"
    assert view.main([str(path), "-o", str(out)]) == 0
    text = out.read_text()
    assert "63.8726 MHz" in text and "Mean of 16 transients" in text


def test_the_summary_counts_each_failure_where_it_began(study, capsys):
    assert summary.main(["--study", str(study.results / "study.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 scans at 1 site; 9 of 12 steps done")
    (fit,) = (line for line in lines if line.strip().startswith("fit "))
    assert fit.endswith("2/2  1 failed")
    (quantify,) = (line for line in lines if line.strip().startswith("quantify "))
    assert quantify.endswith("2/2")
    assert "  siteA/sub-02_task-visual: fit: basis has no Glu; name another" in lines


def test_the_time_to_go_follows_from_the_pace_of_this_run(study):
    began = min(path.stat().st_mtime for path in study.results.rglob("*_record.json")) - 1
    found = summary.progress(study, began)
    new = sum(one.new for one in found)
    assert new == sum(one.done for one in found)
    missing = sum(one.total - one.done for one in found)
    told = summary.text(study, found, elapsed_s=600.0)
    assert f"about {600 * missing / new / 60:.0f} min to go" in told
    # Records of an earlier run say nothing about the pace of this one.
    later = summary.progress(study, began + 1e6)
    assert sum(one.new for one in later) == 0
    assert "to go" not in summary.text(study, later, elapsed_s=600.0)


def test_a_summary_before_the_first_run_says_so(tmp_path, capsys):
    assert cli.main(["summary", "--study", os.fspath(tmp_path / "study.json")]) == 1
    assert "nothing has run, or" in capsys.readouterr().err

"""A made-up study with its pages, and a real browser (Debian's chromium, driven by Playwright)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import report_fixture as made

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """Folder of the report: 3 sites with 3 participants, one failed scan, one excluded."""
    from fmrsflow.mismatch.benchmark import BENCHMARK, read_benchmark
    from fmrsflow.mismatch.page import mismatch_page
    from fmrsflow.report.pages import view_page
    from fmrsflow.report.read import read_scan
    from fmrsflow.report.results import View
    from fmrsflow.results import Results
    from fmrsflow.stages.report import write_group_pages, write_scan_pages

    study = made.make_study(tmp_path_factory.mktemp("study"), n_sites=4, n_subjects=3)
    for seed, scan in enumerate(study.scans):
        if seed == 4:
            made.fail_scan(study, scan, "convert", "svs.nii.gz is truncated; copy it again")
        else:
            made.write_scan(study, scan, seed)
    made.write_tables(study)
    write_scan_pages(study, "main", [scan.key for scan in study.scans])
    write_group_pages(study, "main")
    folder = study.results / "main" / "report"
    (folder / "mismatch.html").write_text(mismatch_page(read_benchmark(BENCHMARK), "index.html"))
    fids = read_scan(Results(study), "main", study.scans[0], {}).corrected
    (folder / "view.html").write_text(view_page(View("svs.nii.gz", fids)))
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless browser; skips where there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the Python package playwright is not installed"
    )
    with playwright.sync_playwright() as driver:
        # Playwright makes a fresh profile for each launch.
        browser = driver.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory) -> Path:
    """Folder of pictures of the pages: $FMRSFLOW_SCREENSHOTS, else a temporary one."""
    named = os.environ.get("FMRSFLOW_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder

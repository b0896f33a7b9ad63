"""Figures of the pages (issue 6): sizes, time to make them, time until they are drawn."""

from __future__ import annotations

import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

N_SITES, N_SUBJECTS = 20, 50


def figures(quick: bool) -> Iterator[Figure]:
    """Scan page from files; consortium page of 1,000 scans, with `quick` 40 of them in files."""
    import report_fixture as made
    from fmrsflow.report.group_pages import consortium_page
    from fmrsflow.report.pages import scan_page
    from fmrsflow.report.read import read_consortium, read_group, read_scan
    from fmrsflow.results import Results

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        study = made.make_study(root, n_sites=1, n_subjects=1)
        made.write_scan(study, study.scans[0], 1, n_transients=320)
        start = time.process_time()
        page = scan_page(read_scan(Results(study), "main", study.scans[0], {}))
        spent = time.process_time() - start
        size = len(page.encode()) / 1e6
        yield Figure("scan page of 320 transients, MB", size, "<= 2", size <= 2)
        yield Figure("scan page, CPU s, imports apart", spent, "<= 1", spent <= 1)
        (root / "scan.html").write_text(page)
        yield _opening("scan page drawn, s", root / "scan.html", 5)

        study = made.make_study(root / "many", N_SITES, N_SUBJECTS)
        written = study.scans[:: 25 if quick else 1]
        for seed, scan in enumerate(written):
            made.write_scan(study, scan, seed, n_transients=128, picture=False)
        made.write_tables(replace(study, scans=written))
        start = time.process_time()
        opened = Results(study)
        group = read_group(opened, "main")
        if quick:
            # Every scan of the page full of content, as if all had been written.
            _fill(group, study)
        results = read_consortium(opened, "main", group)
        text = consortium_page(results)
        spent = time.process_time() - start
        size = len(text.encode()) / 1e6
        count = len(results.scans)
        yield Figure(f"consortium page of {count} scans, MB", size, "<= 10", size <= 10)
        note = f"{len(written)} scans read from files"
        yield Figure("consortium page, CPU s", spent, "<= 120", spent <= 120, note)
        (root / "index.html").write_text(text)
        yield _opening(f"consortium page of {count} scans drawn, s", root / "index.html", 5)


def _fill(group, study) -> None:
    """Put a scan that was written in the place of each that was not."""
    full = [one for own in group.scans.values() for one in own if one.quality]
    numbers = itertools.count()
    for own in group.scans.values():
        for place, scan in enumerate(own):
            shown = full[next(numbers) * len(full) // len(study.scans)]
            own[place] = replace(shown, scan=scan.scan, page=scan.page)


def _opening(name: str, path: Path, limit: float) -> Figure:
    """Time from the call to the last chart drawn, in a fresh headless browser, median of three."""
    executable = shutil.which("chromium")
    if executable is None:
        return Figure(name, "no chromium", f"<= {limit:g}", False)
    from playwright.sync_api import sync_playwright

    seconds = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(3):
            page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
            start = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
            seconds.append(time.perf_counter() - start)
        browser.close()
    median = statistics.median(seconds)
    return Figure(name, median, f"<= {limit:g}", median <= limit, "wall clock, this machine")

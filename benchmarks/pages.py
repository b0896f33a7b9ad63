"""Figures of the pages: sizes, CPU time to make and to draw them, colours, emptiness, axe."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from figure import Figure, held, skipped

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

N_SITES, N_SUBJECTS = 20, 50
PAGES_MADE = 20
"""Scan pages that the CPU time of one is the mean of."""


def figures(quick: bool) -> Iterator[Figure]:
    """Scan pages from files; consortium page of 1,000 scans, with `quick` 40 of them in files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        yield from _scan_pages(root)
        yield from _consortium_page(root, quick)
    yield from _held()


def _scan_pages(root: Path) -> Iterator[Figure]:
    import report_fixture as made
    from fmrsflow.report.pages import scan_page
    from fmrsflow.report.read import read_scan
    from fmrsflow.results import Results

    study = made.make_study(root, n_sites=1, n_subjects=1)
    made.write_scan(study, study.scans[0], 1, n_transients=320)
    page = scan_page(read_scan(Results(study), "main", study.scans[0], {}))
    start = time.process_time()
    for _ in range(PAGES_MADE):
        again = scan_page(read_scan(Results(study), "main", study.scans[0], {}))
    spent = (time.process_time() - start) / PAGES_MADE
    size = len(page.encode()) / 1e6
    yield Figure("scan page of 320 transients, MB", size, "<= 1.5", size <= 1.5)
    yield Figure(
        "scan page, CPU s, imports apart", spent, "<= 0.4", spent <= 0.4, f"mean of {PAGES_MADE}"
    )
    yield Figure("scan page made again, other bytes", int(page != again), "0", page == again)
    (root / "scan.html").write_text(page)
    yield _first_chart("scan page, first chart, CPU s of the browser", root / "scan.html")


def _consortium_page(root: Path, quick: bool) -> Iterator[Figure]:
    import report_fixture as made
    from fmrsflow.report.group_pages import consortium_page
    from fmrsflow.report.read import read_consortium, read_group
    from fmrsflow.results import Results

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
    yield Figure(f"consortium page of {count} scans, MB", size, "<= 1.5", size <= 1.5)
    note = f"{len(written)} scans read from files"
    yield Figure("consortium page, CPU s", spent, "reported", True, note)
    (root / "index.html").write_text(text)
    name = f"consortium page of {count} scans, first chart, CPU s of the browser"
    yield _first_chart(name, root / "index.html")


def _held() -> Iterator[Figure]:
    """Figures that tests hold."""
    figures = "tests/unit/report/test_figures.py"
    browser = "tests/pages/test_browser.py"
    yield held(
        "two signals of one colour in a chart",
        "0",
        f"{figures}::test_no_two_curves_over_each_other_have_one_colour",
    )
    yield held(
        "sections with nothing to show that draw something", "0", "tests/unit/report/test_absent.py"
    )
    yield held(
        "requests or windows that leave a page, over all clicks",
        "0",
        f"{browser}::test_no_button_of_a_chart_sends_anything_away",
    )
    name, target = "axe violations, serious or critical", "0"
    try:
        import axe_playwright_python  # noqa: F401
    except ImportError:
        yield skipped(name, target, "the Python package axe-playwright-python is not installed")
    else:
        yield held(name, target, f"{browser}::test_axe_finds_nothing_serious")


def _fill(group, study) -> None:
    """Put a scan that was written in the place of each that was not."""
    full = [one for own in group.scans.values() for one in own if one.quality]
    numbers = itertools.count()
    for own in group.scans.values():
        for place, scan in enumerate(own):
            shown = full[next(numbers) * len(full) // len(study.scans)]
            own[place] = replace(shown, scan=scan.scan, page=scan.page)


def _first_chart(name: str, path: Path, limit: float = 1.5) -> Figure:
    """CPU time of the page's own process in a fresh headless browser until its first chart is
    drawn, least of three: other work on the machine only adds to it."""
    executable = shutil.which("chromium")
    if executable is None:
        return skipped(name, f"<= {limit:g}", "no chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return skipped(name, f"<= {limit:g}", "the Python package playwright is not installed")
    with sync_playwright() as driver:
        spent = [_drawn(driver.chromium, executable, path) for _ in range(3)]
    return Figure(name, min(spent), f"<= {limit:g}", min(spent) <= limit, "least of 3")


def _drawn(chromium, executable: str, path: Path) -> float:
    browser = chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    # Noted in the page the moment a chart is there: asking from outside comes later.
    told = page.context.new_cdp_session(page)
    told.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector(".main-svg", state="attached", timeout=120_000)
    metrics = {one["name"]: one["value"] for one in told.send("Performance.getMetrics")["metrics"]}
    browser.close()
    return metrics["TaskDuration"]

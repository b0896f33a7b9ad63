"""Every page in a real browser: quiet, offline, linked, interactive, readable on a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

WIDTHS = (1400, 400)
PAGES = {
    "consortium": "index.html",
    "site": "site-siteA.html",
    "site with losses": "site-siteB.html",
    "scan": "scans/siteA/sub-01_task-visual.html",
    "failed scan": "scans/siteB/sub-02_task-visual.html",
    "excluded scan": "scans/siteD/sub-01_task-visual.html",
    "view": "view.html",
    "mismatch": "mismatch.html",
}


@contextmanager
def opened(browser, path: Path, width: int = 1400) -> Iterator:
    """The page once all its charts are drawn; what it complained of stands in `page.complaints`."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = context.new_page()
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    yield page
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_quietly_and_without_network(browser, report, screenshots, name, width):
    path = report / PAGES[name]
    with opened(browser, path, width) as page:
        assert page.complaints == []
        own = path.as_uri()
        assert [url for url in page.requests if url.startswith("data:") is False] == [own]
        charts = page.locator(".chart")
        seen = sum(charts.nth(n).is_visible() for n in range(charts.count()))
        assert page.locator(".chart .main-svg").count() >= seen
        # Nothing sticks out sideways: tables scroll in their own box.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        picture = screenshots / f"{name.replace(' ', '-')}-{width}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 20_000


def crawled(browser, report: Path) -> tuple[set[Path], list, list]:
    """Pages reached from a report's first one, dead links, complaints and requests of the pages."""
    seen, waiting, dead, noise = set(), [report / "index.html"], [], []
    while waiting:
        path = waiting.pop()
        seen.add(path)
        with opened(browser, path) as page:
            links = page.eval_on_selector_all("a[href]", "all => all.map(one => one.href)")
            anchors = set(page.eval_on_selector_all("[id]", "all => all.map(one => one.id)"))
            clicks = page.evaluate(
                "[...document.querySelectorAll('.chart')].flatMap(c => c.data || [])"
                ".flatMap(t => t.customdata || []).map(u => new URL(u, location.href).href)"
            )
            noise += page.complaints
            noise += [u for u in page.requests if u != path.as_uri() and u[:5] != "data:"]
        for link in [*links, *clicks]:
            parts = urlsplit(link)
            target = Path(unquote(parts.path))
            if target == path and parts.fragment:
                if parts.fragment not in anchors:
                    dead.append((path.name, link))
            elif parts.scheme != "file" or not target.is_file():
                dead.append((path.name, link))
            elif target.suffix == ".html" and target not in seen and target not in waiting:
                waiting.append(target)
    return seen, dead, noise


def test_every_link_leads_somewhere_and_every_page_can_be_reached(browser, report):
    seen, dead, _ = crawled(browser, report)
    assert dead == []
    assert set(report.rglob("*.html")) - seen == {report / "view.html"}


def test_the_pages_of_a_real_run_are_quiet_offline_and_linked(browser):
    """Of the report folder that $FMRSFLOW_REPORT names: that of the demo in CI."""
    folder = os.environ.get("FMRSFLOW_REPORT")
    if not folder:
        pytest.skip("$FMRSFLOW_REPORT names no report folder of a real run")
    report = Path(folder).resolve()
    seen, dead, noise = crawled(browser, report)
    assert (dead, noise) == ([], [])
    assert set(report.rglob("*.html")) == seen
    assert max(path.stat().st_size for path in seen) <= 2_000_000


BUTTONS = """() => {
  const left = [];
  window.open = (url) => { left.push(String(url)); return null; };
  HTMLFormElement.prototype.submit = function () { left.push(this.action); };
  for (const button of document.querySelectorAll(".modebar-btn")) {
    if (!/download/i.test(button.dataset.title || "")) button.click();
  }
  for (const button of document.querySelectorAll("main button")) button.click();
  const offers = [...document.querySelectorAll(".modebar-btn")].map((b) => b.dataset.title || "");
  const dialogs = document.querySelectorAll("[class*=cloud]").length;
  return { left, offers, dialogs };
}"""


@pytest.mark.parametrize("name", ["consortium", "scan", "view", "mismatch"])
def test_no_button_of_a_chart_sends_anything_away(browser, report, name):
    """plotly.js offers since its release 4 to upload the chart, with its data, to its makers."""
    path = report / PAGES[name]
    with opened(browser, path) as page:
        windows = []
        page.context.on("page", lambda window: windows.append(window.url))
        told = page.evaluate(BUTTONS)
        page.wait_for_timeout(200)
        assert name == "view" or told["offers"]
        assert not [offer for offer in told["offers"] if "share" in offer.lower()]
        assert (told["left"], told["dialogs"], windows) == ([], 0, [])
        asked = [url for url in page.requests if url[:5] not in ("data:", "blob:")]
        assert asked == [path.as_uri()]
        address = page.evaluate(
            "[...document.querySelectorAll('.chart')]"
            ".filter(c => c._context).map(c => c._context.plotlyServerURL)"
        )
        assert set(address) <= {""}


def visible_traces(page, chart: str) -> list[dict]:
    return page.evaluate(
        "id => document.getElementById(id).data.filter(t => t.visible !== false)"
        ".map(t => ({group: t.meta && t.meta.group, part: t.meta && t.meta.part}))",
        chart,
    )


def test_the_spectrum_shows_what_is_asked_for(browser, report):
    with opened(browser, report / PAGES["scan"]) as page:
        chart = "spectrum-chart"
        lines = {"data", "fit", "baseline", "residual", "broad", "noise"}
        assert {t["group"] for t in visible_traces(page, chart)} == {"all"}
        shown = {t["part"] for t in visible_traces(page, chart)}
        assert lines < shown and "Glu" in shown and "NAAG" not in shown
        form = page.locator(f'[data-chart="{chart}"]')
        form.locator("[name=group]").select_option("task")
        form.get_by_label("NAAG", exact=True).check()
        assert {t["group"] for t in visible_traces(page, chart)} == {"task"}
        assert "NAAG" in {t["part"] for t in visible_traces(page, chart)}
        form.get_by_label("Glu", exact=True).uncheck()
        assert "Glu" not in {t["part"] for t in visible_traces(page, chart)}
        form.get_by_role("button", name="none").click()
        assert {t["part"] for t in visible_traces(page, chart)} == lines
        form.get_by_role("button", name="all").click()
        assert {"Glu", "NAAG", "MM09"} < {t["part"] for t in visible_traces(page, chart)}
        form.locator("[name=region]").select_option("2.75,1.85")
        span = page.evaluate("id => document.getElementById(id).layout.xaxis.range", chart)
        assert span == [2.75, 1.85]
        assert page.complaints == []


STACKED = """id => {
  const place = document.getElementById(id);
  const rows = place.data.filter((t) => t.visible !== false && t.meta && "rise" in t.meta);
  const ends = rows.map((t) => [Math.min(...t.y), Math.max(...t.y)]);
  return { ends, names: rows.map((t) => t.name), ticks: place.layout.yaxis.ticktext,
    range: place.layout.yaxis.range, height: place.layout.height };
}"""


def test_components_stand_below_each_other_whichever_are_chosen(browser, report):
    with opened(browser, report / PAGES["scan"]) as page:
        form = page.locator('[data-chart="spectrum-chart"]')
        first = page.evaluate(STACKED, "spectrum-chart")
        heights = dict(zip(first["names"], ((high - low) for low, high in first["ends"])))
        for choice in ("main", "all", "none"):
            form.get_by_role("button", name=choice).click()
            told = page.evaluate(STACKED, "spectrum-chart")
            assert told["names"] == told["ticks"]
            for (low, _), (_, high) in zip(told["ends"], told["ends"][1:]):
                assert low > high, choice
            assert all(low > told["range"][0] for low, _ in told["ends"])
            if choice == "main":  # as the page was opened
                assert told == first
            for name, (low, high) in zip(told["names"], told["ends"]):
                assert high - low == heights.setdefault(name, high - low)
        assert told["names"] == [] and told["height"] < first["height"]


def test_dragging_over_the_spectrum_zooms_and_a_double_click_goes_back(browser, report):
    with opened(browser, report / PAGES["scan"]) as page:
        area = page.locator("#spectrum-chart .nsewdrag").first
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.4, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
        page.mouse.up()
        read = "document.getElementById('spectrum-chart').layout.xaxis.range"
        left, right = page.evaluate(read)
        assert 4.2 > left > right > 0.2
        page.mouse.dblclick(box["x"] + box["width"] / 2, middle)
        page.wait_for_function(f"{read}[0] > 4.1")


def test_the_response_can_be_told_from_other_quantities(browser, report):
    with opened(browser, report / PAGES["scan"]) as page:
        assert {t["group"] for t in visible_traces(page, "response-chart")} == {"molal"}
        page.locator('[data-chart="response-chart"] [name=group]').select_option("ratio_tcr")
        assert {t["group"] for t in visible_traces(page, "response-chart")} == {"ratio_tcr"}


def test_a_point_of_the_consortium_leads_to_its_scan(browser, report):
    with opened(browser, report / "index.html") as page:
        point = page.locator("#ranked-chart .scatterlayer .point").first
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        with page.expect_navigation():
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert "/scans/" in page.url
        assert page.locator("h1").inner_text().startswith("sub-")


def test_the_table_of_scans_can_be_searched(browser, report):
    with opened(browser, report / "index.html") as page:
        rows = page.locator("#scan-table tbody tr:visible")
        assert rows.count() == 12
        page.get_by_role("searchbox").fill("truncated")
        assert rows.count() == 1
        assert "siteB/sub-02" in rows.first.inner_text()


def test_a_table_can_be_sorted_narrowed_copied_and_downloaded(browser, report):
    with opened(browser, report / "index.html") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        table = page.locator("#scan-table")
        read = (
            "() => [...document.querySelectorAll('#scan-table tbody tr')].map(r =>"
            " parseFloat(r.cells[2].textContent))"
        )
        for way in ("ascending", "descending"):
            table.get_by_role("button", name="SNR").click()
            assert table.locator(f"th[aria-sort={way}]").count() == 1
            known = [value for value in page.evaluate(read) if value == value]
            assert known == sorted(known, reverse=way == "descending") and len(known) > 8
            assert page.evaluate(read)[: len(known)] == known  # what is not known stays below
        page.get_by_role("searchbox").fill("siteA/")
        tools = page.locator("#scans .tools")
        tools.locator("summary").click()
        tools.get_by_label("Why").uncheck()
        with page.expect_download() as arriving:
            tools.get_by_role("button", name="Download TSV").click()
        lines = [line.split("\t") for line in arriving.value.path().read_text().splitlines()]
        assert lines[0] == ["Scan", "Verdict", "SNR", "tCr width (Hz)", "Glu change (%)"]
        assert {line[0] for line in lines[1:]} == {f"siteA/sub-0{n}_task-visual" for n in (1, 2, 3)}
        assert all(len(line) == 5 and float(line[4]) is not None for line in lines[1:])
        tools.get_by_role("button", name="Copy").click()
        tools.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert [line.split("\t") for line in copied.splitlines()] == lines


def test_each_dose_of_the_mismatch_page_fits_a_screen(browser, report):
    with opened(browser, report / "mismatch.html", 1280) as page:
        form = page.locator("[data-pick=factors]")
        names = form.locator("[name=factor] option").evaluate_all("all => all.map(o => o.value)")
        fields = form.locator("[name=field] option").evaluate_all("all => all.map(o => o.value)")
        assert len(names) >= 8 and len(fields) == 2
        for name in names:
            form.locator("[name=factor]").select_option(name)
            form.locator("[name=field]").select_option(fields[1])
            page.wait_for_function(
                "!document.querySelector('#factors .panel:not([hidden]) .waiting')"
            )
            seen = page.locator("#factors [data-panel]:visible")
            assert seen.count() == 1
            assert page.locator("#factors").bounding_box()["height"] < 1100, name
        assert page.evaluate("document.documentElement.scrollHeight") < 6000
    with opened(browser, report / "mismatch.html") as page:
        page.evaluate("location.hash = '#drift'")
        page.locator("#drift .main-svg").first.wait_for()
        assert page.locator("[data-pick=factors] [name=factor]").input_value() == "drift"


def test_the_keyboard_reaches_content_and_controls(browser, report):
    with opened(browser, report / PAGES["scan"]) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.url.endswith("#content")
        page.locator("#spectrum-chart").scroll_into_view_if_needed()
        box = page.get_by_label("NAAG", exact=True)
        box.focus()
        page.keyboard.press("Space")
        assert "NAAG" in {t["part"] for t in visible_traces(page, "spectrum-chart")}


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(browser, report, name):
    """WCAG A and AA by Deque's axe, which its package carries."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for width in (1280, 390):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, bypass_csp=True
        )
        page = context.new_page()
        page.goto((report / PAGES[name]).as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        found = axe.run(page).response["violations"]
        bad = [
            (one["id"], one["nodes"][0]["html"][:200])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert bad == [], width
        context.close()


def luminance(colour: str) -> float:
    channels = [int(one) / 255 for one in colour.strip("rgba()").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", ["consortium", "scan", "site with losses", "excluded scan"])
def test_text_stands_out_from_its_ground(browser, report, name):
    """WCAG 2.1: contrast of at least 4.5 for every text of the page outside the charts."""
    with opened(browser, report / PAGES[name]) as page:
        pairs = page.evaluate(
            """() => {
              const found = new Set();
              const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
              while (walk.nextNode()) {
                const one = walk.currentNode.parentElement;
                if (!walk.currentNode.data.trim() || one.closest('svg, script, .skip')) continue;
                let ground = one;
                while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)')
                  ground = ground.parentElement;
                found.add(getComputedStyle(one).color + '|' +
                  (ground ? getComputedStyle(ground).backgroundColor : 'rgb(255, 255, 255)'));
              }
              return [...found];
            }"""
        )
        assert pairs
        for pair in pairs:
            dark, light = sorted(luminance(colour) for colour in pair.split("|"))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def test_a_page_prints_all_it_holds(browser, report, tmp_path):
    with opened(browser, report / PAGES["scan"]) as page:
        printed = tmp_path / "scan.pdf"
        page.pdf(path=printed, format="A4", print_background=False)
        assert printed.read_bytes().startswith(b"%PDF")
        page.emulate_media(media="print")
        assert page.locator("nav.here").is_hidden()
        assert page.locator("#spectrum-chart .main-svg").first.is_visible()
        assert page.complaints == []


@pytest.mark.parametrize("name", ["scan", "consortium", "site", "mismatch"])
def test_without_scripts_words_tables_and_pictures_are_there(browser, report, screenshots, name):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((report / PAGES[name]).as_uri())
    charts = page.locator(".chart")
    assert charts.count() > 0 and page.locator(".chart > svg").count() == charts.count()
    assert all(charts.nth(n).is_visible() for n in range(charts.count()))
    tables = page.locator("table")
    closed = page.locator("details:not([open]) table").count()
    shown = sum(tables.nth(n).is_visible() for n in range(tables.count()))
    assert shown == tables.count() - closed > 0
    page.screenshot(path=screenshots / f"{name}-without-scripts.png", full_page=True)
    context.close()

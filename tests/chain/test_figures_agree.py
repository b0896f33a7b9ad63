"""A figure of a scan has one value, on whatever page or table it stands."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest

from fmrsflow.scan_figures import FIGURES
from fmrsflow.tables import read_table

BY_LABEL = {figure.label: name for name, figure in FIGURES.items()}
TILES = {
    "tCr signal to noise": "snr_tcr",
    "tCr line width": "fwhm_tcr_hz",
    "Frequency drift": "drift_hz",
    "Fit quality number": "fqn",
}


def shown_figures(results: Path, analysis: str) -> dict[tuple[str, str], dict[str, str]]:
    """(scan, figure) -> where it is shown -> the number there, as text."""
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    report = results / analysis / "report"
    for row in read_table(results / analysis / "sites" / "quality.tsv"):
        for name in FIGURES.keys() & row.keys():
            found[row["scan"], name]["quality.tsv"] = row[name]
    for page in report.glob("scans/*/*.html"):
        scan = _scan(page.parent.name, page.stem)
        text = page.read_text()
        section = text[text.index('id="quality"') :]
        for label, value in re.findall(
            r'<th scope="row">([^<]*)</th><td class="number[^"]*">([^<]*)</td>',
            section[: section.index("</table>")],
        ):
            found[scan, BY_LABEL[html.unescape(label)]]["table of the page"] = value
        for label, value in re.findall(
            r'<span class="name">([^<]*)</span><span class="value">([^<]*)</span>', text
        ):
            if label in TILES:
                found[scan, TILES[label]]["tile of the page"] = value
            elif label == "Transients kept":
                found[scan, "n_kept"]["tile of the page"] = value.split()[0]
        kept = re.search(r"of each of the (\d+) transients: drift (\S+) Hz, (\d+) rejected", text)
        found[scan, "drift_hz"]["words on transients"] = kept[2]
        found[scan, "n_rejected"]["words on transients"] = kept[3]
    for page in report.glob("site-*.html"):
        site = page.stem.removeprefix("site-")
        for name, chart in _charts(page):
            for trace in (one for one in chart["data"] if "customdata" in one):
                across = "x" if name.startswith("against") else "y"
                axis = trace.get(f"{across}axis", across).replace(across, f"{across}axis")
                figure = BY_LABEL[html.unescape(chart["layout"][axis]["title"]["text"])]
                for stem, value in zip(trace["text"], trace[across]):
                    found[_scan(site, stem), figure][f"{name} of the site"] = str(value)
    index = report / "index.html"
    for name, chart in _charts(index):
        for trace in chart["data"]:
            if name.startswith("by-site") or "meta" in trace:
                for scan, value in zip(trace["text"], trace["y"]):
                    found[scan, trace["meta"]["group"]]["chart of the consortium"] = str(value)
    table = re.search(r'<table id="scan-table">.*?</table>', index.read_text(), re.S)[0]
    for scan, numbers in re.findall(r'<a href="[^"]*">([^<]*)</a></th>(.*?)</tr>', table):
        for name, value in zip(
            ("snr_tcr", "fwhm_tcr_hz"), re.findall(r'<td class="number">([^<]*)</td>', numbers)
        ):
            found[scan, name]["table of the consortium"] = value
    return found


def _scan(site: str, stem: str) -> str:
    return f"{site}/{stem}"


def _charts(page: Path) -> list[tuple[str, dict]]:
    scripts = r'<script type="text/plain" id="([^"]*)-data">(.*?)</script>'
    return [
        (name, json.loads(gzip.decompress(base64.b64decode(text))))
        for name, text in re.findall(scripts, page.read_text(), re.S)
    ]


def _number(text: str) -> tuple[float, float] | None:
    """A number as shown and what its rounding leaves open; None where none is shown."""
    match = re.match(r"[+-]?\d+(?:\.(\d+))?(?:e([+-]\d+))?", text.strip().replace("−", "-"))
    if match is None:
        return None
    step = 10.0 ** (int(match[2] or 0) - len(match[1] or ""))
    return float(match[0]), 0.5001 * step


def disagreements(found: dict[tuple[str, str], dict[str, str]]) -> list[str]:
    """Figures with two values."""
    bad = []
    for (scan, name), places in found.items():
        numbers = {place: _number(text) for place, text in places.items()}
        known = [one for one in numbers.values() if one is not None]
        apart = any(abs(a - b) > ra + rb for a, ra in known for b, rb in known)
        if apart or 0 < len(known) < len(numbers):
            bad.append(f"{scan} {name}: {places}")
    return bad


def test_no_figure_of_a_scan_has_two_values(tiny_run):
    found = shown_figures(tiny_run / "results", "main")
    assert {name for _, name in found} == set(FIGURES)
    for (scan, name), places in found.items():
        if name in ("snr_tcr", "fwhm_tcr_hz", "drift_hz", "fqn"):
            assert len(places) >= 4, f"{scan} {name} stands in {places}"
    assert disagreements(found) == []


def test_the_mean_of_the_checklist_is_over_the_same_values(tiny_run):
    folder = tiny_run / "results" / "main"
    rows = read_table(folder / "sites" / "quality.tsv")
    for site in {row["site"] for row in rows}:
        items = {row["item"]: row["value"] for row in read_table(_checklist(folder, site))}
        own = [float(row["fqn"]) for row in rows if row["site"] == site]
        shown, rounding = _number(items["Goodness of fit (FQN), mean ± SD"])
        assert shown == pytest.approx(mean(own), abs=rounding)


def _checklist(folder: Path, site: str) -> Path:
    return folder / "report" / f"mrsinmrs-{site}.tsv"

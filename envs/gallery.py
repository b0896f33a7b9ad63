"""Pictures of the gallery, made where the site is built (a hook of mkdocs, see mkdocs.yml).

`FMRSFLOW_GALLERY=results mkdocs build` takes them from the results of the demo: a section of a page
as chromium shows it or, without chromium, the figure that the workflow left beside its tables.
Neither results nor pictures are part of the repository; without the variable the page has none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

PAGE = "gallery.md"

MARK = re.compile(
    r"<!-- picture: (?P<page>[\w./-]+)#(?P<id>[\w-]+) (?P<height>\d+)(?: (?P<figure>\S+))? -->"
)
"""In docs/gallery.md: page below the results, id of its section, height of the window (pixels), and
the figure that stands in for it."""

ALONE = """<style>
section:not(#{id}), header, footer, nav, .modebar {{ display: none !important }}
</style></head>"""
"""Leaves the title and one section of a page."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1100

LONGEST_S = 120
"""A section whose picture takes longer has none."""


def on_files(files, config):
    """Add the pictures to the site."""
    text = Path(config.docs_dir, PAGE).read_text()
    for mark in MARK.finditer(text) if results() else ():
        if (content := picture(mark)) is not None:
            files.append(File.generated(config, name(mark), content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Put them where the page names them."""
    if page.file.src_uri != PAGE:
        return markdown

    def shown(mark: re.Match) -> str:
        there = files.get_file_from_path(name(mark))
        return f"![{mark['id']}]({name(mark)})" if there else ""

    return MARK.sub(shown, markdown)


def results() -> Path | None:
    """Folder of results that the caller names."""
    named = os.environ.get("FMRSFLOW_GALLERY")
    return Path(named) if named else None


def name(mark: re.Match) -> str:
    """Address of a picture on the site."""
    return f"gallery/{Path(mark['page']).stem}-{mark['id']}.png"


def picture(mark: re.Match) -> bytes | None:
    """PNG of a section of a page, or of the figure that stands in for it; None without either.

    Raises
    ------
    PluginError
        The results lack it: they are not the demo's, or its run has not ended.
    """
    try:
        seen = _seen((results() / mark["page"]).read_text(), mark)
        if seen is None and mark["figure"]:
            return (results() / mark["figure"]).read_bytes()
        return seen
    except OSError as error:
        raise PluginError(f"gallery, FMRSFLOW_GALLERY={results()}: {error}") from None


def _seen(page: str, mark: re.Match) -> bytes | None:
    """As a browser shows it; None where there is none, or it does not end."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path, png = Path(folder, "page.html"), Path(folder, "seen.png")
        path.write_text(page.replace("</head>", ALONE.format(id=mark["id"]), 1))
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={folder}/profile", "--virtual-time-budget=10000"),
            *(f"--window-size={WIDTH},{mark['height']}", f"--screenshot={png}", path.as_uri()),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=LONGEST_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None
        return png.read_bytes()

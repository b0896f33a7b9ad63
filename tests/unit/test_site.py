"""The documentation as a site: examples run, plans are read, mkdocs builds it without a warning."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from fmrsflow.synthetic.plan import parse_plan

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def blocks(path: Path, language: str) -> list[str]:
    """Blocks of code of a page."""
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.DOTALL)


def pages_with(language: str) -> list:
    """Pages that hold such a block."""
    found = [path for path in PAGES if blocks(path, language)]
    return [pytest.param(path, id=str(path.relative_to(DOCS))) for path in found]


@pytest.mark.parametrize("path", pages_with("pycon"))
def test_examples_print_what_they_say(path):
    """Blocks of a page follow each other, as a reader types them."""
    text = "\n".join(blocks(path, "pycon"))
    example = doctest.DocTestParser().get_doctest(text, {}, path.name, str(path), 0)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("path", pages_with("python"))
def test_code_of_a_page_runs(path):
    for code in blocks(path, "python"):
        exec(compile(code, str(path), "exec"), {})


def plans(path: Path) -> list[str]:
    """Plans of the synthetic scanner on a page."""
    return [one for one in blocks(path, "yaml") if "\nsites:" in one and "name:" in one]


@pytest.mark.parametrize("path", [one for one in pages_with("yaml") if plans(one.values[0])])
def test_plans_of_a_page_are_read(path):
    for plan in plans(path):
        assert parse_plan(plan, path.name).sites


def sayings() -> list:
    """What the tutorials say that the program says, with the page."""
    rows = [
        (path.stem, cells[1])
        for path in sorted((DOCS / "tutorials").glob("*.md"))
        for line in path.read_text().partition("| it says |")[2].splitlines()[2:]
        if len(cells := line.split("|")) > 2
    ]
    return [(page, said) for page, cell in rows for said in re.findall(r"`([^`]{20,})`", cell)]


@pytest.fixture(scope="module")
def literals() -> str:
    """Texts of the program as they are printed, "..." for what is filled in."""
    found = [(ROOT / "run").read_text().replace("$python", "...")]
    for path in sorted((ROOT / "workflow/src/fmrsflow").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(one, "value", "...") for one in node.values]
                found.append("".join(one if isinstance(one, str) else "..." for one in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


@pytest.mark.parametrize("page, said", sayings())
def test_messages_of_the_tutorials_are_those_of_the_program(page, said, literals):
    pieces = [one for one in said.split("...") if len(one.strip(" :;,()")) > 8]
    assert pieces
    for piece in pieces:
        assert piece.strip() in literals


def documented() -> list[tuple[str, list[str]]]:
    """Modules of docs/api.md with their members."""
    found = re.findall(r"^::: (\S+)\n    options:\n((?: {6}.*\n?)*)", API, re.M)
    return [(module, yaml.safe_load(options)["members"]) for module, options in found]


API = (DOCS / "api.md").read_text()


@pytest.mark.parametrize("module, members", documented(), ids=lambda one: str(one)[:40])
def test_functions_are_there_and_say_what_they_do(module, members):
    room = importlib.import_module(module)
    for name in members:
        member = getattr(room, name)
        assert member.__module__ == module and inspect.getdoc(member), name


def test_every_room_of_a_methods_person_is_documented():
    rooms = {module.split(".")[1] for module, _ in documented()}
    assert rooms == {
        *("fids", "basis", "synthetic", "preprocess", "fit", "response", "sites", "anatomy")
    }
    assert len(documented()) == API.count("\n::: ")


PICTURE = re.compile(r"<!-- picture: \S*?([\w-]+)\.html#([\w-]+) \d+(?: \S+)? -->")
TEMPLATES = ROOT / "workflow/src/fmrsflow/report/templates"


def test_pictures_are_of_sections_of_pages():
    text = (DOCS / "gallery.md").read_text()
    found = PICTURE.findall(text)
    assert len(found) == text.count("<!--") >= 10
    for page, section in found:
        kind = {"index": "consortium", "site": "site", "sub": "scan"}[page.partition("-")[0]]
        assert f'id="{section}"' in (TEMPLATES / f"{kind}.html.j2").read_text(), (page, section)


class Links(HTMLParser):
    """Links of a page, and what in it can be linked to."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        """Note a tag's link and names."""
        given = dict(attrs)
        self.anchors |= {given.get("id"), given.get("name")}
        self.links += [given[key] for key in ("href", "src") if given.get(key)]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built by the mkdocs of envs/docs-lock.txt, which has an environment of its own: put
    its `bin` on PATH. Documents without it are held by test_docs.py."""
    if not shutil.which("mkdocs"):
        pytest.skip("no mkdocs on PATH (mkdocs.yml says how it is installed)")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        ["mkdocs", "build", "--strict", "-d", folder / "built"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "built"


@pytest.mark.slow
def test_the_site_builds_and_its_links_lead_somewhere(site):
    pages = {path: Links(path) for path in site.rglob("*.html")}
    assert len(pages) > len(PAGES)  # each document, and the page for what is not found
    dead, asked = [], []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                asked += [link] if link.endswith((".js", ".css", ".woff2")) else []
                continue
            root = site if parts.path.startswith("/") else path.parent
            target = (root / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchors = pages[target].anchors if target in pages else {parts.fragment}
            if not target.exists() or (parts.fragment and parts.fragment not in anchors):
                dead.append(f"{path.name}: {link}")
    assert dead == []
    assert asked == []  # readable without a network
    text = (site / "api.html").read_text()
    assert 'id="fmrsflow.fit.joint.fit_joint"' in text and "Fit all transients at once" in text

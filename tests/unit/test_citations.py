"""What code, settings and documents cite is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


FOLDERS = ("benchmarks", "config", "docs", "rules", "tests", "workflow")
KINDS = (".py", ".md", ".yaml", ".smk", ".j2", ".json")


def files() -> list[Path]:
    """Text files of the repository that may cite a document."""
    inside = [path for name in FOLDERS for path in sorted((ROOT / name).rglob("*"))]
    return [ROOT / "README.md", *(path for path in inside if path.suffix in KINDS)]


def anchors(document: Path) -> set[str]:
    """Anchors of a document: explicit ones, and those of its headings."""
    text = document.read_text()
    found = set(re.findall(r'<a id="([^"]+)"></a>', text))
    for heading in re.findall(r"^#+ (.+)$", text, re.M):
        found.add(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"))
    return found


def citations(path: Path) -> list[tuple[str, str]]:
    """Documents of docs/ that a file cites, with the anchor ("" where none is given)."""
    text = path.read_text()
    found = [
        (name, anchor) for name, anchor in re.findall(r"docs/([\w/-]+\.md)(?:#([\w-]+))?", text)
    ]
    if path.parent == ROOT / "docs":
        found += re.findall(r"\]\(([\w/-]+\.md)(?:#([\w-]+))?\)", text)
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_cited_document_and_anchor_exists(path):
    for name, anchor in citations(path):
        document = ROOT / "docs" / name
        assert document.is_file(), f"docs/{name} is cited and not there"
        assert not anchor or anchor in anchors(document), f"docs/{name} has no anchor {anchor}"


def test_definitions_are_cited_with_their_anchor():
    """Code that cites the definitions names the one it means."""
    for path in files():
        if path.suffix == ".py" and path.parent != Path(__file__).parent:
            assert not re.search(r"science\.md(?!#)", path.read_text()), path


def test_every_definition_has_one_anchor():
    found = re.findall(r'<a id="([^"]+)"></a>', (ROOT / "docs" / "science.md").read_text())
    assert len(found) == len(set(found)) >= 27

"""Documents: what code and settings cite is there, links lead somewhere, commands parse."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

import run as benchmarks
from fmrsflow import cli

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


DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "config").rglob("*.md")),
]

ids = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def plain(path: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)


def commands(path: Path) -> list[tuple[str, bool]]:
    """Commands of its shell blocks, and those within sentences, which may name a command without
    its arguments (True)."""
    blocks = re.findall(r"```sh\n(.*?)```", path.read_text(), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(
        r"`((?:fmrsflow|snakemake|\./run|python benchmarks/run\.py) [^`]+)`", plain(path)
    )
    found = []
    for line, mention in [*((one, False) for one in lines), *((one, True) for one in inline)]:
        line = re.sub(r"(^|\s)#.*", "", line)
        found += [(one.strip(), mention) for one in re.split(r"&&|\||;(?=\s)", line) if one.strip()]
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", plain(path)):
        if re.match(r"[a-z]+:", target):
            continue  # another site's
        name, _, anchor = target.partition("#")
        document = path.parent / name if name else path
        assert document.exists(), f"{path.name}: {target}"
        assert not anchor or anchor in anchors(document), f"{path.name}: {target}"


class Parsed(Exception):
    """A command line that a parser took."""


@pytest.fixture
def parsing(monkeypatch):
    """Parsers end where they have parsed: nothing is run."""
    parse = argparse.ArgumentParser.parse_args

    def only(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise Parsed

    def error(parser, message):
        raise SystemExit(message)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only)
    monkeypatch.setattr(argparse.ArgumentParser, "error", error)


def words_of(line: str) -> list[str]:
    """Words of a command; what a person leaves out or fills in is taken as such."""
    line = re.sub(r"\[[^\]]*\](\.\.\.)?|\.\.\.", "", line)
    return shlex.split(line.replace("$(", "(").replace("'[A,B]'", "A"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_commands_are_those_of_the_program(path, parsing):
    for line, mention in commands(path):
        words = words_of(line)
        if words[:2] in (["./run", "fmrsflow"], ["./run", "python"], ["./run", "snakemake"]):
            words = words[1:]
        if words[0] == "fmrsflow":
            check_fmrsflow(words[1:], line, mention)
        elif words[0] == "./run":
            assert re.search(rf"^    [\w| ]*\b{words[1]}\b[\w| ]*\)", RUN, re.M), line
        elif words[:2] == ["python", "benchmarks/run.py"]:
            assert words[2] in (*benchmarks.NAMES, "NAME"), line
        elif words[0] == "python":
            assert (ROOT / words[1]).exists(), line


RUN = (ROOT / "run").read_text()


LACKING = ("the following arguments are required", "expected one argument", "expected at least")


def check_fmrsflow(words: list[str], line: str, mention: bool = False) -> None:
    """A command that there is, with arguments that it takes; a mention may lack some."""
    assert words, line
    if words[0] in ("-n", "--cores", "check", "fmrsflow"):
        words = words[words[0] == "fmrsflow" :]  # of the image's entry point
        if words[0].startswith("-"):
            return
    if words[0].startswith("--") or words == ["COMMAND"]:
        return
    assert words[0] in cli.COMMANDS, line
    if words[1:] in ([], ["--help"]):
        return
    module = importlib.import_module(f"fmrsflow.stages.{words[0]}")
    try:
        module.main(words[1:])
    except Parsed:
        return
    except SystemExit as error:
        lacking = mention and any(one in str(error.code) for one in LACKING)
        assert lacking or error.code in (0, None), f"{line}: {error.code}"
        return
    pytest.fail(f"{line}: was not parsed")


def test_the_parsers_refuse_what_is_wrong(parsing, capsys):
    with pytest.raises(AssertionError):
        check_fmrsflow(["init", "study", "--bisd", "x"], "a misspelt option")
    with pytest.raises(AssertionError):
        check_fmrsflow(["index", "study"], "a command that is gone")

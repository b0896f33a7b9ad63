"""Documents: what code and settings cite is there, links lead somewhere, commands parse.

docs/settings.md and docs/commands.md are written from schemas and parsers; where these change,
`PYTHONPATH=benchmarks python tests/unit/test_docs.py` writes them anew.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

import run as benchmarks
from fmrsflow import cli
from fmrsflow.sheets import PLAIN_SECTIONS, schema
from fmrsflow.study import ANALYSIS_SETTINGS

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
    if path.name in PAGES:
        return found  # written from the parsers
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
        elif words[0] == "python" and words[1] != "-m":
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


def settings_page() -> str:
    """docs/settings.md: every key of config.yaml and every column of the sheets."""
    lines = [
        "# Settings and sheets",
        "",
        "Keys of `config/config.yaml`, then columns of the sheets.",
    ]
    lines += ["", "## Top level", "", *_table("config")]
    for section in (*ANALYSIS_SETTINGS, *PLAIN_SECTIONS):
        kind = "named settings" if section in ANALYSIS_SETTINGS else "of all analyses"
        lines += ["", f"## {section}", "", f"`{section}:`, {kind}.", "", *_table(section)]
    lines += ["", "## preregistration", ""]
    lines += ["Keys of a preregistration beside those of the configuration.", ""]
    lines += _table("preregistration")
    for sheet in ("sites", "scans", "participants"):
        lines += ["", f"## {sheet}.tsv", "", *_table(f"{sheet}_sheet")]
    return "\n".join([*lines, ""])


def _table(name: str) -> list[str]:
    lines = ["| key | default | limits | meaning |", "|---|---|---|---|"]
    if name.endswith("_sheet"):
        lines[0] = "| column | needed | limits | meaning |"
    for key, rule in schema(name).items():
        if name.endswith("_sheet"):
            second = "yes" if rule.get("required") else ""
        else:
            shown = yaml.safe_dump(rule.get("default"), default_flow_style=True, width=10**6)
            second = f"`{shown.removesuffix('...' + chr(10)).strip()}`"
        limits = ", ".join(map(str, rule.get("choices", ())))
        if "min" in rule:
            limits = f"{rule['min']} to {rule['max']}" if "max" in rule else f"from {rule['min']}"
        meaning = " ".join(rule["meaning"].split()).replace("|", ", ")
        # Other documents are named from the top of the repository.
        meaning = re.sub(r"docs/(\w+\.md)(#[\w-]+)?", r"[\1](\1\2)", meaning)
        lines.append(f"| `{key}` | {second} | {limits} | {meaning} |")
    return lines


def commands_page() -> str:
    """docs/commands.md: what each command of fmrsflow is for and takes."""
    lines = ["# Commands", "", "`fmrsflow COMMAND ...`; `--help` of each says the same."]
    for command, meaning in cli.COMMANDS.items():
        lines += ["", f"## {command}", "", f"{meaning[0].upper()}{meaning[1:]}."]
        for parser in _parsers(command):
            options = [
                one for one in parser._actions if one.help and "-h" not in one.option_strings
            ]
            usage = parser.format_usage().removeprefix("usage: ").replace(" [-h]", "")
            lines += ["", f"`{' '.join(usage.split())}`", ""]
            for one in options:
                name = ", ".join(one.option_strings) or one.metavar or one.dest
                meaning = " ".join(one.help.split()).replace("][", "]\\[")  # no link
                lines.append(f"- `{name}`: {meaning}")
    return "\n".join([*lines, ""])


def _parsers(command: str) -> list[argparse.ArgumentParser]:
    """Parsers of a command: its own, or those of its subcommands."""
    seen = []

    def parse(parser, *_):
        seen.append(parser)
        raise SystemExit

    whole, argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_args, parse
    try:
        for argv in ([], ["--analysis"]) if command == "bold" else ([],):
            with contextlib.suppress(SystemExit):
                importlib.import_module(f"fmrsflow.stages.{command}").main(argv)
    finally:
        argparse.ArgumentParser.parse_args = whole
    found = []
    for parser in seen:
        inner = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        found += list(inner[0].choices.values()) if inner else [parser]
    return found


PAGES = {"settings.md": settings_page, "commands.md": commands_page}


@pytest.mark.parametrize("name", PAGES)
def test_reference_is_that_of_the_program(name):
    mend = "run `PYTHONPATH=benchmarks python tests/unit/test_docs.py`"
    assert (ROOT / "docs" / name).read_text() == PAGES[name](), mend


def test_every_document_is_on_the_site():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = {page for part in site["nav"] for pages in part.values() for one in pages
             for page in one.values()}  # fmt: skip
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert named == there


if __name__ == "__main__":
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page())

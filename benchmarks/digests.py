"""What a change of code reruns: for a comment or docstring nothing, else what needs it."""

from __future__ import annotations

import ast
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from figure import Figure
from fmrsflow.definitions import Package
from fmrsflow.provenance import PACKAGE, roots

STAGES = ("convert", "segment", "anatomy", "basis", "preprocess", "fit", "quantify", "response")
STAGES += ("bold", "sites", "report", "demo")

SHOWN = (
    "concentration.WATER_DENSITY",
    "metabolites.SUMS",
    "fids.CARRIER_PPM",
    "constants.SIEMENS_MHZ",
    "tables.MISSING",
    "report.voxel_figure.COLOURS",
    "fit.solve.MAX_STEPS",
    "bold.fir.MAX_CONDITION",
    "sites.reml.CUT95",
)
"""Constants of the rooms in which a comment once reran 51 to 92 of the demo's 92 jobs."""

MOST_S = 0.5
"""CPU seconds for the digests of all stages, at each start of Snakemake."""


def figures(quick: bool = False) -> Iterator[Figure]:
    """Digests that change by a comment, and by a constant; what taking them costs."""
    start = time.process_time()
    before = digests(PACKAGE)
    seconds = time.process_time() - start
    yield Figure(
        "digests of all stages, CPU s where a file has changed",
        seconds,
        f"<= {MOST_S}",
        seconds <= MOST_S,
    )
    with _copy() as package:
        n_modules = comment_everywhere(package)
        changed = _changed(before, package)
    yield Figure(
        "stages rerun by a comment or docstring in any module",
        len(changed),
        "0",
        not changed,
        f"{n_modules} modules",
    )
    for name in SHOWN:
        needed = stages_that_reach(name)
        with _copy() as package:
            change_constant(package, name)
            changed = _changed(before, package)
        yield Figure(
            f"stages rerun by {name}",
            len(changed),
            f"those that reach it: {len(needed)}",
            changed == needed,
            " ".join(stage for stage in STAGES if stage in changed),
        )


def digests(package: Path) -> dict[str, str]:
    """Digest of each stage of a package, read from disk."""
    read = Package(package)
    return {stage: read.digest(*roots(stage)) for stage in STAGES}


def stages_that_reach(name: str) -> set[str]:
    """Stages of this package that can reach a constant, `module.NAME`."""
    module, _, constant = f"{PACKAGE.name}.{name}".rpartition(".")
    return {stage for stage in STAGES if (module, constant) in _reached(stage)}


def comment_everywhere(package: Path) -> int:
    """Change every docstring of every module and add a comment; number of modules."""
    paths = sorted(package.rglob("*.py"))
    for path in paths:
        lines = path.read_text().splitlines(keepends=True)
        for node in _docstrings(ast.parse("".join(lines))):
            first, last = node.lineno - 1, node.end_lineno - 1
            head = lines[first].encode()[: node.col_offset].decode()
            tail = lines[last].encode()[node.end_col_offset :].decode()
            lines[first : last + 1] = [f'{head}"another text"{tail}'] + [""] * (last - first)
        path.write_text("# a comment\n" + "".join(lines) + "\n# a comment\n")
    return len(paths)


def change_constant(package: Path, name: str) -> None:
    """Give a constant, `module.NAME`, another value."""
    *module, constant = name.split(".")
    base = package.joinpath(*module)
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    tree = ast.parse(path.read_text())
    (assign,) = (
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == constant
    )
    assign.value = ast.Constant("another value")
    path.write_text(ast.unparse(tree))


@contextmanager
def _copy() -> Iterator[Path]:
    """A copy of the package that may be changed."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / PACKAGE.name
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        yield package


def _changed(before: dict[str, str], package: Path) -> set[str]:
    after = digests(package)
    return {stage for stage in STAGES if after[stage] != before[stage]}


@cache
def _reached(stage: str) -> set[tuple[str, str]]:
    return _package().reached(*roots(stage))


@cache
def _package() -> Package:
    return Package(PACKAGE)


def _docstrings(tree: ast.Module) -> list[ast.Expr]:
    """Statements that are strings; from the last to the first, so that lines can be replaced."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return sorted(found, key=lambda node: -node.lineno)

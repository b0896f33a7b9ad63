"""Digests of code: what changes them, and which definitions a definition reaches."""

from __future__ import annotations

import pytest

from fmrsflow.definitions import ALL, ON_IMPORT, Package

STAGE = '''
"""A stage."""
import numpy as np
from pack import sums
from pack.tables import LIMIT as limit, Row


def main(values):
    """Sum of values below the limit."""
    # as the source says
    return [Row(one) for one in sums.total(values) if one < limit]
'''
SUMS = """
FACTOR = 2.0
OFFSET: float = 1.0
A, B = 1, 2
UNUSED = 5


def total(values):
    from pack.lazy import helper as wanted

    return wanted(values) * FACTOR + OFFSET + A


def other(values):
    return values
"""
TABLES = """
LIMIT = 3


class Row:
    "A row."

    value: int
    "What it holds."

    def double(self):
        return 2 * self.value


def reader():
    return LIMIT
"""
LAZY = "def helper(values): return values\n"


@pytest.fixture
def package(tmp_path):
    """A package of four modules."""
    root = tmp_path / "pack"
    root.mkdir()
    files = {"__init__": "", "stage": STAGE, "sums": SUMS, "tables": TABLES, "lazy": LAZY}
    for name, text in files.items():
        (root / f"{name}.py").write_text(text)
    return root


def digest(package) -> str:
    return Package(package).digest(("pack.stage", "main"))


def edit(package, module: str, old: str, new: str) -> None:
    path = package / f"{module}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def own(package) -> set[tuple[str, str]]:
    """What the stage reaches, without what imports execute."""
    return {key for key in Package(package).reached(("pack.stage", "main")) if key[1] != ON_IMPORT}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("stage", "as the source says", "as another source says"),
        ("stage", "Sum of values below the limit.", "Another text."),
        ("stage", '"""A stage."""\n', ""),
        ("stage", "return [Row(one) for", "return [\n        Row(one)\n        for"),
        ("sums", "* FACTOR + OFFSET", "* (FACTOR)  + OFFSET"),
        ("sums", "UNUSED = 5", "UNUSED = 6"),
        ("sums", "    return values\n", "    return None\n"),
        ("tables", '"A row."', '"""A row of a table."""'),
        ("tables", '"What it holds."', ""),
        ("tables", "def reader():", "def reader(a=1):"),
        ("lazy", "def helper(values)", "def helper(values: list) -> list"),
    ],
)
def test_what_the_stage_does_not_do_leaves_its_digest(package, module, old, new):
    before = digest(package)
    edit(package, module, old, new)
    assert digest(package) == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("stage", "one < limit", "one <= limit"),
        ("stage", "LIMIT as limit", "reader as limit"),
        ("stage", "import numpy as np", "import numpy as np\nprint()"),
        ("sums", "FACTOR = 2.0", "FACTOR = 2"),
        ("sums", "OFFSET: float = 1.0", "OFFSET: float = 1.5"),
        ("sums", "A, B = 1, 2", "A, B = 2, 2"),
        ("sums", "UNUSED = 5", "FACTOR *= 2"),
        ("sums", "UNUSED = 5", "if True:\n    FACTOR = 3"),
        ("sums", "pack.lazy import helper", "pack.tables import Row"),
        ("tables", "LIMIT = 3", "LIMIT = 4"),
        ("tables", "2 * self.value", "3 * self.value"),
        ("tables", "value: int", "value: float"),
        ("lazy", "return values", "return values[:1]"),
    ],
)
def test_what_the_stage_does_changes_its_digest(package, module, old, new):
    before = digest(package)
    edit(package, module, old, new)
    assert digest(package) != before


def test_reached_are_the_names_that_lead_on(package):
    assert own(package) == {
        ("pack.stage", "main"),
        ("pack.sums", "total"),
        ("pack.sums", "FACTOR"),
        ("pack.sums", "OFFSET"),
        ("pack.sums", "A"),
        ("pack.sums", "B"),  # bound by the same statement
        ("pack.lazy", "helper"),
        ("pack.tables", "LIMIT"),
        ("pack.tables", "Row"),
    }


def test_the_same_name_of_another_library_is_another_digest(package):
    (package / "lazy.py").write_text(
        "from scipy.signal import find as f\n\ndef helper(v): return f(v)"
    )
    before = digest(package)
    edit(package, "lazy", "scipy.signal", "numpy")
    assert digest(package) != before


@pytest.mark.parametrize(
    "body",
    [
        "getattr(sums, 'other')",
        "vars(sums)['other']",
        "importlib.import_module('pack.' + 'sums').other",
        "importlib.import_module('pack.sums').other",
        "eval('sums.other')",
    ],
)
def test_a_name_found_while_running_counts_as_all_that_it_could_be(package, body):
    edit(package, "stage", "    return [Row", f"    import importlib\n    {body}\n    return [Row")
    assert {("pack.sums", "other"), ("pack.sums", "UNUSED")} <= own(package)


def test_a_module_that_is_found_while_running_is_any_of_its_package(package):
    (package / "kinds").mkdir()
    (package / "kinds" / "one.py").write_text("VALUE = 1")
    call = "import_module(f'pack.kinds.{values}').VALUE"
    edit(package, "stage", "import numpy as np", "from importlib import import_module")
    edit(package, "stage", "return [Row", f"return {call}, [Row")
    assert ("pack.kinds.one", "VALUE") in own(package)
    assert ("pack.sums", "other") not in own(package)


def test_a_name_that_a_module_hands_on_is_followed(package):
    (package / "__init__.py").write_text("from pack.sums import other\n")
    edit(package, "stage", "import numpy as np", "import pack\nfrom pack import other")
    edit(package, "stage", "return [Row", "return pack.other, [Row")
    assert ("pack.sums", "other") in own(package)


def test_an_import_below_a_condition_is_followed(package):
    conditional = "try:\n    from pack.sums import other\nexcept ImportError:\n    other = None"
    edit(package, "stage", "import numpy as np", conditional)
    edit(package, "stage", "return [Row", "return other, [Row")
    assert ("pack.sums", "other") in own(package)


def test_what_an_import_executes_counts(package):
    """A definition that registers itself is used, though nobody names it."""
    edit(package, "sums", "UNUSED = 5", "KNOWN = {}\n\ndef known(f): KNOWN[f.__name__] = f")
    edit(package, "sums", "def other", "@known\ndef other")
    before = digest(package)
    edit(package, "sums", "return values\n", "return values[0]\n")
    assert digest(package) != before


def test_tables_beside_a_module_that_reads_files_count(package):
    (package / "lists").mkdir()
    for name in ("limits.tsv", "lists/names.txt"):
        (package / name).write_text("1")
    plain = digest(package)
    edit(package, "lazy", "return values", "return open(__file__)")
    for name in ("limits.tsv", "lists/names.txt"):
        before = digest(package)
        (package / name).write_text("2")
        assert digest(package) not in (before, plain)


def test_everything_in_a_module_can_be_reached(package):
    reached = Package(package).reached(("pack.tables", ALL))
    assert {("pack.tables", "reader"), ("pack.tables", "Row")} <= reached


def test_a_definition_that_does_not_exist_is_an_error(package):
    with pytest.raises(LookupError, match="no nothing in a module pack.stage"):
        Package(package).digest(("pack.stage", "nothing"))

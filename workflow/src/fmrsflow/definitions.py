"""What code means, and which of it a function can reach: digests that no comment changes.

A module is taken apart into its definitions at top level: functions, classes, constants. The names
in the syntax tree of one lead to those that it can use, and these to further ones. Their digest is
that of their syntax trees, so without comments, docstrings and layout.

What is reached is too much rather than too little. A local variable that has the name of a
definition counts as a use of it; a module that is handed on, or a name that is found while running
(`DYNAMIC`), as a use of all that is in it. Statements that bind no plain name, and definitions with
a decorator of this package, count for everybody who imports their module. Assumed is that making a
constant does nothing else. `test_definitions.py` runs the stages and looks for calls of a
definition that was not reached.
"""

from __future__ import annotations

import ast
import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ON_IMPORT = "(import)"
"""Stands for the statements of a module that its import executes, besides its definitions."""

ALL = "(all)"
"""Stands for everything in a module."""

DYNAMIC = {
    *(("__import__",), ("eval",), ("exec",), ("globals",), ("import_module",)),
    ("importlib", "import_module"),
}
"""By these a function can reach any definition."""

Key = tuple[str, str]
"""A definition: name of its module, and its own there."""


@dataclass
class Module:
    """Top level of a module, by the names that it binds."""

    path: Path
    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, tuple[str, ...]]


@dataclass
class Part:
    """A definition: digest of its syntax tree, the definitions and the files that it uses."""

    digest: bytes
    uses: set[Key]
    files: set[Path] = field(default_factory=set)


class Package:
    """A package on disk, of which every module is parsed and every definition read but once.

    Parameters
    ----------
    root : Path
        Its folder.
    """

    def __init__(self, root: Path):
        self.root = root
        self.module = cache(self._module)
        self.part = cache(self._part)

    def digest(self, *roots: Key) -> str:
        """Twelve digits of all that these definitions can reach, tables and templates included."""
        digest, files = hashlib.sha256(), set()
        for key in sorted(self.reached(*roots)):
            part = self.part(*key)
            digest.update(part.digest)
            files |= part.files
        for path in sorted(files):
            digest.update(str(path.relative_to(self.root)).encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    def reached(self, *roots: Key) -> set[Key]:
        """These definitions and all that they can reach.

        Raises
        ------
        LookupError
            One of `roots` does not exist.
        """
        for module, name in roots:
            if name not in getattr(self.module(module), "definitions", ()):
                raise LookupError(f"no {name} in a module {module} of {self.root}")
        waiting, seen = list(roots), set()
        with _no_collection():
            while waiting:
                key = waiting.pop()
                if key not in seen:
                    seen.add(key)
                    waiting += self.part(*key).uses
        return seen

    def names(self) -> list[str]:
        """Name of every module."""
        paths = (path.relative_to(self.root.parent) for path in self.root.rglob("*.py"))
        return sorted(".".join(p.with_suffix("").parts).removesuffix(".__init__") for p in paths)

    def _module(self, name: str) -> Module | None:
        """A module by its dotted name; None where this package has none of that name."""
        first, *others = name.split(".")
        if first != self.root.name or not all(one.isidentifier() for one in others):
            return None
        base = self.root.joinpath(*others)
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return self._sorted(path)
        return None

    def _sorted(self, path: Path) -> Module:
        module = Module(path, {ON_IMPORT: [], ALL: []}, {})
        for statement in ast.parse(path.read_bytes(), str(path)).body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                module.imports |= _bindings(statement)
                continue
            names = _bound(statement)
            if not names:  # such as `try: import ...`
                for node in ast.walk(statement):
                    if isinstance(node, (ast.Import, ast.ImportFrom)):
                        module.imports |= _bindings(node)
            if not names or any(
                one in module.definitions or module.imports.get(one, "?")[0] == self.root.name
                for one in _decorators(statement)
            ):
                names = [*names, ON_IMPORT]
            for name in names:
                module.definitions.setdefault(name, []).append(statement)
        return module

    def _part(self, module_name: str, name: str) -> Part:
        module = self.module(module_name)
        if name == ALL:
            uses = {(module_name, one) for one in module.definitions if one != ALL}
            return Part(b"", uses.union(*map(self._use, module.imports.values())))
        tree = Tree()
        for statement in module.definitions[name]:
            tree.add(statement)
        imports = module.imports | tree.imports
        executed = module.imports if name == ON_IMPORT else tree.imports
        part = Part(b"", {(module_name, ON_IMPORT)})
        for target in executed.values():
            part.uses.update(self._entered(target))
        meant = set()
        for own, *attribute in tree.names:
            if own in imports:
                meant.add((own, imports[own]))
                part.uses |= self._use(imports[own], *attribute)
            elif own in module.definitions:
                part.uses.add((module_name, own))
            elif own == "__file__":
                part.files |= _beside(module.path)
        prefixes = tree.prefixes | ({""} if tree.names & DYNAMIC else set())
        for prefix in prefixes:
            part.uses |= {(one, ALL) for one in self.names() if one.startswith(prefix)}
        for text in tree.texts:
            if text.startswith(self.root.name) and (named := self.module(text)):
                part.uses.add((text, ALL))
                part.files |= _beside(named.path)
        content = "\n".join([module_name, name, *map(repr, sorted(meant)), *tree.content])
        part.digest = hashlib.sha256(content.encode(errors="surrogatepass")).digest()
        return part

    def _use(self, target: tuple[str, ...], attribute: str | None = None) -> set[Key]:
        """Definitions behind an imported name, or behind an attribute of it."""
        if target[0] != self.root.name:
            return set()
        path = ".".join(target)
        module = self.module(path)
        if module is None:  # a name in a module; what is an attribute of that is part of it
            return self._use(target[:-1], target[-1])
        if attribute in module.definitions:
            return {(path, attribute)}
        if attribute in module.imports:
            return self._use(module.imports[attribute])
        inner = f"{path}.{attribute}"
        return {(inner if attribute and self.module(inner) else path, ALL)}

    def _entered(self, target: tuple[str, ...]) -> Iterator[Key]:
        """What an import executes: its module, and the packages that hold it."""
        for n in range(1, len(target) + 1):
            if self.module(path := ".".join(target[:n])):
                yield path, ON_IMPORT


@dataclass
class Tree:
    """Syntax trees as text, and the names in them.

    `names` are (name,), or (name, attribute) where one is asked of it; `texts` all strings;
    `prefixes` what the name of a module begins with that is imported while running.
    """

    content: list[str] = field(default_factory=list)
    names: set[tuple[str, ...]] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    prefixes: set[str] = field(default_factory=set)
    imports: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, node: ast.AST | str | int | None) -> None:
        """Write a node and what is below it, in the order of the tree."""
        kind = type(node)
        if kind is ast.Name:
            self.names.add((node.id,))
            self.content.append(node.id)
        elif kind is ast.Constant:
            if type(node.value) is str:
                self.texts.add(node.value)
            self.content.append(f"={node.value!r}")
        elif kind is ast.Attribute and type(node.value) is ast.Name:
            self.names.add((node.value.id, node.attr))
            self.content.append(f"{node.value.id}.{node.attr}")
        elif kind is ast.Call and (prefix := _imported(node)):
            self.prefixes.add(prefix)
            self.content.append("import_module")
            self.add(node.args[0])
        elif kind in (str, int, type(None)):
            self.content.append(repr(node))
        elif kind in (ast.Import, ast.ImportFrom):
            self.imports |= _bindings(node)
        elif not _is_docstring(node):
            self.content.append(kind.__name__)
            for name in _fields(kind):
                value = getattr(node, name)
                if type(value) is list:
                    self.content.append("[")
                    for one in value:
                        self.add(one)
                    self.content.append("]")
                else:
                    self.add(value)


WITHOUT_MEANING = {"ctx", "kind", "type_comment", "annotation", "returns"}
"""Fields of a node that follow from others, or that nothing looks at when a function runs."""


@cache
def _fields(kind: type) -> tuple[str, ...]:
    """Fields of a kind of node that say what it does, those of Python 3.11 in every version."""
    dataclass_field = {"annotation"} if kind is ast.AnnAssign else set()
    left_out = WITHOUT_MEANING - dataclass_field | {"type_params"}
    return tuple(name for name in kind._fields if name not in left_out)


def _imported(call: ast.Call) -> str | None:
    """How the name begins in `import_module(f"package.{name}")`; None for any other call."""
    if getattr(call.func, "id", getattr(call.func, "attr", None)) != "import_module":
        return None
    if len(call.args) != 1 or call.keywords or not isinstance(call.args[0], ast.JoinedStr):
        return None
    first = call.args[0].values[0]
    return first.value if isinstance(first, ast.Constant) else None


def _is_docstring(node: ast.AST) -> bool:
    """Whether a statement is a string, below a definition or wherever."""
    return (
        type(node) is ast.Expr
        and type(node.value) is ast.Constant
        and isinstance(node.value.value, str)
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: it takes a third of the time, and syntax trees hold no garbage."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _bindings(statement: ast.Import | ast.ImportFrom) -> dict[str, tuple[str, ...]]:
    """Name -> what an import binds it to: parts of the dotted name."""
    if isinstance(statement, ast.Import):
        return {
            one.asname or one.name.split(".")[0]: tuple(
                one.name.split(".") if one.asname else one.name.split(".")[:1]
            )
            for one in statement.names
        }
    return {
        one.asname or one.name: (*statement.module.split("."), one.name) for one in statement.names
    }


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a definition binds; none for any other statement."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return []
    plain = [
        one
        for target in targets
        for one in (target.elts if isinstance(target, ast.Tuple) else [target])
    ]
    names = [one.id for one in plain if isinstance(one, ast.Name)]
    return names if len(names) == len(plain) else []


def _decorators(statement: ast.stmt) -> set[str]:
    """Plain names in the decorators of a definition."""
    nodes = (n for one in getattr(statement, "decorator_list", ()) for n in ast.walk(one))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _beside(path: Path) -> set[Path]:
    """Tables, templates and the like in the folder of a module, not those of packages below."""
    found = set()
    for file in path.parent.rglob("*"):
        folders = (one for one in file.parents if path.parent in one.parents)
        if (
            file.is_file()
            and file.suffix not in (".py", ".pyc")
            and not {one[0] for one in file.relative_to(path.parent).parts} & {".", "_"}
            and not any((one / "__init__.py").is_file() for one in folders)
        ):
            found.add(file)
    return found

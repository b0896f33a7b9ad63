"""Literal assignments of a MATLAB script, without running it.

What a script computes, chooses in a branch or repeats in a loop is not known; it is listed as such,
and a literal that such a statement may change is none any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

OPENING = {"if", "for", "while", "switch", "try", "parfor", "function", "spmd"}
UNKNOWN = object()

_TOKEN = re.compile(
    r"""(?P<continued>\.\.\.[^\n]*(?:\n|$))
    |(?P<block>^[ \t]*%\{[ \t]*$.*?^[ \t]*%\}[ \t]*$)
    |(?P<comment>%[^\n]*)
    |(?P<string>"(?:[^"\n]|"")*"|(?<![\w)\]}.'])'(?:[^'\n]|'')*')
    |(?P<open>[(\[{])|(?P<close>[)\]}])
    |(?P<end>[;,\n])
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_ASSIGNED = re.compile(
    r"(?P<name>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)\s*(?P<index>[({][^)}=]*[)}])?\s*=(?!=)(?P<value>.*)",
    re.DOTALL,
)
_VALUE = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\n]|'')*'|"(?:[^"\n]|"")*")
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.(])
    |(?P<word>true|false)\b
    |(?P<mark>[\[\]{},;\n]))[ \t\r]*""",
    re.VERBOSE,
)
_DEEPEST = 20


@dataclass
class Script:
    """What a script assigns.

    Attributes
    ----------
    values : dict
        Name -> number, bool, str or list.
    unknown : dict
        Name -> why its value is not known.
    """

    values: dict[str, object] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


def read_script(text: str) -> Script:
    """Assignments of a script in their order; the last one counts."""
    found = Script()
    depth = 0
    for statement in _statements(text.replace("\r\n", "\n").replace("\r", "\n")):
        word = re.match(r"[A-Za-z]\w*", statement)
        if word and word[0] in OPENING:
            depth += 1
        elif statement == "end" or re.match(r"end\w*$", statement):
            depth = max(0, depth - 1)
        elif word and word[0] in ("clear", "clearvars"):
            for name in statement.split()[1:] or list(found.values):
                _forget(found, name)
        elif match := _ASSIGNED.match(statement):
            _assign(found, match, depth)
    return found


def _assign(found: Script, match: re.Match, depth: int) -> None:
    name, index = match["name"], match["index"]
    value = _literal(match["value"])
    if depth:
        reason = "assigned in a branch or a loop"
    elif value is UNKNOWN:
        reason = "made by MATLAB code"
    else:
        place = re.fullmatch(r"[({]\s*(\d+)\s*[)}]", index or "(1)")
        reason = "" if place and name not in found.unknown else "assigned in part by MATLAB code"
    if reason:
        _forget(found, name)
        found.unknown[name] = reason
    elif index is None:
        _forget(found, name)
        found.values[name] = value
    else:
        _put(found, name, int(place[1]), index[0], value)


def _put(found: Script, name: str, place: int, bracket: str, value) -> None:
    """`name{1} = value`, `name(1) = {value}`."""
    if bracket == "(" and isinstance(value, list) and len(value) == 1:
        (value,) = value
    entries = found.values.setdefault(name, [])
    if not isinstance(entries, list) or not 1 <= place <= len(entries) + 1:
        _forget(found, name)
        found.unknown[name] = "assigned in part"
    elif place == len(entries) + 1:
        entries.append(value)
    else:
        entries[place - 1] = value


def _forget(found: Script, name: str) -> None:
    """A name and the fields below it."""
    for held in (found.values, found.unknown):
        for other in [one for one in held if one == name or one.startswith(f"{name}.")]:
            del held[other]


def _statements(text: str) -> Iterator[str]:
    own: list[str] = []
    depth = 0
    for token in _TOKEN.finditer(text):
        kind, word = token.lastgroup, token[0]
        if kind in ("comment", "block"):
            continue
        if kind == "continued":
            word = " "
        depth += (kind == "open") - (kind == "close")
        if kind == "end" and depth <= 0:
            depth = 0
            if statement := "".join(own).strip():
                yield statement
            own = []
        else:
            own.append(word)
    if statement := "".join(own).strip():
        yield statement


def _literal(text: str):
    """The value of a literal; `UNKNOWN` where the text is none."""
    tokens, place = [], 0
    text = text.strip()
    while place < len(text):
        match = _VALUE.match(text, place)
        if match is None:
            return UNKNOWN
        tokens.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    try:
        value, rest = _parse(tokens, 0, 0)
    except ValueError:
        return UNKNOWN
    return value if rest == len(tokens) else UNKNOWN


def _parse(tokens: list[tuple[str, str]], place: int, depth: int):
    """A value from a place on, and the place after it; ValueError where there is none."""
    if place >= len(tokens) or depth > _DEEPEST:
        raise ValueError
    kind, word = tokens[place]
    if kind == "string":
        return word[1:-1].replace(2 * word[0], word[0]), place + 1
    if kind == "number":
        return float(word) if re.search(r"[.eE]", word) else int(word), place + 1
    if kind == "word":
        return word == "true", place + 1
    if word not in "[{":
        raise ValueError
    close = {"[": "]", "{": "}"}[word]
    found, place = [], place + 1
    while place < len(tokens) and tokens[place] != ("mark", close):
        if tokens[place] in (("mark", ","), ("mark", ";"), ("mark", "\n")):
            place += 1
            continue
        value, place = _parse(tokens, place, depth + 1)
        if word == "[" and isinstance(value, str):
            raise ValueError  # letters joined
        found.append(value)
    if place >= len(tokens):
        raise ValueError
    return found, place + 1

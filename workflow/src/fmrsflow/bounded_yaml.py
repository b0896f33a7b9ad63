"""YAML that somebody else wrote, in bounded time and memory.

An alias stands for all that its anchor holds, and a merge (`<<`) copies it: thirty lines can ask
for more values than a machine has. So the document is composed, which costs what its text costs,
its values are counted with every alias written out, and only then are they made.
"""

from __future__ import annotations

import yaml

MOST_LETTERS = 1 << 18
"""Letters of a document; config.yaml with every comment has 14,000."""

MOST_VALUES = 100_000
"""Values with aliases written out; config.yaml has 300."""

MOST_DIGITS = 64
"""Letters of a whole number; one in hexadecimal or in sixties may have more digits than Python
writes out."""

DEEPEST = 50
"""Levels of tables and lists in each other."""


class _Loader(yaml.SafeLoader):
    """Stops at a depth: each open bracket is looked at again for each letter that follows."""

    depth = 0

    def compose_node(self, parent, index):
        """A node and what is below it."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def load(text: str):
    """The document as Python's own types.

    Raises
    ------
    ValueError
        No YAML, or more of it than settings can be; the message is one short line.
    """
    if len(text) > MOST_LETTERS:
        raise ValueError(f"{len(text)} letters are no settings (limit {MOST_LETTERS})")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:500]) from None
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Values below a node; an alias is the node of its anchor, so each is counted once."""
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise ValueError("an alias stands within its own anchor")
        return found
    if node.tag == "tag:yaml.org,2002:int" and len(node.value) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(node.value)} letters is no setting")
    known[id(node)] = None
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [one for pair in node.value for one in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    total = 1 + sum(_count(one, known) for one in children)
    if total > MOST_VALUES:
        raise ValueError(f"its aliases stand for more than {MOST_VALUES} values")
    known[id(node)] = total
    return total

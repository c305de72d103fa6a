"""Values that know where they were written, so that every error can name its file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Scalar = str | int | float | bool | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]
PathKeys = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Origin:
    """The place where a value was written: a file with line and column (from 1), or `--set a.b=c` without them."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """A located value.

    Args:
        value: A scalar, a list of nodes, or a mapping of nodes.
        origin: Where it was written; for an entry of a mapping the place of its key.
    """

    value: Scalar | list[Node] | dict[str, Node]
    origin: Origin

    def plain(self) -> Plain:
        """Returns the value without origins."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def entries(self) -> dict[str, Node]:
        """Returns the entries of a mapping; of anything else, none."""
        return self.value if isinstance(self.value, dict) else {}

    def get(self, *keys: str | int) -> Node | None:
        """Returns the node at a path, or None where there is none."""
        *_, (depth, node) = self.walk(keys)
        return node if depth == len(keys) else None

    def origin_of(self, keys: PathKeys) -> Origin:
        """Returns the origin of the deepest node that exists on the way to a path."""
        *_, (_, node) = self.walk(keys)
        return node.origin

    def walk(self, keys: PathKeys) -> Iterator[tuple[int, Node]]:
        """Yields (depth, node) from here down a path, as far as it exists."""
        node: Node = self
        yield 0, node
        for depth, key in enumerate(keys, start=1):
            if isinstance(node.value, dict) and key in node.value:
                node = node.value[str(key)]
            elif isinstance(node.value, list) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
            else:
                return
            yield depth, node

    def without(self, *keys: str) -> Node:
        """Returns a mapping without some of its entries."""
        return Node({k: v for k, v in self.entries().items() if k not in keys}, self.origin)


def dotted(keys: PathKeys) -> str:
    """Returns a path as it is written: `model.projector.use`."""
    return ".".join(str(key) for key in keys)


def from_plain(value: Plain, origin: Origin) -> Node:
    """Returns plain data as a located value, `origin` throughout."""
    if isinstance(value, dict):
        return Node({key: from_plain(child, origin) for key, child in value.items()}, origin)
    if isinstance(value, list):
        return Node([from_plain(child, origin) for child in value], origin)
    return Node(value, origin)

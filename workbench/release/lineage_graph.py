"""The parts of a lineage: things, and what was made from what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Node:
    """One thing; ``facts`` are shown when it is clicked or hovered."""

    id: str
    kind: str
    label: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Edge:
    """``to`` was made from ``start``."""

    start: str
    to: str


class Linked(Protocol):
    """What a drawing needs of a graph."""

    nodes: dict[str, Node]
    edges: list[Edge]

    def ancestors(self, id: str) -> list[Node]:
        """Everything a node was made from, nearest first."""

    def descendants(self, id: str) -> list[Node]:
        """Everything that was made from a node, nearest first."""

"""How a room hands out its widget without knowing Jupyter: by the widget's name, when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any, Protocol


class Widget(Protocol):
    """What every widget of :mod:`workbench.widgets` can do; as a cell's last value it is drawn."""

    def static_html(self) -> str:
        """The view as it stands, for exported pages and wherever no widget can run."""

    def close(self) -> None:
        """Stop its work and take it off the page."""


class Player(Widget, Protocol):
    """A widget that recognizes in the background."""

    def wait(self, timeout_s: float = 120.0) -> Player:
        """Return when every transcript is there."""


class PlanView(Widget, Protocol):
    """What was understood of a source; ``corpus`` once it was imported from the page."""

    plan: Any
    corpus: Any


def view(module: str) -> Any:
    """The module ``workbench.widgets.MODULE``: ``view("board").Board(corpus)``."""
    return importlib.import_module(f"workbench.widgets.{module}")

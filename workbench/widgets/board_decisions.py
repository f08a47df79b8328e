"""A decision that the browser asks the board for, made in the corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.errors import WorkbenchError
from workbench.widgets.board_surroundings import checked_move
from workbench.widgets.board_view import BoardView

CONTESTED = {
    "accept": ("status",),
    "reject": ("status",),
    "reopen": ("status",),
    "move": ("offset", "duration"),
}
"""What a decision is about: somebody else's word on the same is asked about first. An edit: its field."""


def contested(action: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that a decision is about; empty where no other's word is in its way."""
    if action == "edit":
        field = str(body["field"])
        return (field, "status") if field == "text" and "seconds" in body else (field,)
    return CONTESTED.get(action, ())


def decide(view: BoardView, action: str, clip: str, body: Mapping[str, Any]) -> list[int]:
    """Make a decision; returns its events.

    Args:
        view: what the board shows. action, clip, body: as the browser has them.

    Raises:
        WorkbenchError: no such action, or one that the corpus refuses.
    """
    if action not in _ACTIONS:
        raise WorkbenchError(f"unknown decision {action[:40]!r}")
    made = _ACTIONS[action](view, clip, body)
    return made if isinstance(made, list) else [made]


def _seconds(body: Mapping[str, Any]) -> float:
    """Seconds that the browser counted; what is no such number counts as none."""
    try:
        seconds = float(body.get("seconds") or 0.0)
    except (TypeError, ValueError):
        return 0.0
    return seconds if 0 <= seconds < 86_400 else 0.0


def _accept(view: BoardView, clip: str, body: Mapping[str, Any]) -> int | list[int]:
    if view.drafts is not None and view.drafts.waits(view.corpus.row(clip)):
        return view.drafts.reference("accept", clip, None, _seconds(body))
    return view.corpus.decisions.accept(clip, reviewer=view.reviewer)


def _edit(view: BoardView, clip: str, body: Mapping[str, Any]) -> int | list[int]:
    value = body.get("value")
    value = None if value is None else str(value)
    if body["field"] == "text" and view.drafts is not None and view.drafts.drafts.holds(clip):
        return view.drafts.reference("edit", clip, value, _seconds(body))
    return view.corpus.decisions.edit(clip, str(body["field"]), value, reviewer=view.reviewer)


def _move(view: BoardView, clip: str, body: Mapping[str, Any]) -> list[int]:
    stretch = checked_move(view.corpus, clip, float(body["offset"]), float(body["duration"]))
    return view.corpus.decisions.edit_together(clip, stretch, reviewer=view.reviewer)


def _resolve(view: BoardView, clip: str, body: Mapping[str, Any]) -> int:
    field, reason = str(body["field"]), body.get("reason")
    view.opinions.check_settling(clip, field, body.get("value"))
    return view.corpus.decisions.resolve(
        clip, field, body.get("value"), reason and str(reason), reviewer=view.reviewer
    )


def _reject(view: BoardView, clip: str, body: Mapping[str, Any]) -> int:
    return view.corpus.decisions.reject(clip, str(body.get("reason") or ""), reviewer=view.reviewer)


_ACTIONS: dict[str, Callable[[BoardView, str, Mapping[str, Any]], int | list[int]]] = {
    "accept": _accept,
    "reject": _reject,
    "reopen": lambda view, clip, _: view.corpus.decisions.reopen(clip, reviewer=view.reviewer),
    "edit": _edit,
    "move": _move,
    "resolve": _resolve,
    "tag": lambda view, clip, body: view.corpus.decisions.tag(
        clip, str(body["value"]), reviewer=view.reviewer
    ),
    "untag": lambda view, clip, body: view.corpus.decisions.untag(
        clip, str(body["value"]), reviewer=view.reviewer
    ),
}

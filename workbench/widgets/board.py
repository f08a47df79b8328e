"""The board: work through a corpus in the notebook with the keyboard; a decision is saved as it is made.

The table is our own small grid: a page of rows at a time from the kernel, each with live decisions, a text
direction of its own and a place in the accessibility tree. quak, itables and ipydatagrid were measured and
judged for it: ``docs/architecture.md``.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.locales import LOCALES
from workbench.signatures import public
from workbench.widgets import assets
from workbench.widgets.audio import AudioAnswers
from workbench.widgets.board_static import board_html
from workbench.widgets.board_view import BoardView, Query
from workbench.widgets.channel import LiveWidget, answers

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus

log = logging.getLogger("workbench.widgets")
SAMPLE_RATE = 16_000


@public
class Board(AudioAnswers, LiveWidget):
    """A live view of a corpus: table, filters, player, transcript, findings and decisions.

    Args:
        corpus: what to work through; a filtered one (``c.where(…)``) shows its rows only.
        findings: result of ``corpus.checks.run_checks``; left out, the checks run in the background.
        predictions: of a model on these clips, whose doubts count in what deserves ears first: a table, or
            the name of one of the corpus; left out, the newest that it has.
        reviewer: whose decisions these are; the current user by default.
        order_by: a column, ``"priority"`` (what deserves ears first) or nothing for the source's order.
    """

    _esm = assets.module("board.js")
    _css = assets.style("board.css")

    def __init__(
        self,
        corpus: Corpus,
        *,
        findings: pd.DataFrame | None = None,
        predictions: pd.DataFrame | str | None = None,
        reviewer: str | None = None,
        order_by: str = "",
    ) -> None:
        from workbench.names import current_user

        self.corpus = corpus
        self.reviewer = reviewer or current_user()
        self.view = BoardView(corpus, self.reviewer)
        self._ui: dict[str, Any] = {}
        super().__init__()
        self._predictions = predictions_of(corpus, predictions)
        if findings is not None:
            self.view.take_findings(findings)
            self._take_predictions()
        if order_by:
            self.view.ask(Query(order_by=order_by))
        if findings is None:
            self.run_in_lane("checks", self._run_checks)

    def static_html(self) -> str:
        return board_html(self.corpus.name, self.view)

    def load_audio(self, key: str) -> tuple[NDArray[np.float32], int]:
        return self.corpus.audio(key, sample_rate=SAMPLE_RATE), SAMPLE_RATE

    @answers("open")
    def _open(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """All a new view needs. ``remembered``: what the browser knows from before a kernel restart."""
        remembered = body.get("remembered") or {}
        if remembered and not self._ui:
            self._ui = dict(remembered.get("ui") or {})
            try:
                self.view.ask(Query.from_json(remembered.get("query") or {}))
            except WorkbenchError:
                log.debug("a remembered filter no longer works; the board opens without it")
        self.view.catch_up()
        folder = hashlib.sha256(str(self.corpus.folder).encode()).hexdigest()[:16]
        return self._summary() | {
            "name": self.corpus.name,
            "memory_key": folder,
            "reviewer": self.reviewer,
            "columns": list(self.corpus.columns),
            "locales": list(LOCALES),
            "ui": self._ui,
            "place": self.view.place_of(str(self._ui.get("selected") or "")),
        }

    @answers("query")
    def _query(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        self.view.ask(Query.from_json(body.get("query") or {}))
        return self._summary() | {"place": self.view.place_of(str(body.get("selected") or ""))}

    @answers("bars")
    def _bars(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """What the bars show after decisions; the view itself stays."""
        return {"facets": self.view.facets(), "pending": len(self.view.pending_ids())}

    @answers("rows")
    def _rows(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        return {"rows": self.view.rows(int(body["offset"]), int(body["limit"]))}

    @answers("details")
    def _details(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        return self.view.details(str(body["id"]))

    @answers("next")
    def _next(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        step = 1 if int(body.get("step", 1)) > 0 else -1
        return {"place": self.view.next_place(int(body["place"]), step, pending=bool(body.get("pending")))}

    @answers("remember")
    def _remember(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Keep what a view wants back after the page is loaded anew."""
        self._ui = self._ui | {str(key)[:40]: value for key, value in body.items()}
        return {}

    @answers("decide", lane="decide")
    def _decide(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Make one decision. The answer comes once it is on disk, with the row as it then stands.

        ``place``: where the reviewer goes on from; the next undecided clip then comes along, so that it is
        on screen without two more questions.
        """
        decisions, who = self.corpus.decisions, self.reviewer
        action, clip = str(body["action"]), str(body["id"])
        if action == "accept":
            decisions.accept(clip, reviewer=who)
        elif action == "reject":
            decisions.reject(clip, str(body.get("reason") or ""), reviewer=who)
        elif action == "reopen":
            decisions.reopen(clip, reviewer=who)
        elif action == "edit":
            value = body.get("value")
            decisions.edit(clip, str(body["field"]), None if value is None else str(value), reviewer=who)
        elif action == "resolve":
            field, reason = str(body["field"]), body.get("reason")
            decisions.resolve(clip, field, body.get("value"), reason and str(reason), reviewer=who)
        elif action == "tag":
            decisions.tag(clip, str(body["value"]), reviewer=who)
        elif action == "untag":
            decisions.untag(clip, str(body["value"]), reviewer=who)
        else:
            raise WorkbenchError(f"unknown decision {action[:40]!r}")
        row = self.view.details(clip)
        answer = self._changed([clip], row) | {"row": row}
        if body.get("place") is not None:
            answer["next"] = after = self.view.next_place(int(body["place"]))
            answer["next_row"] = None if after is None else self.view.details(self.view.clip_at(after))
        return answer

    @answers("undo", lane="decide")
    def _undo(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Take back (or, with ``redo``, bring back) this reviewer's latest decision.

        ``row``: as it then stands, where one clip was decided, so that nothing else need be read again.
        """
        decisions = self.corpus.decisions
        switch = decisions.redo if body.get("redo") else decisions.undo
        event = switch(reviewer=self.reviewer)
        if event is None:
            return self._changed([]) | {"event": None}
        clips = decisions.clips_of(event.seq)
        first = clips[0] if clips else ""
        found = {"action": event.action, "field": event.field, "value": event.value, "clips": event.clips}
        row = self.view.details(first) if len(clips) == 1 and first in self.view.table.number else None
        return self._changed(clips, row) | {
            "event": found, "id": first, "place": self.view.place_of(first), "row": row
        }  # fmt: skip

    @answers("bulk", lane="decide")
    def _bulk(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Decide on every undecided clip of the view at once, as one decision that undo takes back whole."""
        clips = self.view.pending_ids()
        if len(clips) != int(body["expected"]):
            raise WorkbenchError(
                f"{len(clips):,} clips would be decided, not {int(body['expected']):,}", hint="Look again."
            )
        decisions, who, sql = self.corpus.decisions, self.reviewer, self.view.query.sql
        if body["action"] == "accept":
            decisions.accept(clips, reviewer=who, filter=sql)
        else:
            decisions.reject(clips, str(body.get("reason") or ""), reviewer=who, filter=sql)
        return self._changed(clips) | {"clips": len(clips)}

    @answers("sync", lane="decide")
    def _sync(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Decisions made elsewhere since the last look: another notebook, another reviewer."""
        clips = self.view.catch_up()
        if not clips:
            return {"clips": []}
        return {"clips": clips[:1000], "progress": self.view.table.progress()}

    def _changed(self, clips: list[str], row: dict[str, Any] | None = None) -> dict[str, Any]:
        """What has changed; ``row``: of the one clip, where it was just read."""
        self.view.catch_up(known={clips[0]: row} if row else None)
        return {"clips": clips[:1000], "progress": self.view.table.progress()}

    def _summary(self) -> dict[str, Any]:
        view = self.view
        return {
            "total": len(view),
            "minutes": view.minutes,
            "spent": view.spent,
            "pending": len(view.pending_ids()),
            "all": len(view.table),
            "query": view.query.to_json(),
            "facets": view.facets(),
            "progress": view.table.progress(),
            "findings_known": view.findings_known,
            "not_run": view.not_run,
        }

    def _take_predictions(self) -> None:
        if self._predictions is not None:
            self.view.take_predictions(self._predictions)

    def _run_checks(self) -> None:
        from workbench.corpus.quality.checks import run_checks

        try:
            self._take_predictions()
            self.view.take_findings(run_checks(self.corpus, predictions=self._predictions))
        except Exception as error:
            log.exception("the checks failed")
            self.push("checks", {"error": f"{type(error).__name__}: {error}"[:300]})
        else:
            self.push("checks", {"facets": self.view.facets(), "not_run": self.view.not_run})


def predictions_of(corpus: Corpus, given: pd.DataFrame | str | None) -> pd.DataFrame | None:
    """Predictions as a table: those given, those of a name, or the newest of a corpus that has any.

    Raises:
        WorkbenchError: the corpus has none of that name.
    """
    if given is not None and not isinstance(given, str):
        return given
    import pandas as pd

    folder = corpus.folder / "predictions"
    found = sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    if given is not None:
        named = [path for path in found if path.stem == given]
        if not named:
            known = ", ".join(path.stem for path in found) or "none yet"
            raise WorkbenchError(
                f"no prediction {given[:40]!r}", where=corpus.name, hint=f"There is {known}."
            )
        found = named
    columns = ["id", "hypothesis", "detected_lang", "confidence"]
    return pd.read_parquet(found[-1], columns=columns) if found else None

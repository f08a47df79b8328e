"""The board: work through a corpus in the notebook with the keyboard; a decision is saved as it is made.

The table is our own small grid: a page of rows at a time from the kernel, each with live decisions, a text
direction of its own and a place in the accessibility tree. quak, itables and ipydatagrid were measured and
judged for it: ``docs/architecture.md``.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.corpus.quality.checks import run_checks
from workbench.corpus.quality.signal import scan
from workbench.errors import WorkbenchError
from workbench.locales import LOCALES
from workbench.names import current_user
from workbench.signatures import public
from workbench.widgets import assets
from workbench.widgets.audio import AudioAnswers
from workbench.widgets.board_decisions import contested, decide
from workbench.widgets.board_drafts import BoardDrafts
from workbench.widgets.board_measures import predictions_of
from workbench.widgets.board_query import Query, SavedViews
from workbench.widgets.board_static import board_html
from workbench.widgets.board_surroundings import surroundings
from workbench.widgets.board_view import BoardView
from workbench.widgets.channel import LiveWidget, answers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus
    from workbench.corpus.review.drafts import Drafts

log = logging.getLogger("workbench.widgets")
WATCH_S = 1.0
"""Seconds between two looks for decisions made elsewhere, while a view is open."""
WATCHED_FOR_S = 60.0
SAMPLE_RATE = 16_000


@public
class Board(AudioAnswers, LiveWidget):
    """A live view of a corpus: table, filters, player, transcript, findings and decisions.

    Args:
        corpus: what to work through; a filtered one (``c.where(…)``) shows its rows only.
        findings: result of ``corpus.checks.run_checks``; left out, the checks run in the background.
        predictions: of a model on these clips, whose doubts count in which clips to listen to first: a table,
            or the name of one of the corpus; left out, the newest that it has.
        reviewer: whose decisions these are; the current user by default.
        order_by: a column, ``"priority"`` (which clips to listen to first) or nothing for the source's order.
        blind: what other reviewers decided is hidden, in the table, in filters and in counts.
        drafts: of its clips; accepting or correcting one then makes a reference. names: of people, places,
            accounts: marked in drafts as personal data.
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
        blind: bool = False,
        drafts: Drafts | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self.reviewer = reviewer or current_user()
        self.blind = blind
        self.corpus = corpus.seen_by(self.reviewer) if blind else corpus
        work = None if drafts is None else BoardDrafts(drafts, names, self.reviewer, second=blind)
        self.view = BoardView(self.corpus, self.reviewer, work)
        self.saved_views = SavedViews(corpus.folder)
        self._seen_s = 0.0  # when a view last asked for changes
        self._told = self.view.corpus.decisions.version()
        self._ui: dict[str, Any] = {}
        super().__init__()
        # Who transcribes blind is shown no model's words either.
        hidden = blind and drafts is not None
        self._predictions, self._other = (None, None) if hidden else predictions_of(corpus, predictions)
        if findings is not None:
            self.view.take_findings(findings)
            self._take_predictions()
        if order_by:
            self.view.ask(Query(order_by=order_by))
        if findings is None:
            self.run_in_queue("checks", self._run_checks)
        watcher = threading.Thread(target=_watch, args=(weakref.ref(self),), daemon=True)
        watcher.name = "workbench-board"
        watcher.start()

    def close(self) -> None:
        self._told = -1  # ends the watcher
        super().close()

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
                self.view.ask(Query.from_json(remembered.get("query") or {}, self.corpus.columns))
            except WorkbenchError:
                log.debug("a remembered filter no longer works; the board opens without it")
        self.view.reread()
        self.view.catch_up()
        folder = hashlib.sha256(str(self.corpus.folder).encode()).hexdigest()[:16]
        return self._summary() | {
            "name": self.corpus.name,
            "memory_key": folder,
            "reviewer": self.reviewer,
            "blind": self.blind,
            "drafts": self.view.drafts is not None,
            "columns": list(self.corpus.columns),
            "countable": self.view.table.countable,
            "locales": list(LOCALES),
            "views": self.saved_views.all(),
            "ui": self._ui,
            "seq": self.corpus.decisions.version(),
            "place": self.view.place_of(str(self._ui.get("selected") or "")),
        }

    @answers("query")
    def _query(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        self.view.ask(Query.from_json(body.get("query") or {}, self.corpus.columns))
        self.push("view", {"by": body.get("view")})
        return self._summary() | {"place": self.view.place_of(str(body.get("selected") or ""))}

    @answers("facet")
    def _facet(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Count the values of the columns that a view wants to see beside its table."""
        names = [str(name) for name in body.get("names") or ()]
        self._ui = self._ui | {"facets": names}
        too_many = [name for name in names if not self.view.table.need(name)]
        return {"facets": self._facets(), "too_many": too_many}

    @answers("views")
    def _views(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Keep the query under a name (``keep``), or forget one (``remove``)."""
        if body.get("keep"):
            self.saved_views.keep(str(body["keep"]), self.view.query)
        if body.get("remove"):
            self.saved_views.remove(str(body["remove"]))
        return {"views": self.saved_views.all()}

    @answers("bars")
    def _bars(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """What the bars show after decisions; the view itself stays."""
        return {
            "facets": self._facets(),
            "pending": len(self.view.pending_ids()),
            **self.view.opinions.figures(),
        }

    @answers("rows")
    def _rows(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        return {"rows": self.view.rows(int(body["offset"]), int(body["limit"]))}

    @answers("details")
    def _details(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        return self.view.details(str(body["id"]))

    @answers("surroundings", queue="audio")
    def _surroundings(
        self, body: dict[str, Any], _buffers: list[memoryview]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """A clip in its recording: peaks around it, its ends, its neighbors."""
        return surroundings(self.corpus, str(body["id"]))

    @answers("next")
    def _next(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        step = 1 if int(body.get("step", 1)) > 0 else -1
        return {"place": self.view.next_place(int(body["place"]), step, pending=bool(body.get("pending")))}

    @answers("remember")
    def _remember(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Keep what a view wants back after the page is loaded anew."""
        self._ui = self._ui | {str(key)[:40]: value for key, value in body.items() if key != "view"}
        return {}

    @answers("decide", queue="decide")
    def _decide(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Make one decision. The answer comes once it is on disk, with the row as it then stands.

        ``place``: where the reviewer goes on from; the next undecided clip then comes along, so that it is
        on screen without two more questions. ``seen``: the latest event that the view knows of; where
        somebody has decided the same since, nothing is done and the answer's ``conflict`` says who and what,
        unless ``sure``.
        """
        action, clip = str(body["action"]), str(body["id"])
        if body.get("seen") is not None and not body.get("sure"):
            about = contested(action, body)
            other = self.view.decided_since(clip, about, int(body["seen"]))
            if other is not None:
                return {"conflict": _said(other), "row": self.view.details(clip)}
        own = decide(self.view, action, clip, body)
        after = None if body.get("place") is None else self.view.next_place(int(body["place"]))
        if after is not None and self.view.clip_at(after) == clip:  # decided just now, further on
            after = self.view.next_place(after)
        asked = [clip] if after is None else [clip, self.view.clip_at(after)]
        row, *then = self.view.details_of(asked)
        answer = self._changed([clip], row) | {"row": row, "own": own}
        if body.get("place") is not None:
            answer |= {"next": after, "next_row": then[0] if then else None}
        return answer

    @answers("undo", queue="decide")
    def _undo(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Take back (or, with ``redo``, bring back) this reviewer's latest decision.

        ``row``: as it then stands, where one clip was decided, so that nothing else need be read again.
        """
        decisions = self.corpus.decisions
        before = decisions.version()
        switch = decisions.redo if body.get("redo") else decisions.undo
        event = switch(reviewer=self.reviewer)
        if event is None:
            return self._changed([]) | {"event": None}
        clips = decisions.clips_of(event.seq)
        first = clips[0] if clips else ""
        found = {"action": event.action, "field": event.field, "value": event.value, "clips": event.clips}
        row = self.view.details(first) if len(clips) == 1 and first in self.view.table.number else None
        return self._changed(clips, row) | {
            "event": found, "id": first, "place": self.view.place_of(first), "row": row,
            "own": [made.seq for made in decisions.events(before) if made.reviewer == self.reviewer],
        }  # fmt: skip

    @answers("bulk", queue="decide")
    def _bulk(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Decide on every undecided clip of the view at once, as one decision that undo takes back whole;
        ``edit``: change a ``field`` of every clip of the view, decided or not."""
        editing = body["action"] == "edit"
        clips = self.view.ids() if editing else self.view.pending_ids()
        if len(clips) != int(body["expected"]):
            raise WorkbenchError(
                f"{len(clips):,} clips would be decided, not {int(body['expected']):,}", hint="Look again."
            )
        decisions, who, sql = self.corpus.decisions, self.reviewer, self.view.query.sql
        if editing:
            value = str(body.get("value") or "").strip() or None
            seq = decisions.edit(clips, str(body["field"]), value, reviewer=who, filter=sql)
        elif body["action"] == "accept":
            seq = decisions.accept(clips, reviewer=who, filter=sql)
        else:
            seq = decisions.reject(clips, str(body.get("reason") or ""), reviewer=who, filter=sql)
        return self._changed(clips) | {"clips": len(clips), "own": [seq]}

    @answers("sync", queue="decide")
    def _sync(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """What was decided after event ``after``: here, in another notebook, by another reviewer."""
        self._seen_s = time.monotonic()
        own = {int(seq) for seq in body.get("own") or ()}
        clips, reviewers, seq = self.view.changed_since(int(body.get("after") or 0), own)
        if not clips:
            return {"clips": [], "seq": seq}
        self.forget_audio(clips)
        progress = self.view.table.progress()
        return {"clips": clips[:1000], "reviewers": reviewers, "progress": progress, "seq": seq}

    def look(self) -> bool:
        """Tell the open views if something was decided since the last look; False once closed."""
        if self._told < 0:
            return False
        if time.monotonic() - self._seen_s < WATCHED_FOR_S:
            if self.view.reread():
                self.push("rows", {})
            version = self.corpus.decisions.version()
            if version != self._told:
                self._told = version
                self.push("decisions", {"seq": version})
        return True

    @answers("check", queue="checks")
    def _check(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Measure the sound of all clips and run every check that can run; progress comes as events."""
        told = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told > 0.25 or done == total:
                told = time.monotonic()
                self.push("checking", {"done": done, "total": total})

        scan(self.corpus, loudness=True, progress=progress)
        self._run_checks()
        return {}

    def _changed(self, clips: list[str], row: dict[str, Any] | None = None) -> dict[str, Any]:
        """What has changed; ``row``: of the one clip, where it was just read."""
        self.forget_audio(clips)
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
            "facets": self._facets(),
            "progress": view.table.progress(),
            **view.opinions.figures(),
            "measures": list(view.measures.columns) if view.measures else [],
            "findings_known": view.findings_known,
            "not_run": view.not_run,
        }

    def _facets(self) -> dict[str, list[dict[str, Any]]]:
        names = [name for name in self._ui.get("facets") or () if name in self.view.table.countable]
        return self.view.facets(names)

    def _take_predictions(self) -> None:
        if self._predictions is not None:
            self.view.take_predictions(self._predictions, self._other)

    def _run_checks(self) -> None:
        try:
            self._take_predictions()
            self.view.take_findings(run_checks(self.corpus, predictions=self._predictions))
        except Exception as error:
            log.exception("the checks failed")
            self.push("checks", {"error": f"{type(error).__name__}: {error}"[:300]})
        else:
            measures = list(self.view.measures.columns) if self.view.measures else []
            told = {"facets": self._facets(), "not_run": self.view.not_run, "measures": measures}
            self.push("checks", told)


def _watch(board: weakref.ref[Board]) -> None:
    """Until the board is closed or forgotten. Holds it only while looking."""
    while True:
        time.sleep(WATCH_S)
        held = board()
        if held is None:
            return
        try:
            if not held.look():
                return
        except Exception:  # a database that is being replaced; the next look will do
            log.debug("could not look for decisions", exc_info=True)
        del held


def _said(event: Any) -> dict[str, Any]:
    return {
        "reviewer": event.reviewer, "field": event.field, "value": event.value, "reason": event.reason,
        "at": event.at, "seq": event.seq,
    }  # fmt: skip

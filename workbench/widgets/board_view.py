"""What the board shows, without Jupyter: a corpus under a filter, an order, and the decisions so far.

SQL filters, and orders by columns not held in memory, go to the corpus. A view is the list of rows that
matched when it was asked for: a row just accepted stays where it is until the next query.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.corpus.quality import listening_order
from workbench.corpus.query.engine import plain_row
from workbench.errors import WorkbenchError
from workbench.ingest.audio import locate_text
from workbench.widgets.board_drafts import BoardDrafts
from workbench.widgets.board_measures import MEASURES, Measures
from workbench.widgets.board_opinions import Opinions
from workbench.widgets.board_query import Query, column_sql, search_sql
from workbench.widgets.board_table import EDITABLE, FACETS, BoardTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus

PRIORITY = "priority"
"""Order: which clips to listen to first (``workbench.corpus.quality.listening_order``); decided ones last."""
LARGEST_PAGE = 300
SHOWN = (
    "id", "text", "target_lang", "accent", "speaker", "duration", "status", "reason", "tags", "edited",
    "audio_filepath",
)  # fmt: skip
SEARCHABLE = ("text", "target_lang", "accent", "speaker", "duration")
"""Columns with a filter of their own over the table."""
WEIGHTS = {"error": 100.0, "warning": 10.0, "info": 1.0}


class BoardView:
    """A corpus as one reviewer sees it now. Methods may be called from any thread."""

    def __init__(self, corpus: Corpus, reviewer: str, drafts: BoardDrafts | None = None) -> None:
        self.corpus, self.reviewer, self.drafts = corpus, reviewer, drafts
        self.query = Query()
        self.findings: dict[int, list[dict[str, Any]]] = {}
        self.findings_known = False
        self.predictions: pd.DataFrame | None = None
        self.measures: Measures | None = None
        self.spent = 0.0
        self._found: pd.DataFrame | None = None
        self._why: dict[int, str] = {}
        self.not_run: dict[str, str] = {}
        self._lock = threading.RLock()
        self._version = corpus.decisions.version()
        self._roots = [str(root) for root in corpus.facts["audio_roots"]]
        self._rows_stamp = corpus.rows_stamp
        self._heard: tuple[pd.DataFrame, pd.DataFrame | None] | None = None
        self.opinions = Opinions(corpus, reviewer)
        self.table = BoardTable(corpus)
        self._shown: NDArray[np.int64] = np.arange(len(self.table))

    def __len__(self) -> int:
        return len(self._shown)

    @property
    def minutes(self) -> float:
        """Minutes of audio in the view."""
        return float(self.table.minutes[self._shown].sum())

    def ids(self) -> list[str]:
        """Ids of all clips of the view, in its order."""
        return [self.table.ids[n] for n in self._shown.tolist()]

    def pending_ids(self) -> list[str]:
        """Ids of the undecided clips of the view."""
        with self._lock:
            numbers = self._shown[np.equal(self.table.status[self._shown], 0)]
        return [self.table.ids[n] for n in numbers.tolist()]

    def place_of(self, clip: str) -> int | None:
        """Where a clip stands in the view, from 0; None where it is not in it."""
        places = np.flatnonzero(self._shown == self.table.number.get(clip, -1))
        return int(places[0]) if len(places) else None

    def clip_at(self, place: int) -> str:
        """The clip at a place of the view, from 0."""
        with self._lock:
            return self.table.ids[int(self._shown[place])]

    def ask(self, query: Query) -> int:
        """Make ``query`` the view; returns its number of clips.

        Raises:
            WorkbenchError: the SQL or the column cannot be used; the view stays as it was.
        """
        mask = self._mask(query) & self._rule_mask(query.rule) & self.table.tag_mask(query.tag)
        for name, chosen in query.facets.items():
            if self.table.need(name):
                mask = mask & self.table.facet_mask(name, chosen)
        why, spent = dict[int, str](), 0.0
        if query.order_by == PRIORITY:
            shown, why, spent = self._most_uncertain(mask, query.minutes)
        else:
            order = self._order(query)
            shown = order[mask[order]]
        with self._lock:
            self.query, self._shown, self._why, self.spent = query, shown, why, spent
            return len(self._shown)

    def rows(self, offset: int, limit: int) -> list[dict[str, Any]]:
        """Rows of the view from ``offset`` on: ``SHOWN``, ``place``, ``findings``, ``others``, ``measures``
        where a model read the clip, and ``missing`` where its file is not there."""
        offset, limit = max(0, offset), max(0, min(limit, LARGEST_PAGE))
        with self._lock:
            wanted = self._shown[offset : offset + limit].tolist()
        found = self._read(wanted, SHOWN)
        rows = []
        for place, n in enumerate(wanted, start=offset):
            row = {"id": self.table.ids[n], **found.get(n, {}), "place": place} | self._said_of(n)
            missing = self._missing(row)
            row.pop("audio_filepath", None)
            if self.drafts is not None and not row.get("text"):
                row["draft_text"] = self.drafts.text_of(row["id"])
            rows.append(row | {"missing": True} if missing else row)
        return rows

    def details(self, clip: str) -> dict[str, Any]:
        """Everything known about one clip: all columns, ``place``, ``findings``, ``others``, ``history``; its
        ``draft``, where the board works on drafts."""
        return self.details_of([clip])[0]

    def details_of(self, clips: Sequence[str]) -> list[dict[str, Any]]:
        """:meth:`details` of several clips, read at once: two cost about as much as one."""
        numbers = {clip: self.table.number[clip] for clip in clips if clip in self.table.number}
        table = self.corpus.at(self.table.source_rows[n] for n in numbers.values())
        found = {row["id"]: plain_row(row) for row in table.to_pylist()}
        gone = next((clip for clip in clips if clip not in found), None)
        if gone is not None:
            raise WorkbenchError(
                "this clip is no longer in the corpus", where=gone, hint="Run the cell again."
            )
        return [self._detailed(clip, numbers[clip], found[clip]) for clip in clips]

    def _detailed(self, clip: str, n: int, row: dict[str, Any]) -> dict[str, Any]:
        history = [asdict(event) for event in self.corpus.decisions.history(clip)]
        heard = self.measures.hypotheses.get(n) if self.measures else None
        more: dict[str, Any] = {"place": self.place_of(clip), "history": history, "hypothesis": heard}
        more["languages"] = self.measures.languages.get(n, []) if self.measures else []
        if self.drafts is not None:
            more["draft"] = self.drafts.of(row)
        return row | more | {"missing": self._missing(row)} | self._said_of(n)

    def next_place(self, place: int, step: int = 1, *, pending: bool = True) -> int | None:
        """The next place in the direction of ``step`` whose clip is undecided (or any); None at the end."""
        with self._lock:
            codes = self.table.status[self._shown]
        places = range(place + step, len(codes) if step > 0 else -1, step)
        return next((p for p in places if not pending or codes[p] == 0), None)

    def facets(self, more: Iterable[str] = ()) -> dict[str, list[dict[str, Any]]]:
        """Bars per value of each facet, per rule and per tag, each under all *other* parts of the query.

        ``more``: columns to count beside locale and accent and those that the query chooses from.
        """
        query = self.query
        base = self._mask(query)
        wanted = [n for n in dict.fromkeys([*FACETS, *query.facets, *more]) if self.table.need(n)]
        chosen = {name: self.table.facet_mask(name, query.facets.get(name, ())) for name in wanted}
        chosen |= {"rule": self._rule_mask(query.rule), "tag": self.table.tag_mask(query.tag)}

        def under_others(name: str) -> NDArray[np.bool_]:
            mask = base
            for other in chosen.keys() - {name}:
                mask = mask & chosen[other]
            return mask

        bars = {
            name: self.table.bars(name, under_others(name), query.facets.get(name, ())) for name in wanted
        }
        tags = self.table.tag_bars(under_others("tag"), query.tag)
        return bars | {"rule": self._rules(under_others("rule")), "tag": tags}

    def note(self, clips: Iterable[str]) -> None:
        """Read back what decisions have changed on these clips."""
        numbers = [self.table.number[clip] for clip in clips if clip in self.table.number]
        for start in range(0, len(numbers), LARGEST_PAGE):
            found = self._read(
                numbers[start : start + LARGEST_PAGE], ("status", "tags", *self._edited_columns())
            )
            with self._lock:
                for n, row in found.items():
                    self.table.take(n, row)

    def changed_since(self, seq: int, own: Iterable[int] = ()) -> tuple[list[str], list[str], int]:
        """Clips decided on after an event, in their order; by whom; and the number of the latest event.

        Each page of the board keeps its own ``seq``, so that none takes a change away from another. ``own``:
        events of that page's making, which it shows already.
        """
        decisions = self.corpus.decisions
        self.catch_up()
        version = decisions.version()
        clips: dict[str, None] = {}
        reviewers: dict[str, None] = {}
        for event in decisions.events(after=seq) if version > seq else ():
            if event.seq not in own:
                clips.update(dict.fromkeys(decisions.clips_of(event.refers or event.seq)))
                reviewers[event.reviewer] = None
        return list(clips), list(reviewers), version

    def decided_since(self, clip: str, fields: Sequence[str], seq: int) -> Any:
        """The latest decision of anybody on a clip's fields after event ``seq``; None where there is none."""
        for event in reversed(self.corpus.decisions.history(clip)):
            if event.seq <= seq:
                return None
            if event.stands and event.field in fields:
                return event
        return None

    def catch_up(self, *, known: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
        """Take in what was decided since the last call, here or elsewhere; returns the clips named.

        ``known``: rows just read, by id, which need not be read again.
        """
        decisions = self.corpus.decisions
        with self._lock:  # two threads call this; the version and what it stands for go together
            version = decisions.version()
            if version == self._version:
                return []
            clips: dict[str, None] = {}
            for event in decisions.events(after=self._version):
                clips.update(dict.fromkeys(decisions.clips_of(event.refers or event.seq)))
            for clip, row in (known or {}).items():
                self.table.take(self.table.number[clip], row)
            self.note(clip for clip in clips if clip not in (known or {}))
            self._version = version
        return list(clips)

    def reread(self) -> bool:
        """Take in rows that joined the corpus or left it, such as a recording taken back; whether any did."""
        stamp = self.corpus.rows_stamp
        with self._lock:
            if stamp == self._rows_stamp:
                return False
            self._rows_stamp, self.table = stamp, BoardTable(self.corpus)
            self._shown, self._why, self.findings = np.arange(len(self.table)), {}, {}
            if self._found is not None:
                self.take_findings(self._found)
            if self._heard is not None:
                self.take_predictions(*self._heard)
            self.ask(self.query)
        return True

    def take_findings(self, findings: pd.DataFrame) -> None:
        """Lay the findings of ``corpus.checks.run_checks`` over the rows, worst first.

        That a transcript is missing is no finding where the board works on its draft.
        """
        by_row: dict[int, list[dict[str, Any]]] = {}
        columns = [name for name in ("id", "rule", "severity", "reason", "hint", "value") if name in findings]
        for record in findings[columns].to_dict("records"):
            clip = str(record.pop("id"))
            n = self.table.number.get(clip)
            awaited = record["rule"] == "text_empty" and self.drafts is not None and self.drafts.holds(clip)
            if n is not None and not awaited:
                by_row.setdefault(n, []).append({str(k): None if v != v else v for k, v in record.items()})
        for found in by_row.values():
            found.sort(key=lambda finding: -WEIGHTS.get(str(finding.get("severity")), 0.0))
        with self._lock:
            self.findings, self.findings_known, self._found = by_row, True, findings
            self.not_run = {
                str(rule): str(lacks) for rule, lacks in findings.attrs.get("not_run", {}).items()
            }

    def take_predictions(self, predictions: pd.DataFrame, other: pd.DataFrame | None = None) -> None:
        """Let a model's hypotheses and confidence count in the listening order, and be sorted by.

        ``other``: an earlier prediction, to show the difference to.
        """
        frame = self.corpus.frame(["id", "text", "target_lang"])
        rated = predictions
        if "error_rate" not in predictions:
            rated = listening_order.with_error_rates(frame, predictions)
        measures = Measures(frame, predictions, self.table.number, other)
        with self._lock:
            self.predictions, self.measures, self._heard = rated, measures, (predictions, other)

    def _read(self, numbers: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Some columns of the corpus as they are now, by row number."""
        if not numbers:
            return {}
        # Not the filtered corpus: a row that no longer matches its filter still stands in the view.
        table = self.corpus.at((self.table.source_rows[n] for n in numbers), columns)
        return {self.table.row_number[row.pop("row_index")]: row for row in table.to_pylist()}

    def _said_of(self, n: int) -> dict[str, Any]:
        """Findings on a row, what reviewers say of it (:class:`Opinions`), why it comes here, figures."""
        opinions = self.opinions.of(self.table.ids[n]) if self._version else {"others": [], "dispute": []}
        said = {"findings": self.findings.get(n, []), "why": self._why.get(n, ""), **opinions}
        return said | {"measures": self.measures.of(n)} if self.measures else said

    def _edited_columns(self) -> list[str]:
        return [name for name in EDITABLE if name in self.corpus.columns]

    def _missing(self, row: Mapping[str, Any]) -> bool:
        """Whether a row's recording is not there. A folder that may not be read is no news here."""
        written = str(row.get("audio_filepath") or "")
        try:
            return not os.path.exists(locate_text(written, self._roots))
        except WorkbenchError:
            return False

    def _mask(self, query: Query) -> NDArray[np.bool_]:
        """Rows that match the SQL and the status of a query."""
        mask = self.table.status_mask(query.status)
        if query.status == "disputed":
            mask = self.table.mask_of(self.opinions.disputed())
        parts = [column_sql(name, text) for name, text in query.columns.items() if name in SEARCHABLE]
        parts += [search_sql(query.text)] if query.text else []
        for sql in filter(None, parts):
            found = self.corpus.where(sql).frame(["row_index"])["row_index"].to_numpy(dtype=np.int64)
            mask = mask & np.isin(self.table.source_rows, found)
        if query.sql:
            rows = self.corpus.where(query.sql).frame(["row_index"])["row_index"].to_numpy(dtype=np.int64)
            mask = mask & np.isin(self.table.source_rows, rows)
        return mask

    def _rule_mask(self, rule: str) -> NDArray[np.bool_]:
        mask = np.full(len(self.table), not rule)
        if rule:
            said = self.findings.items()
            mask[[n for n, found in said if rule == "*" or any(f["rule"] == rule for f in found)]] = True
        return mask

    def _order(self, query: Query) -> NDArray[np.int64]:
        """All row numbers in the order of a query; unknown values last, ties in source order."""
        name = query.order_by
        if not name:
            order = np.arange(len(self.table))
            return order[::-1] if query.descending else order
        if name in MEASURES:
            return self._order_by_measure(name, query.descending)
        column = self.corpus.frame(["row_index", name])
        column = column.sort_values(name, ascending=not query.descending, kind="stable", na_position="last")
        return np.array(
            [self.table.row_number[r] for r in column["row_index"].tolist() if r in self.table.row_number]
        )

    def _order_by_measure(self, name: str, descending: bool) -> NDArray[np.int64]:
        if not self.measures or name not in self.measures.columns:
            raise WorkbenchError(f"no {name} to sort by", hint="Transcribe the corpus first.")
        values = self.measures.columns[name]
        order = np.argsort(-values if descending else values, kind="stable")  # NaN comes last either way
        return order.astype(np.int64)

    def _most_uncertain(
        self, mask: NDArray[np.bool_], minutes: float
    ) -> tuple[NDArray[np.int64], dict[int, str], float]:
        """Row numbers of a mask in the listening order, why each comes where it does, and the minutes that
        hearing and deciding the undecided ones takes; with ``minutes``, only those that fit into them."""
        table, pending = self.table, mask & np.equal(self.table.status, 0)
        if self.drafts is not None:
            found = self.drafts.queue(
                lambda clip: clip in table.number and bool(mask[table.number[clip]]), minutes
            )
            pending = table.mask_of(found["id"])
            return self._ordered(found, mask & ~pending, minutes)
        numbers = np.flatnonzero(pending)
        seconds = table.minutes[numbers] * 60
        columns: dict[str, Any] = {"id": [table.ids[n] for n in numbers.tolist()]}
        columns["duration"] = np.where(seconds > 0, seconds, np.nan)
        for name in FACETS:
            codes, values = table.facets[name]
            columns[name] = pd.Series(values, dtype=object).take(codes[numbers]).to_numpy()
        found = listening_order.ranked(pd.DataFrame(columns), self._found, self.predictions, minutes or None)
        return self._ordered(found, mask & ~pending, minutes)

    def _ordered(
        self, found: pd.DataFrame, rest: NDArray[np.bool_], minutes: float
    ) -> tuple[NDArray[np.int64], dict[int, str], float]:
        """As :meth:`_most_uncertain`, of clips in order (``id, why, minutes``) and those behind them."""
        table = self.table
        first = np.array([table.number[clip] for clip in found["id"].tolist()], dtype=np.int64)
        why = {n: text for n, text in zip(first.tolist(), found["why"].tolist(), strict=True) if text}
        spent = float(found["minutes"].iloc[-1]) if len(found) else 0.0
        behind = np.flatnonzero(rest) if not minutes else np.zeros(0, dtype=np.int64)
        return np.concatenate([first, behind]), why, spent

    def _rules(self, mask: NDArray[np.bool_]) -> list[dict[str, Any]]:
        counts: Counter[tuple[str, str]] = Counter()
        for n, found in self.findings.items():
            if mask[n]:
                counts.update({(str(f["rule"]), str(f.get("severity"))) for f in found})
        bars = [
            {"value": rule, "severity": severity, "clips": clips}
            for (rule, severity), clips in counts.items()
        ]
        return sorted(bars, key=lambda bar: (-WEIGHTS.get(bar["severity"], 0.0), -bar["clips"]))

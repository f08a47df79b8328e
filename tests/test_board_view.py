"""The board's view of a corpus: filters, orders, pages, counts, and what several reviewers say."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from workbench.corpus.importing import import_source
from workbench.corpus.quality import listening_order
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.widgets.board import Board
from workbench.widgets.board_measures import predictions_of
from workbench.widgets.board_static import board_html
from workbench.widgets.board_view import PRIORITY, BoardView, Query

LOCALES = ("el-GR", "bg-BG", "fr-CA")
ACCENTS = ("north", "south", None)
SIZE = 240


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of rows whose columns are drawn from a seed; the view never opens their audio."""
    folder, draw = tmp_path_factory.mktemp("source"), random.Random(7)
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        for number in range(SIZE):
            row = {
                "id": f"clip-{number:04d}",
                "audio_filepath": f"{number}.wav",
                "duration": round(draw.uniform(0.5, 9.0), 2),
                "text": " ".join(
                    draw.choice(["alpha", "beta", "gamma", "42", "<b>bold</b>"]) for _ in range(4)
                ),
                "target_lang": draw.choice(LOCALES),
                "accent": draw.choice(ACCENTS),
            }
            file.write(json.dumps(row) + "\n")
    return folder / "rows.jsonl"


@pytest.fixture
def corpus(source: Path, tmp_path: Path) -> Corpus:
    return import_source(source, tmp_path / "talks", name="talks")


@pytest.fixture
def view(corpus: Corpus) -> BoardView:
    return BoardView(corpus, "ana")


queries = st.builds(
    Query,
    sql=st.sampled_from(["", "duration > 3", "text LIKE '%42%' -- digits", "accent IS NULL OR duration < 1"]),
    facets=st.dictionaries(
        st.sampled_from(["target_lang", "accent"]),
        st.lists(st.sampled_from([*LOCALES, *ACCENTS]), min_size=1, max_size=2, unique=True),
    ),
    status=st.sampled_from(["all", "pending", "accepted", "rejected", "decided"]),
    order_by=st.sampled_from(["", "duration", "text", "accent"]),
    descending=st.booleans(),
)


def expected(corpus: Corpus, query: Query) -> list[str]:
    """The same question asked of pandas."""
    found = (corpus.where(query.sql) if query.sql else corpus).frame()
    for name, values in query.facets.items():
        column = found[name].astype(object).where(found[name].notna(), None)
        found = found[np.array([value in values for value in column], dtype=bool)]
    if query.status == "decided":
        found = found[found["status"] != "pending"]
    elif query.status != "all":
        found = found[found["status"] == query.status]
    if query.order_by:
        found = found.sort_values(query.order_by, ascending=not query.descending, kind="stable")
    elif query.descending:
        found = found[::-1]
    return list(found["id"])


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(query=queries, chunk=st.integers(25, 90))
def test_pages_hold_what_was_asked_for(source: Path, corpus: Corpus, query: Query, chunk: int) -> None:
    if not corpus.decisions.version():
        corpus.where("duration > 6").accept(reviewer="ana")
        corpus.where("duration < 2").reject("cut off", reviewer="ana")
    view = BoardView(corpus, "ana")
    wanted = expected(corpus, query)
    assert view.ask(query) == len(wanted) == len(view)
    rows = [row for offset in range(0, len(wanted), chunk) for row in view.rows(offset, chunk)]
    assert [row["id"] for row in rows] == wanted == view.ids()
    assert [row["place"] for row in rows] == list(range(len(wanted)))
    bars = view.facets()
    if not query.facets:
        assert sum(bar["clips"] for bar in bars["target_lang"]) == len(wanted)
    pending = [place for place, row in enumerate(rows) if row["status"] == "pending"]
    assert view.next_place(-1) == (pending[0] if pending else None)
    assert view.next_place(len(rows), -1) == (pending[-1] if pending else None)


def test_a_wrong_filter_is_refused_and_changes_nothing(view: BoardView) -> None:
    view.ask(Query(sql="duration > 3"))
    before = view.ids()
    for sql in ("durration > 1", "duration >", "id IN (SELECT id FROM rows)"):
        with pytest.raises(WorkbenchError):
            view.ask(Query(sql=sql))
    assert view.ids() == before


def test_progress_counts_minutes_by_status_and_locale(corpus: Corpus, view: BoardView) -> None:
    ids = corpus.ids()
    corpus.decisions.accept(ids[:30], reviewer="ana")
    corpus.decisions.reject(ids[30:50], "noise", reviewer="ana")
    assert set(view.catch_up()) == set(ids[:50])
    frame, progress = corpus.frame(), view.table.progress()
    for status in ("pending", "accepted", "rejected"):
        of = frame[frame["status"] == status]
        assert progress[status]["clips"] == len(of)
        assert progress[status]["minutes"] == pytest.approx(of["duration"].sum() / 60)
    by_locale = {tally["value"]: tally["clips"] for tally in progress["locales"]}
    assert by_locale == frame.groupby("target_lang").size().to_dict()


def test_a_decided_row_stays_until_the_next_question(corpus: Corpus) -> None:
    view = BoardView(corpus.where("status = 'pending'"), "ana")
    view.ask(Query(status="pending"))
    first = view.ids()[0]
    corpus.decisions.accept(first, reviewer="ana")
    view.catch_up()
    assert view.rows(0, 1)[0] | {"place": 0} == view.rows(0, 1)[0]
    assert (view.rows(0, 1)[0]["id"], view.rows(0, 1)[0]["status"]) == (first, "accepted")
    view.ask(Query(status="pending"))
    assert first not in view.ids()


def test_a_second_board_sees_what_the_first_decides_and_undoes(corpus: Corpus) -> None:
    ana, ben = BoardView(corpus, "ana"), BoardView(Corpus.open(corpus.folder), "ben")
    clip = corpus.ids()[5]
    corpus.decisions.edit(clip, "target_lang", "it-IT", reviewer="ana")
    assert ben.catch_up() == [clip]
    assert ben.rows(5, 1)[0]["target_lang"] == "it-IT"
    assert {bar["value"]: bar["clips"] for bar in ben.facets()["target_lang"]}["it-IT"] == 1
    corpus.decisions.undo(reviewer="ana")
    assert ben.catch_up() == [clip]
    assert "it-IT" not in {bar["value"] for bar in ben.facets()["target_lang"]}
    assert ana.catch_up() == [clip]
    assert ana.catch_up() == []


def test_undoing_one_decision_reads_one_row(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the corpus's size; a decision on many is undone without their rows."""
    board = Board(corpus, findings=pd.DataFrame(columns=["id", "rule", "severity"]), reviewer="ana")
    sent: list[Any] = []
    board.send = lambda content, buffers=(): sent.append(content)

    def ask(question: str, **body: Any) -> Any:
        board._answer(1, board._answering[question][0], body, [])
        return sent.pop()["body"]

    read: list[int] = []
    real = Corpus.at
    monkeypatch.setattr(Corpus, "at", lambda self, rows, names=None: real(self, noted(rows), names))

    def noted(rows: Any) -> list[int]:
        rows = list(rows)
        read.append(len(rows))
        return rows

    decided = ask("decide", action="accept", id="clip-0007", place=7)
    assert decided["row"]["status"] == "accepted"
    assert (decided["next"], decided["next_row"]["id"]) == (8, "clip-0008")
    assert decided["next_row"] == ask("details", id="clip-0008")
    undone = ask("undo")
    assert (undone["id"], undone["clips"], undone["place"]) == ("clip-0007", ["clip-0007"], 7)
    assert undone["row"]["status"] == "pending"
    assert undone["progress"]["pending"]["clips"] == SIZE
    assert ask("undo", redo=True)["row"]["status"] == "accepted"
    assert read == [2, 1, 1, 1]  # the decided clip and the next at once; then one row a question
    read.clear()
    ask("query", query={"facets": {"target_lang": ["el-GR"]}, "status": "pending"})
    many = ask("bulk", action="accept", expected=len(board.view))["clips"]
    undone = ask("undo")
    assert undone["row"] is None
    assert undone["event"]["clips"] == len(undone["clips"]) == many
    assert undone["progress"]["accepted"]["clips"] == 1
    assert sum(read) == 2 * many
    last = ask(
        "decide", action="reject", reason="noise", id=f"clip-{SIZE - 1:04d}", place=len(board.view) - 1
    )
    assert (last["next"], last["next_row"]) == (None, None)
    assert "next" not in ask("decide", action="tag", value="later", id="clip-0007")
    board.close()


def test_rows_are_read_by_their_place_past_the_filter(corpus: Corpus) -> None:
    found = corpus.where("id = 'clip-0001'").at([3, 5, 10_000], ["id", "status"])
    assert sorted(found.to_pylist(), key=lambda row: row["row_index"]) == [
        {"row_index": 3, "id": "clip-0003", "status": "pending"},
        {"row_index": 5, "id": "clip-0005", "status": "pending"},
    ]
    assert corpus.at([]).num_rows == 0
    with pytest.raises(WorkbenchError, match="no column"):
        corpus.at([1], ["nothing"])


def test_others_differ_until_it_is_settled(corpus: Corpus, view: BoardView) -> None:
    clip = corpus.ids()[0]
    corpus.decisions.accept(clip, reviewer="ana")
    corpus.decisions.reject(clip, "cut off", reviewer="ben")
    view.catch_up()
    (said,) = view.details(clip)["others"]
    assert (said["reviewer"], said["value"], said["reason"], said["differs"]) == (
        "ben",
        "rejected",
        "cut off",
        True,
    )
    corpus.decisions.resolve(clip, "status", "accepted", reviewer="ana")
    view.catch_up()
    assert view.details(clip)["others"] == []
    assert corpus.decisions.conflicts() == []


def test_findings_order_and_filter(corpus: Corpus, view: BoardView) -> None:
    ids = corpus.ids()
    columns = ["id", "rule", "severity", "reason", "hint", "value"]
    found = [
        (ids[9], "digits", "warning", "digits: 42", "Write them out.", 1.0),
        (ids[3], "silence", "info", "1 s at the end", "", float("nan")),
        (ids[7], "clipping", "error", "3 % clipped", "Reject it.", 0.03),
        (ids[9], "clipping", "error", "9 % clipped", "Reject it.", 0.09),
        ("not here", "digits", "warning", "", "", 0.0),
    ]
    view.take_findings(pd.DataFrame(found, columns=columns))
    view.ask(Query(order_by=PRIORITY))
    rows = {row["id"]: row for row in view.rows(0, SIZE)}
    assert set(view.ids()[:3]) == {ids[9], ids[7], ids[3]}
    assert [f["rule"] for f in rows[ids[9]]["findings"]] == ["clipping", "digits"]
    assert rows[ids[3]]["findings"][0]["value"] is None
    assert view.ask(Query(rule="clipping")) == 2
    assert view.ask(Query(rule="*")) == 3
    rules = [(bar["value"], bar["clips"]) for bar in view.facets()["rule"]]
    assert rules == [("clipping", 2), ("digits", 1), ("silence", 1)]


def test_doubt_first_is_the_listening_order_within_the_minutes(corpus: Corpus, view: BoardView) -> None:
    ids = corpus.ids()
    columns = ["id", "rule", "severity", "reason", "hint", "value"]
    findings = pd.DataFrame([(ids[7], "clipping", "error", "", "", 0.1)], columns=columns)
    corpus.decisions.accept(ids[0], reviewer="ana")
    texts = corpus.frame(["id", "text"]).set_index("id")["text"]
    said = {ids[20]: "nothing of the kind", ids[21]: texts[ids[21]].upper(), ids[22]: texts[ids[22]]}
    heard = pd.DataFrame(
        {"id": list(said), "hypothesis": list(said.values()), "confidence": [0.95, 0.95, 0.2]}
    )
    view.catch_up()
    view.take_findings(findings)
    view.take_predictions(heard)
    wanted = listening_order.order(corpus, findings, heard)
    assert view.ask(Query(order_by=PRIORITY)) == SIZE
    assert view.ids() == [*wanted["id"], ids[0]]  # what is decided comes last
    assert view.spent == wanted["minutes"].iloc[-1]
    assert set(view.ids()[:3]) == {ids[7], ids[20], ids[22]}
    why = {row["id"]: row["why"] for row in view.rows(0, 3)}
    assert why == {ids[7]: "clipping", ids[20]: "the model disagrees", ids[22]: "the model is unsure"}
    wanted = listening_order.order(corpus, findings, heard, minutes=3)
    assert view.ask(Query.from_json({"order_by": PRIORITY, "minutes": 3})) == len(wanted) < SIZE / 4
    assert view.ids() == list(wanted["id"])
    assert view.spent <= 3
    # The minutes go to the clips that the filters leave.
    narrow = view.ask(Query(sql="duration < 2", order_by=PRIORITY, minutes=3))
    assert narrow > len(wanted)
    assert corpus.where("duration >= 2").frame(["id"])["id"].isin(view.ids()).sum() == 0


@pytest.mark.parametrize("sent", [None, "", "x", -3, float("nan"), float("inf"), []])
def test_minutes_that_are_none_are_no_limit(sent: Any) -> None:
    assert Query.from_json({"minutes": sent}).minutes == 0


def test_the_board_takes_the_newest_predictions(corpus: Corpus) -> None:
    folder = corpus.folder / "predictions"
    assert predictions_of(corpus, None) == (None, None)
    folder.mkdir()
    for second, name in enumerate(("base", "tuned")):
        rows = {"id": ["clip-0001"], "hypothesis": [name], "detected_lang": [None], "confidence": [0.5]}
        pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
        os.utime(folder / f"{name}.parquet", (second, second))
    for name, wanted in ((None, ["tuned", "base"]), ("base", ["base", "tuned"])):
        found = [table for table in predictions_of(corpus, name) if table is not None]
        assert [table["hypothesis"].item() for table in found] == wanted
    with pytest.raises(WorkbenchError, match="base, tuned"):
        predictions_of(corpus, "other")


def test_each_page_sees_every_change_and_none_of_its_own(corpus: Corpus, view: BoardView) -> None:
    """Pages with a place of their own in the log; what one takes in is not taken from the other."""
    first = second = corpus.decisions.version()
    draw, ids = random.Random(3), corpus.ids()
    for _ in range(20):
        clip, who = draw.choice(ids), draw.choice(["ana", "ben"])
        seq = corpus.decisions.accept(clip, reviewer=who)
        own = {seq} if who == "ana" else set()
        clips, reviewers, first = view.changed_since(first, own)
        assert (clips, reviewers) == (([], []) if own else ([clip], ["ben"]))
    clips, reviewers, second = view.changed_since(second)
    assert first == second == corpus.decisions.version()
    assert len(clips) > 10
    assert set(reviewers) == {"ana", "ben"}
    assert view.changed_since(second) == ([], [], second)


def board_of(corpus: Corpus) -> tuple[Board, list[dict[str, Any]]]:
    """A board without a browser, and what it sends."""
    none = pd.DataFrame(columns=["id", "rule", "severity", "reason", "hint", "value"])
    board, sent = Board(corpus, findings=none, reviewer="ana"), []
    board.send = lambda content, buffers=None: sent.append(content)  # type: ignore[method-assign]
    return board, sent


def test_a_decision_that_another_was_faster_with_asks(corpus: Corpus) -> None:
    board, _ = board_of(corpus)
    clip = corpus.ids()[0]
    seen = corpus.decisions.version()
    corpus.decisions.reject(clip, "cut off", reviewer="ben")
    body = {"action": "accept", "id": clip, "seen": seen}
    conflict = board._decide(body, [])["conflict"]
    assert (conflict["reviewer"], conflict["value"], conflict["reason"]) == ("ben", "rejected", "cut off")
    assert corpus.row(clip)["status"] == "rejected"
    # A tag is no word against theirs; another field is not either.
    assert "conflict" not in board._decide({"action": "tag", "id": clip, "value": "check", "seen": seen}, [])
    edit = {"action": "edit", "id": clip, "field": "speaker", "value": "s1", "seen": seen}
    assert "conflict" not in board._decide(edit, [])
    assert "conflict" not in board._decide(body | {"sure": True}, [])
    assert corpus.row(clip)["status"] == "accepted"
    assert board.view.opinions.disputed() == {clip}
    assert board.view.ask(Query(status="disputed")) == 1
    board.close()


def test_a_fact_of_a_whole_view_is_changed_at_once_and_taken_back_whole(corpus: Corpus) -> None:
    board, _ = board_of(corpus)
    before = corpus.frame(["id", "accent"])
    n = board.view.ask(Query(facets={"target_lang": ["fr-CA"]}))
    body = {"action": "edit", "field": "accent", "value": "Quebec", "expected": n}
    assert board._bulk(body, [])["clips"] == n
    assert len(corpus.where("accent = 'Quebec'")) == n
    assert {bar["value"] for bar in board.view.facets()["accent"]} == {"Quebec"}
    with pytest.raises(WorkbenchError, match="Look again"):
        board._bulk(body | {"expected": n + 1}, [])
    board._undo({}, [])
    pd.testing.assert_frame_equal(corpus.frame(["id", "accent"]), before)
    board.close()


def test_open_pages_are_told_of_decisions_made_elsewhere(corpus: Corpus) -> None:
    board, sent = board_of(corpus)
    board.look()
    corpus.decisions.accept(corpus.ids()[0], reviewer="ben")
    assert board.look()
    assert not [m for m in sent if m.get("event") == "decisions"]  # nobody is looking
    board._sync({"after": 0}, [])
    board.look()
    board.look()
    assert [m["body"] for m in sent if m.get("event") == "decisions"] == [{"seq": corpus.decisions.version()}]
    board.close()
    assert not board.look()


def test_static_form_escapes_transcripts(view: BoardView) -> None:
    view.ask(Query(sql="text LIKE '%bold%'"))
    page = board_html("<i>talks</i>", view)
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "<i>" not in page

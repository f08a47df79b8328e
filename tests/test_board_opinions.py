"""Several reviewers on one board: blind review, disputes settled by a third, lengths, rows that leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.recordings import keep_take, take_row, withdraw_take
from workbench.errors import WorkbenchError
from workbench.widgets.board import Board
from workbench.widgets.board_view import BoardView, Query

NOTHING = pd.DataFrame(columns=["id", "rule", "severity", "reason", "hint", "value"])
WHO = ("ana", "ben", "eva")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    rows = [
        {"id": f"c{n}", "audio_filepath": f"{n}.wav", "duration": 2.0, "text": f"Text {n}."}
        | {"target_lang": "da-DK", "accent": "x"}
        for n in range(4)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return import_source(tmp_path / "rows.jsonl", tmp_path / "talks", name="talks")


def state(view: BoardView) -> list[tuple[Any, ...]]:
    """All that a reviewer could read of the decisions: rows, counts, filters."""
    rows = [
        (row["id"], row["status"], row["text"], row["accent"], tuple(row["tags"]), row["edited"])
        for row in view.rows(0, 10)
    ]
    view.ask(Query(sql="status = 'accepted' OR contains(text, 'new') OR accent = 'new'"))
    found = view.ids()
    view.ask(Query())
    progress = view.table.progress()
    return [*rows, tuple(found), *(progress[s]["clips"] for s in ("pending", "accepted", "rejected"))]


acts = st.tuples(
    st.sampled_from(WHO),
    st.sampled_from(["accept", "reject", "text", "accent", "tag", "undo", "redo"]),
    st.integers(0, 3),
)


def do(corpus: Corpus, who: str, act: str, clip: str) -> None:
    decisions = corpus.decisions
    if act == "accept":
        decisions.accept(clip, reviewer=who)
    elif act == "reject":
        decisions.reject(clip, f"new {who}", reviewer=who)
    elif act == "tag":
        decisions.tag(clip, f"new {who}", reviewer=who)
    elif act in ("undo", "redo"):
        getattr(decisions, act)(reviewer=who)
    else:
        decisions.edit(clip, act, f"new {who}", reviewer=who)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(acts, min_size=1, max_size=10))
def test_a_blind_view_is_as_if_one_were_alone(tmp_path_factory: Any, script: list[Any]) -> None:
    """Whatever others do, before and after it opens, it equals a corpus of this reviewer's alone."""
    folder = tmp_path_factory.mktemp("blind")
    row = {"duration": 2.0, "target_lang": "da-DK", "accent": "x"}
    lines = [{**row, "id": f"c{n}", "audio_filepath": f"{n}.wav", "text": f"Text {n}."} for n in range(4)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shared, alone = (import_source(folder / "rows.jsonl", folder / name, name=name) for name in "ab")
    half = len(script) // 2
    for who, act, number in script[:half]:
        do(shared, who, act, f"c{number}")
        if who == "ana":
            do(alone, who, act, f"c{number}")
    blind = BoardView(shared.seen_by("ana"), "ana")
    for who, act, number in script[half:]:
        do(shared, who, act, f"c{number}")
        if who == "ana":
            do(alone, who, act, f"c{number}")
    blind.catch_up()
    assert state(blind) == state(BoardView(alone, "ana"))
    details = [blind.details(f"c{n}") for n in range(4)]
    assert not any(row["others"] or row["dispute"] for row in details)
    assert {event["reviewer"] for row in details for event in row["history"]} <= {"ana"}
    assert blind.opinions.figures() == {"disputed": 0, "agreement": {}}


def test_a_blind_board_decides_for_all(corpus: Corpus) -> None:
    corpus.decisions.reject("c0", "cut off", reviewer="ben")
    board = corpus.board(findings=NOTHING, reviewer="ana", blind=True)
    try:
        opened = board._open({}, [])
        assert (opened["blind"], opened["pending"], opened["disputed"]) == (True, 4, 0)
        answer = board._decide({"action": "accept", "id": "c0", "seen": 0}, [])
        assert "conflict" not in answer, "what ben said would be told by asking"
        assert answer["row"]["status"] == "accepted"
    finally:
        board.close()
    assert [c.id for c in corpus.decisions.conflicts()] == ["c0"]


@pytest.mark.parametrize("blind", [False, True])
def test_texts_that_differ_are_among_the_disputes(corpus: Corpus, blind: bool) -> None:
    corpus.decisions.edit("c1", "text", "One word.", reviewer="ana")
    corpus.decisions.edit("c1", "text", "Two words.", reviewer="ben")
    corpus.decisions.edit("c2", "text", "The same.", reviewer="ana")
    corpus.decisions.edit("c2", "text", "The same.", reviewer="ben")
    board = Board(corpus, findings=NOTHING, reviewer="eva", blind=blind)
    try:
        assert board._bars({}, [])["disputed"] == (0 if blind else 1)
        if blind:
            assert board._details({"id": "c1"}, [])["dispute"] == []
            return
        board._query({"query": {"status": "disputed"}}, [])
        assert board.view.ids() == ["c1"]
        [dispute] = board._details({"id": "c1"}, [])["dispute"]
        assert (dispute["field"], dispute["party"]) == ("text", False)
        settle = {"action": "resolve", "id": "c1", "field": "text", "value": "One word."}
        row = board._decide(settle, [])["row"]
        assert (row["text"], row["dispute"]) == ("One word.", [])
        assert board._bars({}, [])["disputed"] == 0
    finally:
        board.close()


def test_a_third_settles_what_two_differ_on(corpus: Corpus) -> None:
    corpus.decisions.accept("c1", reviewer="ana")
    corpus.decisions.reject("c1", "cut off", reviewer="ben")
    boards = {who: Board(corpus, findings=NOTHING, reviewer=who) for who in WHO}
    try:
        for who, board in boards.items():
            [dispute] = board._details({"id": "c1"}, [])["dispute"]
            assert dispute["party"] == (who != "eva")
            assert {w["reviewer"]: w["value"] for w in dispute["words"]} == {
                "ana": "accepted", "ben": "rejected"
            }  # fmt: skip
            assert board._bars({}, [])["disputed"] == 1
            board._query({"query": {"status": "disputed"}}, [])
            assert board.view.ids() == ["c1"]
        settle = {"action": "resolve", "id": "c1", "field": "status"}
        with pytest.raises(WorkbenchError, match="one of the reviewers who differ"):
            boards["ben"]._decide({**settle, "value": "rejected", "reason": "cut off"}, [])
        row = boards["eva"]._decide({**settle, "value": "accepted"}, [])["row"]
        assert (row["status"], row["dispute"]) == ("accepted", [])
        assert boards["ana"]._bars({}, [])["disputed"] == 0
        corpus.decisions.reject("c2", "cut off", reviewer="ben")
        corpus.decisions.accept("c2", reviewer="ana")
        row = boards["ben"]._decide({**settle, "id": "c2", "value": "accepted"}, [])["row"]
        assert row["dispute"] == [], "one who differs may give in"
    finally:
        for board in boards.values():
            board.close()


def test_a_length_is_set_right_and_taken_back(corpus: Corpus) -> None:
    view = BoardView(corpus, "ana")
    corpus.decisions.edit("c1", "duration", "0.75", reviewer="ana")
    view.catch_up()
    assert view.details("c1")["duration"] == 0.75
    assert view.minutes == pytest.approx((3 * 2 + 0.75) / 60)
    view.ask(Query(sql="duration < 1"))
    assert view.ids() == ["c1"]
    corpus.decisions.undo(reviewer="ana")
    view.catch_up()
    assert view.details("c1")["duration"] == 2.0
    for wrong in ("0", "-1", "nan", "inf", "1e9", "long", "", "1:20"):
        with pytest.raises(WorkbenchError, match="no duration"):
            corpus.decisions.edit("c1", "duration", wrong)


def test_a_recording_taken_back_leaves_every_open_board(corpus: Corpus) -> None:
    """And what was known of the rows behind it stays with them."""
    pcm = np.ones(8_000, np.int16)
    said = {"text": "Hej.", "locale": "da-DK", "consent": "given", "purpose": "testing"}
    takes = [keep_take(corpus, pcm, 16_000, take_row(len(pcm), 16_000, **said))["id"] for _ in range(2)]
    found = pd.DataFrame(
        [(takes[1], "clipping", "error", "x", "", 1.0)], columns=["id", *NOTHING.columns[1:]]
    )
    boards = [Board(Corpus.open(corpus.folder), findings=found, reviewer=who) for who in WHO]
    try:
        for board in boards:
            told: list[str] = []
            board.push = lambda event, body, buffers=(), told=told: told.append(event)  # type: ignore[method-assign]
            board._seen_s = float("inf")
            board._query({"query": {"rule": "clipping"}}, [])
            assert board.look()
            board.told = told
        corpus.decisions.tag(takes[0], "loud", reviewer="ana")
        withdraw_take(corpus, takes[0])
        for board in boards:
            assert board.look()
            assert "rows" in board.told
            assert board.view.ids() == [takes[1]]
            assert [f["rule"] for f in board.view.rows(0, 1)[0]["findings"]] == ["clipping"]
            assert len(board.view.table) == 5
            with pytest.raises(WorkbenchError):
                board._details({"id": takes[0]}, [])
    finally:
        for board in boards:
            board.close()

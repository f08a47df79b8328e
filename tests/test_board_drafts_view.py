"""The kernel side of drafts and segments on the board: what is shown, in which order, what is decided."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.corpus.importing import import_source
from workbench.corpus.quality.checks import run_checks
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.drafts import Drafts
from workbench.errors import WorkbenchError
from workbench.privacy.bleeping import DROP_TAG, kept_tag, personal_words
from workbench.privacy.personal_data import find_personal
from workbench.widgets.board_decisions import decide
from workbench.widgets.board_drafts import BoardDrafts
from workbench.widgets.board_query import Query
from workbench.widgets.board_surroundings import AROUND_S, POINTS, checked_move, surroundings
from workbench.widgets.board_view import PRIORITY, BoardView

RATE = 8_000
LENGTH_S = 40.0
SAID = ["pan con queso", "mi numero es 5551234", "cuatro cinco", "seis siete"]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Four segments a channel of a call of two channels, and one clip that is its whole file."""
    noise = 0.1 * np.random.default_rng(2).standard_normal((round(LENGTH_S * RATE), 2)).astype(np.float32)
    soundfile.write(tmp_path / "call.wav", noise, RATE)
    soundfile.write(tmp_path / "whole.wav", noise[: 2 * RATE, 0], RATE)
    rows = [
        {"id": f"{channel}-{n}", "audio_filepath": "call.wav", "offset": 1.0 + 10 * n + 2 * channel,
         "duration": 3.0, "channel": channel, "text": None, "target_lang": "es-US",
         "accent": "rare" if n == 3 and channel == 0 else "es-MX"}
        for channel in (0, 1) for n in range(4)
    ]  # fmt: skip
    rows.append({"id": "whole", "audio_filepath": "whole.wav", "text": "hola", "target_lang": "es-US"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = import_source(tmp_path / "m.jsonl", tmp_path / "c", name="c")
    made.predictions_folder.mkdir()
    for name, change in (("draft", {}), ("other", {"0-2": "cuatro veces"})):
        lines = [_line(f"0-{n}", change.get(f"0-{n}", SAID[n]), 0.3 if n == 1 else 0.9) for n in range(4)]
        pd.DataFrame(lines).to_parquet(made.predictions_folder / f"{name}.parquet")
    return made


def _line(id: str, text: str, sure: float) -> dict[str, object]:
    words = [{"word": w, "start": 0.5 * n, "end": 0.5 * n + 0.4, "confidence": sure}
             for n, w in enumerate(text.split())]  # fmt: skip
    return {"id": id, "hypothesis": text, "confidence": sure, "words": words, "checkpoint_sha256": "ab" * 32}


@pytest.fixture
def view(corpus: Corpus) -> BoardView:
    made = BoardView(corpus, "ana", BoardDrafts(Drafts(corpus, "draft", "other"), ["queso"], "ana"))
    made.ask(Query(order_by=PRIORITY))
    return made


def test_the_order_of_work(view: BoardView) -> None:
    shown = view.rows(0, 9)
    assert [row["id"] for row in shown[:4]] == ["0-2", "0-1", "0-3", "0-0"]
    assert [row["why"] for row in shown[:3]] == ["the drafts disagree", "low confidence", "rare accent"]
    assert [row["draft_text"] for row in shown[:2]] == ["cuatro cinco", "mi numero es 5551234"]
    assert "draft_text" not in next(row for row in shown if row["id"] == "whole")
    view.ask(Query(order_by=PRIORITY, minutes=0.2))
    assert [row["id"] for row in view.rows(0, 9)] == ["0-2"]


def test_what_is_shown_of_a_draft(view: BoardView) -> None:
    draft = view.details("0-2")["draft"]
    assert [word["differs"] for word in draft["words"]] == [False, True]
    assert [word["differs"] for word in draft["second"]] == [False, True]
    assert not any(word["uncertain"] for word in draft["words"])
    draft = view.details("0-1")["draft"]
    assert all(word["uncertain"] for word in draft["words"])
    number = {"kind": "number", "text": "5551234", "first": 3, "last": 3, "keep": False}
    assert [{name: one[name] for name in number} for one in draft["personal"]] == [number]
    assert [one["kind"] for one in view.details("0-0")["draft"]["personal"]] == ["name"]
    assert view.details("whole")["draft"] is None


def test_a_decision_on_a_draft_is_one_and_measured(view: BoardView) -> None:
    corpus = view.corpus
    own = decide(view, "accept", "0-0", {"seconds": 4.25})
    assert len(own) == 2
    decide(view, "edit", "0-2", {"field": "text", "value": "cuatro y cinco", "seconds": 8})
    made = view.details("0-2")["draft"]["made"]
    assert (made["corrected"], made["reviewer"], made["seconds"]) == (True, "ana", 8.0)
    decide(view, "edit", "0-2", {"field": "text", "value": "cuatro cinco seis", "seconds": 2.5})
    assert view.details("0-2")["draft"]["made"]["seconds"] == 10.5
    decide(view, "edit", "0-3", {"field": "text", "value": SAID[3], "seconds": "nonsense"})
    made = view.details("0-3")["draft"]["made"]
    assert (made["corrected"], made["seconds"]) == (False, 0.0)
    corpus.decisions.undo(reviewer="ana")
    assert [corpus.row("0-3")[name] for name in ("text", "status")] == [None, "pending"]
    decide(view, "accept", "1-0", {})  # no draft: as ever
    assert corpus.row("1-0")["text"] is None


def test_the_second_reviewer_works_blind(corpus: Corpus) -> None:
    drafts = Drafts(corpus, "draft", twice=1.0)
    drafts.accept("0-0", seconds=3, reviewer="ana")
    board = drafts.board(reviewer="bob", second=True)
    try:
        assert board.view.corpus.ids() == ["0-0"]
        shown = json.dumps(board.view.details("0-0"), default=str) + json.dumps(board.view.rows(0, 5))
        assert "queso" in SAID[0]
        assert "queso" not in shown
        with pytest.raises(WorkbenchError, match="no draft is shown"):
            decide(board.view, "accept", "0-0", {"seconds": 1})
        decide(board.view, "edit", "0-0", {"field": "text", "value": "pan dulce", "seconds": 6})
        assert drafts.agreement().set_index(["locale", "pair"]).loc[("all", "ana / bob"), "transcribed"] == 1
    finally:
        board.close()


def test_a_segment_in_its_recording(corpus: Corpus) -> None:
    found, buffers = surroundings(corpus.where("id = '0-1'"), "0-1")
    assert (found["offset_s"], found["duration_s"], found["length_s"]) == (11.0, 3.0, LENGTH_S)
    assert (found["start_s"], found["end_s"]) == (11.0 - AROUND_S, 14.0 + AROUND_S)
    near = [(one["id"], one["same_channel"]) for one in found["neighbors"]]
    assert near == [("1-0", False), ("1-1", False)]
    assert len(np.frombuffer(buffers[0], np.float32)) == POINTS
    assert surroundings(corpus, "whole") == ({"id": "whole", "length_s": None}, [])


def test_a_segment_stays_in_its_recording(corpus: Corpus) -> None:
    @settings(deadline=None, max_examples=60)
    @given(st.floats(-5, 50), st.floats(-1, 50))
    def check(offset: float, duration: float) -> None:
        if offset < 0 or duration < 0.05 or offset + duration > LENGTH_S + 0.001:
            with pytest.raises(WorkbenchError, match="no part of a recording"):
                checked_move(corpus, "0-0", offset, duration)
            return
        made = checked_move(corpus, "0-0", offset, duration)
        assert made["offset"] == pytest.approx(offset, abs=0.0006)
        assert made["offset"] + made["duration"] <= LENGTH_S + 0.0011

    check()


def test_a_moved_segment_is_one_decision(view: BoardView) -> None:
    decide(view, "move", "0-1", {"offset": 10.5, "duration": 4.0})
    row = view.details("0-1")
    assert (row["offset"], row["duration"]) == (10.5, 4.0)
    assert [event["field"] for event in row["history"]] == ["offset", "duration"]
    view.corpus.decisions.undo(reviewer="ana")
    row = view.details("0-1")
    assert (row["offset"], row["duration"]) == (11.0, 3.0)


def test_what_a_reviewer_keeps_is_not_bleeped(corpus: Corpus) -> None:
    row, line = corpus.row("0-1"), _line("0-1", SAID[1], 0.9)
    assert [span.kind for span in personal_words(row, line, []).spans] == ["number"]
    corpus.decisions.tag("0-1", kept_tag("5551234"), reviewer="ana")
    assert personal_words(corpus.row("0-1"), line, []).spans == ()
    other = _line("0-1", "mi numero es 5551239", 0.9)
    assert [span.kind for span in personal_words(corpus.row("0-1"), other, []).spans] == ["number"]
    assert find_personal(DROP_TAG, "en-US") == []


def test_an_awaited_transcript_is_no_finding(corpus: Corpus) -> None:
    found = run_checks(corpus, ["text_empty"])
    assert {"0-1", "1-1"} <= set(found["id"])  # drafts were made of channel 0 alone
    told = {}
    for drafts in (None, BoardDrafts(Drafts(corpus, "draft"), [], "ana")):
        view = BoardView(corpus, "ana", drafts)
        view.take_findings(found)
        told[drafts is None] = {view.table.ids[n] for n in view.findings}
    assert told[True] == set(found["id"])
    assert told[False] == {clip for clip in found["id"] if not clip.startswith("0-")}


def test_checks_run_where_no_row_has_a_transcript(corpus: Corpus) -> None:
    """Segments have none, and a draft is no reference to be measured against."""
    view = BoardView(corpus.where("text IS NULL"), "ana")
    view.take_predictions(corpus.prediction("draft"))
    assert view.measures is not None
    assert set(view.measures.columns) == {"confidence"}
    assert sorted(view.measures.hypotheses.values()) == sorted(SAID)

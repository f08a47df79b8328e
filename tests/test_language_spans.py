"""Languages within a clip as views draw them, and words in doubt as the board orders by them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from workbench.corpus.quality import listening_order
from workbench.recognizer.events import LanguageSpan, StreamEvent, Word
from workbench.recognizer.languages import runs, written_ends
from workbench.recognizer.predictions import schema
from workbench.recognizer.words import spaced
from workbench.widgets.board_measures import Measures
from workbench.widgets.playback_lane import lane_data


def word(text: str, start: float, glued: bool = False, confidence: float = 0.9) -> Word:
    return Word(text, start, start + 0.2, confidence, glued)


def event(words: tuple[Word, ...], spans: tuple[LanguageSpan, ...], at: float) -> StreamEvent:
    text = " ".join(w.word for w in spaced(words))
    return StreamEvent(0, 0.0, at, 0.1, at + 0.1, text, "", (), words, spans[-1].lang, 0, False, spans=spans)


def test_runs_count_words_and_say_nothing_of_one_language() -> None:
    def span(lang: str | None, start: int, end: int) -> dict[str, object]:
        return LanguageSpan(lang, start, end, 0.0, 1.0).to_dict()

    two = [span("es-US", 0, 3), span("es-US", 3, 5), span("en-US", 5, 6), span(None, 6, 6)]
    assert runs(two) == [["es-US", 5], ["en-US", 1]]
    assert runs(two[:2]) == []
    assert runs(None) == []


@given(st.lists(st.booleans(), max_size=12), st.data())
def test_written_ends_count_words_as_they_are_written(glued: list[bool], data: st.DataObject) -> None:
    words = [word("a", n, g) for n, g in enumerate(glued)]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(words)), max_size=4)))
    spans = [LanguageSpan("en-US", a, b, 0, 0) for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True)]
    ends = written_ends(spans, words, by_unit=False)
    assert [end for _, end in ends] == [len(spaced(words[: span.end_word])) for span in spans]
    assert [end for _, end in written_ends(spans, words, by_unit=True)] == [s.end_word for s in spans]


def test_a_lane_knows_where_each_language_ends_and_when_that_was_out() -> None:
    spanish = (word("buenos", 0.0), word("días.", 0.3))
    english = (word("thank", 1.0), word("you.", 1.3))
    first = (LanguageSpan("es-US", 0, 2, 0.0, 0.5),)
    both = (*first, LanguageSpan("en-US", 2, 4, 1.0, 1.5))
    open_ = (LanguageSpan(None, 0, 2, 0.0, 0.5),)
    events = [event(spanish, open_, 0.6), event(spanish, first, 0.9), event(spanish + english, both, 1.6)]
    data = lane_data([replace(one, index=n) for n, one in enumerate(events)], "auto", None)
    assert data["spans"] == [["es-US", 2, 1.0], ["en-US", 4, 1.7]]
    assert lane_data(events[:2], "auto", None)["spans"] == []


def test_words_in_doubt_are_counted_and_heard_first(tmp_path: Path) -> None:
    def made(id_: str, *sure: float | None) -> dict[str, object]:
        words = [{"word": "w", "start": 0.0, "end": 0.1, "confidence": c, "glued": False} for c in sure]
        spans = [{"lang": tag, "start_word": n, "end_word": n + 1, "start": 0.0, "end": 0.1}
                 for n, tag in enumerate(["en-US", "es-US"][: len(sure)])]  # fmt: skip
        return {"id": id_, "hypothesis": "w w", "detected_lang": "en-US", "confidence": 0.95,
                "words": words, "spans": spans}  # fmt: skip

    rows = [made("a", 0.9, 0.9), made("b", 0.3, 0.9, 0.5), made("c"), made("d", 0.2, None, float("nan"))]
    path = tmp_path / "p.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema()), path)
    found = listening_order.read_prediction(path)
    low_confidence = dict(zip(found["id"], found["low_confidence"], strict=True))
    assert low_confidence["a"] == 0.0
    assert abs(low_confidence["b"] - 2 / 3) < 1e-9
    assert low_confidence["c"] != low_confidence["c"]
    assert low_confidence["d"] == 1.0
    clips = pd.DataFrame({"id": list("abcd"), "duration": 1.0, "target_lang": "en-US", "accent": None})
    order = listening_order.ranked(clips, predictions=found)
    assert order["id"].tolist()[:2] == ["d", "b"]
    assert order["why"].tolist()[:2] == [
        f"{share} % of words in doubt (confidence below 0.6)" for share in (100, 67)
    ]
    measures = Measures(clips.assign(text="w w"), found, {id_: n for n, id_ in enumerate("abcd")})
    assert measures.of(3)["low_confidence"] == 1.0
    assert measures.languages[0] == [["en-US", 1], ["es-US", 1]]
    # A prediction of another engine, without words, is read as it is.
    pq.write_table(pa.table({"id": ["a"], "hypothesis": ["x"], "confidence": [0.5]}), path)
    assert "low_confidence" not in listening_order.read_prediction(path)

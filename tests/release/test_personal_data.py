"""Personal data is found by rules, bleeped in copies, and taken out of their transcripts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.ingest import audio
from workbench.privacy import erasure
from workbench.privacy.personal_data import find_personal, redacted
from workbench.reviewing import Reviewing

RATE = 16_000


@pytest.mark.parametrize(
    ("text", "locale", "names", "found"),
    [
        ("I am Maria Lopez.", "en-US", ["maria lópez"], [("name", "Maria Lopez")]),
        ("Write to a.b@example.com now", "en-US", [], [("email", "a.b@example.com")]),
        ("card 4111 1111 1111 1111 please", "en-US", [], [("card", "4111 1111 1111 1111")]),
        ("call +1 (555) 010-9999", "en-US", [], [("number", "+1 (555) 010-9999")]),
        ("my number is nine four seven, two", "en-US", [], [("number", "nine four seven, two")]),
        ("il numero è nove quattro sette", "it-IT", [], [("number", "nove quattro sette")]),
        ("room 12 and two cups", "en-US", ["Mar"], []),
        ("Maria. <en-US>", "en-US", ["en", "us"], []),
        ("", None, ["x"], []),
    ],
)
def test_what_the_rules_find(text: str, locale: str | None, names: list[str], found: list[Any]) -> None:
    spans = find_personal(text, locale, names)
    assert [(span.kind, text[span.start : span.end]) for span in spans] == found


@settings(deadline=None)
@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=8), max_size=3))
def test_spans_stand_in_order_inside_the_text(text: str, names: list[str]) -> None:
    spans = find_personal(text, "en-US", names)
    at = 0
    for span in spans:
        assert at <= span.start < span.end <= len(text)
        at = span.end
    assert (
        not find_personal(redacted(text, spans), None, [])
        or not spans
        or "@" in text
        or any(c.isdigit() for c in text)
    )


@pytest.fixture
def ws(tmp_path: Path) -> Reviewing:
    """Three clips of noise of 3 s with words every half second; one misheard, one without word times."""
    folder = tmp_path / "src"
    folder.mkdir()
    rng = np.random.default_rng(1)
    texts = {"a": "hello maria it is fine", "b": "call maria lopez at once", "c": "ask maria now"}
    heard = {"a": "hello maria it is fine", "b": "call mary slow pass at once", "c": ""}
    rows, predicted = [], []
    for id, text in texts.items():
        soundfile.write(folder / f"{id}.wav", 0.3 * rng.standard_normal(3 * RATE).clip(-1, 1), RATE)
        row = {"id": id, "audio_filepath": f"{id}.wav", "duration": 3.0, "text": text, "speaker": f"s-{id}"}
        rows.append({**row, "target_lang": "en-US"})
        words = [
            {"word": word, "start": 0.5 * at, "end": 0.5 * at + 0.4, "confidence": 0.9}
            for at, word in enumerate(heard[id].split())
        ]
        predicted.append({"id": id, "hypothesis": heard[id], "words": words})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    home = Reviewing(tmp_path / "ws")
    corpus = home.import_corpus("calls", folder / "m.jsonl")
    corpus.predictions_folder.mkdir(exist_ok=True)
    pd.DataFrame(predicted).to_parquet(corpus.predictions_folder / "draft.parquet")
    return home


def test_copies_are_bleeped_where_it_is_said_and_nowhere_else(ws: Reviewing) -> None:
    calls = ws.corpus("calls")
    found = ws.personal_data(calls, "draft", ["Maria", "Lopez"]).set_index("id")
    assert found.loc["a", ["start_s", "end_s"]].tolist() == pytest.approx([0.4, 1.0])
    made = ws.bleep(calls, "clean", "draft", ["Maria", "Lopez"])
    assert made.ids() == ["a", "b"]
    assert any("without a time" in str(problem) for problem in made.problems)
    assert made.row("a")["text"] == "hello it is fine"
    assert made.row("b")["text"] == "call at once"
    before, after = (c.audio("a", RATE) for c in (calls, made))
    inside = slice(round(0.4 * RATE), round(1.0 * RATE))
    assert abs(np.abs(np.fft.rfft(after[inside])).argmax() / 0.6 - 1_000) < 5
    assert np.abs(after[inside]).max() < 0.11
    np.testing.assert_allclose(np.delete(after, inside), np.delete(before, inside), atol=1 / 30_000)
    loud = np.abs(made.audio("b", RATE)) > 0.11
    assert not loud[round(0.5 * RATE) : round(1.95 * RATE)].any(), "misheard words are bleeped too"
    assert loud[: round(0.3 * RATE)].any()
    with pytest.raises(WorkbenchError, match="already"):
        ws.bleep(calls, "clean", "draft")
    dropped = ws.bleep(calls.where("id <> 'c'"), "dropped", "draft", ["lopez"], action="drop")
    assert dropped.ids() == ["a"]


def test_a_stopped_call_goes_on_where_it_was(ws: Reviewing) -> None:
    calls, names = ws.corpus("calls"), ["Maria", "Lopez"]
    with pytest.raises(WorkbenchError, match="cancelled after 1 of 3 clips"):
        ws.bleep(calls, "clean", "draft", names, cancel=lambda: True)
    folder = ws.corpus_folder("clean") / "audio"
    [first] = folder.iterdir()
    made_at = first.stat().st_mtime_ns
    (folder / "of another call.flac").write_bytes(b"")
    made = ws.bleep(calls, "clean", "draft", names)
    assert made.ids() == ["a", "b"]
    assert made.row("a")["audio_filepath"] in (first.name, str(first))
    assert first.stat().st_mtime_ns == made_at
    assert len(list(folder.iterdir())) == 2
    whole = ws.bleep(calls, "whole", "draft", names)
    np.testing.assert_array_equal(made.audio("b", RATE), whole.audio("b", RATE))
    # Another time to bleep is another copy.
    fewer = ws.bleep(calls.where("id = 'b'"), "fewer", "draft", ["Nobody"])
    assert fewer.row("b")["audio_filepath"] != made.row("b")["audio_filepath"]


@pytest.mark.parametrize("of", [{"speaker": "s-a"}, {"recording": "a.wav"}])
def test_erasure_reaches_the_copies(ws: Reviewing, of: dict[str, str]) -> None:
    made = ws.bleep(ws.corpus("calls"), "clean", "draft", ["Maria", "Lopez"])
    path = Path(audio.locate_text(made.row("a")["audio_filepath"], made.audio_roots))
    assert path.is_file()
    erasure.erase(ws, erasure.plan_erasure(ws, **of))
    assert not path.exists()
    assert ws.corpus("clean").ids() == ["b"]
    assert "a" not in ws.corpus("calls").ids()


def test_erasure_reaches_the_copies_of_a_stopped_call(ws: Reviewing) -> None:
    with pytest.raises(WorkbenchError, match="cancelled"):
        ws.bleep(ws.corpus("calls"), "clean", "draft", ["Maria"], cancel=lambda: True)
    ws.bleep(ws.corpus("calls"), "whole", "draft", ["Maria", "Lopez"])
    assert list((ws.corpus_folder("clean") / "audio").iterdir())
    erasure.erase(ws, erasure.plan_erasure(ws, speaker="s-a"))
    assert not ws.corpus_folder("clean").exists()
    assert ws.corpus("whole").ids() == ["b"]
    assert ws.bleep(ws.corpus("calls"), "clean", "draft", ["Maria", "Lopez"]).ids() == ["b"]


def test_a_segment_that_was_moved_is_bleeped_where_it_is_said(ws: Reviewing) -> None:
    """Word times are those of the stretch that was transcribed, not of the one after a reviewer moved it."""
    calls = ws.corpus("calls")
    calls.decisions.edit_together("a", {"offset": 0.2, "duration": 1.5}, reviewer="ann")
    found = ws.personal_data(calls, "draft", ["Maria", "Lopez"]).set_index("id")
    assert found.loc["a", ["start_s", "end_s"]].tolist() == pytest.approx([0.2, 0.8])
    written = calls.predictions_folder / "draft.parquet"
    os.utime(written, (time.time() + 5, time.time() + 5))  # transcribed again since
    found = ws.personal_data(calls, "draft", ["Maria", "Lopez"]).set_index("id")
    assert found.loc["a", ["start_s", "end_s"]].tolist() == pytest.approx([0.4, 1.0])
    calls.decisions.undo(reviewer="ann")
    found = ws.personal_data(calls, "draft", ["Maria", "Lopez"]).set_index("id")
    assert found.loc["a", ["start_s", "end_s"]].tolist() == pytest.approx([0.4, 1.0])


def test_copies_of_one_recording_stay_together_in_splits(ws: Reviewing) -> None:
    """Two sides of a call are two speakers in files of their own; what they came from ties them."""
    made = ws.bleep(ws.corpus("calls"), "clean", "draft", ["Maria", "Lopez"])
    sources = {row["bleeped_from"]: row["source_sha256"] for row in made.frame().to_dict("records")}
    calls = ws.corpus("calls")
    assert sources == {
        name: sha256_file(Path(audio.locate_text(name, calls.audio_roots))) for name in sources
    }


def test_a_recording_that_was_replaced_is_hashed_anew(ws: Reviewing) -> None:
    calls = ws.corpus("calls").where("id = 'a'")
    first = ws.bleep(calls, "first", "draft", ["Maria"]).row("a")["source_sha256"]
    path = Path(audio.locate_text("a.wav", calls.audio_roots))
    soundfile.write(path, 0.2 * np.ones(3 * RATE), RATE)
    again = ws.bleep(calls, "again", "draft", ["Maria"]).row("a")["source_sha256"]
    assert first != again == sha256_file(path)

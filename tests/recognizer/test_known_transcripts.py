"""A known text laid onto a recording: the best path against all paths, times and confidence."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from joined_clips import Joined, join

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.recognizer import alignments, forced_alignment
from workbench.recognizer.forced_alignment import _advance, _back
from workbench.recognizer.known_text import Anchor, Part, anchors_of, parts_of
from workbench.starter_files import CHECKPOINT


def brute_force(blank: np.ndarray[Any, Any], label: np.ndarray[Any, Any]) -> tuple[float, list[int]]:
    """The best path through a small lattice, (score, frame of each label), by trying all."""
    frames, nodes = blank.shape
    best, found = -math.inf, list[int]()
    for places in itertools.combinations_with_replacement(range(frames), nodes - 1):
        score = sum(label[t, u] for u, t in enumerate(places))
        score += sum(blank[t, sum(place <= t for place in places)] for t in range(frames))
        if score > best:
            best, found = score, list(places)
    return best, found


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(0, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_the_best_path_is_the_best_of_all(frames: int, labels: int, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    blank, label = (np.log(rng.random((frames, labels + 1))).astype(np.float32) for _ in range(2))
    scores = np.full(labels + 1, -math.inf)
    scores[0] = 0.0
    kept = []
    for at in range(0, frames, block):
        own = slice(at, min(frames, at + block))
        count = own.stop - own.start
        by_label = np.zeros((count, labels + 1), np.uint8)
        low, high = np.zeros(count, np.int64), np.full(count, labels, np.int64)
        _advance(scores, blank[own], label[own], low, high, 0, by_label)
        kept.append((at, by_label, label[own]))
    wanted, places = brute_force(blank.astype(float), label.astype(float))
    assert scores[-1] == pytest.approx(wanted, abs=1e-5)
    found, sure, node = np.zeros(labels, np.int64), np.zeros(labels), labels
    for at, by_label, own_label in reversed(kept):
        node = _back(by_label, own_label, 0, node, at, found, sure)
    assert node == 0
    assert found.tolist() == places
    assert sure == pytest.approx([label[t, u] for u, t in enumerate(places)])


def test_parts_are_words_or_characters_in_their_language() -> None:
    assert parts_of("Good morning. <en-US> 你好。", "zh-CN") == [
        Part("Good", False, "en-US"),
        Part("morning.", False, "en-US", True),
        Part("你", False, "zh-CN"),
        Part("好。", True, "zh-CN", True),
    ]
    assert parts_of(" <en-US>", "en-US") == []


def test_anchors_are_runs_that_chance_does_not_make() -> None:
    parts = parts_of("Good morning to you. And so on", "en-US")
    heard = [{"word": word, "start": float(n), "end": n + 0.5}
             for n, word in enumerate(["good", "morning", "to", "you", "else", "on"])]  # fmt: skip
    assert anchors_of(parts, "en-US", heard) == [Anchor(n, float(n), n + 0.5) for n in range(4)]
    assert anchors_of(parts, "en-US", heard[:2]) == []


@pytest.mark.parametrize("anchored", [False, True])
def test_the_corridor_leads_from_the_first_to_the_last_token(anchored: bool) -> None:
    """However long text and recording are, whatever anchors say."""
    count, frames = 5000, 9000
    text = forced_alignment._Text([1] * count, [True] * count, [(n, n + 1) for n in range(count)])
    anchors = [Anchor(n, n / 7, n / 7 + 0.3) for n in range(0, count, 997)] if anchored else []
    low, high = forced_alignment._corridor(text, anchors, frames, 0.08)
    assert low[0] == 0
    assert high[-1] == count
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) >= 0).all()
    assert (low <= high).all()
    assert (high - low).max() <= forced_alignment.WIDEST


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[wb.Workspace, Joined]:
    """Clips of one voice as one recording with its transcript, sentences in it that were never said."""
    home = tmp_path_factory.mktemp("align")
    made = join(home / "calls", locale="es-US", clips=24, seed=5)
    ws = wb.Workspace(home / "ws")
    ws.add_checkpoint("starter", CHECKPOINT)
    ws.import_corpus("long", made.manifest)
    ws.transcribe(ws.corpus("long"), "starter", "heard", streaming=True)
    return ws, made


@pytest.mark.model
def test_utterances_lie_where_they_are_said_and_what_was_not_said_is_told(
    said: tuple[wb.Workspace, Joined],
) -> None:
    ws, truth = said
    made = ws.align(ws.corpus("long"), "utterances", "heard")
    rows = made.frame().sort_values("offset", kind="stable").to_dict("records")
    assert " ".join(row["text"] for row in rows) == truth.text
    first, by_first, by_end = 0, {}, {}
    for row in rows:
        by_first[first] = row
        first += len(row["text"].split())
        by_end[first] = row
    ends = np.array([by_end[one.end_word]["offset"] + by_end[one.end_word]["duration"] - one.end_s
                     for one in truth.said])  # fmt: skip
    starts = np.array([by_first[one.first_word]["offset"] - one.start_s for one in truth.said])
    # Both hold some padding, up to half of the pause.
    assert np.median(np.abs(ends)) < 0.3
    assert np.median(np.abs(starts)) < 0.2
    assert (np.abs(ends) < 0.5).mean() > 0.85
    sure = [by_end[one.end_word]["alignment_confidence"] for one in truth.said]
    unsaid = [by_end[one.end_word]["alignment_confidence"] for one in truth.never_said]
    assert max(unsaid) < 0.1
    assert np.median(sure) > 20 * np.median(unsaid)
    strict = ws.align(ws.corpus("long"), "strict", "heard", least_confidence=0.1)
    assert len(made) - len(strict) == len(strict.problems) >= len(truth.never_said)
    assert any("with confidence 0.0" in str(problem) for problem in strict.problems)


@pytest.mark.model
def test_a_stopped_alignment_goes_on_and_what_changed_is_done_anew(
    said: tuple[wb.Workspace, Joined], monkeypatch: pytest.MonkeyPatch
) -> None:
    ws, truth = said
    pcm, rate = soundfile.read(truth.manifest.parent / "long.wav", dtype="float32")
    folder = truth.manifest.parent.parent / "two"
    folder.mkdir()
    rows = []
    for n, one in enumerate(truth.said[:3]):
        soundfile.write(folder / f"{n}.wav", pcm[round(one.start_s * rate) : round(one.end_s * rate)], rate)
        text = " ".join(truth.text.split()[one.first_word : one.end_word])
        rows.append({"id": f"{n}", "audio_filepath": f"{n}.wav", "duration": one.end_s - one.start_s,
                     "text": text, "target_lang": "es-US"})  # fmt: skip
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ws.import_corpus("three", folder / "m.jsonl")
    three = ws.corpus("three")
    ws.transcribe(three, "starter", "heard")
    asked: list[str] = []
    real = alignments.align_task
    monkeypatch.setattr(
        alignments, "align_task", lambda by, task, reader: asked.append(task.id) or real(by, task, reader)
    )
    with pytest.raises(WorkbenchError, match="cancelled after 1 of 3"):
        ws.align(three, "a", "heard", cancel=lambda: True)
    with (three.folder / alignments.FILE).open("a") as stream:
        stream.write('{"key": "torn')
    first = ws.align(three, "a", "heard").frame()
    assert sorted(asked) == ["0", "1", "2"]
    again = ws.align(three, "b", "heard").frame()
    assert len(asked) == 3
    assert first["duration"].tolist() == again["duration"].tolist()
    three.decisions.edit("1", "text", "otra cosa", reviewer="ana")
    ws.align(ws.corpus("three"), "c", "heard")
    assert asked[3:] == ["1"]
    assert "otra" not in (three.folder / alignments.FILE).read_text("utf-8")


@pytest.mark.model
def test_an_imported_engines_prediction_needs_a_checkpoint_that_aligns(
    said: tuple[wb.Workspace, Joined],
) -> None:
    ws, _ = said
    long = ws.corpus("long")
    words = [dict(word) for word in long.prediction("heard")["words"][0]]
    other = [{"id": long.ids()[0], "text": " ".join(word["word"] for word in words), "words": words}]
    ws.import_prediction(long, other, "elsewhere", engine="another")
    with pytest.raises(WorkbenchError, match="not in this workspace"):
        ws.align(long, "x", "elsewhere")


def test_what_has_no_words_is_a_problem_and_a_name_is_taken_once(tmp_path: Path) -> None:
    """Of a row without a transcript; nothing is loaded for it."""
    ws = wb.Workspace(tmp_path / "ws")
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    row = {"id": "a", "audio_filepath": "a.wav", "duration": 1.0, "text": "", "target_lang": "es-US"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row) + "\n")
    corpus = ws.import_corpus("c", tmp_path / "m.jsonl")
    with pytest.raises(WorkbenchError, match="already"):
        ws.align(corpus, "c", "heard")
    with pytest.raises(WorkbenchError, match="no prediction"):
        ws.align(corpus, "d", "heard")

"""Recordings cut into utterances: limits hold, channels stay apart, a stopped call goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.corpus import segmenting
from workbench.corpus.segmenting import FILE, segment
from workbench.errors import WorkbenchError
from workbench.ingest import audio, voice_activity
from workbench.ingest.voice_activity import FRAME, RATE, SegmentRules, probabilities, segments
from workbench.reviewing import Reviewing
from workbench.starter_files import MANIFEST

RULES = SegmentRules()


def said(count: int, rate: int) -> list[np.ndarray[Any, Any]]:
    """Clips of the starter, cut to what is heard."""
    found = []
    for line in MANIFEST.read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["target_lang"] == "en-US" and 1.5 < row["duration"] < 4:
            found.append(audio.read_row(row, [str(MANIFEST.parent)], rate)[0])
            if len(found) == count:
                return found
    raise AssertionError(len(found))


def call(path: Path, rate: int = 8_000) -> list[tuple[int, float, float]]:
    """A call of two channels, each utterance with 2 s of quiet before it; (channel, start, end) of each."""
    clips, at, truth = said(6, rate), 2 * rate, []
    noise = np.random.default_rng(1)
    total = sum(len(clip) + 2 * rate for clip in clips) + 2 * rate
    sound = 2e-4 * noise.standard_normal((total, 2)).astype(np.float32)
    for number, clip in enumerate(clips):
        sound[at : at + len(clip), number % 2] += 0.5 * clip / max(1e-3, float(np.abs(clip).max()))
        truth.append((number % 2, at / rate, (at + len(clip)) / rate))
        at += len(clip) + 2 * rate
    soundfile.write(path, sound, rate)
    return truth


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1, width=32)), min_size=1, max_size=20),
    st.floats(0.1, 2.0), st.floats(3.0, 30.0), st.floats(0.1, 2.0), st.floats(0.0, 0.5), st.floats(0.2, 0.8),
)  # fmt: skip
def test_segments_keep_their_limits(
    runs: list[tuple[int, float]], shortest: float, longest: float, pause: float, pad: float, threshold: float
) -> None:
    rules = SegmentRules(shortest, longest, pause, pad, threshold)
    speech = np.concatenate([np.full(count, value, np.float32) for count, value in runs])
    samples = len(speech) * FRAME - 100
    found = segments(speech, samples, rules)
    ends = [0.0]
    for one in found:
        assert 0 <= one.start_s < one.end_s <= samples / RATE + 1e-4
        assert one.end_s - one.start_s <= longest + 1e-3
        assert one.start_s >= ends[-1] - 1e-3, "they never overlap"
        ends.append(one.end_s)
    loud = [i for i, value in enumerate(speech.tolist()) if value >= threshold]
    long_runs = [
        count for count, value in runs if value >= threshold and count * FRAME / RATE > shortest + 0.1
    ]
    if long_runs:
        assert found
    inside = sum(any(s.start_s <= i * FRAME / RATE < s.end_s + 0.033 for s in found) for i in loud)
    if found and len(loud) * FRAME / RATE > 30 * shortest:
        assert inside >= 0.5 * len(loud)


def test_speech_is_found_in_pieces_as_in_one(tmp_path: Path) -> None:
    truth = call(tmp_path / "call.wav")
    path = str(tmp_path / "call.wav")
    whole = audio.read_mono(path, sample_rate=RATE, channel=0)
    speech, samples = probabilities([whole])
    pieces, counted = probabilities(np.array_split(whole, 37))
    np.testing.assert_allclose(pieces, speech, atol=1e-5)
    assert samples == counted == len(whole)
    assert len(speech) == -(-len(whole) // FRAME)
    mine = [(start, end) for channel, start, end in truth if channel == 0]
    found = segments(speech, samples, RULES)
    for start, end in mine:
        middle = (start + end) / 2
        assert any(one.start_s < middle < one.end_s for one in found)
    for one in found:
        assert any(one.start_s < end and one.end_s > start for start, end in mine), "silence is no segment"


@pytest.fixture
def ws(tmp_path: Path) -> Reviewing:
    folder = tmp_path / "calls"
    folder.mkdir()
    call(folder / "one.wav")
    call(folder / "two.flac", 16_000)
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    rows = [{"id": n.split(".")[0], "audio_filepath": n, "duration": None, "text": "", "target_lang": "en-US"}
            for n in ("one.wav", "two.flac", "broken.wav")]  # fmt: skip
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    home = Reviewing(tmp_path / "ws")
    home.import_corpus("calls", folder / "m.jsonl")
    return home


def test_a_folder_of_calls_becomes_utterances(ws: Reviewing, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    made = ws.segment(ws.corpus("calls"), "utterances", progress=lambda *at: done.append(at))
    assert done[-1] == (4, 4)
    rows = made.page(0, 100)
    assert {row["recording"] for row in rows} == {"one", "two"}
    assert {row["channel"] for row in rows} == {0, 1}
    assert all(not (row["text"] or "") and row["target_lang"] == "en-US" for row in rows)
    assert {row["speaker"] for row in rows} == {"one#0", "one#1", "two#0", "two#1"}
    for row in rows:
        sound = made.audio(row["id"], 16_000)
        assert len(sound) == pytest.approx(16_000 * row["duration"], abs=600)
        assert np.abs(sound).max() > 0.05
    assert any("broken" in str(problem) for problem in made.problems)
    with pytest.raises(WorkbenchError, match="no transcript"):
        made.export(tmp_path / "x", only="not_rejected")
    made.split(seed=1)
    for recording in ("one", "two"):
        assert made.where(f"recording = '{recording}'").frame(["split"])["split"].nunique() == 1


def test_a_stopped_call_goes_on_and_what_changed_is_cut_anew(
    ws: Reviewing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    corpus = ws.corpus("calls").where("id != 'broken'")
    asked: list[str] = []
    real = segmenting.find_segments
    monkeypatch.setattr(segmenting, "find_segments", lambda task: asked.append(task.id) or real(task))
    monkeypatch.setattr(segmenting.os, "cpu_count", lambda: 1)
    with pytest.raises(WorkbenchError, match="cancelled after 2 of 4"):
        segment(corpus, RULES, cancel=lambda: True)
    with (corpus.folder / FILE).open("a") as stream:
        stream.write('{"key": "torn')
    first = segment(corpus, RULES)
    assert sorted(asked) == ["one", "one", "two", "two"]
    assert segment(corpus, RULES).rows == first.rows
    assert len(asked) == 4
    segment(corpus, SegmentRules(silence_s=1.0))
    assert len(asked) == 8
    call(tmp_path / "calls" / "one.wav", 11_025)
    segment(corpus, RULES)
    assert len(asked) == 10


@pytest.mark.parametrize(
    "limits", [{"shortest_s": 0.0}, {"longest_s": 0.2}, {"threshold": 1.0}, {"padding_s": 9.0}]
)
def test_limits_that_cannot_hold_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(WorkbenchError, match="cannot hold"):
        SegmentRules(**limits)


def test_without_the_package_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    voice_activity._session.cache_clear()
    monkeypatch.setattr(voice_activity.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WorkbenchError, match="silero-vad is not installed"):
        probabilities([np.zeros(600, np.float32)])
    voice_activity._session.cache_clear()

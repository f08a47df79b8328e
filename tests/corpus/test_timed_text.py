"""Predictions as CTM, SRT and WebVTT: times, segments of one recording, languages, what is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from workbench.corpus.export.timed_text import CUE_S, LINE_CHARACTERS, write_timed_text
from workbench.errors import WorkbenchError


def words(text: str, start: float, step: float = 0.4, sure: float = 0.9) -> list[dict[str, Any]]:
    return [
        {
            "word": word,
            "start": start + i * step,
            "end": start + i * step + 0.3,
            "confidence": sure,
            "glued": False,
        }
        for i, word in enumerate(text.split())
    ]


EN = {"lang": "en-US", "start_word": 0, "end_word": 1}
ES = {"lang": "es-US", "start_word": 1, "end_word": 4}
ROWS = [
    {"id": "b", "audio_filepath": "day/call.wav", "offset": 10.0, "target_lang": "es-US"},
    {"id": "a", "audio_filepath": "day/call.wav", "offset": 0.0, "target_lang": "en-US"},
    {"id": "c", "audio_filepath": "day/call.wav", "offset": 0.0, "channel": 2, "target_lang": "en-US"},
    {"id": "d", "audio_filepath": "other.wav", "target_lang": "en-US"},
]
PREDICTIONS: dict[str, dict[str, Any]] = {
    "a": {"hypothesis": "one two", "words": words("one two", 0.5), "spans": []},
    "b": {
        "hypothesis": "so pues & <b>", "words": words("so pues & <b>", 0.0),
        "spans": [EN, ES],
    },
    "c": {"hypothesis": "there", "words": words("there", 1.0, sure=0.2), "spans": None},
    "d": {"hypothesis": "no times", "words": None, "spans": None},
}  # fmt: skip


def test_ctm_is_in_the_time_of_the_recording(tmp_path: Path) -> None:
    made = write_timed_text(ROWS, PREDICTIONS, tmp_path / "x.ctm")
    lines = [line.split() for line in made.files[0].read_text("utf-8").splitlines()]
    assert [line[:2] for line in lines] == [["day/call", "1"]] * 6 + [["day/call", "2"]]
    assert [line[4] for line in lines[:6]] == ["one", "two", "so", "pues", "&", "<b>"]
    starts = [float(line[2]) for line in lines[:6]]
    assert starts == sorted(starts)
    assert (starts[0], starts[2]) == (0.5, 10.0)
    assert made.utterances == 3
    assert [problem.what for problem in made.problems] == ["text without word times"]
    sure = write_timed_text(ROWS, PREDICTIONS, tmp_path / "y.ctm", minimum_confidence=0.5)
    assert "there" not in sure.files[0].read_text("utf-8")


def test_webvtt_names_languages_and_escapes_text(tmp_path: Path) -> None:
    made = write_timed_text(ROWS, PREDICTIONS, tmp_path / "v", "vtt", minimum_confidence=0.5)
    assert {path.name for path in made.files} == {"day__call.vtt", "day__call.2.vtt"}
    text = (tmp_path / "v" / "day__call.vtt").read_text("utf-8")
    assert text.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.200\n<lang en-US>one two</lang>\n")
    assert "<lang es-US>pues &amp; &lt;b&gt;</lang>" in text
    assert "(there)" in (tmp_path / "v" / "day__call.2.vtt").read_text("utf-8")


def test_cues_are_short_enough_to_read(tmp_path: Path) -> None:
    long = {"hypothesis": "x", "words": words("transcript " * 80, 0.0), "spans": []}
    made = write_timed_text([ROWS[3]], {"d": long}, tmp_path / "s", "srt")
    blocks = made.files[0].read_text("utf-8").strip().split("\n\n")
    assert len(blocks) > 5
    for number, block in enumerate(blocks, 1):
        first, times, *lines = block.splitlines()
        assert int(first) == number
        a, b = (
            int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000
            for h, m, s, ms in re.findall(r"(\d+):(\d+):(\d+),(\d+)", times)
        )
        assert 0 < b - a <= CUE_S
        assert len(lines) <= 2
        assert all(len(line) <= LINE_CHARACTERS + 12 for line in lines)


def test_characters_of_unspaced_scripts_are_not_spaced(tmp_path: Path) -> None:
    said = [{**w, "glued": i > 0} for i, w in enumerate(words("你 好， 世 界。", 0.0))]
    write_timed_text([ROWS[3]], {"d": {"words": said, "spans": []}}, tmp_path / "s", "srt")
    assert "你好，世界。" in (tmp_path / "s" / "other.srt").read_text("utf-8")


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="no utterance has words with times"):
        write_timed_text([ROWS[3]], PREDICTIONS, tmp_path / "x.ctm")
    with pytest.raises(WorkbenchError, match="unknown format 'ass'"):
        write_timed_text(ROWS, PREDICTIONS, tmp_path / "x", "ass")  # type: ignore[arg-type]

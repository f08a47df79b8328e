"""Any engine's transcripts find their utterances, and what does not match is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sound_files import lines, tone

from workbench.corpus.imported_predictions import import_prediction, predictions_within
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.evaluation.corpora import evaluate

Bring = Callable[..., Corpus]
HEARD = ["guten tag", "noch einmal", "auf wiedersehen"]


@pytest.fixture
def calls(tmp_path: Path, bring: Bring) -> Corpus:
    """Three recordings, one utterance each."""
    rows = []
    for i, text in enumerate(("Guten Tag.", "Noch einmal!", "Auf Wiedersehen.")):
        tone(tmp_path / "calls" / "day" / f"call-{i}.wav", 2)
        rows.append(
            {"id": f"u{i}", "audio_filepath": f"day/call-{i}.wav", "text": text, "target_lang": "de-DE"}
        )
    return bring(lines(tmp_path / "calls" / "m.jsonl", rows))


@pytest.fixture
def long(tmp_path: Path, bring: Bring) -> Corpus:
    """One recording of three utterances."""
    tone(tmp_path / "long" / "talk.wav", 10)
    rows = [{"id": f"t{i}", "audio_filepath": "talk.wav", "offset": 3.0 * i, "duration": 2.0, "text": "x",
             "target_lang": "de-DE"} for i in range(3)]  # fmt: skip
    return bring(lines(tmp_path / "long" / "m.jsonl", rows))


WORDS = [
    (0.2, 0.6, "Guten"), (0.7, 1.2, "Tag."), (3.1, 3.5, "Noch"), (3.6, 4.4, "einmal!"), (6.5, 7.9, "Ende."),
]  # fmt: skip


def whisper() -> Any:
    words = [{"word": f" {w}", "start": s, "end": e, "probability": 0.5} for s, e, w in WORDS]
    segment = {"start": 0.0, "end": 9.0, "text": "x", "words": words}
    return {"text": " Guten Tag. Noch einmal! Ende.", "language": "de", "segments": [segment]}


def whisper_cpp() -> Any:
    def part(start: float, end: float, word: str) -> Any:
        return {"offsets": {"from": int(start * 1000), "to": int(end * 1000)}, "text": f" {word}"}

    return {"result": {"language": "de"}, "transcription": [part(*one) for one in WORDS]}


def azure() -> Any:
    def phrase(start: float, end: float, word: str) -> Any:
        times = {"offsetInTicks": int(start * 1e7), "durationInTicks": int((end - start) * 1e7)}
        return {**times, "nBest": [{"display": word, "confidence": 0.9, "words": [{"word": word, **times}]}]}

    return {"source": "https://x/talk.wav?sig=1", "recognizedPhrases": [phrase(*one) for one in WORDS]}


def azure_fast() -> Any:
    def phrase(start: float, end: float, word: str) -> Any:
        times = {"offsetMilliseconds": int(start * 1000), "durationMilliseconds": int((end - start) * 1000)}
        return {**times, "text": word, "locale": "de-DE", "confidence": 0.9}

    return {"combinedPhrases": [{"text": "x"}], "phrases": [phrase(*one) for one in WORDS]}


def google() -> Any:
    def result(start: float, end: float, word: str) -> Any:
        words = [{"word": word, "startTime": f"{start}s", "endTime": f"{end}s"}]
        best = {"transcript": word, "confidence": 0.9, "words": words}
        return {"languageCode": "de-de", "alternatives": [best]}

    return {"results": [result(*one) for one in WORDS]}


def aws() -> Any:
    items = []
    for start, end, word in WORDS:
        said = [{"content": word.rstrip(".!"), "confidence": "0.9"}]
        times = {"start_time": str(start), "end_time": str(end)}
        items.append({"type": "pronunciation", **times, "alternatives": said})
        if word[-1] in ".!":
            items.append({"type": "punctuation", "alternatives": [{"content": word[-1]}]})
    results = {"language_code": "de-DE", "transcripts": [{"transcript": "x"}], "items": items}
    return {"jobName": "talk", "results": results}


ENGINES = {
    "whisper": whisper(), "whisper.cpp": whisper_cpp(), "azure": azure(), "azure fast": azure_fast(),
    "google": google(), "google in a response": {"response": google()}, "aws": aws(),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_the_json_of_an_engine_is_cut_to_the_utterances(long: Corpus, tmp_path: Path, engine: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "talk.json").write_text(json.dumps(ENGINES[engine]))
    report = import_prediction(long, tmp_path / "out", "other", engine=engine)
    assert report.matched == {"time": 3}
    found = long.prediction("other")
    assert found["hypothesis"].tolist() == ["Guten Tag.", "Noch einmal!", "Ende."]
    second = found["words"][1][0]
    assert (second["word"], round(second["start"], 3)) == ("Noch", 0.1)
    assert set(found["runtime"]) == {f"imported {engine}"}
    assert engine in str(report)


def test_a_ctm_and_subtitles_are_cut_too(long: Corpus, tmp_path: Path) -> None:
    ctm = "".join(f"talk 1 {s} {e - s:.2f} {w} 0.9\n" for s, e, w in WORDS)
    (tmp_path / "a.ctm").write_text(ctm)
    import_prediction(long, tmp_path / "a.ctm", "ctm")
    (tmp_path / "talk.srt").write_text(
        "".join(f"{i}\n00:00:0{3 * i},000 --> 00:00:0{3 * i + 1},500\n{t}\n\n" for i, t in enumerate(HEARD))
    )
    import_prediction(long, tmp_path / "talk.srt", "srt")
    assert long.prediction("ctm")["hypothesis"].tolist() == ["Guten Tag.", "Noch einmal!", "Ende."]
    assert long.prediction("srt")["hypothesis"].tolist() == HEARD


def by_id(folder: Path) -> Any:
    return {f"u{i}": text for i, text in enumerate(HEARD)}


def by_frame(folder: Path) -> Any:
    return pd.DataFrame({"utt_id": ["u0", "u1", "u2"], "hypothesis": HEARD, "confidence": [0.5, None, 0.7]})


def by_manifest(folder: Path) -> Any:
    rows = [{"audio_filepath": f"day/call-{i}.wav", "duration": 2, "text": "not this", "pred_text": text}
            for i, text in enumerate(HEARD)]  # fmt: skip
    return lines(folder / "pred.json", rows)


def by_absolute_path(folder: Path) -> Any:
    rows = [{"audio_filepath": str(folder / "calls" / "day" / f"call-{i}.wav"), "pred_text_canary": text}
            for i, text in enumerate(HEARD)]  # fmt: skip
    return lines(folder / "pred.jsonl", rows)


def by_file_name(folder: Path) -> Any:
    made = "".join(f"/elsewhere/call-{i}.flac,{text}\n" for i, text in enumerate(HEARD))
    (folder / "pred.csv").write_text("file,prediction\n" + made)
    return folder / "pred.csv"


def by_texts(folder: Path) -> Any:
    (folder / "texts").mkdir()
    for i, text in enumerate(HEARD):
        (folder / "texts" / f"call-{i}.txt").write_text(text + "\n")
    return folder / "texts"


def by_parquet(folder: Path) -> Any:
    by_frame(folder).to_parquet(folder / "p.parquet")
    return folder / "p.parquet"


WAYS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "dict": (by_id, "id"), "DataFrame": (by_frame, "id"), "Parquet": (by_parquet, "id"),
    "NeMo manifest": (by_manifest, "path"), "absolute paths": (by_absolute_path, "path"),
    "CSV of file names": (by_file_name, "file name"), "text files": (by_texts, "file name"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_transcripts_are_matched_and_scored_like_our_own(calls: Corpus, tmp_path: Path, way: str) -> None:
    make, by = WAYS[way]
    report = import_prediction(calls, make(tmp_path), "other", engine="X 1", lookahead_ms=80, streaming=True)
    assert report.matched == {by: 3}
    assert (report.without, report.unmatched_count, report.problems) == (0, 0, [])
    scored = evaluate(calls, "other")
    assert scored.rates("other")["rate"].tolist() == [0.0] * len(scored.rates("other"))
    assert scored.facts("other")["runtime"] == "imported X 1"
    with pytest.raises(WorkbenchError, match="there is a prediction 'other'"):
        import_prediction(calls, make, "other")


def test_what_does_not_match_is_said(calls: Corpus) -> None:
    frame = pd.DataFrame({"id": ["u0", "u0", "z9"], "text": ["a", "b", "c"]})
    report = import_prediction(calls, frame, "some")
    assert (report.matched, report.without, report.unmatched) == ({"id": 1}, 2, ["z9"])
    assert "a second transcript for 'u0'" in str(report)
    assert "engine not stated, settings not stated, look-ahead not stated" in str(report)
    assert calls.prediction("some")["hypothesis"].tolist() == ["a"]
    with pytest.raises(WorkbenchError, match="none of 1 transcripts fits an utterance; they name z9"):
        import_prediction(calls, frame[2:], "none")
    assert calls.prediction_names() == ["some"]


def test_a_recording_of_several_utterances_needs_times_or_offsets(long: Corpus) -> None:
    with pytest.raises(WorkbenchError, match="none of 1"):
        import_prediction(long, pd.DataFrame({"path": ["talk.wav"], "text": ["x"]}), "a")
    rows = [{"path": "talk.wav", "offset": 3.0 * i, "hyp": text} for i, text in enumerate(HEARD)]
    report = import_prediction(long, rows, "b")
    assert report.matched == {"path and offset": 3}
    assert long.prediction("b")["hypothesis"].tolist() == HEARD


def test_one_of_several_columns_has_to_be_named(calls: Corpus) -> None:
    frame = pd.DataFrame({"id": ["u0"], "pred_text_a": ["a"], "pred_text_b": ["b"]})
    with pytest.raises(WorkbenchError, match="several columns of transcripts: pred_text_a, pred_text_b"):
        import_prediction(calls, frame, "x")
    import_prediction(calls, frame, "x", column="pred_text_b")
    assert calls.prediction("x")["hypothesis"].tolist() == ["b"]
    with pytest.raises(WorkbenchError, match="no column holds what was heard"):
        import_prediction(calls, pd.DataFrame({"id": ["u0"], "z": ["b"]}), "y")


def test_what_a_manifest_brings_becomes_predictions(tmp_path: Path, bring: Bring) -> None:
    tone(tmp_path / "a.wav")
    row = {"audio_filepath": "a.wav", "text": "Ja.", "pred_text": "ja", "pred_text_canary": "nein"}
    corpus = bring(lines(tmp_path / "m.jsonl", [row]))
    assert [report.name for report in predictions_within(corpus)] == ["pred_text", "canary"]
    assert corpus.prediction("canary")["hypothesis"].tolist() == ["nein"]
    assert predictions_within(corpus) == []

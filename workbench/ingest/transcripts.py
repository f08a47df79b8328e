"""What other engines heard, in the forms they write: tables and manifests, CTM and subtitles, text files, and
the JSON of Whisper, Azure, Google and AWS. :mod:`workbench.corpus.imported_predictions` matches them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import in_memory, json_text, timed
from workbench.ingest.manifest import careful
from workbench.ingest.reader import LINE
from workbench.ingest.schema import guess_mapping
from workbench.ingest.tables import open_parquet, records
from workbench.reading import regular

HYPOTHESIS = (
    "pred_text", "hypothesis", "hyp", "prediction", "predicted_text", "recognized_text", "asr_text", "asr",
    "transcript", "transcription", "display", "text",
)  # fmt: skip
"""Columns that may hold what an engine heard, likeliest first; ``pred_text_NAME`` comes before all."""
_TEXTS = (".txt", ".hyp", ".trn")
_TICKS = 1e7
Json = Mapping[str, Any]


@dataclass
class Heard:
    """One transcript of an engine, before it is known which utterance it is of.

    Attributes:
        text: what was heard.
        where: file and line, for the report.
        id: of the utterance, where the engine's file says.
        recording: path, name or stem of the recording.
        offset: of the stretch in the recording in seconds, where stated.
        words: ``word``, ``start``, ``end`` in seconds of the recording, ``confidence`` where known.
        confidence: where stated, on whatever scale the engine has.
        lang: what the engine took it for.
    """

    text: str
    where: str
    id: str | None = None
    recording: str | None = None
    offset: float | None = None
    words: list[dict[str, Any]] = field(default_factory=list)
    confidence: float | None = None
    lang: str | None = None


def read_transcripts(source: Any, column: str | None, problems: list[Problem]) -> list[Heard]:
    """Transcripts of a source.

    Args:
        source: a path (manifest, table, CTM, STM, SRT, VTT, TextGrid, an engine's JSON, or a folder of them
            or of text files), a DataFrame, an Arrow table, a list of dicts, or a dict of id → text.
        column: which column holds what was heard, where a table has several.
        problems: what could not be read is added.

    Raises:
        WorkbenchError: the source cannot be read, no column holds transcripts, or several may.
    """
    if isinstance(source, Mapping) and source and all(isinstance(text, str) for text in source.values()):
        return [Heard(text, "dict", id=str(id_)) for id_, text in source.items()]
    if not isinstance(source, str | os.PathLike):
        reader = in_memory.open_object(source, None)
        return _of_rows([r for t in reader.tables(problems) for r in t.to_pylist()], column, reader.where)
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in (*_TEXTS, ".json", *timed.SUFFIXES))
        if not files:
            raise WorkbenchError(
                "no transcripts here", where=str(path), hint="Text files, JSON, CTM, SRT or VTT."
            )
        return [heard for file in files for heard in _of_file(file, path, column, problems)]
    if not path.is_file():
        raise WorkbenchError("no such file", where=str(path), hint="Check the path.")
    return list(_of_file(path, path.parent, column, problems))


def _of_file(path: Path, root: Path, column: str | None, problems: list[Problem]) -> Iterator[Heard]:
    suffix = path.suffix.lower()
    stem = path.relative_to(root).with_suffix("").as_posix()
    if suffix in timed.SUFFIXES:
        yield from _of_timed(path, stem, problems)
    elif suffix in (".csv", ".tsv", ".xlsx", ".xlsm"):
        yield from _of_rows(list(records(path, problems, problems)), column, path.name)
    elif suffix == ".parquet":
        tables = open_parquet([path], None).tables(problems)
        yield from _of_rows([row for table in tables for row in table.to_pylist()], column, path.name)
    elif suffix in _TEXTS:
        text = regular(path, "transcript").read_bytes().decode("utf-8-sig", "replace")
        yield Heard(" ".join(text.split()), path.name, recording=stem)
    else:
        document = _document(path)
        if document is not None:
            yield from _of_engine(document, stem, path.name, problems)
        else:
            rows = [row for table in careful(path, problems) for row in table.to_pylist()]
            yield from _of_rows(rows, column, path.name)


def _document(path: Path) -> Json | None:
    """The one JSON object that a file is; None for lines and arrays."""
    if path.suffix.lower() != ".json":
        return None
    try:
        made = json.loads(b"".join(json_text.chunks(path, [])))
    except (ValueError, RecursionError):
        return None
    return made if isinstance(made, dict) and not {"audio_filepath"} & set(made) else None


def hypothesis_column(names: Sequence[str], column: str | None, where: str) -> str:
    """Which column holds what was heard.

    Raises:
        WorkbenchError: none does; or several ``pred_text_*`` do and it is not said which.
    """
    if column is not None:
        if column not in names:
            raise WorkbenchError(
                f"no column {column!r}", where=where, hint=f"Columns: {', '.join(names)[:200]}."
            )
        return column
    several = [name for name in names if name.startswith("pred_text")]
    if len(several) > 1:
        raise WorkbenchError(
            f"several columns of transcripts: {', '.join(several)}", where=where, hint="Say which: column=…"
        )
    if several:
        return several[0]
    by_lower = {name.lower(): name for name in reversed(names)}
    found = next((by_lower[name] for name in HYPOTHESIS if name in by_lower), None)
    if found is None:
        hint = f"Name it: column=…; there are {', '.join(names)[:150]}."
        raise WorkbenchError("no column holds what was heard", where=where, hint=hint)
    return found


def _of_rows(rows: Sequence[Json], column: str | None, where: str) -> list[Heard]:
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != LINE]
    chosen = hypothesis_column(names, column, where)
    mapping = guess_mapping([name for name in names if name != chosen])
    made = []
    for number, row in enumerate(rows, 1):
        text, words = row.get(chosen), row.get("words")
        if text is None:
            continue
        at = f"{where}:{row.get(LINE) or number}"
        heard = Heard(str(text), at, _text(row, mapping.get("id")), _text(row, mapping.get("audio_filepath")))
        heard.offset = _number(row.get(mapping.get("offset", "")))
        heard.confidence = _sure(row.get("confidence"))
        heard.lang = _text(row, "detected_lang")
        if isinstance(words, str):
            try:
                words = json.loads(words)
            except ValueError:
                words = None
        if isinstance(words, list | tuple) and all(isinstance(word, dict) for word in words):
            heard.words = [
                _word(w.get("word"), w.get("start"), w.get("end"), w.get("confidence")) for w in words
            ]
        made.append(heard)
    return made


def _text(row: Json, name: str | None) -> str | None:
    value = row.get(name or "")
    return None if value is None or value == "" else str(value)


def _number(value: Any) -> float | None:
    try:
        return None if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return None


def _word(word: Any, start: Any, end: Any, confidence: Any = None) -> dict[str, Any]:
    made = {"word": str(word).strip(), "start": _number(start), "end": _number(end)}
    return {**made, "confidence": _sure(confidence)}


def _sure(value: Any) -> float | None:
    """A confidence as it is written; NaN for what is no number, which is named later."""
    return None if value in (None, "") else found if (found := _number(value)) is not None else math.nan


def _of_timed(path: Path, stem: str, problems: list[Problem]) -> Iterator[Heard]:
    """CTM word by word; of the others each stretch is a transcript with the times of its recording."""

    def bad(what: str, line: int) -> None:
        problems.append(Problem(path.name, what, "", line))

    if path.suffix.lower() == ".ctm":
        spoken: dict[str, list[dict[str, Any]]] = {}
        for row in timed.ctm_words(path, bad, problems):
            end = row["offset"] + row["duration"]
            word = _word(row["text"], row["offset"], end, row.get("confidence"))
            spoken.setdefault(row["recording"], []).append(word)
        for recording, words in spoken.items():
            yield _spoken(words, path.name, recording)
        return
    for row in timed.parsed(path, bad, problems):
        at, recording = f"{path.name}:{row[LINE]}", row.get("recording") or stem
        end = row["offset"] + row["duration"]
        yield Heard(
            row.get("text") or "", at, recording=recording, offset=row["offset"],
            words=[_word(row.get("text") or "", row["offset"], end)],
        )  # fmt: skip


def _spoken(words: list[dict[str, Any]], where: str, recording: str, lang: str | None = None) -> Heard:
    text = " ".join(word["word"] for word in words if word["word"])
    return Heard(text, where, recording=recording, words=words, lang=lang)


def _of_engine(document: Json, stem: str, where: str, problems: list[Problem]) -> Iterator[Heard]:
    """The JSON of one recording as an engine writes it."""
    for reads in (_whisper, _whisper_cpp, _azure_batch, _azure_fast, _azure_live, _aws, _google):
        heard = reads(document, stem, where)
        if heard is not None:
            yield heard
            return
    if all(isinstance(value, str) for value in document.values()) and len(document) > 1:
        yield from (Heard(text, where, id=id_) for id_, text in document.items())
        return
    keys = ", ".join(list(document)[:8])
    problems.append(
        Problem(where, f"no engine's JSON that is known; its keys are {keys}", "Write JSON lines.")
    )


def _whisper(document: Json, stem: str, where: str) -> Heard | None:
    """OpenAI's Whisper, faster-whisper and WhisperX."""
    segments = document.get("segments")
    if not isinstance(segments, list):
        return None
    words = [
        _word(
            w.get("word", w.get("text")), w.get("start"), w.get("end"), w.get("probability", w.get("score"))
        )
        for segment in segments
        for w in segment.get("words") or ()
    ]
    words = words or [_word(s.get("text", ""), s.get("start"), s.get("end")) for s in segments]
    text = document.get("text") or " ".join(str(s.get("text", "")).strip() for s in segments)
    return Heard(
        " ".join(str(text).split()), where, recording=stem, words=words, lang=document.get("language")
    )


def _whisper_cpp(document: Json, stem: str, where: str) -> Heard | None:
    parts = document.get("transcription")
    if not isinstance(parts, list):
        return None
    words = [_word(p.get("text"), p["offsets"]["from"] / 1000, p["offsets"]["to"] / 1000) for p in parts
             if isinstance(p.get("offsets"), dict)]  # fmt: skip
    text = " ".join(" ".join(str(p.get("text", "")) for p in parts).split())
    return Heard(
        text, where, recording=stem, words=words, lang=(document.get("result") or {}).get("language")
    )


def _azure_batch(document: Json, stem: str, where: str) -> Heard | None:
    phrases = document.get("recognizedPhrases")
    if not isinstance(phrases, list):
        return None
    words, texts, sure = [], [], []
    for phrase in sorted(phrases, key=lambda p: p.get("offsetInTicks", 0)):
        best = (phrase.get("nBest") or [{}])[0]
        texts.append(str(best.get("display", best.get("lexical", ""))))
        sure.append(best.get("confidence"))
        parts = best.get("words") or [{**phrase, "word": texts[-1]}]
        words += [_ticked(w) for w in parts]
    return Heard(" ".join(texts).strip(), where, recording=_source(document, stem), words=words,
                 confidence=_mean(sure))  # fmt: skip


def _ticked(word: Json) -> dict[str, Any]:
    start, length = (_number(word.get(key)) for key in ("offsetInTicks", "durationInTicks"))
    if start is None or length is None:
        return _word(word.get("word"), None, None)
    return _word(word.get("word"), start / _TICKS, (start + length) / _TICKS, word.get("confidence"))


def _azure_fast(document: Json, stem: str, where: str) -> Heard | None:
    phrases = document.get("phrases")
    if not isinstance(phrases, list) or "combinedPhrases" not in document:
        return None
    words = [
        _word(w.get("text"), w["offsetMilliseconds"] / 1000,
              (w["offsetMilliseconds"] + w.get("durationMilliseconds", 0)) / 1000)
        for phrase in phrases for w in phrase.get("words") or [phrase]
    ]  # fmt: skip
    text = " ".join(str(p.get("text", "")) for p in phrases)
    lang = next((p.get("locale") for p in phrases if p.get("locale")), None)
    sure = _mean([p.get("confidence") for p in phrases])
    return Heard(text, where, recording=stem, words=words, confidence=sure, lang=lang)


def _azure_live(document: Json, stem: str, where: str) -> Heard | None:
    if "DisplayText" not in document and "RecognitionStatus" not in document:
        return None
    best = (document.get("NBest") or [{}])[0]
    words = [
        _word(
            w.get("Word"), w["Offset"] / _TICKS, (w["Offset"] + w["Duration"]) / _TICKS, w.get("Confidence")
        )
        for w in best.get("Words") or ()
    ]
    text = str(document.get("DisplayText") or best.get("Display") or "")
    return Heard(text, where, recording=stem, words=words, confidence=_sure(best.get("Confidence")))


def _aws(document: Json, stem: str, where: str) -> Heard | None:
    results = document.get("results")
    if not isinstance(results, dict) or "transcripts" not in results:
        return None
    words: list[dict[str, Any]] = []
    for item in results.get("items") or ():
        best = (item.get("alternatives") or [{}])[0]
        if item.get("type") == "punctuation" and words:
            words[-1]["word"] += str(best.get("content", ""))
        else:
            times = item.get("start_time"), item.get("end_time")
            words.append(_word(best.get("content"), *times, best.get("confidence")))
    text = " ".join(str(t.get("transcript", "")) for t in results["transcripts"])
    return Heard(text, where, recording=str(document.get("jobName") or stem), words=words,
                 confidence=_mean([w["confidence"] for w in words]),
                 lang=results.get("language_code"))  # fmt: skip


def _google(document: Json, stem: str, where: str) -> Heard | None:
    results = document.get("results")
    if isinstance(document.get("response"), dict):
        results = document["response"].get("results")
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        return None
    words, texts, sure = [], [], []
    for result in results:
        best = (result.get("alternatives") or [{}])[0]
        texts.append(str(best.get("transcript", "")).strip())
        sure.append(best.get("confidence"))
        for w in best.get("words") or ():
            start, end = w.get("startTime", w.get("startOffset")), w.get("endTime", w.get("endOffset"))
            words.append(_word(w.get("word"), _clock(start), _clock(end), w.get("confidence")))
    lang = next((r.get("languageCode") for r in results if r.get("languageCode")), None)
    return Heard(
        " ".join(filter(None, texts)), where, recording=stem, words=words, confidence=_mean(sure), lang=lang
    )


def _clock(value: Any) -> float | None:
    """Seconds of ``"1.300s"`` or of ``{"seconds": 1, "nanos": 300000000}``."""
    if isinstance(value, dict):
        return float(value.get("seconds", 0)) + float(value.get("nanos", 0)) / 1e9
    return _number(str(value).rstrip("s")) if value is not None else None


def _source(document: Json, stem: str) -> str:
    """The recording's name out of the address that an engine fetched it from."""
    address = str(document.get("source") or "")
    return address.split("?")[0].rsplit("/", 1)[-1] or stem


def _mean(values: Sequence[Any]) -> float | None:
    known = [number for value in values if (number := _number(value)) is not None]
    return round(sum(known) / len(known), 6) if known else None

"""Long proofs of streaming, run by ``make soak``: every recording at every look-ahead, an hour of audio.

Results are written to ``docs/evidence/streaming-*.json``. One look-ahead at a time:
``pytest -m soak tests/recognizer/test_soak.py -k 560``; the figures of the others stay in the file.
``WORKBENCH_SOAK_CLIPS=200`` takes so many test recordings, evenly over their lengths, instead of all of both
splits; the file says how many there were. A run that was broken off goes on where it was.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from evidence import CHECKPOINT, Progress, earlier, heard, record, starter_rows
from offline import decision_gap

from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import Clip, read
from workbench.recognizer.events import LanguageSpan, StreamEvent, Word
from workbench.recognizer.stream_pipeline import StreamPipeline
from workbench.starter_files import CORPUS

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(12 * 3600)]
BATCH_S, MOST = 240.0, 64
TOLERANCE = 1e-3
PARTS = 20
"""Each look-ahead comes to its next part when the others have had theirs: a run broken off tells of all."""
HOUR_LOOKAHEADS = (560,)
PIECE = 16_000
"""Samples of a piece in the hour of audio: a second at most, as a caller sends them."""


class Said(NamedTuple):
    """What was said of a clip: tokens, their frames, text, words with their times, spans of languages."""

    ids: list[int]
    frames: list[int]
    text: str
    words: list[dict[str, Any]]
    spans: tuple[LanguageSpan, ...]


def spelled(words: Sequence[Word]) -> list[dict[str, Any]]:
    """Words with their times, without confidences, whose last digits a batch changes."""
    return [{key: value for key, value in word.to_dict().items() if key != "confidence"} for word in words]


def recordings() -> list[dict[str, Any]]:
    """Rows of the starter corpus, shortest first; one of those whose sound is the same to the last byte."""
    few = int(os.environ.get("WORKBENCH_SOAK_CLIPS", "0"))
    rows = {}
    for row in starter_rows():
        if not few or row["split"] == "test":
            sound = hashlib.sha256((CORPUS / row["audio_filepath"]).read_bytes()).hexdigest()
            rows.setdefault(sound, {**row, "rows": 0, "sound": sound})["rows"] += 1
    ordered = sorted(rows.values(), key=lambda row: (row["duration"], row["sound"]))
    few = min(few, len(ordered)) or len(ordered)
    return [ordered[i * len(ordered) // few] for i in range(few)]


def batches(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Neighbors in length, so that little is padding: that is what makes all recordings affordable.

    In a drawn order, so that a run that is broken off has seen every length.
    """
    found: list[list[dict[str, Any]]] = [[]]
    for row in rows:
        if len(found[-1]) == MOST or (len(found[-1]) + 1) * row["duration"] > BATCH_S:
            found.append([])
        found[-1].append(row)
    found = [batch for batch in found if batch]
    random.Random(6).shuffle(found)
    return found


def live(checkpoint: Checkpoint, clips: list[Clip], lookahead_ms: int, runtime: str) -> list[Said]:
    """What sessions say of clips, stepped together: every chunk becomes an event, as a caller sees it."""
    engine, right = checkpoint.engine("cpu", "fp32", runtime), checkpoint.right_context(lookahead_ms)
    callers = [StreamPipeline(engine, checkpoint.tokenizer(), right, clip.prompt_index) for clip in clips]
    for caller, clip in zip(callers, clips, strict=True):
        caller.push(clip.pcm, engine.sample_rate)
        caller.end()
    events: list[list[StreamEvent]] = [[] for _ in callers]
    active = list(range(len(callers)))
    while active:
        active = [i for i in active if callers[i].stream.ready or callers[i].stream.rest > 0]
        due = [callers[i].due_samples() for i in active]
        steps = engine.step([callers[i].stream for i in active]) if active else []
        for i, samples, decoded in zip(active, due, steps, strict=True):
            events[i].append(callers[i].event(decoded, samples, 0.0, last=False))
    found = []
    for caller, of_clip in zip(callers, events, strict=True):
        last = caller.event(None, caller.due_samples(), 0.0, last=True)
        tokens = [token for event in of_clip for token in event.new_tokens]
        ids, frames = [token.id for token in tokens], [token.frame for token in tokens]
        found.append(Said(ids, frames, last.transcript, spelled(last.words), last.spans))
    return found


def compared(
    checkpoint: Checkpoint, batch: list[dict[str, Any]], lookahead_ms: int, runtime: str
) -> dict[str, Any]:
    """What a transcription and live sessions of one batch have in common, and where they part."""
    engine, right = checkpoint.engine("cpu"), checkpoint.right_context(lookahead_ms)
    begin, ties, faults, torn = time.process_time(), [], [], []
    clips = [Clip(heard(row), checkpoint.prompt_index("auto")) for row in batch]
    transcribed = [
        Said(one.decoded.ids, one.decoded.frames, one.text, spelled(one.words), one.spans)
        for one in read(engine, clips, checkpoint.tokenizer(), right, streaming=False)
    ]
    for row, clip, whole, said in zip(
        batch, clips, transcribed, live(checkpoint, clips, lookahead_ms, runtime), strict=True
    ):
        if (whole.ids, whole.frames) == (said.ids, said.frames):
            if whole != said:
                torn.append({"id": row["id"], "transcribed": whole.text, "live": said.text})
            continue
        # Against the clip decoded alone: either of the two batches may have tipped a tie.
        gaps = [decision_gap(checkpoint, clip.pcm, lookahead_ms, one) for one in (whole, said)]
        gap = max((gap for gap in gaps if math.isfinite(gap)), default=math.inf)
        (ties if gap <= TOLERANCE else faults).append({"id": row["id"], "gap": gap})
    return {
        "recordings": len(batch),
        "rows": sum(row["rows"] for row in batch),
        "audio_s": sum(row["duration"] for row in batch),
        "tokens": sum(len(whole.ids) for whole in transcribed),
        "words": sum(len(whole.words) for whole in transcribed),
        "spans": sum(len(whole.spans) for whole in transcribed),
        "ties": ties,
        "mismatches": faults,
        "texts_or_words_differ": torn,
        "cpu_s": time.process_time() - begin,
    }


def summed(results: list[dict[str, Any]], recordings: int) -> dict[str, Any]:
    """The figures of one look-ahead; ``of``: recordings that there are."""
    faults = ("ties", "mismatches", "texts_or_words_differ")
    return {
        "recordings": sum(one["recordings"] for one in results),
        "of": recordings,
        **{name: sum(one[name] for one in results) for name in ("rows", "tokens", "words", "spans")},
        "audio_h": round(sum(one["audio_s"] for one in results) / 3600, 3),
        **{kind: [fault for one in results for fault in one[kind]] for kind in faults},
        "cpu_s": round(sum(one["cpu_s"] for one in results), 1),
    }


def key_of(batch: list[dict[str, Any]], lookahead_ms: int, runtime: str) -> str:
    sounds = hashlib.sha256("".join(row["sound"] for row in batch).encode())
    return f"{runtime} {lookahead_ms} {sounds.hexdigest()}"


@pytest.mark.parametrize("lookahead_ms", [1120, 560, 320, 160, 80])
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_every_recording_streams_as_it_is_transcribed(runtime, part, lookahead_ms):
    """Tokens, frames, text, words and spans of live sessions are those of torch's transcription, in torch and
    in ONNX Runtime; exceptions only where a decision hung on 1e-3, and those are listed."""
    checkpoint = Checkpoint.open(CHECKPOINT)
    progress, rows = Progress("parity", checkpoint), recordings()
    every = batches(rows)
    for batch in every[part::PARTS]:
        key = key_of(batch, lookahead_ms, runtime)
        if key not in progress.done:
            progress.add(key, compared(checkpoint, batch, lookahead_ms, runtime))
    keys = [key_of(batch, lookahead_ms, runtime) for batch in every]
    found = summed([progress.done[key] for key in keys if key in progress.done], len(rows))
    done = earlier("text-parity", checkpoint).get("runtimes", {})
    of_runtime = {**done.get(runtime, {}), str(lookahead_ms): found}
    record("text-parity", checkpoint, {"runtimes": {**done, runtime: of_runtime}})
    assert found["tokens"] > found["recordings"]
    assert not found["mismatches"]
    assert not found["texts_or_words_differ"]


def pieces() -> Iterator[np.ndarray]:
    """The corpus's recordings one after the other, half a second between them, a second at most at a time."""
    pause = np.zeros(8000, np.float32)
    for row in itertools.cycle(starter_rows()):
        sound = np.concatenate([heard(row), pause])
        yield from (sound[start : start + PIECE] for start in range(0, len(sound), PIECE))


@pytest.mark.parametrize("lookahead_ms", HOUR_LOOKAHEADS)
def test_an_hour_in_one_session(lookahead_ms):
    """The model's state is the same to the byte, no audio piles up, and the process does not grow."""
    checkpoint = Checkpoint.open(CHECKPOINT)
    session, process = checkpoint.session("auto", lookahead_ms, device="cpu"), psutil.Process()
    heard_s, held, waited, minutes = 0.0, set(), 0.0, []
    begin, begin_s = time.process_time(), 0.0
    for piece in pieces():
        for event in session.feed(piece, 16000):
            held.add(event.cache_bytes)
            waited = max(waited, event.backlog_s)
        heard_s += len(piece) / 16000
        if heard_s - begin_s >= 60:
            spent = (time.process_time() - begin) / (heard_s - begin_s)
            minutes.append({"rss_mib": process.memory_info().rss / 2**20, "cpu_per_audio_s": spent})
            begin, begin_s = time.process_time(), heard_s
        if heard_s >= 3600:
            break
    session.finish()
    resident = [minute["rss_mib"] for minute in minutes]
    quarter = len(minutes) // 4
    parts = minutes[:quarter], minutes[-quarter:]
    work = [float(np.median([minute["cpu_per_audio_s"] for minute in part])) for part in parts]
    result = {
        "lookahead_ms": lookahead_ms,
        "audio_s": round(heard_s, 1),
        "piece_s": PIECE / 16000,
        "words": len(session.words),
        "cache_bytes": sorted(held),
        "most_backlog_s": waited,
        "rss_mib": {
            "after_a_quarter": round(resident[quarter], 1),
            "at_the_end": round(resident[-1], 1),
            "least": round(min(resident[quarter:]), 1),
            "most": round(max(resident[quarter:]), 1),
        },
        "cpu_per_audio_s": {"first_quarter": round(work[0], 4), "last_quarter": round(work[1], 4)},
    }
    record("streaming-hour", checkpoint, result)
    assert len(minutes) >= 58
    assert len(held) == 1, "caches, decoder state and context: from the first chunk on the same"
    assert waited <= PIECE / 16000 + lookahead_ms / 1000
    # The words said so far are kept, and every event holds a list of them.
    assert resident[-1] - resident[quarter] < 32

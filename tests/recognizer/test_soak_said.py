"""What was said, measured on the starter's recordings: ends of words against forced alignment, ``auto`` on
clips that switch languages, known transcripts laid onto joined clips. Run by ``make soak``:
``docs/evidence/word-ends.json``, ``code-switching.json``, ``alignment.json``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence import CHECKPOINT, heard, record, starter_rows
from joined_clips import join

import workbench as wb
from tooling.starter.emissions import letter_ends, spelling
from tooling.starter.forced_alignment import align
from workbench.evaluation.alignment import align_words
from workbench.recognizer import alignments
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import Clip, read
from workbench.recognizer.words import is_spoken, spaced
from workbench.starter_files import MANIFEST
from workbench.text import normalize

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(6 * 3600)]
LOOKAHEAD_MS = 560
VOICES, CLIPS, JUDGED = 4, 160, 60
"""Voices, clips of each that are aligned together, and those of them that are read and judged."""


def aligned_ends(engine: Any, rows: list[dict[str, Any]]) -> list[np.ndarray]:
    """Seconds at which each letter of each row's spelling ends, by a letter model of the voice."""
    import torch

    mels = []
    for row in rows:
        pcm = torch.from_numpy(heard(row))[None]
        with torch.inference_mode():
            mel, length = engine.model.preprocessor(input_signal=pcm, length=torch.tensor([pcm.shape[1]]))
        mels.append(mel[0, :, : int(length[0])].T.numpy())
    spellings = [spelling(row["text"]) for row in rows]
    spoken = align(mels, spellings, seed=4)
    return [letter_ends(s.astype(np.int16), t) / 100 for s, t in zip(spoken, spellings, strict=True)]


def test_words_end_where_forced_alignment_ends_them():
    """Of words that were recognized right: the recognizer's end less that of the last letter."""
    checkpoint = Checkpoint.open(CHECKPOINT)
    engine, right = checkpoint.engine("cpu"), checkpoint.right_context(LOOKAHEAD_MS)
    by_voice = defaultdict(list)
    for row in starter_rows():
        if 1.0 < row["duration"] < 8.0 and len(row["text"].split()) > 2:
            by_voice[row["source"]].append(row)
    voices = sorted(by_voice, key=lambda voice: -len(by_voice[voice]))[:VOICES]
    offsets: dict[str, list[float]] = {}
    with_mark, total = 0, 0
    for voice in voices:
        rows = sorted(by_voice[voice], key=lambda row: (row["split"] != "test", row["id"]))[:CLIPS]
        ends = aligned_ends(engine, rows)
        offsets[voice] = []
        for row, letters in list(zip(rows, ends, strict=True))[:JUDGED]:
            clip = Clip(heard(row), checkpoint.prompt_index(row["target_lang"]))
            [reading] = read(engine, [clip], checkpoint.tokenizer(), right, True)
            said, at = [spelling(word) for word in row["text"].split()], 0
            of_word = {}
            for place, word in enumerate(said):
                at += len(word.replace(" ", ""))
                of_word[place] = at - 1
            words = spaced(reading.words)
            keys = [normalize(word.word, row["target_lang"]) for word in words]
            for step in align_words([normalize(word, row["target_lang"]) for word in said], keys):
                if step.op == "hit" and step.reference and of_word[step.reference_position] < len(letters):
                    word = words[step.hypothesis_position]
                    offsets[voice].append(word.end_s - float(letters[of_word[step.reference_position]]))
                    total += 1
                    with_mark += not is_spoken(word.word[-1])
    every = np.array([one for found in offsets.values() for one in found])
    result = {
        "lookahead_ms": LOOKAHEAD_MS,
        "words": total,
        "words_with_a_mark_at_their_end": with_mark,
        "end_less_aligned_end_s": {
            "median": round(float(np.median(every)), 3),
            "p5": round(float(np.quantile(every, 0.05)), 3),
            "p95": round(float(np.quantile(every, 0.95)), 3),
            "within_0.16_s": round(float((np.abs(every) <= 0.16).mean()), 4),
            "later_than_0.24_s": round(float((every > 0.24).mean()), 4),
        },
        "median_by_voice": {voice: round(float(np.median(v)), 3) for voice, v in offsets.items() if v},
    }
    record("word-ends", checkpoint, result)
    assert total > 100
    assert abs(result["end_less_aligned_end_s"]["median"]) <= 0.16
    assert result["end_less_aligned_end_s"]["later_than_0.24_s"] < 0.1


def test_auto_on_clips_that_switch_languages(tmp_path: Path):
    """240 clips joined from the starter's test recordings, read with ``auto``, at two look-aheads."""
    checkpoint = Checkpoint.open(CHECKPOINT)
    ws = wb.Workspace(tmp_path / "ws")
    ws.import_corpus("starter", MANIFEST)
    ws.add_checkpoint("starter", CHECKPOINT)
    mixed = ws.mixed_speech("mixed", ws.corpus("starter").where("split = 'test'"), clips=240, seed=26)
    found = {}
    for lookahead_ms in (560, 1120):
        name = f"auto-{lookahead_ms}"
        ws.transcribe(mixed, "starter", name, lookahead_ms=lookahead_ms, prompt_mode="auto", streaming=True)
        evaluation = wb.evaluate(mixed, name)
        switching = evaluation.code_switching(name)
        whole = switching.table[switching.table["slice"] == "code-switched"].to_dict("records")[0]
        found[name] = {
            "sentence": str(switching),
            **{key: value for key, value in whole.items() if key != "slice"},
            "intervals": switching.intervals.to_dict("records"),
        }
    record("code-switching", checkpoint, {"clips": len(mixed), "seed": 26, "predictions": found})
    assert all(one["spans"] > 400 for one in found.values())


def test_known_transcripts_lie_where_they_are_said(tmp_path: Path):
    """Test clips of several voices, joined with pauses to a recording a voice; the transcript holds sentences
    that were never said."""
    checkpoint = Checkpoint.open(CHECKPOINT)
    ws = wb.Workspace(tmp_path / "ws")
    ws.add_checkpoint("starter", CHECKPOINT)
    found: dict[str, Any] = {}
    every: dict[str, list[float]] = defaultdict(list)
    for seed, locale in enumerate(("es-US", "fr-CA", "it-IT", "en-US")):
        made = join(tmp_path / locale, locale=locale, clips=40, seed=seed)
        corpus = ws.import_corpus(locale, made.manifest)
        ws.transcribe(corpus, "starter", "heard", streaming=True)
        ws.align(corpus, f"{locale}-utterances", "heard")
        [line] = (corpus.folder / alignments.FILE).read_text("utf-8").splitlines()
        kept = json.loads(line)
        parts = np.array(kept["parts"])
        sure = {
            name: [float(np.exp(np.log(np.maximum(1e-9, parts[one.first_word : one.end_word, 2])).mean()))
                   for one in some]
            for name, some in (("said", made.said), ("never_said", made.never_said))
        }  # fmt: skip
        ends = [float(parts[one.end_word - 1, 1] - one.end_s) for one in made.said]
        starts = [float(parts[one.first_word, 0] - one.start_s) for one in made.said]
        for name, values in (("end_s", ends), ("start_s", starts), *sure.items()):
            every[name] += values
        found[locale] = {
            "audio_s": round(made.length_s, 1),
            "real_time_factor": round(kept["cpu_s"] / made.length_s, 4),
            "median_end_error_s": round(float(np.median(ends)), 3),
            "median_confidence": {name: round(float(np.median(v)), 4) for name, v in sure.items()},
        }
    ends, starts = np.array(every["end_s"]), np.array(every["start_s"])
    highest = max(every["never_said"])
    result = {
        "clips": len(ends),
        "never_said": len(every["never_said"]),
        "audio_s": round(sum(one["audio_s"] for one in found.values()), 1),
        "end_less_true_end_s": _spread(ends),
        "start_less_true_start_s": _spread(starts),
        "confidence": {
            "median_said": round(float(np.median(every["said"])), 4),
            "median_never_said": round(float(np.median(every["never_said"])), 4),
            "highest_never_said": round(highest, 4),
            "said_above_the_highest_never_said": round(float((np.array(every["said"]) > highest).mean()), 4),
        },
        "by_locale": found,
    }
    record("alignment", checkpoint, result)
    assert abs(result["end_less_true_end_s"]["median"]) < 0.15
    assert result["end_less_true_end_s"]["within_0.2_s"] > 0.8
    assert result["confidence"]["median_said"] > 20 * result["confidence"]["median_never_said"]


def _spread(errors: np.ndarray) -> dict[str, float]:
    return {
        "median": round(float(np.median(errors)), 3),
        "p5": round(float(np.quantile(errors, 0.05)), 3),
        "p95": round(float(np.quantile(errors, 0.95)), 3),
        "within_0.2_s": round(float((np.abs(errors) <= 0.2).mean()), 4),
        "within_0.5_s": round(float((np.abs(errors) <= 0.5).mean()), 4),
    }

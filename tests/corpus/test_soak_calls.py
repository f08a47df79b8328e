"""An hour of a two-channel call, made of clips whose places are known: cut, drafted and corrected."""

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from rapidfuzz.distance import Levenshtein

from workbench.api import Workspace
from workbench.corpus.query.table import Corpus
from workbench.corpus.segmenting import FILE
from workbench.ingest import audio
from workbench.starter_files import CHECKPOINT, MANIFEST
from workbench.text import normalize, words

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "docs" / "evidence" / "calls.json"
RATE = 8_000
MINUTES = float(os.environ.get("CALL_MINUTES", "60"))
DRAFTED = int(os.environ.get("CALL_DRAFTS", "200"))
LISTENS, TYPED_S, DECIDES_S = 1.0, 2.0, 3.0
"""What the scripted reviewer takes: hears a clip once, types so long a wrong word, decides so long."""

pytestmark = [pytest.mark.soak, pytest.mark.model, pytest.mark.timeout(3 * 3600)]


def heard(clip: np.ndarray[Any, Any]) -> tuple[int, int]:
    """First and last sample of a clip that is within 35 dB of its loudest 20 ms."""
    size = RATE // 50
    frames = clip[: len(clip) // size * size].reshape(-1, size)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(level > level.max() - 35)
    return int(loud[0]) * size, int(loud[-1] + 1) * size


@dataclass(frozen=True)
class Call:
    """How a call is made: seed, noise in dB under full scale, the range of the peaks of clips, the longest
    pause in seconds, the locale of its clips."""

    seed: int = 11
    noise_db: float = -58.0
    peaks: tuple[float, float] = (0.3, 0.3)
    longest_pause_s: float = 6.0
    locale: str = "es-US"


CHOSEN_ON = Call()
"""The settings of segmentation were chosen on this hour."""
HELD_OUT = Call(seed=2029, noise_db=-48.0, peaks=(0.06, 0.6), longest_pause_s=4.0, locale="it-IT")
"""Nothing was chosen on this one: other clips and voices, 10 dB more noise, levels 20 dB apart."""


def make_call(path: Path, how: Call = CHOSEN_ON) -> list[dict[str, Any]]:
    """Two voices that take turns and sometimes overlap, over noise, at telephone rate; each clip's place."""
    rng = np.random.default_rng(how.seed)
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["target_lang"] == how.locale and 1.0 < row["duration"] < 8]
    total = round(60 * MINUTES * RATE)
    sound = rng.normal(0, 10 ** (how.noise_db / 20), (total, 2)).astype(np.float32)
    truth, at, turn = [], RATE, 0
    while True:
        row = rows[int(rng.integers(len(rows)))]
        clip = audio.read_row(row, [str(MANIFEST.parent)], RATE)[0]
        if at + len(clip) + RATE > total:
            break
        low, high = how.peaks
        peak = low if low == high else float(np.exp(rng.uniform(np.log(low), np.log(high))))
        clip = clip * np.float32(peak / max(1e-3, float(np.abs(clip).max())))
        sound[at : at + len(clip), turn] += clip
        first, last = heard(clip)
        truth.append({"channel": turn, "start": (at + first) / RATE, "end": (at + last) / RATE,
                      "text": row["text"]})  # fmt: skip
        # One turn in six begins before the other has ended; pauses are from 0.3 to 6 s.
        pause = -0.5 if rng.random() < 1 / 6 else float(rng.uniform(0.3, how.longest_pause_s))
        at += max(RATE // 2, len(clip) + round(pause * RATE))
        turn = int(rng.random() < 0.6) ^ turn if pause > 0 else 1 - turn
    soundfile.write(path, sound.clip(-1, 1), RATE, subtype="PCM_16")
    return truth


def against(truth: list[dict[str, Any]], found: pd.DataFrame, sound: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Share of speech found, ends that cut speech, and seconds of segments in which nobody speaks."""
    speech = covered = inside = length = 0.0
    cut = 0
    for channel in (0, 1):
        said = [(one["start"], one["end"]) for one in truth if one["channel"] == channel]
        mine = found[found["channel"] == channel]
        parts = list(zip(mine["offset"], mine["offset"] + mine["duration"], strict=True))
        speech += sum(end - start for start, end in said)
        length += sum(end - start for start, end in parts)
        overlap = sum(max(0.0, min(e, b) - max(s, a)) for s, e in said for a, b in parts if a < e and b > s)
        covered += overlap
        inside += overlap
        for a, b in parts:
            for edge in (a, b):
                within = next(((s, e) for s, e in said if s + 0.05 < edge < e - 0.05), None)
                if within is None:
                    continue
                part = sound[round((edge - 0.03) * RATE) : round((edge + 0.03) * RATE), channel]
                whole = sound[round(within[0] * RATE) : round(within[1] * RATE), channel]
                # Speech goes through the cut: within 25 dB of the loudest 60 ms of the utterance.
                peak = max(float((whole[i : i + 480] ** 2).mean()) for i in range(0, len(whole), 480))
                cut += float((part**2).mean()) > peak * 10 ** (-25 / 10)
    return {
        "utterances": len(truth), "segments": len(found), "speech_s": round(speech, 1),
        "speech_found": round(covered / speech, 4), "silence_in_segments": round(1 - inside / length, 4),
        "segments_that_cut_speech": round(cut / len(found), 4),
    }  # fmt: skip


def keep(**facts: Any) -> None:
    old = json.loads(EVIDENCE.read_text("utf-8")) if EVIDENCE.exists() else {}
    machine = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "machine": platform.machine()}
    made = {**old, **machine, **facts}
    EVIDENCE.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


def segmented(folder: Path, how: Call) -> tuple[Workspace, Corpus, list[dict[str, Any]], dict[str, Any]]:
    """A call made, cut with the default settings, and held against its truth."""
    truth = make_call(folder / "call.wav", how)
    row = {
        "id": "call",
        "audio_filepath": "call.wav",
        "duration": None,
        "text": "",
        "target_lang": how.locale,
    }
    (folder / "m.jsonl").write_text(json.dumps(row) + "\n")
    ws = Workspace(folder / "ws")
    calls = ws.import_corpus("calls", folder / "m.jsonl")
    made = ws.segment(calls, "utterances", progress=lambda done, total: None)
    lines = [json.loads(line) for line in (calls.folder / FILE).read_text().splitlines()]
    speed = sum(line["seconds"] for line in lines) / sum(line["cpu_s"] for line in lines)
    found = made.frame(["id", "channel", "offset", "duration"])
    sound = soundfile.read(folder / "call.wav", dtype="float32")[0]
    facts = {"call": asdict(how), "minutes": MINUTES, **against(truth, found, sound)}
    return ws, made, truth, {**facts, "times_real_time_a_core": round(speed, 1)}


def test_an_hour_that_no_setting_was_chosen_on(tmp_path: Path) -> None:
    """Writes ``segmented_held_out`` of ``docs/evidence/calls.json``."""
    _, _, _, facts = segmented(tmp_path, HELD_OUT)
    keep(segmented_held_out=facts)
    assert facts["speech_found"] > 0.95
    assert facts["segments_that_cut_speech"] < 0.01


def test_an_hour_of_calls(tmp_path: Path) -> None:
    """Writes ``segmented_chosen_on`` and ``drafted`` of ``docs/evidence/calls.json``."""
    ws, made, truth, facts = segmented(tmp_path, CHOSEN_ON)
    keep(segmented_chosen_on=facts)
    assert facts["speech_found"] > 0.95
    assert facts["segments_that_cut_speech"] < 0.01

    some = made.sample(DRAFTED, by="target_lang")
    ws.add_checkpoint("starter", CHECKPOINT)
    drafts = ws.draft(some, "starter", twice=0.0, progress=lambda done, total: None)
    right = {row["id"]: reference(truth, row) for row in some.frame().to_dict("records")}
    right = {id: text for id, text in right.items() if text}
    before = errors(right, {id: drafts.draft(id, reviewer="ann").text for id in right})
    for id in drafts.queue(reviewer="ann")["id"]:
        shown = drafts.draft(id, reviewer="ann")
        hears_s = float(made.row(id)["duration"])
        if id not in right:
            drafts.reject(id, "no single utterance", reviewer="ann")
            continue
        wrong = Levenshtein.distance(split(shown.text), split(right[id]))
        spent = LISTENS * hears_s + TYPED_S * wrong + DECIDES_S
        if wrong:
            drafts.correct(id, right[id], seconds=spent, reviewer="ann")
        else:
            drafts.accept(id, seconds=spent, reviewer="ann")
    after = errors(right, {id: made.row(id)["text"] for id in right})
    keep(drafted={
        "segments": len(right), "wer_before": round(before, 4), "wer_after": round(after, 4),
        "accepted_unchanged": int((~drafts.provenance()["corrected"]).sum()),
        "minutes_of_review_an_hour_of_speech": round(drafts.minutes_an_hour() or 0.0, 1),
        "reviewer": f"scripted: hears once, {TYPED_S:g} s a wrong word, {DECIDES_S:g} s to decide",
    })  # fmt: skip
    assert after == 0


def reference(truth: list[dict[str, Any]], row: dict[str, Any]) -> str:
    """The texts of the utterances that lie in a segment by more than half."""
    start, end = row["offset"], row["offset"] + row["duration"]
    inside = [
        one["text"] for one in truth if one["channel"] == row["channel"]
        and min(end, one["end"]) - max(start, one["start"]) > 0.5 * (one["end"] - one["start"])
    ]  # fmt: skip
    return " ".join(inside)


def split(text: str) -> list[str]:
    return words(normalize(text, "es-US"), "es-US")


def errors(right: dict[str, str], said: dict[str, str]) -> float:
    edits = sum(Levenshtein.distance(split(right[id]), split(said[id] or "")) for id in right)
    return edits / sum(len(split(text)) for text in right.values())

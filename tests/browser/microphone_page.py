"""A microphone in a notebook, and the recording that Chromium's fake device plays to it, over and over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
import soxr
from labpage import REPO, Notebook
from playwright.sync_api import Locator, expect

STARTER = REPO / "data" / "starter"
RATE = 44100
LEAD_S, TAIL_S = 1.0, 4.0
OPEN = f"""
from workbench.recognizer.checkpoint import Checkpoint
from workbench.widgets.microphone import Microphone
checkpoint = Checkpoint.open({str(REPO / "data" / "checkpoint" / "starter.nemo")!r})
"""
WARM = "checkpoint.engine(); None"
# Of short recordings the first that reads the same at the device's rate and whatever silence is behind it,
# which is what the browser may choose. Its own transcript is that of the 16 kHz file of the corpus.
CHOOSE = f"""
import json, numpy as np, soundfile, soxr
from pathlib import Path
from workbench.recognizer.streaming import play

def reading(pcm, rate):
    return play(checkpoint, pcm, rate, "auto", 560)[-1].final_transcript

def as_played(pcm, behind_s):
    made = (np.clip(soxr.resample(pcm, 16000, {RATE}), -1, 1) * 32767).round().astype(np.int16)
    return np.concatenate([made[np.flatnonzero(made)[0]:], np.zeros(round(behind_s * {RATE}), np.int16)])

chosen = None
source = Path({str(STARTER)!r})
for line in (source / "manifest.jsonl").open(encoding="utf-8"):
    row = json.loads(line)
    if row["target_lang"] != "es-US" or not 1.5 < row["duration"] < 3:
        continue
    pcm = soundfile.read(source / row["audio_filepath"], dtype="float32")[0]
    its_own = reading(pcm, 16000)
    if its_own and all(reading(as_played(pcm, s), {RATE}) == its_own for s in (0.5, 1.0, 2.0, 3.0)):
        chosen = row["audio_filepath"]
        break
"""


def speak(file: Path, recording: str) -> np.ndarray:
    """Put a recording of the starter data where the fake device reads: silence, the recording, silence.

    Returned as it lies on disk, (n,) int16 at 44.1 kHz."""
    pcm = soundfile.read(STARTER / recording, dtype="float32")[0]
    lead, tail = (np.zeros(int(seconds * RATE), np.float32) for seconds in (LEAD_S, TAIL_S))
    made = (np.clip(soxr.resample(pcm, 16000, RATE), -1, 1) * 32767).round() / 32768
    soundfile.write(file, np.concatenate([lead, made, tail]), RATE, subtype="PCM_16")
    return soundfile.read(file, dtype="int16")[0]


def short_recording() -> str:
    """The path of a Spanish recording of 1.5 to 3 s in the starter data."""
    rows = map(json.loads, (STARTER / "manifest.jsonl").open(encoding="utf-8"))
    return next(r["audio_filepath"] for r in rows if r["target_lang"] == "es-US" and 1.5 < r["duration"] < 3)


def record(book: Notebook, view: Locator, seconds: float, at_once: str = "") -> np.ndarray:
    """Samples of a take of at least that length, (n,) int16. ``at_once``: what is said before it begins."""
    view.get_by_test_id("record").click()
    if at_once:
        expect(view.get_by_test_id("mic-transcript")).to_contain_text(at_once)
    expect(view).to_have_attribute("data-state", "recording")
    book.wait(lambda: book.kernel("sum(map(len, mic._blocks))") > seconds * RATE, "the take", 120)
    view.get_by_test_id("record").click()
    expect(view).to_have_attribute("data-state", "idle")
    samples, rate = book.kernel("[mic.take()[0].tolist(), mic.take()[1]]")
    assert rate == RATE
    return np.array(samples, dtype=np.int16)


def start_in(file: np.ndarray, take: np.ndarray) -> tuple[int, bool]:
    """Where in the file, played over and over, the take begins, and whether they are bit for bit equal."""
    size = len(file)
    folded = np.zeros(size)
    np.add.at(folded, np.arange(len(take)) % size, take.astype(np.float64))
    match = np.fft.irfft(np.conj(np.fft.rfft(folded)) * np.fft.rfft(file.astype(np.float64)), size)
    start = int(match.argmax())
    return start, np.array_equal(file[(start + np.arange(len(take))) % size], take)

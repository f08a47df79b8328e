"""Damaged sound files: every reader gives numbers or one line that says why not, and all say the same."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sound_codecs import CODECS, MONO, encode, ffmpeg_frames

from workbench.corpus.quality import measure_rows
from workbench.errors import WorkbenchError
from workbench.finetuning.rows import Utterance
from workbench.finetuning.sounds import read_audio
from workbench.ingest import audio
from workbench.ingest.audio import containers

ROOT = Path(__file__).parents[2]
SOAK = int(os.environ.get("AUDIO_FUZZ_FILES", "500"))
"""Files of each codec in the soak; the test takes a few."""
FRAME_S = 0.16
"""The longest frame of these codecs: what one damaged frame more or less comes to."""
JUDGMENTS = {
    "longer": "the time of a damaged block is kept (ADPCM, W64), where ffmpeg drops it: what follows stays "
    "where it was spoken",
    "shorter": "what is damaged beyond repair is the end; a finding names the file where its header differs",
    "refused, ffmpeg reads it": "joined streams of which one is lost: half a recording under a whole "
    "transcript is worse than none; and samples that are no numbers, which ffmpeg turns into 0",
}
"""Why these are no faults."""


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three of: bytes changed, a stretch cut out, repeated, zeroed, the end or the beginning lost."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, max(1, len(made) if rng.random() < 0.7 else min(len(made), 128))))
        size = int(rng.integers(1, max(2, len(made) // 6)))
        kind = int(rng.integers(0, 6))
        if kind == 0:
            for place in rng.integers(0, max(1, len(made)), int(rng.integers(1, 20))):
                if place < len(made):
                    made[place] = int(rng.integers(0, 256))
        elif kind == 1:
            del made[at : at + size]
        elif kind == 2:
            made[at:at] = made[at : at + size]
        elif kind == 3:
            made[at : at + size] = bytes(len(made[at : at + size]))
        elif kind == 4:
            del made[len(made) - size :]
        else:
            made[at : at + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(4, "little")
    return bytes(made)


def _heard(path: Path) -> tuple[Any, ...]:
    """What each reader makes of a file: a length and finite samples, or the words of its problem."""

    def outcome(read: Any) -> Any:
        problem: WorkbenchError | None = None
        try:
            samples = read()
        except WorkbenchError as error:
            problem = error
        if problem is not None:
            assert problem.what
            assert "\n" not in str(problem)
            return problem.what
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        return samples

    utterance = Utterance("a", path, 0.0, 0.021, "one", "en-US", None, 1, "m.jsonl")
    whole = outcome(lambda: audio.read_mono(path))
    pieces = outcome(lambda: np.concatenate(list(audio.mono_blocks(path, 0.0, None, 16_000))))
    played = outcome(lambda: audio.read_mono(path, sample_rate=16_000))
    row = measure_rows.measure_rows([("a", str(path), 0.0, None, None, None, None)])[0]
    if isinstance(whole, str):
        assert (pieces, played) == (whole, whole)
        assert row["error"] == whole
    else:
        np.testing.assert_array_equal(pieces, played)
        assert row.get("error") is None, row
        assert all(np.isfinite(v) for v in row.values() if isinstance(v, float))
        assert row["duration_s"] == pytest.approx(len(whole) / row["sample_rate"])
    trained = outcome(lambda: read_audio(utterance))
    if isinstance(trained, np.ndarray) and isinstance(played, np.ndarray):
        assert len(trained) <= len(played)
    return whole, row


def fuzz(folder: Path, name: str, count: int, seed: int = 7) -> dict[str, Any]:
    """Counts of what came of so many damaged files of a codec."""
    source = encode(folder / name, name, 1.2, 16_000, 1 if name in MONO else 2).read_bytes()
    rng = np.random.default_rng([seed, *name.encode()])
    files: list[Path] = []
    for number in range(count):
        path = folder / name / f"{number}{Path(name).suffix}"
        path.write_bytes(damaged(source, rng))
        files.append(path)

    def one(path: Path) -> Iterator[str]:
        whole, row = _heard(path)
        if isinstance(whole, str):
            yield "refused"
            more = ffmpeg_frames(path, 16_000) > 160
            yield "refused, ffmpeg reads it" if more else "refused by ffmpeg too"
            if more:
                yield f"reason: {re.sub('[0-9.]+', 'N', whole)[:80]}"
            return
        yield "read"
        ours, theirs = row["duration_s"], ffmpeg_frames(path, 16_000) / 16_000
        differs = abs(ours - theirs)
        if differs < 0.1:
            yield "length as ffmpeg"
        elif differs < FRAME_S:
            yield "a frame off"
        else:
            yield "longer" if ours > theirs else "shorter"

    found: Counter[str] = Counter()
    with ThreadPoolExecutor(2) as pool:
        for told in pool.map(lambda path: list(one(path)), files):
            found.update(told)
    for path in files:
        path.unlink()
    assert found["read"] + found["refused"] == count
    return dict(sorted(found.items()))


@pytest.mark.parametrize("name", list(CODECS))
def test_damaged_files_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    fuzz(tmp_path, name, 12)


@pytest.mark.parametrize("name", ["vorbis.ogg", "x.opus"])
def test_an_ogg_file_whose_first_page_begins_nothing_is_refused_in_one_line(
    name: str, tmp_path: Path
) -> None:
    path = encode(tmp_path, name, 1.2, 16_000, 1)
    data = bytearray(path.read_bytes())
    data[5] &= ~2
    path.write_bytes(data)
    assert containers.ogg_links(bytes(data)) == []
    whole, row = _heard(path)
    assert isinstance(whole, str)
    assert row["error"] == whole


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", list(CODECS))
def test_many_damaged_files(name: str, tmp_path: Path) -> None:
    """500 files a codec; a codec at a time comes into ``docs/evidence/audio-fuzz.json``."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()[:12]
    path = ROOT / "docs" / "evidence" / "audio-fuzz.json"
    earlier = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    held = earlier.get("codecs", {}) if earlier.get("files_of_each_codec") == SOAK else {}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    held[name] = {"commit": commit, "date": today, **fuzz(tmp_path, name, SOAK)}
    facts = {
        "machine": platform.machine(),
        "files_of_each_codec": SOAK,
        "length": f"within 0.1 s of ffmpeg's, a frame off (under {FRAME_S} s), or longer or shorter",
        "judgments": JUDGMENTS,
        "codecs": {codec: held[codec] for codec in CODECS if codec in held},
    }
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

"""Hours of made speech as log-mel shards: the same seed and programs give the same clips.

One shard is one voice and one number; shards that lie there already are left alone, so a stopped call goes
on. Nothing of it is committed, and no row of it may enter validation, test or any figure.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tooling.starter.features import FeatureCache, log_mels
from tooling.starter.made import rooms, synthesizers, texts
from tooling.starter.made.synthesizers import VOICES, MadeVoice
from tooling.starter.recordings import SAMPLE_RATE
from workbench.files import write_atomic

log = logging.getLogger("tooling.starter")
PACKAGES = (
    "tuxpaint-stamps-default",
    "fortunes",
    "fortunes-min",
    "fortunes-es",
    "fortunes-it",
    "fortunes-ru",
)
SHARD_CLIPS = 200
SHORTEST_S, LONGEST_S = 0.35, 9.0
SLOWEST, FASTEST = 25.0, 3.0  # letters a second between which a clip is taken as said whole


def make(
    folder: Path,
    packages: Path,
    preprocessor: Any,
    seed: int,
    hours: float,
    voices: Sequence[MadeVoice] = VOICES,
    progress: Callable[[int, int], None] | None = None,
) -> float:
    """Write shards in turn over ``voices`` until ``hours`` lie in ``folder``; returns the hours there.

    Args:
        folder: where shards lie, ``NAME-NUMBER.npz`` with rows in ``NAME-NUMBER.jsonl``.
        packages: unpacked Debian packages with fortunes and captions.
        preprocessor: NeMo's, of the network that will train.
        seed: every draw depends on it, the voice's name and the shard's number alone.
        hours: of speech in all.
        voices: which programs speak.
        progress: called with seconds made and wanted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = {language: texts.material(packages, language) for language in sorted({v.language for v in voices})}
    total, number = 0.0, 0
    while total < hours * 3600:
        before = total
        for voice, shard in [(v, number * v.share + k) for v in voices for k in range(v.share)]:
            total += _shard(folder, voice, shard, said[voice.language], preprocessor, seed)
            if progress:
                progress(int(total), int(hours * 3600))
            if total >= hours * 3600:
                break
        log.info("made %.2f hours, round %d", total / 3600, number)
        number += 1
        if total == before:
            break
    return total / 3600


def _shard(
    folder: Path, voice: MadeVoice, number: int, said: texts.Material, preprocessor: Any, seed: int
) -> float:
    """Seconds of the shard, made now or before."""
    rows_path = folder / f"{voice.name}-{number:04d}.jsonl"
    if rows_path.is_file():
        return sum(float(json.loads(line)["duration"]) for line in rows_path.open(encoding="utf-8"))
    rng = np.random.default_rng([seed, zlib.crc32(voice.name.encode()), number])
    own = texts.draw(said, SHARD_CLIPS, rng)
    sounds = synthesizers.speak(voice, own, rng)
    rows, clips = [], []
    for index, (text, plain) in enumerate(zip(own, sounds, strict=True)):
        if not spoken_whole(text, len(plain) / SAMPLE_RATE):
            continue
        clips.append(rooms.vary(plain, rng))
        rows.append(row_of(voice, f"{number:04d}.{index:03d}", text, len(clips[-1]), rng))
    mels = log_mels(clips, preprocessor)
    start = np.cumsum([0, *(len(mel) for mel in mels)])
    partial = folder / f"{voice.name}-{number:04d}.partial.npz"
    np.savez(partial, frames=np.concatenate(mels), start=start)
    partial.replace(rows_path.with_suffix(".npz"))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    unfinished = rows_path.with_suffix(".partial")
    unfinished.write_text(lines, encoding="utf-8")
    unfinished.replace(rows_path)
    return float(sum(row["duration"] for row in rows))


def spoken_whole(text: str, seconds: float) -> bool:
    """Whether the length fits the text: programs skip what they cannot say, and stumble over the rest."""
    letters = sum(c.isalpha() for c in text)
    return SHORTEST_S <= seconds <= LONGEST_S and FASTEST * seconds <= letters <= SLOWEST * seconds


def row_of(voice: MadeVoice, key: str, text: str, samples: int, rng: np.random.Generator) -> dict[str, Any]:
    """A made clip's row: like a recording's, marked by ``made``."""
    locale = voice.locales[int(rng.integers(len(voice.locales)))]
    return {
        "id": f"made.{voice.name}.{key}",
        "text": text,
        "target_lang": locale,
        "lang": locale,
        "duration": round(samples / SAMPLE_RATE, 4),
        "source": f"made-{voice.name}-{locale}",
        "split": "train",
        "made": asdict(voice)["engine"],
        "license": voice.license,
    }


def load(folder: Path) -> tuple[list[dict[str, Any]], FeatureCache]:
    """All rows and features of ``folder``, shards in the order of their names."""
    rows: list[dict[str, Any]] = []
    frames, start = [], [np.zeros(1, np.int64)]
    for path in sorted(folder.glob("*.jsonl")):
        rows += [json.loads(line) for line in path.open(encoding="utf-8")]
        with np.load(path.with_suffix(".npz")) as held:
            frames.append(held["frames"])
            start.append(held["start"][1:] + start[-1][-1])
    return rows, FeatureCache(np.concatenate(frames), np.concatenate(start))


def hours_by_voice(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Hours by (locale, voice)."""
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        key = (row["target_lang"], row["source"].removesuffix(f"-{row['target_lang']}").removeprefix("made-"))
        found[key] = found.get(key, 0.0) + row["duration"] / 3600
    return found


def write_evidence(rows: Sequence[dict[str, Any]], seed: int, target: Path) -> None:
    """What was made: clips and hours by locale and voice, with each voice's program and license."""
    licenses = {voice.name: (voice.engine, voice.license) for voice in VOICES}
    voices = [
        {
            "target_lang": locale,
            "voice": voice,
            "program": licenses[voice][0],
            "license": licenses[voice][1],
            "clips": sum(
                row["target_lang"] == locale and f"made-{voice}-{locale}" == row["source"] for row in rows
            ),
            "hours": round(hours, 3),
        }
        for (locale, voice), hours in sorted(hours_by_voice(rows).items())
    ]
    total = round(sum(float(row["duration"]) for row in rows) / 3600, 2)
    facts = {"schema_version": 1, "seed": seed, "clips": len(rows), "hours": total, "voices": voices}
    write_atomic(target, json.dumps(facts, ensure_ascii=False, indent=1) + "\n")

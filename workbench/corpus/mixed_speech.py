"""Speech that switches languages, made of real clips: sentences of several languages, one after the other.

What a caller says in one breath differs from this: voices change with the languages, and switches fall
between sentences. It tests whether ``auto`` follows a switch at all, on words whose transcripts are known.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from workbench.corpus.query.view import View
from workbench.errors import WorkbenchError
from workbench.language_tags import strip_tag, with_tags

RATE = 16_000
LEVEL = 0.05
"""RMS that each clip is brought to, of full scale, so that the switch is not heard by its level."""
PAUSES_S = (0.1, 0.6)


def join_clips(
    corpus: View, folder: Path, *, clips: int = 96, sentences: tuple[int, int] = (2, 3), seed: int = 0
) -> Path:
    """Write clips of several languages and their manifest.

    Args:
        corpus: rows with text, of two languages at least; each is used about equally often.
        folder: new; gets ``audio/`` and ``manifest.jsonl``.
        clips: how many.
        sentences: fewest and most in a clip; neighbors differ in language.
        seed: of what is drawn.

    Returns:
        The manifest: ``text`` with a tag at the end of each sentence, ``target_lang`` of most words,
        ``joined_from`` the ids, ``switches_at_s`` the seconds at which the language changes.

    Raises:
        WorkbenchError: fewer than two languages, or clips that cannot be read.
    """
    columns = ["id", "text", "target_lang", "duration", "speaker", "license"]
    rows = [row for row in corpus.table(columns).to_pylist() if (row["text"] or "").strip()]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row["target_lang"]), []).append(row)
    if len({tag.split("-")[0] for tag in groups}) < 2:
        raise WorkbenchError("clips of two languages are needed", where=corpus.name)
    rng = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True)
    used = dict.fromkeys(groups, 0)
    lines = []
    for number in range(clips):
        chosen: list[dict[str, Any]] = []
        for _ in range(int(rng.integers(sentences[0], sentences[1] + 1))):
            before = chosen[-1]["target_lang"].split("-")[0] if chosen else None
            open_ = [tag for tag in groups if tag.split("-")[0] != before]
            least = min(used[tag] for tag in open_)
            tag = str(rng.choice([tag for tag in open_ if used[tag] == least]))
            used[tag] += 1
            chosen.append(groups[tag][int(rng.integers(len(groups[tag])))])
        lines.append(_join(corpus, folder, number, chosen, rng))
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def _join(
    corpus: View, folder: Path, number: int, chosen: list[dict[str, Any]], rng: np.random.Generator
) -> dict[str, Any]:
    parts: list[np.ndarray[Any, np.dtype[np.float32]]] = []
    switches, words = list[float](), dict[str, int]()
    for row in chosen:
        if parts:
            pause = np.zeros(round(RATE * float(rng.uniform(*PAUSES_S))), np.float32)
            switches.append(round((sum(map(len, parts)) + len(pause) / 2) / RATE, 3))
            parts.append(pause)
        sound = np.asarray(corpus.audio(row["id"], RATE), np.float32)
        level = float(np.sqrt(np.mean(sound**2))) or 1.0
        parts.append(np.clip(sound * (LEVEL / level), -1, 1).astype(np.float32))
        bare = strip_tag(row["text"])[0]
        words[row["target_lang"]] = words.get(row["target_lang"], 0) + len(bare.split())
    name = f"audio/{number:04d}.wav"
    whole = np.concatenate(parts)
    soundfile.write(folder / name, whole, RATE, subtype="PCM_16")
    main = max(words, key=lambda tag: words[tag])
    return {
        "id": f"mixed-{number:04d}",
        "audio_filepath": name,
        "duration": round(len(whole) / RATE, 4),
        "text": with_tags([(strip_tag(row["text"])[0], row["target_lang"]) for row in chosen]),
        "target_lang": main,
        "lang": main,
        "speaker": "+".join(dict.fromkeys(str(row["speaker"] or "unknown") for row in chosen)),
        "split": "test",
        "license": " and ".join(dict.fromkeys(str(row["license"] or "unknown") for row in chosen)),
        "joined_from": " ".join(row["id"] for row in chosen),
        "switches_at_s": " ".join(map(str, switches)),
    }

"""Manifests of any number of rows, like a large corpus: many speakers, sentences of their own, flaws.

Words, accents and tags are the starter corpus's; sentences are drawn from them. Nothing has sound.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

STARTER = Path(__file__).resolve().parents[1] / "data" / "starter" / "manifest.jsonl"
CLIPS_A_SPEAKER = 100
_AT_ONCE = 50_000
_FLAWS = ("{} 112.", "[noise] {}.", "{}", "Mіxed {}.", "{} <en-US>.", "", "A &amp; {}.")


def manifest(path: Path, rows: int, seed: int = 0) -> Path:
    """Write ``rows`` lines of JSON.

    Of all rows 1 % repeat an earlier sentence, mostly the speaker's own, 1 % repeat one but for a word, 0.5 %
    have a flaw of transcript, 0.2 % name the recording of the row before, and 1.5 % state no speaker.
    """
    rng = np.random.default_rng(seed)
    cells = _vocabularies()
    speakers = max(1, rows // CLIPS_A_SPEAKER)
    own: dict[int, str] = {}
    with path.open("w", encoding="utf-8") as stream:
        for start in range(0, rows, _AT_ONCE):
            count = min(_AT_ONCE, rows - start)
            drawn = zip(
                range(start, start + count), rng.random(count).tolist(), rng.integers(4, 10, count).tolist(),
                np.round(rng.uniform(1.0, 9.0, count), 3).tolist(), rng.random((count, 9)).tolist(),
                rng.integers(0, speakers, count).tolist(), strict=True,
            )  # fmt: skip
            lines = []
            for number, kind, length, duration, draws, speaker in drawn:
                tag, accent, words, many = cells[speaker % len(cells)]
                said = " ".join([words[int(draw * many)] for draw in draws[:length]])
                if kind < 0.025:
                    # A few repeat what another speaker of the same cell said last: ties between speakers.
                    other = speaker if kind > 0.001 else (speaker + len(cells)) % speakers
                    said, text = _told(kind, said, own.get(other, said), number)
                else:
                    text = f"{said[0].upper()}{said[1:]}."
                own[speaker] = said
                named = f', "speaker": "s{speaker:06d}"' if kind < 0.985 else ""
                lines.append(
                    f'{{"id": "u{number:08d}", "audio_filepath": "{number - (kind > 0.998):08d}.ogg", '
                    f'"duration": {duration}, "text": "{text}", "target_lang": "{tag}", "lang": "{tag}", '
                    f'"accent": {accent}{named}}}\n'
                )
            stream.write("".join(lines))
    return path


def _told(kind: float, said: str, before: str, number: int) -> tuple[str, str]:
    """What a row says, and its text, by the kind of row that was drawn."""
    if kind < 0.01:
        said = before
    elif kind < 0.02:
        said = f"{before.rpartition(' ')[0]} {said.rpartition(' ')[2]}"
    else:
        return said, _FLAWS[number % len(_FLAWS)].format(said)
    return said, f"{said[0].upper()}{said[1:]}."


def _vocabularies() -> list[tuple[str, str, list[str], int]]:
    """Of each cell of the starter corpus with a hundred words: tag, accent as JSON, words, how many."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for line in STARTER.open(encoding="utf-8"):
        row = json.loads(line)
        words = found.setdefault((row["target_lang"], json.dumps(row.get("accent"))), {})
        words.update((word, None) for word in row["text"].lower().split() if word.isalpha())
    return [
        (tag, accent, list(words), len(words)) for (tag, accent), words in found.items() if len(words) >= 100
    ]
